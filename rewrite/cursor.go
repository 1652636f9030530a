package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// cursorHold is CURSOR_OPT_HOLD of DeclareCursorStmt.options.
const cursorHold = 0x0020

// declareCursor confines the query of a cursor. With hold, the rows are those
// that it finds at the end of its transaction.
func (c *confiner) declareCursor(s *pg_query.DeclareCursorStmt) error {
	return c.nodes(nil, one(s.Query))
}

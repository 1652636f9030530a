package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// cursorHold is CURSOR_OPT_HOLD of DeclareCursorStmt.options.
const cursorHold = 0x0020

// declareCursor confines the query of a cursor that ends with its transaction.
func (c *confiner) declareCursor(s *pg_query.DeclareCursorStmt) error {
	if s.Options&cursorHold != 0 {
		return c.refusal(ruleCursorHold, "DECLARE CURSOR WITH HOLD", "Read the cursor before the transaction ends.", -1)
	}
	return c.nodes(nil, one(s.Query))
}

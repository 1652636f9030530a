package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// A Hold says what a statement does to state that only the server connection
// has and that outlives the transaction.
type Hold uint8

// The flags of a Hold.
const (
	HoldBegins Hold = 1 << iota // it may make such state
	HoldEnds                    // it may end some
	HoldTables                  // names may come to mean other temporary tables
)

// holdOf returns the flags of a statement.
func holdOf(n *pg_query.Node) Hold {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_DeclareCursorStmt:
		if v.DeclareCursorStmt.Options&cursorHold != 0 {
			return HoldBegins
		}
	case *pg_query.Node_ClosePortalStmt:
		return HoldEnds
	case *pg_query.Node_CreateStmt, *pg_query.Node_CreateTableAsStmt:
		return HoldBegins | HoldTables
	case *pg_query.Node_SelectStmt:
		if v.SelectStmt.IntoClause != nil {
			return HoldBegins | HoldTables
		}
	case *pg_query.Node_DropStmt, *pg_query.Node_DiscardStmt:
		return HoldEnds | HoldTables
	}
	return 0
}

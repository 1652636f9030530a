package rewrite

import (
	"strings"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// maxParts bounds how many statements Parts takes apart.
const maxParts = 100

// A Hold says what a statement does to state that only the server connection
// has and that outlives the transaction.
type Hold uint8

// The flags of a Hold.
const (
	HoldBegins   Hold = 1 << iota // it may make such state
	HoldEnds                      // it may end some
	HoldTables                    // names may come to mean other temporary tables
	HoldLocks                     // it may take advisory locks of the session
	HoldUnlocks                   // it may release some
	HoldNotifies                  // it may notify
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
	case *pg_query.Node_NotifyStmt:
		return HoldNotifies
	case *pg_query.Node_CreateStmt, *pg_query.Node_CreateTableAsStmt:
		return HoldBegins | HoldTables
	case *pg_query.Node_SelectStmt:
		if v.SelectStmt.IntoClause != nil {
			return HoldBegins | HoldTables
		}
	case *pg_query.Node_DropStmt, *pg_query.Node_DiscardStmt:
		return HoldEnds | HoldTables
	case *pg_query.Node_TransactionStmt:
		switch v.TransactionStmt.Kind {
		case pg_query.TransactionStmtKind_TRANS_STMT_COMMIT, pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK,
			pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
			return HoldEnds | HoldTables
		default:
			return 0
		}
	}
	return 0
}

// A Part is one statement of a text, with blanks for what is before it, so that
// positions are those of the text.
type Part struct {
	SQL  string
	Hold Hold
}

// Parts takes a text apart. There are none if it does not parse, or holds too
// many. Nothing is confined or refused here.
func Parts(sql string) []Part {
	if checkEncoding(sql) != nil {
		return nil
	}
	if _, err := lexBounded(sql); err != nil {
		return nil
	}
	stmts, err := parse(sql)
	if err != nil || len(stmts) > maxParts {
		return nil
	}
	var parts []Part
	var at statementText
	for _, raw := range stmts {
		at = at.next(sql, raw)
		parts = append(parts, Part{
			SQL:  strings.Repeat(" ", utf8.RuneCountInString(sql[:at.start])) + sql[at.start:at.end],
			Hold: holdOf(raw.Stmt),
		})
	}
	return parts
}

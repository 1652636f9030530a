package rewrite

import (
	"errors"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// With Config.Observe what would be refused is sent as it came. Its Refusal
// tells why it should not have been.

// An enforcedError is a refusal that observing does not change: the proxy
// itself could not go on, or would be misunderstood by the server.
type enforcedError struct{ refusal error }

func (e *enforcedError) Error() string { return e.refusal.Error() }

// observe makes of a refused statement one that is sent as it came.
func observe(sql string, part statementText, raw *pg_query.RawStmt, refusal error) (Statement, error) {
	var enforced *enforcedError
	if errors.As(refusal, &enforced) {
		return Statement{}, refusal
	}
	kind := KindQuery
	switch v := raw.Stmt.GetNode().(type) {
	case *pg_query.Node_PrepareStmt, *pg_query.Node_ExecuteStmt, *pg_query.Node_DiscardStmt:
		return Statement{}, &enforcedError{refusal} // the proxy carries them out
	case *pg_query.Node_CopyStmt:
		if v.CopyStmt.IsFrom && !v.CopyStmt.IsProgram && v.CopyStmt.Filename == "" {
			return Statement{}, &enforcedError{refusal}
		}
	case *pg_query.Node_TransactionStmt:
		kind = transactionKind(v.TransactionStmt.Kind)
	case *pg_query.Node_VariableSetStmt:
		if name := v.VariableSetStmt.Name; name == "TRANSACTION" || name == "TRANSACTION SNAPSHOT" {
			kind = KindSetTransaction
		}
	}
	var forbidden *ForbiddenError
	if errors.As(refusal, &forbidden) && forbidden.Rule == ruleSettingValue {
		return Statement{}, &enforcedError{refusal} // the server would read statements otherwise than the parser
	}
	text, _ := spliced(sql, part, nil)
	return Statement{Kind: kind, Text: text, Refusal: refusal}, nil
}

// transactionKind is what a refused statement does to its transaction.
func transactionKind(kind pg_query.TransactionStmtKind) Kind {
	switch kind {
	case pg_query.TransactionStmtKind_TRANS_STMT_COMMIT, pg_query.TransactionStmtKind_TRANS_STMT_PREPARE:
		return KindCommit
	case pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		return KindRollback
	case pg_query.TransactionStmtKind_TRANS_STMT_BEGIN, pg_query.TransactionStmtKind_TRANS_STMT_START:
		return KindBegin
	default: // of savepoints, and of transactions that were prepared
		return KindQuery
	}
}

// observeText makes of a text that was not taken apart one statement: the
// server may read it, or answer with an error of its own.
func observeText(sql string, refusal error) (*Result, error) {
	var encoding *EncodingError
	if errors.As(refusal, &encoding) {
		return nil, refusal
	}
	text, _ := spliced(sql, statementText{end: len(sql), position: 1}, nil)
	return &Result{Statements: []Statement{{Kind: KindQuery, Text: text, Refusal: refusal}}}, nil
}

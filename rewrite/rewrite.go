// Package rewrite turns one client's SQL text into text that is confined to a
// tenant, or refuses it. It does no I/O.
//
// The parse tree is edited (what must be meant); independently the client's
// text is spliced (what is sent); the spliced text is parsed again and both
// trees must be equal; a second walk, the audit, proves that every relation in
// the result is confined.
package rewrite

// A Config says what a Rewriter does to statements.
type Config struct {
	Setting            string // the run-time parameter that names the tenant; nobody may write it
	Confine            bool   // add tenant predicates (enforce: rewrite, both)
	RequireRowSecurity bool   // refuse tenanted tables without RLS (enforce: rls, both)
	CacheBytes         int64  // bound of the cache of results; 0 means a default
}

// A Request is one client's text: a Query message or a Parse message.
type Request struct {
	SQL       string
	Extended  bool     // Parse: at most one statement, the key becomes a parameter
	ParamOIDs []uint32 // of Parse, as the client declared them
}

// A Result is what becomes of a Request. It holds for every tenant, is shared
// by sessions and immutable.
type Result struct {
	Statements []Statement // in order; empty for an empty query
}

// A Statement is one confined statement. Statements of a simple query each
// carry their own text, so that the session can cut a message between them.
type Statement struct {
	Kind   Kind
	Text   Template
	Params int     // parameters that the client must bind (Extended)
	Keys   []Key   // parameters that the proxy binds after the client's (Extended)
	Checks []Check // what must hold for the tenant's key before the statement runs
	Name   string  // run-time parameter of KindSet, KindReset, KindShow: lower case
}

// Kind says what a statement does to its session and transaction.
type Kind uint8

const (
	KindQuery          Kind = iota // SELECT, INSERT, UPDATE, DELETE, COPY and the like
	KindBegin                      // BEGIN, START TRANSACTION
	KindCommit                     // COMMIT, END
	KindRollback                   // ROLLBACK, ABORT
	KindSavepoint                  // SAVEPOINT, RELEASE
	KindRollbackTo                 // ROLLBACK TO SAVEPOINT
	KindSetTransaction             // SET TRANSACTION
	KindSet                        // SET, SET LOCAL and set_config of an allowed run-time parameter
	KindReset                      // RESET of an allowed run-time parameter; Name "" is RESET ALL
	KindShow                       // SHOW
	KindDeallocate                 // DEALLOCATE; Name "" is ALL, else the statement's name as sent
	KindDiscard                    // DISCARD; Name is "all", "plans", "sequences" or "temp"
)

// A Key is one parameter the proxy adds: the tenant's key, in text format.
type Key struct {
	OID uint32 // type to declare in Parse; 0 lets the server infer it
}

// Package rewrite turns one client's SQL text into text that is confined to a
// tenant, or refuses it. It does no I/O.
//
// The parse tree is edited (what must be meant); independently the client's
// text is spliced (what is sent); the spliced text is parsed again and both
// trees must be equal; a second walk, the audit, proves that every relation in
// the result is confined.
package rewrite

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A Config says what a Rewriter does to statements.
type Config struct {
	Setting            string // the run-time parameter that names the tenant; nobody may write it
	Confine            bool   // add tenant predicates (enforce: rewrite, both)
	RequireRowSecurity bool   // refuse tenanted tables without RLS (enforce: rls, both)
	Explain            bool   // let plain EXPLAIN through: its estimates tell of other tenants' rows
	Observe            bool   // send what is refused as it came, with the refusal beside it
	TempTables         bool   // tenants may have temporary tables; pg_temp must be last in search_path
	OneTenant          bool   // all tables of the database are one tenant's
	CacheBytes         int64  // bound of the cache of results; 0 means a default
}

// A Request is one client's text: a Query message or a Parse message.
type Request struct {
	SQL       string
	Extended  bool     // Parse: at most one statement, the key becomes a parameter
	ParamOIDs []uint32 // of Parse, as the client declared them
	Dump      bool     // of pg_dump, to which the catalogs show what is the tenant's to dump
}

// A Result is what becomes of a Request. It holds for every tenant, is shared
// by sessions and immutable.
type Result struct {
	Statements []Statement // in order; empty for an empty query
}

// A Statement is one confined statement. Statements of a simple query each
// carry their own text, so that the session can cut a message between them.
type Statement struct {
	Kind      Kind
	Text      Template
	Params    int        // parameters that the client must bind; a simple query with any fails
	Keys      []Key      // parameters that the proxy binds after the client's (Extended)
	Checks    []Check    // what must hold for the tenant's key before the statement runs
	Name      string     // run-time parameter of KindSet, KindReset, KindShow: lower case
	Copy      *CopyIn    // of COPY FROM STDIN, which has no Text
	CopyOut   *CopyOut   // of COPY TO STDOUT, if the proxy can write it
	Prepare   *Prepare   // KindPrepare, which has no Text
	Arguments []Argument // KindExecute, which has none either
	Value     string     // KindSet: the value, if it is a single constant; what search_path is set to
	Hold      Hold       // what it does to state that outlives the transaction
	Temporary bool       // it names temporary tables
	Sequences SequenceUse
	Lookup    *Lookup // how else a simple query can be sent, if it can
	ByKey     bool    // Extended: it reads one row by a unique key, so one plan is good for all values
	Refusal   error   // Config.Observe: why it should not be sent; nobody knows what it does

	// Of a Reader alone.
	Unsure      bool   // what it leaves in the session, only the server can tell
	Defines     bool   // it may change definitions
	Draws       bool   // it may take numbers of sequences
	Prepares    bool   // it is PREPARE; Name is the statement's
	Executes    string // the prepared statement that it runs; Executing puts another name there
	Deallocates bool   // it is DEALLOCATE ALL behind or before other statements
	executed    *executedSite
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
	KindInBlock                    // DECLARE without HOLD, LOCK: what fails outside a transaction block
	KindSetTransaction             // SET TRANSACTION
	KindSet                        // SET, SET LOCAL and set_config of an allowed run-time parameter
	KindReset                      // RESET of an allowed run-time parameter; Name "" is RESET ALL
	KindShow                       // SHOW
	KindDeallocate                 // DEALLOCATE; Name "" is ALL, else the statement's name as sent
	KindDiscard                    // DISCARD; Name is "all", "plans", "sequences" or "temp"
	KindPrepare                    // PREPARE of SQL; Name is the statement's
	KindExecute                    // EXECUTE of SQL; Name is the statement's
	KindListen                     // LISTEN; Name is the channel. None of the three has a Text
	KindUnlisten                   // UNLISTEN; Name "" is *
	KindNotify                     // NOTIFY; Name is the channel, Value the payload
)

// A Key is one parameter the proxy adds: the tenant's key, or another of its
// values, in text format.
type Key struct {
	OID   uint32 // type to declare in Parse; 0 lets the server infer it
	Value Value
}

// A Rewriter confines statements. It is safe for concurrent use.
type Rewriter struct {
	config  Config
	cache   *cache
	samples *Values // what proofs are made with
	guard   *guard

	large  chan struct{} // has room for as many large texts as may be read at once
	misses atomic.Int64  // texts that were read

	noBarrier bool // for tests that show what would leak
}

const (
	// largeText is the length above which texts wait for each other: a parse
	// tree takes some 400 bytes for each word.
	largeText = 256 << 10
	// largeAtOnce is how many of them are read at once.
	largeAtOnce = 2
)

// New returns a Rewriter.
func New(config Config) (*Rewriter, error) {
	g, err := newGuard(&config)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return &Rewriter{
		config: config, cache: newCache(config.CacheBytes), samples: newSamples(), guard: g,
		large: make(chan struct{}, largeAtOnce),
	}, nil
}

// refusalOf puts an error in terms of the client's text.
func refusalOf(err error, sql string) error {
	var node *nodeError
	if errors.As(err, &node) {
		return &UnsupportedError{Rule: ruleNodeUnplanned, Node: node.name, Position: offsetPosition(sql, node.offset)}
	}
	return err
}

// rewrite reads a text and tells c, if there is one, about its literals.
func (r *Rewriter) rewrite(req Request, cat *catalog.Snapshot, c *constants) (*Result, error) {
	if err := checkEncoding(req.SQL); err != nil {
		return nil, err
	}
	tokens, err := lexBounded(req.SQL)
	if err != nil {
		return nil, err
	}
	src := newSource(req.SQL, tokens)
	if err := checkExpansion(src); err != nil {
		return nil, err
	}
	if err := checkNames(src, cat); err != nil {
		return nil, err
	}
	if err := castsOfParameters(req.ParamOIDs, cat); err != nil {
		return nil, err
	}
	stmts, err := parse(req.SQL)
	if err != nil {
		return nil, err
	}
	if req.Extended && len(stmts) > 1 {
		return nil, &SyntaxError{Message: "cannot insert multiple commands into a prepared statement"}
	}
	if c != nil {
		c.free = freeLiterals(stmts, src)
	}
	byKey := req.Extended && !req.Dump && !r.config.Observe && len(stmts) == 1 && readsByKey(stmts[0].Stmt, src, cat)
	result := &Result{Statements: make([]Statement, 0, len(stmts))}
	var part statementText
	for _, raw := range stmts {
		part = part.next(req.SQL, raw)
		if len(stmts) == 1 { // with what is around it
			part = statementText{end: len(req.SQL), position: 1}
		}
		s, err := r.statement(req, cat, src, part, raw)
		if err != nil {
			if !r.config.Observe {
				return nil, err
			}
			if s, err = observe(req.SQL, part, raw, refusalOf(err, req.SQL)); err != nil {
				return nil, err
			}
		}
		s.ByKey = byKey && s.Kind == KindQuery && !s.Temporary && s.Hold == 0 && !s.Sequences.Draws
		result.Statements = append(result.Statements, s)
	}
	if c != nil {
		c.read, c.all = src.seen, src.readAny
	}
	return result, nil
}

// A statementText is where a statement's text lies.
type statementText struct {
	start, end int // byte offsets
	position   int // of the start
}

// next returns where a statement behind this one lies.
func (part statementText) next(sql string, raw *pg_query.RawStmt) statementText {
	n := statementText{start: int(raw.StmtLocation), end: len(sql)}
	if raw.StmtLen > 0 {
		n.end = n.start + int(raw.StmtLen)
	}
	n.position = max(part.position, 1) + utf8.RuneCountInString(sql[part.start:n.start])
	return n
}

// statement guards and confines one statement of a text.
func (r *Rewriter) statement(req Request, cat *catalog.Snapshot, src *source, part statementText, raw *pg_query.RawStmt) (Statement, error) {
	if s, ok := r.ownText(req, cat, src, raw); ok {
		return s, nil
	}
	found, err := r.guard.check(raw, cat, src)
	if err != nil {
		return Statement{}, err
	}
	s := Statement{
		Kind: found.kind, Name: found.name, Value: setValue(raw.Stmt), Hold: holdOf(raw.Stmt) | found.hold, Sequences: found.uses,
	}
	switch v := raw.Stmt.Node.(type) { // none is sent as it came
	case *pg_query.Node_PrepareStmt:
		s.Prepare, err = r.prepare(req, v.PrepareStmt, cat, src, raw)
		return s, err
	case *pg_query.Node_ListenStmt, *pg_query.Node_UnlistenStmt:
		return s, nil
	case *pg_query.Node_NotifyStmt:
		s.Value = v.NotifyStmt.Payload
		return s, nil
	case *pg_query.Node_ExecuteStmt:
		s.Arguments, err = executeArguments(v.ExecuteStmt, cat, place{sql: src.sql, offset: part.start})
		return s, err
	}
	s.Params = max(len(req.ParamOIDs), src.highestParam())
	// COPY takes no parameters.
	k := &keys{params: req.Extended && raw.Stmt.GetCopyStmt() == nil, client: s.Params, sample: r.samples}
	c := newConfiner(&r.config, cat, src, k)
	if r.config.Confine && !r.noBarrier {
		c.known = func() conditionKinds { return r.auditor(cat, k, c.checks) }
	}
	c.declared, c.dump = req.ParamOIDs, req.Dump
	if err := c.dispatch(raw.Stmt); err != nil {
		return Statement{}, err
	}
	c.makeOwn(found.apart, found.names)
	if c.vacant != 0 { // nobody has left its rows out
		return Statement{}, unsupportedNode("a system catalog in this place", -1)
	}
	if s.Copy = c.copyIn; s.Copy != nil {
		return s, nil // its INSERTs are confined one by one
	}
	if c.known != nil {
		apart := newBarrier(cat, declaredWith(req.ParamOIDs, s.Params, k), raw.Stmt, c.known())
		apart.statement(raw.Stmt)
		if err := c.keepApart(apart); err != nil {
			return Statement{}, err
		}
		c.checks = append(c.checks, apart.patternChecks()...)
	}
	c.bindings()
	if k.params {
		s.Keys = k.result()
	}
	if req.Extended && s.Params+len(s.Keys) > maxParams {
		return Statement{}, &UnsupportedError{
			Rule: ruleParameterLimit,
			Node: fmt.Sprintf("a statement with %d parameters", s.Params),
			Hint: fmt.Sprintf("PostgreSQL binds %d parameters at most, and the tenant's key is one of them.", maxParams),
		}
	}
	if err := c.viewReferences(raw.Stmt); err != nil {
		return Statement{}, err
	}
	s.Checks, s.Temporary = c.checks, c.temporary
	text, tree, err := r.prove(c, part, raw.Stmt)
	if err != nil {
		return Statement{}, err
	}
	if r.config.Confine {
		a := r.auditor(cat, k, s.Checks)
		if err := a.audit(tree); err != nil {
			return Statement{}, fmt.Errorf("rewrite: %w", err)
		}
		if err := a.apart(tree, declaredWith(req.ParamOIDs, s.Params, k)); err != nil && !r.noBarrier {
			return Statement{}, fmt.Errorf("rewrite: %w", err)
		}
	}
	s.Text = text
	if out := c.copyOut; out != nil {
		var ok bool
		if out.Binary, ok = r.inBinary(c, part, tree); ok {
			s.CopyOut = out
		}
	}
	return s, nil
}

// declaredWith are the declared types of the client's parameters and of the
// keys behind them.
func declaredWith(oids []uint32, params int, k *keys) []uint32 {
	declared := make([]uint32, params, params+len(k.types))
	copy(declared, oids)
	for _, t := range k.types {
		declared = append(declared, t.OID)
	}
	return declared
}

// dispatch confines a statement by its kind. The guard has refused the kinds
// that are not here; should it know more than this, they are refused now.
func (c *confiner) dispatch(n *pg_query.Node) error {
	if s := n.GetSelectStmt(); s.GetIntoClause() != nil && c.config.TempTables && isTemporaryName(s.IntoClause.Rel) {
		c.into = s
	}
	switch v := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt,
		*pg_query.Node_MergeStmt:
		return c.node(n, nil)
	case *pg_query.Node_CopyStmt:
		return c.copyStmt(v.CopyStmt)
	case *pg_query.Node_DeclareCursorStmt:
		return c.declareCursor(v.DeclareCursorStmt)
	case *pg_query.Node_ExplainStmt:
		return c.explain(v.ExplainStmt)
	case *pg_query.Node_CreateStmt, *pg_query.Node_CreateTableAsStmt, *pg_query.Node_IndexStmt, *pg_query.Node_DropStmt,
		*pg_query.Node_TruncateStmt, *pg_query.Node_VacuumStmt:
		return c.temporaryStatement(n)
	case *pg_query.Node_LockStmt:
		return c.lockTable(v.LockStmt)
	case *pg_query.Node_FetchStmt, *pg_query.Node_ClosePortalStmt, *pg_query.Node_TransactionStmt,
		*pg_query.Node_VariableSetStmt, *pg_query.Node_VariableShowStmt, *pg_query.Node_DeallocateStmt,
		*pg_query.Node_DiscardStmt, *pg_query.Node_ConstraintsSetStmt:
		return nil // they name no relations
	}
	return unsupportedNode(nodeName(n), -1)
}

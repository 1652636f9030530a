package rewrite

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A guard decides whether a tenant may send a statement at all, whatever the
// enforcement. It is an allow list: of statements, nodes, functions,
// operators, types, run-time parameters. Relations are resolved and refused by
// the confiner, which runs in every enforcement too.
type guard struct {
	setting    string // the tenant setting, folded
	explain    bool   // Config.Explain
	tempTables bool   // Config.TempTables
	policies   bool   // Config.RequireRowSecurity
	oneTenant  bool   // Config.OneTenant
}

func newGuard(config *Config) (*guard, error) {
	if config.Setting == "" {
		return nil, errors.New("no name of the tenant setting")
	}
	return &guard{
		setting: foldASCII(config.Setting), explain: config.Explain, tempTables: config.TempTables, policies: config.RequireRowSecurity,
		oneTenant: config.OneTenant,
	}, nil
}

// check refuses a statement, or tells what kind it is and what it does. src is
// the whole text that the statement is part of.
func (g *guard) check(raw *pg_query.RawStmt, cat *catalog.Snapshot, src *source) (verdict, error) {
	first, end := src.statement(raw)
	at := place{sql: src.sql}
	if first < len(src.tokens) {
		at.offset = src.tokens[first].start
	}
	if err := checkNumbers(src, first, end, cat.ServerVersion); err != nil {
		return verdict{}, err
	}
	w := &walk{g: g, cat: cat, place: at}
	kind, name, err := g.decide(raw, w)
	return verdict{kind: kind, name: name, uses: w.uses, hold: w.hold, apart: w.apart, names: w.named}, err
}

// A verdict is what the guard says of a statement that may be sent.
type verdict struct {
	kind  Kind
	name  string // of Statement.Name
	uses  SequenceUse
	hold  Hold                 // what its functions do
	apart []*pg_query.FuncCall // to be made the tenant's own
	names map[*pg_query.FuncCall]*string
}

func (g *guard) decide(raw *pg_query.RawStmt, w *walk) (kind Kind, name string, err error) {
	at := w.place
	switch raw.Stmt.GetNode().(type) {
	case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt:
		w.keepsApart = true
	}
	switch v := raw.Stmt.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		if name, ok, err := w.setConfig(raw.Stmt); ok || err != nil {
			return KindSet, name, err
		}
		if err := w.selectInto(v.SelectStmt); err != nil {
			return 0, "", err
		}
		return KindQuery, "", w.statement(raw.Stmt)
	case *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt, *pg_query.Node_MergeStmt,
		*pg_query.Node_CopyStmt:
		return KindQuery, "", w.statement(raw.Stmt)
	case *pg_query.Node_DeclareCursorStmt:
		if kind = KindInBlock; v.DeclareCursorStmt.Options&cursorHold != 0 {
			kind = KindQuery
		}
		return kind, "", w.statement(raw.Stmt)
	case *pg_query.Node_CreateStmt, *pg_query.Node_CreateTableAsStmt, *pg_query.Node_IndexStmt, *pg_query.Node_DropStmt,
		*pg_query.Node_TruncateStmt, *pg_query.Node_VacuumStmt:
		return KindQuery, "", w.temporary(raw.Stmt)
	case *pg_query.Node_ExplainStmt:
		return KindQuery, "", w.explain(raw.Stmt, v.ExplainStmt)
	case *pg_query.Node_LockStmt:
		return KindInBlock, "", g.lockTable(raw.Stmt, at)
	case *pg_query.Node_FetchStmt, *pg_query.Node_ClosePortalStmt, // of cursors that DECLARE made
		*pg_query.Node_ConstraintsSetStmt: // ends with the transaction
		return KindQuery, "", nil
	case *pg_query.Node_TransactionStmt:
		return g.transaction(v.TransactionStmt, at)
	case *pg_query.Node_VariableSetStmt:
		return g.set(v.VariableSetStmt, at)
	case *pg_query.Node_VariableShowStmt:
		return g.show(v.VariableShowStmt, at)
	case *pg_query.Node_DeallocateStmt:
		return KindDeallocate, v.DeallocateStmt.Name, nil
	case *pg_query.Node_PrepareStmt: // its statement is looked at as one of its own
		return KindPrepare, v.PrepareStmt.Name, nil
	case *pg_query.Node_ExecuteStmt:
		return KindExecute, v.ExecuteStmt.Name, nil
	case *pg_query.Node_DiscardStmt:
		return g.discard(v.DiscardStmt, at)
	case *pg_query.Node_ListenStmt:
		return KindListen, v.ListenStmt.Conditionname, nil
	case *pg_query.Node_UnlistenStmt:
		return KindUnlisten, v.UnlistenStmt.Conditionname, nil
	case *pg_query.Node_NotifyStmt:
		return KindNotify, v.NotifyStmt.Conditionname, nil
	default:
		return 0, "", refuseStatement(raw.Stmt, at)
	}
}

// A place is where in a client's text something is: a byte offset. It becomes a
// position only for an error, since counting characters takes time.
type place struct {
	sql    string
	offset int
}

func (p place) position() int { return position(p.sql, p.offset) }

// statement returns the tokens of one statement of a text: from first up to,
// not including, end.
func (s *source) statement(raw *pg_query.RawStmt) (first, end int) {
	from, to := int(raw.StmtLocation), len(s.sql)
	if raw.StmtLen > 0 {
		to = from + int(raw.StmtLen)
	}
	index := func(offset int) int {
		i, _ := slices.BinarySearchFunc(s.tokens, offset, func(t token, at int) int { return cmp.Compare(t.start, at) })
		return i
	}
	return index(from), index(to)
}

// serverNumbers is the first version that reads numbers as the parser does:
// 1_000 is 1 AS _000 to older ones, and 0x1F is 0 AS x1F.
const serverNumbers = 160000

// checkNumbers refuses numbers that this server reads otherwise than the
// parser.
func checkNumbers(src *source, first, end, serverVersion int) error {
	if serverVersion >= serverNumbers {
		return nil
	}
	for _, t := range src.tokens[first:end] {
		if t.kind == tokenNumber && strings.ContainsAny(t.text(src.sql), "_xXoObB") {
			return &UnsupportedError{
				Rule: ruleLiteralNumber, Node: "the number " + t.text(src.sql),
				Hint: "PostgreSQL before version 16 does not know it. Write it in plain digits.", Position: position(src.sql, t.start),
			}
		}
	}
	return nil
}

package rewrite

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A Lookup is a simple query that reads one row by a unique key, as the extended
// protocol has it: with a parameter for each literal. The server then need not
// parse and plan it for every key. There is one from the second text of a
// shape on.
//
// It is kept to what answers the same either way: columns of one table,
// compared with literals. Wherever a constant means more than its value
// (GROUP BY, names of columns, types) there is none. And it is kept to plans
// that no value can change: those by a unique index.
type Lookup struct {
	Statement Statement // as Rewrite returns it for a Parse message
	ParamOIDs []uint32  // of the literals, in order; 0 is for the server to infer
	between   []string  // the client's text around the literals

	// Memo is the caller's, who keeps with it what it has made of the Statement.
	Memo *atomic.Value
}

// maxLookupLiterals bounds what is worth the trouble.
const maxLookupLiterals = 16

// Arguments appends the values of the literals in a text, which Rewrite gave
// this Lookup for. It is false for a text that has to be sent as it is.
func (l *Lookup) Arguments(dst []string, sql string) ([]string, bool) {
	for i := range l.ParamOIDs {
		rest, ok := strings.CutPrefix(sql, l.between[i])
		if !ok {
			return dst, false
		}
		value, after := literalValue(rest)
		if after == 0 {
			return dst, false
		}
		dst, sql = append(dst, value), rest[after:]
	}
	return dst, sql == l.between[len(l.between)-1]
}

// literalValue is the value of the digits, or of the plain string, that a text
// begins with, and where it ends; 0 if it is neither.
func literalValue(text string) (value string, end int) {
	if text == "" || text[0] != '\'' {
		for end < len(text) && charClass[text[end]]&charDigit != 0 {
			end++
		}
		return text[:end], end
	}
	doubled := false
	for end = 1; end < len(text); end++ {
		switch {
		case text[end] == '\\':
			return "", 0
		case text[end] != '\'':
		case end+1 < len(text) && text[end+1] == '\'':
			doubled = true
			end++
		default:
			if value = text[1:end]; doubled {
				value = strings.ReplaceAll(value, "''", "'")
			}
			return value, end + 1
		}
	}
	return "", 0
}

// addLookup makes the Lookup of a simple query if it is one. It is for shapes
// that come again, for the server has to keep it.
func (r *Rewriter) addLookup(req Request, cat *catalog.Snapshot, result *Result) {
	if req.Extended || req.Dump || r.config.Observe || len(result.Statements) != 1 {
		return
	}
	s := &result.Statements[0]
	if s.Kind != KindQuery || s.Params > 0 || s.Temporary || s.Hold != 0 || s.Sequences.Draws {
		return
	}
	tokens, err := lex(req.SQL)
	if err != nil {
		return
	}
	stmts, err := parse(req.SQL)
	if err != nil || len(stmts) != 1 {
		return
	}
	f := &lookupFinder{src: newSource(req.SQL, tokens), types: make(map[int]uint32)}
	if f.selectStmt(stmts[0].Stmt.GetSelectStmt()) && f.unique(cat) {
		s.Lookup = r.lookup(f, cat)
	}
}

// lookup makes the Lookup that was found in a text, or returns nil.
func (r *Rewriter) lookup(f *lookupFinder, cat *catalog.Snapshot) *Lookup {
	src := f.src
	l := &Lookup{Memo: new(atomic.Value)}
	var sql strings.Builder
	at := 0
	for i, t := range src.tokens {
		if t.kind != tokenString && t.kind != tokenNumber {
			continue
		}
		oid, ok := f.types[i]
		if !ok || len(l.ParamOIDs) == maxLookupLiterals {
			return nil
		}
		l.ParamOIDs = append(l.ParamOIDs, oid)
		l.between = append(l.between, strings.Clone(src.sql[at:t.start]))
		sql.WriteString(src.sql[at:t.start] + "$" + strconv.Itoa(len(l.ParamOIDs)))
		if at = t.end; at < len(src.sql) && wordByte(src.sql[at]) {
			sql.WriteByte(' ')
		}
	}
	l.between = append(l.between, strings.Clone(src.sql[at:]))
	sql.WriteString(src.sql[at:])
	result, err := r.rewrite(Request{SQL: sql.String(), Extended: true, ParamOIDs: l.ParamOIDs}, cat, nil)
	if err != nil || len(result.Statements) != 1 {
		return nil // the simple query is still as good
	}
	l.Statement = result.Statements[0]
	return l
}

// readsByKey reports whether a statement of the extended protocol is what a
// Lookup would be made of: with parameters, or with literals that stay.
func readsByKey(stmt *pg_query.Node, src *source, cat *catalog.Snapshot) bool {
	query := stmt.GetSelectStmt()
	if query == nil {
		return false
	}
	f := &lookupFinder{src: src, types: make(map[int]uint32), params: true}
	return f.selectStmt(query) && f.unique(cat)
}

// A lookupFinder goes through a statement.
type lookupFinder struct {
	src    *source
	types  map[int]uint32 // of the literals that were found, by their token
	params bool           // a parameter is as good as a literal
	table  *pg_query.RangeVar
	equal  []string // columns that equal a literal
}

func (f *lookupFinder) selectStmt(s *pg_query.SelectStmt) bool {
	if s == nil || s.Op != pg_query.SetOperation_SETOP_NONE || len(s.FromClause) != 1 || s.WhereClause == nil || len(s.ValuesLists) > 0 ||
		len(s.DistinctClause) > 0 || s.IntoClause != nil || len(s.GroupClause) > 0 || s.GroupDistinct || s.HavingClause != nil ||
		len(s.WindowClause) > 0 || len(s.LockingClause) > 0 || s.WithClause != nil || s.LimitOption == pg_query.LimitOption_LIMIT_OPTION_WITH_TIES {
		return false
	}
	f.table = s.FromClause[0].GetRangeVar()
	if f.table == nil || f.table.Catalogname != "" || len(f.table.GetAlias().GetColnames()) > 0 {
		return false
	}
	for _, n := range s.TargetList {
		if target := n.GetResTarget(); target == nil || len(target.Indirection) > 0 || target.Val.GetColumnRef() == nil {
			return false
		}
	}
	for _, n := range s.SortClause {
		if by := n.GetSortBy(); by == nil || len(by.UseOp) > 0 || by.Node.GetColumnRef() == nil {
			return false
		}
	}
	return f.count(s.LimitCount) && f.count(s.LimitOffset) && f.condition(s.WhereClause)
}

// count takes a number of rows, or none.
func (f *lookupFinder) count(n *pg_query.Node) bool {
	if n == nil {
		return true
	}
	c := n.GetAConst()
	return c.GetIval() != nil && f.literal(c, oidInt8) || f.parameter(n)
}

func (f *lookupFinder) condition(n *pg_query.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_BoolExpr:
		if v.BoolExpr.Boolop != pg_query.BoolExprType_AND_EXPR {
			return false
		}
		for _, arg := range v.BoolExpr.Args {
			if !f.condition(arg) {
				return false
			}
		}
		return true
	case *pg_query.Node_NullTest:
		return v.NullTest.Arg.GetColumnRef() != nil
	case *pg_query.Node_AExpr:
		return f.comparison(v.AExpr)
	default:
		return false
	}
}

// comparisons are the operators a column is compared with a literal by.
var comparisons = map[string]bool{"=": true, "<>": true, "<": true, "<=": true, ">": true, ">=": true}

func (f *lookupFinder) comparison(e *pg_query.A_Expr) bool {
	column, c := e.Lexpr.GetColumnRef(), e.Rexpr.GetAConst()
	if e.Kind != pg_query.A_Expr_Kind_AEXPR_OP || len(e.Name) != 1 || column == nil {
		return false
	}
	name := e.Name[0].GetString_().GetSval()
	if !comparisons[name] || (c == nil || !f.literal(c, 0)) && !f.parameter(e.Rexpr) {
		return false
	}
	if name == "=" {
		f.equal = append(f.equal, column.Fields[len(column.Fields)-1].GetString_().GetSval())
	}
	return true
}

// parameter takes $1 and $1::type, if parameters are taken.
func (f *lookupFinder) parameter(n *pg_query.Node) bool {
	if cast := n.GetTypeCast(); cast != nil {
		n = cast.Arg
	}
	return f.params && n.GetParamRef() != nil
}

// literal takes a constant that is written as one literal of a plain class. as
// is the parameter's type, or 0 for the literal's own.
func (f *lookupFinder) literal(c *pg_query.A_Const, as uint32) bool {
	i := f.src.find(c.Location)
	if i < 0 || f.src.tokens[i].kind != tokenString && f.src.tokens[i].kind != tokenNumber {
		return false
	}
	switch classOf(f.src.tokens[i], f.src.sql) {
	case classInt4:
		if as == 0 {
			as = oidInt4
		}
	case classInt8:
		as = oidInt8
	case classString:
	default:
		return false
	}
	f.types[i] = as
	return true
}

// unique reports whether the columns that equal literals, and the tenant's own,
// hold those of a unique index.
func (f *lookupFinder) unique(cat *catalog.Snapshot) bool {
	table, ok := cat.Lookup(f.table.Schemaname, f.table.Relname)
	if !ok {
		return false
	}
	return slices.ContainsFunc(table.Unique, func(index []string) bool {
		return !slices.ContainsFunc(index, func(column string) bool {
			return column != table.TenantColumn && !slices.Contains(f.equal, column)
		})
	})
}

// size is about how many bytes of memory the Lookup holds.
func (l *Lookup) size() int64 {
	n := int64(3*statementBytes) + l.Statement.Text.size() + int64(len(l.Statement.Text.sql))
	for _, text := range l.between {
		n += 16 + int64(len(text))
	}
	return n
}

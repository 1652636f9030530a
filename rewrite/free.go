package rewrite

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// A literal is free where nothing that reads the statement looks at its value,
// only at what its class tells. This is a list of such places, and all other
// literals are fixed: whoever comes to read a constant somewhere else need not
// know of it. Readers in places that are listed tell by source.read.
//
// The list leaves out, for one, arguments of functions but of harmless ones
// (the guard reads them), LIMIT of sub-selects, GROUP BY and ORDER BY, types'
// modifiers, casts to types that look names up, and every statement but those
// below.
type free struct {
	src *source
	at  map[int32]bool // by the byte where the literal starts

	none bool // set_config: texts around it are compared as a whole
}

// freeOperators are operators whose operands the barrier does not read. Of @>
// it reads the length, of + and - beside a clock the size.
var freeOperators = map[string]bool{
	"=": true, "<>": true, "<": true, "<=": true, ">": true, ">=": true, "+": true, "-": true, "*": true, "/": true, "%": true,
	"||": true, "->": true, "->>": true, "#>": true, "#>>": true, "?": true, "&&": true, "@@": true, "<->": true,
	"~": true, "~*": true, "!~": true, "!~*": true,
}

// freeFunctions are functions whose arguments are values and nothing else.
var freeFunctions = func() map[string]bool {
	m := make(map[string]bool)
	for _, name := range strings.Fields(`abs ceil concat date_trunc floor left length lower lpad ltrim mod
		plainto_tsquery phraseto_tsquery power replace right round rpad rtrim similarity split_part strpos substr
		substring to_char to_date to_timestamp to_tsquery trim btrim trunc upper websearch_to_tsquery word_similarity`) {
		m[name] = true
	}
	return m
}()

// freeLiterals finds the free literals of a text.
func freeLiterals(stmts []*pg_query.RawStmt, src *source) map[int32]bool {
	f := &free{src: src, at: make(map[int32]bool)}
	for _, raw := range stmts {
		f.statement(raw.Stmt, true)
	}
	if f.none {
		return nil
	}
	return f.at
}

// statement looks through a statement. LIMIT is free in the outermost alone.
func (f *free) statement(n *pg_query.Node, outermost bool) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		f.selectStmt(v.SelectStmt, outermost)
	case *pg_query.Node_InsertStmt:
		f.with(v.InsertStmt.WithClause)
		f.statement(v.InsertStmt.SelectStmt, false)
		if conflict := v.InsertStmt.OnConflictClause; conflict != nil {
			f.targets(conflict.TargetList)
			f.look(conflict.WhereClause)
		}
		f.targets(v.InsertStmt.ReturningList)
	case *pg_query.Node_UpdateStmt:
		f.with(v.UpdateStmt.WithClause)
		f.targets(v.UpdateStmt.TargetList)
		f.from(v.UpdateStmt.FromClause)
		f.look(v.UpdateStmt.WhereClause)
		f.targets(v.UpdateStmt.ReturningList)
	case *pg_query.Node_DeleteStmt:
		f.with(v.DeleteStmt.WithClause)
		f.from(v.DeleteStmt.UsingClause)
		f.look(v.DeleteStmt.WhereClause)
		f.targets(v.DeleteStmt.ReturningList)
	}
}

func (f *free) selectStmt(s *pg_query.SelectStmt, outermost bool) {
	if s == nil {
		return
	}
	f.with(s.WithClause)
	f.targets(s.TargetList)
	f.from(s.FromClause)
	f.look(s.WhereClause)
	f.look(s.HavingClause)
	for _, row := range s.ValuesLists {
		f.values(row.GetList().GetItems()...)
	}
	f.selectStmt(s.Larg, false)
	f.selectStmt(s.Rarg, false)
	f.count(s.LimitOffset)
	if outermost {
		f.count(s.LimitCount)
	}
}

// count frees a whole number of rows: one that is not below 0.
func (f *free) count(n *pg_query.Node) {
	if c := n.GetAConst(); c.GetIval() != nil && f.src.startsWithDigit(c.Location) {
		f.at[c.Location] = true
	}
}

func (f *free) with(w *pg_query.WithClause) {
	for _, cte := range w.GetCtes() {
		f.statement(cte.GetCommonTableExpr().GetCtequery(), false)
	}
}

func (f *free) targets(list []*pg_query.Node) {
	for _, n := range list {
		f.value(n.GetResTarget().GetVal())
	}
}

func (f *free) from(list []*pg_query.Node) {
	for _, n := range list {
		switch v := n.GetNode().(type) {
		case *pg_query.Node_JoinExpr:
			f.from(one(v.JoinExpr.Larg, v.JoinExpr.Rarg))
			f.look(v.JoinExpr.Quals)
		case *pg_query.Node_RangeSubselect:
			f.statement(v.RangeSubselect.Subquery, false)
		}
	}
}

func (f *free) values(list ...*pg_query.Node) {
	for _, n := range list {
		f.value(n)
	}
}

// value frees a literal in the place of a value, with or without a cast, and
// looks at what else may be there.
func (f *free) value(n *pg_query.Node) {
	if c := n.GetAConst(); c != nil {
		f.constant(c)
		return
	}
	if cast := n.GetTypeCast(); cast.GetArg().GetAConst() != nil && plainType(cast.TypeName) {
		f.constant(cast.Arg.GetAConst())
		return
	}
	f.look(n)
}

// constant frees a constant that the text has as one literal. A minus becomes
// part of the constant and stays in the shape.
func (f *free) constant(c *pg_query.A_Const) {
	i := f.src.find(c.Location)
	for i >= 0 && i < len(f.src.tokens) && (f.src.tokens[i].op(f.src.sql, "-") || f.src.punct(i, "(")) {
		i++
	}
	if i < 0 || i >= len(f.src.tokens) || f.src.tokens[i].kind != tokenString && f.src.tokens[i].kind != tokenNumber {
		return
	}
	f.at[int32(f.src.tokens[i].start)] = true //nolint:gosec // texts are bounded
}

// plainType reports whether a type is one of those whose values are read from
// text without looking names up.
func plainType(name *pg_query.TypeName) bool {
	names, ok := nameParts(name.GetNames())
	if !ok || len(names) > 2 || len(names) == 2 && names[0] != schemaCatalog {
		return false
	}
	_, plain := preparedTypes[names[len(names)-1]]
	return plain
}

// look goes through an expression that is no literal itself.
func (f *free) look(n *pg_query.Node) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_BoolExpr:
		for _, arg := range v.BoolExpr.Args {
			f.look(arg)
		}
	case *pg_query.Node_NullTest:
		f.look(v.NullTest.Arg)
	case *pg_query.Node_BooleanTest:
		f.look(v.BooleanTest.Arg)
	case *pg_query.Node_AExpr:
		f.operation(v.AExpr)
	case *pg_query.Node_TypeCast:
		f.look(v.TypeCast.Arg)
	case *pg_query.Node_CollateClause:
		f.look(v.CollateClause.Arg)
	case *pg_query.Node_CoalesceExpr:
		f.values(v.CoalesceExpr.Args...)
	case *pg_query.Node_MinMaxExpr:
		f.values(v.MinMaxExpr.Args...)
	case *pg_query.Node_RowExpr:
		f.values(v.RowExpr.Args...)
	case *pg_query.Node_AArrayExpr:
		f.values(v.AArrayExpr.Elements...)
	case *pg_query.Node_MultiAssignRef:
		f.look(v.MultiAssignRef.Source)
	case *pg_query.Node_CaseExpr:
		f.values(v.CaseExpr.Arg, v.CaseExpr.Defresult)
		for _, when := range v.CaseExpr.Args {
			f.values(when.GetCaseWhen().GetExpr(), when.GetCaseWhen().GetResult())
		}
	case *pg_query.Node_SubLink:
		f.value(v.SubLink.Testexpr)
		f.statement(v.SubLink.Subselect, false)
	case *pg_query.Node_FuncCall:
		f.call(v.FuncCall)
	}
}

func (f *free) operation(e *pg_query.A_Expr) {
	switch e.Kind {
	case pg_query.A_Expr_Kind_AEXPR_OP, pg_query.A_Expr_Kind_AEXPR_OP_ANY, pg_query.A_Expr_Kind_AEXPR_OP_ALL:
		name := operatorName(e)
		clock := (name == "+" || name == "-") && (e.Lexpr.GetFuncCall() != nil || e.Lexpr.GetSqlvalueFunction() != nil)
		group := e.Lexpr.GetFuncCall().GetAggStar() // count(*) >= 0 may be a guard
		if freeOperators[name] && !clock && !group {
			f.values(e.Lexpr, e.Rexpr)
			return
		}
		f.look(e.Lexpr)
		f.look(e.Rexpr)
	case pg_query.A_Expr_Kind_AEXPR_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NULLIF:
		f.values(e.Lexpr, e.Rexpr)
	case pg_query.A_Expr_Kind_AEXPR_IN, pg_query.A_Expr_Kind_AEXPR_BETWEEN, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN:
		f.value(e.Lexpr)
		f.values(e.Rexpr.GetList().GetItems()...)
	case pg_query.A_Expr_Kind_AEXPR_LIKE, pg_query.A_Expr_Kind_AEXPR_ILIKE:
		f.value(e.Lexpr)
		if c := e.Rexpr.GetAConst(); c.GetSval() != nil {
			if i := f.src.find(c.Location); i >= 0 && classOf(f.src.tokens[i], f.src.sql) == classString {
				f.constant(c) // without a backslash no pattern fails
			}
		} else {
			f.look(e.Rexpr)
		}
	default:
	}
}

// call looks at the arguments of a function.
func (f *free) call(c *pg_query.FuncCall) {
	names, ok := nameParts(c.Funcname)
	f.none = f.none || ok && names[len(names)-1] == "set_config"
	plain := ok && freeFunctions[names[len(names)-1]] && (len(names) == 1 || names[0] == schemaCatalog)
	for _, arg := range c.Args {
		if plain {
			f.value(arg)
		} else {
			f.look(arg)
		}
	}
	f.look(c.AggFilter)
}

// startsWithDigit reports whether the text has a digit at an offset.
func (s *source) startsWithDigit(offset int32) bool {
	return offset >= 0 && int(offset) < len(s.sql) && charClass[s.sql[offset]]&charDigit != 0
}

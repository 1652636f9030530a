package rewrite

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"
)

// keepApart adds the guards and fences that the barrier asks for, once the
// predicates are in place.
func (c *confiner) keepApart(b *barrier) error {
	if !b.tenanted {
		return nil
	}
	for _, r := range b.refusals {
		if b.nonInert || r.always {
			return c.refusal(r.rule, r.node, r.hint, r.location)
		}
	}
	if !b.nonInert {
		return nil
	}
	for i := range b.guards {
		if err := c.guardCondition(&b.guards[i]); err != nil {
			return err
		}
	}
	for _, f := range b.fences {
		c.fence(f)
	}
	for _, cte := range b.commons {
		c.materialize(cte)
	}
	return nil
}

// guardCondition turns each operand of a condition that is not inert into
//
//	CASE WHEN predicates THEN (operand) ELSE false END
//
// The server runs the operand only for rows that the tenant may see, wherever
// it moves the whole. NULL stays NULL.
func (c *confiner) guardCondition(g *guardedClause) error {
	var test condition
	switch g.clause {
	case clauseHaving:
		// With an aggregate in it, the condition cannot become one of WHERE.
		test = alwaysTrueOfGroup()
	case clauseWhere, clauseOn:
		var err error
		if test, err = c.guardTest(g.items); err != nil {
			return err
		}
	}
	texts := c.operandTexts(g)
	for _, operand := range g.operands {
		if e, ok := texts[operand]; ok && !g.copied {
			c.before(e.first, rankGuardStart, "CASE WHEN "+test.text+" THEN (")
			c.after(e.last, rankGuardEnd, ") ELSE false END")
		} else if !g.copied {
			c.fail()
		}
		operand.Node = &pg_query.Node_CaseExpr{CaseExpr: &pg_query.CaseExpr{
			Args: one(&pg_query.Node{Node: &pg_query.Node_CaseWhen{CaseWhen: &pg_query.CaseWhen{
				Expr:   proto.Clone(test.node).(*pg_query.Node),
				Result: &pg_query.Node{Node: operand.Node},
			}}}),
			Defresult: boolConst(false),
		}}
	}
	return nil
}

// guardTest is true for the rows, and combinations of rows, that a tenant may
// see. NULLs in place of a row pass where an outer join may put them.
func (c *confiner) guardTest(items []guardItem) (condition, error) {
	var nodes []*pg_query.Node
	var texts []string
	for _, item := range items {
		p, err := c.predicate(item.rv, item.rel, item.doubled)
		if err != nil {
			return condition{}, err
		}
		if item.nullable {
			p.text = "(" + p.text + ") IS NOT FALSE"
			p.node = &pg_query.Node{Node: &pg_query.Node_BooleanTest{BooleanTest: &pg_query.BooleanTest{
				Arg: p.node, Booltesttype: pg_query.BoolTestType_IS_NOT_FALSE,
			}}}
		}
		nodes, texts = append(nodes, p.node), append(texts, p.text)
	}
	test := condition{node: nodes[0], text: strings.Join(texts, " AND ")}
	if len(nodes) > 1 {
		test.node = &pg_query.Node{Node: &pg_query.Node_BoolExpr{BoolExpr: &pg_query.BoolExpr{
			Boolop: pg_query.BoolExprType_AND_EXPR, Args: nodes,
		}}}
	}
	return test, nil
}

// alwaysTrueOfGroup is count(*) >= 0.
func alwaysTrueOfGroup() condition {
	count := &pg_query.Node{Node: &pg_query.Node_FuncCall{FuncCall: &pg_query.FuncCall{
		Funcname: []*pg_query.Node{stringNode(schemaCatalog), stringNode("count")}, AggStar: true,
		Funcformat: pg_query.CoercionForm_COERCE_EXPLICIT_CALL,
	}}}
	zero := &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
		Val: &pg_query.A_Const_Ival{Ival: &pg_query.Integer{}},
	}}}
	return condition{node: operator(">=", count, zero), text: "pg_catalog.count(*) >= 0"}
}

func boolConst(value bool) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
		Val: &pg_query.A_Const_Boolval{Boolval: &pg_query.Boolean{Boolval: value}},
	}}}
}

// operandTexts finds the operands of a condition in the text.
func (c *confiner) operandTexts(g *guardedClause) map[*pg_query.Node]extent {
	all := one(g.root)
	anchor := anchorOf(g.root)
	if and := g.root.GetBoolExpr(); and != nil && and.Boolop == pg_query.BoolExprType_AND_EXPR {
		all = and.Args
	}
	i := c.source.find(anchor)
	if i < 0 {
		return nil
	}
	parts := c.source.operands(c.source.conditionStart(i), len(all))
	if len(parts) != len(all) {
		return nil
	}
	texts := make(map[*pg_query.Node]extent, len(all))
	for n, operand := range all {
		texts[operand] = parts[n]
	}
	return texts
}

// anchorOf is where a token lies that is within the condition and in none of
// its brackets.
func anchorOf(n *pg_query.Node) int32 {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_BoolExpr:
		return v.BoolExpr.Location
	case *pg_query.Node_AExpr:
		return v.AExpr.Location
	case *pg_query.Node_FuncCall:
		return v.FuncCall.Location
	case *pg_query.Node_SubLink:
		return v.SubLink.Location
	case *pg_query.Node_NullTest:
		return v.NullTest.Location
	case *pg_query.Node_BooleanTest:
		return v.BooleanTest.Location
	case *pg_query.Node_CaseExpr:
		return v.CaseExpr.Location
	case *pg_query.Node_CoalesceExpr:
		return v.CoalesceExpr.Location
	case *pg_query.Node_TypeCast:
		return v.TypeCast.Location
	case *pg_query.Node_ColumnRef:
		return v.ColumnRef.Location
	case *pg_query.Node_ParamRef:
		return v.ParamRef.Location
	}
	return -1
}

// conditionStart goes from a token of a condition back to its first one.
func (s *source) conditionStart(i int) int {
	for ; i > 0; i-- {
		before := i - 1
		switch {
		case s.punct(before, ")"), s.punct(before, "]"):
			if open := int(s.partner[before]); open >= 0 {
				i = open + 1 // the loop goes on before the bracket
				continue
			}
			return i
		case s.punct(before, "("), s.punct(before, "["), s.punct(before, ";"):
			return i
		}
		switch s.word(before) {
		case "where", "on", "having":
			return i
		}
	}
	return i
}

// operands splits a condition that starts at token i at its ANDs. want is how
// many there should be: with one, the whole is one operand whatever is in it.
func (s *source) operands(i, want int) []extent {
	var list []extent
	first, between, depth := i, 0, 0
	for ; i < len(s.tokens); i++ {
		if s.punct(i, ")") || s.punct(i, "]") || s.punct(i, ";") || depth == 0 && (clauseEnd(s, i) || s.joinWord(i)) {
			break
		}
		if c := s.closing(i); c > i {
			i = c
			continue
		}
		switch s.word(i) {
		case "case":
			depth++
		case "end":
			depth--
		case "between":
			between++
		case "and":
			switch {
			case depth > 0 || want == 1:
			case between > 0:
				between--
			default:
				list = append(list, extent{first, i - 1})
				first = i + 1
			}
		}
	}
	if i <= first {
		return nil
	}
	if want > 1 && len(list) == 0 && s.closing(first) == i-1 {
		return s.operands(first+1, want) // all of it is in brackets
	}
	return append(list, extent{first, i - 1})
}

// joinWord reports whether a token ends the condition of a join.
func (s *source) joinWord(i int) bool {
	if s.punct(i, ",") {
		return true
	}
	switch s.word(i) {
	case "join", "cross", "natural", "inner", "on", "using":
		return true
	case "left", "right", "full":
		return s.is(i+1, "join") || s.is(i+1, "outer")
	}
	return false
}

// fence ends a sub-select of a FROM clause with OFFSET 0, unless it has a limit.
// The server then neither takes it apart nor moves conditions into it.
func (c *confiner) fence(f fenced) {
	s := f.stmt
	if s.LimitOffset != nil || s.LimitCount != nil && !s.LimitCount.GetAConst().GetIsnull() {
		return
	}
	if i := c.inside(s); i < 0 {
		if !f.copied {
			c.fail()
		}
	} else if !f.copied {
		c.after(c.source.skip(i, func(*source, int) bool { return false })-1, rankFence, " OFFSET 0")
	}
	s.LimitOffset = &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
		Val: &pg_query.A_Const_Ival{Ival: &pg_query.Integer{}},
	}}}
	s.LimitOption = pg_query.LimitOption_LIMIT_OPTION_COUNT
}

// inside returns a token of a SELECT in none of its brackets; below 0 it is
// not known.
func (c *confiner) inside(s *pg_query.SelectStmt) int {
	for s.Larg != nil {
		s = s.Larg
	}
	if len(s.ValuesLists) > 0 {
		return c.insideValues(s)
	}
	if len(s.TargetList) > 0 {
		if i := c.source.find(s.TargetList[0].GetResTarget().GetLocation()); i >= 0 {
			return i
		}
	}
	if len(s.FromClause) == 1 && s.FromClause[0].GetRangeVar() != nil {
		return c.source.find(s.FromClause[0].GetRangeVar().Location)
	}
	return -1
}

// insideValues looks for VALUES before its first constant.
func (c *confiner) insideValues(s *pg_query.SelectStmt) int {
	items := s.ValuesLists[0].GetList().GetItems()
	if len(items) == 0 {
		return -1
	}
	at := anchorOf(items[0])
	if constant := items[0].GetAConst(); constant != nil {
		at = constant.Location
	}
	i := c.source.find(at)
	for ; i > 0; i-- {
		if c.source.is(i, "values") {
			return i
		}
	}
	return -1
}

// materialize keeps a common table expression from becoming a sub-select.
func (c *confiner) materialize(cte *pg_query.CommonTableExpr) {
	if cte.Ctematerialized == pg_query.CTEMaterialize_CTEMaterializeAlways {
		return
	}
	s := c.source
	i := s.find(cte.Location)
	if i >= 0 {
		i = s.nameEnd(i)
		if s.punct(i, "(") { // the names of its columns
			i = s.closing(i) + 1
		}
	}
	switch {
	case !s.is(i, "as"):
		c.fail()
	case s.is(i+1, "not"):
		c.replace(i+1, i+2, "MATERIALIZED")
	default:
		c.after(i, rankFence, " MATERIALIZED")
	}
	cte.Ctematerialized = pg_query.CTEMaterialize_CTEMaterializeAlways
}

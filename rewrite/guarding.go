package rewrite

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"

	"tenantgate/rewrite/catalog"
)

// guardCondition turns each operand of a condition that is not inert into
//
//	CASE WHEN predicates THEN (operand) ELSE false END
//
// The server runs the operand only for rows that the tenant may see, wherever
// it moves the whole. NULL stays NULL.
func (c *confiner) guardCondition(g *guardedClause) error {
	texts := c.operandTexts(g.root)
	for _, operand := range g.operands {
		test := alwaysTrueOfGroup() // with an aggregate in it, the condition cannot become one of WHERE
		if g.clause != clauseHaving {
			var err error
			if test, err = c.guardTest(operand.items); err != nil {
				return err
			}
		}
		if e, ok := texts[operand.node]; ok && !g.copied {
			c.before(e.first, rankGuardStart, "CASE WHEN "+test.text+" THEN (")
			c.after(e.last, rankGuardEnd, ") ELSE false END")
		} else if !g.copied {
			c.fail()
		}
		guardNode(operand.node, test.node, boolConst(false))
	}
	return nil
}

// guardValue turns a value of a sub-select that is not inert into
//
//	CASE WHEN predicates THEN (value) END AS name
//
// A condition around the sub-select that the server moves inside finds NULL
// where the row is not the tenant's.
func (c *confiner) guardValue(g guardedTarget) error {
	test, err := c.guardTest(g.items)
	if err != nil {
		return err
	}
	t := g.target
	named := t.Name != ""
	if !named {
		t.Name = columnName(t.Val)
	}
	guardNode(t.Val, test.node, nil)
	if g.copied {
		return nil
	}
	e, ok := c.targetText(t, named)
	if !ok {
		c.fail()
		return nil
	}
	c.before(e.first, rankGuardStart, "CASE WHEN "+test.text+" THEN (")
	end := ") END"
	if !named {
		end += " AS " + quoteAlways(t.Name)
	}
	c.after(e.last, rankGuardEnd, end)
	return nil
}

// guardSide does the same to one side of a comparison.
func (c *confiner) guardSide(g *guardedSide) error {
	test, err := c.guardTest(g.items)
	if err != nil {
		return err
	}
	if !g.copied {
		if e, ok := c.sideText(g); ok {
			c.before(e.first, rankGuardStart, "CASE WHEN "+test.text+" THEN (")
			c.after(e.last, rankGuardEnd, ") END")
		} else {
			c.fail()
		}
	}
	guardNode(g.side, test.node, nil)
	return nil
}

// guardNode puts a node behind a test, in place.
func guardNode(n, test, otherwise *pg_query.Node) {
	n.Node = &pg_query.Node_CaseExpr{CaseExpr: &pg_query.CaseExpr{
		Args: one(&pg_query.Node{Node: &pg_query.Node_CaseWhen{CaseWhen: &pg_query.CaseWhen{
			Expr:   proto.Clone(test).(*pg_query.Node),
			Result: &pg_query.Node{Node: n.Node},
		}}}),
		Defresult: otherwise,
	}}
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
			p = orMissing(p, item.rel)
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

// orMissing lets the NULLs of an outer join pass a predicate. Where a row of a
// table can have NULL as its tenant, tableoid tells them apart.
func orMissing(p condition, rel *catalog.Relation) condition {
	if tenantNotNull(rel) {
		return condition{
			text: "(" + p.text + ") IS NOT FALSE",
			node: &pg_query.Node{Node: &pg_query.Node_BooleanTest{BooleanTest: &pg_query.BooleanTest{
				Arg: p.node, Booltesttype: pg_query.BoolTestType_IS_NOT_FALSE,
			}}},
		}
	}
	fields := p.node.GetAExpr().Lexpr.GetColumnRef().Fields
	var path []string
	for _, f := range fields[:len(fields)-1] {
		path = append(path, f.GetString_().GetSval())
	}
	path = append(path, "tableoid")
	missing := &pg_query.Node{Node: &pg_query.Node_NullTest{NullTest: &pg_query.NullTest{
		Arg: columnRef(path...), Nulltesttype: pg_query.NullTestType_IS_NULL,
	}}}
	return condition{
		text: "(" + p.text + " OR " + quotePath(path) + " IS NULL)",
		node: &pg_query.Node{Node: &pg_query.Node_BoolExpr{BoolExpr: &pg_query.BoolExpr{
			Boolop: pg_query.BoolExprType_OR_EXPR, Args: one(p.node, missing),
		}}},
	}
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

func nullConst() *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{Isnull: true}}}
}

func boolConst(value bool) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
		Val: &pg_query.A_Const_Boolval{Boolval: &pg_query.Boolean{Boolval: value}},
	}}}
}

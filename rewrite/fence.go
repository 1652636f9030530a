package rewrite

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"

	"tenantgate/rewrite/catalog"
)

// keepApart adds the guards and fences that the barrier asks for.
func (c *confiner) keepApart(b *barrier) error {
	if b.tables == 0 {
		return nil
	}
	if len(b.refusals) > 0 {
		r := b.refusals[0]
		return c.refusal(r.rule, r.node, r.hint, r.location)
	}
	for i := range b.guards {
		if err := c.guardCondition(&b.guards[i]); err != nil {
			return err
		}
	}
	for _, t := range b.targets {
		if err := c.guardValue(t); err != nil {
			return err
		}
	}
	for i := range b.sides {
		if err := c.guardSide(&b.sides[i]); err != nil {
			return err
		}
	}
	for _, f := range b.fences {
		c.fence(f)
	}
	for _, cte := range b.commons {
		c.materialize(cte)
	}
	for _, n := range b.joins {
		c.fenceJoin(n)
	}
	return nil
}

// fenceJoin turns (a JOIN b ...) AS j into (SELECT * FROM a JOIN b ... OFFSET 0)
// AS j. The names of the tables are hidden behind the alias anyway. It is
// LATERAL if something in it may look at items before it.
func (c *confiner) fenceJoin(n *pg_query.Node) {
	j := n.GetJoinExpr()
	lateral, word := hasLateral(n), ""
	if lateral {
		word = "LATERAL "
	}
	first, last := c.leafToken(j.Larg, false), c.leafToken(j.Rarg, true)
	if first < 0 || last < 0 {
		c.fail()
	} else {
		end := c.source.around(first, last)
		if end < len(c.source.tokens) && c.source.partner[end] >= 0 {
			c.before(int(c.source.partner[end]), rankJoinStart, word+"(SELECT * FROM ")
			c.after(end, rankFence, " OFFSET 0)")
		}
	}
	alias := j.Alias
	j.Alias = nil
	star := &pg_query.Node{Node: &pg_query.Node_ColumnRef{ColumnRef: &pg_query.ColumnRef{
		Fields: one(&pg_query.Node{Node: &pg_query.Node_AStar{AStar: &pg_query.A_Star{}}}),
	}}}
	s := emptySelect()
	s.TargetList = one(resTarget("", star))
	s.FromClause = one(&pg_query.Node{Node: n.Node})
	limit(s)
	n.Node = &pg_query.Node_RangeSubselect{RangeSubselect: &pg_query.RangeSubselect{
		Lateral: lateral, Subquery: &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: s}}, Alias: alias,
	}}
}

// hasLateral reports whether an item of a join may look at items before it.
func hasLateral(n *pg_query.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_JoinExpr:
		return hasLateral(v.JoinExpr.Larg) || hasLateral(v.JoinExpr.Rarg)
	case *pg_query.Node_RangeSubselect:
		return v.RangeSubselect.Lateral
	case *pg_query.Node_RangeVar, *pg_query.Node_RangeTableSample:
		return false
	default:
		return true
	}
}

// leafToken is a token of the first, or the last, item of a join; below 0 it is
// not known.
func (c *confiner) leafToken(n *pg_query.Node, last bool) int {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_JoinExpr:
		if last && !isFilter(v.JoinExpr) {
			return c.leafToken(v.JoinExpr.Rarg, last)
		}
		return c.leafToken(v.JoinExpr.Larg, last)
	case *pg_query.Node_RangeVar:
		return c.source.find(v.RangeVar.Location)
	case *pg_query.Node_RangeTableSample:
		return c.leafToken(v.RangeTableSample.Relation, last)
	case *pg_query.Node_RangeSubselect:
		if s := v.RangeSubselect.Subquery.GetSelectStmt(); s != nil && c.views[n] == nil {
			return c.inside(s)
		}
		if rv := c.views[n]; rv != nil {
			return c.source.find(rv.Location)
		}
	case *pg_query.Node_RangeFunction:
		if list := v.RangeFunction.Functions; len(list) > 0 && len(list[0].GetList().GetItems()) > 0 {
			return c.source.find(anchorOf(list[0].GetList().Items[0]))
		}
	}
	return -1
}

// limit adds OFFSET 0 to a tree.
func limit(s *pg_query.SelectStmt) {
	s.LimitOffset = &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
		Val: &pg_query.A_Const_Ival{Ival: &pg_query.Integer{}},
	}}}
	s.LimitOption = pg_query.LimitOption_LIMIT_OPTION_COUNT
}

// guardCondition turns each operand of a condition that is not inert into
//
//	CASE WHEN predicates THEN (operand) ELSE false END
//
// The server runs the operand only for rows that the tenant may see, wherever
// it moves the whole. NULL stays NULL.
func (c *confiner) guardCondition(g *guardedClause) error {
	test := alwaysTrueOfGroup() // with an aggregate in it, the condition cannot become one of WHERE
	if g.clause != clauseHaving {
		var err error
		if test, err = c.guardTest(g.items); err != nil {
			return err
		}
	}
	texts := c.operandTexts(g.root)
	for _, operand := range g.operands {
		if e, ok := texts[operand]; ok && !g.copied {
			c.before(e.first, rankGuardStart, "CASE WHEN "+test.text+" THEN (")
			c.after(e.last, rankGuardEnd, ") ELSE false END")
		} else if !g.copied {
			c.fail()
		}
		guardNode(operand, test.node, boolConst(false))
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

// sideText finds one side of a comparison in the text.
func (c *confiner) sideText(g *guardedSide) (extent, bool) {
	e, ok := c.operandTexts(g.root)[g.operand]
	for ok && e.first < e.last && c.source.closing(e.first) == e.last { // brackets around it
		e = extent{e.first + 1, e.last - 1}
	}
	expr := g.operand.GetAExpr()
	at := c.source.find(expr.Location)
	if !ok || at <= e.first || at >= e.last {
		return extent{}, false
	}
	if g.side == expr.Lexpr {
		return extent{e.first, at - 1}, true
	}
	end := at + 1
	if c.source.is(at, "operator") { // OPERATOR(pg_catalog.=)
		end = c.source.closing(at+1) + 1
	}
	return extent{end, e.last}, end > at && end <= e.last
}

// targetText finds the value of a target list's item in the text, without the
// name that it may have.
func (c *confiner) targetText(t *pg_query.ResTarget, named bool) (extent, bool) {
	s := c.source
	i := s.find(t.Location)
	if i < 0 {
		return extent{}, false
	}
	end := s.skip(i, func(s *source, i int) bool { return s.punct(i, ",") || listEnd(s, i) })
	e := extent{first: i, last: end - 1}
	if named {
		if !s.name(e.last) || s.is(e.last-1, "uescape") {
			return extent{}, false
		}
		if e.last--; s.is(e.last, "as") {
			e.last--
		}
	}
	return e, e.last >= e.first
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

func boolConst(value bool) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
		Val: &pg_query.A_Const_Boolval{Boolval: &pg_query.Boolean{Boolval: value}},
	}}}
}

// operandTexts finds the operands of a condition in the text.
func (c *confiner) operandTexts(root *pg_query.Node) map[*pg_query.Node]extent {
	if root == nil {
		return nil
	}
	all := conjunctsAt(root)
	i := c.source.find(anchorOf(root))
	if i < 0 {
		return nil
	}
	start := c.source.conditionStart(i)
	parts := c.source.operands(start, len(all))
	for len(parts) != len(all) { // the anchor of (a AND b) AND c is in brackets
		if !c.source.punct(start-1, "(") {
			return nil
		}
		start = c.source.conditionStart(start - 1)
		parts = c.source.operands(start, len(all))
	}
	texts := make(map[*pg_query.Node]extent, len(all))
	for n, operand := range all {
		texts[operand] = parts[n]
	}
	return texts
}

// anchorOf is where a token lies that is within an expression and in none of
// its brackets; below 0 it is not known.
func anchorOf(n *pg_query.Node) int32 {
	if i := n.GetAIndirection(); i != nil {
		return anchorOf(i.Arg)
	}
	m := n.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("node"))
	if field == nil {
		return -1
	}
	inner := m.Get(field).Message()
	location := inner.Descriptor().Fields().ByName("location")
	if location == nil {
		return -1
	}
	return int32(inner.Get(location).Int()) //nolint:gosec // the field is an int32
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
		if s.punct(i, ")") || s.punct(i, "]") || s.punct(i, ";") || depth == 0 && (clauseEnd(s, i) || s.endsOn(i)) {
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
	list = append(list, extent{first, i - 1})
	if more := want - len(list) + 1; more > 1 && s.closing(list[0].first) == list[0].last {
		if inner := s.operands(list[0].first+1, more); len(inner) == more { // (a AND b) AND c has three
			return append(inner, list[1:]...)
		}
	}
	return list
}

// endsOn reports whether a token ends the condition of a join.
func (s *source) endsOn(i int) bool {
	if s.punct(i, ",") {
		return true
	}
	switch s.word(i) {
	case "join", "cross", "natural", "inner", "on", "using":
		return true
	case "when": // of MERGE; CASE is counted
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
	defer limit(s)
	if f.copied {
		return
	}
	if body, isView := c.bodies[s]; isView {
		text := &c.splices[body.splice].text
		*text = (*text)[:body.end] + " OFFSET 0" + (*text)[body.end:]
		return
	}
	first, last := c.inside(s), c.inside(s)
	if s.Larg != nil {
		last = c.inside(rightmost(s))
	}
	if first < 0 || last < 0 {
		c.fail()
		return
	}
	c.after(c.source.around(first, last)-1, rankFence, " OFFSET 0")
}

// around is the bracket that closes behind both tokens, or the end of the
// statement.
func (s *source) around(first, last int) int {
	for {
		end := s.skip(first, func(*source, int) bool { return false })
		if end >= last || !s.punct(end, ")") {
			return end
		}
		first = end + 1
	}
}

func rightmost(s *pg_query.SelectStmt) *pg_query.SelectStmt {
	for s.Rarg != nil {
		s = s.Rarg
	}
	return s
}

// inside returns a token of a SELECT, or its first arm, in none of its
// brackets; below 0 it is not known.
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
	i := c.source.find(anchorOf(items[0]))
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

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// maxGuardTests bounds the predicates in all guards of a statement.
const maxGuardTests = 20_000

// tests counts the predicates in all guards.
func (b *barrier) tests() int {
	n := 0
	for _, g := range b.guards {
		for _, operand := range g.operands {
			n += len(operand.items)
		}
	}
	for _, t := range b.targets {
		n += len(t.items)
	}
	for _, s := range b.sides {
		n += len(s.items)
	}
	return n
}

// keepApart adds the guards and fences that the barrier asks for.
func (c *confiner) keepApart(b *barrier) error {
	if b.tables == 0 {
		return nil
	}
	if len(b.refusals) > 0 {
		r := b.refusals[0]
		return c.refusal(r.rule, r.node, r.hint, r.location)
	}
	if b.tests() > maxGuardTests {
		return &TooComplexError{
			Message: "statement has too many conditions over too many tables",
			Hint:    "Use fewer of casts, functions and sub-selects in conditions, or refer to tables by their names in them.",
		}
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

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// selectStmt confines SELECT, VALUES and TABLE, and the arms of set
// operations. Tables that are plain items of the FROM clause take their
// predicate in WHERE, those below joins in a filter join.
func (c *confiner) selectStmt(s *pg_query.SelectStmt, outer *scope) error {
	if s.IntoClause != nil && s != c.into {
		hint := "Create the table as the operator."
		if c.config.TempTables {
			hint = hintTemporary
		}
		return c.refusal(ruleSelectInto, "SELECT INTO", hint, s.IntoClause.GetRel().GetLocation())
	}
	sc, err := c.with(s.WithClause, outer)
	if err != nil {
		return err
	}
	for _, arm := range []*pg_query.SelectStmt{s.Larg, s.Rarg} {
		if arm == nil {
			continue
		}
		if err := c.selectStmt(arm, sc); err != nil {
			return err
		}
	}
	plain, err := c.fromClause(s.FromClause, nil, sc)
	if err != nil {
		return err
	}
	if err := c.nodes(sc, s.DistinctClause, s.TargetList, one(s.WhereClause), s.GroupClause, one(s.HavingClause),
		s.WindowClause, s.ValuesLists, s.SortClause, one(s.LimitOffset, s.LimitCount)); err != nil {
		return err
	}
	if err := c.locks(s.LockingClause, s.FromClause); err != nil {
		return err
	}
	if tableForm(s) && (len(plain.conditions) > 0 || c.views[s.FromClause[0]] != nil) {
		c.star(s)
	}
	if len(plain.conditions) == 0 {
		return nil
	}
	c.where(plain.last+1, plain.conditions, s.WhereClause != nil)
	s.WhereClause = conjunction(plain.conditions, s.WhereClause)
	return nil
}

// plainItems are the predicates of a statement's plain FROM items.
type plainItems struct {
	conditions []condition
	last       int // the last token of the last such item
}

// fromClause confines a FROM or USING clause. target is the statement's own
// relation, if any, which stands beside the clause.
func (c *confiner) fromClause(from []*pg_query.Node, target *pg_query.RangeVar, sc *scope) (plainItems, error) {
	var plain plainItems
	names := bareNames(from, target)
	for _, n := range from {
		if n.GetRangeVar() == nil && n.GetRangeTableSample() == nil {
			if err := c.fromItem(n, sc); err != nil {
				return plain, err
			}
			continue
		}
		rv, rel, err := c.plainItem(n, sc)
		if err != nil {
			return plain, err
		}
		if rel == nil {
			continue
		}
		if err := c.confinePlain(&plain, rv, rel, names, n.GetRangeTableSample() != nil); err != nil {
			return plain, err
		}
	}
	err := c.narrow(from, &plain)
	return plain, err
}

// confinePlain adds the predicate of one relation that the WHERE clause can
// take.
func (c *confiner) confinePlain(plain *plainItems, rv *pg_query.RangeVar, rel *catalog.Relation, names map[string]int, sample bool) error {
	p, err := c.predicate(rv, rel, names[rv.Relname] > 1)
	if err != nil {
		return err
	}
	c.addPlain(plain, rv, p, sample)
	return nil
}

// addPlain adds a condition about one relation.
func (c *confiner) addPlain(plain *plainItems, rv *pg_query.RangeVar, p condition, sample bool) {
	e, ok := c.extent(rv, sample)
	if !ok {
		c.fail()
	}
	plain.last = max(plain.last, e.last)
	plain.conditions = append(plain.conditions, p)
}

// bareNames counts the relations of a FROM clause that have no alias, by their
// name without schema.
func bareNames(from []*pg_query.Node, target *pg_query.RangeVar) map[string]int {
	if len(from) == 0 || len(from) == 1 && target == nil && from[0].GetJoinExpr() == nil {
		return nil
	}
	names := make(map[string]int)
	var count func(n *pg_query.Node)
	count = func(n *pg_query.Node) {
		switch v := n.GetNode().(type) {
		case *pg_query.Node_RangeVar:
			if v.RangeVar.Alias == nil {
				names[v.RangeVar.Relname]++
			}
		case *pg_query.Node_RangeTableSample:
			count(v.RangeTableSample.Relation)
		case *pg_query.Node_JoinExpr:
			count(v.JoinExpr.Larg)
			count(v.JoinExpr.Rarg)
		}
	}
	for _, n := range from {
		count(n)
	}
	if target != nil && target.Alias == nil {
		names[target.Relname]++
	}
	return names
}

// tableForm reports whether the client wrote TABLE t: the tree is that of
// SELECT * FROM t, but its star comes from nowhere in the text.
func tableForm(s *pg_query.SelectStmt) bool {
	return len(s.TargetList) == 1 && len(s.FromClause) == 1 && s.TargetList[0].GetResTarget().GetLocation() < 0
}

// star turns the text TABLE t into SELECT * FROM t.
func (c *confiner) star(s *pg_query.SelectStmt) { c.starredAs(s, "*") }

// starredAs turns the text TABLE t into a SELECT of the list FROM t. The list
// that comes last counts.
func (c *confiner) starredAs(s *pg_query.SelectStmt, list string) {
	rv := s.FromClause[0].GetRangeVar()
	if rv == nil {
		rv = c.views[s.FromClause[0]]
	}
	if rv == nil {
		c.fail()
		return
	}
	e, ok := c.extent(rv, false)
	if !ok || !c.source.is(e.first-1, "table") {
		c.fail()
		return
	}
	if c.copies > 0 {
		return
	}
	if at, again := c.starred[s]; again {
		c.splices[at].text = "SELECT " + list
		return
	}
	c.starred[s] = len(c.splices)
	c.replace(e.first-1, e.first-1, "SELECT "+list)
	c.after(e.first-1, rankTable, " FROM")
}

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// locks refuses FOR UPDATE and the like on rows that all tenants share: one
// could make the others wait. The FROM clause has been confined already.
func (c *confiner) locks(clauses []*pg_query.Node, from []*pg_query.Node) error {
	for _, n := range clauses {
		lock := n.GetLockingClause()
		if lock == nil {
			return unsupportedNode(nodeName(n), -1)
		}
		if len(lock.LockedRels) == 0 {
			if err := c.lockAll(from); err != nil {
				return err
			}
		}
		for _, name := range lock.LockedRels {
			rv := name.GetRangeVar()
			if rv == nil {
				return unsupportedNode(nodeName(name), -1)
			}
			for _, item := range from {
				if err := c.lockNamed(item, rv.Relname); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// lockAll looks at all relations of a FROM clause, sub-selects included. Rows of
// functions cannot be locked.
func (c *confiner) lockAll(from []*pg_query.Node) error {
	for _, n := range from {
		var err error
		switch v := n.GetNode().(type) {
		case *pg_query.Node_RangeVar:
			err = c.lock(v.RangeVar)
		case *pg_query.Node_RangeTableSample:
			err = c.lock(v.RangeTableSample.Relation.GetRangeVar())
		case *pg_query.Node_JoinExpr:
			err = c.lockAll(one(v.JoinExpr.Larg, v.JoinExpr.Rarg))
		case *pg_query.Node_RangeSubselect:
			err = c.lockSelect(v.RangeSubselect.Subquery.GetSelectStmt())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *confiner) lockSelect(s *pg_query.SelectStmt) error {
	if s == nil {
		return nil
	}
	for _, arm := range []*pg_query.SelectStmt{s.Larg, s.Rarg} {
		if err := c.lockSelect(arm); err != nil {
			return err
		}
	}
	return c.lockAll(s.FromClause)
}

// lockNamed looks for the FROM item that OF names.
func (c *confiner) lockNamed(n *pg_query.Node, name string) error {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_RangeVar:
		if referenceName(v.RangeVar) == name {
			return c.lock(v.RangeVar)
		}
	case *pg_query.Node_RangeTableSample:
		return c.lockNamed(v.RangeTableSample.Relation, name)
	case *pg_query.Node_JoinExpr:
		if err := c.lockNamed(v.JoinExpr.Larg, name); err != nil {
			return err
		}
		return c.lockNamed(v.JoinExpr.Rarg, name)
	case *pg_query.Node_RangeSubselect:
		if v.RangeSubselect.Alias.GetAliasname() == name {
			return c.lockAll(one(n))
		}
	}
	return nil
}

func (c *confiner) lock(rv *pg_query.RangeVar) error {
	rel := c.resolved[rv]
	if rel != nil && (rel.Class == catalog.Shared || rel.Class == catalog.System) {
		return c.unlockable(rel, rv.Location)
	}
	return nil
}

// referenceName is the name by which a statement refers to a FROM item.
func referenceName(rv *pg_query.RangeVar) string {
	if rv.Alias != nil {
		return rv.Alias.Aliasname
	}
	return rv.Relname
}

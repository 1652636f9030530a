package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A lockedItems says which items of a FROM clause are locked.
type lockedItems struct {
	all   bool
	names map[string]bool // those that OF names
}

// locks refuses FOR UPDATE and the like on rows that all tenants share: one
// could make the others wait. The FROM clause has been confined already.
func (c *confiner) locks(clauses []*pg_query.Node, from []*pg_query.Node) error {
	if len(clauses) == 0 {
		return nil
	}
	locked := lockedItems{names: make(map[string]bool)}
	for _, n := range clauses {
		lock := n.GetLockingClause()
		if lock == nil {
			return unsupportedNode(nodeName(n), -1)
		}
		locked.all = locked.all || len(lock.LockedRels) == 0
		for _, name := range lock.LockedRels {
			rv := name.GetRangeVar()
			if rv == nil {
				return unsupportedNode(nodeName(name), -1)
			}
			locked.names[rv.Relname] = true
		}
	}
	return c.lockItems(from, locked)
}

// lockItems looks at the relations of a FROM clause that are locked. A lock of
// a sub-select locks all that is in it. Rows of functions cannot be locked.
func (c *confiner) lockItems(from []*pg_query.Node, locked lockedItems) error {
	for _, n := range from {
		var err error
		switch v := n.GetNode().(type) {
		case *pg_query.Node_RangeVar:
			err = c.lock(v.RangeVar, locked)
		case *pg_query.Node_RangeTableSample:
			err = c.lock(v.RangeTableSample.Relation.GetRangeVar(), locked)
		case *pg_query.Node_JoinExpr:
			err = c.lockItems(one(v.JoinExpr.Larg, v.JoinExpr.Rarg), locked)
		case *pg_query.Node_RangeSubselect:
			if locked.all || locked.names[v.RangeSubselect.Alias.GetAliasname()] {
				err = c.lockSelect(v.RangeSubselect.Subquery.GetSelectStmt())
			}
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
	return c.lockItems(s.FromClause, lockedItems{all: true})
}

func (c *confiner) lock(rv *pg_query.RangeVar, locked lockedItems) error {
	rel := c.resolved[rv]
	if rel == nil || rel.Class != catalog.Shared && rel.Class != catalog.System {
		return nil
	}
	if locked.all || locked.names[referenceName(rv)] {
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

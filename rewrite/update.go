package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// updateStmt confines UPDATE: the target and the plain items of FROM take
// their predicates in WHERE, and what is written into the tenant column must
// be the key.
func (c *confiner) updateStmt(s *pg_query.UpdateStmt, outer *scope) error {
	sc, err := c.with(s.WithClause, outer)
	if err != nil {
		return err
	}
	rel, err := c.target(s.Relation)
	if err != nil {
		return err
	}
	plain, err := c.modified(s.Relation, rel, s.FromClause, sc)
	if err != nil {
		return err
	}
	if err := c.nodes(sc, s.TargetList, one(s.WhereClause), s.ReturningList); err != nil {
		return err
	}
	if c.confines(rel) {
		own := ownColumn(s.Relation, rel, false)
		if err := c.assignments(s.TargetList, rel, s.Relation, own); err != nil {
			return err
		}
	}
	if len(plain.conditions) > 0 {
		c.where(plain.last+1, plain.conditions, s.WhereClause != nil)
		s.WhereClause = conjunction(plain.conditions, s.WhereClause)
	}
	return nil
}

// modified confines the relations of UPDATE and DELETE: the target first, then
// those of its FROM or USING clause.
func (c *confiner) modified(target *pg_query.RangeVar, rel *catalog.Relation, from []*pg_query.Node, sc *scope) (plainItems, error) {
	var all plainItems
	if c.confines(rel) {
		if err := c.confinePlain(&all, target, rel, bareNames(from, target), false); err != nil {
			return all, err
		}
	}
	items, err := c.fromClause(from, target, sc)
	if err != nil {
		return all, err
	}
	all.last = max(all.last, items.last)
	all.conditions = append(all.conditions, items.conditions...)
	return all, nil
}

// ownColumn reports whether a column reference is the tenant column of the row
// that is being updated. A name without table can be no other one: if another
// table has the column too, the server calls it ambiguous. excluded is the row
// proposed for insertion, whose key has been seen to.
func ownColumn(target *pg_query.RangeVar, rel *catalog.Relation, excluded bool) func(*pg_query.ColumnRef) bool {
	return func(ref *pg_query.ColumnRef) bool {
		path := make([]string, 0, len(ref.Fields))
		for _, f := range ref.Fields {
			name := f.GetString_()
			if name == nil {
				return false
			}
			path = append(path, name.Sval)
		}
		if len(path) == 0 || path[len(path)-1] != rel.TenantColumn {
			return false
		}
		switch len(path) {
		case 1:
			return true
		case 2:
			return path[0] == referenceName(target) || excluded && path[0] == "excluded"
		case 3:
			return target.Alias == nil && path[0] == rel.Schema && path[1] == rel.Name
		default:
			return false
		}
	}
}

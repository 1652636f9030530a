package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// deleteStmt confines DELETE: the target and the plain items of USING take
// their predicates in WHERE.
func (c *confiner) deleteStmt(s *pg_query.DeleteStmt, outer *scope) error {
	sc, err := c.with(s.WithClause, outer)
	if err != nil {
		return err
	}
	rel, err := c.target(s.Relation)
	if err != nil {
		return err
	}
	plain, err := c.modified(s.Relation, rel, s.UsingClause, sc)
	if err != nil {
		return err
	}
	if err := c.nodes(sc, one(s.WhereClause), s.ReturningList); err != nil {
		return err
	}
	if len(plain.conditions) > 0 {
		c.where(plain.last+1, plain.conditions, s.WhereClause != nil)
		s.WhereClause = conjunction(plain.conditions, s.WhereClause)
	}
	return nil
}

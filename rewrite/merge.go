package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// mergeStmt refuses MERGE where predicates would have to be added. Where
// row-level security confines it, its relations are looked at.
func (c *confiner) mergeStmt(s *pg_query.MergeStmt, outer *scope) error {
	if c.config.Confine {
		return c.refusal(ruleMerge, "MERGE", "Use INSERT with ON CONFLICT, or UPDATE and INSERT.", s.Relation.GetLocation())
	}
	sc, err := c.with(s.WithClause, outer)
	if err != nil {
		return err
	}
	if _, err := c.target(s.Relation); err != nil {
		return err
	}
	if err := c.fromItem(s.SourceRelation, sc); err != nil {
		return err
	}
	if err := c.nodes(sc, one(s.JoinCondition)); err != nil {
		return err
	}
	for _, n := range s.MergeWhenClauses {
		when := n.GetMergeWhenClause()
		if when == nil {
			return unsupportedNode(nodeName(n), -1)
		}
		if err := c.nodes(sc, one(when.Condition), when.TargetList, when.Values); err != nil {
			return err
		}
	}
	return nil
}

package rewrite

import (
	"reflect"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// mergeStmt goes over MERGE. The source is joined before WHEN decides, so it
// has to be confined by itself; the target's rows by ON.
func (a *auditor) mergeStmt(s *pg_query.MergeStmt, env *visible) error {
	env, err := a.with(s.WithClause, env)
	if err != nil {
		return err
	}
	rel, err := a.modified(s.Relation, conjunctsOf(s.JoinCondition))
	if err != nil {
		return err
	}
	for _, n := range s.MergeWhenClauses {
		when := n.GetMergeWhenClause()
		if when == nil {
			return auditFailure("unknown clause of MERGE")
		}
		if rel.Class == catalog.Tenanted {
			if err := a.mergeWhen(s, when, rel); err != nil {
				return err
			}
		}
	}
	return a.fields(reflect.ValueOf(s).Elem(), env, "WithClause", "Relation")
}

// mergeWhen goes over what one WHEN clause does to the tenant column.
func (a *auditor) mergeWhen(s *pg_query.MergeStmt, when *pg_query.MergeWhenClause, rel *catalog.Relation) error {
	if when.Matched && !a.hasPredicate(conjunctsOf(when.Condition), s.Relation, rel) {
		return auditFailure("WHEN MATCHED of %s is not confined", writtenName(s.Relation))
	}
	source := &pg_query.SelectStmt{FromClause: one(s.SourceRelation)}
	switch when.CommandType {
	case pg_query.CmdType_CMD_NOTHING, pg_query.CmdType_CMD_DELETE:
		return nil
	case pg_query.CmdType_CMD_UPDATE:
		return a.assignments(a.withoutSource(when.TargetList, source, rel), s.Relation, rel, false)
	case pg_query.CmdType_CMD_INSERT:
		columns := &pg_query.InsertStmt{Cols: when.TargetList}
		row := &pg_query.SelectStmt{FromClause: source.FromClause}
		for _, n := range when.Values {
			row.TargetList = append(row.TargetList, resTarget("", n))
		}
		columns.SelectStmt = &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: row}}
		return a.rows(columns, rel)
	default:
		return auditFailure("unknown action of MERGE")
	}
}

// withoutSource leaves out what a SET list takes from the tenant column of the
// source, which is the key.
func (a *auditor) withoutSource(list []*pg_query.Node, source *pg_query.SelectStmt, rel *catalog.Relation) []*pg_query.Node {
	var rest []*pg_query.Node
	for _, n := range list {
		target := n.GetResTarget()
		value := target.GetVal()
		if path, ok := columnPath(value); ok && len(path) > 1 && len(target.GetIndirection()) == 0 && a.isTenantColumnOf(value, source, rel) {
			continue
		}
		rest = append(rest, n)
	}
	return rest
}

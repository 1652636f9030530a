package rewrite

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// serverMerge is the first version that has MERGE.
const serverMerge = 150000

// A merge is a MERGE with what is known of it.
type merge struct {
	stmt      *pg_query.MergeStmt
	rel       *catalog.Relation
	predicate condition // of the target
	text      mergeText
}

// mergeStmt confines MERGE. The source is filtered before it is joined, or its
// rows of other tenants would be inserted as not matched. The target's
// predicate is part of ON, and of each WHEN MATCHED.
func (c *confiner) mergeStmt(s *pg_query.MergeStmt, outer *scope) error {
	if v := c.catalog.ServerVersion; v > 0 && v < serverMerge {
		return c.noMerge(s)
	}
	sc, err := c.with(s.WithClause, outer)
	if err != nil {
		return err
	}
	rel, err := c.target(s.Relation)
	if err != nil {
		return err
	}
	if err := c.fromItem(s.SourceRelation, sc); err != nil {
		return err
	}
	if err := c.narrow(one(s.SourceRelation), nil); err != nil {
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
	if !c.confines(rel) {
		return nil
	}
	return c.mergeTarget(s, rel)
}

// noMerge is the error of servers that do not know MERGE.
func (c *confiner) noMerge(s *pg_query.MergeStmt) error {
	i := c.source.find(s.Relation.GetLocation())
	for i >= 0 && !c.source.is(i, "merge") {
		i--
	}
	err := &SyntaxError{Message: `syntax error at or near "MERGE"`}
	if i >= 0 {
		t := c.source.tokens[i]
		err.Message = `syntax error at or near "` + t.text(c.source.sql) + `"`
		err.Position = position(c.source.sql, t.start)
	}
	return err
}

// mergeTarget confines the rows of the target that are matched, and sees to
// the tenant column of those that are written.
func (c *confiner) mergeTarget(s *pg_query.MergeStmt, rel *catalog.Relation) error {
	if err := c.sameName(s); err != nil {
		return err
	}
	names := bareNames(one(s.SourceRelation), s.Relation)
	p, err := c.predicate(s.Relation, rel, names[s.Relation.Relname] > 1)
	if err != nil {
		return err
	}
	m := &merge{stmt: s, rel: rel, predicate: p}
	var found bool
	if m.text, found = c.locateMerge(s); !found {
		c.fail()
	}
	s.JoinCondition = conjunction([]condition{p}, s.JoinCondition)
	if found {
		c.before(m.text.on+1, rankCondition, p.text+" AND (")
		c.after(m.text.whens[0].when-1, rankParenthesis, ")")
	}
	for i, n := range s.MergeWhenClauses {
		at := whenText{when: -1, matched: -1, then: -1, end: -1}
		if found {
			at = m.text.whens[i]
		}
		if err := c.mergeWhen(m, n.GetMergeWhenClause(), at); err != nil {
			return err
		}
	}
	return nil
}

// sameName is the server's error for a source that has the target's name. A
// filter join would hide it from the server.
func (c *confiner) sameName(s *pg_query.MergeStmt) error {
	source, _ := filtered(s.SourceRelation)
	if source == nil || referenceName(source) != referenceName(s.Relation) {
		return nil
	}
	return &DefinitionError{
		Problem: DuplicateAlias,
		Message: fmt.Sprintf("name %q specified more than once", referenceName(source)),
		Detail:  "The name is used both as MERGE target table and data source.",
	}
}

// filtered is the relation of a filter join.
func filtered(n *pg_query.Node) (*pg_query.RangeVar, bool) {
	j := n.GetJoinExpr()
	if j == nil || !isFilter(j) {
		return nil, false
	}
	if sample := j.Larg.GetRangeTableSample(); sample != nil {
		return sample.Relation.GetRangeVar(), true
	}
	return j.Larg.GetRangeVar(), true
}

// mergeWhen sees to one WHEN clause.
func (c *confiner) mergeWhen(m *merge, when *pg_query.MergeWhenClause, at whenText) error {
	if when.Matched {
		c.mergeMatched(m, when, at)
	}
	switch when.CommandType {
	case pg_query.CmdType_CMD_INSERT:
		if when.Matched {
			return unsupportedNode("INSERT of matched rows", -1)
		}
		return c.mergeInsert(m, when, at)
	case pg_query.CmdType_CMD_UPDATE:
		target, source := ownColumn(m.stmt.Relation, m.rel, false), c.ownInSource(m)
		return c.assignments(when.TargetList, m.rel, m.stmt.Relation, func(ref *pg_query.ColumnRef) bool {
			return target(ref) || len(ref.Fields) > 1 && source(ref)
		})
	case pg_query.CmdType_CMD_DELETE, pg_query.CmdType_CMD_NOTHING:
		return nil
	default:
		return unsupportedNode("this action of MERGE", -1)
	}
}

// mergeMatched adds the predicate to WHEN MATCHED, where ON has it already.
func (c *confiner) mergeMatched(m *merge, when *pg_query.MergeWhenClause, at whenText) {
	old := when.Condition
	when.Condition = conjunction([]condition{m.predicate}, old)
	if at.matched < 0 {
		return
	}
	if old == nil {
		c.after(at.matched, rankWhere, " AND "+m.predicate.text)
		return
	}
	c.before(at.matched+2, rankCondition, m.predicate.text+" AND (")
	c.after(at.then-1, rankParenthesis, ")")
}

// ownInSource reports whether a column reference is the tenant column of a
// table of the source, so that its value is the key.
func (c *confiner) ownInSource(m *merge) func(*pg_query.ColumnRef) bool {
	source := &pg_query.SelectStmt{FromClause: one(m.stmt.SourceRelation)}
	return c.ownInFrom(source, &insertion{stmt: &pg_query.InsertStmt{Relation: m.stmt.Relation}, rel: m.rel})
}

// mergeInsert sees to it that the row has the key in its tenant column.
func (c *confiner) mergeInsert(m *merge, when *pg_query.MergeWhenClause, at whenText) error {
	t, err := c.tenantType(m.rel, m.stmt.Relation)
	if err != nil {
		return err
	}
	key := c.keys.form(t)
	column := quoteIdent(m.rel.TenantColumn)
	row := c.locateRow(when, at)
	if row.last < 0 && at.then >= 0 {
		c.fail()
	}
	if len(when.Values) == 0 { // DEFAULT VALUES
		when.TargetList = one(resTarget(m.rel.TenantColumn, nil))
		when.Values = one(key.node())
		if row.last >= 0 {
			c.replace(row.first, row.last, "("+column+") VALUES ("+key.text+")")
		}
		return nil
	}
	w := written{rel: m.rel, rv: m.stmt.Relation, rule: ruleInsertTenantExpression, own: c.ownInSource(m)}
	place, added, err := c.mergeColumns(m, when, row)
	if err != nil {
		return err
	}
	if starBefore(when.Values, len(when.Values)) {
		return c.refusal(ruleInsertUnknownWidth, "INSERT of rows whose columns cannot be counted",
			"Write the columns instead of *.", m.stmt.Relation.Location)
	}
	if !added {
		if place >= len(when.Values) {
			return &SyntaxError{Message: "INSERT has more target columns than expressions"}
		}
		return c.tenantValue(when.Values[place], w)
	}
	when.Values = append(when.Values, key.node())
	if row.last >= 0 {
		c.after(row.last-1, rankAppend, ", "+key.text)
	}
	return nil
}

// mergeColumns makes the column list of an INSERT name the tenant column. It
// returns its place, and whether it was added at the end.
func (c *confiner) mergeColumns(m *merge, when *pg_query.MergeWhenClause, row rowText) (place int, added bool, err error) {
	place = -1
	if len(when.TargetList) > 0 {
		for i, n := range when.TargetList {
			target := n.GetResTarget()
			if target.GetName() != m.rel.TenantColumn {
				continue
			}
			if place >= 0 || len(target.Indirection) > 0 {
				w := written{rel: m.rel, rv: m.stmt.Relation, rule: ruleInsertTenantExpression}
				return 0, false, c.unprovable(w, target.Location)
			}
			place = i
		}
		if place >= 0 {
			return place, false, nil
		}
		when.TargetList = append(when.TargetList, resTarget(m.rel.TenantColumn, nil))
		if row.last >= 0 {
			c.after(row.columns-1, rankAppend, ", "+quoteIdent(m.rel.TenantColumn))
		}
		return len(when.TargetList) - 1, true, nil
	}
	if len(when.Values) > len(m.rel.Columns) {
		return 0, false, &SyntaxError{Message: "INSERT has more expressions than target columns"}
	}
	place = columnIndex(m.rel, m.rel.TenantColumn)
	var names []string
	for i := range when.Values {
		names = append(names, m.rel.Columns[i].Name)
	}
	if added = place >= len(names); added {
		names = append(names, m.rel.TenantColumn)
	}
	var quoted []string
	for _, name := range names {
		when.TargetList = append(when.TargetList, resTarget(name, nil))
		quoted = append(quoted, quoteIdent(name))
	}
	if row.last >= 0 {
		c.after(row.insert, rankAppend, " ("+strings.Join(quoted, ", ")+")")
	}
	return place, added, nil
}

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// A guardedTarget is a value in a target list that has to be guarded.
type guardedTarget struct {
	target *pg_query.ResTarget
	items  []guardItem
	copied bool
}

// target reads one item of a target list: the columns that it makes, and what
// keeps conditions from running its value on rows of others.
func (b *barrier) target(s *pg_query.SelectStmt, t *pg_query.ResTarget, lv *queryLevel, x exposure, list *selected) {
	ref := t.GetVal().GetColumnRef()
	if isStar(t.GetVal()) {
		if ref == nil { // (row).*, of which no CASE can be made
			list.partial = true
			list.open = list.open || x.targets
			b.nonInert = b.nonInert || x.targets
			return
		}
		b.starTarget(ref, lv, list)
		return
	}
	value, inert := b.value(t.GetVal(), lv)
	switch {
	case !inert:
		value = b.targetValue(s, t, lv, x, list)
	case value.literal: // it becomes text, or the number that it is
		value = valueType{name: numberKind(t.GetVal().GetAConst())}
		if t.GetVal().GetAConst().GetSval() != nil {
			value.name = "text"
		}
	}
	name := t.GetName()
	if name == "" {
		name = columnName(t.GetVal())
	}
	list.columns = append(list.columns, output{name: name, value: value})
}

// targetValue sees to a value that is not inert. What remains of it for the
// conditions around is safe: no row of others is behind it.
func (b *barrier) targetValue(s *pg_query.SelectStmt, t *pg_query.ResTarget, lv *queryLevel, x exposure, list *selected) valueType {
	value := valueType{name: b.kind(guardedNode(t.GetVal()), lv), safe: true}
	if x.limited || b.surelyAggregated(t.GetVal(), lv) { // conditions on it stay outside
		return value
	}
	if !x.targets {
		value.safe = false
		return value
	}
	if lv.tables == nil {
		lv.tables = guardItems(lv.items)
	}
	items := lv.tables
	b.nonInert = true
	switch {
	case b.known.isGuard(t.GetVal(), clauseTarget, items):
		lv.guarded = true
	case b.guardable(s, t, lv, items):
		lv.guarded = true
		b.targets = append(b.targets, guardedTarget{target: t, items: items, copied: b.copies > 0})
	default:
		list.open = true
	}
	return value
}

// guardedNode is what a guard is around, if n is one.
func guardedNode(n *pg_query.Node) *pg_query.Node {
	if c := n.GetCaseExpr(); c != nil && c.Arg == nil && len(c.Args) == 1 && c.Defresult == nil {
		return c.Args[0].GetCaseWhen().GetResult()
	}
	return n
}

// guardable reports whether a value may stand in a CASE: it is a scalar, the
// CASE can have its name and type, and no other clause has to match it.
func (b *barrier) guardable(s *pg_query.SelectStmt, t *pg_query.ResTarget, lv *queryLevel, items []guardItem) bool {
	if len(items) == 0 || lv.outer != nil || len(s.GroupClause) > 0 || s.HavingClause != nil || len(s.DistinctClause) > 0 {
		return false
	}
	for _, item := range lv.items {
		if !item.hidden && item.nullable && item.rel != nil && !canBeMissing(item.rv, item.rel) {
			return false
		}
	}
	if b.grouping(s, lv) {
		return false
	}
	if t.Name == "" && columnName(t.Val) == "" || len(t.Val.GetTypeCast().GetTypeName().GetTypmods()) > 0 {
		return false
	}
	return b.scalar(t.Val)
}

// grouping reports whether a SELECT has aggregates or window functions.
func (b *barrier) grouping(s *pg_query.SelectStmt, lv *queryLevel) bool {
	if !lv.counted {
		lv.counted = true
		for _, n := range s.TargetList {
			lv.grouping = lv.grouping || b.aggregated(n.GetResTarget().GetVal(), lv)
		}
	}
	return lv.grouping
}

// scalar reports whether an expression is known to be one value, and not a set.
func (b *barrier) scalar(n *pg_query.Node) bool {
	certain := true
	var visit func(n *pg_query.Node) error
	visit = func(n *pg_query.Node) error {
		if n.GetSubLink() != nil {
			return nil
		}
		if f := n.GetFuncCall(); f != nil {
			names, ok := nameParts(f.Funcname)
			certain = certain && ok && !vetted.sets[names[len(names)-1]] && len(b.catalog.Functions(names[len(names)-1])) == 0
		}
		return children(n, visit)
	}
	return visit(n) == nil && certain
}

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// A comparison that joins tables, as a.id = b.id + 1, must stay one: the server
// needs it for hash and merge joins, and for any FULL JOIN. Each side that is not
// inert gets a guard of its own,
//
//	a.id = CASE WHEN b.tenant_id = key THEN (b.id + 1) END
//
// and is NULL for rows of others, on which no comparison is called.

// joinsBySides recognizes such a comparison and notes the guards.
func (b *barrier) joinsBySides(n *pg_query.Node, lv *queryLevel, all []guardItem, root *pg_query.Node) bool {
	e := n.GetAExpr()
	if e == nil || e.Kind != pg_query.A_Expr_Kind_AEXPR_OP || !compares[operatorName(e)] || e.Lexpr == nil || len(lv.items) < 2 || b.probe {
		return false
	}
	if e.Lexpr.GetRowExpr() != nil || e.Rexpr.GetRowExpr() != nil { // compared column by column, as rows behind CASE are not
		return false
	}
	left, lok := b.side(e.Lexpr, lv, all)
	right, rok := b.side(e.Rexpr, lv, all)
	if !lok || !rok {
		return false
	}
	if !b.compared(left.value, right.value) { // of types that are not known
		if !lv.full || !left.unguarded(b, e.Lexpr, lv, all) || !right.unguarded(b, e.Rexpr, lv, all) {
			return false
		}
	}
	for _, s := range []struct {
		node *pg_query.Node
		side joinSide
	}{{e.Lexpr, left}, {e.Rexpr, right}} {
		if len(s.side.items) > 0 {
			b.sides = append(b.sides, guardedSide{root: root, operand: n, side: s.node, items: s.side.items, copied: b.copies > 0})
		}
	}
	return true
}

// A joinSide is one side of a comparison.
type joinSide struct {
	value valueType
	items []guardItem // what its guard has to look at; none without guard
}

// side judges one side: inert, guarded, or made of items that have a fence, or
// no rows of tenants.
func (b *barrier) side(n *pg_query.Node, lv *queryLevel, all []guardItem) (joinSide, bool) {
	if t, ok := b.value(n, lv); ok {
		return joinSide{value: t}, true
	}
	if inner := guardedNode(n); inner != n {
		if items, ok := b.sideItems(inner, lv, all); ok && b.known.isGuard(n, clauseTarget, items) {
			return joinSide{value: valueType{name: b.kind(inner, lv), safe: true}}, true
		}
	}
	items, ok := b.sideItems(n, lv, all)
	return joinSide{value: valueType{name: b.kind(n, lv), safe: true}, items: items}, ok
}

// unguarded gives a side a guard, inert as it may be, and reports whether the
// comparison is then one that a FULL JOIN can have.
func (s *joinSide) unguarded(b *barrier, n *pg_query.Node, lv *queryLevel, all []guardItem) bool {
	if s.value.safe {
		return true
	}
	items, ok := b.sideItems(n, lv, all)
	s.items, s.value.safe = items, true
	return ok
}

// sideItems are those of all tables of tenants that an expression refers to. It is false
// if that is not certain, or if it refers to nothing, or has a sub-select.
func (b *barrier) sideItems(n *pg_query.Node, lv *queryLevel, all []guardItem) ([]guardItem, bool) {
	certain, any := b.scalar(n), false
	used := make(map[*pg_query.RangeVar]bool) // the tables
	var visit func(n *pg_query.Node) error
	visit = func(n *pg_query.Node) error {
		switch {
		case n.GetSubLink() != nil:
			certain = false
			return nil
		case n.GetColumnRef() != nil:
			item := lv.itemOf(n.GetColumnRef())
			certain, any = certain && item != nil, true
			if item != nil && item.rel != nil {
				used[item.rv] = true
			}
			return nil
		}
		return children(n, visit)
	}
	if visit(n) != nil || !certain || !any {
		return nil, false
	}
	if len(used) == 0 {
		return nil, true
	}
	var list []guardItem
	for _, item := range all {
		if !used[item.rv] {
			continue
		}
		if list = append(list, item); item.nullable && !canBeMissing(item.rv, item.rel) {
			return nil, false
		}
	}
	return list, true
}

// itemOf is the item of the level that a reference takes its column from; nil if
// that is not certain.
func (lv *queryLevel) itemOf(ref *pg_query.ColumnRef) *fromItem {
	path, ok := nameParts(ref.Fields)
	if !ok {
		return nil
	}
	if len(path) > 1 {
		for _, item := range lv.items {
			if !item.hidden && item.named(path[:len(path)-1]) {
				return item
			}
		}
		return nil
	}
	var found *fromItem
	for _, item := range lv.items {
		switch {
		case item.hidden || item.unlisted:
		case item.unnamed():
			return nil
		case hasColumn([]*fromItem{item}, path[0]):
			if found != nil {
				return nil
			}
			found = item
		}
	}
	return found
}

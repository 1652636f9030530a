package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// join reads both sides of a join and its condition.
func (b *barrier) join(n *pg_query.Node, j *pg_query.JoinExpr, lv *queryLevel) {
	left := len(lv.items)
	b.fromItem(j.Larg, lv)
	right := len(lv.items)
	b.fromItem(j.Rarg, lv)
	b.using(j, lv.items[left:right], lv.items[right:])
	lv.merged = lv.merged || j.IsNatural || len(j.UsingClause) > 0
	if j.Quals != nil {
		// The condition sees the items of the join alone, those before any NULLs of its own.
		seen := &queryLevel{items: lv.items[left:], outer: lv.outer, ctes: lv.ctes}
		seen.full = j.Jointype == pg_query.JoinType_JOIN_FULL
		b.condition(j.Quals, seen, clauseOn)
		lv.nonInert = lv.nonInert || seen.nonInert
	}
	nulls := func(items []*fromItem) {
		for _, item := range items {
			item.nullable = true
		}
	}
	switch j.Jointype {
	case pg_query.JoinType_JOIN_LEFT:
		nulls(lv.items[right:])
	case pg_query.JoinType_JOIN_RIGHT:
		nulls(lv.items[left:right])
	case pg_query.JoinType_JOIN_FULL:
		nulls(lv.items[left:])
	default:
	}
	if j.JoinUsingAlias != nil { // its columns are those of the two sides
		item := &fromItem{name: j.JoinUsingAlias.Aliasname}
		for _, n := range j.UsingClause {
			name := n.GetString_().GetSval()
			value, _ := (&queryLevel{items: lv.items[left:]}).bare(name)
			item.columns = append(item.columns, output{name, value})
		}
		item.unlisted = true
		lv.items = append(lv.items, item)
	}
	if j.Alias != nil {
		item := &fromItem{name: j.Alias.Aliasname, join: n}
		for _, inner := range lv.items[left:] {
			item.tenanted = item.tenanted || inner.tenanted
			if !inner.hidden && !inner.unlisted {
				item.columns = append(item.columns, inner.columns...)
				item.partial = item.partial || inner.partial
			}
			inner.hidden = true
		}
		if len(j.Alias.Colnames) > 0 { // where USING puts its columns is not kept here
			item.partial = item.partial || lv.merged
			item.rename(j.Alias)
		}
		lv.items = append(lv.items, item)
	}
}

// using looks at the comparisons that USING and NATURAL imply, which nothing
// can guard. They have to be inert.
func (b *barrier) using(j *pg_query.JoinExpr, left, right []*fromItem) {
	var names []string
	switch {
	case j.IsNatural:
		for _, item := range right {
			if item.unnamed() {
				b.refuseUsing(left, right)
				return
			}
			for _, c := range item.columns {
				names = append(names, c.name)
			}
		}
		for _, item := range left {
			if item.unnamed() {
				b.refuseUsing(left, right)
				return
			}
		}
	default:
		for _, n := range j.UsingClause {
			names = append(names, n.GetString_().GetSval())
		}
	}
	l, r := &queryLevel{items: left}, &queryLevel{items: right}
	for _, name := range names {
		if certainlyWithout(left, name) || certainlyWithout(right, name) { // the server's error
			continue
		}
		lt, lok := l.bare(name)
		if !lok && j.IsNatural && !hasColumn(left, name) {
			continue
		}
		rt, rok := r.bare(name)
		if !lok || !rok || !b.compared(lt, rt) && !unmatched(lt, rt) {
			b.refuseUsing(left, right)
			return
		}
	}
}

// sorts are types that the server never compares with those of another sort.
var sorts = map[string]byte{
	"int2": 'N', "int4": 'N', "int8": 'N', "numeric": 'N', "text": 'S', "varchar": 'S', "date": 'D', "timestamp": 'D', "timestamptz": 'D',
	"bool": 'B', "uuid": 'U', "jsonb": 'J', "bytea": 'X',
}

// unmatched reports whether a comparison is an error, whatever the values are.
func unmatched(l, r valueType) bool {
	return sorts[l.name] != 0 && sorts[r.name] != 0 && sorts[l.name] != sorts[r.name]
}

// certainlyWithout reports whether no item can have a column.
func certainlyWithout(items []*fromItem, name string) bool {
	for _, item := range items {
		if item.unnamed() {
			return false
		}
	}
	return !hasColumn(items, name)
}

func hasColumn(items []*fromItem, name string) bool {
	for _, item := range items {
		for _, c := range item.columns {
			if c.name == name {
				return true
			}
		}
	}
	return false
}

// refuseUsing notes a comparison that is not inert where tables of tenants are
// joined.
func (b *barrier) refuseUsing(left, right []*fromItem) {
	b.doubt()
	for _, items := range [][]*fromItem{left, right} {
		for _, item := range items {
			if item.rel != nil {
				b.refuse(ruleBarrierUsing, "NATURAL or USING with columns of these types", "Write the comparison in ON.", item.rv.Location)
			}
		}
	}
}

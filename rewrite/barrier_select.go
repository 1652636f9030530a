package rewrite

import (
	"slices"
	"strconv"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// with reads a WITH clause.
func (b *barrier) with(w *pg_query.WithClause, lv *queryLevel, ctes *commonTables) *commonTables {
	if w == nil {
		return ctes
	}
	b.doubt()
	if w.Recursive {
		for _, n := range w.Ctes {
			ctes = b.recursive(n.GetCommonTableExpr(), lv, ctes)
		}
	}
	for _, n := range w.Ctes {
		cte := n.GetCommonTableExpr()
		if cte == nil {
			continue
		}
		t := &commonTables{name: cte.Ctename, next: ctes}
		before := b.tables
		var list selected
		if s := cte.Ctequery.GetSelectStmt(); s != nil {
			t.cte = cte
			if list = b.selectStmt(s, lv, ctes, exposure{targets: true, from: true}); list.open {
				b.materialize(cte)
			}
		} else {
			list = b.part(cte.Ctequery, lv, ctes)
		}
		t.tenanted = b.tables > before
		if len(cte.Aliascolnames) > 0 {
			item := &fromItem{columns: list.columns, partial: list.partial}
			item.rename(&pg_query.Alias{Colnames: cte.Aliascolnames})
			list.columns = item.columns
		}
		if w.Recursive && refersToItself(cte) { // the first arm has the types
			for i, c := range ctes.find(cte.Ctename).columns {
				if i < len(list.columns) {
					list.columns[i].value.name, list.columns[i].value.enum = c.value.name, c.value.enum
				}
			}
		}
		t.columns, t.partial = list.columns, list.partial || cte.SearchClause != nil || cte.CycleClause != nil
		ctes = t
	}
	return ctes
}

// refersToItself reports whether a common table expression names itself.
func refersToItself(cte *pg_query.CommonTableExpr) bool {
	found := false
	var visit func(m protoreflect.Message)
	visit = func(m protoreflect.Message) {
		if rv, ok := m.Interface().(*pg_query.RangeVar); ok {
			found = found || rv.Schemaname == "" && rv.Relname == cte.Ctename
		}
		eachMessage(m, visit)
	}
	visit(cte.Ctequery.ProtoReflect())
	return found
}

// recursive is a common table expression as its own body sees it: the columns
// are those of the first arm.
func (b *barrier) recursive(cte *pg_query.CommonTableExpr, lv *queryLevel, ctes *commonTables) *commonTables {
	t := &commonTables{name: cte.GetCtename(), partial: true, tenanted: true, next: ctes}
	if cte.GetCtequery().GetSelectStmt() != nil {
		t.cte = cte
	}
	first := cte.GetCtequery().GetSelectStmt().GetLarg()
	if first == nil || len(first.ValuesLists) > 0 || first.Larg != nil {
		return t
	}
	list := b.prober().selectStmt(first, lv, ctes, exposure{})
	item := &fromItem{columns: list.columns, partial: list.partial}
	if len(cte.Aliascolnames) > 0 {
		item.rename(&pg_query.Alias{Colnames: cte.Aliascolnames})
	}
	t.columns, t.partial = item.columns, item.partial
	return t
}

// An exposure is what can happen to a SELECT.
type exposure struct {
	targets bool // conditions around it may see its values
	from    bool // the server may take it apart, its conditions move out
	limited bool // it is within a SELECT with a limit: nothing moves in or out
}

// A selected is what a SELECT shows.
type selected struct {
	columns []output
	partial bool // there may be more columns
	open    bool // it needs a fence
}

// selectStmt reads a SELECT.
func (b *barrier) selectStmt(s *pg_query.SelectStmt, outer *queryLevel, ctes *commonTables, x exposure) selected {
	ctes = b.with(s.WithClause, outer, ctes)
	if s.Larg != nil || s.Rarg != nil {
		return b.setOperation(s, outer, ctes, x)
	}
	lv := &queryLevel{outer: outer, ctes: ctes}
	for _, n := range s.FromClause {
		b.fromItem(n, lv)
	}
	b.condition(s.WhereClause, lv, clauseWhere)
	b.condition(s.HavingClause, lv, clauseHaving)
	b.expressions(lv, s.DistinctClause, s.TargetList, s.GroupClause, s.WindowClause, s.ValuesLists, s.SortClause,
		one(s.LimitOffset, s.LimitCount))
	if b.probe {
		b.plain(s, lv)
	}
	list := selected{open: x.from && lv.nonInert && outer != nil} // else a condition may take columns from around it outside
	if hasLimit(s) {
		x.targets, x.limited, list.open = false, true, false
	}
	b.valuesList(s, lv, x, &list)
	for _, n := range s.TargetList {
		b.target(s, n.GetResTarget(), lv, x, &list)
	}
	if lv.nonInert || lv.guarded {
		for _, item := range lv.items {
			b.fenceItem(item)
		}
	}
	return list
}

// hasLimit reports whether a SELECT is a fence of its own.
func hasLimit(s *pg_query.SelectStmt) bool {
	return s.LimitOffset != nil || s.LimitCount != nil && !s.LimitCount.GetAConst().GetIsnull()
}

// setOperation reads UNION and its kin. The types of a column have to agree.
func (b *barrier) setOperation(s *pg_query.SelectStmt, outer *queryLevel, ctes *commonTables, x exposure) selected {
	b.doubt()
	if hasLimit(s) {
		x = exposure{limited: true}
	}
	left := b.selectStmt(s.Larg, outer, ctes, x)
	right := b.selectStmt(s.Rarg, outer, ctes, x)
	b.expressions(&queryLevel{outer: outer, ctes: ctes}, s.SortClause, one(s.LimitOffset, s.LimitCount))
	for i := range left.columns {
		if left.partial || right.partial || i >= len(right.columns) {
			left.columns[i].value = valueType{}
			continue
		}
		l, r := &left.columns[i].value, right.columns[i].value
		if i, j := slices.Index(numbers, l.name), slices.Index(numbers, r.name); i >= 0 && j >= 0 {
			l.name = numbers[max(i, j)]
		} else if l.name != r.name || l.enum != r.enum {
			l.name, l.enum = "", 0
		}
		l.collated, l.safe = l.collated || r.collated, l.safe && r.safe
	}
	left.open = left.open || right.open
	return left
}

// valuesList reads VALUES.
func (b *barrier) valuesList(s *pg_query.SelectStmt, lv *queryLevel, x exposure, list *selected) {
	var columns [][]*pg_query.Node
	for _, n := range s.ValuesLists {
		list.partial = list.partial || starBefore(n.GetList().GetItems(), len(n.GetList().GetItems()))
		for i, item := range n.GetList().GetItems() {
			if _, inert := b.value(item, lv); !inert && x.targets {
				b.nonInert, list.open = true, true
			}
			if i >= len(columns) {
				columns = append(columns, nil)
			}
			columns[i] = append(columns[i], item)
		}
	}
	for i, items := range columns {
		if list.partial { // a star has moved them
			items = nil
		}
		value := valueType{name: b.commonKind(items, lv), safe: list.open || x.limited}
		list.columns = append(list.columns, output{name: "column" + strconv.Itoa(i+1), value: value})
	}
}

// starTarget reads * and item.*.
func (b *barrier) starTarget(ref *pg_query.ColumnRef, lv *queryLevel, list *selected) {
	qualifier, _ := nameParts(ref.Fields[:len(ref.Fields)-1])
	found := len(qualifier) == 0
	for _, item := range lv.items {
		if item.hidden || len(qualifier) == 0 && item.unlisted || len(qualifier) > 0 && !item.named(qualifier) {
			continue
		}
		found = true
		list.columns = append(list.columns, item.columns...)
		list.partial = list.partial || item.partial
	}
	// USING shows its columns once, and first: the order is not kept here.
	list.partial = list.partial || lv.merged || !found
}

// fence notes a sub-select, once.
func (b *barrier) fence(s *pg_query.SelectStmt) {
	if !b.fenced[s] && !hasLimit(s) {
		b.fenced[s] = true
		b.fences = append(b.fences, fenced{stmt: s, copied: b.copies > 0})
	}
}

// materialize notes a common table expression, once.
func (b *barrier) materialize(cte *pg_query.CommonTableExpr) {
	if b.fenced[cte] || cte.Ctematerialized == pg_query.CTEMaterialize_CTEMaterializeAlways {
		return
	}
	if b.copies > 0 { // the text cannot be followed
		b.refuse(ruleBarrierFunction, "WITH in this place", "Write a sub-select.", cte.Location)
	}
	b.fenced[cte] = true
	b.commons = append(b.commons, cte)
}

// fenceItem keeps conditions of a level out of what an item is made of.
func (b *barrier) fenceItem(item *fromItem) {
	switch {
	case !item.tenanted:
	case item.join != nil:
		if !b.fenced[item.join] {
			b.fenced[item.join] = true
			b.joins = append(b.joins, item.join)
		}
	case item.sub != nil:
		b.fence(item.sub)
	case item.cte != nil:
		b.materialize(item.cte)
	}
}

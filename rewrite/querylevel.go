package rewrite

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A queryLevel is one SELECT, UPDATE or DELETE with the FROM items that its
// conditions see.
type queryLevel struct {
	items []*fromItem
	outer *queryLevel
	ctes  *commonTables

	merged   bool // USING or NATURAL shows columns of two items as one
	nonInert bool // it has a condition that is not inert
	guarded  bool // it has a value with a guard
	full     bool // of a FULL JOIN whose condition is looked at
	grouping bool // it has aggregates or window functions; counted tells whether that is known
	counted  bool
	tables   []guardItem // of tenants, for values; made when first asked for
}

// unnamed reports whether an item has columns of which the name is not known.
func (item *fromItem) unnamed() bool { return item.partial || hasColumn([]*fromItem{item}, "") }

// A fromItem is what one name of a FROM clause stands for.
type fromItem struct {
	name     string
	schema   string // of a table without alias
	columns  []output
	partial  bool // it may have more columns
	rv       *pg_query.RangeVar
	rel      *catalog.Relation // of tenants; nil for all others
	nullable bool              // an outer join may put NULLs in its place
	hidden   bool              // behind the alias of a join
	unlisted bool              // its columns are those of other items too
	tenanted bool              // rows of tenants are behind it

	join *pg_query.Node            // a join with an alias
	sub  *pg_query.SelectStmt      // a sub-select
	cte  *pg_query.CommonTableExpr // a name of one that is a SELECT
}

// An output is a column of a FROM item.
type output struct {
	name  string
	value valueType
}

// commonTables are the common table expressions in scope, the nearest first.
type commonTables struct {
	name     string
	columns  []output
	partial  bool
	tenanted bool
	cte      *pg_query.CommonTableExpr // if it is a SELECT
	next     *commonTables
}

func (t *commonTables) find(name string) *commonTables {
	for ; t != nil; t = t.next {
		if t.name == name {
			return t
		}
	}
	return nil
}

// column finds what a reference stands for. It is false if that might be
// something else than a column: t.f may be a call of f.
func (lv *queryLevel) column(ref *pg_query.ColumnRef) (valueType, bool) {
	path, ok := nameParts(ref.Fields)
	if !ok {
		return valueType{}, false
	}
	if len(path) == 1 {
		return lv.bare(path[0])
	}
	for l := lv; l != nil; l = l.outer {
		for _, item := range l.items {
			if item.hidden || !item.named(path[:len(path)-1]) {
				continue
			}
			for _, c := range item.columns {
				if c.name == path[len(path)-1] {
					return c.value, true
				}
			}
			return item.system(path[len(path)-1])
		}
	}
	return valueType{}, false
}

// system finds a system column of a table.
func (item *fromItem) system(name string) (valueType, bool) {
	return valueType{name: "tid"}, item.rel != nil && name == "ctid"
}

// named reports whether a qualifier means the item.
func (item *fromItem) named(qualifier []string) bool {
	switch len(qualifier) {
	case 1:
		return item.name == qualifier[0]
	case 2:
		return item.schema != "" && item.schema == qualifier[0] && item.name == qualifier[1]
	default:
		return false
	}
}

// bare finds a column by its name alone.
func (lv *queryLevel) bare(name string) (valueType, bool) {
	for l := lv; l != nil; l = l.outer {
		var found *output
		certain := true
		for _, item := range l.items {
			if item.hidden || item.unlisted {
				continue
			}
			for i := range item.columns {
				if item.columns[i].name == "" {
					certain = false
				}
				if item.columns[i].name != name {
					continue
				}
				if found != nil && found.value != item.columns[i].value {
					certain = false // a column of USING
				}
				found = &item.columns[i]
			}
			certain = certain && !item.partial
		}
		if !certain {
			return valueType{}, false
		}
		if found != nil {
			return found.value, true
		}
		if len(l.items) == 1 {
			if t, ok := l.items[0].system(name); ok {
				return t, true
			}
		}
	}
	return valueType{}, false
}

// tableItem is the item of a relation.
func (b *barrier) tableItem(rv *pg_query.RangeVar, lv *queryLevel) *fromItem {
	item := &fromItem{name: referenceName(rv), rv: rv, partial: true}
	if rv.Schemaname == "" {
		if t := lv.ctes.find(rv.Relname); t != nil {
			item.columns, item.partial = slices.Clone(t.columns), t.partial
			item.tenanted, item.cte = t.tenanted, t.cte
			item.rename(rv.Alias)
			return item
		}
	}
	rel, ok := b.catalog.Lookup(rv.Schemaname, rv.Relname)
	if !ok {
		return item // refused elsewhere
	}
	item.partial = rel.Class == catalog.System
	if rv.Alias == nil {
		item.schema = rel.Schema
	}
	for i := range rel.Columns {
		item.columns = append(item.columns, output{name: rel.Columns[i].Name, value: b.typeOf(&rel.Columns[i])})
	}
	if rel.Class == catalog.Tenanted {
		item.rel, item.tenanted = rel, true
		b.tables++
	}
	item.rename(rv.Alias)
	return item
}

// rename gives an item's columns the names of its alias.
func (item *fromItem) rename(a *pg_query.Alias) {
	if len(a.GetColnames()) == 0 {
		return
	}
	columns := make([]output, max(len(item.columns), len(a.Colnames)))
	copy(columns, item.columns)
	for i, n := range a.Colnames {
		columns[i].name = n.GetString_().GetSval()
		if item.partial {
			columns[i].value = valueType{}
		}
	}
	item.columns = columns
}

// fromItem reads an item of a FROM clause into a level, with the conditions
// and sub-selects in it. It returns the items that it made.
func (b *barrier) fromItem(n *pg_query.Node, lv *queryLevel) []*fromItem {
	first := len(lv.items)
	switch v := n.GetNode().(type) {
	case *pg_query.Node_RangeVar:
		lv.items = append(lv.items, b.tableItem(v.RangeVar, lv))
	case *pg_query.Node_RangeTableSample:
		b.expressions(lv, v.RangeTableSample.Args, one(v.RangeTableSample.Repeatable))
		if rv := v.RangeTableSample.Relation.GetRangeVar(); rv != nil {
			lv.items = append(lv.items, b.tableItem(rv, lv))
		}
		b.doubt()
	case *pg_query.Node_RangeSubselect:
		lv.items = append(lv.items, b.subselectItem(v.RangeSubselect, lv))
	case *pg_query.Node_JoinExpr:
		b.join(n, v.JoinExpr, lv)
	default: // functions and the like, which run after what they refer to
		b.doubt()
		b.expressions(lv, one(n))
		b.inlined(n, lv)
		lv.items = append(lv.items, b.functionItem(n, lv))
	}
	return lv.items[first:]
}

// inlined refuses functions of users that are given columns: the server may put
// a body in SQL in their place.
func (b *barrier) inlined(n *pg_query.Node, lv *queryLevel) {
	_ = each(func(list *pg_query.Node) error {
		f := list.GetList().GetItems()[0].GetFuncCall()
		names, _ := nameParts(f.GetFuncname())
		if len(names) > 0 && len(b.catalog.Functions(names[len(names)-1])) > 0 && len(f.Args) > 0 && (len(lv.items) > 0 || lv.outer != nil) {
			b.refuse(ruleBarrierFunction, "a function of this database in FROM, beside tables", "Call it in the target list.", f.Location)
		}
		return nil
	}, n.GetRangeFunction().GetFunctions())
}

// functionItem is the item of a function. Its columns are not known, unless the
// alias names them, or the function is one that is.
func (b *barrier) functionItem(n *pg_query.Node, lv *queryLevel) *fromItem {
	r := n.GetRangeFunction()
	a := r.GetAlias()
	if a == nil {
		a = n.GetRangeTableFunc().GetAlias()
	}
	item := &fromItem{name: a.GetAliasname(), partial: true}
	if len(r.GetColdeflist()) > 0 && !r.Ordinality {
		item.partial = false
		for _, n := range r.Coldeflist {
			item.columns = append(item.columns, output{n.GetColumnDef().GetColname(), valueType{name: b.builtinName(n.GetColumnDef().GetTypeName())}})
		}
	}
	item.rename(a)
	if kind := b.seriesKind(r, lv); kind != "" && a != nil && !r.Ordinality && len(a.Colnames) < 2 {
		name := a.Aliasname
		if len(a.Colnames) > 0 {
			name = item.columns[0].name
		}
		item.columns, item.partial = []output{{name, valueType{name: kind}}}, false
	}
	return item
}

// seriesKind is the type of the one column of a function in FROM; "" is not
// known.
func (b *barrier) seriesKind(r *pg_query.RangeFunction, lv *queryLevel) string {
	if r == nil || len(r.Functions) != 1 || len(r.Functions[0].GetList().GetItems()) == 0 {
		return ""
	}
	f := r.Functions[0].GetList().GetItems()[0].GetFuncCall()
	names, _ := nameParts(f.GetFuncname())
	if len(names) == 0 || len(names) > 1 && names[0] != schemaCatalog || len(b.catalog.Functions(names[len(names)-1])) > 0 {
		return ""
	}
	switch names[len(names)-1] {
	case "generate_series":
		return b.commonKind(f.Args, lv)
	case "unnest":
		if len(f.Args) == 1 {
			if element, isArray := strings.CutPrefix(b.kind(f.Args[0], lv), "_"); isArray {
				return element
			}
		}
	case "jsonb_array_elements_text", "json_array_elements_text", "jsonb_object_keys", "json_object_keys",
		"string_to_table", "regexp_split_to_table":
		return "text"
	case "jsonb_array_elements":
		return "jsonb"
	}
	return ""
}

func (b *barrier) subselectItem(r *pg_query.RangeSubselect, lv *queryLevel) *fromItem {
	outer := lv.outer
	if r.Lateral {
		outer = lv
	}
	item := &fromItem{name: r.Alias.GetAliasname(), partial: true}
	if s := r.Subquery.GetSelectStmt(); s != nil {
		before := b.tables
		list := b.subselect(s, outer, lv.ctes)
		item.columns, item.partial = list.columns, list.partial
		item.sub, item.tenanted = s, b.tables > before
	}
	item.rename(r.Alias)
	return item
}

// subselect reads a sub-select in a FROM clause.
func (b *barrier) subselect(s *pg_query.SelectStmt, outer *queryLevel, ctes *commonTables) selected {
	list := b.selectStmt(s, outer, ctes, exposure{targets: true, from: true})
	if list.open {
		b.fence(s)
	}
	return list
}

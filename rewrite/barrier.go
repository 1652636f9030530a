package rewrite

import (
	"strconv"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tenantgate/rewrite/catalog"
)

// Ids of the rules by which the barrier refuses.
const (
	ruleBarrierUsing    = "barrier.using"
	ruleBarrierAlias    = "barrier.join_alias"
	ruleBarrierFullJoin = "barrier.full_join"
	ruleBarrierNull     = "barrier.nullable_tenant"
	ruleBarrierFunction = "barrier.function"
)

// A barrier keeps the conditions of a statement from running on rows of other
// tenants. It goes over the statement before the predicates are added and
// notes
//
//   - each condition that is not inert, which gets a guard: it runs only where
//     the tables that it can see show the tenant's rows, and
//   - if there is any, or a sub-select shows values that are not inert, the
//     sub-selects in FROM, which get a fence: their conditions and values stay
//     inside, and those of others outside.
//
// Target lists and what comes behind them run on rows that the predicates let
// through.
type barrier struct {
	catalog  *catalog.Snapshot
	declared []uint32
	params   map[int32]int // how often the statement uses a parameter
	sublinks map[*pg_query.SubLink]judged

	guards   []guardedClause
	fences   []fenced
	commons  []*pg_query.CommonTableExpr
	refusals []barrierRefusal
	copies   int

	// known, of an audit, tells tenant predicates and guards from conditions
	// of the client's.
	known func(n *pg_query.Node, clause conditionClause, items []guardItem) (predicate, guard bool)

	tenanted bool // the statement reads or writes tables of tenants
	nonInert bool // something has to be kept in or out
	probe    bool // only whether all is inert is asked
	grouped  bool // of a probe: its SELECT makes one group of all rows
	doubtful bool // of a probe: it is not
}

// A judged is what became of an expression.
type judged struct {
	value valueType
	inert bool
}

// A conditionClause is where a condition stands.
type conditionClause uint8

const (
	clauseWhere conditionClause = iota
	clauseOn
	clauseHaving
)

// A guardedClause is the condition of one clause, with what has to be guarded.
type guardedClause struct {
	root     *pg_query.Node
	operands []*pg_query.Node // those that are not inert
	clause   conditionClause
	items    []guardItem
	copied   bool
}

// A guardItem is a table whose rows a guard looks at.
type guardItem struct {
	rv       *pg_query.RangeVar
	rel      *catalog.Relation
	nullable bool
	doubled  bool // another table of the level has the name, in another schema
}

// A fenced is a sub-select of a FROM clause.
type fenced struct {
	stmt   *pg_query.SelectStmt
	copied bool
}

// A barrierRefusal is what cannot be kept apart, should that be necessary.
type barrierRefusal struct {
	rule, node, hint string
	location         int32
	always           bool // even if all else is inert
}

func newBarrier(cat *catalog.Snapshot, declared []uint32, stmt *pg_query.Node) *barrier {
	b := &barrier{
		catalog: cat, declared: declared,
		params: make(map[int32]int), sublinks: make(map[*pg_query.SubLink]judged),
	}
	countParams(stmt.ProtoReflect(), b.params)
	return b
}

func (b *barrier) uses(param int32) int { return b.params[param] }

// doubt notes, for a probe, what is not inert but needs no guard.
func (b *barrier) doubt() { b.doubtful = true }

func (b *barrier) refuse(rule, node, hint string, location int32) {
	b.refusals = append(b.refusals, barrierRefusal{rule: rule, node: node, hint: hint, location: location, always: rule == ruleBarrierUsing || rule == ruleBarrierFunction})
	b.nonInert = true
}

// statement goes over a whole statement.
func (b *barrier) statement(n *pg_query.Node) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_CopyStmt:
		b.statement(v.CopyStmt.Query)
	case *pg_query.Node_DeclareCursorStmt:
		b.statement(v.DeclareCursorStmt.Query)
	default:
		b.part(n, nil, nil)
	}
}

// part goes over a statement, or an expression, that no condition runs around.
func (b *barrier) part(n *pg_query.Node, lv *queryLevel, ctes *commonTables) ([]output, bool) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		return b.selectStmt(v.SelectStmt, lv, ctes, false)
	case *pg_query.Node_InsertStmt:
		return b.insertStmt(v.InsertStmt, lv, ctes)
	case *pg_query.Node_UpdateStmt:
		s := v.UpdateStmt
		return b.modify(s.WithClause, s.Relation, s.FromClause, s.WhereClause, lv, ctes, s.TargetList, s.ReturningList)
	case *pg_query.Node_DeleteStmt:
		s := v.DeleteStmt
		return b.modify(s.WithClause, s.Relation, s.UsingClause, s.WhereClause, lv, ctes, nil, s.ReturningList)
	}
	return nil, true
}

// expressions goes over sub-selects in expressions. Of a probe they are judged
// as parts of the expressions.
func (b *barrier) expressions(lv *queryLevel, lists ...[]*pg_query.Node) {
	if b.probe {
		return
	}
	var visit func(n *pg_query.Node) error
	visit = func(n *pg_query.Node) error {
		switch v := n.GetNode().(type) {
		case *pg_query.Node_SelectStmt:
			b.selectStmt(v.SelectStmt, lv, lv.ctes, false)
			return nil
		case *pg_query.Node_MultiAssignRef:
			if v.MultiAssignRef.Colno > 1 { // the text has the source once
				b.copies++
				defer func() { b.copies-- }()
			}
		case *pg_query.Node_AConst, *pg_query.Node_ParamRef, *pg_query.Node_ColumnRef:
			return nil
		}
		return children(n, visit)
	}
	_ = each(visit, lists...) // unknown nodes are refused where predicates are added
}

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
		var columns []output
		partial := true
		if s := cte.Ctequery.GetSelectStmt(); s != nil {
			columns, partial = b.selectStmt(s, lv, ctes, true)
			if b.copies > 0 { // the text cannot be followed
				b.refuse(ruleBarrierFunction, "WITH in this place", "Write a sub-select.", cte.Location)
			}
			b.commons = append(b.commons, cte)
		} else {
			columns, partial = b.part(cte.Ctequery, lv, ctes)
		}
		if len(cte.Aliascolnames) > 0 {
			item := &fromItem{columns: columns, partial: partial}
			item.rename(&pg_query.Alias{Colnames: cte.Aliascolnames})
			columns = item.columns
		}
		ctes = &commonTables{name: cte.Ctename, columns: columns, partial: partial || cte.SearchClause != nil || cte.CycleClause != nil, next: ctes}
	}
	return ctes
}

// recursive is a common table expression as its own body sees it: the columns
// are those of the first arm.
func (b *barrier) recursive(cte *pg_query.CommonTableExpr, lv *queryLevel, ctes *commonTables) *commonTables {
	t := &commonTables{name: cte.GetCtename(), partial: true, next: ctes}
	first := cte.GetCtequery().GetSelectStmt().GetLarg()
	if first == nil || len(first.ValuesLists) > 0 || first.Larg != nil {
		return t
	}
	probe := &barrier{catalog: b.catalog, declared: b.declared, params: b.params, sublinks: make(map[*pg_query.SubLink]judged), probe: true, known: b.known}
	item := &fromItem{}
	item.columns, item.partial = probe.selectStmt(first, lv, ctes, false)
	if len(cte.Aliascolnames) > 0 {
		item.rename(&pg_query.Alias{Colnames: cte.Aliascolnames})
	}
	t.columns, t.partial = item.columns, item.partial
	return t
}

// selectStmt reads a SELECT and returns its columns, and whether they may not
// be all. exposed tells that conditions around it may see their values.
func (b *barrier) selectStmt(s *pg_query.SelectStmt, outer *queryLevel, ctes *commonTables, exposed bool) (columns []output, partial bool) {
	ctes = b.with(s.WithClause, outer, ctes)
	lv := &queryLevel{outer: outer, ctes: ctes}
	if s.Larg != nil || s.Rarg != nil {
		b.doubt()
		left, lp := b.selectStmt(s.Larg, outer, ctes, exposed)
		right, rp := b.selectStmt(s.Rarg, outer, ctes, exposed)
		b.expressions(lv, s.SortClause, one(s.LimitOffset, s.LimitCount))
		for i := range left {
			if i >= len(right) || lp || rp || left[i].value != right[i].value {
				left[i].value = valueType{}
			}
		}
		return left, lp
	}
	for _, n := range s.FromClause {
		b.fromItem(n, lv)
	}
	b.condition(s.WhereClause, lv, clauseWhere, false)
	b.condition(s.HavingClause, lv, clauseHaving, false)
	b.expressions(lv, s.DistinctClause, s.TargetList, s.GroupClause, s.WindowClause, s.ValuesLists, s.SortClause,
		one(s.LimitOffset, s.LimitCount))
	if b.probe {
		b.plain(s, lv)
	}
	for _, n := range s.ValuesLists {
		for i, item := range n.GetList().GetItems() {
			_, inert := b.value(item, lv)
			b.nonInert = b.nonInert || exposed && !inert
			if i >= len(columns) {
				columns = append(columns, output{name: "column" + strconv.Itoa(i+1)})
			}
		}
	}
	for _, n := range s.TargetList {
		list, more, inert := b.target(n.GetResTarget(), lv)
		columns = append(columns, list...)
		partial = partial || more
		b.nonInert = b.nonInert || exposed && !inert
	}
	return columns, partial
}

// plain doubts, for a probe, clauses of a SELECT that do more than choose rows.
func (b *barrier) plain(s *pg_query.SelectStmt, lv *queryLevel) {
	whole := func(n *pg_query.Node) bool {
		return n == nil || n.GetAConst().GetIval() != nil && n.GetAConst().GetIval().Ival >= 0
	}
	if !whole(s.LimitCount) || !whole(s.LimitOffset) || len(s.LockingClause) > 0 || len(s.WindowClause) > 0 || s.HavingClause != nil || s.IntoClause != nil {
		b.doubt()
	}
	for _, list := range [][]*pg_query.Node{s.DistinctClause, s.GroupClause, s.SortClause} {
		for _, n := range list {
			if n.GetNode() == nil {
				continue
			}
			if sort := n.GetSortBy(); sort != nil && len(sort.UseOp) == 0 {
				n = sort.Node
			}
			if t, ok := b.value(n, lv); !ok || !vetted.compare[t.name] && !t.literal {
				b.doubt()
			}
		}
	}
	for _, n := range s.TargetList {
		val := n.GetResTarget().GetVal()
		if ref := val.GetColumnRef(); ref != nil && refIsStar(ref) {
			continue
		}
		if _, ok := b.value(val, lv); ok {
			continue
		}
		if _, ok := b.aggregate(val, lv); !ok {
			b.doubt()
		}
		// An aggregate of an outer level's column alone would make no group here.
		b.grouped = b.aggregated(val, lv)
	}
}

func refIsStar(ref *pg_query.ColumnRef) bool { return ref.Fields[len(ref.Fields)-1].GetAStar() != nil }

// target reads one item of a target list: the columns that it makes, whether
// there may be more, and whether conditions may see their values.
func (b *barrier) target(t *pg_query.ResTarget, lv *queryLevel) (columns []output, partial, inert bool) {
	ref := t.GetVal().GetColumnRef()
	if ref != nil && refIsStar(ref) {
		qualifier, _ := nameParts(ref.Fields[:len(ref.Fields)-1])
		for _, item := range lv.items {
			if item.hidden || len(qualifier) == 0 && item.unlisted || len(qualifier) > 0 && !item.named(qualifier) {
				continue
			}
			columns = append(columns, item.columns...)
			partial = partial || item.partial
		}
		// USING shows its columns once, and first: the order is not kept here.
		return columns, partial || lv.merged, true
	}
	value, inert := b.value(t.GetVal(), lv)
	if !inert {
		value = valueType{}
	}
	if value.literal { // it becomes text, or the number that it is
		value = valueType{}
		switch t.GetVal().GetAConst().GetVal().(type) {
		case *pg_query.A_Const_Ival:
			value.name = "int4"
		case *pg_query.A_Const_Sval:
			value.name = "text"
		}
	}
	if !inert {
		value, _ = b.aggregate(t.GetVal(), lv)
	}
	name := t.GetName()
	if name == "" && ref != nil {
		name = ref.Fields[len(ref.Fields)-1].GetString_().GetSval()
	}
	inert = inert || b.aggregated(t.GetVal(), lv)
	if name == "" {
		return []output{{value: value}}, false, inert // its name is the server's to find
	}
	return []output{{name: name, value: value}}, false, inert
}

// insertStmt reads INSERT. Its rows come from no FROM clause that conditions
// look into.
func (b *barrier) insertStmt(s *pg_query.InsertStmt, outer *queryLevel, ctes *commonTables) ([]output, bool) {
	ctes = b.with(s.WithClause, outer, ctes)
	b.part(s.SelectStmt, outer, ctes)
	lv := &queryLevel{outer: outer, ctes: ctes}
	if s.Relation != nil {
		lv.items = append(lv.items, b.tableItem(s.Relation, &queryLevel{}))
	}
	if conflict := s.OnConflictClause; conflict != nil {
		excluded := &fromItem{name: "excluded", columns: lv.items[0].columns}
		set := &queryLevel{items: []*fromItem{lv.items[0], excluded}, outer: outer, ctes: ctes}
		b.condition(conflict.WhereClause, set, clauseWhere, false)
		b.expressions(set, conflict.TargetList)
	}
	b.expressions(lv, s.ReturningList)
	return nil, true
}

// modify reads UPDATE and DELETE.
func (b *barrier) modify(w *pg_query.WithClause, rv *pg_query.RangeVar, from []*pg_query.Node, where *pg_query.Node,
	outer *queryLevel, ctes *commonTables, lists ...[]*pg_query.Node,
) ([]output, bool) {
	ctes = b.with(w, outer, ctes)
	lv := &queryLevel{outer: outer, ctes: ctes}
	if rv != nil {
		lv.items = append(lv.items, b.tableItem(rv, &queryLevel{}))
	}
	for _, n := range from {
		b.fromItem(n, lv)
	}
	b.condition(where, lv, clauseWhere, false)
	b.expressions(lv, lists...)
	return nil, true
}

// condition judges the condition of a clause, operand by operand.
func (b *barrier) condition(n *pg_query.Node, lv *queryLevel, clause conditionClause, full bool) {
	if n == nil {
		return
	}
	b.expressions(lv, one(n))
	operands := one(n)
	if and := n.GetBoolExpr(); and != nil && and.Boolop == pg_query.BoolExprType_AND_EXPR {
		operands = and.Args
	}
	if b.known != nil {
		operands = flattened(n)
	}
	g := guardedClause{root: n, clause: clause, copied: b.copies > 0}
	for _, operand := range operands {
		if b.boolean(operand, lv) {
			continue
		}
		if b.known != nil {
			predicate, guard := b.known(operand, clause, guardItems(lv.items))
			b.nonInert = b.nonInert || guard
			if predicate || guard {
				continue
			}
		}
		b.doubt()
		if clause == clauseHaving && b.aggregated(operand, lv) {
			continue // runs on groups of the tenant's rows
		}
		g.operands = append(g.operands, operand)
	}
	if len(g.operands) == 0 {
		return
	}
	b.nonInert = true
	items, ok := tenantItems(lv.items)
	if !ok {
		b.refuse(ruleBarrierAlias, "this condition over a join that has an alias", "Leave the alias of the join out.", -1)
		return
	}
	if len(items) == 0 {
		return
	}
	if full && len(g.operands) == len(operands) { // the server needs one comparison that it can join by
		b.refuse(ruleBarrierFullJoin, "this condition of a FULL JOIN", "Compare columns alone, or join sub-selects.", -1)
		return
	}
	for _, item := range items {
		if item.nullable && !tenantNotNull(item.rel) {
			b.refuse(ruleBarrierNull, "this condition over an outer join of a table whose tenant column may be NULL",
				"The operator can make the column NOT NULL.", item.rv.Location)
			return
		}
	}
	g.items = guardItems(lv.items)
	b.guards = append(b.guards, g)
}

// flattened are the operands of the ANDs at the top of a condition.
func flattened(n *pg_query.Node) []*pg_query.Node {
	and := n.GetBoolExpr()
	if and == nil || and.Boolop != pg_query.BoolExprType_AND_EXPR {
		return one(n)
	}
	var list []*pg_query.Node
	for _, operand := range and.Args {
		list = append(list, flattened(operand)...)
	}
	return list
}

// guardItems are the tables of tenants among some items.
func guardItems(items []*fromItem) []guardItem {
	names := make(map[string]int)
	for _, item := range items {
		names[item.name]++
	}
	var list []guardItem
	for _, item := range items {
		if item.rel != nil && !item.hidden {
			list = append(list, guardItem{item.rv, item.rel, item.nullable, names[item.name] > 1})
		}
	}
	return list
}

// aggregates are functions over groups. What has one in it runs after grouping.
var aggregates = func() map[string]bool {
	m := make(map[string]bool)
	for _, s := range parseSections(functionList) {
		if s.header[0] == "allow" && (s.header[1] == "aggregates" || s.header[1] == "windows") {
			for _, name := range s.names {
				m[name] = true
			}
		}
	}
	return m
}()

// aggregated reports whether an expression has an aggregate or a window
// function of its own level in it: one over all rows, or over a column of the
// level.
func (b *barrier) aggregated(n *pg_query.Node, lv *queryLevel) bool {
	found := false
	own := &queryLevel{items: lv.items}
	var visit func(n *pg_query.Node) error
	visit = func(n *pg_query.Node) error {
		if n.GetSubLink() != nil {
			return nil
		}
		if f := n.GetFuncCall(); f != nil {
			names, _ := nameParts(f.Funcname)
			if len(names) > 0 && aggregates[names[len(names)-1]] && len(b.catalog.Functions(names[len(names)-1])) == 0 {
				found = found || f.AggStar || f.Over != nil || hasOwnColumn(f, own)
			}
		}
		return children(n, visit)
	}
	return visit(n) == nil && found
}

// hasOwnColumn reports whether an argument of a call is made of a column of the
// level.
func hasOwnColumn(f *pg_query.FuncCall, own *queryLevel) bool {
	found := false
	var visit func(n *pg_query.Node) error
	visit = func(n *pg_query.Node) error {
		if n.GetSubLink() != nil {
			return nil
		}
		if ref := n.GetColumnRef(); ref != nil {
			_, ok := own.column(ref)
			found = found || ok
			return nil
		}
		return children(n, visit)
	}
	return each(visit, f.Args) == nil && found
}

// aggregate judges the aggregates that cannot fail, whatever the rows hold.
func (b *barrier) aggregate(n *pg_query.Node, lv *queryLevel) (valueType, bool) {
	f := n.GetFuncCall()
	names, _ := nameParts(f.GetFuncname())
	if len(names) != 1 || f.Over != nil || f.AggFilter != nil || len(f.AggOrder) > 0 || f.AggWithinGroup ||
		len(b.catalog.Functions(names[0])) > 0 {
		return valueType{}, false
	}
	if f.AggStar {
		return valueType{name: "int8"}, names[0] == "count"
	}
	if len(f.Args) != 1 {
		return valueType{}, false
	}
	t, ok := b.value(f.Args[0], lv)
	ok = ok && vetted.compare[t.name]
	whole := t.name == "int2" || t.name == "int4"
	switch names[0] {
	case "count":
		return valueType{name: "int8"}, ok
	case "min", "max":
		if t.name == "varchar" {
			t.name = "text"
		}
		return t, ok && !f.AggDistinct
	case "sum":
		if whole {
			return valueType{name: "int8"}, ok
		}
		return valueType{name: "numeric"}, ok && t.name == "int8"
	case "avg":
		return valueType{name: "numeric"}, ok && (whole || t.name == "int8")
	}
	return valueType{}, false
}

// subLink judges a sub-select in an expression.
func (b *barrier) subLink(s *pg_query.SubLink, lv *queryLevel) (valueType, bool) {
	j, known := b.sublinks[s]
	if !known {
		j.value, j.inert = b.judgeSubLink(s, lv)
		b.sublinks[s] = j
	}
	return j.value, j.inert
}

// judgeSubLink takes EXISTS, IN, and the value of one aggregate without
// groups, where all that is in them is inert.
func (b *barrier) judgeSubLink(s *pg_query.SubLink, lv *queryLevel) (valueType, bool) {
	q := s.Subselect.GetSelectStmt()
	if q == nil || q.Larg != nil || len(q.ValuesLists) > 0 {
		return valueType{}, false
	}
	probe := &barrier{catalog: b.catalog, declared: b.declared, params: b.params, sublinks: b.sublinks, probe: true, known: b.known}
	columns, partial := probe.selectStmt(q, lv, lv.ctes, false)
	if probe.nonInert || probe.doubtful {
		return valueType{}, false
	}
	switch s.SubLinkType {
	case pg_query.SubLinkType_EXISTS_SUBLINK:
		return boolType, true
	case pg_query.SubLinkType_ANY_SUBLINK, pg_query.SubLinkType_ALL_SUBLINK:
		op := "="
		if names, ok := nameParts(s.OperName); ok {
			op = names[len(names)-1]
		}
		t, ok := b.value(s.Testexpr, lv)
		return boolType, ok && compares[op] && !partial && len(columns) == 1 && b.compared(t, columns[0].value)
	case pg_query.SubLinkType_ARRAY_SUBLINK:
		ok := len(columns) == 1 && columns[0].value.name != "" && columns[0].value.name[0] != '_' && columns[0].value.name != "enum"
		if !ok {
			return valueType{}, false
		}
		return valueType{name: "_" + columns[0].value.name, collated: columns[0].value.collated}, true
	case pg_query.SubLinkType_EXPR_SUBLINK:
		// More than one row would be an error.
		single := q.LimitCount.GetAConst().GetIval() != nil && q.LimitCount.GetAConst().GetIval().Ival <= 1
		if len(columns) != 1 || len(q.TargetList) != 1 || columns[0].value.name == "" {
			return valueType{}, false
		}
		if !single && len(q.GroupClause) == 0 {
			single = probe.grouped
		}
		return columns[0].value, single
	}
	return valueType{}, false
}

// countParams counts the places of each parameter.
func countParams(m protoreflect.Message, params map[int32]int) {
	if p, ok := m.Interface().(*pg_query.ParamRef); ok {
		params[p.Number]++
		return
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if field.Kind() != protoreflect.MessageKind {
			return true
		}
		if !field.IsList() {
			countParams(v.Message(), params)
			return true
		}
		for i := range v.List().Len() {
			countParams(v.List().Get(i).Message(), params)
		}
		return true
	})
}

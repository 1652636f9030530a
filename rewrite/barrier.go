package rewrite

import (
	"slices"
	"strconv"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tenantgate/rewrite/catalog"
)

// Ids of the rules by which the barrier refuses.
const (
	ruleBarrierUsing    = "barrier.using"
	ruleBarrierFullJoin = "barrier.full_join"
	ruleBarrierNull     = "barrier.nullable_tenant"
	ruleBarrierFunction = "barrier.function"
)

// A barrier keeps the conditions of a statement from running on rows of other
// tenants. It goes over the statement, which has its tenant predicates, and
// notes
//
//   - each condition that is not inert, for a guard: it shall run only where
//     the tables that it can see show the tenant's rows,
//   - each value of a sub-select that is not inert and that conditions around
//     it can see, for a guard of its own, and
//   - each sub-select whose rows a condition may not look into, for a fence.
//
// Target lists of the statement itself, and what comes behind them, run on rows
// that the predicates let through.
type barrier struct {
	catalog  *catalog.Snapshot
	declared []uint32
	params   map[int32]int // how often the statement uses a parameter
	sublinks map[*pg_query.SubLink]judged
	patterns map[int32]bool // parameters that must be whole patterns of LIKE
	known    conditionKinds

	guards   []guardedClause
	targets  []guardedTarget
	sides    []guardedSide
	fences   []fenced
	commons  []*pg_query.CommonTableExpr
	joins    []*pg_query.Node // with an alias, which become sub-selects
	refusals []barrierRefusal
	fenced   map[any]bool // of fences and commons
	copies   int

	tables   int  // of tenants, met so far
	nonInert bool // something has to be kept in or out
	probe    bool // only whether all is inert is asked
	locks    bool // of a probe: its SELECT may lock rows
	grouped  bool // of a probe: its SELECT makes one group of all rows
	doubtful bool // of a probe: it is not
}

// conditionKinds tell what the rewrite added from what the client wrote.
type conditionKinds interface {
	// isPredicate recognizes the tenant predicate of one of the items.
	isPredicate(n *pg_query.Node, items []guardItem) bool
	// isGuard recognizes the guard over all of the items.
	isGuard(n *pg_query.Node, clause conditionClause, items []guardItem) bool
}

// A judged is what became of an expression.
type judged struct {
	value valueType
	inert bool
}

// A conditionClause is where a condition, or a value, stands.
type conditionClause uint8

const (
	clauseWhere conditionClause = iota
	clauseOn
	clauseHaving
	clauseTarget
)

// A guardedClause is the condition of one clause, with what has to be guarded.
type guardedClause struct {
	root     *pg_query.Node
	operands []*pg_query.Node // those that are not inert
	clause   conditionClause
	items    []guardItem
	copied   bool
}

// A guardedTarget is a value in a target list that has to be guarded.
type guardedTarget struct {
	target *pg_query.ResTarget
	items  []guardItem
	copied bool
}

// A guardedSide is one side of a comparison that joins tables.
type guardedSide struct {
	root, operand, side *pg_query.Node
	items               []guardItem
	copied              bool
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

// A barrierRefusal is what cannot be kept apart.
type barrierRefusal struct {
	rule, node, hint string
	location         int32
}

func newBarrier(cat *catalog.Snapshot, declared []uint32, stmt *pg_query.Node, known conditionKinds) *barrier {
	b := &barrier{
		catalog: cat, declared: declared, known: known,
		params: make(map[int32]int), sublinks: make(map[*pg_query.SubLink]judged), patterns: make(map[int32]bool),
		fenced: make(map[any]bool),
	}
	countParams(stmt.ProtoReflect(), b.params)
	return b
}

// prober returns a barrier that only finds out whether a SELECT is inert.
func (b *barrier) prober() *barrier {
	return &barrier{
		catalog: b.catalog, declared: b.declared, known: b.known, params: b.params, sublinks: b.sublinks,
		patterns: b.patterns, fenced: make(map[any]bool), probe: true, locks: b.locks,
	}
}

func (b *barrier) uses(param int32) int { return b.params[param] }

// doubt notes, for a probe, what is not inert but needs no guard.
func (b *barrier) doubt() { b.doubtful = true }

func (b *barrier) refuse(rule, node, hint string, location int32) {
	b.refusals = append(b.refusals, barrierRefusal{rule: rule, node: node, hint: hint, location: location})
	b.nonInert = true
}

// statement goes over a whole statement.
func (b *barrier) statement(n *pg_query.Node) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_CopyStmt:
		b.statement(v.CopyStmt.Query)
	case *pg_query.Node_DeclareCursorStmt:
		b.statement(v.DeclareCursorStmt.Query)
	case *pg_query.Node_ExplainStmt:
		b.statement(v.ExplainStmt.Query)
	default:
		b.part(n, nil, nil)
	}
}

// view goes over the definition of a view, which stands in a FROM clause.
func (b *barrier) view(s *pg_query.SelectStmt) {
	b.subselect(s, nil, nil)
}

// part goes over a statement that no condition runs around.
func (b *barrier) part(n *pg_query.Node, lv *queryLevel, ctes *commonTables) selected {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		return b.selectStmt(v.SelectStmt, lv, ctes, exposure{})
	case *pg_query.Node_InsertStmt:
		return b.insertStmt(v.InsertStmt, lv, ctes)
	case *pg_query.Node_UpdateStmt:
		s := v.UpdateStmt
		return b.modify(s.WithClause, s.Relation, s.FromClause, s.WhereClause, lv, ctes, s.ReturningList, s.TargetList)
	case *pg_query.Node_DeleteStmt:
		s := v.DeleteStmt
		return b.modify(s.WithClause, s.Relation, s.UsingClause, s.WhereClause, lv, ctes, s.ReturningList)
	case *pg_query.Node_MergeStmt:
		b.mergeStmt(v.MergeStmt, lv, ctes)
	}
	return selected{partial: true}
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
			b.selectStmt(v.SelectStmt, lv, lv.ctes, exposure{})
			return nil
		case *pg_query.Node_SubLink:
			s := v.SubLink.Subselect.GetSelectStmt()
			if v.SubLink.SubLinkType != pg_query.SubLinkType_ANY_SUBLINK || s == nil {
				break
			}
			// It may become a join, and its column one side of a condition.
			if b.selectStmt(s, lv, lv.ctes, exposure{targets: true}).open {
				b.fence(s)
			}
			return each(visit, one(v.SubLink.Testexpr))
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
		x.targets, list.open = false, false
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
		x = exposure{}
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
		value := valueType{name: b.commonKind(items, lv), safe: list.open || hasLimit(s)}
		list.columns = append(list.columns, output{name: "column" + strconv.Itoa(i+1), value: value})
	}
}

// target reads one item of a target list: the columns that it makes, and what
// keeps conditions from running its value on rows of others.
func (b *barrier) target(s *pg_query.SelectStmt, t *pg_query.ResTarget, lv *queryLevel, x exposure, list *selected) {
	ref := t.GetVal().GetColumnRef()
	if ref != nil && refIsStar(ref) {
		b.starTarget(ref, lv, list)
		return
	}
	value, inert := b.value(t.GetVal(), lv)
	switch {
	case !inert:
		value = b.targetValue(s, t, lv, x, list)
	case value.literal: // it becomes text, or the number that it is
		value = valueType{}
		switch t.GetVal().GetAConst().GetVal().(type) {
		case *pg_query.A_Const_Ival:
			value.name = "int4"
		case *pg_query.A_Const_Sval:
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
	if hasLimit(s) || b.aggregated(t.GetVal(), lv) { // conditions on it stay outside
		return value
	}
	if !x.targets {
		value.safe = false
		return value
	}
	items := guardItems(lv.items)
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
	for _, n := range s.TargetList {
		if b.aggregated(n.GetResTarget().GetVal(), lv) {
			return false
		}
	}
	if t.Name == "" && columnName(t.Val) == "" || len(t.Val.GetTypeCast().GetTypeName().GetTypmods()) > 0 {
		return false
	}
	return b.scalar(t.Val)
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

// starTarget reads * and item.*.
func (b *barrier) starTarget(ref *pg_query.ColumnRef, lv *queryLevel, list *selected) {
	qualifier, _ := nameParts(ref.Fields[:len(ref.Fields)-1])
	for _, item := range lv.items {
		if item.hidden || len(qualifier) == 0 && item.unlisted || len(qualifier) > 0 && !item.named(qualifier) {
			continue
		}
		list.columns = append(list.columns, item.columns...)
		list.partial = list.partial || item.partial
	}
	// USING shows its columns once, and first: the order is not kept here.
	list.partial = list.partial || lv.merged
}

func refIsStar(ref *pg_query.ColumnRef) bool { return ref.Fields[len(ref.Fields)-1].GetAStar() != nil }

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

// insertStmt reads INSERT. Its rows come from no FROM clause that conditions
// look into.
func (b *barrier) insertStmt(s *pg_query.InsertStmt, outer *queryLevel, ctes *commonTables) selected {
	ctes = b.with(s.WithClause, outer, ctes)
	b.part(s.SelectStmt, outer, ctes)
	lv := &queryLevel{outer: outer, ctes: ctes}
	if s.Relation != nil {
		lv.items = append(lv.items, b.tableItem(s.Relation, &queryLevel{}))
	}
	if conflict := s.OnConflictClause; conflict != nil {
		excluded := &fromItem{name: "excluded", columns: lv.items[0].columns}
		set := &queryLevel{items: []*fromItem{lv.items[0], excluded}, outer: outer, ctes: ctes}
		b.condition(conflict.WhereClause, set, clauseWhere)
		b.expressions(set, conflict.TargetList)
	}
	return b.returning(s.ReturningList, lv)
}

// returning reads the columns of RETURNING, which come from rows that were
// written.
func (b *barrier) returning(targets []*pg_query.Node, lv *queryLevel) selected {
	b.expressions(lv, targets)
	var list selected
	for _, n := range targets {
		b.target(&pg_query.SelectStmt{}, n.GetResTarget(), lv, exposure{}, &list)
	}
	for i := range list.columns {
		list.columns[i].value.safe = true
	}
	return list
}

// modify reads UPDATE and DELETE.
func (b *barrier) modify(w *pg_query.WithClause, rv *pg_query.RangeVar, from []*pg_query.Node, where *pg_query.Node,
	outer *queryLevel, ctes *commonTables, returning []*pg_query.Node, lists ...[]*pg_query.Node,
) selected {
	ctes = b.with(w, outer, ctes)
	lv := &queryLevel{outer: outer, ctes: ctes}
	if rv != nil {
		lv.items = append(lv.items, b.tableItem(rv, &queryLevel{}))
	}
	for _, n := range from {
		b.fromItem(n, lv)
	}
	b.condition(where, lv, clauseWhere)
	b.expressions(lv, lists...)
	list := b.returning(returning, lv)
	b.fenceLevel(lv)
	return list
}

// mergeStmt reads MERGE. WHEN runs on rows that ON has let through.
func (b *barrier) mergeStmt(s *pg_query.MergeStmt, outer *queryLevel, ctes *commonTables) {
	ctes = b.with(s.WithClause, outer, ctes)
	lv := &queryLevel{outer: outer, ctes: ctes}
	if s.Relation != nil {
		lv.items = append(lv.items, b.tableItem(s.Relation, &queryLevel{}))
	}
	b.fromItem(s.SourceRelation, lv)
	b.condition(s.JoinCondition, lv, clauseOn)
	for _, n := range s.MergeWhenClauses {
		when := n.GetMergeWhenClause()
		b.expressions(lv, one(when.GetCondition()), when.GetTargetList(), when.GetValues())
	}
	b.fenceLevel(lv)
}

func (b *barrier) fenceLevel(lv *queryLevel) {
	if !lv.nonInert {
		return
	}
	for _, item := range lv.items {
		b.fenceItem(item)
	}
}

// condition judges the condition of a clause, operand by operand.
func (b *barrier) condition(n *pg_query.Node, lv *queryLevel, clause conditionClause) {
	if n == nil {
		return
	}
	b.expressions(lv, one(n))
	items := guardItems(lv.items)
	root, operands := b.operandsOf(n, items)
	g := guardedClause{root: root, clause: clause, items: items, copied: b.copies > 0}
	for _, operand := range operands {
		switch {
		case b.boolean(operand, lv):
		case b.joinsBySides(operand, lv, root):
			b.nonInert, lv.nonInert = true, true
			b.doubt()
		case b.known.isGuard(operand, clause, items):
			b.nonInert, lv.nonInert = true, true
		case clause == clauseHaving && b.aggregated(operand, lv):
			b.doubt() // runs on groups of the tenant's rows
		case len(operands) == 1 && b.onlyLocks(operand, lv):
			b.doubt()
		default:
			g.operands = append(g.operands, operand)
		}
	}
	if len(g.operands) == 0 {
		return
	}
	b.doubt()
	b.nonInert, lv.nonInert = true, true
	if b.refusedCondition(lv, lv.full && len(g.operands) == len(operands)) || len(items) == 0 {
		return
	}
	b.guards = append(b.guards, g)
}

// operandsOf are the operands of the client's own condition, which is root.
// The rewrite may have put predicates in front of it.
func (b *barrier) operandsOf(n *pg_query.Node, items []guardItem) (root *pg_query.Node, operands []*pg_query.Node) {
	args := conjunctsAt(n)
	var own []*pg_query.Node
	for _, arg := range args {
		if !b.known.isPredicate(arg, items) {
			own = append(own, arg)
		}
	}
	switch {
	case len(own) == len(args):
		return n, args
	case len(own) == 1:
		return own[0], conjunctsAt(own[0])
	default:
		return nil, own
	}
}

// conjunctsAt are the operands of the AND at the top of a condition.
func conjunctsAt(n *pg_query.Node) []*pg_query.Node {
	if and := n.GetBoolExpr(); and != nil && and.Boolop == pg_query.BoolExprType_AND_EXPR {
		return and.Args
	}
	return one(n)
}

// refusedCondition notes why a guard cannot stand around a condition.
func (b *barrier) refusedCondition(lv *queryLevel, full bool) bool {
	tenants := 0
	for _, item := range lv.items {
		switch {
		case item.rel == nil, item.hidden:
		case item.nullable && !canBeMissing(item.rv, item.rel):
			b.refuse(ruleBarrierNull, "this condition over an outer join of a table whose tenant column may be NULL",
				"Leave out the column names of the alias; or the operator can make the column NOT NULL.", item.rv.Location)
			return true
		default:
			tenants++
		}
	}
	if full && tenants > 0 { // the server needs one comparison that it can join by
		b.refuse(ruleBarrierFullJoin, "this condition of a FULL JOIN", "Compare columns alone, or join sub-selects.", -1)
		return true
	}
	return false
}

// onlyLocks recognizes id = (SELECT ... FOR UPDATE SKIP LOCKED LIMIT 1), as
// queues have it, which is inert but for the locks. Alone in its clause it
// tells whether the table has any rows, and keeps its index.
func (b *barrier) onlyLocks(n *pg_query.Node, lv *queryLevel) bool {
	if len(lv.items) != 1 || lv.outer != nil || b.probe {
		return false
	}
	p := b.prober()
	p.locks, p.sublinks = true, make(map[*pg_query.SubLink]judged)
	return p.boolean(n, lv)
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

// canBeMissing reports whether a guard can tell a row of others from the NULLs
// that an outer join puts in place of a row.
func canBeMissing(rv *pg_query.RangeVar, rel *catalog.Relation) bool {
	return tenantNotNull(rel) || len(rv.GetAlias().GetColnames()) == 0
}

func tenantNotNull(rel *catalog.Relation) bool {
	i := columnIndex(rel, rel.TenantColumn)
	return i >= 0 && rel.Columns[i].NotNull
}

// patternChecks are what must hold for parameters that are patterns of LIKE.
func (b *barrier) patternChecks() []Check {
	var list []Check
	for number, inert := range b.patterns {
		if inert && b.tables > 0 {
			list = append(list, Check{param: int(number), like: true})
		}
	}
	return list
}

// countParams counts the places of each parameter.
func countParams(m protoreflect.Message, params map[int32]int) {
	if p, ok := m.Interface().(*pg_query.ParamRef); ok {
		params[p.Number]++
		return
	}
	eachMessage(m, func(inner protoreflect.Message) { countParams(inner, params) })
}

// eachMessage calls f for the messages in the fields of one.
func eachMessage(m protoreflect.Message, f func(protoreflect.Message)) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if field.Kind() != protoreflect.MessageKind {
			return true
		}
		if !field.IsList() {
			f(v.Message())
			return true
		}
		for i := range v.List().Len() {
			f(v.List().Get(i).Message())
		}
		return true
	})
}

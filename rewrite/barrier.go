package rewrite

import (
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
	kinds    map[*pg_query.SubLink]string
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
	operands []guardedOperand // those that are not inert
	clause   conditionClause
	copied   bool
}

// A guardedOperand is an operand of AND, with the tables that its guard looks at.
type guardedOperand struct {
	node  *pg_query.Node
	items []guardItem
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
		kinds: make(map[*pg_query.SubLink]string), fenced: make(map[any]bool),
	}
	countParams(stmt.ProtoReflect(), b.params)
	return b
}

// prober returns a barrier that only finds out whether a SELECT is inert.
func (b *barrier) prober() *barrier {
	return &barrier{
		catalog: b.catalog, declared: b.declared, known: b.known, params: b.params, sublinks: b.sublinks,
		patterns: b.patterns, kinds: b.kinds, fenced: make(map[any]bool), probe: true, locks: b.locks,
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
	case *pg_query.Node_CreateTableAsStmt:
		b.statement(v.CreateTableAsStmt.Query)
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
	eachField(m, func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
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

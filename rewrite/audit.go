package rewrite

import (
	"fmt"
	"reflect"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// The audit is the second opinion on a rewritten statement. It shares neither
// walk nor scopes with what made the statement: it goes over every field of
// every node of the parsed result, and fails unless each relation of tenants
//
//   - is the left side of a filter join with its own predicate,
//   - is a plain FROM item or target whose predicate is an operand of the
//     AND at the top of its statement's WHERE,
//   - is the target of a MERGE whose predicate is such an operand of its ON and
//     of each WHEN MATCHED, or
//   - is the target of an INSERT that writes the key, or a value that is
//     checked, into the tenant column of every row.
//
// It knows nothing of the client's text.

// An auditor audits statements.
type auditor struct {
	catalog *catalog.Snapshot

	// isKey tells whether a node is the tenant's key as a value of a type.
	isKey func(n *pg_query.Node, t catalog.Type) bool
	// isValue tells the same of any value.
	isValue func(n *pg_query.Node, v Value, t catalog.Type) bool
	// isChecked tells whether a constant or parameter that is written into a
	// tenant column will be compared with the key.
	isChecked func(n *pg_query.Node, rel *catalog.Relation, f family) bool
}

// A visible is the first few names of a WITH clause, and what is visible
// around it.
type visible struct {
	places map[string]int // of the names in the clause
	first  int            // so many of them are visible
	around *visible
}

func (v *visible) has(name string) bool {
	for ; v != nil; v = v.around {
		if place, ok := v.places[name]; ok && place < v.first {
			return true
		}
	}
	return false
}

// auditedNodes are the structs that may be part of a confined statement.
var auditedNodes = func() map[string]bool {
	m := make(map[string]bool)
	for _, name := range strings.Fields(`
		CreateStmt Constraint CreateTableAsStmt IntoClause IndexStmt
		RawStmt SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt MergeWhenClause CopyStmt DeclareCursorStmt ExplainStmt
		FetchStmt ClosePortalStmt TransactionStmt VariableSetStmt VariableShowStmt DeallocateStmt DiscardStmt
		ConstraintsSetStmt
		Node RangeVar Alias JoinExpr RangeSubselect RangeFunction RangeTableSample RangeTableFunc
		RangeTableFuncCol ColumnDef WithClause CommonTableExpr CTESearchClause CTECycleClause
		ResTarget SortBy WindowDef GroupingSet LockingClause OnConflictClause InferClause IndexElem DefElem
		A_Const A_Expr A_ArrayExpr A_Indices A_Indirection A_Star ColumnRef ParamRef String Integer Float Boolean
		BitString List BoolExpr NullTest BooleanTest CaseExpr CaseWhen CoalesceExpr MinMaxExpr RowExpr SubLink
		FuncCall NamedArgExpr GroupingFunc TypeCast TypeName CollateClause MultiAssignRef SetToDefault
		SQLValueFunction XmlExpr XmlSerialize JsonOutput JsonReturning JsonFormat JsonValueExpr JsonKeyValue
		JsonIsPredicate JsonObjectConstructor JsonArrayConstructor JsonArrayQueryConstructor JsonAggConstructor
		JsonObjectAgg JsonArrayAgg`) {
		m[name] = true
	}
	return m
}()

// An auditError is a result that must not run.
type auditError struct {
	reason string
}

func (e *auditError) Error() string { return "audit: " + e.reason }

func auditFailure(format string, args ...any) error {
	return &auditError{reason: fmt.Sprintf(format, args...)}
}

// audit goes over one statement.
func (a *auditor) audit(stmt *pg_query.Node) error {
	return a.walk(reflect.ValueOf(stmt), nil)
}

// walk goes over whatever a field holds.
func (a *auditor) walk(v reflect.Value, env *visible) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		if done, err := a.temporary(v.Interface(), env); done {
			return err
		}
		switch n := v.Interface().(type) {
		case *pg_query.Node:
			switch n.GetNode().(type) { // most nodes, and none of them holds others of interest
			case *pg_query.Node_AConst, *pg_query.Node_ParamRef:
				return nil
			}
		case *pg_query.SelectStmt:
			return a.selectStmt(n, env)
		case *pg_query.InsertStmt:
			return a.insertStmt(n, env)
		case *pg_query.UpdateStmt:
			return a.updateStmt(n, env)
		case *pg_query.DeleteStmt:
			return a.deleteStmt(n, env)
		case *pg_query.MergeStmt:
			return a.mergeStmt(n, env)
		case *pg_query.CopyStmt:
			if n.IsFrom || n.IsProgram || n.Filename != "" {
				return auditFailure("COPY other than to the client")
			}
		case *pg_query.LockStmt:
			if n.Mode == accessShare {
				return nil // reads no row
			}
			return auditFailure("LOCK with mode %d", n.Mode)
		case *pg_query.ExplainStmt:
			for _, option := range n.Options {
				if name := option.GetDefElem().GetDefname(); name != "format" && name != "costs" {
					return auditFailure("EXPLAIN with option %s", name)
				}
			}
		case *pg_query.JoinExpr:
			if a.filterJoin(n, env) {
				return a.around(n.Larg, env)
			}
		case *pg_query.RangeVar:
			return a.unconfined(n, env)
		case *pg_query.LockingClause:
			return nil // names FROM items, not relations
		case *pg_query.ConstraintsSetStmt:
			return nil // names constraints
		case *pg_query.FuncCall:
			if err := a.separated(n); err != nil {
				return err
			}
		case *pg_query.CurrentOfExpr:
			return auditFailure("WHERE CURRENT OF")
		}
		return a.fields(v.Elem(), env)
	case reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return a.fields(v.Elem().Elem(), env) // the wrapper of a oneof, which has one field
	case reflect.Slice:
		for i := range v.Len() {
			if err := a.walk(v.Index(i), env); err != nil {
				return err
			}
		}
		return nil
	default:
		return nil // a name, a number, a flag
	}
}

// fields goes over the fields of a struct that is known, except those named.
func (a *auditor) fields(v reflect.Value, env *visible, except ...string) error {
	t := v.Type()
	name := t.Name()
	if !auditedNodes[name] && !strings.HasPrefix(name, "Node_") && !strings.HasPrefix(name, "A_Const_") {
		return auditFailure("unknown node %s", name)
	}
fields:
	for _, i := range comparedFields(t) {
		for _, skip := range except {
			if t.Field(i).Name == skip {
				continue fields
			}
		}
		if err := a.walk(v.Field(i), env); err != nil {
			return err
		}
	}
	return nil
}

// with goes over a WITH clause and returns what is visible behind it.
func (a *auditor) with(w *pg_query.WithClause, env *visible) (*visible, error) {
	if w == nil {
		return env, nil
	}
	places := make(map[string]int, len(w.Ctes))
	for i, n := range w.Ctes {
		if name := n.GetCommonTableExpr().GetCtename(); !hasKey(places, name) {
			places[name] = i
		}
	}
	for i, n := range w.Ctes {
		before := &visible{places: places, first: i, around: env}
		if w.Recursive {
			before.first = len(w.Ctes)
		}
		if err := a.walk(reflect.ValueOf(n), before); err != nil {
			return nil, err
		}
	}
	return &visible{places: places, first: len(w.Ctes), around: env}, nil
}

func hasKey(m map[string]int, key string) bool {
	_, ok := m[key]
	return ok
}

// lookup finds what a name means; nil is a common table expression. Whatever
// is not one has its schema by now, or is PostgreSQL's own.
func (a *auditor) lookup(rv *pg_query.RangeVar, env *visible) (*catalog.Relation, error) {
	if rv.Catalogname != "" {
		return nil, auditFailure("relation of another database")
	}
	if rv.Schemaname == "" && env.has(rv.Relname) {
		return nil, nil
	}
	rel, ok := a.catalog.Lookup(rv.Schemaname, rv.Relname)
	if !ok {
		return nil, auditFailure("unknown relation %s", writtenName(rv))
	}
	if rv.Schemaname == "" && rel.Class != catalog.System {
		return nil, auditFailure("relation %s without its schema", rv.Relname)
	}
	return rel, nil
}

// unconfined passes a relation in a FROM clause that nothing confines.
func (a *auditor) unconfined(rv *pg_query.RangeVar, env *visible) error {
	rel, err := a.lookup(rv, env)
	if err != nil || rel == nil {
		return err
	}
	switch rel.Class {
	case catalog.Shared, catalog.SharedReadWrite, catalog.System:
		return nil
	case catalog.Temporary:
		return a.own(rv)
	default:
		return auditFailure("relation %s is not confined", writtenName(rv))
	}
}

// target returns the relation that a statement writes to.
func (a *auditor) target(rv *pg_query.RangeVar) (*catalog.Relation, error) {
	if rv == nil {
		return nil, auditFailure("statement without a table")
	}
	rel, err := a.lookup(rv, nil)
	if err != nil {
		return nil, err
	}
	if rel.Class != catalog.Tenanted && rel.Class != catalog.SharedReadWrite && !isTemporary(rv, rel) {
		return nil, auditFailure("relation %s is written to", writtenName(rv))
	}
	return rel, nil
}

// around goes over what belongs to a FROM item besides its relation.
func (a *auditor) around(item *pg_query.Node, env *visible) error {
	if s := item.GetRangeTableSample(); s != nil {
		return a.fields(reflect.ValueOf(s).Elem(), env, "Relation")
	}
	return nil
}

// itemRelation is the relation of a FROM item that is a name.
func itemRelation(item *pg_query.Node) *pg_query.RangeVar {
	if s := item.GetRangeTableSample(); s != nil {
		return s.Relation.GetRangeVar()
	}
	return item.GetRangeVar()
}

// conjuncts are the conditions that must all hold, by the column that they
// compare: what is no comparison of a column is left out.
type conjuncts map[string][]*pg_query.Node

// conjunctsOf takes a condition apart at the AND at its top.
func conjunctsOf(where *pg_query.Node) conjuncts {
	list := one(where)
	if b := where.GetBoolExpr(); b != nil && b.Boolop == pg_query.BoolExprType_AND_EXPR {
		list = b.Args
	}
	o := make(conjuncts)
	for _, n := range list {
		e := n.GetAExpr()
		if e == nil || e.Kind != pg_query.A_Expr_Kind_AEXPR_OP || len(e.Name) != 1 || e.Name[0].GetString_().GetSval() != "=" {
			continue
		}
		if path, ok := columnPath(e.Lexpr); ok {
			o[pathKey(path)] = append(o[pathKey(path)], e.Rexpr)
		}
	}
	return o
}

// pathKey makes one string of names; none of them holds a NUL.
func pathKey(path []string) string { return strings.Join(path, "\x00") }

// from goes over a FROM clause. Plain items of tenants' need their predicate
// among the conjuncts of the statement's WHERE.
func (a *auditor) from(items []*pg_query.Node, where conjuncts, env *visible) error {
	for _, item := range items {
		if rv := itemRelation(item); rv != nil {
			rel, err := a.lookup(rv, env)
			if err != nil {
				return err
			}
			if rel != nil && a.hasPredicate(where, rv, rel) {
				if err := a.around(item, env); err != nil {
					return err
				}
				continue
			}
		}
		if err := a.walk(reflect.ValueOf(item), env); err != nil {
			return err
		}
	}
	return nil
}

// hasPredicate reports whether reference.tenant_column = key is among the
// conjuncts, so that they hold for a tenant's rows of the relation alone.
func (a *auditor) hasPredicate(where conjuncts, rv *pg_query.RangeVar, rel *catalog.Relation) bool {
	if rel.Class != catalog.Tenanted {
		return false
	}
	column, ok := exposedTenantColumn(rv, rel)
	if !ok {
		return false
	}
	paths := [][]string{{rv.Relname, column}, {rv.Schemaname, rv.Relname, column}}
	if name := rv.GetAlias().GetAliasname(); name != "" {
		paths = [][]string{{name, column}}
	}
	for _, path := range paths {
		for _, value := range where[pathKey(path)] {
			if a.isKey(value, tenantColumnType(rel)) {
				return true
			}
		}
	}
	return false
}

// tenantColumnType is the type of the tenant column; the zero Type matches no
// key.
func tenantColumnType(rel *catalog.Relation) catalog.Type {
	for _, column := range rel.Columns {
		if column.Name == rel.TenantColumn {
			return column.Type
		}
	}
	return catalog.Type{}
}

// columnPath is the names of a column reference without star.
func columnPath(n *pg_query.Node) ([]string, bool) {
	ref := n.GetColumnRef()
	if ref == nil {
		return nil, false
	}
	var path []string
	for _, f := range ref.Fields {
		s := f.GetString_()
		if s == nil {
			return nil, false
		}
		path = append(path, s.Sval)
	}
	return path, len(path) > 0
}

// refersTo reports whether a qualifier names a FROM item.
func refersTo(qualifier []string, rv *pg_query.RangeVar) bool {
	if name := rv.GetAlias().GetAliasname(); name != "" {
		return len(qualifier) == 1 && qualifier[0] == name
	}
	switch len(qualifier) {
	case 1:
		return qualifier[0] == rv.Relname
	case 2:
		return qualifier[0] == rv.Schemaname && qualifier[1] == rv.Relname
	default:
		return false
	}
}

// exposedTenantColumn is what the tenant column is called behind the alias,
// if only one column is called so.
func exposedTenantColumn(rv *pg_query.RangeVar, rel *catalog.Relation) (string, bool) {
	names := make([]string, len(rel.Columns))
	own := -1
	for i, column := range rel.Columns {
		names[i] = column.Name
		if column.Name == rel.TenantColumn {
			own = i
		}
	}
	for i, n := range rv.GetAlias().GetColnames() {
		if i < len(names) {
			names[i] = n.GetString_().GetSval()
		}
	}
	if own < 0 {
		return "", false
	}
	for i, name := range names {
		if i != own && name == names[own] {
			return "", false
		}
	}
	return names[own], true
}

// filterJoin recognizes (relation JOIN (SELECT) AS x ON predicate).
func (a *auditor) filterJoin(j *pg_query.JoinExpr, env *visible) bool {
	rv := itemRelation(j.Larg)
	if rv == nil || j.Jointype != pg_query.JoinType_JOIN_INNER || j.IsNatural || len(j.UsingClause) > 0 ||
		j.Alias != nil || j.JoinUsingAlias != nil {
		return false
	}
	right := j.Rarg.GetRangeSubselect()
	if right == nil || right.Lateral || len(right.Alias.GetColnames()) > 0 || !isEmptySelect(right.Subquery.GetSelectStmt()) {
		return false
	}
	rel, err := a.lookup(rv, env)
	return err == nil && rel != nil && j.Quals.GetAExpr() != nil && a.hasPredicate(conjunctsOf(j.Quals), rv, rel)
}

// isEmptySelect recognizes SELECT with nothing behind it: all fields but the
// two that always have a value are empty.
func isEmptySelect(s *pg_query.SelectStmt) bool {
	if s == nil {
		return false
	}
	v := reflect.ValueOf(s).Elem()
	for _, i := range comparedFields(v.Type()) {
		name := v.Type().Field(i).Name
		if name != "LimitOption" && name != "Op" && !v.Field(i).IsZero() {
			return false
		}
	}
	return s.Op == pg_query.SetOperation_SETOP_NONE
}

func (a *auditor) selectStmt(s *pg_query.SelectStmt, env *visible) error {
	env, err := a.with(s.WithClause, env)
	if err != nil {
		return err
	}
	if err := a.from(s.FromClause, conjunctsOf(s.WhereClause), env); err != nil {
		return err
	}
	return a.fields(reflect.ValueOf(s).Elem(), env, "WithClause", "FromClause")
}

func (a *auditor) updateStmt(s *pg_query.UpdateStmt, env *visible) error {
	env, err := a.with(s.WithClause, env)
	if err != nil {
		return err
	}
	where := conjunctsOf(s.WhereClause)
	rel, err := a.modified(s.Relation, where)
	if err != nil {
		return err
	}
	if rel.Class == catalog.Tenanted {
		if err := a.assignments(s.TargetList, s.Relation, rel, false); err != nil {
			return err
		}
	}
	if err := a.from(s.FromClause, where, env); err != nil {
		return err
	}
	return a.fields(reflect.ValueOf(s).Elem(), env, "WithClause", "Relation", "FromClause")
}

func (a *auditor) deleteStmt(s *pg_query.DeleteStmt, env *visible) error {
	env, err := a.with(s.WithClause, env)
	if err != nil {
		return err
	}
	where := conjunctsOf(s.WhereClause)
	if _, err := a.modified(s.Relation, where); err != nil {
		return err
	}
	if err := a.from(s.UsingClause, where, env); err != nil {
		return err
	}
	return a.fields(reflect.ValueOf(s).Elem(), env, "WithClause", "Relation", "UsingClause")
}

// modified returns the target of UPDATE and DELETE, whose rows the condition
// has to confine.
func (a *auditor) modified(rv *pg_query.RangeVar, where conjuncts) (*catalog.Relation, error) {
	rel, err := a.target(rv)
	if err != nil {
		return nil, err
	}
	if rel.Class == catalog.Tenanted && !a.hasPredicate(where, rv, rel) {
		return nil, auditFailure("target %s is not confined", writtenName(rv))
	}
	return rel, nil
}

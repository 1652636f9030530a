package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// apart proves that no condition of a result runs on rows of other tenants: a
// condition that is not inert has a guard, and where there is one, or a value
// that is not inert, sub-selects have a fence. declared are the types of all
// parameters, the key's included.
func (a *auditor) apart(stmt *pg_query.Node, declared []uint32) error {
	b := newBarrier(a.catalog, declared, stmt)
	b.known = a.knownCondition
	b.statement(stmt)
	if !b.tenanted || !b.nonInert && len(b.refusals) == 0 {
		return nil
	}
	if len(b.guards) > 0 {
		return auditFailure("condition without a guard")
	}
	if len(b.refusals) > 0 {
		return auditFailure("%s", b.refusals[0].node)
	}
	for _, f := range b.fences {
		s := f.stmt
		if !isEmptySelect(s) && s.LimitOffset == nil && (s.LimitCount == nil || s.LimitCount.GetAConst().GetIsnull()) {
			return auditFailure("sub-select without a fence")
		}
	}
	for _, cte := range b.commons {
		if cte.Ctematerialized != pg_query.CTEMaterialize_CTEMaterializeAlways {
			return auditFailure("common table expression %s without a fence", cte.Ctename)
		}
	}
	return nil
}

// knownCondition recognizes what the rewrite adds: the tenant predicate of one
// of the items, and the guard over all of them.
func (a *auditor) knownCondition(n *pg_query.Node, clause conditionClause, items []guardItem) (predicate, guard bool) {
	for _, item := range items {
		if a.isPredicate(n, item.rv, item.rel) {
			return true, false
		}
	}
	c := n.GetCaseExpr()
	if c == nil || c.Arg != nil || len(c.Args) != 1 {
		return false, false
	}
	if value := c.Defresult.GetAConst().GetBoolval(); value == nil || value.Boolval {
		return false, false
	}
	test := c.Args[0].GetCaseWhen().GetExpr()
	if clause == clauseHaving {
		return false, equalTrees(test, alwaysTrueOfGroup().node)
	}
	operands := one(test)
	if and := test.GetBoolExpr(); and != nil && and.Boolop == pg_query.BoolExprType_AND_EXPR {
		operands = and.Args
	}
	for _, item := range items {
		if !a.holdsFor(operands, item) {
			return false, false
		}
	}
	return false, true
}

// holdsFor reports whether a guard looks at an item. NULL in place of a row
// may pass where the tenant column of a row is never NULL.
func (a *auditor) holdsFor(operands []*pg_query.Node, item guardItem) bool {
	for _, operand := range operands {
		if t := operand.GetBooleanTest(); t != nil && t.Booltesttype == pg_query.BoolTestType_IS_NOT_FALSE && tenantNotNull(item.rel) {
			operand = t.Arg
		}
		if a.isPredicate(operand, item.rv, item.rel) {
			return true
		}
	}
	return false
}

func tenantNotNull(rel *catalog.Relation) bool {
	i := columnIndex(rel, rel.TenantColumn)
	return i >= 0 && rel.Columns[i].NotNull
}

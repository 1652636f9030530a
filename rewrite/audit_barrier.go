package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// apart proves that no condition of a result runs on rows of other tenants:
// nothing is left that would need a guard or a fence, or be refused. declared are the types of
// all parameters, the key's included.
func (a *auditor) apart(stmt *pg_query.Node, declared []uint32) error {
	b := newBarrier(a.catalog, declared, stmt, a)
	b.statement(stmt)
	switch {
	case b.tables == 0:
		return nil
	case len(b.refusals) > 0:
		return &UnsupportedError{Rule: b.refusals[0].rule, Node: b.refusals[0].node, Hint: b.refusals[0].hint}
	case len(b.guards) > 0:
		return auditFailure("condition without a guard")
	case len(b.targets) > 0:
		return auditFailure("value of a sub-select without a guard")
	case len(b.sides) > 0:
		return auditFailure("side of a comparison without a guard")
	case len(b.fences) > 0:
		return auditFailure("sub-select without a fence")
	case len(b.joins) > 0:
		return auditFailure("join with an alias without a fence")
	case len(b.commons) > 0:
		return auditFailure("common table expression %s without a fence", b.commons[0].Ctename)
	}
	return nil
}

// isPredicate recognizes the tenant predicate of one of the items.
func (a *auditor) isPredicate(n *pg_query.Node, items []guardItem) bool {
	path, ok := columnPath(n.GetAExpr().GetLexpr())
	if !ok {
		return false
	}
	for _, item := range items {
		if refersTo(path[:len(path)-1], item.rv) && a.hasPredicate(conjunctsOf(n), item.rv, item.rel) {
			return true
		}
	}
	return false
}

// isGuard recognizes CASE WHEN ... THEN condition ELSE false END over all of the
// items, or that of a value, which has no ELSE.
func (a *auditor) isGuard(n *pg_query.Node, clause conditionClause, items []guardItem) bool {
	c := n.GetCaseExpr()
	if c == nil || c.Arg != nil || len(c.Args) != 1 || len(items) == 0 && clause != clauseHaving {
		return false
	}
	if clause == clauseTarget {
		if c.Defresult != nil {
			return false
		}
	} else if value := c.Defresult.GetAConst().GetBoolval(); value == nil || value.Boolval {
		return false
	}
	test := c.Args[0].GetCaseWhen().GetExpr()
	if clause == clauseHaving {
		return equalTrees(test, alwaysTrueOfGroup().node)
	}
	for _, item := range items {
		if !a.holdsFor(conjunctsAt(test), item) {
			return false
		}
	}
	return true
}

// holdsFor reports whether a guard looks at an item. What an outer join puts in
// place of a row may pass.
func (a *auditor) holdsFor(operands []*pg_query.Node, item guardItem) bool {
	one := []guardItem{item}
	for _, operand := range operands {
		if a.isPredicate(operand, one) {
			return true
		}
		t := operand.GetBooleanTest()
		if t != nil && t.Booltesttype == pg_query.BoolTestType_IS_NOT_FALSE && tenantNotNull(item.rel) && a.isPredicate(t.Arg, one) {
			return true
		}
		or := operand.GetBoolExpr()
		if or != nil && or.Boolop == pg_query.BoolExprType_OR_EXPR && len(or.Args) == 2 && canBeMissing(item.rv, item.rel) &&
			a.isPredicate(or.Args[0], one) && isMissingRow(or.Args[1], item.rv) {
			return true
		}
	}
	return false
}

// isMissingRow recognizes table.tableoid IS NULL, which holds for no row.
func isMissingRow(n *pg_query.Node, rv *pg_query.RangeVar) bool {
	t := n.GetNullTest()
	if t == nil || t.Nulltesttype != pg_query.NullTestType_IS_NULL {
		return false
	}
	path, ok := columnPath(t.Arg)
	return ok && len(path) > 1 && path[len(path)-1] == "tableoid" && refersTo(path[:len(path)-1], rv)
}

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// condition judges the condition of a clause, operand by operand.
func (b *barrier) condition(n *pg_query.Node, lv *queryLevel, clause conditionClause) {
	if n == nil {
		return
	}
	b.expressions(lv, one(n))
	items := guardItems(lv.items)
	root, operands := b.operandsOf(n, items)
	g := guardedClause{root: root, clause: clause, copied: b.copies > 0}
	plain := 0
	for _, operand := range operands {
		switch {
		case b.boolean(operand, lv):
			plain++
		case b.joinsBySides(operand, lv, items, root):
			b.nonInert, lv.nonInert = true, true
			b.doubt()
			plain++
		case clause == clauseHaving && b.surelyAggregated(operand, lv), // runs on groups of the tenant's rows
			len(operands) == 1 && b.onlyLocks(operand, lv):
			b.doubt()
		default:
			b.doubt()
			b.nonInert, lv.nonInert = true, true
			over, guarded := b.guardOf(operand, lv, clause, items)
			if !guarded && len(over) > 0 {
				g.operands = append(g.operands, guardedOperand{operand, over})
			}
		}
	}
	if len(g.operands) > 0 && !b.refusedCondition(&g, lv.full && plain == 0) {
		b.guards = append(b.guards, g)
	}
}

// guardOf returns the tables that a guard of an operand looks at: those that it
// refers to, and all where that is not certain. guarded is set if it has one.
func (b *barrier) guardOf(n *pg_query.Node, lv *queryLevel, clause conditionClause, all []guardItem) (over []guardItem, guarded bool) {
	if clause == clauseHaving {
		return all, b.known.isGuard(n, clause, all)
	}
	if c := n.GetCaseExpr(); c != nil && len(c.Args) == 1 {
		over := b.referredItems(c.Args[0].GetCaseWhen().GetResult(), lv, all)
		if b.known.isGuard(n, clause, over) {
			return over, true
		}
	}
	return b.referredItems(n, lv, all), false
}

func (b *barrier) referredItems(n *pg_query.Node, lv *queryLevel, all []guardItem) []guardItem {
	if over, ok := b.sideItems(n, lv, all); ok {
		return over
	}
	return all
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
func (b *barrier) refusedCondition(g *guardedClause, full bool) bool {
	for _, operand := range g.operands {
		for _, item := range operand.items {
			if item.nullable && !canBeMissing(item.rv, item.rel) {
				b.refuse(ruleBarrierNull, "this condition over an outer join of a table whose tenant column may be NULL",
					"Leave out the column names of the alias; or the operator can make the column NOT NULL.", item.rv.Location)
				return true
			}
		}
	}
	if full { // the server needs one comparison that it can join by
		b.refuse(ruleBarrierFullJoin, "this condition of a FULL JOIN", "Compare columns alone, or join sub-selects.", -1)
	}
	return full
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

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

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
// function of its own level in it: one over a column of the level, or over none.
func (b *barrier) aggregated(n *pg_query.Node, lv *queryLevel) bool {
	found := false
	var visit func(n *pg_query.Node) error
	visit = func(n *pg_query.Node) error {
		if n.GetSubLink() != nil {
			return nil
		}
		found = found || b.ownAggregate(n.GetFuncCall(), lv)
		return children(n, visit)
	}
	return visit(n) == nil && found
}

// ownAggregate reports whether a call is such a function.
func (b *barrier) ownAggregate(f *pg_query.FuncCall, lv *queryLevel) bool {
	names, _ := nameParts(f.GetFuncname())
	if len(names) == 0 || !aggregates[names[len(names)-1]] || len(b.catalog.Functions(names[len(names)-1])) > 0 {
		return false
	}
	return f.Over != nil || groupsOwn(f, &queryLevel{items: lv.items})
}

// surelyAggregated is aggregated for an expression whose aggregate no constant
// can make superfluous, as in CASE WHEN true THEN column ELSE count(*) END.
func (b *barrier) surelyAggregated(n *pg_query.Node, lv *queryLevel) bool {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_TypeCast:
		return b.surelyAggregated(v.TypeCast.Arg, lv)
	case *pg_query.Node_AExpr:
		return v.AExpr.Kind == pg_query.A_Expr_Kind_AEXPR_OP &&
			(b.surelyAggregated(v.AExpr.Lexpr, lv) || b.surelyAggregated(v.AExpr.Rexpr, lv))
	case *pg_query.Node_FuncCall:
		return b.ownAggregate(v.FuncCall, lv)
	}
	return false
}

// groupsOwn reports whether an aggregate is one of the level, and not of one
// around it.
func groupsOwn(f *pg_query.FuncCall, own *queryLevel) bool {
	any, found := false, false
	var visit func(n *pg_query.Node) error
	visit = func(n *pg_query.Node) error {
		if n.GetSubLink() != nil {
			any = true // its columns are not looked for
			return nil
		}
		if ref := n.GetColumnRef(); ref != nil {
			_, ok := own.column(ref)
			any, found = true, found || ok
			return nil
		}
		return children(n, visit)
	}
	return each(visit, f.Args, f.AggOrder, one(f.AggFilter)) == nil && (found || !any)
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

// maxArrayRows bounds the rows of ARRAY (SELECT ...) that is inert.
const maxArrayRows = 1_000_000

// judgeSubLink takes EXISTS, IN, and the value of one aggregate without
// groups, where all that is in them is inert.
func (b *barrier) judgeSubLink(s *pg_query.SubLink, lv *queryLevel) (valueType, bool) {
	q := s.Subselect.GetSelectStmt()
	if q == nil || q.Larg != nil || len(q.ValuesLists) > 0 {
		return valueType{}, false
	}
	probe := b.prober()
	list := probe.selectStmt(q, lv, lv.ctes, exposure{})
	columns, partial := list.columns, list.partial
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
		tests := one(s.Testexpr)
		if row := s.Testexpr.GetRowExpr(); row != nil {
			tests = row.Args
		}
		if !compares[op] || partial || len(columns) != len(tests) {
			return valueType{}, false
		}
		for i, test := range tests {
			if t, ok := b.value(test, lv); !ok || !b.compared(t, columns[i].value) {
				return valueType{}, false
			}
		}
		return boolType, true
	case pg_query.SubLinkType_ARRAY_SUBLINK:
		// A value above 1 GB would be an error.
		rows := q.LimitCount.GetAConst().GetIval()
		if len(columns) != 1 || !vetted.fixed[columns[0].value.name] || rows == nil || rows.Ival > maxArrayRows {
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
	default:
	}
	return valueType{}, false
}

// plain doubts, for a probe, clauses of a SELECT that do more than choose rows.
func (b *barrier) plain(s *pg_query.SelectStmt, lv *queryLevel) {
	whole := func(n *pg_query.Node) bool {
		return n == nil || n.GetAConst().GetIval() != nil && n.GetAConst().GetIval().Ival >= 0
	}
	if !whole(s.LimitCount) || !whole(s.LimitOffset) || len(s.LockingClause) > 0 && !b.locks || len(s.WindowClause) > 0 || s.HavingClause != nil || s.IntoClause != nil {
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
		if val.GetColumnRef() != nil && isStar(val) {
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

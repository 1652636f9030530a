package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// columnName is the name that PostgreSQL gives a column of a target list
// without one (FigureColname in parse_target.c); "" where that is not
// known here.
func columnName(n *pg_query.Node) string {
	name, _ := figuredName(n)
	return name
}

// A nameStrength says how sure PostgreSQL is of a name that it made up.
type nameStrength uint8

const (
	nameMadeUp nameStrength = iota // ?column?
	nameWeak                       // of a type, or case
	nameStrong
)

func figuredName(n *pg_query.Node) (string, nameStrength) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		if name := lastString(v.ColumnRef.Fields); name != "" {
			return name, nameStrong
		}
	case *pg_query.Node_AIndirection:
		if name := lastString(v.AIndirection.Indirection); name != "" {
			return name, nameStrong
		}
		return figuredName(v.AIndirection.Arg)
	case *pg_query.Node_FuncCall:
		return lastString(v.FuncCall.Funcname), nameStrong
	case *pg_query.Node_AExpr:
		if v.AExpr.Kind == pg_query.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", nameStrong
		}
	case *pg_query.Node_TypeCast:
		name, strength := figuredName(v.TypeCast.Arg)
		if strength == nameStrong {
			return name, strength
		}
		return lastString(v.TypeCast.TypeName.GetNames()), nameWeak
	case *pg_query.Node_CollateClause:
		return figuredName(v.CollateClause.Arg)
	case *pg_query.Node_CaseExpr:
		if name, strength := figuredName(v.CaseExpr.Defresult); strength == nameStrong {
			return name, strength
		}
		return "case", nameWeak
	case *pg_query.Node_AArrayExpr:
		return "array", nameStrong
	case *pg_query.Node_RowExpr:
		return "row", nameStrong
	case *pg_query.Node_CoalesceExpr:
		return "coalesce", nameStrong
	case *pg_query.Node_MinMaxExpr:
		if v.MinMaxExpr.Op == pg_query.MinMaxOp_IS_LEAST {
			return "least", nameStrong
		}
		return "greatest", nameStrong
	case *pg_query.Node_SubLink:
		return sublinkName(v.SubLink)
	case nil, *pg_query.Node_AConst, *pg_query.Node_ParamRef, *pg_query.Node_BoolExpr, *pg_query.Node_NullTest, *pg_query.Node_BooleanTest:
	default:
		return "", nameStrong // SQL/XML, SQL/JSON and the like
	}
	return "?column?", nameMadeUp
}

func sublinkName(s *pg_query.SubLink) (string, nameStrength) {
	switch s.SubLinkType {
	case pg_query.SubLinkType_EXISTS_SUBLINK:
		return "exists", nameStrong
	case pg_query.SubLinkType_ARRAY_SUBLINK:
		return "array", nameStrong
	case pg_query.SubLinkType_EXPR_SUBLINK:
		q := s.Subselect.GetSelectStmt()
		if q == nil || len(q.TargetList) == 0 {
			return "", nameStrong
		}
		t := q.TargetList[0].GetResTarget()
		if t.GetName() != "" {
			return t.Name, nameStrong
		}
		return figuredName(t.GetVal())
	default:
		return "?column?", nameMadeUp
	}
}

// lastString is the last of some names, "" if it is none.
func lastString(list []*pg_query.Node) string {
	for i := len(list) - 1; i >= 0; i-- {
		if s := list[i].GetString_(); s != nil {
			return s.Sval
		}
	}
	return ""
}

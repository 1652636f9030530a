package rewrite

import (
	"slices"
	"strconv"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// numbers are PostgreSQL's exact numbers: arithmetic has the type of the wider
// operand.
var numbers = []string{"int2", "int4", "int8", "numeric"}

// kind is the name of an expression's type, inert or not; "" is not known.
func (b *barrier) kind(n *pg_query.Node, lv *queryLevel) string {
	if c := n.GetAConst(); c != nil {
		return numberKind(c)
	}
	if t, ok := b.value(n, lv); ok && !t.collated && t.name != "enum" {
		if t.literal {
			return ""
		}
		if t.name != "" {
			return t.name
		}
	}
	switch v := n.GetNode().(type) {
	case *pg_query.Node_BoolExpr, *pg_query.Node_NullTest, *pg_query.Node_BooleanTest:
		return "bool"
	case *pg_query.Node_SubLink:
		switch v.SubLink.SubLinkType {
		case pg_query.SubLinkType_EXISTS_SUBLINK, pg_query.SubLinkType_ANY_SUBLINK, pg_query.SubLinkType_ALL_SUBLINK:
			return "bool"
		case pg_query.SubLinkType_EXPR_SUBLINK:
			return b.scalarKind(v.SubLink, lv)
		default:
			return ""
		}
	case *pg_query.Node_MinMaxExpr:
		return b.commonKind(v.MinMaxExpr.Args, lv)
	case *pg_query.Node_AExpr:
		if v.AExpr.Kind == pg_query.A_Expr_Kind_AEXPR_NULLIF {
			return b.kind(v.AExpr.Lexpr, lv)
		}
		if v.AExpr.Kind != pg_query.A_Expr_Kind_AEXPR_OP || compares[operatorName(v.AExpr)] {
			return "bool"
		}
		return b.arithmeticKind(v.AExpr, lv)
	case *pg_query.Node_TypeCast:
		return b.builtinName(v.TypeCast.TypeName)
	case *pg_query.Node_CoalesceExpr:
		return b.commonKind(v.CoalesceExpr.Args, lv)
	case *pg_query.Node_CaseExpr:
		results := one(v.CaseExpr.Defresult)
		for _, when := range v.CaseExpr.Args {
			results = append(results, when.GetCaseWhen().GetResult())
		}
		return b.commonKind(results, lv)
	case *pg_query.Node_FuncCall:
		return b.callKind(v.FuncCall, lv)
	}
	return ""
}

// scalarKind is the type of the value of a sub-select.
func (b *barrier) scalarKind(s *pg_query.SubLink, lv *queryLevel) string {
	if kind, known := b.kinds[s]; known {
		return kind
	}
	kind := ""
	if q := s.Subselect.GetSelectStmt(); q != nil {
		if list := b.prober().selectStmt(q, lv, lv.ctes, exposure{}); len(list.columns) == 1 && !list.partial {
			kind = list.columns[0].value.name
		}
	}
	b.kinds[s] = kind
	return kind
}

// numberKind is the type of a constant that is a number, or true or false.
func numberKind(c *pg_query.A_Const) string {
	switch v := c.GetVal().(type) {
	case *pg_query.A_Const_Boolval:
		return "bool"
	case *pg_query.A_Const_Ival:
		return "int4"
	case *pg_query.A_Const_Fval:
		if _, err := strconv.ParseInt(v.Fval.GetFval(), 10, 64); err == nil {
			return "int8"
		}
		return "numeric"
	}
	return ""
}

// resultKinds are functions with one result type, whatever their arguments.
var resultKinds = map[string]string{
	"count": "int8", "row_number": "int8", "rank": "int8", "dense_rank": "int8", "ntile": "int4",
	"left": "text", "right": "text", "concat": "text", "concat_ws": "text", "format": "text", "replace": "text", "split_part": "text",
	"translate": "text", "to_char": "text", "md5": "text", "initcap": "text", "repeat": "text", "lpad": "text", "rpad": "text", "chr": "text",
	"char_length": "int4", "octet_length": "int4", "strpos": "int4", "cardinality": "int4", "array_length": "int4",
	"extract": "numeric", "date_part": "float8",
	"to_jsonb": "jsonb", "jsonb_build_object": "jsonb", "jsonb_build_array": "jsonb", "jsonb_agg": "jsonb", "jsonb_object_agg": "jsonb",
	"to_date": "date", "to_timestamp": "timestamptz",
	"bool_and": "bool", "bool_or": "bool", "every": "bool", "starts_with": "bool",
}

// joinedText reports whether || of two operands is a text: both are, or string
// constants, which become texts beside one another.
func (b *barrier) joinedText(e *pg_query.A_Expr, lv *queryLevel) bool {
	text := func(n *pg_query.Node) bool {
		if _, constant := n.GetAConst().GetVal().(*pg_query.A_Const_Sval); constant {
			return true
		}
		k := b.kind(n, lv)
		return k == "text" || k == "varchar"
	}
	return e.Lexpr != nil && text(e.Lexpr) && text(e.Rexpr)
}

func (b *barrier) arithmeticKind(e *pg_query.A_Expr, lv *queryLevel) string {
	name := operatorName(e)
	if e.Kind == pg_query.A_Expr_Kind_AEXPR_OP && name == "||" && !b.catalog.UserOperator(name) && b.joinedText(e, lv) {
		return "text"
	}
	if e.Kind != pg_query.A_Expr_Kind_AEXPR_OP || !slices.Contains([]string{"+", "-", "*", "/", "%"}, name) {
		return ""
	}
	if e.Lexpr == nil {
		if k := b.kind(e.Rexpr, lv); slices.Contains(numbers, k) {
			return k
		}
		return ""
	}
	l, r := slices.Index(numbers, b.kind(e.Lexpr, lv)), slices.Index(numbers, b.kind(e.Rexpr, lv))
	if l < 0 || r < 0 {
		return ""
	}
	return numbers[max(l, r)]
}

// commonKind is the type of what becomes one of some values. Texts take it, and
// of numbers the widest counts.
func (b *barrier) commonKind(list []*pg_query.Node, lv *queryLevel) string {
	common, texts := "", false
	for _, n := range list {
		if c := n.GetAConst(); n.GetNode() == nil || c.GetIsnull() || c.GetSval() != nil {
			texts = texts || c.GetSval() != nil
			continue
		}
		switch k := b.kind(n, lv); {
		case slices.Contains(numbers, k) && slices.Contains(numbers, common):
			common = numbers[max(slices.Index(numbers, k), slices.Index(numbers, common))]
		case k == "" || common != "" && k != common:
			return ""
		default:
			common = k
		}
	}
	if common == "" && texts {
		return "text"
	}
	return common
}

// callKind is the type of aggregates and functions of texts.
func (b *barrier) callKind(f *pg_query.FuncCall, lv *queryLevel) string {
	names, ok := nameParts(f.Funcname)
	if !ok || len(names) > 1 && names[0] != schemaCatalog || len(b.catalog.Functions(names[len(names)-1])) > 0 {
		return ""
	}
	name := names[len(names)-1]
	if known := resultKinds[name]; known != "" {
		return known
	}
	switch {
	case len(f.Args) != 1:
		return ""
	case name == "upper", name == "lower": // of ranges as well
		if k := b.kind(f.Args[0], lv); k != "text" && k != "varchar" {
			return ""
		}
		return "text"
	}
	if _, text := f.Args[0].GetAConst().GetVal().(*pg_query.A_Const_Sval); text && name == "length" {
		return "int4" // of the types that a bare string constant could have, text is preferred
	}
	k := b.kind(f.Args[0], lv)
	whole := k == "int2" || k == "int4"
	switch {
	case k == "":
	case name == "length" && (k == "text" || k == "varchar"):
		return "int4"
	case name == "abs" && slices.Contains(numbers, k):
		return k
	case name == "min", name == "max":
		if k == "varchar" {
			k = "text"
		}
		return k
	case name == "sum" && whole:
		return "int8"
	case (name == "sum" || name == "avg") && (whole || k == "int8" || k == "numeric"):
		return "numeric"
	case (name == "sum" || name == "avg") && k == "float8":
		return "float8"
	}
	return ""
}

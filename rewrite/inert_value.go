package rewrite

import (
	"regexp"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// value judges an expression: its type, and whether it is inert.
func (b *barrier) value(n *pg_query.Node, lv *queryLevel) (valueType, bool) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_AConst:
		return constType(v.AConst), true
	case *pg_query.Node_ParamRef:
		return b.paramType(v.ParamRef), true
	case *pg_query.Node_ColumnRef:
		return lv.column(v.ColumnRef)
	case *pg_query.Node_TypeCast:
		return b.castValue(v.TypeCast, lv)
	case *pg_query.Node_BoolExpr:
		for _, arg := range v.BoolExpr.Args {
			if !b.boolean(arg, lv) {
				return valueType{}, false
			}
		}
		return boolType, true
	case *pg_query.Node_NullTest:
		_, ok := b.value(v.NullTest.Arg, lv)
		return boolType, ok
	case *pg_query.Node_BooleanTest:
		return boolType, b.boolean(v.BooleanTest.Arg, lv)
	case *pg_query.Node_AExpr:
		return b.operation(v.AExpr, lv)
	case *pg_query.Node_AArrayExpr:
		return b.array(v.AArrayExpr, lv)
	case *pg_query.Node_CoalesceExpr:
		return b.coalesce(v.CoalesceExpr, lv)
	case *pg_query.Node_AIndirection:
		return b.subscript(v.AIndirection, lv)
	case *pg_query.Node_FuncCall:
		return b.call(v.FuncCall, lv)
	case *pg_query.Node_SqlvalueFunction:
		switch v.SqlvalueFunction.Op {
		case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_DATE:
			return valueType{name: "date"}, true
		case pg_query.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP:
			return valueType{name: "timestamptz"}, true
		case pg_query.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP:
			return valueType{name: "timestamp"}, true
		default:
			return valueType{}, false
		}
	case *pg_query.Node_SubLink:
		return b.subLink(v.SubLink, lv)
	}
	return valueType{}, false
}

// boolean judges an operand of AND, OR, NOT, or a whole condition.
func (b *barrier) boolean(n *pg_query.Node, lv *queryLevel) bool {
	t, ok := b.value(n, lv)
	return ok && (t.literal || t.safe || t.name == "bool")
}

// constType is the type of a constant. Numbers are computed into what they are
// compared with while the server plans.
func constType(c *pg_query.A_Const) valueType {
	switch c.Val.(type) {
	case *pg_query.A_Const_Boolval:
		return boolType
	case *pg_query.A_Const_Bsval:
		return valueType{}
	}
	return literalType
}

// paramType is the type of a parameter. One that is not declared takes that of
// its first use; were there a second, the server could cast the value there.
func (b *barrier) paramType(p *pg_query.ParamRef) valueType {
	oid := uint32(0)
	if i := int(p.Number) - 1; i >= 0 && i < len(b.declared) {
		oid = b.declared[i]
	}
	if oid != 0 && oid != oidUnknown {
		return valueType{name: paramTypes[oid]}
	}
	if b.uses(p.Number) > 1 {
		return valueType{literal: true, name: "param"}
	}
	return literalType
}

func (b *barrier) castValue(c *pg_query.TypeCast, lv *queryLevel) (valueType, bool) {
	to := b.builtinName(c.TypeName)
	if enum, ok := b.enumName(c.TypeName); ok && c.Arg.GetAConst().GetSval() != nil {
		return enum, true
	}
	if to == "" {
		return valueType{}, false
	}
	result := valueType{name: to}
	if c.Arg.GetAConst() != nil {
		return result, true
	}
	if p := c.Arg.GetParamRef(); p != nil {
		t := b.paramType(p)
		return result, t == literalType || t.name == to
	}
	from, ok := b.value(c.Arg, lv)
	if !ok || from.literal {
		return valueType{}, false
	}
	result.collated = from.collated
	if from.safe {
		result.safe = true
		return result, true
	}
	switch to {
	case "text", "varchar":
		return result, vetted.asText[from.name]
	case "int4":
		return result, from.name == "int2" || from.name == to
	case "int8":
		return result, from.name == "int2" || from.name == "int4" || from.name == to
	case "numeric":
		return result, from.name == "int2" || from.name == "int4" || from.name == "int8" || from.name == to
	case "date":
		return result, from.name == "timestamp" || from.name == "timestamptz" || from.name == to
	}
	return result, from.name == to
}

func (b *barrier) operation(e *pg_query.A_Expr, lv *queryLevel) (valueType, bool) {
	no := valueType{}
	name := operatorName(e)
	switch e.Kind {
	case pg_query.A_Expr_Kind_AEXPR_OP:
		if e.Lexpr == nil {
			return no, false
		}
		if t, ok := b.clockOffset(e, lv); ok {
			return t, true
		}
		if e.Lexpr.GetRowExpr() != nil {
			return boolType, compares[name] && b.comparedRows(e.Lexpr, e.Rexpr, lv)
		}
		l, lok := b.value(e.Lexpr, lv)
		r, rok := b.value(e.Rexpr, lv)
		if !lok || !rok {
			return no, false
		}
		switch {
		case compares[name]:
			return boolType, b.compared(l, r)
		case name == "->" || name == "->>":
			constant := e.Rexpr.GetAConst() != nil
			if name == "->" {
				return valueType{name: l.name}, l.name == "jsonb" && constant
			}
			return valueType{name: "text"}, l.name == "jsonb" && constant
		case name == "@>" && l.name == "jsonb":
			text := e.Rexpr.GetAConst().GetSval()
			return boolType, text != nil && len(text.Sval) < 1000 // a deep document could exhaust the stack
		case name == "?" && l.name == "jsonb":
			return boolType, r.literal
		case name == "@>" || name == "&&" || name == "<@":
			return boolType, (strings.HasPrefix(l.name, "_") || strings.HasPrefix(r.name, "_")) && b.compared(l, r)
		default: // all others but this one are strict
			return valueType{name: b.arithmeticKind(e, lv), safe: true}, bothSafe(l, r) && name != "" && name != "||"
		}
	case pg_query.A_Expr_Kind_AEXPR_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		l, lok := b.value(e.Lexpr, lv)
		r, rok := b.value(e.Rexpr, lv)
		return boolType, lok && rok && b.compared(l, r)
	case pg_query.A_Expr_Kind_AEXPR_IN, pg_query.A_Expr_Kind_AEXPR_BETWEEN, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN:
		l, lok := b.value(e.Lexpr, lv)
		if !lok && e.Lexpr.GetRowExpr() == nil {
			return no, false
		}
		for _, item := range e.Rexpr.GetList().GetItems() {
			if e.Lexpr.GetRowExpr() != nil {
				if !b.comparedRows(e.Lexpr, item, lv) {
					return no, false
				}
				continue
			}
			if r, ok := b.value(item, lv); !ok || !b.compared(l, r) {
				return no, false
			}
		}
		return boolType, true
	case pg_query.A_Expr_Kind_AEXPR_OP_ANY, pg_query.A_Expr_Kind_AEXPR_OP_ALL:
		l, lok := b.value(e.Lexpr, lv)
		r, rok := b.value(e.Rexpr, lv)
		if !lok || !rok || !compares[name] {
			return no, false
		}
		if r == literalType {
			return boolType, l.safe || vetted.compare[l.name]
		}
		element, ok := strings.CutPrefix(r.name, "_")
		return boolType, ok && b.compared(l, valueType{name: element, collated: r.collated})
	case pg_query.A_Expr_Kind_AEXPR_LIKE, pg_query.A_Expr_Kind_AEXPR_ILIKE:
		l, lok := b.value(e.Lexpr, lv)
		pattern := e.Rexpr.GetAConst().GetSval()
		if l.safe && e.Rexpr.GetAConst() != nil {
			return boolType, true
		}
		if !lok || l.collated || l.name != "text" && l.name != "varchar" {
			return no, false
		}
		if p := e.Rexpr.GetParamRef(); p != nil { // looked at when it is bound
			t := b.paramType(p)
			inert := t.literal || t.name == "text" || t.name == "varchar"
			b.patterns[p.Number] = b.patterns[p.Number] || inert
			return boolType, inert
		}
		return boolType, pattern != nil && wholePattern(pattern.Sval)
	default:
	}
	return no, false
}

// comparedRows reports whether two rows can be compared, column by column.
func (b *barrier) comparedRows(left, right *pg_query.Node, lv *queryLevel) bool {
	l, r := left.GetRowExpr().GetArgs(), right.GetRowExpr().GetArgs()
	if len(l) != len(r) || len(l) == 0 {
		return false
	}
	for i := range l {
		lt, lok := b.value(l[i], lv)
		rt, rok := b.value(r[i], lv)
		if !lok || !rok || !b.compared(lt, rt) {
			return false
		}
	}
	return true
}

// array judges ARRAY[...] of constants and parameters.
func (b *barrier) array(a *pg_query.A_ArrayExpr, lv *queryLevel) (valueType, bool) {
	element, constant := valueType{}, true
	for i, n := range a.Elements {
		t, ok := b.value(n, lv)
		if !ok || n.GetColumnRef() != nil || t.literal && t.name != "" || i > 0 && t != element {
			return valueType{}, false
		}
		element = t
		constant = constant && n.GetAConst() != nil
	}
	switch {
	case constant:
		return literalType, len(a.Elements) > 0
	case element == literalType:
		return valueType{name: "_text"}, true
	case element.name == "" || element.name[0] == '_':
		return valueType{}, false
	}
	return valueType{name: "_" + element.name}, true
}

// subscript judges array[1].
func (b *barrier) subscript(a *pg_query.A_Indirection, lv *queryLevel) (valueType, bool) {
	t, ok := b.value(a.Arg, lv)
	element, isArray := strings.CutPrefix(t.name, "_")
	if !ok || !isArray || len(a.Indirection) != 1 {
		return valueType{}, false
	}
	i := a.Indirection[0].GetAIndices()
	return valueType{name: element, collated: t.collated}, i != nil && !i.IsSlice && i.Uidx.GetAConst().GetIval() != nil
}

func (b *barrier) coalesce(c *pg_query.CoalesceExpr, lv *queryLevel) (valueType, bool) {
	result := literalType
	for _, n := range c.Args {
		t, ok := b.value(n, lv)
		switch {
		case !ok || t.literal && t.name != "" || t.collated:
			return valueType{}, false
		case t.literal:
		case result.literal:
			result = t
		case t != result:
			return valueType{}, false
		}
	}
	result.safe = false // it puts a value in place of NULL
	return result, result.name != ""
}

// call judges functions. The guard has seen that no user's function has the
// name.
func (b *barrier) call(f *pg_query.FuncCall, lv *queryLevel) (valueType, bool) {
	parts, ok := nameParts(f.Funcname)
	if !ok || len(parts) == 2 && parts[0] != schemaCatalog || len(parts) > 2 || len(b.catalog.Functions(parts[len(parts)-1])) > 0 {
		return valueType{}, false
	}
	if f.AggStar || f.AggDistinct || f.AggFilter != nil || len(f.AggOrder) > 0 || f.Over != nil || f.FuncVariadic {
		return valueType{}, false
	}
	name := parts[len(parts)-1]
	if vetted.clock[name] && len(f.Args) == 0 {
		return valueType{name: "timestamptz"}, true
	}
	if vetted.strings[name] && len(f.Args) == 1 {
		t, ok := b.value(f.Args[0], lv)
		result := "text"
		if strings.HasSuffix(name, "length") {
			result = "int4"
		}
		return valueType{name: result}, ok && !t.collated && (t.name == "text" || t.name == "varchar")
	}
	return valueType{}, false
}

// smallInterval is an interval that leads from now to a date that exists.
var smallInterval = regexp.MustCompile(`^-?(\d{1,3} years?|\d{1,4} (months?|mons?|weeks?|days?|hours?|minutes?|mins?|seconds?|secs?))$`)

// clockOffset judges now() - interval '7 days' and current_date - 7. Other
// arithmetic can overflow.
func (b *barrier) clockOffset(e *pg_query.A_Expr, lv *queryLevel) (valueType, bool) {
	if name := operatorName(e); name != "+" && name != "-" {
		return valueType{}, false
	}
	if e.Lexpr.GetFuncCall() == nil && e.Lexpr.GetSqlvalueFunction() == nil {
		return valueType{}, false
	}
	t, ok := b.value(e.Lexpr, lv)
	if !ok || t.name != "date" && t.name != "timestamptz" && t.name != "timestamp" {
		return valueType{}, false
	}
	if c := e.Rexpr.GetAConst(); c != nil && t.name == "date" {
		_, whole := c.Val.(*pg_query.A_Const_Ival)
		return t, whole && c.GetIval().GetIval() < 1_000_000 && c.GetIval().GetIval() > -1_000_000
	}
	tc := e.Rexpr.GetTypeCast()
	text := tc.GetArg().GetAConst().GetSval()
	names, _ := nameParts(tc.GetTypeName().GetNames())
	if text == nil || len(tc.TypeName.Typmods) > 0 || len(names) == 0 || names[len(names)-1] != "interval" ||
		b.builtinName(tc.TypeName) != "interval" || !smallInterval.MatchString(text.Sval) {
		return valueType{}, false
	}
	if t.name == "date" {
		t.name = "timestamp"
	}
	return t, true
}

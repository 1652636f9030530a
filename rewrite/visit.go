package rewrite

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// children calls f for the nodes directly below n, in no particular order. It
// knows the nodes of expressions and clauses. Nodes that open a scope or name
// a relation are for its callers; for these, and for all others, it is an
// error.
func children(n *pg_query.Node, f func(*pg_query.Node) error) error {
	switch v := n.GetNode().(type) {
	case nil:
		return nil // an empty place in a list, as of DISTINCT

	case *pg_query.Node_AConst, *pg_query.Node_ParamRef, *pg_query.Node_String_, *pg_query.Node_Integer,
		*pg_query.Node_Float, *pg_query.Node_Boolean, *pg_query.Node_BitString, *pg_query.Node_AStar,
		*pg_query.Node_SetToDefault, *pg_query.Node_SqlvalueFunction, *pg_query.Node_CurrentOfExpr:
		return nil

	case *pg_query.Node_ColumnRef:
		return each(f, v.ColumnRef.Fields)
	case *pg_query.Node_List:
		return each(f, v.List.Items)
	case *pg_query.Node_AExpr:
		return each(f, v.AExpr.Name, one(v.AExpr.Lexpr, v.AExpr.Rexpr))
	case *pg_query.Node_AIndices:
		return each(f, one(v.AIndices.Lidx, v.AIndices.Uidx))
	case *pg_query.Node_AIndirection:
		return each(f, one(v.AIndirection.Arg), v.AIndirection.Indirection)
	case *pg_query.Node_AArrayExpr:
		return each(f, v.AArrayExpr.Elements)
	case *pg_query.Node_BoolExpr:
		return each(f, v.BoolExpr.Args)
	case *pg_query.Node_NullTest:
		return each(f, one(v.NullTest.Arg))
	case *pg_query.Node_BooleanTest:
		return each(f, one(v.BooleanTest.Arg))
	case *pg_query.Node_CaseExpr:
		return each(f, one(v.CaseExpr.Arg, v.CaseExpr.Defresult), v.CaseExpr.Args)
	case *pg_query.Node_CaseWhen:
		return each(f, one(v.CaseWhen.Expr, v.CaseWhen.Result))
	case *pg_query.Node_CoalesceExpr:
		return each(f, v.CoalesceExpr.Args)
	case *pg_query.Node_MinMaxExpr:
		return each(f, v.MinMaxExpr.Args)
	case *pg_query.Node_RowExpr:
		return each(f, v.RowExpr.Args, v.RowExpr.Colnames)
	case *pg_query.Node_SubLink:
		return each(f, one(v.SubLink.Testexpr, v.SubLink.Subselect), v.SubLink.OperName)
	case *pg_query.Node_FuncCall:
		return each(f, v.FuncCall.Funcname, v.FuncCall.Args, v.FuncCall.AggOrder,
			one(v.FuncCall.AggFilter, window(v.FuncCall.Over)))
	case *pg_query.Node_NamedArgExpr:
		return each(f, one(v.NamedArgExpr.Arg))
	case *pg_query.Node_GroupingFunc:
		return each(f, v.GroupingFunc.Args, v.GroupingFunc.Refs)
	case *pg_query.Node_TypeCast:
		return each(f, one(v.TypeCast.Arg, typeName(v.TypeCast.TypeName)))
	case *pg_query.Node_TypeName:
		return each(f, v.TypeName.Names, v.TypeName.Typmods, v.TypeName.ArrayBounds)
	case *pg_query.Node_CollateClause:
		return each(f, one(v.CollateClause.Arg), v.CollateClause.Collname)
	case *pg_query.Node_MultiAssignRef:
		return each(f, one(v.MultiAssignRef.Source))

	case *pg_query.Node_ResTarget:
		return each(f, v.ResTarget.Indirection, one(v.ResTarget.Val))
	case *pg_query.Node_SortBy:
		return each(f, one(v.SortBy.Node), v.SortBy.UseOp)
	case *pg_query.Node_WindowDef:
		return each(f, v.WindowDef.PartitionClause, v.WindowDef.OrderClause,
			one(v.WindowDef.StartOffset, v.WindowDef.EndOffset))
	case *pg_query.Node_GroupingSet:
		return each(f, v.GroupingSet.Content)
	case *pg_query.Node_IndexElem:
		return each(f, one(v.IndexElem.Expr), v.IndexElem.Collation, v.IndexElem.Opclass, v.IndexElem.Opclassopts)
	case *pg_query.Node_InferClause:
		return each(f, v.InferClause.IndexElems, one(v.InferClause.WhereClause))
	case *pg_query.Node_DefElem:
		return each(f, one(v.DefElem.Arg))

	case *pg_query.Node_RangeFunction:
		return each(f, v.RangeFunction.Functions, v.RangeFunction.Coldeflist, one(alias(v.RangeFunction.Alias)))
	case *pg_query.Node_RangeTableFunc:
		return each(f, one(v.RangeTableFunc.Docexpr, v.RangeTableFunc.Rowexpr, alias(v.RangeTableFunc.Alias)),
			v.RangeTableFunc.Namespaces, v.RangeTableFunc.Columns)
	case *pg_query.Node_RangeTableFuncCol:
		c := v.RangeTableFuncCol
		return each(f, one(typeName(c.TypeName), c.Colexpr, c.Coldefexpr))
	case *pg_query.Node_RangeSubselect:
		return each(f, one(v.RangeSubselect.Subquery, alias(v.RangeSubselect.Alias)))
	case *pg_query.Node_Alias:
		return each(f, v.Alias.Colnames)
	case *pg_query.Node_ColumnDef:
		return columnDef(v.ColumnDef, f)

	case *pg_query.Node_XmlExpr:
		return each(f, v.XmlExpr.NamedArgs, v.XmlExpr.ArgNames, v.XmlExpr.Args)
	case *pg_query.Node_XmlSerialize:
		return each(f, one(v.XmlSerialize.Expr, typeName(v.XmlSerialize.TypeName)))
	}
	return jsonChildren(n, f)
}

// columnDef visits a column of a function's result. It has a name, a type and
// a collation; what only tables have is an error.
func columnDef(d *pg_query.ColumnDef, f func(*pg_query.Node) error) error {
	if d.RawDefault != nil || d.CookedDefault != nil || d.IdentitySequence != nil ||
		len(d.Constraints) > 0 || len(d.Fdwoptions) > 0 {
		return unsupportedNode("a column definition", d.Location)
	}
	var collation *pg_query.Node
	if d.CollClause != nil {
		collation = &pg_query.Node{Node: &pg_query.Node_CollateClause{CollateClause: d.CollClause}}
	}
	return each(f, one(typeName(d.TypeName), collation))
}

// jsonChildren visits the nodes of SQL/JSON.
func jsonChildren(n *pg_query.Node, f func(*pg_query.Node) error) error {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_JsonOutput:
		return each(f, one(typeName(v.JsonOutput.TypeName)))
	case *pg_query.Node_JsonValueExpr:
		return each(f, one(v.JsonValueExpr.RawExpr, v.JsonValueExpr.FormattedExpr))
	case *pg_query.Node_JsonKeyValue:
		return each(f, one(v.JsonKeyValue.Key, jsonValue(v.JsonKeyValue.Value)))
	case *pg_query.Node_JsonIsPredicate:
		return each(f, one(v.JsonIsPredicate.Expr))
	case *pg_query.Node_JsonObjectConstructor:
		return each(f, v.JsonObjectConstructor.Exprs, one(jsonOutput(v.JsonObjectConstructor.Output)))
	case *pg_query.Node_JsonArrayConstructor:
		return each(f, v.JsonArrayConstructor.Exprs, one(jsonOutput(v.JsonArrayConstructor.Output)))
	case *pg_query.Node_JsonArrayQueryConstructor:
		return each(f, one(v.JsonArrayQueryConstructor.Query, jsonOutput(v.JsonArrayQueryConstructor.Output)))
	case *pg_query.Node_JsonAggConstructor:
		c := v.JsonAggConstructor
		return each(f, c.AggOrder, one(c.AggFilter, jsonOutput(c.Output), window(c.Over)))
	case *pg_query.Node_JsonObjectAgg:
		var pair *pg_query.Node
		if v.JsonObjectAgg.Arg != nil {
			pair = &pg_query.Node{Node: &pg_query.Node_JsonKeyValue{JsonKeyValue: v.JsonObjectAgg.Arg}}
		}
		return each(f, one(pair, jsonAgg(v.JsonObjectAgg.Constructor)))
	case *pg_query.Node_JsonArrayAgg:
		return each(f, one(jsonValue(v.JsonArrayAgg.Arg), jsonAgg(v.JsonArrayAgg.Constructor)))
	}
	return unsupportedNode(nodeName(n), -1)
}

// each calls f for every node of the lists that is there.
func each(f func(*pg_query.Node) error, lists ...[]*pg_query.Node) error {
	for _, list := range lists {
		for _, n := range list {
			if n == nil {
				continue
			}
			if err := f(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// one makes a list of single nodes; some may be nil.
func one(n ...*pg_query.Node) []*pg_query.Node { return n }

func typeName(t *pg_query.TypeName) *pg_query.Node {
	if t == nil {
		return nil
	}
	return &pg_query.Node{Node: &pg_query.Node_TypeName{TypeName: t}}
}

func alias(a *pg_query.Alias) *pg_query.Node {
	if a == nil {
		return nil
	}
	return &pg_query.Node{Node: &pg_query.Node_Alias{Alias: a}}
}

func window(w *pg_query.WindowDef) *pg_query.Node {
	if w == nil {
		return nil
	}
	return &pg_query.Node{Node: &pg_query.Node_WindowDef{WindowDef: w}}
}

func jsonValue(e *pg_query.JsonValueExpr) *pg_query.Node {
	if e == nil {
		return nil
	}
	return &pg_query.Node{Node: &pg_query.Node_JsonValueExpr{JsonValueExpr: e}}
}

func jsonOutput(o *pg_query.JsonOutput) *pg_query.Node {
	if o == nil {
		return nil
	}
	return &pg_query.Node{Node: &pg_query.Node_JsonOutput{JsonOutput: o}}
}

func jsonAgg(c *pg_query.JsonAggConstructor) *pg_query.Node {
	if c == nil {
		return nil
	}
	return &pg_query.Node{Node: &pg_query.Node_JsonAggConstructor{JsonAggConstructor: c}}
}

// eachField calls f for the fields of a message that are set, in the order of
// their definition, until f returns false. protoreflect's Range has another
// order in each build, and errors would depend on it.
func eachField(m protoreflect.Message, f func(protoreflect.FieldDescriptor, protoreflect.Value) bool) {
	fields, oneofs := m.Descriptor().Fields(), m.Descriptor().Oneofs()
	if oneofs.Len() == 1 && oneofs.Get(0).Fields().Len() == fields.Len() { // Node, which has hundreds, one of them set
		if field := m.WhichOneof(oneofs.Get(0)); field != nil {
			f(field, m.Get(field))
		}
		return
	}
	for i := range fields.Len() {
		if field := fields.Get(i); m.Has(field) && !f(field, m.Get(field)) {
			return
		}
	}
}

// nodeName is the name of a node's type, as "MergeStmt".
func nodeName(n *pg_query.Node) string {
	m := n.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("node"))
	if field == nil {
		return "nothing"
	}
	return string(field.Message().Name())
}

// unsupportedNode refuses a part of a parse tree that nobody planned for.
func unsupportedNode(name string, offset int32) error {
	return &nodeError{name: name, offset: offset}
}

// A nodeError is a node that is not known where it was met. It becomes an
// UnsupportedError where the text is at hand.
type nodeError struct {
	name   string
	offset int32
}

func (e *nodeError) Error() string { return fmt.Sprintf("unexpected %s", e.name) }

package rewrite

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A view that became a sub-select differs from a view in two ways that a
// statement can see. Its rows have no type of their own: they are records, whose
// columns are called as the alias says, not the view. And its columns have no schema: there is no schema.view.column.

// rowFunctions take a record for what it is, whatever its type is called.
var rowFunctions = []string{
	"row_to_json", "to_json", "to_jsonb", "json_agg", "jsonb_agg", "json_build_object", "jsonb_build_object",
	"json_build_array", "jsonb_build_array", "json_object_agg", "jsonb_object_agg", "count", "concat", "concat_ws", "format",
}

// A rowPlace is what a place in a statement wants of a whole row.
type rowPlace uint8

const (
	placeTyped   rowPlace = iota // its type may matter
	placeRecord                  // its columns and their names, whatever the type
	placeColumns                 // its columns one by one: no row at all
)

// viewReferences refuses references to views that would not mean the same.
func (c *confiner) viewReferences(stmt *pg_query.Node) error {
	if len(c.viewNames) == 0 {
		return nil
	}
	return c.viewReferencesBelow(stmt, placeTyped)
}

// viewReferencesBelow looks at a node and all below it, but not into the views
// themselves.
func (c *confiner) viewReferencesBelow(n *pg_query.Node, at rowPlace) error {
	if c.views[n] != nil {
		return nil
	}
	inner := placeTyped
	switch v := n.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		return c.viewReference(v.ColumnRef, at)
	case *pg_query.Node_ResTarget:
		if ref := v.ResTarget.GetVal().GetColumnRef(); ref != nil && isStar(v.ResTarget.Val) {
			return c.viewReference(ref, placeColumns)
		}
	case *pg_query.Node_FuncCall:
		if isRowFunction(v.FuncCall) {
			inner = placeRecord
		}
	case *pg_query.Node_TypeCast:
		names, _ := nameParts(v.TypeCast.GetTypeName().GetNames())
		if len(names) > 0 && names[len(names)-1] == "text" {
			inner = placeRecord
		}
	case *pg_query.Node_NullTest, *pg_query.Node_AIndirection, *pg_query.Node_SortBy:
		inner = placeRecord
	}
	var err error
	eachField(n.ProtoReflect(), func(_ protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		m, ok := value.Interface().(protoreflect.Message)
		if ok {
			err = c.viewReferencesIn(m, inner)
		}
		return err == nil
	})
	return err
}

// viewReferencesIn goes through a message to the nodes in it.
func (c *confiner) viewReferencesIn(m protoreflect.Message, at rowPlace) error {
	if n, ok := m.Interface().(*pg_query.Node); ok {
		return c.viewReferencesBelow(n, at)
	}
	var err error
	eachField(m, func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Kind() != protoreflect.MessageKind {
			return true
		}
		if !field.IsList() {
			err = c.viewReferencesIn(value.Message(), at)
			return err == nil
		}
		for i := range value.List().Len() {
			if err = c.viewReferencesIn(value.List().Get(i).Message(), at); err != nil {
				return false
			}
		}
		return true
	})
	return err
}

// viewReference decides about one reference.
func (c *confiner) viewReference(ref *pg_query.ColumnRef, at rowPlace) error {
	path := make([]string, 0, len(ref.Fields))
	for _, f := range ref.Fields {
		path = append(path, f.GetString_().GetSval()) // "" is a star
	}
	if len(path) > 2 && c.bareViews[path[1]] != nil && c.bareViews[path[1]].Schema == path[0] {
		return c.refusal(ruleViewQualified, fmt.Sprintf("a column of view %q with the view's schema", path[1]),
			"Write view.column, without the schema.", ref.Location)
	}
	rel := c.viewNames[path[0]]
	row := len(path) == 1 || len(path) == 2 && path[1] == ""
	if rel == nil || !row || columnIndex(rel, path[0]) >= 0 || at == placeColumns ||
		at == placeRecord && !c.renamed[path[0]] {
		return nil
	}
	return c.refusal(ruleViewWholeRow, fmt.Sprintf("a whole row of view %q in this place", rel.Name),
		"Name the columns, or use row_to_json.", ref.Location)
}

// isRowFunction reports whether a call is one of PostgreSQL's own functions
// that take records.
func isRowFunction(f *pg_query.FuncCall) bool {
	names, _ := nameParts(f.Funcname)
	switch {
	case len(names) == 1:
		return slices.Contains(rowFunctions, names[0])
	case len(names) == 2 && names[0] == schemaCatalog:
		return slices.Contains(rowFunctions, names[1])
	default:
		return false
	}
}

package rewrite

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// operator decides about an operator. The server finds one without a schema by
// the search path, and by the types of its operands the one of a user before
// its own.
func (w *walk) operator(names []*pg_query.Node, location int32) error {
	parts, ok := nameParts(names)
	if !ok {
		return w.unlistedNode("an operator without a name", location)
	}
	switch {
	case len(parts) == 1 && !w.cat.UserOperator(parts[0]):
		return nil
	case len(parts) == 2 && parts[0] == schemaCatalog:
		return nil
	}
	return w.forbid(ruleOperatorUnlisted, fmt.Sprintf("permission denied for operator %s", strings.Join(parts, ".")),
		fmt.Sprintf("Another operator of the name exists. Write OPERATOR(pg_catalog.%s).", parts[len(parts)-1]), location)
}

// implied decides about operators that a construct looks up by itself.
func (w *walk) implied(location int32, names ...string) error {
	for _, name := range names {
		if w.cat.UserOperator(name) {
			return w.forbid(ruleOperatorUnlisted, fmt.Sprintf("permission denied for operator %s", name),
				fmt.Sprintf("Another operator of the name exists, and this construct looks for one. Write OPERATOR(pg_catalog.%s).", name),
				location)
		}
	}
	return nil
}

func (w *walk) aExpr(e *pg_query.A_Expr) error {
	switch e.Kind {
	case pg_query.A_Expr_Kind_AEXPR_BETWEEN, pg_query.A_Expr_Kind_AEXPR_BETWEEN_SYM,
		pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		return w.implied(e.Location, "<", "<=", ">", ">=")
	case pg_query.A_Expr_Kind_AEXPR_OP, pg_query.A_Expr_Kind_AEXPR_OP_ANY, pg_query.A_Expr_Kind_AEXPR_OP_ALL,
		pg_query.A_Expr_Kind_AEXPR_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT,
		pg_query.A_Expr_Kind_AEXPR_NULLIF, pg_query.A_Expr_Kind_AEXPR_IN,
		pg_query.A_Expr_Kind_AEXPR_LIKE, pg_query.A_Expr_Kind_AEXPR_ILIKE, pg_query.A_Expr_Kind_AEXPR_SIMILAR:
		return w.operator(e.Name, e.Location)
	default:
		return w.unlistedNode("this expression", e.Location)
	}
}

func (w *walk) subLink(s *pg_query.SubLink) error {
	if len(s.OperName) > 0 {
		return w.operator(s.OperName, s.Location)
	}
	if s.SubLinkType == pg_query.SubLinkType_ANY_SUBLINK {
		return w.implied(s.Location, "=") // IN
	}
	return nil
}

func (w *walk) caseExpr(c *pg_query.CaseExpr) error {
	if c.Arg == nil {
		return nil
	}
	return w.implied(c.Location, "=")
}

func (w *walk) sortBy(s *pg_query.SortBy) error {
	if len(s.UseOp) == 0 {
		return nil
	}
	return w.operator(s.UseOp, s.Location)
}

// typeName decides about the type of a cast or a column. PostgreSQL's own are
// harmless; others must be in the catalog, where temporary ones are not.
func (w *walk) typeName(t *pg_query.TypeName) error {
	parts, ok := nameParts(t.Names)
	if !ok || t.PctType {
		return w.unlistedNode("this type", t.Location)
	}
	if err := w.casts(parts, t.Location); err != nil {
		return err
	}
	switch {
	case len(parts) == 1:
		return nil // temporary types come last: what is not in the catalog does not exist
	case len(parts) == 2 && (parts[0] == schemaCatalog || parts[0] == schemaInformation):
		return nil
	case len(parts) == 2:
		if _, ok := w.cat.Type(parts[0], parts[1]); ok {
			return nil
		}
	}
	return w.forbid(ruleTypeUnlisted, fmt.Sprintf("permission denied for type %s", strings.Join(parts, ".")),
		"There is no such type, or it is temporary.", t.Location)
}

// casts decides about the functions that a cast to a type may call.
func (w *walk) casts(parts []string, location int32) error {
	if len(parts) == 2 && parts[0] == schemaCatalog {
		return nil
	}
	name := parts[len(parts)-1]
	for _, f := range w.cat.CastFunctions(name) {
		if !permitted(w.cat, f) {
			return w.forbid(ruleTypeUnlisted, fmt.Sprintf("permission denied for type %s", strings.Join(parts, ".")),
				fmt.Sprintf("A cast of the type calls %s; the operator can list it under tenancy.functions.allow.", f), location)
		}
	}
	return nil
}

// The server before version 16 knows no SQL/JSON constructors: to it these are
// calls of functions that users may have made.

func (w *walk) jsonArray(c *pg_query.JsonArrayConstructor) error {
	return w.constructor("json_array", len(c.Exprs), c.Location)
}

func (w *walk) jsonArrayAgg(a *pg_query.JsonArrayAgg) error {
	return w.constructor("json_arrayagg", 1, a.Constructor.GetLocation())
}

func (w *walk) jsonObjectAgg(a *pg_query.JsonObjectAgg) error {
	return w.constructor("json_objectagg", 2, a.Constructor.GetLocation())
}

func (w *walk) constructor(name string, args int, location int32) error {
	c := &call{name: name, args: args, location: location}
	if w.shadowed(c) {
		return w.forbidFunction(ruleFunctionShadowed, c, "Another function of the name exists.")
	}
	return nil
}

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// Sizes on disk are those of all tenants together. A tenant is told none: the
// function is called with NULL, for which it answers NULL, as it does for a
// relation that has gone.
//
//	pg_table_size(relation)   ... (CASE WHEN false THEN relation END)
//
// The relation is not looked at, but has to be there where a constant names it.

var typeRegclass = catalog.Type{OID: oidRegclass, Schema: schemaCatalog, Name: "regclass"}

// beyondDatabase are functions that tell of more than the tenant's own also
// where the database has no other tenants.
var beyondDatabase = map[string]bool{"pg_database_size": true, "pg_tablespace_size": true}

// withheldCall decides about a function whose answer is not for tenants.
func (w *walk) withheldCall(f *pg_query.FuncCall, c *call, rule functionRule) error {
	if err := w.builtin(c); err != nil {
		return err
	}
	if plainCall(f) != c.name || len(f.Args) == 0 || len(f.Args) > 2 {
		return w.forbidFunction(rule.rule, c, hintPlainCall)
	}
	if !w.keepsApart {
		return w.forbidFunction(rule.rule, c, hintKeepsApart)
	}
	if !w.g.oneTenant || beyondDatabase[c.name] {
		w.apart = append(w.apart, f)
	}
	return nil
}

// withheldForm makes an argument NULL. A parameter or a string gets the type
// that it would have without it.
func (c *confiner) withheldForm(f *pg_query.FuncCall) wrapping {
	w := wrapping{start: "CASE WHEN false THEN ", end: " END"}
	var otherwise *pg_query.Node
	if arg := f.Args[0]; !beyondDatabase[plainCall(f)] && (arg.GetAConst().GetSval() != nil || c.undeclared(arg.GetParamRef())) {
		w.end = " ELSE NULL::pg_catalog.regclass END"
		otherwise = cast(nullConst(), typeRegclass)
	}
	w.node = func(arg *pg_query.Node) *pg_query.Node {
		when := &pg_query.CaseWhen{Expr: boolConst(false), Result: arg}
		return &pg_query.Node{Node: &pg_query.Node_CaseExpr{CaseExpr: &pg_query.CaseExpr{
			Args:      []*pg_query.Node{{Node: &pg_query.Node_CaseWhen{CaseWhen: when}}},
			Defresult: otherwise,
		}}}
	}
	return w
}

// undeclared reports whether the server is to find a parameter's type.
func (c *confiner) undeclared(p *pg_query.ParamRef) bool {
	return p != nil && (int(p.Number) > len(c.declared) || c.declared[p.Number-1] == 0)
}

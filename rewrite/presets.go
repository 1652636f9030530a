package rewrite

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// presets are parameters of the server, without units, that nobody can set.
var presets = func() map[string]bool {
	m := make(map[string]bool)
	for _, name := range strings.Fields(`block_size integer_datetimes max_function_args max_identifier_length max_index_keys
		server_encoding server_version server_version_num`) {
		m[name] = true
	}
	return m
}()

// selectPreset reads how PgJDBC asks for one of them, which tenants may not
// read pg_settings for:
//
//	SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'
func selectPreset(v *pg_query.SelectStmt, cat *catalog.Snapshot, src *source) (Statement, bool) {
	name := v.GetWhereClause().GetAExpr().GetRexpr().GetAConst()
	if len(v.FromClause) != 1 || v.FromClause[0].GetRangeVar().GetRelname() != "pg_settings" || name.GetSval() == nil {
		return Statement{}, false
	}
	src.read(src.find(name.Location))
	if !presets[name.GetSval().Sval] || cat.FunctionDenied(schemaCatalog, "current_setting") {
		return Statement{}, false
	}
	constant := quoteLiteral(name.GetSval().Sval)
	is, err := parse("SELECT setting FROM pg_catalog.pg_settings WHERE name = " + constant)
	if err != nil || !equalTrees(is[0].Stmt, &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: v}}) {
		return Statement{}, false
	}
	return Statement{Text: fixedTemplate("SELECT pg_catalog.current_setting(" + constant + ") AS setting")}, true
}

package rewrite

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

// viewCatalog has a table of tenants, one that is denied, and views.
func viewCatalog(table catalog.Relation, views map[string]*catalog.View) *catalog.Snapshot {
	table.OID, table.Schema, table.Name, table.Kind = 20000, "public", "orders", 'r'
	table.Class, table.TenantColumn = catalog.Tenanted, "tenant_id"
	columns := []catalog.Column{{Name: "tenant_id", Type: catalog.Type{OID: oidInt4, Schema: schemaCatalog, Name: "int4"}}}
	table.Columns = columns
	data := catalog.Data{SearchPath: []string{"public"}, Relations: []catalog.Relation{table}}
	for name, view := range views {
		data.Relations = append(data.Relations, catalog.Relation{
			Schema: "public", Name: name, Kind: 'v', Class: catalog.Derived, Columns: columns, View: view,
		})
	}
	return catalog.New(data)
}

func TestViewsArePassedOnlyIfPoliciesHoldForWhoReadsTheirTables(t *testing.T) {
	const direct, nested = "SELECT orders.tenant_id FROM orders;", "SELECT v.tenant_id FROM v;"
	guarded := catalog.Relation{RowSecurity: true}
	for name, test := range map[string]struct {
		table   catalog.Relation
		views   map[string]*catalog.View
		allowed bool
	}{
		"owner is subject":     {guarded, map[string]*catalog.View{"v": {Definition: direct}}, true},
		"no row security":      {catalog.Relation{}, map[string]*catalog.View{"v": {Definition: direct}}, false},
		"owner is exempt":      {guarded, map[string]*catalog.View{"v": {Definition: direct, OwnerExempt: true}}, false},
		"owner owns table":     {guarded, map[string]*catalog.View{"v": {Definition: direct, Owned: []uint32{20000}}}, false},
		"owner owns another":   {guarded, map[string]*catalog.View{"v": {Definition: direct, Owned: []uint32{1}}}, true},
		"invoker":              {guarded, map[string]*catalog.View{"v": {Definition: direct, Invoker: true, OwnerExempt: true}}, true},
		"invoker, no policies": {catalog.Relation{}, map[string]*catalog.View{"v": {Definition: direct, Invoker: true}}, false},
		"exempt above invoker": {guarded, map[string]*catalog.View{
			"w": {Definition: nested, OwnerExempt: true}, "v": {Definition: direct, Invoker: true, OwnerExempt: true},
		}, true},
		"invoker above exempt": {guarded, map[string]*catalog.View{
			"w": {Definition: nested, Invoker: true}, "v": {Definition: direct, OwnerExempt: true},
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			top := "v"
			if test.views["w"] != nil {
				top = "w"
			}
			r := newRewriter(t, Config{RequireRowSecurity: true})
			sql := "SELECT (SELECT count(*) FROM " + top + ") FROM orders"
			_, err := r.Rewrite(Request{SQL: sql}, viewCatalog(guarded, test.views))
			if test.table.RowSecurity {
				if test.allowed {
					require.NoError(t, err)
					return
				}
			} else {
				_, err = r.Rewrite(Request{SQL: "TABLE " + top}, viewCatalog(test.table, test.views))
			}
			var forbidden *ForbiddenError
			require.ErrorAs(t, err, &forbidden)
			require.Equal(t, ruleRelationViewOwner, forbidden.Rule)
			require.Equal(t, "permission denied for view "+top, forbidden.Message)
			require.NotZero(t, forbidden.Position)
		})
	}
}

func TestViewsThatCannotBeFollowedAreRefused(t *testing.T) {
	chain := map[string]*catalog.View{"v0": {Definition: "SELECT orders.tenant_id FROM orders"}}
	for i := 1; i <= maxViewDepth; i++ {
		chain[fmt.Sprintf("v%d", i)] = &catalog.View{Definition: fmt.Sprintf("SELECT tenant_id FROM v%d", i-1)}
	}
	double := map[string]*catalog.View{"v0": {Definition: "SELECT orders.tenant_id FROM orders -- " + strings.Repeat("x", 1000)}}
	for i := 1; i < maxViewDepth; i++ {
		double[fmt.Sprintf("v%d", i)] = &catalog.View{Definition: fmt.Sprintf("SELECT a.tenant_id FROM v%d a, v%d b", i-1, i-1)}
	}
	for name, test := range map[string]struct {
		views map[string]*catalog.View
		sql   string
	}{
		"no definition":   {map[string]*catalog.View{"v": {}}, "TABLE v"},
		"syntax":          {map[string]*catalog.View{"v": {Definition: "SELECT FROM FROM"}}, "TABLE v"},
		"two statements":  {map[string]*catalog.View{"v": {Definition: "SELECT 1; SELECT 2"}}, "TABLE v"},
		"no SELECT":       {map[string]*catalog.View{"v": {Definition: "DELETE FROM orders"}}, "TABLE v"},
		"parameter":       {map[string]*catalog.View{"v": {Definition: "SELECT $1"}}, "TABLE v"},
		"unknown table":   {map[string]*catalog.View{"v": {Definition: "SELECT * FROM nowhere"}}, "TABLE v"},
		"itself":          {map[string]*catalog.View{"v": {Definition: "SELECT * FROM v"}}, "TABLE v"},
		"each other":      {map[string]*catalog.View{"v": {Definition: "SELECT * FROM w"}, "w": {Definition: "SELECT * FROM v"}}, "TABLE v"},
		"too deep":        {chain, fmt.Sprintf("TABLE v%d", maxViewDepth)},
		"too much":        {double, fmt.Sprintf("TABLE v%d", maxViewDepth-1)},
		"whole row below": {map[string]*catalog.View{"w": {Definition: "SELECT v.*::v AS v FROM v"}, "v": {Definition: "SELECT 1"}}, "TABLE w"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, config := range []Config{{Confine: true}, {RequireRowSecurity: true}} {
				if name == "whole row below" && !config.Confine {
					continue // the server knows the row's type
				}
				cat := viewCatalog(catalog.Relation{RowSecurity: true}, test.views)
				_, err := newRewriter(t, config).Rewrite(Request{SQL: test.sql}, cat)
				var unsupported *UnsupportedError
				require.ErrorAs(t, err, &unsupported)
				require.Equal(t, ruleRelationView, unsupported.Rule)
				require.NotZero(t, unsupported.Position)
			}
		})
	}
	// One less is followed.
	_, err := newRewriter(t, Config{Confine: true}).Rewrite(
		Request{SQL: fmt.Sprintf("TABLE v%d", maxViewDepth-1)}, viewCatalog(catalog.Relation{}, chain))
	require.NoError(t, err)
}

func TestForeignTablesAreConfinedByPredicatesAlone(t *testing.T) {
	r := newRewriter(t, Config{Confine: true})
	for sql, want := range map[string]string{
		"SELECT note FROM remote_orders":            "SELECT note FROM public.remote_orders WHERE remote_orders.tenant_id = '1'::pg_catalog.int4",
		"DELETE FROM remote_orders":                 "DELETE FROM public.remote_orders WHERE remote_orders.tenant_id = '1'::pg_catalog.int4",
		"INSERT INTO remote_orders (id) VALUES (1)": "INSERT INTO public.remote_orders (id, tenant_id) VALUES (1, '1'::pg_catalog.int4)",
	} {
		result, err := r.Rewrite(Request{SQL: sql}, shop())
		require.NoError(t, err)
		require.Equal(t, want, result.Statements[0].Text.SQL("1"))
		_, err = newRewriter(t, Config{Confine: true, RequireRowSecurity: true}).Rewrite(Request{SQL: sql}, shop())
		var unsupported *UnsupportedError
		require.ErrorAs(t, err, &unsupported)
		require.Equal(t, ruleRelationForeignTable, unsupported.Rule)
	}
}

func TestAuditFailsWhereAViewIsLeft(t *testing.T) {
	err := newRewriter(t, Config{Confine: true}).Audit("SELECT * FROM public.open_orders", "1", false, shop())
	require.ErrorContains(t, err, "relation public.open_orders is not confined")
}

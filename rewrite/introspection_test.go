package rewrite

import (
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

// guardCatalog is a small database with what the guard has to tell apart.
func guardCatalog() *catalog.Snapshot { return catalog.New(guardData(160000)) }

// oldCatalog is the same on a server whose lexer is older than the parser's.
func oldCatalog() *catalog.Snapshot { return catalog.New(guardData(150000)) }

func guardData(serverVersion int) catalog.Data {
	text := catalog.Type{OID: 25, Schema: schemaCatalog, Name: "text"}
	columns := func(names ...string) (list []catalog.Column) {
		for _, name := range names {
			list = append(list, catalog.Column{Name: name, Type: text})
		}
		return list
	}
	data := catalog.Data{
		ServerVersion: serverVersion,
		SearchPath:    []string{"public"},
		Relations: []catalog.Relation{
			{
				Schema: "public", Name: "orders", Kind: 'r', Class: catalog.Tenanted, TenantColumn: "tenant_id",
				Columns: columns("tenant_id", "id", "note", "total", "state", "time_out"),
			},
			{
				Schema: "public", Name: "customers", Kind: 'r', Class: catalog.Tenanted, TenantColumn: "tenant_id",
				Columns: columns("tenant_id", "id", "name", "peers"),
			},
			{Schema: "public", Name: "countries", Kind: 'r', Class: catalog.Shared, Columns: columns("code", "name")},
			{Schema: "public", Name: "child", Kind: 'r', Class: catalog.Shared, Columns: columns("what")},
			{Schema: "public", Name: "events", Kind: 'r', Class: catalog.Shared, Columns: columns("what")},
		},
		Functions: []catalog.Function{
			{Schema: "public", Name: "slugify", Args: 1, Kind: 'f', Allowed: true},
			{Schema: "public", Name: "report", Args: 3, Defaults: 2, Kind: 'f', Allowed: true},
			{Schema: "public", Name: "join_all", Args: 2, Variadic: true, Kind: 'f', Allowed: true},
			{Schema: "public", Name: "median", Args: 1, Kind: 'a', Allowed: true},
			{Schema: "public", Name: "peers", Args: 1, Kind: 'f'},
			{Schema: "public", Name: "spy", Args: 0, Kind: 'f'},
			{Schema: "public", Name: "spy_sum", Args: 1, Kind: 'a'},
			{Schema: "public", Name: "lower", Args: 1, Kind: 'f'},
			{Schema: "public", Name: "json_array", Args: 1, Kind: 'f'},
			{Schema: "public", Name: "mixed", Args: 1, Kind: 'f', Allowed: true},
			{Schema: "audit", Name: "mixed", Args: 1, Kind: 'f'},
			{Schema: "public", Name: "Quoted", Args: 0, Kind: 'f', Allowed: true},
		},
		Operators:       []catalog.Name{{Schema: "public", Name: "@+@"}, {Schema: "public", Name: "##"}},
		Types:           []catalog.TypeInfo{{Schema: "public", Name: "mood", Kind: 'e'}, {Schema: "public", Name: "pair", Kind: 'c'}},
		DeniedFunctions: []catalog.Name{{Schema: schemaCatalog, Name: "repeat"}, {Name: "md5"}},
		OtherColumns:    []string{"oid", "relname", "nspname"},
	}
	for name := range systemRelations {
		data.Relations = append(data.Relations, catalog.Relation{Schema: name.Schema, Name: name.Name, Kind: 'r', Class: catalog.System})
	}
	return data
}

// guarded holds the Rewriters of all enforcements to one verdict: "" is pass.
func guarded(t testing.TB, cat *catalog.Snapshot, sql string) (verdict error) {
	t.Helper()
	for i, config := range []Config{{Confine: true}, {}} {
		_, err := newRewriter(t, config).Rewrite(Request{SQL: sql}, cat)
		if i > 0 {
			require.Equal(t, verdict, err, "rls and rewrite differ: %s", sql)
		}
		verdict = err
	}
	return verdict
}

func TestIntrospectionOfClientsHasItsVerdict(t *testing.T) {
	cat := guardCatalog()
	datadriven.Walk(t, "testdata/introspection", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			require.Equal(t, "statement", d.Cmd, d.Pos)
			if err := guarded(t, cat, d.Input); err != nil {
				return goldenError(err)
			}
			return "pass"
		})
	})
}

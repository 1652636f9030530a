package rewrite

import (
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

// withScratch is the shop as a session sees it that has temporary tables:
// scratch, one called as a permanent table, and one whose column is called as
// a function that is refused.
func withScratch() *catalog.Snapshot {
	column := func(name, typ string) catalog.Column {
		return catalog.Column{Name: name, Type: catalog.Type{OID: typeOIDs[typ], Schema: "pg_catalog", Name: typ}}
	}
	var tables []catalog.Relation
	for name, columns := range map[string][]catalog.Column{
		"scratch": {column("id", "int8"), column("note", "text")},
		"orders":  {column("id", "int8"), column("tenant_id", "int4")},
		"trap":    {column("query_to_xml", "text")},
	} {
		tables = append(tables, catalog.Relation{
			Schema: catalog.SchemaTemporary, Name: name, Kind: 'r', Class: catalog.Temporary, Columns: columns,
		})
	}
	return shop().WithTemporary(tables)
}

func TestStatementsOnTemporaryTables(t *testing.T) {
	cat := withScratch()
	confine := newRewriter(t, Config{Confine: true, TempTables: true})
	rewriters := map[string]*Rewriter{
		"simple": confine, "extended": confine,
		"rls": newRewriter(t, Config{TempTables: true}), "off": newRewriter(t, Config{Confine: true}),
	}
	datadriven.Walk(t, "testdata/temporary", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			r, ok := rewriters[d.Cmd]
			require.True(t, ok, "%s: unknown directive %s", d.Pos, d.Cmd)
			result, text := goldenResult(d, r, cat)
			if result != nil && r.config.Confine {
				for i := range result.Statements {
					sql := result.Statements[i].Text.SQL(goldenKey)
					require.NoError(t, r.Audit(sql, goldenKey, d.Cmd == "extended", cat), d.Pos)
				}
			}
			return text
		})
	})
}

func TestAuditTakesNothingButTemporaryTablesForTheSessions(t *testing.T) {
	cat, r := withScratch(), newRewriter(t, Config{Confine: true, TempTables: true})
	for _, sql := range []string{
		"CREATE TABLE t (a int)", "CREATE TABLE public.t (a int)", "CREATE UNLOGGED TABLE t (a int)", "CREATE TEMP TABLE public.t (a int)",
		"CREATE TABLE t AS SELECT 1", "SELECT 1 INTO t", "SELECT 1 INTO public.t", "CREATE MATERIALIZED VIEW pg_temp.t AS SELECT 1",
		"CREATE TEMP TABLE t AS EXECUTE x", "CREATE TEMP TABLE t AS SELECT * FROM public.orders",
		"CREATE TEMP TABLE t AS SELECT * FROM public.orders WHERE orders.tenant_id = '2'::pg_catalog.int4",
		"CREATE TEMP TABLE t AS SELECT * FROM public.orders WHERE orders.tenant_id = '1'::pg_catalog.int4 AND (1 / id = 1)",
		"SELECT * INTO TEMP t FROM public.orders WHERE orders.tenant_id = '1'::pg_catalog.int4 AND (1 / id = 1)",
		"SELECT * INTO TEMP t FROM public.orders", "SELECT * FROM scratch", "INSERT INTO scratch VALUES (1)",
		"CREATE TEMP TABLE t () INHERITS (public.orders)", "CREATE TEMP TABLE t PARTITION OF public.events DEFAULT",
		"CREATE TEMP TABLE t (LIKE public.secrets)", "CREATE TEMP TABLE t (LIKE pg_class)", "CREATE TEMP TABLE t (LIKE public.open_orders)",
		"CREATE TEMP TABLE t (a int CHECK (EXISTS (SELECT FROM public.orders)))",
		"DROP TABLE scratch", "DROP TABLE orders", "DROP TABLE public.orders", "DROP TABLE pg_temp.scratch, public.orders", "DROP VIEW pg_temp.x",
		"CREATE INDEX ON public.orders (id)", "CREATE INDEX ON scratch (id)", "CREATE INDEX ON pg_temp.unknown (id)",
		"TRUNCATE public.orders", "TRUNCATE pg_temp.scratch, public.orders", "TRUNCATE scratch",
		"ANALYZE", "ANALYZE public.orders", "VACUUM pg_temp.scratch",
		"DELETE FROM scratch", "UPDATE pg_temp.unknown SET a = 1",
	} {
		require.Error(t, r.Audit(sql, goldenKey, false, cat), sql)
	}
	for _, sql := range []string{
		"TRUNCATE pg_temp.scratch", "ANALYZE pg_temp.scratch (id)", "CREATE INDEX ON pg_temp.scratch (lower(note))",
		"SELECT * INTO TEMP t FROM pg_temp.orders", "DELETE FROM pg_temp.orders",
	} {
		require.NoError(t, r.Audit(sql, goldenKey, false, cat), sql)
		require.Error(t, r.Audit(sql, goldenKey, false, shop()), "without the tables: %s", sql)
	}
}

func TestAuditTakesWhatCanOnlyBeTemporary(t *testing.T) {
	r := newRewriter(t, Config{Confine: true, TempTables: true})
	for _, sql := range []string{
		"CREATE TEMP TABLE t (LIKE public.orders INCLUDING ALL)", "CREATE TABLE pg_temp.t (a int)", "DROP TABLE pg_temp.scratch, pg_temp.orders",
		"CREATE TEMP TABLE t AS SELECT * FROM public.orders WHERE orders.tenant_id = '1'::pg_catalog.int4",
	} {
		require.NoError(t, r.Audit(sql, goldenKey, false, shop()), sql)
	}
}

func TestTemporaryTablesProveNoColumnsOfOthers(t *testing.T) {
	cat := withScratch()
	require.False(t, cat.HasColumn("query_to_xml"))
	for _, rel := range cat.Relations() {
		require.NotEqual(t, catalog.Temporary, rel.Class)
	}
}

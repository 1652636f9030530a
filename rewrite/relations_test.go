package rewrite

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/rewrite/catalog"
)

func classNames(t *testing.T) map[catalog.Name]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/pg_class.txt")
	require.NoError(t, err)
	names := make(map[catalog.Name]bool)
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] != "#" {
			names[catalog.Name{Schema: fields[0], Name: fields[1]}] = true
		}
	}
	require.Greater(t, len(names), 200)
	return names
}

func TestRelationListsAndServersHaveTheSameRelations(t *testing.T) {
	names := classNames(t)
	for name := range systemRelations {
		require.True(t, names[name], "no server has %s", name)
	}
	for name := range names {
		require.Contains(t, systemRelations, name)
	}
	conn := pgtest.Connect(t, pgtest.Server(t).SuperuserURL(pgtest.Database(t, "")))
	for _, row := range pgtest.Must(t, conn, `SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v')`) {
		require.Contains(t, systemRelations, catalog.Name{Schema: row[0], Name: row[1]})
	}
}

func TestStatisticsSecretsAndActivityAreNotReadable(t *testing.T) {
	for name, rule := range systemRelations {
		require.NotEmpty(t, rule.reason)
		for _, part := range []string{
			"pg_stat_", "pg_statio", "pg_stats", "authid", "shadow", "mapping", "largeobject", "locks",
			"prepared", "cursors", "hba", "ident_file", "settings", "subscription", "replication", "seclabel", "foreign", "sequences",
		} {
			if name.Schema == schemaCatalog && strings.Contains(name.Name, part) && name.Name != "pg_statistic_ext" {
				require.False(t, rule.readable, name)
			}
		}
	}
	require.False(t, readableCatalog("pg_something_new", schemaCatalog))
	require.False(t, readableCatalog("pg_class", schemaInformation))
	require.False(t, readableCatalog("pg_class", "public"))
	require.True(t, readableCatalog("pg_class", schemaCatalog))
}

func TestSystemRelationsAreRefusedInEverySpelling(t *testing.T) {
	for _, sql := range []string{
		"SELECT * FROM pg_stat_activity", "SELECT query FROM pg_catalog.pg_stat_activity", `SELECT 1 FROM "pg_stat_activity"`,
		`SELECT 1 FROM PG_Catalog.PG_Stat_Activity`, `SELECT 1 FROM U&"pg\005Fstat_activity"`, "TABLE pg_locks",
		"SELECT (SELECT passwd FROM pg_shadow LIMIT 1)", "WITH x AS (SELECT * FROM pg_authid) SELECT 1",
		"SELECT * FROM pg_class c JOIN pg_stats s ON s.tablename = c.relname", "SELECT 1 FROM pg_class, LATERAL (SELECT * FROM pg_settings) x",
		"SELECT last_value FROM pg_sequences", "SELECT * FROM information_schema.user_mapping_options",
		"SELECT 1 FROM pg_prepared_statements", "SELECT lo.data FROM pg_largeobject lo", "SELECT * FROM pg_stats_ext_exprs",
		"DELETE FROM orders USING pg_locks", "UPDATE orders SET note = (SELECT query FROM pg_stat_activity LIMIT 1)",
		"INSERT INTO orders (id, note) SELECT 1, passwd FROM pg_shadow", "COPY (SELECT * FROM pg_authid) TO STDOUT",
		"DECLARE c CURSOR FOR SELECT * FROM pg_stat_activity",
	} {
		requireRefused(t, ruleRelationSystem, sql)
	}
	for _, sql := range []string{
		"UPDATE pg_settings SET setting = 'x' WHERE name = 'client_encoding'", "DELETE FROM pg_class", "INSERT INTO pg_catalog.pg_proc VALUES (1)",
		"WITH x AS (DELETE FROM pg_class RETURNING 1) SELECT 1",
	} {
		requireRefused(t, ruleRelationDenied, sql)
	}
	requireRefused(t, ruleRelationSharedReadOnly, "SELECT * FROM pg_class FOR UPDATE")
}

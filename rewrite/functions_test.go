package rewrite

import (
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// A procRow is one line of testdata/pg_proc.txt.
type procRow struct {
	name, versions, kinds, volatilities, arguments string
}

// oneArgument reports whether an SQL statement can call the function with a
// single argument.
func (r procRow) oneArgument() bool {
	for _, a := range strings.Split(r.arguments, ",") {
		low, high, between := strings.Cut(strings.TrimSuffix(a, "+"), "-")
		if a == "1" || between && low <= "1" && high >= "1" || strings.HasSuffix(a, "+") && low <= "1" {
			return true
		}
	}
	return false
}

func procRows(t *testing.T) []procRow {
	t.Helper()
	text, err := os.ReadFile("testdata/pg_proc.txt")
	require.NoError(t, err)
	var rows []procRow
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) == 5 && fields[0] != "#" {
			rows = append(rows, procRow{fields[0], fields[1], fields[2], fields[3], fields[4]})
		}
	}
	require.Greater(t, len(rows), 2500)
	return rows
}

func TestFunctionListsNameWhatExists(t *testing.T) {
	known := make(map[string]bool)
	for _, row := range procRows(t) {
		known[row.name] = true
	}
	seen := make(map[string]bool)
	for _, s := range parseSections(functionList) {
		require.NotEmpty(t, s.reason, s.header)
		require.True(t, sort.StringsAreSorted(s.names), "%s is not sorted", s.header)
		for _, name := range s.names {
			require.False(t, seen[name], "%s is listed twice", name)
			seen[name] = true
			if s.header[0] == "allow-schema" || strings.HasSuffix(name, "*") {
				continue
			}
			base, _, _ := strings.Cut(name, "/")
			require.True(t, known[base], "%s: no server has %s", s.header, base)
		}
	}
}

func TestFunctionListsHaveEveryFunctionOfOneArgument(t *testing.T) {
	for _, row := range procRows(t) {
		if row.oneArgument() {
			_, known := builtins.find(row.name, 1)
			require.True(t, known, "%s could be called as t.%s", row.name, row.name)
		}
	}
}

// Functions that have effects or see others are VOLATILE, with a few
// exceptions: each one on an allow list has been looked at once more.
func TestAllowedFunctionsAreNotVolatileButForAFew(t *testing.T) {
	var volatile []string
	for _, row := range procRows(t) {
		if rule, ok := builtins.allowed[row.name]; ok && rule.args == 0 && strings.Contains(row.volatilities, "v") {
			volatile = append(volatile, row.name)
		}
	}
	require.Equal(t, strings.Fields(`array_sample array_shuffle clock_timestamp gen_random_uuid pg_advisory_unlock_all
		pg_collation_actual_version pg_database_collation_actual_version pg_is_in_recovery pg_partition_ancestors
		pg_partition_tree random random_normal timeofday timezone uuidv4 uuidv7`), volatile)
}

func TestNoFunctionWithADangerousNameIsAllowed(t *testing.T) {
	for name := range builtins.allowed {
		for _, part := range []string{
			"_to_xml", "lo_", "pg_read", "pg_ls_", "pg_stat_", "_lock", "notify", "nextval", "setval", "currval",
			"wal", "replication", "snapshot", "txid", "terminate", "cancel", "sleep", "dblink", "set_config", "_size",
		} {
			if slices.Contains([]string{"pg_column_size", "pg_advisory_unlock_all"}, name) || part == "_size" && strings.HasPrefix(name, "pg_size") {
				continue
			}
			require.NotContains(t, name, part)
		}
	}
}

func TestFunctionListsHaveEveryFunctionOfThisServer(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Server(t).SuperuserURL(pgtest.Database(t, "")))
	version := pgtest.Must(t, conn, "SELECT current_setting('server_version_num')::int / 10000")[0][0]
	if !slices.Contains([]string{"14", "15", "16", "17", "18"}, version) {
		require.Fail(t, "the lists have not been reviewed for this server", version)
	}
	listed := make(map[string]bool)
	for _, row := range procRows(t) {
		if row.versions == "*" || slices.Contains(strings.Split(row.versions, ","), version) {
			listed[row.name] = true
		}
	}
	for _, row := range pgtest.Must(t, conn, `SELECT DISTINCT proname FROM pg_proc
		WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384`) {
		require.True(t, listed[row[0]], "testdata/pg_proc.txt does not have %s", row[0])
	}
}

func TestTextSearchRewritesWithoutText(t *testing.T) {
	cat := guardCatalog()
	require.NoError(t, guarded(t, cat, "SELECT ts_rewrite('a & b'::tsquery, 'a'::tsquery, 'c'::tsquery)"))
	require.Error(t, guarded(t, cat, "SELECT ts_rewrite('a & b'::tsquery, 'SELECT 1')"))
}

func TestFunctionsThatAreAllowedPass(t *testing.T) {
	cat := guardCatalog()
	for _, sql := range []string{
		"SELECT slugify('x'), public.slugify('x'), \"public\".\"slugify\"('x'), PUBLIC.Slugify('x')",
		"SELECT report(1), report(1, 2), report(1, 2, 3), report(1, c => 2)",
		"SELECT join_all('a'), join_all('a', 'b', 'c'), join_all('a', VARIADIC ARRAY['b'])",
		"SELECT median(total), median(total) OVER (PARTITION BY state) FROM orders",
		`SELECT public."Quoted"()`,
		"SELECT public.mixed(1)",
		"SELECT pg_catalog.lower('x'), pg_catalog.json_array_length('[]')",
		"SELECT json_array(1, 2)", // the other one takes one argument
		"SELECT * FROM slugify('x') AS s",
		"SELECT has_table_privilege('orders', 'select'), pg_has_role('app', 'usage')",
		"SELECT has_schema_privilege(nspname, 'usage') FROM pg_namespace WHERE has_schema_privilege(oid, 'create')",
		"WITH n AS (SELECT nspname FROM pg_namespace) SELECT has_schema_privilege(nspname, 'usage') FROM n",
		"SELECT current_setting('server_version'), current_setting('app.other', true), pg_catalog.current_setting('timezone'::text)",
		"SELECT information_schema._pg_expandarray(ARRAY[1, 2])",
		"SELECT * FROM orders TABLESAMPLE system (5), customers TABLESAMPLE pg_catalog.bernoulli (5) REPEATABLE (1)",
	} {
		require.NoError(t, guarded(t, cat, sql), sql)
	}
}

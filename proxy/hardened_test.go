package proxy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/rewrite/catalog"
)

// harden runs bootstrap --harden on a clinic's database, and requires that
// nothing is missing after it.
func harden(t *testing.T, c *clinic.Clinic, database string) {
	t.Helper()
	owner := pgtest.Connect(t, c.Server.SuperuserURL(database))
	missing := func() []catalog.DDL {
		config := clinic.Config()
		config.Inspect = true
		s, err := catalog.Load(context.Background(), pgtest.Querier{Conn: owner}, config)
		require.NoError(t, err)
		plan, err := catalog.Bootstrap(s, catalog.BootstrapConfig{
			Setting: clinic.Setting, Role: clinic.Role, Harden: true, NoRowSecurity: database == c.Plain(),
		})
		require.NoError(t, err)
		return plan
	}
	plan := missing()
	require.NotEmpty(t, plan)
	for _, ddl := range plan {
		pgtest.Must(t, owner, ddl.SQL)
	}
	require.Empty(t, missing())
}

func TestTenantSeesItsRowsInAHardenedDatabaseToo(t *testing.T) {
	c := clinic.New(t, 3)
	watch(t, c, c.Policies(), "1")
	harden(t, c, c.Policies())
	files, err := filepath.Glob("../testdata/oracle/*.sql")
	require.NoError(t, err)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	conn := open(t, c, Both, nil).tenant("1")
	asked := 0
	for _, file := range files {
		for _, oc := range readOracle(t, file) {
			extended := oc.params
			got := ask(t, conn, oc.question(), extended)
			if code := oc.refused[Both.String()]; code != "" {
				require.Equal(t, code, got.Code, "%s: %s: %s", oc.name, oc.sql, got.Message)
				continue
			}
			want := ask(t, oracle, oc.question(), extended)
			if !sameAnswer(want, got) {
				want, got = differing(want, got)
				t.Errorf("%s: %s\n want %+v\n  got %+v", oc.name, oc.sql, want, got)
			}
			asked++
		}
	}
	require.Greater(t, asked, 500)
}

func TestPsqlShowsTheSameInAHardenedDatabase(t *testing.T) {
	const script = `\d
\d+ patients
\d events
\di
\dv
\dT
\df
\dn+
\du
\dp patients
\l postgres
\conninfo
\copy (SELECT id, name FROM patients ORDER BY id) TO STDOUT CSV HEADER
\gdesc
SHOW search_path;
SELECT set_config('TimeZone', 'UTC', false);
SELECT count(*), current_setting('TimeZone') FROM patients;
BEGIN;
UPDATE patients SET balance = 1 RETURNING id;
ROLLBACK;
`
	c := clinic.New(t, 2)
	bin := c.Server.BinDir()
	for _, enforce := range []Enforcement{RLS, Rewrite} {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			before := psql(t, bin, g.url("tenant1"), script)
			harden(t, c, g.database)
			g = open(t, c, enforce, poolOf(1))
			require.Equal(t, comparable(before), comparable(psql(t, bin, g.url("tenant1"), script)))
		})
	}
}

func TestWhatIsTakenFromPublicIsOutOfTheRolesReach(t *testing.T) {
	c := clinic.New(t, 1)
	harden(t, c, c.Policies())
	app := pgtest.Connect(t, c.URL(c.Policies()))
	for _, sql := range []string{
		"SELECT query_to_xml('SELECT 1', true, false, '')", "SELECT * FROM ts_stat('SELECT NULL::tsvector')", "SELECT lo_create(0)",
		"SELECT pg_terminate_backend(1)", "SELECT pg_stat_get_activity(NULL)", "TABLE pg_stat_activity", "TABLE pg_stats", "TABLE pg_locks",
		"TABLE pg_settings", "UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'", "DO $$BEGIN END$$", "CREATE TEMP TABLE t ()",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE TABLE t ()",
	} {
		outcome := pgtest.Simple(t, app, sql)
		require.Equal(t, "42501", outcome[len(outcome)-1].Code, sql)
	}
	pgtest.Must(t, app, "SELECT set_config('TimeZone', 'UTC', false)") // the proxy needs it
}

// allowed reads what the guard lets tenants use: the names on the allow lists
// of a file of package rewrite.
func allowed(t *testing.T, file string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../rewrite/" + file) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	names := make(map[string]bool)
	listing := false
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, " ") {
			listing = strings.HasPrefix(line, "allow")
			continue
		}
		for name := range strings.FieldsSeq(line) {
			name, _, _ = strings.Cut(name, "/")
			names[name] = names[name] || listing
		}
	}
	require.Greater(t, len(names), 100)
	return names
}

func TestNothingThatTenantsMayUseIsTakenFromPublic(t *testing.T) {
	c := clinic.New(t, 1)
	app := pgtest.Connect(t, c.URL(c.Policies()))
	const builtins = `SELECT 'functions.txt', proname FROM pg_proc WHERE oid < 16384 AND has_function_privilege(oid, 'EXECUTE')
		UNION SELECT 'relations.txt', relname FROM pg_class WHERE oid < 16384 AND relkind IN ('r', 'v') AND has_table_privilege(oid, 'SELECT')`
	before := pgtest.Must(t, app, builtins)
	harden(t, c, c.Policies())
	after := pgtest.Must(t, app, builtins)
	use := map[string]map[string]bool{"functions.txt": allowed(t, "functions.txt"), "relations.txt": allowed(t, "relations.txt")}
	taken := 0
	for _, object := range before {
		if slices.ContainsFunc(after, func(other []string) bool { return slices.Equal(object, other) }) {
			continue
		}
		taken++
		require.False(t, use[object[0]][object[1]], "tenants may use %s", object[1])
	}
	require.Greater(t, taken, 150)
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// bootstrapStage is a database with two tenants' rows, prepared for nobody,
// and a configuration that names a role which does not exist.
func bootstrapStage(t *testing.T, role string) (database, config string) {
	t.Helper()
	server := pgtest.Server(t)
	database = pgtest.Database(t, `CREATE TABLE orders (id serial, tenant_id int NOT NULL, note text);
		INSERT INTO orders (tenant_id, note) VALUES (1, 'first'), (2, 'second'); CREATE TABLE countries (code text)`)
	config = filepath.Join(t.TempDir(), "tenantgate.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
backends: {main: {url: %q}}
tenancy: {setting: app.tenant_id, tables: {countries: shared, nowhere: denied}}
tenants: [{id: acme, key: "1"}]
logins: [{user: acme, password: acme, tenant: acme}]
`, server.URL(role, "its secret", database)), 0o600))
	t.Cleanup(func() {
		require.NoError(t, server.Exec(context.Background(), database, fmt.Sprintf(
			`DO $$BEGIN DROP OWNED BY %[1]s; DROP ROLE %[1]s; EXCEPTION WHEN undefined_object THEN NULL; END$$`, role)))
	})
	return database, config
}

// command runs a command and returns what it prints.
func runCommand(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// requireConfined requires that the role logs in with the backend's password
// and sees no row without a tenant.
func requireConfined(t *testing.T, database, role string) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), pgtest.Server(t).URL(role, "its secret", database))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	for _, want := range []string{"0", "1"} {
		results, err := conn.Exec(t.Context(), "SELECT count(*) FROM orders; SELECT set_config('app.tenant_id', '1', false)").ReadAll()
		require.NoError(t, err)
		require.Equal(t, want, string(results[0].Rows[0][0]))
	}
}

func TestBootstrapPrintsAScriptForPsql(t *testing.T) {
	database, config := bootstrapStage(t, "scripted")
	owner := pgtest.Server(t).SuperuserURL(database)
	status, script, stderr := runCommand(t, "bootstrap", "--config", config, "--url", owner, "--harden")
	require.Equal(t, exitOK, status, stderr)
	require.Equal(t, "tenantgate: configured table nowhere does not exist\n", stderr)
	require.NotContains(t, script, "its secret", "the password is there as a verifier")
	require.Contains(t, script, "PASSWORD 'SCRAM-SHA-256$")

	psql := exec.CommandContext(t.Context(), "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", owner)
	psql.Stdin = strings.NewReader(script)
	out, err := psql.CombinedOutput()
	require.NoError(t, err, string(out))
	requireConfined(t, database, "scripted")

	status, script, stderr = runCommand(t, "bootstrap", "--config", config, "--url", owner, "--harden")
	require.Equal(t, exitOK, status, stderr)
	require.Empty(t, script)
	require.Contains(t, stderr, "nothing is missing: database "+database+" of backend main, role scripted, enforce rls")
}

func TestBootstrapAppliesWhatIsMissing(t *testing.T) {
	database, config := bootstrapStage(t, "applied")
	owner := pgtest.Server(t).SuperuserURL(database)
	status, stdout, stderr := runCommand(t, "bootstrap", "--config", config, "--url", owner, "--apply")
	require.Equal(t, exitOK, status, stderr)
	require.Contains(t, stdout, "statements run: database "+database)
	require.Contains(t, stdout, "public.orders: a tenant sees and writes its own rows")
	requireConfined(t, database, "applied")

	// From now on the role itself can tell that nothing is missing.
	status, stdout, stderr = runCommand(t, "bootstrap", "--config", config, "--apply", "--output", "json")
	require.Equal(t, exitOK, status, stderr)
	var report bootstrapReport
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Equal(t, bootstrapReport{
		Backend: "main", Database: database, User: "applied", Role: "applied", Enforce: "rls", Applied: true,
		Statements: report.Statements, Dangling: []string{"nowhere"},
	}, report)
	require.NotNil(t, report.Statements)
	require.Empty(t, report.Statements)
}

func TestFailedBootstrapChangesNothing(t *testing.T) {
	database, config := bootstrapStage(t, "halfway")
	server := pgtest.Server(t)
	// This role may make roles but does not own the table.
	require.NoError(t, server.Exec(t.Context(), database, "CREATE ROLE meddler LOGIN CREATEROLE PASSWORD 'm'"))
	t.Cleanup(func() { require.NoError(t, server.Exec(context.Background(), database, "DROP ROLE meddler")) })
	status, stdout, stderr := runCommand(t, "bootstrap", "--config", config, "--url", server.URL("meddler", "m", database), "--apply")
	require.Equal(t, exitFailure, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, `backend "main": nothing was changed: `)
	require.Contains(t, stderr, "42501")
	require.NotContains(t, stderr, "SCRAM")
	_, err := pgconn.Connect(t.Context(), server.URL("halfway", "its secret", database))
	require.Error(t, err, "the role was rolled back too")
}

func TestBootstrapRefusesWhatItCannotMean(t *testing.T) {
	database, config := bootstrapStage(t, "refused")
	owner := pgtest.Server(t).SuperuserURL(database)
	for want, args := range map[string][]string{
		"backend silo does not exist":    {"--backend", "silo"},
		"--url is no connection string":  {"--url", "postgres://u:secret@host:notaport/db"},
		"role postgres is a superuser":   {"--url", owner, "--role", "postgres"},
		"1 arguments too many":           {"orders"},
		"allowed: text, json":            {"--output", "yaml"},
		"password authentication failed": {"--url", pgtest.Server(t).URL("postgres", "wrong", database)},
	} {
		status, stdout, stderr := runCommand(t, append([]string{"bootstrap", "--config", config}, args...)...)
		require.NotEqual(t, exitOK, status, args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, want)
		require.NotContains(t, stderr, "secret")
	}
}

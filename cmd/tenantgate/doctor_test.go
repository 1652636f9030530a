package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/doctor"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/rewrite/catalog"
)

// doctorStage is a database of one tenanted table with one error, prepared for
// a role, and a configuration that names the findings it accepts.
func doctorStage(t *testing.T, role, acknowledge string) (database, config string) {
	t.Helper()
	server := pgtest.Server(t)
	database = pgtest.Database(t, `CREATE TABLE orders (tenant_id int NOT NULL, id int, PRIMARY KEY (tenant_id, id)); CREATE TABLE jobs (payload text)`)
	config = filepath.Join(t.TempDir(), "tenantgate.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
backends:
  main: {url: %q}
  silo: {url: "postgres://nobody@127.0.0.1:1/none"}
tenancy: {acknowledge: [%s]}
tenants: [{id: acme, key: "1"}]
logins: [{user: acme, password: acme, tenant: acme}]
`, server.URL(role, "its secret", database), acknowledge), 0o600))
	status, _, stderr := runCommand(t, "bootstrap", "--config", config, "--url", server.SuperuserURL(database), "--harden", "--apply")
	require.Equal(t, exitOK, status, stderr)
	require.NoError(t, server.Exec(t.Context(), database, "GRANT SELECT ON jobs TO PUBLIC; CREATE VIEW busy AS SELECT * FROM jobs; GRANT SELECT ON busy TO "+role))
	t.Cleanup(func() {
		require.NoError(t, server.Exec(context.Background(), database, fmt.Sprintf("DROP OWNED BY %[1]s; DROP ROLE %[1]s", role)))
	})
	return database, config
}

func TestDoctorTellsPeopleWhatToMend(t *testing.T) {
	database, config := doctorStage(t, "examined", "")
	status, stdout, stderr := runCommand(t, "doctor", "--config", config, "--backend", "main")
	require.Equal(t, exitFailure, status, stderr)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "database "+database+" of backend main, role examined, enforce rls: 1 error, 1 warning\n"+`
error denied-accessible:public.jobs
  tenants must not touch it, for it has no tenant column and is not listed, and the role has SELECT
    REVOKE SELECT ON TABLE public.jobs FROM PUBLIC, examined;

warning view-over-denied:public.busy
  the view shows public.jobs, which tenants must not read
    REVOKE ALL ON TABLE public.busy FROM PUBLIC, examined;

note: whoever has the role's password`)

	server := pgtest.Server(t)
	require.NoError(t, server.Exec(t.Context(), database, "REVOKE SELECT ON jobs FROM PUBLIC"))
	status, stdout, _ = runCommand(t, "doctor", "--config", config, "--backend", "main")
	require.Equal(t, exitOK, status, "warnings alone")
	require.Contains(t, stdout, "0 errors, 1 warning\n")
}

// What a tenant's condition tells is asked through the proxy itself.
func TestDoctorAsksAsATenantWhatConditionsTell(t *testing.T) {
	c := clinic.New(t, 2)
	for enforce, database := range map[string]string{"rls": c.Policies(), "rewrite": c.Plain(), "both": c.Policies()} {
		config := filepath.Join(t.TempDir(), "tenantgate.yaml")
		require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
backends: {main: {url: %q}}
tls: {mode: disable}
tenancy:
  enforce: %s
  tables: {tenants: {column: id}, countries: shared, feature_flags: shared-rw, audit_log: denied}
tenants: [{id: acme, key: "1"}, {id: globex, key: "2"}, {id: hooli, key: "3"}]
logins: [{user: acme, password: "SCRAM-SHA-256$4096:qwerqwerqwerqwerqwerqw==$NPq8yP5k3zyN0b7Xbg5jGxCbHDnpuNEcKL8QxNkPnSA=:NPq8yP5k3zyN0b7Xbg5jGxCbHDnpuNEcKL8QxNkPnSA=", tenant: acme}]
`, c.URL(database), enforce), 0o600))
		_, stdout, stderr := runCommand(t, "doctor", "--config", config, "--output", "json")
		require.Empty(t, stderr)
		var report doctorReport
		require.NoError(t, json.Unmarshal([]byte(stdout), &report))
		told := make(map[string]doctor.Severity)
		for _, f := range report.Databases[0].Findings {
			if f.Check == "conditions-tell" {
				told[f.Object] = f.Severity
			}
		}
		if enforce == "rls" { // it depends on the server's plans which tables tell
			require.Equal(t, doctor.Warning, told["public.patients"], "%v", told)
			continue
		}
		require.Empty(t, told, enforce)
	}
}

func TestDoctorTellsScriptsWhatIsAcknowledged(t *testing.T) {
	database, config := doctorStage(t, "acknowledged", `"denied-accessible:public.jobs", "rls-off:public.gone"`)
	status, stdout, stderr := runCommand(t, "doctor", "--config", config, "--backend", "main", "--output", "json")
	require.Equal(t, exitOK, status, stderr)
	var report doctorReport
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Equal(t, doctorReport{
		Databases: []examination{{Backend: "main", Database: database, Role: "acknowledged", Enforce: "rls", Findings: []doctor.Finding{
			{
				Name: "denied-accessible:public.jobs", Check: "denied-accessible", Object: "public.jobs", Severity: doctor.Error, Acknowledged: true,
				Why: "tenants must not touch it, for it has no tenant column and is not listed, and the role has SELECT",
				SQL: []string{"REVOKE SELECT ON TABLE public.jobs FROM PUBLIC, acknowledged"},
			},
			{
				Name: "view-over-denied:public.busy", Check: "view-over-denied", Object: "public.busy", Severity: doctor.Warning,
				Why: "the view shows public.jobs, which tenants must not read", SQL: []string{"REVOKE ALL ON TABLE public.busy FROM PUBLIC, acknowledged"},
			},
		}}},
		Unmatched: []string{"rls-off:public.gone"}, Notes: doctor.Notes, Errors: 0, Warnings: 1,
	}, report)

	status, stdout, _ = runCommand(t, "doctor", "--config", config, "--backend", "main")
	require.Equal(t, exitOK, status)
	require.Contains(t, stdout, "0 errors, 1 warning, 1 acknowledged\n\nerror denied-accessible:public.jobs (acknowledged)\n")
	require.Contains(t, stdout, "acknowledged, and not found: rls-off:public.gone\n")

	status, stdout, stderr = runCommand(t, "doctor", "--config", config)
	require.Equal(t, exitFailure, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, `tenantgate: backend "silo", database "none": `)
}

func TestDoctorLooksIntoTheDatabasesOfTenants(t *testing.T) {
	cfg, err := parseConfig("t.yaml", []byte(`
backends: {main: {url: "postgres://app@127.0.0.1/app"}, silo: {url: "postgres://app@127.0.0.1/app"}}
tenants:
  - {id: a, key: "1"}
  - {id: b, database: b}
  - {id: c, key: "1", database: c, backend: silo}
  - {id: d, key: "2", database: c, backend: silo}
  - {id: e, key: "3", database: app, backend: silo}
logins: [{user: a, password: a, tenant: a}]
`), os.LookupEnv)
	require.NoError(t, err)
	var found []string
	for _, d := range cfg.databases() {
		found = append(found, fmt.Sprint(d.Backend, " ", d.Server.Database, " ", d.OneTenant))
	}
	require.Equal(t, []string{"main app false", "main b true", "silo app false", "silo c false"}, found)
}

func TestHardeningTakesASuperuser(t *testing.T) {
	server := pgtest.Server(t)
	database := pgtest.Database(t, "CREATE TABLE orders (tenant_id int NOT NULL)")
	require.NoError(t, server.Exec(t.Context(), database, "CREATE ROLE plain_owner LOGIN CREATEROLE PASSWORD 'o'; ALTER TABLE orders OWNER TO plain_owner; ALTER DATABASE "+database+" OWNER TO plain_owner; ALTER SCHEMA public OWNER TO plain_owner"))
	config := filepath.Join(t.TempDir(), "tenantgate.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
backends: {main: {url: %q}}
tenants: [{id: acme, key: "1"}]
logins: [{user: acme, password: acme, tenant: acme}]
`, server.URL("softened", "s", database)), 0o600))
	t.Cleanup(func() {
		require.NoError(t, server.Exec(context.Background(), database, "ALTER DATABASE "+database+" OWNER TO postgres; DROP OWNED BY softened, plain_owner CASCADE; DROP ROLE softened, plain_owner"))
	})
	owner := server.URL("plain_owner", "o", database)
	status, stdout, stderr := runCommand(t, "bootstrap", "--config", config, "--url", owner, "--apply", "--harden")
	require.Equal(t, exitFailure, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "nothing was changed: only a superuser can run GRANT EXECUTE ON FUNCTION")
	status, _, stderr = runCommand(t, "bootstrap", "--config", config, "--url", owner, "--apply")
	require.Equal(t, exitOK, status, stderr)
	status, stdout, _ = runCommand(t, "doctor", "--config", config)
	require.Equal(t, exitOK, status, stdout)
	require.Contains(t, stdout, "warning not-hardened:set_config")
}

func TestFaultyDatabaseOfATenantKeepsItsClientsOutAlone(t *testing.T) {
	c := clinic.New(t, 1)
	server := pgtest.Server(t)
	faulty := pgtest.Database(t, "CREATE TABLE orders (tenant_id int NOT NULL); GRANT SELECT ON orders TO PUBLIC")
	addresses, _, _ := startProxy(t, t.TempDir(), fmt.Sprintf(`
listen: ["127.0.0.1:0"]
admin: {listen: "127.0.0.1:0"}
backends: {main: {url: %q}}
tenancy:
  tables: {tenants: {column: id}, countries: shared, feature_flags: shared-rw, audit_log: denied}
  acknowledge: ["fk-cascade-without-tenant:public.invoice_lines"]
tenants: [{id: acme, key: "1"}, {id: globex, key: "2", database: %s}]
logins: [{user: acme, password: a, tenant: acme}, {user: globex, password: g, tenant: globex}]
`, c.URL(c.Policies()), faulty))
	address := addresses["clients are served"][0]
	pgtest.Must(t, pgtest.Connect(t, "postgres://acme:a@"+address+"/"+c.Policies()+"?sslmode=disable"), "TABLE patients")

	url := "postgres://globex:g@" + address + "/" + faulty + "?sslmode=disable"
	_, err := pgconn.Connect(t.Context(), url)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "57P03", refused.Code)

	// Once it is mended the next client comes in.
	for _, f := range examined(t, server.URL(clinic.Role, clinic.Password, faulty)) {
		for _, sql := range f.SQL {
			require.NoError(t, server.Exec(t.Context(), faulty, sql))
		}
	}
	pgtest.Must(t, pgtest.Connect(t, url), "TABLE orders")
}

func TestMessageOfAFaultyDatabaseIsBounded(t *testing.T) {
	err := &faultyDatabaseError{database: &pgconn.Config{Database: "app"}}
	for n := range shownFindings + 3 {
		err.findings = append(err.findings, doctor.Finding{Name: fmt.Sprint("rls-off:t", n), SQL: []string{"ALTER"}})
	}
	require.Contains(t, err.Error(), "the doctor finds 23 errors\n")
	require.Contains(t, err.Error(), "rls-off:t19\n")
	require.NotContains(t, err.Error(), "rls-off:t20\n")
	require.Contains(t, err.Error(), "and 3 more\n")
}

// examined are the errors of a database under row-level security.
func examined(t *testing.T, url string) (errors []doctor.Finding) {
	t.Helper()
	server, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	findings, err := doctor.Examine(t.Context(), server, doctor.Config{
		RowSecurity: true, Catalog: catalog.Config{Setting: clinic.Setting, Column: "tenant_id"},
	})
	require.NoError(t, err)
	for _, f := range findings {
		if f.Severity == doctor.Error {
			errors = append(errors, f)
		}
	}
	require.NotEmpty(t, errors)
	return errors
}

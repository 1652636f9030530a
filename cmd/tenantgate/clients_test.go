package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/postgres"
)

// clientsVariable names the programs of testdata/clients that are run, or says
// "all"; make clients sets it.
const clientsVariable = "CLIENTS"

// clientPatience bounds one run of one program.
const clientPatience = 5 * time.Minute

// Where programs connect, and as whom.
const (
	clientOwner  = "clients_owner"
	clientRole   = "clients_app"
	clientSecret = "clients"
	clientAlone  = "clients_alone" // the database of one tenant
)

// clientPrograms are those of testdata/clients. Each prints a line for each of
// its steps: "ok NAME", "not ok NAME: why" or "skip NAME: why".
var clientPrograms = []struct {
	name    string
	command []string // relative to testdata/clients
}{
	{"psql", []string{"bash", "cli/psql.sh"}},
	{"pgbench", []string{"bash", "cli/pgbench.sh"}},
	{"pg_dump", []string{"bash", "cli/pg_dump.sh"}},
	{"psycopg2", []string{"/usr/bin/python3", "python/psycopg2_client.py"}},
	{"psycopg", []string{"/usr/bin/python3", "python/psycopg_client.py"}},
	{"asyncpg", []string{"/usr/bin/python3", "python/asyncpg_client.py"}},
	{"sqlalchemy", []string{"/usr/bin/python3", "python/sqlalchemy_client.py"}},
	{"django", []string{"/usr/bin/python3", "python/django_client.py"}},
	{"odbc", []string{"/usr/bin/python3", "python/odbc_client.py"}},
	{"node-pg", []string{"node", "node/pg.cjs"}},
	{"postgres.js", []string{"node", "node/postgres.cjs"}},
	{"jdbc", []string{"java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m", "Clients"}},
	{"ruby-pg", []string{"ruby", "ruby/pg.rb"}},
	{"activerecord", []string{"ruby", "ruby/activerecord.rb"}},
	{"php", []string{"php", "php/pdo.php"}},
	{"dbd-pg", []string{"perl", "perl/dbd_pg.pl"}},
}

// Without a choice, what runs is little, and needs nothing but PostgreSQL's own
// clients.
var (
	fewClients = []string{"psql"}
	fewTargets = []string{"direct", "operator, pool of 2", "tenant, both, pool of 2"}
)

// A clientTarget is where the programs are run.
type clientTarget struct {
	name     string
	login    string // CLIENT_LOGIN: owner, operator or tenant
	pool     int    // 0 is without a proxy
	enforce  string
	backend  string // a database
	database string // the client's
}

var clientTargets = []clientTarget{
	{name: "direct", login: "owner", database: clientAlone},
	{name: "operator, pool of 2", login: "operator", pool: 2, enforce: "rls", backend: "clients_rls", database: clientAlone},
	{name: "operator, pool of 1", login: "operator", pool: 1, enforce: "rls", backend: "clients_rls", database: clientAlone},
	{name: "tenant, rls, pool of 2", login: "tenant", pool: 2, enforce: "rls", backend: "clients_rls", database: "clients_rls"},
	{name: "tenant, rls, pool of 1", login: "tenant", pool: 1, enforce: "rls", backend: "clients_rls", database: "clients_rls"},
	{name: "tenant, rewrite, pool of 2", login: "tenant", pool: 2, enforce: "rewrite", backend: "clients_rewrite", database: "clients_rewrite"},
	{name: "tenant, rewrite, pool of 1", login: "tenant", pool: 1, enforce: "rewrite", backend: "clients_rewrite", database: "clients_rewrite"},
	{name: "tenant, both, pool of 2", login: "tenant", pool: 2, enforce: "both", backend: "clients_both", database: "clients_both"},
	{name: "tenant, both, pool of 1", login: "tenant", pool: 1, enforce: "both", backend: "clients_both", database: "clients_both"},
}

// config is the proxy's, before the server.
func (target clientTarget) config(server *postgres.Server) string {
	return fmt.Sprintf(`
listen: ["127.0.0.1:0"]
admin: {listen: "127.0.0.1:0"}
backends:
  main: {url: %q, pool: {size: %d, per_tenant: %[2]d, acquire_timeout: 20s}}
tenancy:
  enforce: %s
  setting: app.tenant_id
  temp_tables: true
  unlisted: shared
tenants: [{id: client, key: "1"}, {id: company, key: "2"}]
logins:
  - {user: tenant, password: %s, tenant: client}
  - {user: company, password: %[4]s, tenant: company}
  - {user: operator, password: %[4]s, operator: true, url: %[5]q}
`, server.URL(clientRole, clientSecret, target.backend), target.pool, target.enforce, clientSecret,
		server.URL(clientOwner, clientSecret, target.backend))
}

// clientResults are the steps of one run, by name.
type clientResults map[string]clientResult

// A clientResult is what a program says of a step.
type clientResult struct {
	passed, skipped bool
	why             string // not passed
}

// with are these steps and others.
func (r clientResults) with(others clientResults) clientResults {
	all := maps.Clone(r)
	maps.Copy(all, others)
	return all
}

var clientLine = regexp.MustCompile(`(?m)^(ok|not ok|skip) ([^:\n]+)(?:: (.*))?$`)

func TestClientsWorkAsWithoutTheProxy(t *testing.T) {
	chosen, targets := fewClients, slices.DeleteFunc(slices.Clone(clientTargets), func(target clientTarget) bool {
		return !slices.Contains(fewTargets, target.name)
	})
	if text := os.Getenv(clientsVariable); text != "" {
		targets = clientTargets
		chosen = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	}
	all := slices.Equal(chosen, []string{"all"})
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	// Just-in-time compilation takes seconds of what drivers ask the catalogs.
	server := pgtest.Start(t, postgres.Options{Settings: map[string]string{"jit": "off"}})
	makeClientDatabases(t, root, server)
	expected := readDifferences(t, filepath.Join(root, "testdata", "clients", "differences.txt"))
	direct := make(map[string]clientResults)
	for _, target := range targets {
		t.Run(target.name, func(t *testing.T) {
			env := target.open(t, root, server)
			ran := 0
			for _, program := range clientPrograms {
				if !all && !slices.Contains(chosen, program.name) {
					continue
				}
				ran++
				t.Run(program.name, func(t *testing.T) {
					got := runClient(t, root, env, program.command)
					if target.pool == 0 {
						direct[program.name] = got
						for step, result := range got {
							if !result.passed {
								t.Errorf("%s: %s", step, result.why)
							}
						}
						return
					}
					wrong, known := expected.compare(program.name, target.name, direct[program.name], got)
					for _, difference := range known {
						t.Log("differs as documented:", difference)
					}
					for _, what := range wrong {
						t.Error(what)
					}
				})
			}
			require.True(t, all || ran == len(chosen), "%s=%s names a program that there is not", clientsVariable, strings.Join(chosen, ","))
		})
	}
}

// makeClientDatabases makes the database that is one client's alone, and those
// that tenants share.
func makeClientDatabases(t *testing.T, root string, server *postgres.Server) {
	ctx := t.Context()
	schema, err := os.ReadFile(filepath.Join(root, "testdata", "clients", "schema.sql"))
	require.NoError(t, err)
	require.NoError(t, server.Exec(ctx, postgres.Superuser, fmt.Sprintf("CREATE ROLE %s LOGIN CREATEDB CREATEROLE PASSWORD '%s'; CREATE ROLE %s LOGIN PASSWORD '%[2]s'; GRANT %[3]s TO %[1]s WITH ADMIN OPTION",
		clientOwner, clientSecret, clientRole)))
	made := make(map[string]bool)
	for _, target := range clientTargets {
		if made[target.database] {
			continue
		}
		made[target.database] = true
		require.NoError(t, server.CreateDatabase(ctx, target.database, ""))
		require.NoError(t, server.Exec(ctx, target.database, fmt.Sprintf("ALTER DATABASE %s OWNER TO %s; ALTER SCHEMA public OWNER TO %[2]s; GRANT TEMPORARY ON DATABASE %[1]s TO %[3]s",
			target.database, clientOwner, clientRole)))
		config, err := pgconn.ParseConfig(server.URL(clientOwner, clientSecret, target.database))
		require.NoError(t, err)
		owner, err := pgconn.ConnectConfig(ctx, config)
		require.NoError(t, err)
		sql := string(schema)
		if target.database == clientAlone {
			sql += "ALTER TABLE items ALTER tenant_id SET DEFAULT 1; ALTER TABLE moods ALTER tenant_id SET DEFAULT 1;"
		}
		_, err = owner.Exec(ctx, sql).ReadAll()
		require.NoError(t, err)
		require.NoError(t, owner.Close(ctx))
		if target.database == clientAlone {
			continue
		}
		file := filepath.Join(t.TempDir(), "tenantgate.yaml")
		require.NoError(t, os.WriteFile(file, []byte(target.config(server)), 0o600))
		cfg, err := readConfig(file, os.LookupEnv)
		require.NoError(t, err)
		_, err = bootstrap(ctx, cfg, bootstrapRequest{backend: cfg.Backends[mainBackend], server: config, apply: true})
		require.NoError(t, err)
	}
}

// open starts the target's proxy, with other clients on it, and returns the
// environment that programs find it by.
func (target clientTarget) open(t *testing.T, root string, server *postgres.Server) []string {
	address, user := server.Addr(), clientOwner
	if target.pool > 0 {
		addresses, _, _ := startProxy(t, t.TempDir(), target.config(server))
		address, user = addresses["clients are served"][0], target.login
		keepCompany(t, address, target)
	}
	host, port, ok := strings.Cut(address, ":")
	require.True(t, ok)
	jars, err := filepath.Glob("/usr/share/java/*.jar")
	require.NoError(t, err)
	env := []string{
		"PGHOST=" + host, "PGPORT=" + port, "PGUSER=" + user, "PGPASSWORD=" + clientSecret, "PGDATABASE=" + target.database,
		"PGSSLMODE=disable", "PGCONNECT_TIMEOUT=20", "CLIENT_LOGIN=" + target.login, "LC_ALL=C.UTF-8", "LANG=C.UTF-8",
		"NODE_PATH=" + filepath.Join(root, "bin", "clients", "node_modules"),
		"CLASSPATH=" + strings.Join(append(jars, filepath.Join(root, "bin", "clients", "java")), ":"),
		"PATH=" + server.BinDir() + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(),
	}
	return env
}

// runClient runs a program to its end.
func runClient(t *testing.T, root string, env, command []string) clientResults {
	ctx, cancel := context.WithTimeout(t.Context(), clientPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env = filepath.Join(root, "testdata", "clients"), env
	cmd.WaitDelay = time.Second
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v\n%s\n%s", strings.Join(command, " "), errors.Join(err, ctx.Err()), tail(out.String()), tail(stderr.String()))
	}
	results := make(clientResults)
	counts := make(map[string]int)
	for _, m := range clientLine.FindAllStringSubmatch(out.String(), -1) {
		counts[m[1]]++
		if _, twice := results[m[2]]; twice {
			t.Errorf("%s: there are two steps of the name", m[2])
		}
		results[m[2]] = clientResult{passed: m[1] == "ok", skipped: m[1] == "skip", why: m[1] + ": " + m[3]}
	}
	t.Logf("%d steps ok, %d failed, %d not for this login, in %.1fs", counts["ok"], counts["not ok"], counts["skip"], time.Since(start).Seconds())
	require.NotEmpty(t, results, "no steps:\n%s\n%s", tail(out.String()), tail(stderr.String()))
	return results
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

// keepCompany has other clients use the target's pool for as long as the test
// runs, so that a client rarely gets the server connection it had before.
func keepCompany(t *testing.T, address string, target clientTarget) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	users := []string{"company", target.login, "company"}
	if target.login == "operator" {
		users = []string{"operator", "operator", "operator"}
	}
	for i, user := range users {
		url := fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable&application_name=company%d", user, clientSecret, address, target.database, i)
		conn, err := pgconn.Connect(ctx, url)
		require.NoError(t, err)
		go func() {
			defer func() { done <- struct{}{} }()
			defer func() { _ = conn.Close(context.Background()) }()
			for n := 0; ctx.Err() == nil; n++ {
				err := bustle(ctx, conn, i, n)
				for keptWaiting(err) { // a program's session keeps what server connections there are
					_ = conn.Close(ctx)
					var again *pgconn.PgConn
					if again, err = pgconn.Connect(ctx, url); err == nil {
						conn = again
					}
				}
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("company %d: %v", i, err)
					}
					return
				}
				time.Sleep(2 * time.Millisecond)
			}
		}()
	}
	t.Cleanup(func() {
		cancel()
		for range users {
			<-done
		}
	})
}

// keptWaiting reports whether no server connection came free.
func keptWaiting(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "53300"
}

// companyNames are those that drivers give their prepared statements.
var companyNames = []string{"", "S_1", "_pg3_0", "__asyncpg_stmt_1__", "lrupsc_1_0", "pdo_stmt_00000001", "dbdpg_p1_1", "P0_1", "a1", "_PLAN1"}

// bustle does what other clients do: statements by names that drivers use,
// transactions, settings, errors. The answers must be the client's own.
func bustle(ctx context.Context, conn *pgconn.PgConn, i, n int) error {
	name := companyNames[n%len(companyNames)]
	want := fmt.Sprintf("company %d", i)
	if conn.TxStatus() == 'E' {
		if _, err := conn.Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
			return err
		}
	}
	if _, err := conn.Prepare(ctx, name, fmt.Sprintf("SELECT 'company %d' AS noise, $1::text", i), nil); err != nil {
		return fmt.Errorf("prepare %q: %w", name, err)
	}
	result := conn.ExecPrepared(ctx, name, [][]byte{[]byte(fmt.Sprint(n))}, nil, nil).Read()
	if result.Err != nil {
		return fmt.Errorf("execute %q: %w", name, result.Err)
	}
	if got := string(result.Rows[0][0]) + string(result.Rows[0][1]); got != want+fmt.Sprint(n) {
		return fmt.Errorf("execute %q: got %q", name, got)
	}
	if name != "" {
		if err := conn.Deallocate(ctx, name); err != nil {
			return err
		}
	}
	sql := []string{
		"BEGIN; SELECT 2; COMMIT",
		"SET DateStyle = 'SQL'; SET TimeZone = 'Pacific/Auckland'; SET extra_float_digits = 0; SET statement_timeout = '1h'",
		"BEGIN; SET LOCAL DateStyle = 'German'; SELECT 1/0",
		"SELECT now()",
		"BEGIN; CREATE TEMP TABLE lasting (company int) ON COMMIT DROP; COMMIT",
		"RESET ALL",
	}[n%6]
	_, err := conn.Exec(ctx, sql).ReadAll()
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "22012" {
		return nil
	}
	return err
}

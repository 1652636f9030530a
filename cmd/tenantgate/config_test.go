package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/pool"
	"tenantgate/proxy"
	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

// noEnv is an environment without variables.
func noEnv(string) (string, bool) { return "", false }

func parseText(t testing.TB, text string) (*Config, error) {
	t.Helper()
	return parseConfig(filepath.Join(t.TempDir(), "t.yaml"), []byte(text), noEnv)
}

const fullConfig = `
listen: [127.0.0.1:6432, "[::1]:6432", /run/tenantgate/]
admin: {listen: 127.0.0.1:6433, profile: true}
tls: {mode: require, cert: server.crt, key: /etc/ssl/server.key}
limits: {clients: 5000}
backends:
  main:
    url: postgres://app:hush@127.0.0.1:5432/app?sslmode=prefer
    pool: {size: 30, per_tenant: 12, min_idle: 0, idle_timeout: 90s, max_lifetime: 30m, acquire_timeout: 1500ms}
  silo:
    url: "host=/run/postgresql dbname=silo user=app password=hush"
    pool: {size: 5}
tenancy:
  enforce: both
  setting: App.Tenant
  column: Tenant_ID
  tables:
    Tenants: {column: id}
    public."Countries": shared
    feature_flags: shared-rw
    audit_log: denied
  unlisted: shared
  functions: {allow: [public.my_report, Slugify], deny: [pg_catalog.now]}
  seal: false
  temp_tables: true
  explain: true
  acknowledge: []
  observe: true
tenants:
  - {id: acme, key: 1}
  - id: globex
    key: "b9c0"
    limits: {connections: 50, clients: 100, wait: 2s, statement_timeout: 30s, idle_in_transaction_timeout: 1m, weight: 3}
  - {id: hooli, key: "3", backend: silo}
  - {id: initech, database: initech, suspended: true}
  - {id: 7, key: "7", database: other, backend: main}
logins:
  - {user: acme_app, password: "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", tenant: acme}
  - {user: bi, password: hush, tenants: [acme, globex, 7], limits: {clients: 8}}
  - {user: ops, password: hush, operator: true, backend: silo, console: false}
  - {user: support, password: hush, operator: true}
  - {user: migrator, password: hush, operator: true, url: "postgres://owner:hush@127.0.0.1:5432/app"}
`

func TestConfigurationIsReadInFull(t *testing.T) {
	cfg, err := parseConfig("/etc/tenantgate/t.yaml", []byte(fullConfig), noEnv)
	require.NoError(t, err)
	require.Equal(t, []Address{{"tcp", "127.0.0.1:6432"}, {"tcp", "[::1]:6432"}, {"unix", "/run/tenantgate"}}, cfg.Listen)
	require.Equal(t, Admin{Listen: "127.0.0.1:6433", Profile: true}, cfg.Admin)
	require.Equal(t, 5000, cfg.Clients)
	require.Equal(t, TLS{Mode: TLSRequire, Cert: "/etc/tenantgate/server.crt", Key: "/etc/ssl/server.key"}, cfg.TLS)
	require.Equal(t, Pool{30, 12, 0, 90 * time.Second, 30 * time.Minute, 1500 * time.Millisecond}, cfg.Backends["main"].Pool)
	require.Equal(t, Pool{5, 5, 2, 5 * time.Minute, time.Hour, 10 * time.Second}, cfg.Backends["silo"].Pool)
	require.Equal(t, Tenancy{
		Enforce: proxy.Both, Setting: "app.tenant", Column: "tenant_id",
		Tables: []catalog.TableRule{
			{Name: catalog.Name{Name: "tenants"}, Class: catalog.Tenanted, Column: "id"},
			{Name: catalog.Name{Schema: "public", Name: "Countries"}, Class: catalog.Shared},
			{Name: catalog.Name{Name: "feature_flags"}, Class: catalog.SharedReadWrite},
			{Name: catalog.Name{Name: "audit_log"}, Class: catalog.Denied},
		},
		UnlistedShared: true,
		AllowFunctions: []catalog.Name{{Schema: "public", Name: "my_report"}, {Name: "slugify"}},
		DenyFunctions:  []catalog.Name{{Schema: "pg_catalog", Name: "now"}},
		Explain:        true,
		Observe:        true,
		TempTables:     true,
	}, cfg.Tenancy)
	require.Equal(t, []Tenant{
		{ID: "acme", Key: "1", Backend: "main"},
		{ID: "globex", Key: "b9c0", Backend: "main", Limits: auth.Limits{
			Connections: 50, Clients: 100, Weight: 3,
			Wait: 2 * time.Second, StatementTimeout: 30 * time.Second, IdleInTransactionTimeout: time.Minute,
		}},
		{ID: "hooli", Key: "3", Backend: "silo"},
		{ID: "initech", Backend: "main", Database: "initech", Suspended: true},
		{ID: "7", Key: "7", Backend: "main", Database: "other"},
	}, cfg.Tenants)
	require.Equal(t, []Login{
		{User: "acme_app", Password: cfg.Logins[0].Password, Tenants: []string{"acme"}},
		{User: "bi", Password: "hush", Tenants: []string{"acme", "globex", "7"}, Clients: 8},
		{User: "ops", Password: "hush", Operator: true, Backend: "silo"},
		{User: "support", Password: "hush", Operator: true, Backend: "main"},
		{User: "migrator", Password: "hush", Operator: true, URL: "postgres://owner:hush@127.0.0.1:5432/app"},
	}, cfg.Logins)

	require.Equal(t, rewrite.Config{Setting: "app.tenant", Confine: true, RequireRowSecurity: true, Explain: true, TempTables: true}, cfg.Rewrite())
	require.Equal(t, cfg.Tenancy.Tables, cfg.Catalog().Tables)
	require.Equal(t, "tenant_id", cfg.Catalog().Column)
	pools := cfg.Pools()
	require.Equal(t, "silo", pools["silo"].Pool.Server.Database)
	require.Equal(t, "hush", pools["silo"].Pool.Server.Password)
	for _, p := range pools {
		_, err := pool.New(p.Pool)
		require.NoError(t, err)
	}
	authentication := cfg.Auth()
	require.Equal(t, auth.Tenant{ID: "hooli", Key: "3", Backend: "silo"}, authentication.Tenants[2])
	require.Equal(t, cfg.Tenants[1].Limits, authentication.Tenants[1].Limits)
	require.Equal(t, "hush", authentication.Logins[1].Password)
	require.Equal(t, 8, authentication.Logins[1].Clients)
	_, err = auth.New(authentication)
	require.NoError(t, err)
	tenant, ok := cfg.Tenant("initech")
	require.True(t, ok)
	require.Equal(t, "initech", cfg.Home(tenant).Database)
	require.Equal(t, "app", cfg.Backends["main"].Server().Database, "a home is a copy")
}

const smallConfig = `
backends: {only: {url: "postgres://app@localhost/app"}}
tenants: [{id: acme, key: "1"}]
logins: [{user: u, password: p, tenant: acme}, {user: ops, password: p, operator: true}]
`

func TestDefaults(t *testing.T) {
	cfg, err := parseText(t, smallConfig)
	require.NoError(t, err)
	require.Equal(t, []Address{{"tcp", "127.0.0.1:6432"}}, cfg.Listen)
	require.Equal(t, Admin{}, cfg.Admin)
	require.Equal(t, TLS{Mode: TLSDisable}, cfg.TLS)
	require.Equal(t, Pool{20, 10, 2, 5 * time.Minute, time.Hour, 10 * time.Second}, cfg.Backends["only"].Pool)
	require.Equal(t, Tenancy{Enforce: proxy.RLS, Setting: "app.tenant_id", Column: "tenant_id"}, cfg.Tenancy)
	require.Equal(t, "only", cfg.Tenants[0].Backend)
	require.Equal(t, "only", cfg.Logins[1].Backend)
	require.False(t, cfg.Auth().RequireClientCert)
}

// TestConfigurationErrors compares what is said of mistakes with
// testdata/config.
func TestConfigurationErrors(t *testing.T) {
	datadriven.Walk(t, filepath.Join("testdata", "config"), func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			env := func(name string) (string, bool) {
				text := map[string]string{"SET": "hush", "NUMBER": "7", "EMPTY": ""}[name]
				return text, text != "" || name == "EMPTY"
			}
			_, err := parseConfig("t.yaml", []byte(d.Input), env)
			if err == nil {
				return "ok\n"
			}
			require.NotContains(t, err.Error(), "hush")
			var config *ConfigError
			require.ErrorAs(t, err, &config)
			return err.Error() + "\n"
		})
	})
}

// unavailableExamples ask for what unavailable lists.
var unavailableExamples = map[string]string{
	"registry":         "registry: {backend: only, schema: tenantgate}",
	"tenants[].schema": "tenants: [{id: umbrella, schema: umbrella}]",
}

func TestWhatIsNotAvailableIsRefused(t *testing.T) {
	for path := range unavailable {
		example, ok := unavailableExamples[path]
		require.True(t, ok, "%s has no example", path)
		text := "backends: {only: {url: \"postgres://app@localhost/app\"}}\n" + example + "\n"
		if !strings.HasPrefix(example, "logins") {
			text += "logins: [{user: ops, password: p, operator: true}]\n"
		}
		_, err := parseText(t, text)
		var config *ConfigError
		require.ErrorAs(t, err, &config, path)
		require.Len(t, config.Problems, 1, path)
		require.Contains(t, config.Problems[0].Text, "is not available in this version")
		require.Equal(t, 2, config.Problems[0].Line)
		require.Greater(t, config.Problems[0].Column, 1)
	}
}

func TestSecretsComeFromFilesAndVariables(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"bi": "from file\n", "crlf": "x\r\n", "two": "a\nb\n\n", "url": "postgres://app:hush@db/app\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	env := map[string]string{"PW": "from env", "DIR": dir, "SIZE": "7", "AT": "@bi", "ON": "true", "EMPTY": "", "DOLLAR": "${PW}"}
	text := `
backends:
  only: {url: "@url", pool: {size: "${SIZE}", acquire_timeout: "${SIZE}s"}}
logins:
  - {user: "${PW}", password: "@bi", operator: true}
  - {user: b, password: "@${DIR}/crlf", operator: "${ON}"}
  - {user: c, password: "@two", operator: true}
  - {user: d, password: "${PW}!", operator: true}
  - {user: e, password: "$${PW}", operator: true}
  - {user: f, password: "${AT}", operator: true}
  - {user: g, password: "${DOLLAR}", operator: true}
  - {user: h, password: "$PW $$ $", operator: true}
  - {user: i, password: "x${EMPTY}", operator: true}
`
	cfg, err := parseConfig(filepath.Join(dir, "t.yaml"), []byte(text), func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
	require.NoError(t, err)
	require.Equal(t, 7, cfg.Backends["only"].Pool.Size)
	require.Equal(t, 7*time.Second, cfg.Backends["only"].Pool.AcquireTimeout)
	require.Equal(t, "postgres://app:hush@db/app", cfg.Backends["only"].URL.Reveal())
	require.Equal(t, "from env", cfg.Logins[0].User)
	var passwords []string
	for _, l := range cfg.Logins {
		passwords = append(passwords, l.Password.Reveal())
	}
	require.Equal(t, []string{"from file", "x", "a\nb\n", "from env!", "${PW}", "@bi", "${PW}", "$PW $$ $", "x"}, passwords)
}

func TestSecretFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large"), make([]byte, maxSecretBytes+1), 0o600))
	for path, want := range map[string]string{"empty": "is empty", "large": "is larger than", "missing": "no such file", ".": "is a directory", "": "is a directory"} {
		_, err := parseConfig(filepath.Join(dir, "t.yaml"), []byte(`
backends: {only: {url: "postgres://app@localhost/app"}}
logins: [{user: u, password: "@`+path+`", operator: true}]
`), noEnv)
		require.ErrorContains(t, err, "t.yaml:3:30: password: ")
		require.ErrorContains(t, err, want)
	}
}

func TestSecretsAreNotPrintedWithTheConfiguration(t *testing.T) {
	cfg, err := parseConfig("t.yaml", []byte(fullConfig), noEnv)
	require.NoError(t, err)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, cfg.Logins), "hush")
		require.NotContains(t, fmt.Sprintf(format, cfg.Backends["main"].URL), "hush")
		require.NotContains(t, fmt.Sprintf(format, cfg.Auth()), "hush")
	}
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	require.NotContains(t, string(text), "hush")
}

func TestAliasesAreFollowedAndBounded(t *testing.T) {
	cfg, err := parseText(t, `
backends: {main: {url: "postgres://app@localhost/app", pool: &p {size: 3}}, b: {url: "postgres://app@localhost/b", pool: *p}}
logins: [{user: u, password: p, operator: true}]
`)
	require.NoError(t, err)
	require.Equal(t, 3, cfg.Backends["b"].Pool.Size)

	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), ", "))
	}
	bomb += "tenants: *z\nlogins: *z\n"
	_, err = parseText(t, bomb)
	require.ErrorContains(t, err, `unknown key "a"`)

	_, err = parseText(t, "tenants: &t [*t, *t]\nlogins: &l {x: *l}\n")
	require.ErrorContains(t, err, "wrong type")

	many := "backends: {main: {url: &u \"postgres://app@localhost/app\"}}\nlogins:\n- &l {user: u, password: p, operator: true}\n" + strings.Repeat("- *l\n", 1500)
	_, err = parseText(t, many)
	require.ErrorContains(t, err, "more than 1000 aliases")
}

func TestProblemsAreBoundedWhenPrinted(t *testing.T) {
	_, err := parseText(t, "logins: ["+strings.Repeat("x, ", 500)+"]\nbackends: {}")
	require.Len(t, strings.Split(err.Error(), "\n"), maxProblems+1)
	require.ErrorContains(t, err, "451 more")
}

func TestFlagsGoOverTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.yaml")
	require.NoError(t, os.WriteFile(file, []byte(smallConfig), 0o600))
	load := func(args ...string) (*Config, error) {
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		config := addConfigFlags(flags)
		require.NoError(t, flags.Parse(append([]string{"--config", file}, args...)))
		return config.load(noEnv)
	}
	cfg, err := load()
	require.NoError(t, err)
	require.Equal(t, zerolog.InfoLevel, cfg.LogLevel)

	cfg, err = load("--listen", ":1", "--listen=/tmp", "--log-level", "warn")
	require.NoError(t, err)
	require.Equal(t, []Address{{"tcp", ":1"}, {"unix", "/tmp"}}, cfg.Listen)
	require.Equal(t, zerolog.WarnLevel, cfg.LogLevel)

	for want, args := range map[string][]string{
		`--listen: "6432" is no address; allowed: host:port, or the absolute path of a unix socket directory`: {"--listen", "6432"},
		`--log-level: unknown level "warning"; did you mean "warn"? allowed: trace, debug, info, warn, error`: {"--log-level", "warning"},
		file + ".gone: open " + file + ".gone: no such file or directory":                                     {"--config", file + ".gone"},
	} {
		_, err := load(args...)
		require.EqualError(t, err, want)
		var config *ConfigError
		require.ErrorAs(t, err, &config)
	}
}

func FuzzParseConfigTellsWhatIsWrong(f *testing.F) {
	f.Add(fullConfig)
	f.Add(smallConfig)
	f.Add("a: &a [*a]\n? [x]\n: y\n<<: *a\n--- \n...")
	f.Add("tenants: !!binary x\nlogins: !foo [${x}, $${, ${]\nlisten: ~\n")
	f.Add("%YAML 1.1\n--- |\n x")
	for _, example := range unavailableExamples {
		f.Add(example)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "@") || strings.Contains(text, "file") || strings.Contains(text, "ssl") {
			return // would read files of this machine
		}
		_, err := parseConfig("t.yaml", []byte(text), noEnv)
		if err == nil {
			return
		}
		var config *ConfigError
		require.ErrorAs(t, err, &config)
		require.NotEmpty(t, config.Problems)
	})
}

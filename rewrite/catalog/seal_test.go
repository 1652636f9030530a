package catalog

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

const sealSetting = "app.tenant_id"

var testSealKey = SealKey{1, 2, 3, 31: 0xff}

// sealed is what a role of the name needs with a seal.
func sealed(role string) BootstrapConfig {
	return BootstrapConfig{Setting: sealSetting, Role: role, Sealed: true, SealKey: &testSealKey}
}

// bootstrappedSealed prepares a database with a seal and requires that nothing
// but the key, which cannot be looked at, would be written again.
func bootstrappedSealed(t testing.TB, c conn, database string, cfg Config, b BootstrapConfig) conn {
	t.Helper()
	b.Password = "secret"
	apply(t, c, plan(t, c, cfg, b))
	dropLater(t, database, b.Role)
	require.NoError(t, CheckSeal(t.Context(), c, b.Setting, *b.SealKey))
	b.SealKey = nil
	require.Empty(t, plan(t, c, cfg, b), "nothing is missing after the first run")
	return connect(t, pgtest.Server(t).URL(b.Role, b.Password, database))
}

// process is the server process of a connection.
func (c conn) process(t testing.TB) uint32 {
	t.Helper()
	pid, err := strconv.ParseUint(c.exec(t, "SELECT pg_backend_pid()")[0], 10, 32)
	require.NoError(t, err)
	return uint32(pid)
}

func TestSealedTenantsAreKeptApartByKeysOfEveryType(t *testing.T) {
	var schema strings.Builder
	schema.WriteString(keyTypesSchema)
	for i, k := range keyColumns {
		fmt.Fprintf(&schema, `CREATE TABLE t%d (id serial, "Tenant" %s); INSERT INTO t%d ("Tenant") SELECT k::%s FROM unnest(ARRAY[%s, %s]) AS k;`,
			i, k.column, i, k.column, quoteLiteral(k.mine), quoteLiteral(k.other))
	}
	database := pgtest.Database(t, schema.String())
	app := bootstrappedSealed(t, superuser(t, database), database, Config{Column: "Tenant"}, sealed("sealed app"))
	pid := app.process(t)
	for i, k := range keyColumns {
		t.Run(k.column, func(t *testing.T) {
			table := fmt.Sprintf("t%d", i)
			app.exec(t, "RESET ALL")
			app.requireSQLState(t, "42501", "SELECT FROM "+table)
			app.requireSQLState(t, "42501", "INSERT INTO "+table+" DEFAULT VALUES")
			app.become(t, sealSetting, testSealKey.Token(k.mine, pid, time.Now()))
			require.Equal(t, []string{"1|1"}, app.exec(t, `SELECT count(*), count(DISTINCT "Tenant") FROM `+table))
			require.Equal(t, []string{"t"}, app.exec(t, "INSERT INTO "+table+` DEFAULT VALUES RETURNING "Tenant"::text = `+quoteLiteral(k.mine)))
			app.requireSQLState(t, "42501", "INSERT INTO "+table+` ("Tenant") VALUES (`+quoteLiteral(k.other)+")")
			app.requireSQLState(t, "42501", "UPDATE "+table+` SET "Tenant" = `+quoteLiteral(k.other))
			app.exec(t, "DELETE FROM "+table)
			app.become(t, sealSetting, testSealKey.Token(k.other, pid, time.Now()))
			require.Equal(t, []string{"1"}, app.exec(t, "SELECT count(*) FROM "+table))
		})
	}
}

func TestTokensThatTheProxyDidNotMakeForThisTransactionAreRefused(t *testing.T) {
	database := pgtest.Database(t, "CREATE TABLE t (tenant_id text, x int); INSERT INTO t VALUES ('1', 1), ('a:b', 2), ('ü''\\:', 3)")
	app := bootstrappedSealed(t, superuser(t, database), database, Config{Column: "tenant_id"}, sealed("forger"))
	pid, now := app.process(t), time.Now()
	for tenant, x := range map[string]string{"1": "1", "a:b": "2", `ü'\:`: "3"} {
		for _, at := range []time.Time{now, now.Add(-50 * time.Second), now.Add(50 * time.Second)} {
			app.become(t, sealSetting, testSealKey.Token(tenant, pid, at))
			require.Equal(t, []string{x}, app.exec(t, "SELECT x FROM t"), tenant)
		}
	}
	good := testSealKey.Token("1", pid, now)
	parts := strings.SplitN(good, ":", 4)
	for what, token := range map[string]string{
		"empty":                        "",
		"plain":                        "1",
		"colons alone":                 ":::",
		"no mac":                       fmt.Sprintf("%s:%s::1", parts[0], parts[1]),
		"forged with another key":      (SealKey{}).Token("1", pid, now),
		"another tenant":               strings.Join([]string{parts[0], parts[1], parts[2], "a:b"}, ":"),
		"another time":                 strings.Join([]string{parts[0], parts[1] + "0", parts[2], "1"}, ":"),
		"another mac":                  strings.Join([]string{parts[0], parts[1], strings.Repeat("0", 64), "1"}, ":"),
		"upper case":                   strings.ToUpper(good),
		"cut short":                    good[:len(good)-2],
		"something before":             "1:" + good,
		"something behind":             good + " ",
		"of another connection":        testSealKey.Token("1", pid+1, now),
		"moved to this connection":     strings.Replace(testSealKey.Token("1", pid+1, now), strconv.Itoa(int(pid+1)), parts[0], 1),
		"stale":                        testSealKey.Token("1", pid, now.Add(-2*SealSeconds*time.Second)),
		"of the future":                testSealKey.Token("1", pid, now.Add(2*SealSeconds*time.Second)),
		"parts of the tenant exchange": strings.Join([]string{parts[0], parts[1] + ":1", parts[2], ""}, ":"),
	} {
		app.become(t, sealSetting, token)
		for _, sql := range []string{"SELECT tenantgate.tenant()", "SELECT x FROM t", "UPDATE t SET x = 0", "DELETE FROM t", "INSERT INTO t VALUES ('1')", "INSERT INTO t DEFAULT VALUES"} {
			_, err := app.try(sql)
			require.Error(t, err, "%s: %s", what, sql)
			app.requireSQLState(t, "42501", sql)
		}
	}
	app.exec(t, "RESET "+sealSetting)
	app.requireSQLState(t, "42501", "SELECT x FROM t")
	app.requireSQLState(t, "42501", "TABLE tenantgate.seal")
	app.requireSQLState(t, "42501", "UPDATE tenantgate.seal SET one = one")
	require.Equal(t, []string{"3"}, superuser(t, database).exec(t, "SELECT count(*) FROM t"))
}

func TestTokenIsGoodForAsLongAsItsTransaction(t *testing.T) {
	database := pgtest.Database(t, "CREATE TABLE t (tenant_id int); INSERT INTO t VALUES (1), (2)")
	app := bootstrappedSealed(t, superuser(t, database), database, Config{Column: "tenant_id"}, sealed("lasting"))
	app.exec(t, "BEGIN")
	app.exec(t, "SELECT pg_sleep(1.5)") // what is set later than the transaction began is no reason to refuse
	app.become(t, sealSetting, testSealKey.Token("1", app.process(t), time.Now()))
	require.Equal(t, []string{"1"}, app.exec(t, "SELECT * FROM t"))
	app.exec(t, "SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL max_parallel_workers_per_gather = 2")
	if name := "debug_parallel_query"; load(t, app, Config{}).ServerVersion >= 160000 {
		app.exec(t, "SET LOCAL "+name+" = on")
	} else {
		app.exec(t, "SET LOCAL force_parallel_mode = on")
	}
	require.Equal(t, []string{"1"}, app.exec(t, "SELECT * FROM t"), "a parallel worker is another process")
	app.exec(t, "COMMIT")
}

func TestSealIsSwitchedOnAndOffForADatabaseInUse(t *testing.T) {
	database := pgtest.Database(t, shop)
	c := superuser(t, database)
	plain := BootstrapConfig{Setting: sealSetting, Role: "switched"}
	app := bootstrapped(t, c, database, shopConfig(), plain)
	b := sealed("switched")
	b.Harden = true
	apply(t, c, plan(t, c, shopConfig(), b))
	require.NoError(t, CheckSeal(t.Context(), app, sealSetting, testSealKey))
	app.become(t, sealSetting, "1")
	app.requireSQLState(t, "42501", "SELECT * FROM orders")
	app.become(t, sealSetting, testSealKey.Token("1", app.process(t), time.Now()))
	app.exec(t, "SELECT * FROM orders")
	apply(t, c, plan(t, c, shopConfig(), plain))
	require.Empty(t, plan(t, c, shopConfig(), plain))
	app.become(t, sealSetting, "1")
	app.exec(t, "SELECT * FROM orders")

	other := SealKey{9}
	b.SealKey = &other
	require.Error(t, CheckSeal(t.Context(), c, sealSetting, other))
	apply(t, c, plan(t, c, shopConfig(), b))
	require.NoError(t, CheckSeal(t.Context(), c, sealSetting, other))
	require.Error(t, CheckSeal(t.Context(), c, sealSetting, testSealKey))
}

func TestSealThatSaysOtherwiseIsReplaced(t *testing.T) {
	database := pgtest.Database(t, "CREATE TABLE t (tenant_id int); INSERT INTO t VALUES (1), (2)")
	c := superuser(t, database)
	app := bootstrappedSealed(t, c, database, Config{Column: "tenant_id"}, sealed("resealed"))
	b := sealed("resealed")
	b.SealKey = nil
	for _, drift := range []string{
		"CREATE OR REPLACE FUNCTION tenantgate.tenant() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT '2' $$",
		"ALTER FUNCTION tenantgate.tenant() SECURITY INVOKER",
		"ALTER FUNCTION tenantgate.tenant() IMMUTABLE",
		"ALTER FUNCTION tenantgate.tenant() PARALLEL SAFE",
		"ALTER FUNCTION tenantgate.tenant() RESET search_path",
		"REVOKE EXECUTE ON FUNCTION tenantgate.tenant() FROM PUBLIC",
		"GRANT SELECT ON tenantgate.seal TO PUBLIC",
		"GRANT SELECT ON tenantgate.seal TO resealed",
		"REVOKE USAGE ON SCHEMA tenantgate FROM resealed",
		"ALTER POLICY tenantgate ON t USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::int AS key))",
	} {
		c.exec(t, drift)
		ddl := plan(t, c, Config{Column: "tenant_id"}, b)
		require.NotEmpty(t, ddl, drift)
		apply(t, c, ddl)
		require.Empty(t, plan(t, c, Config{Column: "tenant_id"}, b), drift)
	}
	app.become(t, sealSetting, testSealKey.Token("1", app.process(t), time.Now()))
	require.Equal(t, []string{"1"}, app.exec(t, "SELECT * FROM t"))
	app.requireSQLState(t, "42501", "TABLE tenantgate.seal")
}

func TestKeyOfTheSealIsOutOfReachWhateverTheConfigurationSays(t *testing.T) {
	database := pgtest.Database(t, "CREATE TABLE t (tenant_id int)")
	c := superuser(t, database)
	c.exec(t, "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
	app := bootstrappedSealed(t, c, database, Config{Column: "tenant_id", UnlistedShared: true}, sealed("curious"))
	app.requireSQLState(t, "42501", "TABLE tenantgate.seal")
	for _, cfg := range []Config{{UnlistedShared: true}, {OneTenant: true}, {Column: "inner_pad"}} {
		r, ok := load(t, c, cfg).Lookup("tenantgate", "seal")
		require.True(t, ok)
		require.Equal(t, Denied, r.Class)
	}
	for _, class := range []Class{Shared, SharedReadWrite, Tenanted} {
		_, err := Load(t.Context(), c, Config{Tables: []TableRule{{Name: Name{"tenantgate", "seal"}, Class: class, Column: "one"}}})
		var rule *RuleError
		require.ErrorAs(t, err, &rule)
	}
}

func TestSealIsFoundWhereTheSearchPathLeadsToIt(t *testing.T) {
	database := pgtest.Database(t, "CREATE TABLE t (tenant_id int)")
	c := superuser(t, database)
	bootstrappedSealed(t, c, database, Config{Column: "tenant_id"}, sealed("pathfinder"))
	b := sealed("pathfinder")
	b.SealKey = nil
	for _, path := range []string{"tenantgate, public", "public, tenantgate"} {
		c.exec(t, "SET search_path = "+path)
		require.Empty(t, plan(t, c, Config{Column: "tenant_id"}, b), path)
	}
	c.exec(t, "CREATE FUNCTION public.tenant() RETURNS text LANGUAGE sql AS $$ SELECT '2' $$")
	require.Empty(t, plan(t, c, Config{Column: "tenant_id"}, b))
	c.exec(t, "ALTER POLICY tenantgate ON t USING (tenant_id = (SELECT public.tenant()::int AS key))")
	require.NotEmpty(t, plan(t, c, Config{Column: "tenant_id"}, b), "a function of that name elsewhere is another")
}

func TestKeyOfTheSealIsReadAndNeverShown(t *testing.T) {
	text := strings.Repeat("0aF1", 16)
	k, err := ParseSealKey(text + "\n")
	require.NoError(t, err)
	require.EqualValues(t, 0x0a, k[0])
	for _, bad := range []string{"", text[2:], text + "00", strings.Repeat("x", 64)} {
		_, err := ParseSealKey(bad)
		require.Error(t, err)
		require.NotContains(t, err.Error(), text[:8])
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", k, &k, k, k), "10")
}

package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// plan is what Bootstrap finds missing.
func plan(t testing.TB, q Querier, cfg Config, b BootstrapConfig) []DDL {
	t.Helper()
	cfg.Inspect = true
	ddl, err := Bootstrap(load(t, q, cfg), b)
	require.NoError(t, err)
	return ddl
}

// apply runs a plan in one transaction.
func apply(t testing.TB, c conn, ddl []DDL) {
	t.Helper()
	c.exec(t, "BEGIN")
	for _, d := range ddl {
		c.exec(t, d.SQL)
	}
	c.exec(t, "COMMIT")
}

// bootstrapped prepares a database for a role of the name and returns a
// connection of it. The plan is run by c, the role is dropped after the test.
func bootstrapped(t testing.TB, c conn, database string, cfg Config, b BootstrapConfig) conn {
	t.Helper()
	b.Password = "secret"
	ddl := plan(t, c, cfg, b)
	apply(t, c, ddl)
	dropLater(t, database, b.Role)
	require.Empty(t, plan(t, c, cfg, b), "nothing is missing after the first run")
	return connect(t, pgtest.Server(t).URL(b.Role, b.Password, database))
}

// become sets the tenant of a connection.
func (c conn) become(t testing.TB, setting, key string) {
	t.Helper()
	c.exec(t, "SELECT set_config("+quoteLiteral(setting)+", "+quoteLiteral(key)+", false)")
}

// ddls are the statements of a plan alone.
func ddls(plan []DDL) []string {
	var all []string
	for _, d := range plan {
		all = append(all, d.SQL)
	}
	return all
}

// keyColumns are tenant columns of every type that keys can have, with two
// keys each.
var keyColumns = []struct{ column, mine, other string }{
	{"smallint", "1", "2"},
	{"int", "1", "2"},
	{"bigint", "9000000001", "9000000002"},
	{"numeric(10,0)", "1", "2"},
	{"uuid", "a0000000-0000-0000-0000-000000000001", "a0000000-0000-0000-0000-000000000002"},
	{"text", "acme", `glo'b\ex`},
	{"varchar", "acme", "Acme"},
	{"varchar(4)", "acme", "acmf"},
	{"char(4)", "ac", "acme"},
	{"mood", "calm", "busy"},
	{`"Sales"."Mood"`, "A a", "B"},
	{"int_key", "1", "2"},
	{"nested_key", "1", "2"},
	{"name_key", "acme", "acmf"},
	{"mood_key", "calm", "busy"},
	{"uuid_key", "a0000000-0000-0000-0000-000000000001", "a0000000-0000-0000-0000-000000000002"},
}

const keyTypesSchema = `
CREATE SCHEMA "Sales";
CREATE TYPE mood AS ENUM ('calm', 'busy');
CREATE TYPE "Sales"."Mood" AS ENUM ('A a', 'B');
CREATE DOMAIN int_key AS int NOT NULL CHECK (VALUE > 0);
CREATE DOMAIN nested_key AS int_key;
CREATE DOMAIN name_key AS varchar(4) NOT NULL;
CREATE DOMAIN mood_key AS mood;
CREATE DOMAIN uuid_key AS uuid;
`

func TestTenantsAreKeptApartByKeysOfEveryType(t *testing.T) {
	var schema strings.Builder
	schema.WriteString(keyTypesSchema)
	for i, k := range keyColumns {
		fmt.Fprintf(&schema, `CREATE TABLE t%d (id serial, "Tenant" %s); INSERT INTO t%d ("Tenant") SELECT k::%s FROM unnest(ARRAY[%s, %s]) AS k, generate_series(1, 2000);
			ANALYZE t%d;`, i, k.column, i, k.column, quoteLiteral(k.mine), quoteLiteral(k.other), i)
	}
	database := pgtest.Database(t, schema.String())
	const setting = "app.tenant_id"
	app := bootstrapped(t, superuser(t, database), database, Config{Column: "Tenant"}, BootstrapConfig{Setting: setting, Role: "keyed app"})

	for i, k := range keyColumns {
		t.Run(k.column, func(t *testing.T) {
			table := fmt.Sprintf("t%d", i)
			count := "SELECT count(*) FROM " + table
			app.exec(t, "RESET ALL") // the setting is unset on the first table, '' on the others
			require.Equal(t, []string{"0"}, app.exec(t, count))
			app.become(t, setting, "")
			require.Equal(t, []string{"0"}, app.exec(t, count))
			_, err := app.try("INSERT INTO " + table + " DEFAULT VALUES")
			require.Error(t, err)

			app.become(t, setting, k.mine)
			require.Equal(t, []string{"2000|1"}, app.exec(t, `SELECT count(*), count(DISTINCT "Tenant") FROM `+table))
			require.Equal(t, []string{"t"}, app.exec(t, "INSERT INTO "+table+` DEFAULT VALUES RETURNING "Tenant"::text = `+quoteLiteral(k.mine)))
			app.exec(t, "INSERT INTO "+table+` ("Tenant") VALUES (`+quoteLiteral(k.mine)+")")
			app.requireSQLState(t, "42501", "INSERT INTO "+table+` ("Tenant") VALUES (`+quoteLiteral(k.other)+")")
			app.requireSQLState(t, "42501", "UPDATE "+table+` SET "Tenant" = `+quoteLiteral(k.other))
			require.Equal(t, []string{"2002"}, app.exec(t, "WITH gone AS (DELETE FROM "+table+" RETURNING 1) SELECT count(*) FROM gone"))
			app.become(t, setting, k.other)
			require.Equal(t, []string{"2000"}, app.exec(t, count))

			app.exec(t, "SET enable_seqscan = off") // the tenant has half the table
			explained := strings.Join(app.exec(t, "EXPLAIN (COSTS OFF) SELECT id FROM "+table), "\n")
			require.Contains(t, explained, "Index Cond", "the index serves the policy:\n%s", explained)
		})
	}
}

func TestTenantsRowsAreFoundByIndexWhoeverCameFirst(t *testing.T) {
	database := pgtest.Database(t, `CREATE TABLE t (id int PRIMARY KEY, tenant_id int NOT NULL, note text);
		INSERT INTO t SELECT n, CASE WHEN n <= 20000 THEN 1 ELSE n % 500 END, repeat('x', 50) FROM generate_series(1, 40000) AS n; CREATE INDEX ON t (tenant_id, id); ANALYZE t`)
	app := bootstrapped(t, superuser(t, database), database, Config{Column: "tenant_id"}, BootstrapConfig{Setting: "app.tenant_id", Role: "indexed"})
	app.become(t, "app.tenant_id", "1") // half the table: not a plan for the others
	app.exec(t, "PREPARE p AS SELECT id FROM t WHERE note = 'y' ORDER BY id LIMIT 10; EXECUTE p")
	app.become(t, "app.tenant_id", "7")
	for _, statement := range []string{"SELECT count(*) FROM t", "UPDATE t SET note = ''", "DELETE FROM t", "EXECUTE p"} {
		explained := strings.Join(app.exec(t, "EXPLAIN (COSTS OFF) "+statement), "\n")
		require.Contains(t, explained, "Index Cond: (tenant_id = ", "%s:\n%s", statement, explained)
	}
}

func TestKeysAreNotCutToTheColumnsLength(t *testing.T) {
	database := pgtest.Database(t, `CREATE TABLE v (tenant_id varchar(4)); INSERT INTO v VALUES ('acme'); CREATE TABLE c (tenant_id char(4)); INSERT INTO c VALUES ('acme');
		CREATE TABLE n (tenant_id numeric(4,1)); INSERT INTO n VALUES (1.2)`)
	app := bootstrapped(t, superuser(t, database), database, Config{Column: "tenant_id"}, BootstrapConfig{Setting: "app.tenant_id", Role: "long app"})
	app.become(t, "app.tenant_id", "acme2")
	require.Equal(t, []string{"0|0"}, app.exec(t, "SELECT (SELECT count(*) FROM v), (SELECT count(*) FROM c)"))
	app.requireSQLState(t, "22001", "INSERT INTO v DEFAULT VALUES")
	app.become(t, "app.tenant_id", "1.23")
	require.Equal(t, []string{"0"}, app.exec(t, "SELECT count(*) FROM n"))
}

func TestPartitionsAndChildrenAreConfinedByTheirOwnNames(t *testing.T) {
	database := pgtest.Database(t, shop+`
		INSERT INTO tenants VALUES (1, 'acme'), (2, 'globex');
		INSERT INTO orders (tenant_id, note) VALUES (1, 'mine'), (2, 'theirs');
		INSERT INTO archive.old_orders (tenant_id, note) VALUES (1, 'mine'), (2, 'theirs'), (2, 'theirs');
		INSERT INTO events VALUES (1, '2025-05-05'), (2, '2025-06-06')`)
	app := bootstrapped(t, superuser(t, database), database, shopConfig(), BootstrapConfig{Setting: "app.tenant_id", Role: "app parts"})
	names := []string{"tenants", "orders", "archive.old_orders", "events", "events_2025"}
	for key, want := range []string{"0 0 0 0 0", "1 2 1 1 1", "1 3 2 1 1"} { // no tenant has the key 0
		app.become(t, "app.tenant_id", fmt.Sprint(key))
		for i, name := range names {
			require.Equal(t, []string{strings.Fields(want)[i]}, app.exec(t, "SELECT count(*) FROM "+name), "%s as %d", name, key)
		}
	}
	app.requireSQLState(t, "42501", "INSERT INTO events_2025 VALUES (1, '2025-05-05')")
	require.Equal(t, []string{"2"}, app.exec(t, "INSERT INTO events_2025 (at) VALUES ('2025-05-05') RETURNING tenant_id"))
	require.Equal(t, []string{"2"}, app.exec(t, "INSERT INTO events (at) VALUES ('2025-05-05') RETURNING tenant_id"))
	require.Equal(t, []string{"2"}, app.exec(t, "INSERT INTO archive.old_orders (note) VALUES ('x') RETURNING tenant_id"))
	app.requireSQLState(t, "42501", "SELECT * FROM totals")
	app.requireSQLState(t, "42501", "SELECT * FROM audit_log")
	app.requireSQLState(t, "42501", "INSERT INTO countries VALUES ('nl')")
	app.exec(t, "INSERT INTO flags (name) VALUES ('x')") // with the sequence of its id
	app.requireSQLState(t, "42501", "SELECT setval('orders_id_seq', 1)")
	app.requireSQLState(t, "42501", "SELECT last_value FROM orders_id_seq")
}

func TestStatementsOfEveryKindRunUnderThePolicies(t *testing.T) {
	database := pgtest.Database(t, `
		CREATE TABLE stock (tenant_id int NOT NULL, sku text, n int, PRIMARY KEY (tenant_id, sku)) PARTITION BY LIST (sku);
		CREATE TABLE stock_a PARTITION OF stock FOR VALUES IN ('a'); CREATE TABLE stock_rest PARTITION OF stock DEFAULT;
		CREATE TABLE moves (tenant_id int NOT NULL, sku text, n int);
		INSERT INTO stock SELECT k, s, 10 FROM generate_series(1, 3) AS k, unnest('{a,b,c}'::text[]) AS s;
		INSERT INTO moves SELECT k, s, 1 FROM generate_series(1, 3) AS k, unnest('{a,b}'::text[]) AS s`)
	c := superuser(t, database)
	app := bootstrapped(t, c, database, Config{Column: "tenant_id"}, BootstrapConfig{Setting: "app.tenant_id", Role: "worker"})
	app.become(t, "app.tenant_id", "2")
	for _, test := range []struct{ sql, want string }{
		{"UPDATE stock SET n = stock.n + moves.n FROM moves WHERE moves.sku = stock.sku RETURNING stock.sku", "a b"},
		{"INSERT INTO stock (sku, n) VALUES ('a', 5) ON CONFLICT (tenant_id, sku) DO UPDATE SET n = excluded.n RETURNING n", "5"},
		{"INSERT INTO stock (sku, n) SELECT 'd' || sku, n FROM moves ON CONFLICT DO NOTHING RETURNING sku", "da db"},
		{"UPDATE stock SET sku = 'z' WHERE sku = 'a' RETURNING tenant_id", "2"}, // moves to the other partition
		{"SELECT sku FROM stock WHERE sku < 'd' ORDER BY 1 FOR UPDATE", "b c"},
		{"DELETE FROM stock USING moves WHERE stock.sku = 'd' || moves.sku RETURNING stock.tenant_id", "2 2"},
		{"WITH gone AS (DELETE FROM moves WHERE sku = 'a' RETURNING *) SELECT count(*) FROM gone, moves", "2"},
		{"COPY (SELECT sku FROM stock WHERE sku = 'c') TO STDOUT", ""},
	} {
		require.Equal(t, test.want, strings.Join(app.exec(t, test.sql), " "), test.sql)
	}
	if load(t, c, Config{}).ServerVersion >= 150000 {
		app.exec(t, "MERGE INTO stock USING (VALUES ('b', 1), ('new', 2)) AS v (sku, n) ON stock.sku = v.sku WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED THEN INSERT (sku, n) VALUES (v.sku, v.n)")
		require.Equal(t, []string{"b|1", "c|10", "new|2", "z|5"}, app.exec(t, "SELECT sku, n FROM stock ORDER BY 1"))
	}
	require.Equal(t, []string{"1|a|10", "1|b|10", "1|c|10", "3|a|10", "3|b|10", "3|c|10"},
		c.exec(t, "SELECT * FROM stock WHERE tenant_id <> 2 ORDER BY 1, 2"), "others' rows are as they were")
}

func TestOwnerOfTheTablesRunsTheBootstrap(t *testing.T) {
	database := pgtest.Database(t, "")
	ownerURL := role(t, database, "landlord", "CREATEROLE")
	superuser(t, database).exec(t, "GRANT CREATE ON DATABASE "+database+" TO landlord; GRANT CREATE ON SCHEMA public TO landlord")
	owner := connect(t, ownerURL)
	owner.exec(t, shop+"INSERT INTO tenants VALUES (1, 'acme'), (2, 'globex')")
	b := BootstrapConfig{Setting: "app.tenant_id", Role: "lodger"}
	app := bootstrapped(t, owner, database, shopConfig(), b)
	app.become(t, "app.tenant_id", "1")
	require.Equal(t, []string{"acme"}, app.exec(t, "SELECT name FROM tenants"))
	require.Equal(t, []string{"0"}, owner.exec(t, "SELECT count(*) FROM tenants"), "row-level security is forced on the owner")
	require.Empty(t, plan(t, app, shopConfig(), b), "the role itself sees as well that nothing is missing")
}

func TestStatementsCanBeRunAgain(t *testing.T) {
	database := pgtest.Database(t, shop)
	c := superuser(t, database)
	ddl := plan(t, c, shopConfig(), BootstrapConfig{Setting: "app.tenant_id", Role: "rerun", Harden: true, TempTables: true})
	apply(t, c, ddl)
	dropLater(t, database, "rerun")
	before := load(t, c, shopConfig()).data
	apply(t, c, ddl)
	require.Equal(t, before, load(t, c, shopConfig()).data)
	var script strings.Builder
	for _, d := range ddl {
		script.WriteString(d.String())
	}
	c.exec(t, script.String())
}

func TestRoleGetsWhatItNeedsAndNothingElse(t *testing.T) {
	database := pgtest.Database(t, shop)
	c := superuser(t, database)
	// A role that an application used before, with more than is good.
	c.exec(t, `CREATE ROLE tenant1 LOGIN PASSWORD 'secret' CREATEDB CREATEROLE REPLICATION BYPASSRLS;
		GRANT ALL ON ALL TABLES IN SCHEMA public, archive TO tenant1; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO tenant1;
		GRANT ALL ON SCHEMA public, archive TO tenant1; GRANT CREATE, TEMPORARY ON DATABASE `+database+` TO tenant1;
		GRANT ALL ON orders TO PUBLIC; GRANT CREATE ON SCHEMA archive TO PUBLIC`)
	app := bootstrapped(t, c, database, shopConfig(), BootstrapConfig{Setting: "app.tenant_id", Role: "tenant1", Harden: true})

	require.Equal(t, []string{"t|f|f|f|f|f|f"}, app.exec(t, `SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication, rolinherit
		FROM pg_roles WHERE rolname = current_user`))
	privileges := []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}
	if load(t, c, shopConfig()).ServerVersion >= 170000 {
		privileges = append(privileges, "MAINTAIN")
	}
	all := "{SELECT,INSERT,UPDATE,DELETE}"
	require.Equal(t, []string{
		`"Sales"."Order"|` + all, "archive.old_orders|" + all, "audit_log|{}", "countries|{SELECT}", "events|" + all, "events_2025|" + all,
		"flags|" + all, "order_counts|" + all, "order_notes|{SELECT}", "orders|" + all, "tenants|" + all, "totals|{SELECT}",
	}, app.exec(t, `SELECT oid::regclass, ARRAY(SELECT p FROM unnest('{`+strings.Join(privileges, ",")+`}'::text[]) AS p WHERE has_table_privilege(oid, p))
		FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm') AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)
		ORDER BY oid::regclass::text COLLATE "C"`))
	require.Equal(t, []string{`"Sales"."Order_Id_seq"|{USAGE}`, "flags_id_seq|{USAGE}", "orders_id_seq|{USAGE}"},
		app.exec(t, `SELECT oid::regclass, ARRAY(SELECT p FROM unnest('{USAGE,SELECT,UPDATE}'::text[]) AS p WHERE has_sequence_privilege(oid, p))
			FROM pg_class WHERE relkind = 'S' ORDER BY oid::regclass::text COLLATE "C"`))
	require.Equal(t, []string{"Sales|t|f", "archive|t|f", "public|t|f"}, app.exec(t, `SELECT nspname, has_schema_privilege(oid, 'USAGE'), has_schema_privilege(oid, 'CREATE')
		FROM pg_namespace WHERE nspname IN ('Sales', 'archive', 'public') ORDER BY nspname COLLATE "C"`))
	require.Equal(t, []string{"t|f|f"}, app.exec(t, `SELECT has_database_privilege(current_database(), 'CONNECT'), has_database_privilege(current_database(), 'CREATE'),
		has_database_privilege(current_database(), 'TEMPORARY')`))
}

func TestTemporaryTablesAreAllowedOnRequest(t *testing.T) {
	database := pgtest.Database(t, "")
	superuser(t, database).exec(t, "REVOKE ALL ON DATABASE "+database+" FROM PUBLIC")
	app := bootstrapped(t, superuser(t, database), database, Config{}, BootstrapConfig{Setting: "app.tenant_id", Role: "tempter", TempTables: true, Harden: true})
	app.exec(t, "CREATE TEMP TABLE t ()")
}

func TestPermissivePoliciesOfOthersDoNotWidenWhatTenantsSee(t *testing.T) {
	database := pgtest.Database(t, `CREATE TABLE t (tenant_id int); INSERT INTO t VALUES (1), (2); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY everybody ON t USING (true)`)
	app := bootstrapped(t, superuser(t, database), database, Config{Column: "tenant_id"}, BootstrapConfig{Setting: "app.tenant_id", Role: "narrow"})
	require.Equal(t, []string{"0"}, app.exec(t, "SELECT count(*) FROM t"))
	app.become(t, "app.tenant_id", "2")
	require.Equal(t, []string{"2"}, app.exec(t, "SELECT * FROM t"))
	app.requireSQLState(t, "42501", "INSERT INTO t VALUES (1)")
}

func TestPoliciesAndDefaultsThatSayOtherwiseAreReplaced(t *testing.T) {
	database := pgtest.Database(t, `CREATE TABLE t (tenant_id int, x int); INSERT INTO t VALUES (1), (2)`)
	c := superuser(t, database)
	bootstrapped(t, c, database, Config{Column: "tenant_id"}, BootstrapConfig{Setting: "old.setting", Role: "mover"})
	for _, drift := range []string{
		"SELECT 1", // another setting alone
		"ALTER POLICY tenantgate ON t USING (true)",
		"ALTER POLICY tenantgate ON t WITH CHECK (true)",
		"ALTER POLICY tenantgate ON t TO mover",
		"DROP POLICY tenantgate ON t; CREATE POLICY tenantgate ON t FOR SELECT USING (tenant_id = (SELECT nullif(current_setting('its.new', true), '')::int AS key))",
		"ALTER TABLE t NO FORCE ROW LEVEL SECURITY",
		"ALTER TABLE t DISABLE ROW LEVEL SECURITY",
		"ALTER TABLE t ALTER tenant_id DROP DEFAULT",
		"DROP INDEX t_tenant_id_idx",
		"DROP INDEX t_tenant_id_idx; CREATE INDEX t_tenant_id_idx ON t (tenant_id) WHERE tenant_id > 1",
		"REVOKE INSERT ON t FROM mover; GRANT TRUNCATE ON t TO mover",
		"CREATE POLICY other ON t USING (true)",
	} {
		c.exec(t, drift)
		b := BootstrapConfig{Setting: "its.new", Role: "mover"}
		ddl := plan(t, c, Config{Column: "tenant_id"}, b)
		require.NotEmpty(t, ddl, drift)
		apply(t, c, ddl)
		require.Empty(t, plan(t, c, Config{Column: "tenant_id"}, b), drift)
	}
	app := connect(t, pgtest.Server(t).URL("mover", "secret", database))
	app.become(t, "its.new", "2")
	require.Equal(t, []string{"2"}, app.exec(t, "INSERT INTO t (x) VALUES (1) RETURNING tenant_id"))
	require.Equal(t, []string{"2"}, app.exec(t, "SELECT count(*) FROM t"))
}

func TestDefaultsOfTheTablesOwnersStay(t *testing.T) {
	database := pgtest.Database(t, `CREATE TABLE t (tenant_id int NOT NULL DEFAULT 7); CREATE TABLE i (tenant_id int GENERATED ALWAYS AS IDENTITY); CREATE TABLE g (x int, tenant_id int GENERATED ALWAYS AS (x) STORED)`)
	ddl := plan(t, superuser(t, database), Config{Column: "tenant_id"}, BootstrapConfig{Setting: "app.tenant_id", Role: "nobody"})
	require.NotContains(t, strings.Join(ddls(ddl), "\n"), "SET DEFAULT")
	var script strings.Builder
	for _, d := range ddl {
		script.WriteString(d.String())
	}
	require.Contains(t, script.String(), "-- note: public.t: tenant_id keeps its default 7")
}

func TestPlanRemarksOnKeysWithoutTheTenant(t *testing.T) {
	database := pgtest.Database(t, `
		CREATE TABLE orders (id int PRIMARY KEY, tenant_id int, UNIQUE (tenant_id, id));
		CREATE TABLE lines (tenant_id int NOT NULL, order_id int REFERENCES orders, other int, FOREIGN KEY (tenant_id, other) REFERENCES orders (tenant_id, id))`)
	var script strings.Builder
	for _, d := range plan(t, superuser(t, database), Config{Column: "tenant_id"}, BootstrapConfig{Setting: "app.tenant_id", Role: "nobody"}) {
		script.WriteString(d.String())
	}
	for _, note := range []string{
		"-- note: public.orders: tenant_id accepts NULL",
		"-- note: public.orders: unique index orders_pkey is without tenant_id",
		"-- note: public.lines: foreign key lines_order_id_fkey is without tenant_id",
	} {
		require.Equal(t, 1, strings.Count(script.String(), note), note)
	}
	require.Equal(t, 3, strings.Count(script.String(), "-- note: "))
}

func TestEnforcementByRewritingNeedsNoPolicies(t *testing.T) {
	database := pgtest.Database(t, "CREATE TABLE t (tenant_id jsonb)")
	c := superuser(t, database)
	ddl := plan(t, c, Config{Column: "tenant_id"}, BootstrapConfig{Role: "rewriter", NoRowSecurity: true})
	dropLater(t, database, "rewriter")
	apply(t, c, ddl)
	require.Equal(t, []string{
		"CREATE INDEX IF NOT EXISTS t_tenant_id_idx ON public.t (tenant_id)",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.t TO rewriter",
	}, ddls(ddl)[1:])
}

func TestIndexesThatServeAreNotMadeAgain(t *testing.T) {
	long := strings.Repeat("é", 31)
	c := superuser(t, pgtest.Database(t, `
		CREATE TABLE a (tenant_id int, x int, PRIMARY KEY (tenant_id, x)); CREATE TABLE b (tenant_id int); CREATE INDEX ON b USING hash (tenant_id);
		CREATE TABLE c (x int, tenant_id int); CREATE INDEX ON c (x, tenant_id); CREATE TABLE c_tenant_id_idx ();
		CREATE TABLE d (tenant_id int); CREATE TYPE d_tenant_id_idx AS ENUM (); CREATE TYPE d_tenant_id_idx1 AS (x int); CREATE INDEX d_tenant_id_idx ON d ((tenant_id + 1));
		CREATE TABLE e (tenant_id int) PARTITION BY LIST (tenant_id); CREATE TABLE e1 PARTITION OF e FOR VALUES IN (1);
		CREATE TABLE "`+long+`" (tenant_id int); CREATE TABLE "`+long[:len(long)-2]+`ê" (tenant_id int)`))
	var made []string
	for _, sql := range ddls(plan(t, c, Config{Column: "tenant_id"}, BootstrapConfig{Setting: "app.tenant_id", Role: "nobody"})) {
		if strings.HasPrefix(sql, "CREATE INDEX") {
			c.exec(t, sql)
			made = append(made, strings.TrimPrefix(sql, "CREATE INDEX IF NOT EXISTS "))
		}
	}
	short := strings.Repeat("é", 24)
	require.Equal(t, []string{
		"c_tenant_id_idx1 ON public.c (tenant_id)",
		"d_tenant_id_idx2 ON public.d (tenant_id)",
		"e_tenant_id_idx ON public.e (tenant_id)",
		`"` + short + `_tenant_id_idx" ON public."` + long + `" (tenant_id)`,
		`"` + short + `_tenant_id_idx1" ON public."` + long[:len(long)-2] + `ê" (tenant_id)`,
	}, made)
}

func TestDatabasesThatCannotBePreparedAreRefused(t *testing.T) {
	database := pgtest.Database(t, "CREATE TABLE t (tenant_id int)")
	c := superuser(t, database)
	cfg := Config{Column: "tenant_id", Inspect: true}
	good := BootstrapConfig{Setting: "app.tenant_id", Role: "refused"}

	_, err := Bootstrap(load(t, c, Config{}), good)
	require.ErrorIs(t, err, ErrNotInspected)
	for want, b := range map[string]BootstrapConfig{
		"superuser":          {Setting: "s.t", Role: "postgres"},
		`role "" cannot`:     {Setting: "s.t"},
		`"public" cannot`:    {Setting: "s.t", Role: "public"},
		"cannot be made":     {Setting: "s.t", Role: strings.Repeat("x", 64)},
		"run-time parameter": {Role: "refused"},
	} {
		_, err := Bootstrap(load(t, c, cfg), b)
		require.ErrorContains(t, err, want)
	}
	role(t, database, "refused", "")
	c.exec(t, "ALTER TABLE t OWNER TO refused")
	_, err = Bootstrap(load(t, c, cfg), good)
	require.ErrorContains(t, err, "role refused owns public.t")
	c.exec(t, "ALTER TABLE t OWNER TO postgres; CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
	for column, want := range map[string]string{
		"jsonb":                  "table public.bad: column tenant_id of type pg_catalog.jsonb cannot hold tenants' keys",
		"int[]":                  "pg_catalog._int4",
		"address":                "public.address",
		"listed":                 "public.listed",
		"text COLLATE \"loose\"": "collation is not deterministic",
	} {
		c.exec(t, "CREATE TYPE address AS (a int); CREATE DOMAIN listed AS int[]; CREATE TABLE bad (tenant_id "+column+")")
		_, err := Bootstrap(load(t, c, cfg), good)
		var key *KeyTypeError
		require.ErrorAs(t, err, &key, column)
		require.ErrorContains(t, err, want)
		c.exec(t, "DROP TABLE bad; DROP TYPE address; DROP DOMAIN listed")
	}
}

func TestNamesInStatementsAreQuoted(t *testing.T) {
	hostile := "\"; DROP TABLE t; --\r SELECT nothing;\n SELECT nothing; '$$\\"
	q := quoteName(hostile)
	database := pgtest.Database(t, "CREATE SCHEMA "+q+"; CREATE TABLE "+q+"."+q+" (id serial, "+q+" int)")
	c := superuser(t, database)
	b := BootstrapConfig{Setting: `a.b'); DROP`, Role: hostile, Harden: true}
	app := bootstrapped(t, c, database, Config{Column: hostile}, b)
	require.Equal(t, []string{hostile}, app.exec(t, "SELECT current_user"))
	require.Equal(t, []string{"0"}, app.exec(t, "SELECT count(*) FROM "+q+"."+q))

	b.Setting, b.Role = "c.d", hostile+"2"
	var script strings.Builder
	for _, d := range plan(t, c, Config{Column: hostile}, b) {
		script.WriteString(d.String())
	}
	c.exec(t, script.String())
	dropLater(t, database, b.Role)
	require.Empty(t, plan(t, c, Config{Column: hostile}, b))
}

package rewrite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatementsThatAreNoTenantsAreRefused(t *testing.T) {
	for rule, statements := range map[string][]string{
		ruleStatementExplain:       {"EXPLAIN SELECT 1", "EXPLAIN (ANALYZE) SELECT * FROM orders", "explain analyze verbose delete from orders"},
		ruleStatementPrepare:       {"PREPARE p (nosuch) AS SELECT 1", "PREPARE p (int[][]) AS SELECT $1", "PREPARE p AS SELECT set_config('datestyle', 'ISO', false)"},
		ruleStatementExecute:       {"EXECUTE p (1 + 1)", "EXECUTE p (set_config('app.tenant_id', '2', false))", "EXECUTE p ((SELECT 1))", "EXECUTE p (1e3)", "EXECUTE p ('1'::numeric(3,1))"},
		ruleStatementLock:          {"LOCK orders", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE NOWAIT", "LOCK orders IN ROW SHARE MODE"},
		ruleStatementCreateTableAs: {"CREATE TABLE t AS SELECT 1", "CREATE TEMP TABLE t AS EXECUTE p", "CREATE MATERIALIZED VIEW v AS SELECT 1"},
		ruleStatementCall:          {"CALL p()", "CALL public.p(set_config('app.tenant_id', '2', false))"},
		ruleStatementTruncate:      {"TRUNCATE orders", "TRUNCATE TABLE ONLY orders, customers RESTART IDENTITY CASCADE"},
		ruleStatementDo:            {"DO $$ BEGIN EXECUTE 'x'; END $$", "DO LANGUAGE \"plpgsql\" E'BEGIN END'", "do 'begin end'"},
		ruleStatementGrant: {
			"GRANT SELECT ON orders TO PUBLIC", "REVOKE ALL ON orders FROM app", "GRANT admin TO app", "REVOKE admin FROM app",
			"GRANT SELECT ON LARGE OBJECT 1 TO PUBLIC", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
		},
		ruleStatementRole: {
			"ALTER ROLE CURRENT_USER SET search_path = audit", "ALTER ROLE app PASSWORD 'x'", "ALTER USER app WITH PASSWORD 'x'",
			"ALTER ROLE ALL IN DATABASE shop SET role = 'x'", "CREATE ROLE x", "CREATE USER x", "DROP ROLE x", "DROP OWNED BY app",
			"REASSIGN OWNED BY app TO admin", "ALTER ROLE app RESET ALL", "ALTER GROUP g ADD USER u",
		},
		ruleStatementServer: {
			"ALTER SYSTEM SET work_mem = '1GB'", "CREATE DATABASE x", "ALTER DATABASE shop SET search_path = x", "DROP DATABASE shop",
			"CREATE TABLESPACE x LOCATION '/'", "DROP TABLESPACE x", "ALTER DATABASE shop REFRESH COLLATION VERSION",
		},
		ruleStatementMaintenance: {
			"VACUUM", "VACUUM FULL orders", "ANALYZE orders", "ANALYZE VERBOSE", "CLUSTER orders", "REINDEX TABLE orders", "CHECKPOINT", "LOAD 'x'",
			"REFRESH MATERIALIZED VIEW v",
		},
		ruleStatementDDL: {
			"CREATE TABLE t (a int)", "CREATE TEMP TABLE orders (a int DEFAULT set_config('app.tenant_id', '2', false)::int)",
			"CREATE TABLE t (CHECK (query_to_xml('x', true, true, '') IS NULL))", "CREATE VIEW v AS SELECT 1", "CREATE TEMP VIEW orders AS SELECT 1",
			"CREATE RECURSIVE VIEW v (a) AS SELECT 1", "ALTER VIEW v OWNER TO admin", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
			"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", "CREATE PROCEDURE p() LANGUAGE sql AS ''",
			"CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()", "CREATE RULE r AS ON SELECT TO orders DO INSTEAD SELECT 1",
			"CREATE POLICY p ON orders USING (true)", "ALTER POLICY p ON orders USING (true)", "DROP POLICY p ON orders",
			"CREATE INDEX i ON orders (spy())", "CREATE DOMAIN d AS int CHECK (spy() IS NULL)", "CREATE TYPE text AS ENUM ('a')", "CREATE TYPE t AS (a int)",
			"CREATE TYPE t", "CREATE AGGREGATE a (int) (SFUNC = int4pl, STYPE = int)", "CREATE OPERATOR + (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int)",
			"CREATE CAST (int AS text) WITH INOUT", "CREATE SCHEMA s", "CREATE SCHEMA s CREATE TABLE t (a int)", "CREATE SEQUENCE s",
			"CREATE EXTENSION dblink", "CREATE FOREIGN TABLE t (a int) SERVER s", "CREATE SERVER s FOREIGN DATA WRAPPER w", "CREATE USER MAPPING FOR app SERVER s",
			"ALTER USER MAPPING FOR app SERVER s OPTIONS (SET password 'x')", "IMPORT FOREIGN SCHEMA public FROM SERVER s INTO public",
			"CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()", "CREATE PUBLICATION p FOR ALL TABLES", "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p",
			"ALTER TABLE orders DISABLE ROW LEVEL SECURITY", "ALTER TABLE orders ALTER note TYPE int USING length(note)", "ALTER TABLE orders OWNER TO app",
			"ALTER TABLE orders RENAME TO x", "ALTER FUNCTION f() SET app.tenant_id = '2'", "ALTER SEQUENCE s RESTART", "ALTER EXTENSION x UPDATE",
			"ALTER OPERATOR + (int, int) OWNER TO app", "ALTER TYPE mood ADD VALUE 'x'", "ALTER DOMAIN d SET NOT NULL", "ALTER TABLE orders SET SCHEMA audit",
			"ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b", "ALTER FUNCTION f() DEPENDS ON EXTENSION x",
			"DROP TABLE orders", "DROP FUNCTION f", "DROP SCHEMA public CASCADE", "DROP EXTENSION x", "DROP USER MAPPING FOR app SERVER s",
			"COMMENT ON TABLE orders IS 'x'", "SECURITY LABEL ON TABLE orders IS 'x'", "CREATE STATISTICS s ON a, b FROM orders",
			"CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION f(internal))", "CREATE LANGUAGE x", "CREATE CONVERSION c FOR 'UTF8' TO 'SJIS' FROM f",
			"CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)", "ALTER TEXT SEARCH CONFIGURATION c DROP MAPPING FOR word", "CREATE ACCESS METHOD m TYPE TABLE HANDLER h",
			"CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 <", "CREATE OPERATOR FAMILY f USING btree", "ALTER OPERATOR FAMILY f USING btree DROP OPERATOR 1 (int, int)",
			"CREATE COLLATION c (LOCALE = 'C')", "ALTER COLLATION c REFRESH VERSION", "SELECT 1; DROP TABLE orders", "BEGIN; CREATE TABLE t (); COMMIT",
		},
		ruleSelectInto: {"SELECT 1 INTO t", "SELECT * INTO TEMP t FROM orders", "WITH x AS (SELECT 1) SELECT * INTO t FROM x"},
		ruleCopyTarget: {
			"COPY orders TO '/tmp/x'", "COPY orders FROM '/etc/passwd'", "COPY orders TO PROGRAM 'cat'", "COPY (SELECT 1) TO '/tmp/x'",
			"COPY orders FROM PROGRAM 'cat'",
		},
	} {
		for _, sql := range statements {
			cat := guardCatalog()
			for _, config := range []Config{{}, {Confine: true}} {
				_, err := newRewriter(t, config).Rewrite(Request{SQL: sql}, cat)
				got, _ := refusedBy(t, err, sql)
				require.Equal(t, rule, got, sql)
			}
		}
	}
}

func TestRefusedStatementsAreNamedAtTheirPlace(t *testing.T) {
	r := newRewriter(t, Config{})
	_, err := r.Rewrite(Request{SQL: "SELECT 'ä'; -- ö\n  TRUNCATE orders"}, guardCatalog())
	var forbidden *ForbiddenError
	require.ErrorAs(t, err, &forbidden)
	require.Equal(t, "TRUNCATE is not permitted for tenants", forbidden.Message)
	require.Equal(t, 20, forbidden.Position)

	_, err = r.Rewrite(Request{SQL: "SELECT 'ä', (5).pg_sleep"}, guardCatalog())
	require.ErrorAs(t, err, &forbidden)
	require.Equal(t, 1, forbidden.Position) // the tree does not tell where it is

	_, err = r.Rewrite(Request{SQL: "SELECT 'ä', pg_sleep(5)"}, guardCatalog())
	require.ErrorAs(t, err, &forbidden)
	require.Equal(t, 13, forbidden.Position)
	require.Equal(t, "permission denied for function pg_sleep", forbidden.Message)
	require.Contains(t, forbidden.Hint, "shared server connection")
}

func TestNumbersThatOlderServersReadOtherwiseAreRefused(t *testing.T) {
	old := oldCatalog()
	r := newRewriter(t, Config{Confine: true})
	for _, sql := range []string{"SELECT 1_000", "INSERT INTO orders (tenant_id) SELECT 1_000", "SELECT 0x1F", "SELECT 0b1, 2", "SELECT 1; SELECT 0O17"} {
		_, err := r.Rewrite(Request{SQL: sql}, old)
		var unsupported *UnsupportedError
		require.ErrorAs(t, err, &unsupported, sql)
		require.Equal(t, ruleLiteralNumber, unsupported.Rule)
		require.Positive(t, unsupported.Position)
	}
	_, err := r.Rewrite(Request{SQL: "SELECT 1e5, 1.5, .5, 'x_', '0x1F', x_0x1, $1, B'1' FROM orders AS x_0x1"}, old)
	require.NoError(t, err)
	require.NoError(t, guarded(t, guardCatalog(), "SELECT 1_000, 0x1F"))
}

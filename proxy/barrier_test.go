package proxy

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

// accounts has a row named own of tenant 1's, and one named victim of
// tenant 2's. What both rows hold makes the probes fail.
const accounts = `
CREATE TABLE accounts (
	tenant_id int NOT NULL, id int NOT NULL, name text NOT NULL, note text NOT NULL, credit int NOT NULL,
	PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ON accounts (name);
INSERT INTO accounts VALUES (1, 1, 'own', 'no such thing', 5), (2, 1, 'victim', 'no such thing', 5);
CREATE TABLE loose_accounts AS SELECT * FROM accounts;
CREATE TABLE keyed_accounts AS SELECT * FROM accounts;
CREATE UNIQUE INDEX ON keyed_accounts (name);
CREATE VIEW named_accounts WITH (security_invoker) AS SELECT tenant_id, id, name, note FROM accounts;
CREATE VIEW classed_accounts WITH (security_invoker) AS SELECT tenant_id, name, note::regclass AS class FROM accounts;
CREATE VIEW seen_accounts WITH (security_invoker) AS SELECT * FROM classed_accounts WHERE tenant_id > 0;
CREATE VIEW classy_accounts WITH (security_invoker) AS SELECT tenant_id, name FROM accounts WHERE note::regclass IS NOT NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, loose_accounts, keyed_accounts TO clinic_app;
GRANT SELECT ON named_accounts, classed_accounts, seen_accounts, classy_accounts TO clinic_app;
`

// manyAccounts are rows that change the plans.
const manyAccounts = `
INSERT INTO accounts SELECT 3 + n % 5, 10 + n, 'row ' || n, '1', 3 FROM generate_series(1, 8000) n;
CREATE INDEX ON accounts (tenant_id);
`

const accountsPolicy = `
DO $$
DECLARE t text;
BEGIN
	FOREACH t IN ARRAY '{accounts,loose_accounts,keyed_accounts}'::text[] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = (SELECT nullif(current_setting(%L, true), %L)::int))',
			t, 'app.tenant_id', '');
	END LOOP;
END $$;
`

// probes are conditions that fail on the row that is called NAME, if they run
// on it. {a} is where a plain tenant predicate would stand, with which most of
// them leak on the smaller table.
var probes = []struct {
	what, sql string
	fenced    bool // a fence computes values of all the tenant's rows
}{
	{"division", "SELECT id FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND 1 / (credit - 5) > 0", false},
	{"cast to int", "SELECT id FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::int > 0", false},
	{"cast to inet", "SELECT id FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::inet IS NOT NULL", false},
	{"cast to regclass", "SELECT id FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL", false},
	{"cast in OR", "SELECT id FROM accounts a WHERE {a}(name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL OR id < 0)", false},
	{"pattern", `SELECT id FROM accounts a WHERE {a}name LIKE left('NAME', 2) || '\'`, false},
	{"lazy sub-select", "SELECT id FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND credit > (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1)", false},
	{"lazy sub-select in CASE", "SELECT id FROM accounts a WHERE {a}CASE WHEN name BETWEEN 'NAME' AND 'NAME' THEN (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1) = 1 END", false},
	{"volatile function", "SELECT id FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND (1 / (0 * random())::int) > 0", false},
	{"target of a sub-select", "SELECT count(*) FROM (SELECT name, note::regclass AS x FROM accounts a WHERE {a}true) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.x IS NOT NULL", false},
	{"inert condition on the target of a sub-select", "SELECT s.name FROM (SELECT name, note::regclass AS x FROM accounts a WHERE {a}true) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.x IS NOT NULL", false},
	{"condition pushed down", "SELECT count(*) FROM (SELECT * FROM accounts a WHERE {a}true) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.note::regclass IS NOT NULL", false},
	{"condition pushed down twice", "SELECT count(*) FROM (SELECT * FROM (SELECT * FROM accounts a WHERE {a}true) r) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.note::regclass IS NOT NULL", false},
	{"condition pushed into UNION ALL", "SELECT count(*) FROM (SELECT name, note FROM accounts a WHERE {a}true UNION ALL SELECT 'x', '1') s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.note::regclass IS NOT NULL", false},
	{"condition pushed below GROUP BY", "SELECT count(*) FROM (SELECT name, note FROM accounts a WHERE {a}true GROUP BY name, note) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.note::regclass IS NOT NULL", false},
	{"inner condition", "SELECT count(*) FROM (SELECT * FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL) s", false},
	{"common table expression", "WITH s AS (SELECT * FROM accounts a WHERE {a}true) SELECT count(*) FROM s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.note::regclass IS NOT NULL", false},
	{"NOT MATERIALIZED", "WITH s AS NOT MATERIALIZED (SELECT * FROM accounts a WHERE {a}true) SELECT count(*) FROM s, s r WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.note::regclass IS NOT NULL", false},
	{"ON", "SELECT count(*) FROM countries c JOIN accounts a ON {a}a.name BETWEEN 'NAME' AND 'NAME' AND a.note::regclass IS NOT NULL", false},
	{"ON of LEFT JOIN", "SELECT count(*) FROM countries c LEFT JOIN accounts a ON {a}a.name BETWEEN 'NAME' AND 'NAME' AND a.note::regclass IS NOT NULL", false},
	{"WHERE over LEFT JOIN", "SELECT count(*) FROM countries c LEFT JOIN accounts a ON {a}true WHERE a.name BETWEEN 'NAME' AND 'NAME' AND a.note::regclass IS NOT NULL", false},
	{"join with itself", "SELECT count(*) FROM accounts a JOIN accounts b ON b.id = a.id AND {b}true WHERE {a}a.name BETWEEN 'NAME' AND 'NAME' AND b.name BETWEEN 'NAME' AND 'NAME' AND b.note::regclass IS NOT NULL", false},
	{"LATERAL", "SELECT count(*) FROM accounts a, LATERAL (SELECT code FROM countries WHERE a.note::regclass IS NOT NULL) s WHERE {a}a.name BETWEEN 'NAME' AND 'NAME'", false},
	{"LATERAL VALUES", "SELECT count(*) FROM accounts a, LATERAL (VALUES (a.note::regclass)) s (x) WHERE {a}a.name BETWEEN 'NAME' AND 'NAME' AND s.x IS NOT NULL", true},
	{"HAVING", "SELECT name FROM accounts a WHERE {a}true GROUP BY name, note HAVING name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL", false},
	{"HAVING whose aggregate is never needed", "SELECT name FROM accounts a WHERE {a}true GROUP BY name, note HAVING name BETWEEN 'NAME' AND 'NAME' AND CASE WHEN true THEN note::regclass IS NOT NULL ELSE count(*) > 0 END", false},
	{"value whose aggregate is never needed", "SELECT count(*) FROM (SELECT name, CASE WHEN true THEN note::regclass::oid ELSE count(*)::oid END AS x FROM accounts a WHERE {a}true GROUP BY name, note) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.x > 1", true},
	{"HAVING over a sub-select", "SELECT s.name FROM (SELECT name, note FROM accounts a WHERE {a}true) s GROUP BY s.name, s.note HAVING s.name BETWEEN 'NAME' AND 'NAME' AND s.note::regclass IS NOT NULL", false},
	{"side of a join", "SELECT count(*) FROM accounts a JOIN countries c ON c.code::text = a.note::regclass::text WHERE {a}a.name BETWEEN 'NAME' AND 'NAME'", false},
	{"side of a join that is a constant as well", "SELECT count(*) FROM accounts a JOIN countries c ON c.code = a.note::regclass::text WHERE {a}a.name BETWEEN 'NAME' AND 'NAME' AND c.code = 'DE'", false},
	{"join with an alias", "SELECT count(*) FROM (accounts a JOIN countries c ON {a}true) AS j (tenant, id, name, note, credit, code, country, vat) WHERE j.name BETWEEN 'NAME' AND 'NAME' AND j.note::regclass IS NOT NULL", false},
	{"EXISTS", "SELECT 1 WHERE EXISTS (SELECT FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL)", false},
	{"correlated EXISTS", "SELECT count(*) FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND EXISTS (SELECT FROM countries WHERE a.note::regclass IS NOT NULL)", false},
	{"IN", "SELECT count(*) FROM countries WHERE name IN (SELECT name FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL)", false},
	{"scalar sub-select", "SELECT (SELECT count(*) FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL)", false},
	{"UPDATE", "UPDATE accounts a SET credit = 1 WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL", false},
	{"UPDATE FROM", "UPDATE feature_flags f SET enabled = true FROM accounts a WHERE {a}a.name BETWEEN 'NAME' AND 'NAME' AND a.note::regclass IS NOT NULL", false},
	{"UPDATE with a lazy sub-select", "UPDATE accounts a SET credit = 1 WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND credit > (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1)", false},
	{"DELETE", "DELETE FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL", false},
	{"MERGE", "MERGE INTO accounts a USING countries c ON {a}a.name BETWEEN 'NAME' AND 'NAME' AND a.note::regclass IS NOT NULL WHEN MATCHED THEN DO NOTHING", false},
	{"source of MERGE", "MERGE INTO feature_flags f USING (SELECT * FROM accounts a WHERE {a}a.name BETWEEN 'NAME' AND 'NAME' AND a.note::regclass IS NOT NULL) s ON true WHEN MATCHED THEN DO NOTHING", false},
	{"view", "SELECT count(*) FROM named_accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND note::regclass IS NOT NULL", false},
	{"value of a view", "SELECT count(*) FROM classed_accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND class IS NOT NULL", false},
	{"view of a view", "SELECT count(*) FROM seen_accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME' AND class IS NOT NULL", false},
	{"condition of a view", "SELECT count(*) FROM classy_accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME'", false},
	{"outer join of a table without NOT NULL", "SELECT count(*) FROM countries c LEFT JOIN loose_accounts a ON {a}true WHERE a.name BETWEEN 'NAME' AND 'NAME' AND a.note::regclass IS NOT NULL", false},
	{"IN of a value", "SELECT count(*) FROM countries WHERE 7::oid IN (SELECT note::regclass FROM accounts a WHERE {a}name BETWEEN 'NAME' AND 'NAME')", false},
	{"value of a lateral sub-select", "SELECT count(*) FROM accounts a, LATERAL (SELECT a.note::regclass AS x FROM countries) s WHERE {a}a.name BETWEEN 'NAME' AND 'NAME' AND s.x IS NOT NULL", true},
	{"value without a table", "SELECT count(*) FROM accounts a, (SELECT (1 / (0 * random())::int) AS x) s WHERE {a}a.name BETWEEN 'NAME' AND 'NAME' AND a.id > s.x", true},
	{"value below GROUP BY", "SELECT count(*) FROM (SELECT name, note::regclass AS x FROM accounts a WHERE {a}true GROUP BY name, note::regclass) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.x IS NOT NULL", true},
	{"value below DISTINCT", "SELECT count(*) FROM (SELECT DISTINCT name, note::regclass AS x FROM accounts a WHERE {a}true) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.x IS NOT NULL", true},
	{"value in UNION ALL", "SELECT count(*) FROM (SELECT name, note::regclass AS x FROM accounts a WHERE {a}true UNION ALL SELECT 'x', 1) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.x IS NOT NULL", false},
	{"value of a common table expression", "WITH s AS (SELECT name, note::regclass AS x FROM accounts a WHERE {a}true) SELECT count(*) FROM s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.x IS NOT NULL", false},
	{"comparison of a value", "SELECT count(*) FROM (SELECT name, note::regclass::oid AS x FROM accounts a WHERE {a}true) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.x > 1", false},
	{"value without a name", "SELECT count(*) FROM (SELECT name, note::regclass FROM accounts a WHERE {a}true) s WHERE s.name BETWEEN 'NAME' AND 'NAME' AND s.note IS NOT NULL", false},
	{"DELETE USING", "DELETE FROM feature_flags f USING accounts a WHERE {a}a.name BETWEEN 'NAME' AND 'NAME' AND a.note::regclass IS NOT NULL", false},
}

// withPredicates is a probe as a rewriter without barrier would send it.
func withPredicates(sql string) string {
	return strings.NewReplacer("{a}", "a.tenant_id = 1 AND ", "{b}", "b.tenant_id = 1 AND ").Replace(sql)
}

func withoutPredicates(sql string) string {
	return strings.NewReplacer("{a}", "", "{b}", "").Replace(sql)
}

// makeAccounts adds the table of the probes to a database.
func makeAccounts(t *testing.T, c *clinic.Clinic, database string, many bool) {
	t.Helper()
	owner := pgtest.Connect(t, c.OwnerURL(database))
	ddl := accounts
	if many {
		ddl += manyAccounts
	}
	if database == c.Policies() {
		ddl += accountsPolicy
	}
	_, err := owner.Exec(t.Context(), ddl+"ANALYZE accounts").ReadAll()
	require.NoError(t, err)
	require.NoError(t, owner.Close(t.Context()))
}

func TestConditionsDoNotRunOnRowsOfOthers(t *testing.T) {
	t.Parallel() // with others that take long
	for _, size := range []string{"small", "large"} {
		for _, enforce := range []Enforcement{Rewrite, Both} {
			t.Run(size+"/"+enforce.String(), func(t *testing.T) {
				c := clinic.New(t, 2)
				database := c.Plain()
				if enforce == Both {
					database = c.Policies()
				}
				makeAccounts(t, c, database, size == "large")
				conn := open(t, c, enforce, nil).tenant("1")
				direct := pgtest.Connect(t, c.URL(database))
				pgtest.Must(t, direct, "SET "+clinic.Setting+" = '1'")
				leaked := 0
				for _, p := range probes {
					ask := func(conn *pgconn.PgConn, sql, name string, extended bool) pgtest.Outcome {
						sql = strings.ReplaceAll(sql, "NAME", name)
						if extended {
							return pgtest.Extended(t, conn, sql)
						}
						return pgtest.Simple(t, conn, sql)[0]
					}
					for _, extended := range []bool{false, true} {
						sql := withoutPredicates(p.sql)
						miss := ask(conn, sql, "nobody", extended)
						if !p.fenced {
							require.Empty(t, miss.Code, "%s: %s", p.what, miss.Message)
						}
						require.Equal(t, miss, ask(conn, sql, "victim", extended), p.what)
						own := ask(conn, sql, "own", extended)
						require.NotEmpty(t, own.Code, "%s: does nothing on a row of the tenant's own", p.what)
						require.NotContains(t, own.Code, "0A", p.what)
					}
					plain := ask(direct, withPredicates(p.sql), "victim", false)
					if plain.Code != "" {
						leaked++
					}
				}
				if size == "small" && enforce == Rewrite { // each server has its own plans
					require.Greater(t, leaked*2, len(probes), "plain predicates should leak")
				}
				t.Logf("%d of %d probes leak with plain predicates", leaked, len(probes))
			})
		}
	}
}

func TestInertConditionsKeepTheirIndexes(t *testing.T) {
	c := clinic.New(t, 2)
	makeAccounts(t, c, c.Plain(), true)
	super := pgtest.Connect(t, c.Server.SuperuserURL(c.Plain()))
	cat, err := catalog.Load(t.Context(), pgtest.Querier{Conn: super}, clinic.Config())
	require.NoError(t, err)
	r, err := rewrite.New(rewrite.Config{Setting: clinic.Setting, Confine: true})
	require.NoError(t, err)
	for sql, cond := range map[string]string{
		"SELECT * FROM accounts WHERE id = 42":                                                         "Index Cond: ((tenant_id = 3) AND (id = 42))",
		"SELECT * FROM accounts WHERE id IN (42, 43)":                                                  "(tenant_id = 3) AND (id = ANY ('{42,43}'::integer[]))",
		"SELECT * FROM accounts a WHERE a.id = 42 AND a.note::int > 0":                                 "Index Cond: ((tenant_id = 3) AND (id = 42))",
		"SELECT * FROM (SELECT * FROM accounts) s WHERE s.id = 42":                                     "Index Cond: ((tenant_id = 3) AND (id = 42))",
		"WITH s AS (SELECT * FROM accounts) SELECT * FROM s WHERE id = 42":                             "Index Cond: ((tenant_id = 3) AND (id = 42))",
		"UPDATE accounts SET credit = credit + 1 WHERE id = 42":                                        "Index Cond: ((tenant_id = 3) AND (id = 42))",
		"DELETE FROM accounts WHERE id = 42 AND name LIKE 'row%'":                                      "Index Cond: ((tenant_id = 3) AND (id = 42))",
		"SELECT * FROM accounts a JOIN accounts b ON b.id = a.id WHERE a.id BETWEEN 42 AND 44":         "Index Cond: ((tenant_id = 3) AND (id >= 42) AND (id <= 44))",
		"SELECT * FROM accounts a WHERE id = 42 AND EXISTS (SELECT FROM accounts b WHERE b.id = a.id)": "Index Cond: ((tenant_id = 3) AND (id = 42))",
	} {
		result, err := r.Rewrite(rewrite.Request{SQL: sql}, cat)
		require.NoError(t, err)
		var plan []string
		for _, row := range pgtest.Must(t, super, "EXPLAIN "+result.Statements[0].Text.SQL("3")) {
			plan = append(plan, row[0])
		}
		require.Contains(t, strings.Join(plan, "\n"), cond, sql)
	}
}

// A pattern that ends in its escape character is an error for the rows that
// match up to there: it never gets to them.
func TestAPatternThatIsBoundCannotFailOnRowsOfOthers(t *testing.T) {
	c := clinic.New(t, 2)
	makeAccounts(t, c, c.Plain(), false)
	conn := open(t, c, Rewrite, nil).tenant("1")
	const sql = "SELECT id FROM accounts WHERE name LIKE $1"
	for _, pattern := range []string{`vi\`, `ow\`, `nobody\`, `%\\\`} {
		got := pgtest.Extended(t, conn, sql, []byte(pattern))
		require.Equal(t, "22025", got.Code, pattern)
	}
	for pattern, want := range map[string][][]string{`o%`: {{"1"}}, `vi%`: {}, `%\\`: {}, `%`: {{"1"}}} {
		got := pgtest.Extended(t, conn, sql, []byte(pattern))
		require.Empty(t, got.Code, got.Message)
		require.ElementsMatch(t, want, got.Rows, pattern)
	}
	got := pgtest.Extended(t, conn, sql, nil)
	require.Empty(t, got.Code)
	require.Empty(t, got.Rows)
}

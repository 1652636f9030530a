package proxy

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// tempTables makes a gate that allows temporary tables, over so many server
// connections.
func tempTables(size int) func(*Config) {
	return func(cfg *Config) {
		poolOf(size)(cfg)
		cfg.TempTables = true
	}
}

// temporaryScripts are what sessions do with state that only their server
// connection has. Each ends with nothing of it left.
var temporaryScripts = [][]string{
	{
		"CREATE TEMP TABLE scratch (id int PRIMARY KEY, note text DEFAULT upper('x'), at date, CHECK (id > 0))",
		"INSERT INTO scratch (id) SELECT id FROM patients",
		"SELECT count(*), min(note) FROM scratch",
		"SELECT p.name, s.note FROM patients p JOIN scratch s ON s.id = p.id ORDER BY p.id LIMIT 5",
		"SELECT name FROM patients, scratch WHERE patients.id = scratch.id ORDER BY patients.id LIMIT 3",
		"UPDATE scratch SET note = p.name FROM patients p WHERE p.id = scratch.id",
		"SELECT scratch.note, pg_temp.scratch.id FROM pg_temp.scratch ORDER BY 2 LIMIT 3",
		"DELETE FROM scratch USING patients p WHERE p.id = scratch.id AND p.id > 3 RETURNING scratch.id",
		"INSERT INTO scratch VALUES (1, 'twice') ON CONFLICT (id) DO UPDATE SET note = excluded.note RETURNING *",
		"INSERT INTO scratch VALUES (-1)",
		"CREATE INDEX ON scratch (lower(note)) WHERE id > 0",
		"CREATE UNIQUE INDEX scratch_note ON scratch USING btree (note text_pattern_ops DESC) INCLUDE (at)",
		"ANALYZE scratch",
		"WITH scratch AS (SELECT 1 AS one) SELECT * FROM scratch",
		"TRUNCATE scratch RESTART IDENTITY",
		"TABLE scratch",
		"DROP TABLE scratch",
		"SELECT * FROM scratch",
	},
	{
		"CREATE TEMPORARY TABLE IF NOT EXISTS mine AS SELECT p.id, name, born FROM patients p WHERE id < 10",
		"CREATE TEMPORARY TABLE IF NOT EXISTS mine AS SELECT 1",
		"SELECT * FROM mine ORDER BY id",
		"CREATE TEMP TABLE renamed (a, b) ON COMMIT PRESERVE ROWS AS SELECT m.id, m.name FROM mine m LEFT JOIN invoices i ON i.patient_id = m.id WITH NO DATA",
		"SELECT * FROM renamed",
		"SELECT id, name INTO TEMP other FROM patients WHERE id IN (SELECT id FROM mine) ORDER BY id LIMIT 4",
		"SELECT * FROM other ORDER BY id",
		"SELECT * INTO TEMPORARY TABLE all_of_it FROM (TABLE patients UNION ALL TABLE patients) u",
		"SELECT count(*), count(DISTINCT name) FROM all_of_it",
		"INSERT INTO patients (id, name) SELECT id + 5000, name FROM other",
		"SELECT id, name FROM patients WHERE id > 5000 ORDER BY id",
		"DELETE FROM patients WHERE id > 5000",
		"DROP TABLE IF EXISTS mine, renamed, other, missing CASCADE",
		"DROP TABLE pg_temp.all_of_it",
		"DROP TABLE all_of_it",
	},
	{
		"BEGIN",
		"CREATE TEMP TABLE a (x int)",
		"INSERT INTO a VALUES (1), (2)",
		"SAVEPOINT s",
		"CREATE TEMP TABLE b (x int)",
		"INSERT INTO b SELECT * FROM a",
		"SELECT * FROM b ORDER BY x",
		"ROLLBACK TO s",
		"SELECT * FROM b",
		"ROLLBACK TO s",
		"SELECT * FROM a ORDER BY x",
		"ROLLBACK",
		"SELECT * FROM a",
	},
	{
		"BEGIN",
		"CREATE TEMP TABLE dropped ON COMMIT DROP AS SELECT id FROM patients",
		"SELECT count(*) FROM dropped",
		"COMMIT",
		"SELECT * FROM dropped",
		"CREATE TEMP TABLE emptied (x int) ON COMMIT DELETE ROWS",
		"BEGIN",
		"INSERT INTO emptied VALUES (1)",
		"SELECT * FROM emptied",
		"COMMIT",
		"SELECT * FROM emptied",
		"DISCARD TEMP",
		"SELECT * FROM emptied",
	},
	{
		"CREATE TEMP TABLE numbered (id serial, n bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5), twice int GENERATED ALWAYS AS (id * 2) STORED, t text COLLATE \"C\")",
		"INSERT INTO numbered (t) SELECT name FROM patients ORDER BY id LIMIT 3",
		"SELECT id, n, twice FROM numbered ORDER BY id",
		"CREATE TEMP TABLE shaped (LIKE patients)",
		"CREATE TEMP TABLE shaped2 (LIKE patients INCLUDING ALL, extra text)",
		"INSERT INTO shaped2 (tenant_id, id, name) VALUES (1, 1, 'x')",
		"SELECT id, name, balance, tags, extra FROM shaped2",
		"DISCARD ALL",
		"SELECT * FROM numbered",
	},
	{
		"DECLARE held CURSOR WITH HOLD FOR SELECT id, name FROM patients ORDER BY id",
		"FETCH 2 FROM held",
		"SELECT count(*) FROM patients",
		"FETCH 2 FROM held",
		"BEGIN",
		"FETCH 1 FROM held",
		"DECLARE other SCROLL CURSOR WITH HOLD FOR SELECT p.id FROM patients p JOIN invoices i ON i.patient_id = p.id ORDER BY p.id, i.id",
		"FETCH LAST FROM other",
		"COMMIT",
		"FETCH FIRST FROM other",
		"CLOSE held",
		"FETCH 1 FROM held",
		"CLOSE ALL",
		"FETCH 1 FROM other",
	},
}

// inProtocol sends a statement in the simple or the extended protocol.
func inProtocol(t *testing.T, conn *pgconn.PgConn, sql string, extended bool) []pgtest.Outcome {
	t.Helper()
	if extended {
		return []pgtest.Outcome{pgtest.Extended(t, conn, sql)}
	}
	return pgtest.Simple(t, conn, sql)
}

func TestSessionStateAnswersAsForTheTenantAlone(t *testing.T) {
	c := clinic.New(t, 2)
	alone := c.URL(c.Oracle(t, "1"))
	for _, enforce := range enforcements {
		for _, extended := range []bool{false, true} {
			t.Run(enforce.String(), func(t *testing.T) {
				g := open(t, c, enforce, tempTables(1))
				oracle := pgtest.Connect(t, alone)
				conn := g.tenant("1")
				for _, script := range temporaryScripts {
					for _, sql := range script {
						want, got := inProtocol(t, oracle, sql, extended), inProtocol(t, conn, sql, extended)
						if !slices.EqualFunc(want, got, equalOutcome) {
							t.Errorf("%s\n want %+v\n  got %+v", sql, want, got)
						}
					}
					require.EqualValues(t, 'I', conn.TxStatus())
					eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "the session is still pinned after %v", script)
				}
				require.EqualValues(t, 1, g.pool().Stat().Dialed, "the connection was cleaned, not closed")
			})
		}
	}
}

// eventually waits for what a session does after it has answered.
func eventually(t testing.TB, condition func() bool, message string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, time.Millisecond, append([]any{message}, args...)...)
}

func TestPinnedSessionKeepsItsConnectionFromOthers(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, tempTables(1))
			one, two := g.tenant("1"), g.tenant("2")
			pgtest.Must(t, one, "CREATE TEMP TABLE scratch AS SELECT tenant_id, name FROM patients")
			waiting := make(chan [][]string, 1)
			go func() {
				results, err := two.Exec(context.Background(), "SELECT DISTINCT tenant_id FROM patients").ReadAll()
				if err != nil || len(results) != 1 {
					waiting <- nil
					return
				}
				rows := [][]string{}
				for _, row := range results[0].Rows {
					rows = append(rows, []string{string(row[0])})
				}
				waiting <- rows
			}()
			eventually(t, func() bool { return g.pool().Stat().Waiting == 1 }, "nobody waits")
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, one, "SELECT DISTINCT tenant_id FROM scratch"))
			require.Equal(t, 1, g.pool().Stat().Waiting)
			pgtest.Must(t, one, "DROP TABLE scratch")
			require.Equal(t, [][]string{{"2"}}, <-waiting)
			require.Equal(t, "42P01", pgtest.Simple(t, two, "SELECT * FROM pg_temp.scratch")[0].Code)
			require.Equal(t, [][]string{{"0"}}, pgtest.Must(t, two, "SELECT count(*) FROM pg_class WHERE relname = 'scratch'"))
		})
	}
}

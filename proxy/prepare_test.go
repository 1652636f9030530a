package proxy

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// preparedScript is one session's statements with PREPARE and EXECUTE, which
// it must see answered as by the database that holds its rows alone.
var preparedScript = []string{
	"PREPARE one (int) AS SELECT id, name FROM patients WHERE id < $1 ORDER BY id",
	"EXECUTE one (3)", "EXECUTE one ('4')", "EXECUTE one (NULL)", "EXECUTE one ('2'::int)", "EXECUTE one (-1)",
	"EXECUTE one", "EXECUTE one (1, 2)", "EXECUTE one ('x')", "EXECUTE nosuch", "PREPARE one AS SELECT 1",
	"PREPARE two AS SELECT count(*) FROM patients p JOIN notes n ON n.patient_id = p.id WHERE p.name <> $1", "EXECUTE two ('x')",
	"PREPARE three (int, text, numeric, bool) AS INSERT INTO patients (id, name, balance) VALUES ($1, $2, $3) RETURNING id, name, balance, $4",
	"EXECUTE three (900, 'it''s', 12.50, true)", "EXECUTE three (901, NULL, 12.50, false)", "SELECT count(*) FROM patients WHERE id >= 900",
	"PREPARE four AS UPDATE patients SET name = $2 WHERE id = $1", "EXECUTE four (900, 'changed')", "EXECUTE four (77777, 'changed')",
	"PREPARE five (pg_catalog.int4, date, timestamptz, text[]) AS SELECT $1, $2, $4", "EXECUTE five (1, '2024-02-29', 'now', '{a,b}')",
	"PREPARE six AS DELETE FROM patients WHERE id >= 900", "BEGIN", "EXECUTE six", "ROLLBACK", "EXECUTE six", "EXECUTE six",
	"PREPARE bad AS SELECT nosuch FROM patients", "EXECUTE bad", "PREPARE bad AS SELECT 1 / $1", "EXECUTE bad (0)", "EXECUTE bad (1)",
	"PREPARE \"Seven\" AS VALUES (1), (2)", "EXECUTE \"Seven\"", "EXECUTE seven", "DEALLOCATE \"Seven\"", "EXECUTE \"Seven\"",
	"BEGIN", "PREPARE eight AS SELECT 1", "SELECT 1 / 0", "EXECUTE eight", "PREPARE nine AS SELECT 1", "ROLLBACK", "EXECUTE eight", "EXECUTE nine",
	"PREPARE ten AS MERGE INTO log_lines l USING (SELECT $1::text AS t) s ON l.line = s.t WHEN NOT MATCHED THEN INSERT (level, line) VALUES ('merge', s.t)",
	"EXECUTE ten ('merged')", "SELECT count(*) FROM log_lines WHERE level = 'merge'", "DELETE FROM log_lines WHERE level = 'merge'",
	"DEALLOCATE ALL", "EXECUTE one (1)",
}

func TestPreparedStatementsOfSQLAnswerAsForOneTenant(t *testing.T) {
	c := clinic.New(t, 2)
	alone := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	var want []pgtest.Outcome
	for _, sql := range preparedScript {
		want = append(want, pgtest.Simple(t, alone, sql)...)
	}
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn, other := g.tenant("1"), g.tenant("2")
			for i, sql := range preparedScript {
				got := pgtest.Simple(t, conn, sql)
				require.Len(t, got, 1, sql)
				require.Equal(t, want[i].Code, got[0].Code, "%s: %s", sql, got[0].Message)
				if want[i].Code == "" { // what precedes an error may differ
					require.Equal(t, want[i], got[0], sql)
				}
				if conn.TxStatus() == 'I' {
					pgtest.Must(t, other, "SELECT 1") // takes the only server connection
				}
			}
		})
	}
}

func TestPreparedStatementsOfSQLAndProtocolShareTheirNames(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			conn := open(t, c, enforce, poolOf(1)).tenant("2")
			_, err := conn.Prepare(t.Context(), "parsed", "SELECT DISTINCT tenant_id FROM patients WHERE id < $1", nil)
			require.NoError(t, err)
			require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, conn, "EXECUTE parsed (5)"))
			require.Equal(t, "42P05", pgtest.Simple(t, conn, "PREPARE parsed AS SELECT 1")[0].Code)

			pgtest.Must(t, conn, "PREPARE written (int) AS SELECT DISTINCT tenant_id FROM patients WHERE id < $1")
			result := conn.ExecPrepared(t.Context(), "written", [][]byte{[]byte("5")}, nil, nil).Read()
			require.NoError(t, result.Err)
			require.Equal(t, "2", string(result.Rows[0][0]))
			_, err = conn.Prepare(t.Context(), "written", "SELECT 1", nil)
			require.Equal(t, "42P05", code(err))
			require.Equal(t, "DEALLOCATE", pgtest.Extended(t, conn, "DEALLOCATE written").Tag)
			require.Equal(t, "26000", pgtest.Simple(t, conn, "EXECUTE written (1)")[0].Code)

			_, err = conn.Prepare(t.Context(), "begin", "BEGIN", nil)
			require.NoError(t, err)
			for sql, want := range map[string]string{
				"EXECUTE begin": "0A000", "EXECUTE parsed (1 + 1)": "0A000", "EXECUTE parsed (1.5)": "0A000", "SELECT 1; EXECUTE parsed (1)": "0A000",
				"PREPARE x AS SELECT pg_sleep(1)": "42501", "PREPARE x AS SELECT * FROM audit_log": "42501", "PREPARE x (nosuch) AS SELECT $1": "0A000",
			} {
				require.Equal(t, want, pgtest.Simple(t, conn, sql)[0].Code, sql)
			}
			pgtest.Must(t, conn, "PREPARE x AS INSERT INTO patients (tenant_id, id, name) VALUES (1, 1000, 'x')")
			require.Equal(t, "42501", pgtest.Simple(t, conn, "EXECUTE x")[0].Code)
			pgtest.Must(t, conn, "PREPARE y AS INSERT INTO patients (tenant_id, id, name) VALUES ($1, 1000, 'x')")
			require.Equal(t, "42501", pgtest.Simple(t, conn, "EXECUTE y (1)")[0].Code)
			require.Equal(t, "0A000", pgtest.Extended(t, conn, "EXECUTE y (1)").Code)
		})
	}
}

// A table gets a column while a statement that selects all of them is prepared
// on the server connection. Who had it prepared is told, as without a proxy;
// who prepares it now has the new column.
func TestStatementsSeeColumnsThatWereAdded(t *testing.T) {
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			c := clinic.New(t, 2)
			database := c.Plain()
			if enforce != Rewrite {
				database = c.Policies()
			}
			g := open(t, c, enforce, poolOf(1))
			const sql = "SELECT * FROM countries"
			first, second := g.tenant("1"), g.tenant("2")
			before, err := first.Prepare(t.Context(), "s", sql, nil)
			require.NoError(t, err)
			owner := pgtest.Connect(t, c.OwnerURL(database))
			pgtest.Must(t, owner, "ALTER TABLE countries ADD COLUMN continent text")
			execute := func(conn *pgconn.PgConn) (int, error) {
				r := conn.ExecPrepared(t.Context(), "s", nil, nil, nil).Read()
				return len(r.FieldDescriptions), r.Err
			}
			_, err = execute(first)
			require.ErrorContains(t, err, "cached plan must not change result type")
			after, err := second.Prepare(t.Context(), "s", sql, nil)
			require.NoError(t, err)
			require.Len(t, after.Fields, len(before.Fields)+1)
			columns, err := execute(second)
			require.NoError(t, err)
			require.Equal(t, len(after.Fields), columns)
			require.NoError(t, first.Deallocate(t.Context(), "s"))
			again, err := first.Prepare(t.Context(), "s", sql, nil)
			require.NoError(t, err)
			require.Equal(t, after.Fields, again.Fields)
		})
	}
}

func TestStatementThatMadeNoRoomIsStillThere(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, func(cfg *Config) {
		poolOf(1)(cfg)
		b := cfg.Backends["main"]
		b.Pool.MaxStatements = 2
		cfg.Backends["main"] = b
	})
	conn := g.tenant("1")
	for _, sql := range []string{"SELECT 1", "SELECT 2"} {
		_, err := conn.Prepare(t.Context(), sql, sql, nil)
		require.NoError(t, err)
	}
	for range 3 {
		_, err := conn.Prepare(t.Context(), "refused", "SELECT nosuch FROM patients", nil)
		require.Equal(t, "42703", pgError(t, err).Code)
		for _, name := range []string{"SELECT 1", "SELECT 2"} {
			require.NoError(t, conn.ExecPrepared(t.Context(), name, nil, nil, nil).Read().Err)
		}
	}
	for _, sql := range []string{"SELECT 3", "SELECT 4"} { // and is made room for, after all
		_, err := conn.Prepare(t.Context(), sql, sql, nil)
		require.NoError(t, err)
	}
}

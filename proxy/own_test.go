package proxy

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// code is the SQLSTATE of an error; "" of none.
func code(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

func TestProxyAnswersItsOwnStatementsInTheExtendedProtocol(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			conn := open(t, c, enforce, poolOf(1)).tenant("2")
			for sql, tag := range map[string]string{
				"DEALLOCATE ALL": "DEALLOCATE ALL", "DISCARD ALL": "DISCARD ALL", "DISCARD PLANS": "DISCARD PLANS",
				"DISCARD TEMP": "DISCARD TEMP", "SET tenantgate.tenant = 'tenant2'": "SET",
			} {
				o := pgtest.Extended(t, conn, sql)
				require.Equal(t, pgtest.Outcome{Tag: tag}, pgtest.Outcome{Tag: o.Tag, Code: o.Code}, sql)
			}
			show := pgtest.Extended(t, conn, "SHOW tenantgate.tenant")
			require.Equal(t, [][]string{{"tenant2"}}, show.Rows)
			require.Equal(t, []string{"tenantgate.tenant"}, show.Columns)
			require.Equal(t, "42501", pgtest.Extended(t, conn, "SET tenantgate.tenant = 'tenant1'").Code)
			require.Equal(t, "42501", pgtest.Extended(t, conn, "RESET tenantgate.tenant").Code)
			require.Equal(t, "26000", pgtest.Extended(t, conn, "DEALLOCATE nosuch").Code)

			sd, err := conn.Prepare(t.Context(), "own", "SHOW tenantgate.tenant", nil)
			require.NoError(t, err)
			require.Len(t, sd.Fields, 1)
			require.Empty(t, sd.ParamOIDs)
			result := conn.ExecPrepared(t.Context(), "own", nil, nil, []int16{1}).Read()
			require.NoError(t, result.Err)
			require.Equal(t, "tenant2", string(result.Rows[0][0]))
			require.Equal(t, "08P01", code(conn.ExecPrepared(t.Context(), "own", [][]byte{[]byte("1")}, nil, nil).Read().Err))
			require.Equal(t, "DEALLOCATE", pgtest.Extended(t, conn, "DEALLOCATE own").Tag)
			require.Equal(t, "26000", code(conn.ExecPrepared(t.Context(), "own", nil, nil, nil).Read().Err))

			pgtest.Must(t, conn, "BEGIN")
			require.Equal(t, "25001", pgtest.Extended(t, conn, "DISCARD ALL").Code)
			require.Equal(t, "25P02", pgtest.Extended(t, conn, "DEALLOCATE ALL").Code)
			pgtest.Must(t, conn, "ROLLBACK")
		})
	}
}

func TestOwnStatementsKeepTheirPlaceInAPipeline(t *testing.T) {
	c := clinic.New(t, 1)
	conn := open(t, c, Both, poolOf(1)).tenant("1")
	_, err := conn.Prepare(t.Context(), "a", "SELECT count(*) FROM patients", nil)
	require.NoError(t, err)

	results := run(t, conn, "INSERT INTO log_lines (level, line) VALUES ('own', 'x')", "DEALLOCATE a", "SELECT 1 AS one")
	require.Equal(t, []string{"INSERT 0 1", "DEALLOCATE", "SELECT 1"}, results)

	_, err = conn.Prepare(t.Context(), "a", "SELECT count(*) FROM patients", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"22012"}, run(t, conn, "SELECT 1 / 0", "DEALLOCATE a"))
	require.NoError(t, conn.ExecPrepared(t.Context(), "a", nil, nil, nil).Read().Err, "the group had failed")

	require.Equal(t, []string{"INSERT 0 1", "26000"}, run(t, conn, "INSERT INTO log_lines (level, line) VALUES ('lost', 'x')", "DEALLOCATE nosuch", "SELECT 1"))
	require.Empty(t, pgtest.Must(t, conn, "SELECT 1 FROM log_lines WHERE level = 'lost'"))
	require.Equal(t, []string{"SELECT 1", "25001"}, run(t, conn, "SELECT 1", "DISCARD ALL"))
}

// run sends statements as one group and returns their tags, or the SQLSTATE
// that ended it.
func run(t *testing.T, conn *pgconn.PgConn, statements ...string) []string {
	t.Helper()
	batch := &pgconn.Batch{}
	for _, sql := range statements {
		batch.ExecParams(sql, nil, nil, nil, nil)
	}
	reader := conn.ExecBatch(t.Context(), batch)
	var tags []string
	for reader.NextResult() {
		if tag, err := reader.ResultReader().Close(); err == nil {
			tags = append(tags, tag.String())
		}
	}
	if failed := code(reader.Close()); failed != "" {
		tags = append(tags, failed)
	}
	return tags
}

func TestOwnStatementsMayLeadASimpleMessage(t *testing.T) {
	c := clinic.New(t, 1)
	conn := open(t, c, RLS, poolOf(1)).tenant("1")
	outcomes := pgtest.Simple(t, conn, "DEALLOCATE ALL; SHOW tenantgate.tenant; SELECT count(*) > 0 FROM patients")
	require.Len(t, outcomes, 3)
	require.Equal(t, "DEALLOCATE ALL", outcomes[0].Tag)
	require.Equal(t, [][]string{{"tenant1"}}, outcomes[1].Rows)
	require.Equal(t, [][]string{{"t"}}, outcomes[2].Rows)
	for sql, want := range map[string]string{
		"SELECT 1; DEALLOCATE ALL": "0A000", "SET tenantgate.tenant = 'tenant1'; SELECT 1": "0A000", "DISCARD ALL; SELECT 1": "25001",
	} {
		outcomes := pgtest.Simple(t, conn, sql)
		require.Equal(t, want, outcomes[len(outcomes)-1].Code, sql)
	}
}

func TestPgxDeallocatesAll(t *testing.T) {
	c := clinic.New(t, 2)
	for _, mode := range queryModes {
		cfg, err := pgx.ParseConfig(open(t, c, Both, poolOf(1)).url("tenant2"))
		require.NoError(t, err)
		cfg.DefaultQueryExecMode = mode
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		require.NoError(t, err)
		var n int
		for range 3 {
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM patients WHERE id < $1", 4).Scan(&n))
			require.Equal(t, 3, n)
			require.NoError(t, conn.DeallocateAll(t.Context()))
		}
		_, err = conn.Exec(t.Context(), "DISCARD ALL")
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}
}

func TestExplainShowsThePlanIfItIsConfigured(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			require.Equal(t, "0A000", pgtest.Simple(t, open(t, c, enforce, nil).tenant("1"), "EXPLAIN SELECT 1")[0].Code)
			conn := open(t, c, enforce, func(cfg *Config) { cfg.Explain = true }).tenant("1")
			for _, sql := range []string{
				"EXPLAIN SELECT * FROM patients", "EXPLAIN (COSTS off, FORMAT json) UPDATE patients SET name = 'x'",
				"EXPLAIN DELETE FROM notes", "EXPLAIN INSERT INTO log_lines (level, line) VALUES ('a', 'b')",
			} {
				for _, o := range []pgtest.Outcome{pgtest.Simple(t, conn, sql)[0], pgtest.Extended(t, conn, sql)} {
					require.Equal(t, "EXPLAIN", o.Tag, "%s: %s", sql, o.Message)
					require.NotEmpty(t, o.Rows)
				}
			}
			o := pgtest.Extended(t, conn, "EXPLAIN SELECT * FROM patients WHERE id = $1", []byte("1"))
			require.Empty(t, o.Code, o.Message)
			require.Equal(t, "0A000", pgtest.Simple(t, conn, "EXPLAIN ANALYZE SELECT 1")[0].Code)
			require.NotEqual(t, "0", pgtest.Must(t, conn, "SELECT count(*) FROM patients WHERE name <> 'x'")[0][0])
		})
	}
}

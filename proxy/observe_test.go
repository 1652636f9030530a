package proxy

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// A journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

// take returns what has been logged since it was called last.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.text.Reset()
	return j.text.String()
}

// observing makes a gate let refusals through, with one server connection.
func observing(j *journal) func(*Config) {
	return func(cfg *Config) {
		cfg.Observe = true
		cfg.Log = zerolog.New(j).Level(zerolog.WarnLevel)
		poolOf(1)(cfg)
	}
}

const letThrough = "observe: a statement that would be refused is let through"

func TestObservingLogsRefusalsAndLetsThemThrough(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			var log journal
			g := open(t, c, enforce, observing(&log))
			require.Contains(t, log.take(), "NOT enforced")
			conn := g.tenant("1")
			own := pgtest.Must(t, conn, "SELECT count(*) FROM patients")[0][0]
			require.Empty(t, log.take(), "nothing is said of what is not refused")
			all := pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL(g.database)), "SELECT count(*) FROM patients")[0][0]
			require.NotEqual(t, own, all)

			for _, protocol := range []string{"simple", "extended"} {
				const sql = "SELECT count(*) FROM patients WHERE pg_sleep(0) IS NOT NULL"
				var got pgtest.Outcome
				if protocol == "simple" {
					got = pgtest.Simple(t, conn, sql)[0]
				} else {
					got = pgtest.Extended(t, conn, sql)
				}
				want := own
				if enforce == Rewrite { // there is nothing else that confines
					want = all
				}
				require.Equal(t, [][]string{{want}}, got.Rows, got.Message)
				said := log.take()
				require.Equal(t, 1, strings.Count(said, letThrough), said)
				require.Contains(t, said, "Rule: function.sleep.")
				require.Contains(t, said, `"tenant":"tenant1"`)
				require.NotContains(t, said, "pg_sleep(0)", "the text is not logged")
			}
			require.Equal(t, "42501", pgtest.Simple(t, conn, "TABLE audit_log")[0].Code, "the server has its own say")
			require.Contains(t, log.take(), "Rule: relation.denied.")
			require.Equal(t, "42P01", pgtest.Simple(t, conn, "TABLE nowhere")[0].Code)
			require.Equal(t, "42601", pgtest.Simple(t, conn, "SELEC 1")[0].Code)
			require.Equal(t, "42601", pgtest.Extended(t, conn, "SELECT 1; SELECT 2").Code)
			require.Contains(t, log.take(), letThrough)

			pgtest.Must(t, conn, "BEGIN")
			code := pgtest.Simple(t, conn, "INSERT INTO feature_flags (name, enabled) SELECT 'x', true WHERE pg_sleep(0) IS NULL")[0].Code
			require.Empty(t, code)
			code = pgtest.Simple(t, conn, "UPDATE patients SET tenant_id = 2 WHERE id = 1")[0].Code
			if enforce == Rewrite {
				require.NotEqual(t, "42501", code)
			} else {
				require.Equal(t, "42501", code, "policies hold")
			}
			if enforce != RLS { // where the proxy leaves it to the policy
				require.Contains(t, log.take(), "row-level security policy")
			}
			pgtest.Must(t, conn, "ROLLBACK")
			require.Equal(t, own, pgtest.Must(t, conn, "SELECT count(*) FROM patients")[0][0])
		})
	}
}

func TestWhatWasLetThroughIsGoneAfterItsTransaction(t *testing.T) {
	c := clinic.New(t, 2)
	const own = "SELECT DISTINCT tenant_id FROM patients"
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			var log journal
			g := open(t, c, enforce, observing(&log))
			one, two := g.tenant("1"), g.tenant("2")
			pgtest.Must(t, one, "SET application_name = 'kept'")
			for _, sql := range []string{
				"SET app.tenant_id = '2'",
				"SELECT set_config('app.tenant_id', '2', false), 1",
				"SELECT name FROM patients WHERE set_config('app.tenant_id', '2', false) IS NOT NULL",
				"SET SESSION AUTHORIZATION DEFAULT",
				"SET ROLE NONE",
				"SET search_path = nowhere",
				"SET zero_damaged_pages_of.mine = 1; SET app.other = 'x'",
				"CREATE TEMP TABLE patients (tenant_id int); INSERT INTO pg_temp.patients VALUES (77)",
				"SELECT set_config('statement_timeout', '1234', false), pg_sleep(0)",
				"SELECT name FROM patients WHERE pg_try_advisory_lock(42)",
				"SELECT setseed(0.5)",
				"BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT pg_sleep(0); COMMIT",
				"BEGIN; SELECT pg_sleep(0); COMMIT AND CHAIN; SELECT 1; COMMIT",
				"DO $$BEGIN PERFORM set_config('app.tenant_id', '2', false); END$$",
			} {
				log.take()
				before := pgtest.Must(t, two, "SELECT pg_backend_pid()")
				for _, outcome := range pgtest.Simple(t, one, sql) {
					require.Empty(t, outcome.Code, "%s: %s", sql, outcome.Message)
				}
				require.EqualValues(t, 'I', one.TxStatus(), sql)
				require.Contains(t, log.take(), letThrough, sql)
				require.NotEqual(t, before, pgtest.Must(t, two, "SELECT pg_backend_pid()"), "%s: the server connection is another", sql)
				require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, two, own), sql)
				require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, one, own), sql)
				require.Equal(t, [][]string{{"1"}}, pgtest.Extended(t, one, own).Rows, sql)
				require.Equal(t, "0", pgtest.Must(t, one, "SHOW statement_timeout")[0][0], sql)
				require.Equal(t, "kept", pgtest.Must(t, one, "SHOW application_name")[0][0], sql)
				require.Equal(t, [][]string{{"t"}}, pgtest.Must(t, one, "SELECT to_regclass('pg_temp.patients') IS NULL"), sql)
			}
			locks := pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL(g.database)), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
			require.Equal(t, [][]string{{"0"}}, locks)
		})
	}
}

func TestTenantIsSetAnewAfterAStatementThatWasLetThrough(t *testing.T) {
	c := clinic.New(t, 2)
	const own = "SELECT DISTINCT tenant_id FROM patients"
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			var log journal
			conn := open(t, c, enforce, observing(&log)).tenant("1")
			log.take()
			pgtest.Must(t, conn, "PREPARE slow AS SELECT pg_sleep(0), set_config('app.tenant_id', '2', false)")
			require.Contains(t, log.take(), letThrough)
			pgtest.Must(t, conn, "EXECUTE slow")
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, own))
			_, err := conn.Prepare(t.Context(), "become", "SELECT set_config('app.tenant_id', $1, false), pg_sleep(0)", nil)
			require.NoError(t, err)
			for range 2 {
				pgtest.Must(t, conn, "BEGIN")
				pgtest.Must(t, conn, "SELECT set_config('app.tenant_id', '2', false), 1")
				require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, own))
				require.NoError(t, conn.ExecPrepared(t.Context(), "become", [][]byte{[]byte("2")}, nil, nil).Read().Err)
				require.Equal(t, [][]string{{"1"}}, pgtest.Extended(t, conn, own).Rows)
				pgtest.Must(t, conn, "COMMIT AND CHAIN")
				require.EqualValues(t, 'T', conn.TxStatus())
				require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, own))
				pgtest.Must(t, conn, "ROLLBACK")
				require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, own))
			}
		})
	}
}

func TestWhatTheProxyCannotDoStaysRefusedWhenObserving(t *testing.T) {
	var log journal
	g := open(t, clinic.New(t, 1), RLS, observing(&log))
	conn := g.tenant("1")
	for sql, code := range map[string]string{
		"SET client_encoding = 'LATIN1'":                          "42501",
		"SET standard_conforming_strings = off":                   "42501",
		"PREPARE p (regclass) AS SELECT $1":                       "0A000",
		"COPY notes FROM STDIN WHERE true":                        "0A000",
		"SHOW tenantgate.tenant; SET tenantgate.tenant = 'other'": "0A000",
	} {
		require.Equal(t, code, pgtest.Simple(t, conn, sql)[0].Code, sql)
		require.EqualValues(t, 'I', conn.TxStatus())
	}
	require.NotContains(t, log.take(), letThrough)
	// What hides from the parser ends the server connection, not the session.
	pgtest.Simple(t, conn, "SELECT set_config('client_encoding', 'LATIN1', false), 1")
	pgtest.Simple(t, conn, "SELEC 1; COPY notes FROM STDIN")
	require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, "SELECT DISTINCT tenant_id FROM patients"))
	require.Equal(t, "UTF8", conn.ParameterStatus("client_encoding"))
}

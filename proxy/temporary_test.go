package proxy

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// refuses wants each statement to fail with the SQLSTATE, in both protocols.
func refuses(t *testing.T, conn *pgconn.PgConn, state string, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		outcomes := pgtest.Simple(t, conn, sql)
		require.Equal(t, state, outcomes[len(outcomes)-1].Code, sql)
		require.Equal(t, state, pgtest.Extended(t, conn, sql).Code, sql)
	}
}

func TestTemporaryTableNeverStandsInForAPermanentOne(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			conn := open(t, c, enforce, tempTables(1)).tenant("1")
			const own = "SELECT DISTINCT tenant_id FROM patients"
			pgtest.Must(t, conn, "CREATE TEMP TABLE patients (tenant_id int, id int, name text)")
			pgtest.Must(t, conn, "INSERT INTO pg_temp.patients VALUES (2, 1, 'planted')")
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, own))
			require.Equal(t, [][]string{{"1"}}, pgtest.Extended(t, conn, own).Rows)
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, "SELECT DISTINCT p.tenant_id FROM patients p JOIN pg_temp.patients t USING (id)"))
			require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, conn, "SELECT DISTINCT tenant_id FROM pg_temp.patients"))
			pgtest.Must(t, conn, "INSERT INTO patients (id, name) VALUES (7001, 'new')")
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, "SELECT count(*) FROM pg_temp.patients"))
			pgtest.Must(t, conn, "DELETE FROM patients WHERE id = 7001")
			refuses(t, conn, "42501", "DROP TABLE patients", "TRUNCATE patients", "CREATE INDEX ON patients (id)", "ANALYZE patients",
				"SET search_path = pg_temp, public", "SELECT set_config('search_path', 'pg_temp', false)", "SELECT * FROM audit_log")
			pgtest.Must(t, conn, "CREATE TEMP TABLE audit_log (id int)") // a denied one stays denied
			refuses(t, conn, "42501", "SELECT * FROM audit_log")

			pgtest.Must(t, conn, "CREATE TEMP TABLE email (a int)")
			require.Equal(t, [][]string{{"a@b.c", "email"}}, pgtest.Must(t, conn, "SELECT 'a@b.c'::email, pg_typeof('a@b.c'::email)"))
			refuses(t, conn, "0A000", "CREATE TEMP TABLE text (a int)", "CREATE TEMP TABLE pg_class (a int)", "SELECT 1 AS a INTO TEMP int4",
				"CREATE TEMP TABLE _text AS SELECT 1")
			pgtest.Must(t, conn, "DROP TABLE pg_temp.patients, pg_temp.audit_log, pg_temp.email")
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, own))
		})
	}
}

func TestTenantsUseOneNameForTheirTemporaryTables(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, tempTables(2))
			one, two := g.tenant("1"), g.tenant("2")
			for range 2 {
				for key, conn := range map[string]*pgconn.PgConn{"1": one, "2": two} {
					pgtest.Must(t, conn, "CREATE TEMP TABLE mine AS SELECT tenant_id AS t"+key+" FROM patients")
				}
				for key, conn := range map[string]*pgconn.PgConn{"1": one, "2": two} {
					require.Equal(t, [][]string{{key}}, pgtest.Must(t, conn, "SELECT DISTINCT * FROM mine"))
					require.Equal(t, [][]string{{key}}, pgtest.Extended(t, conn, "SELECT DISTINCT * FROM mine").Rows)
					require.Equal(t, [][]string{{key}}, pgtest.Must(t, conn, "SELECT DISTINCT p.tenant_id FROM patients p, mine"))
				}
				pgtest.Must(t, one, "DROP TABLE mine")
				require.Equal(t, "42P01", pgtest.Simple(t, one, "SELECT * FROM mine")[0].Code)
				pgtest.Must(t, two, "DISCARD ALL")
				require.Equal(t, "42P01", pgtest.Simple(t, two, "SELECT * FROM mine")[0].Code)
			}
		})
	}
}

func TestConnectionOfAClientThatLeavesPinnedIsClean(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, tempTables(1))
			for _, within := range []string{"", "BEGIN", "BEGIN; SELECT 1/0"} {
				for _, polite := range []bool{true, false} {
					conn := g.tenant("1")
					pgtest.Must(t, conn, "CREATE TEMP TABLE scratch AS SELECT name FROM patients")
					pgtest.Must(t, conn, "DECLARE held CURSOR WITH HOLD FOR SELECT name FROM patients")
					pgtest.Must(t, conn, "SET TimeZone = 'Asia/Tokyo'")
					if within != "" {
						pgtest.Simple(t, conn, within)
					}
					if polite {
						require.NoError(t, conn.Close(t.Context()))
					} else {
						require.NoError(t, conn.Conn().Close())
					}
					next := g.tenant("2")
					eventually(t, func() bool { // a server connection that is closed drops its tables after that
						return pgtest.Must(t, next, "SELECT count(*) FROM pg_class WHERE relname = 'scratch'")[0][0] == "0"
					}, "the table is there")
					refuses(t, next, "42P01", "SELECT * FROM pg_temp.scratch")
					refuses(t, next, "34000", "FETCH 1 FROM held")
					require.NotEqual(t, [][]string{{"Asia/Tokyo"}}, pgtest.Must(t, next, "SHOW TimeZone"))
					require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, next, "SELECT DISTINCT tenant_id FROM patients"))
				}
			}
		})
	}
}

func TestFailedTransactionLeavesNothingPinned(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, tempTables(1))
			conn := g.tenant("1")
			unpinned := func() { eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "still pinned") }
			batch := &pgconn.Batch{}
			batch.ExecParams("CREATE TEMP TABLE undone AS SELECT * FROM patients", nil, nil, nil, nil)
			batch.ExecParams("SELECT count(*) FROM undone", nil, nil, nil, nil)
			batch.ExecParams("SELECT 1/0", nil, nil, nil, nil)
			_, err := conn.ExecBatch(t.Context(), batch).ReadAll()
			require.Equal(t, "22012", sqlState(t, err))
			unpinned()
			refuses(t, conn, "42P01", "SELECT * FROM undone", "SELECT * FROM pg_temp.undone")

			pgtest.Must(t, conn, "CREATE TEMP TABLE kept (a int)")
			pgtest.Must(t, conn, "BEGIN")
			pgtest.Must(t, conn, "DROP TABLE kept")
			pgtest.Must(t, conn, "CREATE TEMP TABLE kept (b text)")
			require.Equal(t, []string{"b"}, pgtest.Extended(t, conn, "SELECT * FROM kept").Columns)
			pgtest.Must(t, conn, "ROLLBACK")
			require.Equal(t, []string{"a"}, pgtest.Extended(t, conn, "SELECT * FROM kept").Columns)
			pgtest.Must(t, conn, "DROP TABLE kept")
			unpinned()
		})
	}
}

// temporaryMessages are messages of several statements in which names come to
// mean other temporary tables, each in a session of its own.
var temporaryMessages = [][]string{
	{"CREATE TEMP TABLE a AS SELECT id FROM patients; CREATE INDEX ON a (id); ANALYZE a; SELECT count(*) FROM a; SELECT id FROM a ORDER BY id LIMIT 2"},
	{"CREATE TEMP TABLE a (x int); INSERT INTO a VALUES (1), (2); SELECT 1/0; SELECT 2", "SELECT * FROM a"},
	{"CREATE TEMP TABLE a (x int); SELECT * FROM a, missing; SELECT 2", "SELECT * FROM a"},
	{"BEGIN; SELECT 1 AS x INTO TEMP a; SELECT * FROM a", "INSERT INTO a VALUES (2); COMMIT; TABLE a", "ROLLBACK"},
	{"BEGIN; CREATE TEMP TABLE a (x int)", "SAVEPOINT s; DROP TABLE a; CREATE TEMP TABLE a (y text); INSERT INTO a VALUES ('y'); TABLE a; ROLLBACK TO s; TABLE a; COMMIT; TABLE a"},
	{"CREATE TEMP TABLE a (x int)", "BEGIN; SELECT 1/0", "ROLLBACK; SELECT * FROM a; BEGIN; CREATE TEMP TABLE b AS SELECT count(*) FROM patients; TABLE b; COMMIT; TABLE b"},
	{"DROP TABLE IF EXISTS a; CREATE TEMP TABLE a (x int); COPY a TO STDOUT; SHOW standard_conforming_strings"},
	{"DROP TABLE IF EXISTS a; SELECT 1"},
	{"CREATE TEMP TABLE a (x int); SELECT 1", "DISCARD TEMP; TABLE a", "SELECT 1; TABLE a"},
	{"BEGIN ISOLATION LEVEL SERIALIZABLE; CREATE TEMP TABLE a ON COMMIT DROP AS SELECT max(id) FROM patients; TABLE a; COMMIT; TABLE a"},
	{"CREATE TEMP TABLE a (x int); COMMIT; TABLE a; ROLLBACK"},
	{"CREATE TEMP TABLE a (x int); SELECT $1 FROM a", "SELECT $1", "SELECT 1; SELECT name FROM patients WHERE id = $1", "TABLE a"},
}

func TestMessageOfSeveralStatementsSeesItsTemporaryTables(t *testing.T) {
	c := clinic.New(t, 2)
	alone := c.URL(c.Oracle(t, "1"))
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, tempTables(len(temporaryMessages)))
			for _, messages := range temporaryMessages {
				oracle, conn := pgtest.Connect(t, alone), g.tenant("1")
				for _, sql := range messages {
					want, got := pgtest.Simple(t, oracle, sql), pgtest.Simple(t, conn, sql)
					if !slices.EqualFunc(want, got, equalOutcome) {
						t.Errorf("%s\n want %+v\n  got %+v", sql, want, got)
					}
					require.Equal(t, oracle.TxStatus(), conn.TxStatus(), sql)
				}
			}
			refused := pgtest.Simple(t, g.tenant("1"), "CREATE TEMP TABLE a (x int); SELECT 1; DISCARD ALL")
			require.Equal(t, "0A000", refused[len(refused)-1].Code)
		})
	}
}

func TestPinnedSessionKeepsWhatItSetAndPrepared(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, tempTables(1))
			conn, other := g.tenant("1"), g.tenant("2")
			const own = "SELECT DISTINCT tenant_id FROM patients WHERE id > $1"
			pgtest.Must(t, conn, "SET TimeZone = 'Asia/Tokyo'")
			_, err := conn.Prepare(t.Context(), "own", own, nil)
			require.NoError(t, err)
			execute := func() [][]string {
				r := conn.ExecPrepared(t.Context(), "own", [][]byte{[]byte("0")}, nil, nil).Read()
				require.NoError(t, r.Err)
				return [][]string{{string(r.Rows[0][0])}}
			}
			for range 2 {
				pgtest.Must(t, conn, "CREATE TEMP TABLE scratch (a int)")
				require.Equal(t, [][]string{{"Asia/Tokyo"}}, pgtest.Must(t, conn, "SHOW TimeZone"))
				require.Equal(t, [][]string{{"1"}}, execute())
				pgtest.Must(t, conn, "RESET ALL")
				require.Equal(t, [][]string{{"1"}}, execute())
				pgtest.Must(t, conn, "BEGIN")
				pgtest.Must(t, conn, "SET LOCAL TimeZone = 'Asia/Tokyo'")
				require.Equal(t, [][]string{{"1"}}, execute())
				pgtest.Must(t, conn, "COMMIT")
				require.NotEqual(t, "Asia/Tokyo", conn.ParameterStatus("TimeZone"))
				pgtest.Must(t, conn, "SET TimeZone = 'Asia/Tokyo'")
				pgtest.Must(t, conn, "DROP TABLE scratch")
				require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, other, "SELECT DISTINCT tenant_id FROM patients"))
				require.NotEqual(t, [][]string{{"Asia/Tokyo"}}, pgtest.Must(t, other, "SHOW TimeZone"))
				require.Equal(t, [][]string{{"1"}}, execute())
				require.Equal(t, "Asia/Tokyo", conn.ParameterStatus("TimeZone"))
			}
			require.EqualValues(t, 1, g.pool().Stat().Dialed)
		})
	}
}

func TestPreparedStatementFollowsItsTemporaryTable(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			conn := open(t, c, enforce, tempTables(1)).tenant("1")
			pgtest.Must(t, conn, "CREATE TEMP TABLE x (query_to_xml text)")
			pgtest.Must(t, conn, "INSERT INTO x VALUES ('column')")
			for _, named := range []string{"named", ""} {
				_, err := conn.Prepare(t.Context(), named, "SELECT x.query_to_xml FROM x", nil)
				require.NoError(t, err)
			}
			pgtest.Must(t, conn, "PREPARE sqls AS SELECT x.query_to_xml FROM x")
			require.Equal(t, [][]string{{"column"}}, pgtest.Must(t, conn, "EXECUTE sqls"))
			require.NoError(t, conn.ExecPrepared(t.Context(), "named", nil, nil, nil).Read().Err)
			pgtest.Must(t, conn, "DROP TABLE x")
			refuses(t, conn, "42P01", "SELECT * FROM x")
			require.Equal(t, "42501", sqlState(t, conn.ExecPrepared(t.Context(), "named", nil, nil, nil).Read().Err))
			require.Equal(t, "42501", pgtest.Simple(t, conn, "EXECUTE sqls")[0].Code)
			pgtest.Must(t, conn, "CREATE TEMP TABLE x (other text)")
			require.Equal(t, "42501", sqlState(t, conn.ExecPrepared(t.Context(), "named", nil, nil, nil).Read().Err))
			require.Equal(t, "42501", pgtest.Simple(t, conn, "EXECUTE sqls")[0].Code)
		})
	}
}

func TestPinnedSessionCannotChangeItsTenant(t *testing.T) {
	conn := pgtest.Connect(t, open(t, clinic.New(t, 2), Both, tempTables(1)).url("both", "options=-c%20tenantgate.tenant%3Dtenant1"))
	pgtest.Must(t, conn, "CREATE TEMP TABLE scratch AS SELECT name FROM patients")
	require.Equal(t, "55006", pgtest.Simple(t, conn, "SET tenantgate.tenant = 'tenant2'")[0].Code)
	require.Equal(t, "55006", pgtest.Extended(t, conn, "SET tenantgate.tenant = 'tenant2'").Code)
	require.Empty(t, pgtest.Extended(t, conn, "DISCARD ALL").Code)
	pgtest.Must(t, conn, "SET tenantgate.tenant = 'tenant2'")
	refuses(t, conn, "42P01", "SELECT * FROM scratch")
	require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, conn, "SELECT DISTINCT tenant_id FROM patients"))
}

func TestShutdownEndsPinnedSessionsBetweenTransactions(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, tempTables(2))
	idle, busy := g.tenant("1"), g.tenant("1")
	for _, conn := range []*pgconn.PgConn{idle, busy} {
		pgtest.Must(t, conn, "CREATE TEMP TABLE scratch (a int)")
	}
	pgtest.Must(t, busy, "BEGIN")
	pgtest.Must(t, busy, "SELECT * FROM scratch")
	done := make(chan error, 1)
	go func() { done <- g.server.Shutdown(context.Background()) }()
	require.Equal(t, "57P01", sqlState(t, waitForError(t, idle)))
	pgtest.Must(t, busy, "INSERT INTO scratch VALUES (1)")
	pgtest.Must(t, busy, "COMMIT")
	require.Equal(t, "57P01", sqlState(t, waitForError(t, busy)))
	require.NoError(t, <-done)
}

func TestPinnedConnectionThatDiesTakesItsStateAlong(t *testing.T) {
	c := clinic.New(t, 1)
	g := open(t, c, Both, tempTables(1))
	conn := g.tenant("1")
	pgtest.Must(t, conn, "CREATE TEMP TABLE scratch (a int)")
	pid := pgtest.Must(t, conn, "SELECT pg_backend_pid()")[0][0]
	admin := pgtest.Connect(t, c.URL(c.Policies()))
	pgtest.Must(t, admin, "SELECT pg_terminate_backend("+pid+", 5000)")
	require.NotEmpty(t, pgtest.Simple(t, conn, "SELECT * FROM scratch")[0].Code)
	refuses(t, conn, "42P01", "SELECT * FROM scratch")
	require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, "SELECT DISTINCT tenant_id FROM patients"))
	eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "still pinned")
}

func TestDriversWorkWithTemporaryTables(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		g := open(t, c, enforce, tempTables(1))
		for _, mode := range queryModes {
			t.Run(fmt.Sprintf("%s/%s", enforce, mode), func(t *testing.T) {
				cfg, err := pgx.ParseConfig(g.url("tenant2"))
				require.NoError(t, err)
				cfg.DefaultQueryExecMode = mode
				conn, err := pgx.ConnectConfig(t.Context(), cfg)
				require.NoError(t, err)
				defer func() { _ = conn.Close(t.Context()) }()
				for range 2 {
					_, err = conn.Exec(t.Context(), "CREATE TEMP TABLE staged (id int, name text)")
					require.NoError(t, err)
					n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"staged"}, []string{"id", "name"}, pgx.CopyFromRows([][]any{{int32(8001), "a"}, {int32(8002), "b"}}))
					require.NoError(t, err)
					require.EqualValues(t, 2, n)
					tx, err := conn.Begin(t.Context())
					require.NoError(t, err)
					_, err = tx.Exec(t.Context(), "INSERT INTO patients (id, name) SELECT id, name FROM staged WHERE id >= $1", 8001)
					require.NoError(t, err)
					var count, tenant int
					require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*), min(p.tenant_id) FROM patients p JOIN staged s USING (id)").Scan(&count, &tenant))
					require.Equal(t, []int{2, 2}, []int{count, tenant})
					require.NoError(t, tx.Rollback(t.Context()))
					_, err = conn.Exec(t.Context(), "DROP TABLE staged")
					require.NoError(t, err)
				}
			})
		}
		t.Run(enforce.String()+"/pq", func(t *testing.T) {
			db, err := sql.Open("postgres", g.url("tenant1"))
			require.NoError(t, err)
			defer func() { _ = db.Close() }()
			db.SetMaxOpenConns(1)
			tx, err := db.Begin()
			require.NoError(t, err)
			_, err = tx.Exec("CREATE TEMP TABLE staged ON COMMIT DROP AS SELECT id, name FROM patients WHERE id <= $1", 3)
			require.NoError(t, err)
			var n int
			require.NoError(t, tx.QueryRow("SELECT count(*) FROM staged WHERE id > $1", 1).Scan(&n))
			require.Equal(t, 2, n)
			require.NoError(t, tx.Commit())
			require.ErrorContains(t, db.QueryRow("SELECT count(*) FROM staged").Scan(&n), "does not exist")
		})
	}
}

func TestPipelineSeesTheTemporaryTableItMakes(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			conn := open(t, c, enforce, tempTables(1)).tenant("1")
			batch := &pgconn.Batch{}
			for _, sql := range []string{
				"CREATE TEMP TABLE piped AS SELECT id, tenant_id FROM patients", "INSERT INTO piped VALUES (-1, 1)",
				"SELECT count(*) FILTER (WHERE id = -1), count(DISTINCT tenant_id) FROM piped", "DROP TABLE piped", "SELECT DISTINCT tenant_id FROM patients",
			} {
				batch.ExecParams(sql, nil, nil, nil, nil)
			}
			results, err := conn.ExecBatch(t.Context(), batch).ReadAll()
			require.NoError(t, err)
			require.Equal(t, []string{"1", "1"}, []string{string(results[2].Rows[0][0]), string(results[2].Rows[0][1])})
			require.Equal(t, "1", string(results[4].Rows[0][0]))
		})
	}
}

func TestTenantWithADatabaseOfItsOwnHasTemporaryTables(t *testing.T) {
	c := clinic.New(t, 1)
	own := c.Oracle(t, "1")
	g := open(t, c, Both, func(cfg *Config) {
		tempTables(1)(cfg)
		authenticator, err := auth.New(auth.Config{
			Tenants: []auth.Tenant{{ID: "alone", Backend: "main", Database: own}},
			Logins:  []auth.Login{{User: "alone", Password: password, Tenants: []string{"alone"}}},
		})
		require.NoError(t, err)
		cfg.Auth = authenticator
	})
	g.database = own
	conn := pgtest.Connect(t, g.url("alone"))
	pgtest.Must(t, conn, "CREATE TEMP TABLE patients AS SELECT 'mine' AS who")
	require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, "SELECT DISTINCT tenant_id FROM patients"))
	require.Equal(t, [][]string{{"mine"}}, pgtest.Must(t, conn, "SELECT who FROM pg_temp.patients"))
}

func TestTemporaryTablesAreRefusedUnlessConfigured(t *testing.T) {
	conn := open(t, clinic.New(t, 1), Both, nil).tenant("1")
	refuses(t, conn, "42501", "CREATE TEMP TABLE x (a int)", "DROP TABLE x")
	refuses(t, conn, "0A000", "CREATE TEMP TABLE x AS SELECT 1", "SELECT 1 INTO TEMP x")
	require.Empty(t, pgtest.Simple(t, conn, "DISCARD TEMP")[0].Code)
}

func TestPinnedSessionIsLimitedByTheTenantsShare(t *testing.T) {
	g := open(t, clinic.New(t, 2), RLS, func(cfg *Config) {
		tempTables(3)(cfg)
		b := cfg.Backends["main"]
		b.Pool.PerGroup, b.Pool.AcquireTimeout = 2, 2*time.Second
		cfg.Backends["main"] = b
	})
	for range 2 {
		pgtest.Must(t, g.tenant("1"), "CREATE TEMP TABLE scratch (a int)")
	}
	third := g.tenant("1")
	require.Equal(t, "53300", pgtest.Simple(t, third, "SELECT count(*) FROM patients")[0].Code)
	pgtest.Must(t, g.tenant("2"), "SELECT count(*) FROM patients")
	eventually(t, func() bool { return g.pool().Stat().Leased == 2 }, "the connection of the other tenant is back, which happens behind its answer")
	require.Equal(t, "temporary tables, cursors with hold", (pinTemporary | pinCursor).String())
}

// pinnedWork is what one client does: state that pins, made and left in one
// way or another, and rows that must be its tenant's.
func pinnedWork(ctx context.Context, url, key string, random *rand.Rand) error {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	only := func(sql string) error {
		results, err := conn.Exec(ctx, sql).ReadAll()
		if err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		for _, r := range results {
			for _, row := range r.Rows {
				if string(row[0]) != key {
					return fmt.Errorf("%s: a row of tenant %s", sql, row[0])
				}
			}
		}
		return nil
	}
	steps := []string{
		"CREATE TEMP TABLE scratch AS SELECT tenant_id FROM patients", "SELECT tenant_id FROM scratch",
		"SELECT p.tenant_id FROM patients p, scratch LIMIT 3", "DECLARE held CURSOR WITH HOLD FOR SELECT tenant_id FROM patients",
		"FETCH 2 FROM held", "SELECT tenant_id FROM patients", "FETCH 2 FROM held",
	}
	inside := random.IntN(2) == 0
	if inside {
		steps = append([]string{"BEGIN"}, steps...)
	}
	for _, sql := range steps[:1+random.IntN(len(steps))] {
		if err := only(sql); err != nil {
			return err
		}
	}
	switch random.IntN(4) {
	case 0:
		return conn.Conn().Close() // without a word
	case 1:
		if inside {
			return only("ROLLBACK")
		}
		return only("DISCARD ALL")
	case 2:
		return only("DROP TABLE IF EXISTS scratch")
	default:
		return nil
	}
}

func TestTenantsWhoPinAndLeaveSeeNothingOfEachOther(t *testing.T) {
	c := clinic.New(t, 3)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, tempTables(2))
			var clients sync.WaitGroup
			for n := range 6 {
				clients.Go(func() {
					random := rand.New(rand.NewPCG(1, uint64(n))) //nolint:gosec // the same every time
					for range 12 {
						key := c.Keys[random.IntN(len(c.Keys))]
						if err := pinnedWork(t.Context(), g.url("tenant"+key), key, random); err != nil {
							t.Errorf("tenant %s: %v", key, err)
						}
					}
				})
			}
			clients.Wait()
			eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "still pinned")
			for range 2 {
				conn := g.tenant("1")
				pgtest.Must(t, conn, "BEGIN") // so that the next one gets the other connection
				require.Equal(t, [][]string{{"0"}}, pgtest.Must(t, conn, "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"))
			}
		})
	}
}

package proxy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// What poolers get wrong shows where many clients share few server connections.

// A company is a login whose clients share one or two server connections with
// others, who use the same names for other statements and leave settings and
// errors behind.
type company struct {
	*gate
	login string
	size  int
	owner *pgconn.PgConn // past the proxy
}

// companyTests are what each company is put to.
var companyTests = []struct {
	name string
	test func(*testing.T, *company)
}{
	{"the unnamed statement is each client's own", unnamedStatements},
	{"names of prepared statements are each client's own", namedStatements},
	{"nothing of a session is left for the next", leftSessions},
	{"one retry cures a changed plan", changedPlans},
	{"clients come in as they ask", askingClients},
}

func TestManyClientsShareFewServerConnections(t *testing.T) {
	shared := clinic.New(t, 2)
	for _, login := range []string{"rls", "rewrite", "both", "operator"} {
		for _, size := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, pool of %d", login, size), func(t *testing.T) {
				c := &company{login: "tenant1", size: size}
				enforce := Rewrite
				if login == "operator" {
					c.login = "ops"
				} else {
					var err error
					enforce, err = ParseEnforcement(login)
					require.NoError(t, err)
				}
				c.gate = open(t, shared, enforce, func(cfg *Config) { poolOf(size)(cfg); cfg.TempTables = true })
				c.owner = pgtest.Connect(t, shared.OwnerURL(c.database))
				c.bustle()
				for _, one := range companyTests {
					t.Run(one.name, func(t *testing.T) { one.test(t, c) })
				}
			})
		}
	}
}

func (c *company) connect(params ...string) *pgconn.PgConn {
	c.t.Helper()
	return pgtest.Connect(c.t, c.url(c.login, params...))
}

// bustle has two others use the server connections until the test ends.
func (c *company) bustle() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i, login := range []string{c.login, "tenant2"} {
		conn := pgtest.Connect(c.t, c.url(login))
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := bustle(ctx, conn, i, n); err != nil && ctx.Err() == nil {
					c.t.Errorf("other %d: %v", i, err)
					return
				}
			}
		})
	}
	c.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func bustle(ctx context.Context, conn *pgconn.PgConn, i, n int) error {
	name := []string{"", "s", "lrupsc_1_0"}[n%3]
	if _, err := conn.Prepare(ctx, name, fmt.Sprintf("SELECT %d + $1::int", 1000*i), nil); err != nil {
		return err
	}
	got := conn.ExecPrepared(ctx, name, [][]byte{[]byte("7")}, nil, nil).Read()
	if got.Err != nil {
		return got.Err
	}
	if want := fmt.Sprint(1000*i + 7); string(got.Rows[0][0]) != want {
		return fmt.Errorf("got %s, want %s", got.Rows[0][0], want)
	}
	if name != "" {
		if err := conn.Deallocate(ctx, name); err != nil {
			return err
		}
	}
	_, err := conn.Exec(ctx, []string{
		"SET DateStyle = 'SQL'; SET statement_timeout = '1h'", "BEGIN; SET LOCAL TimeZone = 'Asia/Tokyo'; SELECT 1/0; COMMIT", "RESET ALL",
	}[n%3]).ReadAll()
	if conn.TxStatus() == 'E' {
		_, err = conn.Exec(ctx, "ROLLBACK").ReadAll()
	}
	time.Sleep(time.Millisecond)
	return err
}

func unnamedStatements(t *testing.T, c *company) {
	var running sync.WaitGroup
	for i := range 20 * c.size { // Parse, Describe, Sync; then Bind
		conn, err := pgx.Connect(t.Context(), c.url(c.login, "default_query_exec_mode=describe_exec"))
		require.NoError(t, err)
		running.Go(func() {
			defer func() { _ = conn.Close(context.Background()) }()
			for k := range 6 {
				var got int
				if err := conn.QueryRow(t.Context(), fmt.Sprintf("SELECT $1::int + %d", k), 100*i).Scan(&got); err != nil || got != 100*i+k {
					t.Errorf("pgx: got %d, want %d: %v", got, 100*i+k, err)
					return
				}
			}
		})
	}
	for _, params := range []string{"", "binary_parameters=yes"} { // the same in lib/pq, by default
		db, err := sql.Open("postgres", c.url(c.login, params))
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		db.SetMaxOpenConns(4)
		for i := range 4 {
			running.Go(func() {
				for k := range 6 {
					var got int
					if err := db.QueryRow(fmt.Sprintf("SELECT $1::int - %d", k), 100*i).Scan(&got); err != nil || got != 100*i-k {
						t.Errorf("lib/pq: got %d, want %d: %v", got, 100*i-k, err)
						return
					}
				}
			})
		}
	}
	running.Wait()
}

func leftSessions(t *testing.T, c *company) {
	const probe = "SELECT current_setting('DateStyle'), current_setting('TimeZone'), current_setting('statement_timeout'), " +
		"current_setting('default_transaction_read_only'), current_setting('client_min_messages'), current_setting('application_name'), " +
		"current_setting('search_path'), pg_try_advisory_xact_lock(7), to_regclass('pg_temp.lasting') IS NULL"
	next := c.connect()
	before := pgtest.Must(t, next, probe)
	for _, how := range []string{"ends", "is cut off", "is cut off in a transaction"} {
		conn := c.connect("application_name=left")
		pgtest.Must(t, conn, "SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'; SET statement_timeout = '33s'; SET client_min_messages = 'error'; SET search_path = ''")
		pgtest.Must(t, conn, "SELECT pg_advisory_lock(7)")
		pgtest.Must(t, conn, "CREATE TEMP TABLE lasting (n int)")
		pgtest.Must(t, conn, "BEGIN")
		pgtest.Must(t, conn, "DECLARE held CURSOR WITH HOLD FOR SELECT 1")
		pgtest.Must(t, conn, "COMMIT")
		pgtest.Must(t, conn, "PREPARE prepared AS SELECT 1")
		pgtest.Must(t, conn, "LISTEN left_behind")
		pgtest.Must(t, conn, "SET default_transaction_read_only = on")
		switch how {
		case "ends":
			require.NoError(t, conn.Close(t.Context()))
		case "is cut off in a transaction":
			pgtest.Must(t, conn, "BEGIN")
			fallthrough
		default:
			require.NoError(t, conn.Conn().Close())
		}
		eventually(t, func() bool { return pgtest.Must(t, next, "SELECT pg_try_advisory_xact_lock(7)")[0][0] == "t" }, "a lock of one that %s", how)
		clients := []*pgconn.PgConn{next, c.connect()}[:c.size] // on all server connections at once
		for _, client := range clients {
			pgtest.Must(t, client, "BEGIN")
		}
		for i, client := range clients {
			pgtest.Must(t, client, "SAVEPOINT a")
			require.Equal(t, before, pgtest.Must(t, client, probe), "client %d after one that %s", i, how)
			pgtest.Must(t, client, "ROLLBACK TO a")
			for _, sql := range []string{"FETCH 1 FROM held", "SELECT * FROM pg_temp.lasting"} {
				require.Contains(t, []string{"34000", "42P01", "3F000"}, pgtest.Simple(t, client, sql)[0].Code, sql)
				pgtest.Must(t, client, "ROLLBACK TO a")
			}
		}
		for _, client := range clients {
			pgtest.Must(t, client, "ROLLBACK")
			require.Equal(t, "26000", pgtest.Simple(t, client, "EXECUTE prepared")[0].Code)
		}
		if len(clients) > 1 {
			require.NoError(t, clients[1].Close(t.Context()))
		}
	}
}

func changedPlans(t *testing.T, c *company) {
	const text = "SELECT * FROM countries ORDER BY code"
	columns := len(pgtest.Simple(t, c.owner, text)[0].Columns)
	var clients []*pgx.Conn
	for range 4 {
		conn, err := pgx.Connect(t.Context(), c.url(c.login))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		clients = append(clients, conn)
	}
	read := func(conn *pgx.Conn) (int, error) {
		rows, err := conn.Query(t.Context(), text)
		if err != nil {
			return 0, err
		}
		defer rows.Close()
		width := 0
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				return 0, err
			}
			width = len(values)
		}
		return width, rows.Err()
	}
	db, err := sql.Open("postgres", c.url(c.login))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	st, err := db.Prepare(text)
	require.NoError(t, err)
	for range 2 {
		for _, conn := range clients {
			_, err := read(conn) // the second time, what has been changed is prepared already
			require.NoError(t, err)
		}
		columns++
		pgtest.Must(t, c.owner, fmt.Sprintf("ALTER TABLE countries ADD COLUMN more_%d int", columns))
		for i, conn := range clients {
			width, err := read(conn)
			if err != nil {
				require.ErrorContains(t, err, "cached plan must not change result type", "client %d", i)
				width, err = read(conn)
			}
			require.NoError(t, err, "client %d", i)
			require.Equal(t, columns, width, "client %d", i)
		}
	}
	_, err = st.Query() //nolint:rowserrcheck,sqlclosecheck // there are none
	require.ErrorContains(t, err, "cached plan must not change result type")
	require.NoError(t, st.Close())
	rows, err := db.Query(text)
	require.NoError(t, err)
	names, err := rows.Columns()
	require.NoError(t, errors.Join(err, rows.Err(), rows.Close()))
	require.Len(t, names, columns)
}

func namedStatements(t *testing.T, c *company) {
	var clients []*pgconn.PgConn
	for range 3 {
		clients = append(clients, c.connect())
	}
	for round := range 4 {
		for i, conn := range clients {
			for _, name := range []string{"s", "tg_1", "PGBOUNCER_1"} {
				_, err := conn.Prepare(t.Context(), name, fmt.Sprintf("SELECT %d + $1::int", 10*i+round), nil)
				require.NoError(t, err, name)
				_, err = conn.Prepare(t.Context(), name, "SELECT 1", nil)
				require.Equal(t, "42P05", sqlState(t, err))
			}
		}
		for i, conn := range clients {
			want := fmt.Sprint(10*i + round + 1)
			got := conn.ExecPrepared(t.Context(), "tg_1", [][]byte{[]byte("1")}, nil, nil).Read()
			require.NoError(t, got.Err)
			require.Equal(t, want, string(got.Rows[0][0]))
			require.Equal(t, [][]string{{want}}, pgtest.Must(t, conn, "EXECUTE s (1)"))
			require.Equal(t, [][]string{{want}}, pgtest.Must(t, conn, `EXECUTE "PGBOUNCER_1" (1)`))
		}
		for _, conn := range clients {
			pgtest.Must(t, conn, "DEALLOCATE s")
			require.Equal(t, "26000", pgtest.Simple(t, conn, "EXECUTE s (1)")[0].Code)
			pgtest.Must(t, conn, "DEALLOCATE ALL")
			require.Equal(t, "26000", sqlState(t, conn.ExecPrepared(t.Context(), "tg_1", [][]byte{nil}, nil, nil).Read().Err))
		}
	}
}

func askingClients(t *testing.T, c *company) {
	for range 2 {
		conn := c.connect("statement_timeout=4321", "search_path=public", "client_min_messages=warning", "DateStyle=ISO", "TimeZone=Asia/Tokyo",
			"application_name=asks", "options=-c%20lock_timeout%3D9s%20--idle-in-transaction-session-timeout%3D50s")
		for range 3 {
			require.Equal(t, []string{"4321ms", "warning", "ISO, MDY", "Asia/Tokyo", "asks", "9s", "50s"},
				slices.Concat(pgtest.Must(t, conn, "SELECT current_setting('statement_timeout'), current_setting('client_min_messages'), current_setting('DateStyle'), "+
					"current_setting('TimeZone'), current_setting('application_name'), current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')")...))
		}
		require.Equal(t, "Asia/Tokyo", conn.ParameterStatus("TimeZone"))
		require.NoError(t, conn.Close(t.Context()))
	}
	config, err := pgconn.ParseConfig(c.url(c.login))
	require.NoError(t, err)
	config.Password = "wrong"
	for _, user := range []string{c.login, "nobody"} {
		config.User = user
		_, err = pgconn.ConnectConfig(t.Context(), config)
		require.Equal(t, "28P01", sqlState(t, err), user)
	}
	listener, notifier := c.connect(), c.connect()
	pgtest.Must(t, listener, "LISTEN here")
	pgtest.Must(t, notifier, "NOTIFY here, 'word'")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, listener.WaitForNotification(ctx))
}

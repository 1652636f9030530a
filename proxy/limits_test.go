package proxy

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/rewrite/catalog"
)

// long is a statement that runs for hours.
const long = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b"

// limited opens a gate whose tenant1 has limits and whose logins may be changed.
func limited(t testing.TB, c *clinic.Clinic, enforce Enforcement, limits auth.Limits, change func(*Config, *auth.Config)) *gate {
	return open(t, c, enforce, func(cfg *Config) {
		var logins auth.Config
		for _, key := range c.Keys {
			id := "tenant" + key
			logins.Tenants = append(logins.Tenants, auth.Tenant{ID: id, Key: key, Backend: "main"})
			logins.Logins = append(logins.Logins, auth.Login{User: id, Password: password, Tenants: []string{id}})
		}
		logins.Tenants[0].Limits = limits
		logins.Logins = append(logins.Logins, auth.Login{User: "ops", Password: password, Operator: true, Backend: "main"})
		if len(c.Keys) > 1 {
			logins.Logins = append(logins.Logins, auth.Login{User: "both", Password: password, Tenants: []string{"tenant1", "tenant2"}})
		}
		if change != nil {
			change(cfg, &logins)
		}
		var err error
		cfg.Auth, err = auth.New(logins)
		require.NoError(t, err)
	})
}

// pgError is the error of a server or proxy in err.
func pgError(t testing.TB, err error) *pgconn.PgError {
	t.Helper()
	var e *pgconn.PgError
	require.ErrorAs(t, err, &e)
	return e
}

// simple runs SQL text in the simple protocol and returns its error.
func simple(conn *pgconn.PgConn, sql string) error {
	_, err := conn.Exec(context.Background(), sql).ReadAll()
	return err
}

func TestClientsBeyondALimitAreTurnedAwayWithItsName(t *testing.T) {
	c := clinic.New(t, 2)
	connect := func(g *gate, login string, params ...string) (*pgconn.PgConn, error) {
		return pgconn.Connect(t.Context(), g.url(login, params...))
	}
	turnedAway := func(g *gate, limit, login string, params ...string) {
		_, err := connect(g, login, params...)
		e := pgError(t, err)
		require.Equal(t, []string{"FATAL", "53300", limit}, []string{e.Severity, e.Code, e.Detail})
	}

	t.Run("of a tenant", func(t *testing.T) {
		g := limited(t, c, RLS, auth.Limits{Clients: 2}, nil)
		first, second := g.tenant("1"), pgtest.Connect(t, g.url("both", "options=-c%20tenantgate.tenant%3Dtenant1"))
		turnedAway(g, "limits.clients of the tenant is 2.", "tenant1")
		undecided := pgtest.Connect(t, g.url("both"))
		e := pgError(t, simple(undecided, "SET tenantgate.tenant = 'tenant1'"))
		require.Equal(t, []string{"ERROR", "53300"}, []string{e.Severity, e.Code})
		pgtest.Must(t, undecided, "SET tenantgate.tenant = 'tenant2'") // the session goes on
		pgtest.Must(t, second, "SET tenantgate.tenant = 'tenant2'")    // makes room
		pgtest.Must(t, undecided, "SET tenantgate.tenant = 'tenant1'")
		require.NoError(t, first.Close(t.Context()))
		require.Eventually(t, func() bool {
			conn, err := connect(g, "tenant1")
			return err == nil && conn.Close(t.Context()) == nil
		}, 10*time.Second, 10*time.Millisecond)
	})
	t.Run("of a login", func(t *testing.T) {
		g := limited(t, c, RLS, auth.Limits{}, func(_ *Config, logins *auth.Config) {
			for i := range logins.Logins {
				logins.Logins[i].Clients = 1
			}
		})
		for _, login := range []string{"tenant1", "ops"} {
			pgtest.Connect(t, g.url(login))
			turnedAway(g, "limits.clients of the login is 1.", login)
		}
		g.tenant("2")
	})
	t.Run("in all", func(t *testing.T) {
		g := limited(t, c, RLS, auth.Limits{}, func(cfg *Config, _ *auth.Config) { cfg.MaxClients = 2 })
		g.tenant("1")
		last := g.tenant("2")
		turnedAway(g, "limits.clients is 2.", "tenant1")
		pgtest.Connect(t, g.url("ops")) // to see what is the matter
		require.NoError(t, last.Close(t.Context()))
		require.Eventually(t, func() bool {
			g.server.count.mu.Lock()
			defer g.server.count.mu.Unlock()
			return g.server.count.all == 1 && len(g.server.count.tenants) == 1 && len(g.server.count.logins) == 2
		}, 10*time.Second, 10*time.Millisecond)
	})
}

func TestStatementsBeyondALimitOnServerConnectionsFailWithItsName(t *testing.T) {
	c := clinic.New(t, 2)
	for limit, limits := range map[string]auth.Limits{
		"limits.connections": {Connections: 1, Wait: 50 * time.Millisecond},
		"limits.wait":        {Connections: 3, Wait: 50 * time.Millisecond},
	} {
		g := limited(t, c, Rewrite, limits, func(cfg *Config, _ *auth.Config) { poolOf(1)(cfg) })
		holder, other := g.tenant("1"), g.tenant("1")
		pgtest.Must(t, holder, "BEGIN")
		pgtest.Must(t, holder, "SELECT 1")
		e := pgError(t, simple(other, "SELECT 1"))
		require.Equal(t, []string{"ERROR", "53300"}, []string{e.Severity, e.Code})
		require.Contains(t, e.Message, limit)
		pgtest.Must(t, holder, "COMMIT")
		pgtest.Must(t, other, "SELECT 1")
	}
}

func TestStatementTimeoutIsByTheProxysClock(t *testing.T) {
	g := limited(t, clinic.New(t, 1), Both, auth.Limits{StatementTimeout: 600 * time.Millisecond}, nil)
	conn := g.tenant("1")
	pgtest.Must(t, conn, "SET statement_timeout = 0") // not the client's to raise
	timesOut := func(err error) {
		e := pgError(t, err)
		require.Equal(t, []string{"ERROR", "57014", "canceling statement due to statement timeout"}, []string{e.Severity, e.Code, e.Message})
		require.Contains(t, e.Detail, "limits.statement_timeout")
	}
	start := time.Now()
	timesOut(simple(conn, long))
	require.GreaterOrEqual(t, time.Since(start), 600*time.Millisecond)
	timesOut(conn.ExecParams(t.Context(), long, nil, nil, nil, nil).Read().Err)
	timesOut(simple(conn, "SELECT 1; "+long)) // timed together
	_, err := conn.CopyTo(t.Context(), io.Discard, "COPY ("+long+") TO STDOUT")
	timesOut(err)

	pgtest.Must(t, conn, "BEGIN") // which fails, as any statement's error makes it
	timesOut(simple(conn, long))
	require.EqualValues(t, 'E', conn.TxStatus())
	pgtest.Must(t, conn, "ROLLBACK")

	pgtest.Must(t, conn, "SET statement_timeout = '50ms'") // the client's own, which the server keeps
	e := pgError(t, simple(conn, long))
	require.Equal(t, "canceling statement due to statement timeout", e.Message)
	require.Empty(t, e.Detail)
	pgtest.Must(t, conn, "SELECT count(*) FROM patients")
	eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "the server connection is kept")
	require.Zero(t, g.pool().Stat().Destroyed)
}

// napping gives tenants of a clinic a function that takes its time: nap(seconds).
func napping(t testing.TB, c *clinic.Clinic, cfg *Config) {
	t.Helper()
	require.NoError(t, c.Server.Exec(t.Context(), c.Policies(), `
		CREATE FUNCTION public.nap(float8) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT pg_sleep($1)';
		GRANT EXECUTE ON FUNCTION public.nap TO `+clinic.Role))
	cfg.Catalog.AllowFunctions = append(slices.Clone(cfg.Catalog.AllowFunctions), catalog.Name{Schema: "public", Name: "nap"})
}

func TestCopyFromAClientThatSendsNothingIsEndedByTheStatementTimeout(t *testing.T) {
	g := limited(t, clinic.New(t, 1), Both, auth.Limits{StatementTimeout: 200 * time.Millisecond}, nil)
	conn := g.tenant("1")
	slow, pause := io.Pipe()
	go func() {
		for range 4 {
			_, _ = pause.Write([]byte("a\tb\n"))
			time.Sleep(100 * time.Millisecond)
		}
		_ = pause.Close()
	}()
	_, err := conn.CopyFrom(t.Context(), slow, "COPY log_lines (level, line) FROM STDIN")
	require.Equal(t, "57014", pgError(t, err).Code)
	require.Equal(t, "0", pgtest.Must(t, conn, "SELECT count(*) FROM log_lines WHERE level = 'a'")[0][0])
}

func TestClientThatIsIdleInATransactionIsEnded(t *testing.T) {
	g := limited(t, clinic.New(t, 1), RLS, auth.Limits{IdleInTransactionTimeout: 200 * time.Millisecond}, nil)
	idle, busy := g.tenant("1"), g.tenant("1")
	pgtest.Must(t, idle, "SELECT 1")
	pgtest.Must(t, busy, "BEGIN")
	for range 4 { // never idle for so long
		time.Sleep(60 * time.Millisecond)
		pgtest.Must(t, busy, "SELECT 1")
	}
	pgtest.Must(t, busy, "SELECT pg_catalog.count(*) FROM generate_series(1, 2000000)")
	time.Sleep(400 * time.Millisecond)
	e := pgError(t, waitForError(t, busy))
	require.Equal(t, []string{"FATAL", "25P03", "terminating connection due to idle-in-transaction timeout"}, []string{e.Severity, e.Code, e.Message})
	require.Contains(t, e.Detail, "limits.idle_in_transaction_timeout")
	require.EqualValues(t, 1, g.pool().Stat().Destroyed)
	pgtest.Must(t, idle, "SELECT 1") // outside a transaction it may be idle
}

// quantile returns the q-quantile of durations, which it sorts.
func quantile(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))]
}

func TestGreedyTenantDoesNotStarveAnother(t *testing.T) {
	// What governs the wait of the modest tenant: it gets the connection that
	// comes free first, so at most the rest of one statement. So statements are
	// of one length here, and of time, not work: the machine may be small.
	const greedy, rounds, each = 200, 5, 60
	const statement = "SELECT nap(0.01)"
	c := clinic.New(t, 2)
	g := limited(t, c, RLS, auth.Limits{}, func(cfg *Config, _ *auth.Config) {
		napping(t, c, cfg)
		poolOf(4)(cfg)
		cfg.LoginTimeout = time.Minute
		b := cfg.Backends["main"]
		b.Pool.AcquireTimeout = time.Minute
		cfg.Backends["main"] = b
	})
	modest := g.tenant("2")
	p99 := func() time.Duration {
		var of []time.Duration
		for range rounds {
			var took []time.Duration
			for range each {
				start := time.Now()
				pgtest.Must(t, modest, statement)
				took = append(took, time.Since(start))
			}
			of = append(of, quantile(took, 0.99))
		}
		return quantile(of, 0.5) // a round that the machine spoiled does not count
	}
	alone := p99()

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	connected := make(chan error, greedy)
	logins := make(chan struct{}, 10) // at once
	for range greedy {
		clients.Go(func() {
			logins <- struct{}{}
			conn, err := pgconn.Connect(ctx, g.url("tenant1"))
			<-logins
			connected <- err
			for err == nil && ctx.Err() == nil {
				_, err = conn.Exec(context.Background(), statement).ReadAll()
			}
			if conn != nil {
				_ = conn.Close(context.Background())
			}
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	for range greedy {
		require.NoError(t, <-connected)
	}
	require.Eventually(t, func() bool { return g.pool().Stat().Waiting > greedy/2 }, 30*time.Second, time.Millisecond)
	together := p99()
	require.Greater(t, g.pool().Stat().Waiting, greedy/2)
	stop()
	clients.Wait()
	t.Logf("p99 alone %s, beside %d greedy clients %s: %.2f times", alone, greedy, together, float64(together)/float64(alone))
	require.Less(t, together, 3*alone)
}

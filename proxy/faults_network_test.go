package proxy

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// behind opens a gate whose server is behind a network that can fail.
func behind(t testing.TB, c *clinic.Clinic, limits auth.Limits, acquire, silence time.Duration) (*gate, *pgtest.Network) {
	t.Helper()
	network := pgtest.NewNetwork(t, c.Server.Addr())
	g := limited(t, c, RLS, limits, func(cfg *Config, _ *auth.Config) {
		b := cfg.Backends["main"]
		var err error
		b.Pool.Server, err = pgconn.ParseConfig(network.Via(c.URL(c.Policies())))
		require.NoError(t, err)
		b.Pool.AcquireTimeout, b.Pool.Silence = acquire, silence
		cfg.Backends["main"] = b
	})
	return g, network
}

func TestResultGoesOnAfterTheNetworkHasStalled(t *testing.T) {
	nothingLeaks(t)
	c := clinic.New(t, 1)
	g, network := behind(t, c, auth.Limits{}, 20*time.Second, time.Minute)
	conn := g.tenant("1")
	const rows = 20_000
	result := conn.Exec(t.Context(), "SELECT a, repeat('x', 200) FROM generate_series(1, 20000) a")
	require.True(t, result.NextResult())
	n := 0
	for r := result.ResultReader(); r.NextRow(); n++ {
		if n == 100 {
			network.Stall()
			time.AfterFunc(300*time.Millisecond, network.Resume)
		}
		require.Len(t, r.Values()[1], 200)
	}
	require.NoError(t, result.Close())
	require.Equal(t, rows, n)
	allBack(t, g.pool())
	require.Zero(t, g.pool().Stat().Destroyed)
}

func TestStatementOnAStalledNetworkEndsWithItsTimeoutOrItsClient(t *testing.T) {
	nothingLeaks(t)
	c := clinic.New(t, 2)
	g, network := behind(t, c, auth.Limits{StatementTimeout: time.Second}, 2*time.Second, time.Minute)
	waits, leaves := g.tenant("1"), g.tenant("2") // the limits are tenant 1's
	pgtest.Must(t, waits, "SELECT 1")
	admin := pgtest.Connect(t, c.Server.SuperuserURL("postgres"))
	active := func(more string) int {
		return len(pgtest.Must(t, admin, "SELECT FROM pg_stat_activity WHERE datname = '"+g.database+"' AND state = 'active'"+more))
	}
	failed := inBackground(waits, long)
	leaving := inBackground(leaves, long)
	eventually(t, func() bool { return active(" AND query = '"+long+"'") == 2 }, "the statements run")
	network.Stall()
	hijacked := make(chan error, 1)
	go func() { hijacked <- leaves.Conn().Close() }()
	require.NoError(t, <-hijacked)
	require.Error(t, <-leaving)
	require.Equal(t, "57014", ended(<-failed)) // after five seconds in which the server might have obeyed
	require.EqualValues(t, 'I', waits.TxStatus())
	require.Eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, 30*time.Second, 10*time.Millisecond)

	// There is no way to the server now: who waits, and who comes, is told.
	require.Equal(t, "57P03", ended(simple(waits, "SELECT 1")))
	_, err := pgconn.Connect(t.Context(), g.url("tenant2", "application_name=new"))
	require.Equal(t, "57P03", ended(err))
	network.Resume()
	eventually(t, func() bool { return simple(waits, "SELECT 1") == nil }, "the pool does not recover")
	pgtest.Must(t, g.tenant("2"), "SELECT 1")
	allBack(t, g.pool())
	eventually(t, func() bool { return active("") == 0 }, "the server runs what nobody waits for")
}

func TestCopyOnAStalledNetworkEndsWithItsClient(t *testing.T) {
	nothingLeaks(t)
	c := clinic.New(t, 1)
	g, network := behind(t, c, auth.Limits{}, 2*time.Second, time.Minute)
	conn := g.tenant("1")
	reader, writer := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		_, err := conn.CopyFrom(context.Background(), reader, "COPY log_lines (level, line) FROM STDIN")
		failed <- err
	}()
	_, err := writer.Write([]byte("stalled\tnever\n"))
	require.NoError(t, err)
	eventually(t, func() bool { return g.pool().Stat().Leased == 1 }, "the COPY has begun")
	network.Stall()
	require.NoError(t, conn.Conn().Close())
	require.NoError(t, writer.CloseWithError(io.ErrClosedPipe))
	require.Error(t, <-failed)
	require.Eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, 30*time.Second, 10*time.Millisecond)
	network.Resume()
	require.Equal(t, "0", pgtest.Must(t, g.tenant("1"), "SELECT count(*) FROM log_lines WHERE level = 'stalled'")[0][0])
}

func TestStatementsDoNotWaitForeverForACatalogBehindAStalledNetwork(t *testing.T) {
	nothingLeaks(t)
	c := clinic.New(t, 1)
	g, network := behind(t, c, auth.Limits{}, 2*time.Second, time.Minute)
	conn, other := g.tenant("1"), g.tenant("1")
	pgtest.Must(t, conn, "SELECT count(*) FROM patients")
	b := g.backend()
	require.Equal(t, 30*time.Second, b.catalogWait)
	b.catalogWait = time.Second
	network.Stall()
	failed := []<-chan error{inBackground(conn, "SELECT * FROM nosuch"), inBackground(other, "SELECT * FROM neither")}
	for _, err := range failed { // by what was known before
		require.Equal(t, "42P01", ended(<-err))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, g.server.Ready(ctx), context.DeadlineExceeded)
	network.Resume()
	eventually(t, func() bool { return g.server.Ready(t.Context()) == nil }, "the catalog is not read any more")
	require.Equal(t, "42P01", ended(simple(conn, "SELECT * FROM nosuch")))
	pgtest.Must(t, conn, "SELECT count(*) FROM patients")
}

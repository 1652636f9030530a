package proxy

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// hold keeps a server connection busy with a transaction until release is called.
func hold(t testing.TB, g *gate, key string) (release func()) {
	t.Helper()
	conn := g.tenant(key)
	pgtest.Must(t, conn, "BEGIN")
	pgtest.Must(t, conn, "SELECT 1")
	return func() { pgtest.Must(t, conn, "COMMIT") }
}

// inBackground runs a statement and delivers its error.
func inBackground(conn *pgconn.PgConn, sql string) <-chan error {
	failed := make(chan error, 1)
	go func() { failed <- simple(conn, sql) }()
	return failed
}

func TestCancelEndsTheWaitForAServerConnection(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, poolOf(1))
	release := hold(t, g, "1")
	for _, version := range []string{"3.0", "3.2"} {
		conn := g.tenant("1", "max_protocol_version="+version)
		failed := inBackground(conn, "SELECT 1")
		eventually(t, func() bool { return g.pool().Stat().Waiting == 1 }, "the statement waits")
		start := time.Now()
		require.NoError(t, conn.CancelRequest(t.Context()))
		e := pgError(t, <-failed)
		require.Equal(t, []string{"57014", "canceling statement due to user request"}, []string{e.Code, e.Message})
		require.Less(t, time.Since(start), 10*time.Second)
		require.Zero(t, g.pool().Stat().Waiting)

		require.NoError(t, conn.CancelRequest(t.Context())) // hits nothing
		again := inBackground(conn, "SELECT 1")
		eventually(t, func() bool { return g.pool().Stat().Waiting == 1 }, "the next statement waits")
		release()
		require.NoError(t, <-again)
		release = hold(t, g, "1")
	}
	release()
}

func TestClientThatLeavesWhileItWaitsOrRunsLeavesNothingBehind(t *testing.T) {
	c := clinic.New(t, 1)
	g := open(t, c, RLS, poolOf(1))
	send := func(sql string) net.Conn { // and says no more
		conn := g.tenant("1")
		hijacked, err := conn.Hijack()
		require.NoError(t, err)
		msg, err := (&pgproto3.Query{String: sql}).Encode(nil)
		require.NoError(t, err)
		_, err = hijacked.Conn.Write(msg)
		require.NoError(t, err)
		return hijacked.Conn
	}
	release := hold(t, g, "1")
	waits := send("INSERT INTO log_lines (level, line) VALUES ('gone', 'never')")
	eventually(t, func() bool { return g.pool().Stat().Waiting == 1 }, "the statement waits")
	require.NoError(t, waits.Close())
	eventually(t, func() bool { return g.pool().Stat().Waiting == 0 }, "the waiter has left the queue")
	release()

	leaves := send(long)
	runs(t, c, g.database, long)
	require.NoError(t, leaves.Close())
	eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "the statement has been cancelled")
	conn := g.tenant("1")
	require.Equal(t, "0", pgtest.Must(t, conn, "SELECT count(*) FROM log_lines WHERE level = 'gone'")[0][0])
	require.NoError(t, conn.Close(t.Context()))
	eventually(t, func() bool {
		g.server.mu.Lock()
		defer g.server.mu.Unlock()
		return len(g.server.sessions) == 1
	}, "the sessions have ended")
}

func TestCancelStormHitsNobodyElse(t *testing.T) {
	c := clinic.New(t, 2)
	g := open(t, c, RLS, poolOf(2))
	victim, bystander := g.tenant("1"), g.tenant("2")
	stop := make(chan struct{})
	var storm sync.WaitGroup
	for range 8 {
		storm.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = victim.CancelRequest(context.Background())
				}
			}
		})
	}
	cancelled := 0
	for range 60 {
		if err := simple(victim, "SELECT count(*) FROM generate_series(1, 3000)"); err != nil {
			require.Equal(t, "57014", pgError(t, err).Code)
			cancelled++
		}
		pgtest.Must(t, bystander, "SELECT count(*) FROM patients") // over the same server connections
	}
	require.Equal(t, "57014", pgError(t, simple(victim, long)).Code)
	close(stop)
	storm.Wait()
	t.Logf("%d of 60 short statements were cancelled", cancelled)
	require.Zero(t, g.pool().Stat().Destroyed)
	pgtest.Must(t, victim, "SELECT 1")
}

func TestKeysOfAProxyThatIsGoneCancelNothing(t *testing.T) {
	c := clinic.New(t, 1)
	before := open(t, c, RLS, nil)
	old := before.tenant("1")
	pid, secret := old.PID(), old.SecretKey()
	require.NoError(t, old.Close(t.Context()))

	after := open(t, c, RLS, nil)
	conn := after.tenant("1")
	failed := inBackground(conn, long)
	runs(t, c, after.database, long)
	for _, key := range [][]byte{secret, conn.SecretKey()[:3], append(conn.SecretKey(), 0), make([]byte, 4), make([]byte, 32)} {
		for _, id := range []uint32{pid, conn.PID()} {
			after.server.cancelStatement(t.Context(), append([]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}, key...))
		}
	}
	select {
	case err := <-failed:
		t.Fatal(err)
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, conn.CancelRequest(t.Context()))
	require.Equal(t, "57014", pgError(t, <-failed).Code)
}

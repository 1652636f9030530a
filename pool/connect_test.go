package pool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

func TestAddressesShareTheTimeToConnect(t *testing.T) {
	for _, test := range []struct {
		url  string
		each time.Duration
	}{
		{"postgres://u@10.0.0.1/d?sslmode=disable", time.Minute},
		{"postgres://u@10.0.0.1/d?sslmode=prefer", time.Minute}, // with TLS and without
		{"postgres://u@10.0.0.1,10.0.0.2,10.0.0.3:1/d?sslmode=prefer", 20 * time.Second},
		{"postgres://u@10.0.0.1:1,10.0.0.1:2/d?sslmode=disable", 30 * time.Second},
		{"postgres://u@two,10.0.0.3/d?sslmode=disable", 20 * time.Second},
		{"postgres://u@10.0.0.1,10.0.0.2/d?sslmode=disable&connect_timeout=50", 50 * time.Second},
	} {
		server := serverConfig(t, test.url)
		server.LookupFunc = func(_ context.Context, host string) ([]string, error) {
			if host == "two" {
				return []string{"10.0.0.1", "10.0.0.2"}, nil
			}
			return []string{host}, nil
		}
		tried := make(map[string]bool)
		server.DialFunc = func(ctx context.Context, _, address string) (net.Conn, error) {
			tried[address] = true
			deadline, ok := ctx.Deadline()
			require.True(t, ok)
			require.InDelta(t, test.each, time.Until(deadline), float64(5*time.Second), test.url)
			return nil, errors.New("no network")
		}
		_, err := Connect(t.Context(), server, time.Minute)
		require.ErrorContains(t, err, "no network")
		require.NotEmpty(t, tried)
	}
}

func TestHostThatStaysSilentLeavesTheOthersTheirTime(t *testing.T) {
	server := pgtest.Server(t)
	silent := pgtest.NewNetwork(t, server.Addr())
	silent.Stall()
	url := fmt.Sprintf("postgres://postgres:%s@%s,%s/postgres?sslmode=disable", server.Password(), silent.Addr, server.Addr())
	p := open(t, Config{Size: 1, Server: serverConfig(t, url), AcquireTimeout: 4 * time.Second})
	p.Release(acquire(t, p, "a"))
	require.NotZero(t, silent.Connections())
}

// logins counts the logins that are under way, and how many there were at most.
type logins struct {
	now, most, all atomic.Int64
}

func (l *logins) watch(server *pgconn.Config) {
	dial := server.DialFunc
	server.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		l.all.Add(1)
		now := l.now.Add(1)
		for most := l.most.Load(); now > most && !l.most.CompareAndSwap(most, now); most = l.most.Load() {
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			l.now.Add(-1)
		}
		return conn, err
	}
	server.AfterConnect = func(context.Context, *pgconn.PgConn) error {
		l.now.Add(-1)
		return nil
	}
}

func TestConnectionStormIsDamped(t *testing.T) {
	var seen logins
	server := serverConfig(t, pgtest.Server(t).SuperuserURL("postgres"))
	seen.watch(server)
	p := open(t, Config{Size: 30, MinIdle: 10, Server: server, AcquireTimeout: time.Minute})
	var clients sync.WaitGroup
	for range 100 {
		clients.Go(func() {
			c, err := p.Acquire(context.Background(), Group{Name: "a"})
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(10 * time.Millisecond)
			p.Release(c)
		})
	}
	clients.Wait()
	require.LessOrEqual(t, seen.most.Load(), int64(maxDials))
	require.LessOrEqual(t, seen.all.Load(), int64(30))
}

func TestServerThatIsAwayIsNotStormed(t *testing.T) {
	var seen logins
	server := serverConfig(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable")
	seen.watch(server)
	p := open(t, Config{Size: 30, MinIdle: 10, Server: server, AcquireTimeout: 2 * time.Second})
	var clients sync.WaitGroup
	for range 100 {
		clients.Go(func() {
			_, err := p.Acquire(context.Background(), Group{Name: "a"})
			var unavailable *UnavailableError
			if !errors.As(err, &unavailable) {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	require.Less(t, seen.all.Load(), int64(40)) // for each client would be a hundred at a time
	require.LessOrEqual(t, seen.most.Load(), int64(maxDials))
}

func TestLifetimesDiffer(t *testing.T) {
	p := open(t, Config{Size: 5, MaxLifetime: time.Hour})
	ends := make(map[time.Duration]bool)
	var held []*Conn
	for range 5 {
		c := acquire(t, p, "a")
		life := c.dies.Sub(c.opened)
		require.InDelta(t, 57*time.Minute, life, float64(3*time.Minute+time.Second))
		ends[life.Truncate(time.Microsecond)] = true
		held = append(held, c)
	}
	require.Len(t, ends, 5)
	for _, c := range held {
		p.Release(c)
	}
}

func TestMinimumIsKeptWhenTheServerEndsConnections(t *testing.T) {
	server := pgtest.Server(t)
	database := pgtest.Database(t, "")
	p := open(t, Config{Size: 4, MinIdle: 3, Server: serverConfig(t, server.SuperuserURL(database))})
	full := func() bool { s := p.Stat(); return s.Idle == 3 && s.Dialing == 0 }
	require.Eventually(t, full, 20*time.Second, 5*time.Millisecond)
	before := p.Stat().Dialed
	require.NoError(t, server.Exec(t.Context(), "postgres",
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+database+"'"))
	require.Eventually(t, func() bool { return full() && p.Stat().Dialed == before+3 }, 20*time.Second, 5*time.Millisecond)
}

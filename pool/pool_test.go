package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// open returns a pool of the test's own on a real server.
func open(t *testing.T, cfg Config) *Pool {
	t.Helper()
	if cfg.Server == nil {
		cfg.Server = serverConfig(t, pgtest.Server(t).SuperuserURL("postgres"))
	}
	cfg.Log = zerolog.New(zerolog.NewTestWriter(t))
	p, err := New(cfg)
	require.NoError(t, err)
	p.Start()
	t.Cleanup(p.Close)
	return p
}

func serverConfig(t *testing.T, url string) *pgconn.Config {
	t.Helper()
	cfg, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	return cfg
}

func acquire(t *testing.T, p *Pool, group string) *Conn {
	t.Helper()
	c, err := p.Acquire(t.Context(), Group{Name: group})
	require.NoError(t, err)
	return c
}

func TestReleasedConnIsLentAgain(t *testing.T) {
	p := open(t, Config{Size: 3})
	first := acquire(t, p, "a")
	pid := first.PID
	p.Release(first)
	second := acquire(t, p, "b")
	require.Equal(t, pid, second.PID)
	p.Release(second)
	require.EqualValues(t, 1, p.Stat().Dialed)
}

func TestPoolTellsWhoHasWhichConn(t *testing.T) {
	p := open(t, Config{Size: 3})
	began := time.Now()
	first, second := acquire(t, p, "a"), acquire(t, p, "b")
	p.Release(second)
	conns := p.Conns()
	require.Len(t, conns, 2)
	for _, c := range conns {
		require.WithinRange(t, c.Opened, began, time.Now())
		switch c.PID {
		case first.PID:
			require.True(t, c.Leased)
			require.Equal(t, "a", c.Group)
		case second.PID:
			require.False(t, c.Leased)
			require.Empty(t, c.Group)
		default:
			t.Fatalf("process %d is not ours", c.PID)
		}
	}
	p.Release(first)
}

func TestDestroyedConnIsReplaced(t *testing.T) {
	p := open(t, Config{Size: 1})
	first := acquire(t, p, "a")
	pid := first.PID
	p.Destroy(first)
	second := acquire(t, p, "a")
	require.NotEqual(t, pid, second.PID)
	p.Release(second)
}

func TestConnGivenBackTwiceIsABugThatPanics(t *testing.T) {
	p := open(t, Config{Size: 1})
	c := acquire(t, p, "a")
	p.Release(c)
	require.Panics(t, func() { p.Destroy(c) })
	p.Release(acquire(t, p, "a")) // the pool goes on
}

func TestWaitingGroupsTakeTurns(t *testing.T) {
	p := open(t, Config{Size: 1})
	held := acquire(t, p, "holder")
	var mu sync.Mutex
	var order []string
	var waiters sync.WaitGroup
	wait := func(group string, already int) {
		waiters.Go(func() {
			c, err := p.Acquire(context.Background(), Group{Name: group})
			if err != nil {
				return
			}
			mu.Lock()
			order = append(order, group)
			mu.Unlock()
			p.Release(c)
		})
		require.Eventually(t, func() bool { return p.Stat().Waiting == already+1 }, 20*time.Second, time.Millisecond)
	}
	for i := range 3 {
		wait("greedy", i)
	}
	wait("modest", 3)
	p.Release(held)
	waiters.Wait()
	require.Equal(t, []string{"greedy", "modest", "greedy", "greedy"}, order)
}

func TestTurnsAreAsLongAsTheGroupsWeight(t *testing.T) {
	var q queue
	heavy, light := &group{name: "heavy", weight: 3}, &group{name: "light"}
	for range 8 {
		q.push(heavy, &waiter{})
	}
	for range 3 {
		q.push(light, &waiter{})
	}
	var order string
	for q.len() > 0 {
		g, _ := q.next(func(*group) bool { return true })
		order += g.name[:1]
	}
	require.Equal(t, "hhhlhhhlhhl", order)
}

func TestGroupsOwnLimitsTakeThePlaceOfThePools(t *testing.T) {
	p := open(t, Config{Size: 3, PerGroup: 1})
	wide, narrow := Group{Name: "wide", Limit: 2}, Group{Name: "narrow", Wait: 50 * time.Millisecond}
	first, err := p.Acquire(t.Context(), wide)
	require.NoError(t, err)
	second, err := p.Acquire(t.Context(), wide)
	require.NoError(t, err)
	require.Nil(t, p.TryAcquire(wide))

	held := acquire(t, p, "narrow")
	start := time.Now()
	_, err = p.Acquire(t.Context(), narrow)
	var limit *GroupLimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, 1, limit.Limit)
	require.Less(t, time.Since(start), 5*time.Second)
	for _, c := range []*Conn{first, second, held} {
		p.Release(c)
	}
	require.Empty(t, p.groups)
	require.NotNil(t, p.TryAcquire(narrow))
	require.Len(t, p.groups, 1)
	for c := range p.leased {
		p.Release(c)
	}
}

func TestGroupStopsAtItsLimitWhileOthersGoOn(t *testing.T) {
	p := open(t, Config{Size: 4, PerGroup: 1, AcquireTimeout: 3 * time.Second})
	mine := acquire(t, p, "a")
	_, err := p.Acquire(t.Context(), Group{Name: "a"})
	var limit *GroupLimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, 1, limit.Limit)
	other := acquire(t, p, "b")
	p.Release(other)
	p.Release(mine)
	p.Release(acquire(t, p, "a"))
}

func TestFullPoolTimesOut(t *testing.T) {
	p := open(t, Config{Size: 1, AcquireTimeout: 3 * time.Second})
	c := acquire(t, p, "a")
	_, err := p.Acquire(t.Context(), Group{Name: "b"})
	require.ErrorIs(t, err, ErrTimeout)
	require.Zero(t, p.Stat().Waiting)
	p.Release(c)
}

func TestWaiterThatLeavesTakesNothingAlong(t *testing.T) {
	p := open(t, Config{Size: 1})
	c := acquire(t, p, "a")
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("client left")
	go cancel(left)
	_, err := p.Acquire(ctx, Group{Name: "b"})
	require.ErrorIs(t, err, left)
	p.Release(c)
	p.Release(acquire(t, p, "c"))
}

func TestIdleConnKilledByTheServerIsNotLent(t *testing.T) {
	server := pgtest.Server(t)
	p := open(t, Config{Size: 1})
	c := acquire(t, p, "a")
	pid := c.PID
	p.Release(c)
	require.NoError(t, server.Exec(t.Context(), "postgres", fmt.Sprintf("SELECT pg_terminate_backend(%d, 5000)", pid)))
	c = acquire(t, p, "a")
	require.NotEqual(t, pid, c.PID)
	p.Release(c)
}

func TestPoolRecoversWhenTheServerIsBack(t *testing.T) {
	server := pgtest.Start(t, postgres.Options{})
	p := open(t, Config{Size: 2, Server: serverConfig(t, server.SuperuserURL("postgres")), AcquireTimeout: 20 * time.Second})
	p.Release(acquire(t, p, "a"))
	require.NoError(t, server.Stop())
	restarted := make(chan error, 1)
	go func() {
		time.Sleep(300 * time.Millisecond)
		restarted <- server.Restart(context.Background())
	}()
	c := acquire(t, p, "a") // waits for the server
	require.NoError(t, <-restarted)
	p.Release(c)
}

func TestServerThatStaysAwayIsUnavailable(t *testing.T) {
	cfg := serverConfig(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable")
	p := open(t, Config{Size: 1, Server: cfg, AcquireTimeout: 200 * time.Millisecond})
	_, err := p.Acquire(t.Context(), Group{Name: "a"})
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)
}

func TestRefusedLoginIsNotRetriedUntilTheTimeout(t *testing.T) {
	url := pgtest.Server(t).URL("nosuchrole", "wrong", "postgres")
	p := open(t, Config{Size: 1, Server: serverConfig(t, url), AcquireTimeout: time.Minute})
	start := time.Now()
	_, err := p.Acquire(t.Context(), Group{Name: "a"})
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.Less(t, time.Since(start), 20*time.Second)
}

func TestIdleAndOldConnsAreClosedButTheMinimumStays(t *testing.T) {
	p := open(t, Config{Size: 4, MinIdle: 1, IdleTimeout: 20 * time.Millisecond})
	var held []*Conn
	for range 4 {
		held = append(held, acquire(t, p, "a"))
	}
	for _, c := range held {
		p.Release(c)
	}
	require.Eventually(t, func() bool { s := p.Stat(); return s.Idle == 1 && s.Dialing == 0 }, 20*time.Second, 5*time.Millisecond)

	old := open(t, Config{Size: 1, MaxLifetime: 50 * time.Millisecond})
	c := acquire(t, old, "a")
	pid := c.PID
	time.Sleep(60 * time.Millisecond)
	old.Release(c)
	c = acquire(t, old, "a")
	require.NotEqual(t, pid, c.PID)
	old.Release(c)
}

func TestCloseEndsWaiters(t *testing.T) {
	p := open(t, Config{Size: 1})
	c := acquire(t, p, "a")
	got := make(chan error, 1)
	go func() {
		_, err := p.Acquire(context.Background(), Group{Name: "b"})
		got <- err
	}()
	require.Eventually(t, func() bool { return p.Stat().Waiting == 1 }, 20*time.Second, time.Millisecond)
	p.Close()
	require.ErrorIs(t, <-got, ErrClosed)
	p.Release(c) // a late one is closed
	_, err := p.Acquire(t.Context(), Group{Name: "a"})
	require.ErrorIs(t, err, ErrClosed)
}

func TestCancelStopsWhatTheConnRuns(t *testing.T) {
	p := open(t, Config{Size: 1})
	c := acquire(t, p, "a")
	sql := append([]byte("SELECT pg_sleep(60)"), 0)
	_, err := c.Net.Write(append([]byte{'Q', 0, 0, 0, byte(4 + len(sql))}, sql...))
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond)
	require.NoError(t, c.Cancel(t.Context()))
	require.NoError(t, c.Net.SetReadDeadline(time.Now().Add(10*time.Second)))
	for !contains(c.Buffer[c.Start:c.End], "57014") {
		require.NoError(t, c.Fill())
	}
	p.Destroy(c)
}

func contains(b []byte, s string) bool {
	for i := 0; i+len(s) <= len(b); i++ {
		if string(b[i:i+len(s)]) == s {
			return true
		}
	}
	return false
}

func TestStatementsMakeRoomForNewOnes(t *testing.T) {
	s := newStatements(2)
	a, b, c := NewStatement("a", nil), NewStatement("b", nil), NewStatement("c", nil)
	require.NotEqual(t, a.Name, b.Name)
	require.Nil(t, s.Add(a))
	require.Nil(t, s.Add(b))
	require.True(t, s.Has(a))
	require.Equal(t, b, s.Add(c))
	require.False(t, s.Has(b))
	s.Remove(c)
	require.Equal(t, 1, s.Len())
}

func TestSizesOutOfRangeAreRefused(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{Server: &pgconn.Config{}, Size: -1},
		{Server: &pgconn.Config{}, PerGroup: -1},
		{Server: &pgconn.Config{}, Size: 1, MinIdle: 2},
	} {
		_, err := New(cfg)
		require.Error(t, err)
	}
}

func TestConnsOverTLSAreVerifiedAndLentAgain(t *testing.T) {
	server := pgtest.Start(t, postgres.Options{TLS: true})
	p := open(t, Config{Size: 1, Server: serverConfig(t, server.SuperuserURL("postgres"))}) // sslmode=verify-full
	c := acquire(t, p, "a")
	require.IsType(t, &tls.Conn{}, c.Net)
	pid := c.PID
	p.Release(c)
	c = acquire(t, p, "a") // found silent below its TLS
	require.Equal(t, pid, c.PID)
	p.Release(c)
}

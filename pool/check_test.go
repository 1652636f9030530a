package pool

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

func TestIdleConnsAreAskedWhetherTheyAreThere(t *testing.T) {
	server := pgtest.Server(t)
	p := open(t, Config{Size: 3, Silence: 100 * time.Millisecond, Server: serverConfig(t, server.SuperuserURL("postgres"))})
	first, second := acquire(t, p, "a"), acquire(t, p, "a")
	inOrder := []uint32{first.PID, second.PID}
	p.Release(first)
	p.Release(second)
	p.mu.Lock()
	heard := []time.Time{first.heard, second.heard}
	p.mu.Unlock()
	later := func(c *Conn, than time.Time) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return c.heard.After(than.Add(200 * time.Millisecond))
	}
	require.Eventually(t, func() bool { return later(first, heard[0]) && later(second, heard[1]) }, 20*time.Second, 5*time.Millisecond)
	require.Zero(t, p.Stat().Destroyed)
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.idle) != 2 { // being asked
			return false
		}
		require.Equal(t, []uint32{p.idle[0].PID, p.idle[1].PID}, inOrder, "the order of their last use")
		return true
	}, 20*time.Second, time.Millisecond)
	c := acquire(t, p, "a")
	require.Contains(t, inOrder, c.PID)
	p.Release(c)
}

func TestIdleConnThatDoesNotAnswerIsGivenUp(t *testing.T) {
	server := pgtest.Server(t)
	network := pgtest.NewNetwork(t, server.Addr())
	p := open(t, Config{
		Size: 2, Silence: 500 * time.Millisecond, AcquireTimeout: 20 * time.Second,
		Server: serverConfig(t, network.Via(server.SuperuserURL("postgres"))),
	})
	c := acquire(t, p, "a")
	pid := c.PID
	p.Release(c)
	network.Stall()
	require.Eventually(t, func() bool { s := p.Stat(); return s.Destroyed >= 1 && s.Idle == 0 }, 20*time.Second, 5*time.Millisecond)
	network.Resume()
	c = acquire(t, p, "a")
	require.NotEqual(t, pid, c.PID)
	p.Release(c)
}

func TestCloseDoesNotWaitForAConnThatIsAsked(t *testing.T) {
	server := pgtest.Server(t)
	network := pgtest.NewNetwork(t, server.Addr())
	p := open(t, Config{Size: 1, Silence: time.Hour, Server: serverConfig(t, network.Via(server.SuperuserURL("postgres")))})
	p.Release(acquire(t, p, "a"))
	network.Stall()
	p.mu.Lock()
	p.checkIdle(time.Now().Add(2 * time.Hour))
	require.Len(t, p.checking, 1)
	p.mu.Unlock()
	require.Equal(t, 1, p.Stat().Idle)
	require.Len(t, p.Conns(), 1)
	start := time.Now()
	p.Close()
	require.Less(t, time.Since(start), time.Minute)
	require.Empty(t, p.Conns())
}

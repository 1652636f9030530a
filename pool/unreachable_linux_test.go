package pool

import (
	"bytes"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

func TestServerWhoseMachineTakesNothingIsUnreachable(t *testing.T) {
	t.Parallel()
	c, server := pair(t)
	c.silence = time.Second
	receiveWord := func() {
		_, err := c.Net.Write([]byte("word"))
		require.NoError(t, err)
		receive(t, server, "word")
	}
	receiveWord()
	time.Sleep(1500 * time.Millisecond)
	require.False(t, c.Unreachable(), "nothing was sent")
	receiveWord()
	pgtest.Lose(t, server)
	_, err := c.Net.Write([]byte("word"))
	require.NoError(t, err)
	require.False(t, c.Unreachable(), "it has had no time")
	require.Eventually(t, c.Unreachable, 20*time.Second, 10*time.Millisecond)
}

func TestServerThatDoesNotReadIsReachable(t *testing.T) {
	t.Parallel()
	c, _ := pair(t)
	c.silence = time.Second
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = c.Net.Write(bytes.Repeat([]byte("x"), 32<<20))
	}()
	for range 30 { // as long as would be enough for the other
		require.False(t, c.Unreachable())
		time.Sleep(100 * time.Millisecond)
	}
	require.NoError(t, c.Net.Close())
	<-written
}

func TestKernelNoticesThatTheWayToAnIdleServerIsLost(t *testing.T) {
	t.Parallel()
	c, server := pair(t)
	require.NoError(t, keepAlive(c.Net, time.Second))
	require.True(t, c.quiet())
	pgtest.Lose(t, server)
	require.Eventually(t, func() bool { return !c.quiet() }, 20*time.Second, 10*time.Millisecond)
}

func TestLoginIsGivenUpWhenTheNetworkIsLost(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			b := pgproto3.NewBackend(conn, conn)
			if _, err := b.ReceiveStartupMessage(); err != nil {
				return
			}
			pgtest.Lose(t, conn.(*net.TCPConn))
			b.Send(&pgproto3.AuthenticationCleartextPassword{})
			_ = b.Flush()
		}
	}()
	server := serverConfig(t, "postgres://u:p@"+listener.Addr().String()+"/d?sslmode=disable")
	start := time.Now()
	_, err = dialServer(t.Context(), server, time.Minute, time.Second)
	require.ErrorIs(t, err, syscall.ETIMEDOUT)
	require.Less(t, time.Since(start), 30*time.Second)
}

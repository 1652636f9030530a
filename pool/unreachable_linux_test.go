package pool

import (
	"bytes"
	"testing"
	"time"

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

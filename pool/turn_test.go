package pool

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair is a connection of the pool and its server's end.
func pair(t *testing.T) (*Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	accepted, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	c := &Conn{Net: dialed, Buffer: make([]byte, bufferSize)}
	require.NoError(t, c.watch())
	require.NoError(t, dialed.SetDeadline(time.Now().Add(20*time.Second)))
	return c, accepted.(*net.TCPConn)
}

func receive(t *testing.T, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(from, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

func TestRequestIsWrittenByTheFillThatWaitsForItsAnswer(t *testing.T) {
	c, server := pair(t)
	for _, word := range []string{"one", "two", "three"} {
		go func() {
			request := make([]byte, len(word))
			if _, err := io.ReadFull(server, request); err == nil {
				_, _ = server.Write(bytes.ToUpper(request))
			}
		}()
		c.Request([]byte(word))
		require.NoError(t, c.Fill())
		require.Equal(t, string(bytes.ToUpper([]byte(word))), string(c.Buffer[c.Start:c.End]))
		c.Start = c.End
		require.True(t, c.quiet())
	}
}

func TestWhatTheServerSaidBeforeTheRequestIsReadBeforeItsAnswer(t *testing.T) {
	c, server := pair(t)
	_, err := server.Write([]byte("unasked "))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !c.quiet() }, 20*time.Second, time.Millisecond)
	go func() {
		if _, err := io.ReadFull(server, make([]byte, 7)); err == nil {
			_, _ = server.Write([]byte("answer"))
		}
	}()
	c.Request([]byte("request"))
	for c.End-c.Start < len("unasked answer") {
		require.NoError(t, c.Fill())
	}
	require.Equal(t, "unasked answer", string(c.Buffer[c.Start:c.End]))
}

func TestServerThatIsGoneBeforeTheRequestEndsTheTurn(t *testing.T) {
	c, server := pair(t)
	require.NoError(t, server.Close())
	require.Eventually(t, func() bool { return !c.quiet() }, 20*time.Second, time.Millisecond)
	c.Request([]byte("request"))
	err := c.Fill()
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestDeadlineEndsTheTurn(t *testing.T) {
	c, server := pair(t)
	c.Request([]byte("request"))
	go func() {
		_, _ = io.ReadFull(server, make([]byte, 7))
		_ = c.Net.SetDeadline(time.Unix(1, 0))
	}()
	require.ErrorIs(t, c.Fill(), os.ErrDeadlineExceeded)
}

func TestRequestThatTheSocketDoesNotTakeAtOnceIsWrittenInFull(t *testing.T) {
	c, server := pair(t)
	large := bytes.Repeat([]byte("x"), 32<<20)
	go func() {
		if _, err := io.ReadFull(server, make([]byte, len(large))); err == nil {
			_, _ = server.Write([]byte("all"))
		}
	}()
	c.Request(large)
	require.NoError(t, c.Fill())
	require.Equal(t, "all", string(c.Buffer[c.Start:c.End]))
}

func TestFlushWritesARequestThatNoFillHasWritten(t *testing.T) {
	c, server := pair(t)
	c.Request([]byte("request"))
	require.NoError(t, c.Flush())
	receive(t, server, "request")
	require.NoError(t, c.Flush())
	go func() { _, _ = server.Write([]byte("answer")) }()
	require.NoError(t, c.Fill())
	require.Equal(t, "answer", string(c.Buffer[c.Start:c.End]))
}

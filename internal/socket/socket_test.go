package socket

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair returns both ends of a connection, the first one wrapped.
func pair(t *testing.T, network, addr string) (wrapped, other net.Conn) {
	t.Helper()
	l, err := net.Listen(network, addr)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- conn
	}()
	other, err = net.Dial(network, l.Addr().String())
	require.NoError(t, err)
	wrapped = Wrap(<-accepted)
	t.Cleanup(func() {
		_ = wrapped.Close()
		_ = other.Close()
	})
	return wrapped, other
}

func TestMuchGoesThroughBothWaysAtOnce(t *testing.T) {
	for network, addr := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		t.Run(network, func(t *testing.T) {
			wrapped, other := pair(t, network, addr)
			data := make([]byte, 8<<20)
			_, _ = rand.Read(data)
			failed := make(chan error, 3)
			go func() { _, err := wrapped.Write(data); failed <- err }()
			go func() { _, err := other.Write(data); failed <- err }()
			got := make([]byte, len(data))
			go func() { _, err := io.ReadFull(other, got); failed <- err }()
			mine := make([]byte, len(data))
			_, err := io.ReadFull(wrapped, mine)
			require.NoError(t, err)
			for range 3 {
				require.NoError(t, <-failed)
			}
			require.True(t, bytes.Equal(data, mine))
			require.True(t, bytes.Equal(data, got))
		})
	}
}

func TestEndsAreToldAsByTheStandardLibrary(t *testing.T) {
	buf := make([]byte, 10)
	t.Run("the other end is closed", func(t *testing.T) {
		wrapped, other := pair(t, "tcp", "127.0.0.1:0")
		_, err := other.Write([]byte("last"))
		require.NoError(t, err)
		require.NoError(t, other.Close())
		n, err := wrapped.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "last", string(buf[:n]))
		_, err = wrapped.Read(buf)
		require.ErrorIs(t, err, io.EOF)
		for err = nil; err == nil; {
			_, err = wrapped.Write(buf)
		}
		var op *net.OpError
		require.ErrorAs(t, err, &op)
	})
	t.Run("a deadline", func(t *testing.T) {
		wrapped, other := pair(t, "tcp", "127.0.0.1:0")
		require.NoError(t, wrapped.SetDeadline(time.Now().Add(20*time.Millisecond)))
		_, err := wrapped.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		n, err := wrapped.Write(make([]byte, 64<<20))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Less(t, n, 64<<20)
		require.NoError(t, wrapped.SetDeadline(time.Time{}))
		_, err = other.Write([]byte("x"))
		require.NoError(t, err)
		_, err = wrapped.Read(buf)
		require.NoError(t, err)
	})
	t.Run("it is closed while somebody reads", func(t *testing.T) {
		wrapped, _ := pair(t, "tcp", "127.0.0.1:0")
		failed := make(chan error)
		go func() { _, err := wrapped.Read(buf); failed <- err }()
		time.Sleep(10 * time.Millisecond)
		require.NoError(t, wrapped.Close())
		require.ErrorIs(t, <-failed, net.ErrClosed)
		_, err := wrapped.Write(buf)
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestPeekTakesNothing(t *testing.T) {
	wrapped, other := pair(t, "tcp", "127.0.0.1:0")
	raw, err := wrapped.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	peek := func() (peeked error) {
		require.NoError(t, raw.Control(func(fd uintptr) { peeked = Peek(fd, make([]byte, 1)) }))
		return peeked
	}
	require.True(t, temporary(peek()))
	_, err = other.Write([]byte("x"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return peek() == nil }, 10*time.Second, time.Millisecond)
	buf := make([]byte, 2)
	n, err := wrapped.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "x", string(buf[:n]))
	require.NoError(t, other.Close())
	require.Eventually(t, func() bool { return peek() == nil }, 10*time.Second, time.Millisecond)
}

func temporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

func TestOnlyPlainSocketsAreWrapped(t *testing.T) {
	one, two := net.Pipe()
	defer func() { _, _ = one.Close(), two.Close() }()
	require.Equal(t, one, Wrap(one))
}

func TestWhoWaitsHoldsNoBuffer(t *testing.T) {
	wrapped, other := pair(t, "tcp", "127.0.0.1:0")
	c, ok := wrapped.(*Conn)
	require.Equal(t, direct, ok)
	if !ok {
		return // nothing to offer
	}
	made := 0
	buffers := &sync.Pool{New: func() any { made++; return new(Buffer) }}
	read := func() (string, error) {
		b, n, err := c.ReadLate(buffers)
		if err != nil {
			require.Nil(t, b)
			return "", err
		}
		defer buffers.Put(b)
		return string(b[:n]), nil
	}
	for _, want := range []string{"first", "second"} {
		time.AfterFunc(50*time.Millisecond, func() { _, _ = other.Write([]byte(want)) })
		got, err := read()
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Nil(t, c.buffer)
	}
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	_, err := read()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	require.NoError(t, other.Close())
	_, err = read()
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, c.Close())
	_, err = read()
	require.ErrorIs(t, err, net.ErrClosed)
	require.Positive(t, made)
}

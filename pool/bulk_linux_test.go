package pool

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// least is how many bytes the poller waits for.
func least(t *testing.T, c *Conn) (n int) {
	t.Helper()
	var sockErr error
	require.NoError(t, c.raw.Control(func(fd uintptr) {
		n, sockErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT) //nolint:gosec // a file descriptor
	}))
	require.NoError(t, sockErr)
	return n
}

func TestNothingIsLostOfALongAnswer(t *testing.T) {
	require.True(t, canWaitForMuch())
	c, server := pair(t)
	said := make([]byte, 24<<20)
	for i := range said {
		said[i] = byte(i * i >> 8)
	}
	go func() {
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
		for rest := said; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(16<<10))
			if _, err := server.Write(rest[:n]); err != nil {
				return
			}
			if rest = rest[n:]; random.IntN(100) == 0 {
				time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
			}
		}
		_ = server.Close()
	}()
	var heard []byte
	for turn := 0; ; turn++ {
		var err error
		if turn%7 == 0 {
			err = c.Fill()
		} else {
			_, err = c.FillBulk()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.Equal(t, 1, least(t, c))
		n := c.End - c.Start
		if turn%3 == 0 {
			n -= n / 5 // some are a message that has not come to its end
		}
		heard = append(heard, c.Buffer[c.Start:c.Start+n]...)
		c.Start += n
	}
	heard = append(heard, c.Buffer[c.Start:c.End]...)
	require.True(t, bytes.Equal(said, heard))
}

func TestMuchOfALongAnswerComesTogether(t *testing.T) {
	c, server := pair(t)
	_, err := server.Write(make([]byte, bulkPiece))
	require.NoError(t, err)
	for c.End < bulkPiece {
		flows, err := c.FillBulk()
		require.NoError(t, err)
		require.True(t, flows)
	}
	go func() {
		for range bulkPiece {
			for since := time.Now(); least(t, c) == 1 && time.Since(since) < bulkPatience; { // a slow reader would find bytes whenever it looks, and never wait
			}
			_, _ = server.Write([]byte{'x'})
		}
	}()
	fills := 0
	c.Start = c.End
	for got := 0; got < bulkPiece; got, c.Start = got+c.End-c.Start, c.End {
		fills++
		_, err := c.FillBulk()
		require.NoError(t, err)
	}
	require.Less(t, fills, bulkPiece/8)
}

func TestSlowAnswerIsNotWaitedFor(t *testing.T) {
	c, server := pair(t)
	go func() {
		time.Sleep(20 * bulkPatience)
		_, _ = server.Write([]byte("late"))
	}()
	flows, err := c.FillBulk()
	require.NoError(t, err)
	require.False(t, flows)
	require.Equal(t, "late", string(c.Buffer[c.Start:c.End]))

	c.Start = c.End
	go func() { _, _ = server.Write([]byte("little")) }()
	flows, err = c.FillBulk()
	require.NoError(t, err)
	require.Equal(t, "little", string(c.Buffer[c.Start:c.End]))
	_ = flows // it may have come before the wait

	c.Start = c.End
	require.NoError(t, server.CloseWrite())
	_, err = c.FillBulk()
	require.ErrorIs(t, err, io.EOF)
}

func TestDeadlineEndsTheWaitForMuch(t *testing.T) {
	for _, after := range []time.Duration{0, bulkPatience / 2, 10 * bulkPatience} {
		c, _ := pair(t)
		go func() {
			time.Sleep(after)
			_ = c.Net.SetDeadline(time.Unix(1, 0))
		}()
		_, err := c.FillBulk()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 1, least(t, c))
	}
}

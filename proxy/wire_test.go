package proxy

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repeated is a stream that never ends.
type repeated struct {
	text []byte
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

func TestMessagesOfACopyAreReadIntoOneBuffer(t *testing.T) {
	for _, size := range []int{1, 100, 8 << 10, 64 << 10} {
		row := []byte(strings.Repeat("x", size))
		r := newReader(&repeated{text: appendMessage(appendMessage(nil, 'd', row), 'd', nil)})
		read := func() {
			for _, want := range [][]byte{row, nil} {
				typ, body, err := r.nextOfStream()
				if err != nil || typ != 'd' || !bytes.Equal(body, want) {
					t.Fatalf("message %q of %d bytes, %v", typ, len(body), err)
				}
			}
		}
		read()
		require.Zero(t, testing.AllocsPerRun(100, read))
		if headSize+size <= clientBuffer {
			require.Len(t, r.buf, clientBuffer, "a short COPY takes no more")
		} else {
			require.Len(t, r.buf, streamBuffer)
		}
	}
}

func TestBufferOfALargeMessageIsNotKept(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 64*streamBuffer)
	r := newReader(io.MultiReader(bytes.NewReader(appendMessage(nil, 'd', large)), &repeated{text: appendMessage(nil, 'd', nil)}))
	_, body, err := r.nextOfStream()
	require.NoError(t, err)
	require.True(t, bytes.Equal(large, body))
	for range 2 * streamBuffer {
		_, body, err = r.nextOfStream()
		require.NoError(t, err)
		require.Empty(t, body)
	}
	require.Len(t, r.buf, streamBuffer)
	for range 2 * streamBuffer {
		_, _, err = r.next()
		require.NoError(t, err)
	}
	require.Len(t, r.buf, clientBuffer)
}

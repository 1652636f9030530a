package proxy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestByteSetFindsTheFirstOfItsBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	for _, members := range []string{"\\", "\t\\", "\n\r\\", "\n\r\\\"'", "\x00\xff\x80\x7f\x01"} {
		set := newByteSet([]byte(members)...)
		for range 20_000 {
			b := make([]byte, random.IntN(40))
			for i := range b {
				switch random.IntN(12) {
				case 0:
					b[i] = members[random.IntN(len(members))]
				case 1:
					b[i] = members[random.IntN(len(members))] ^ 1<<random.IntN(8) // one that is near
				default:
					b[i] = byte(random.IntN(256))
				}
			}
			want := slices.IndexFunc(b, func(c byte) bool { return strings.IndexByte(members, c) >= 0 })
			if want < 0 {
				want = len(b)
			}
			require.Equal(t, want, set.index(b), "%q in %q", members, b)
		}
	}
}

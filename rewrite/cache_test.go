package rewrite

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// distinct is a text of which there are many, no two of one shape.
func distinct(i, size int) string {
	return fmt.Sprintf("SELECT id AS a%d /* %s */ FROM orders WHERE id = 1", i, strings.Repeat("x", size))
}

func TestCacheIsBoundedInBytesWhateverIsSent(t *testing.T) {
	const capacity = 256 << 10
	cat, r := shop(), newRewriter(t, Config{Confine: true, CacheBytes: capacity})
	for i := range 1000 {
		_, err := r.Rewrite(Request{SQL: distinct(i/2, i%7*900)}, cat)
		require.NoError(t, err)
		require.LessOrEqual(t, r.Stat().Bytes, int64(capacity))
	}
	require.Greater(t, r.Stat().Bytes, int64(capacity/2), "it is used")
	var sum int64
	for i := range r.cache.shards {
		s := &r.cache.shards[i]
		require.Len(t, s.entries, s.young.Len()+s.old.Len())
		for _, e := range s.entries {
			sum += e.size
		}
	}
	require.Equal(t, sum, r.Stat().Bytes)
}

func TestTextThatWouldTakeMuchOfTheCacheIsNotKept(t *testing.T) {
	r := newRewriter(t, Config{Confine: true, CacheBytes: 64 << 10})
	_, err := r.Rewrite(Request{SQL: distinct(1, 32<<10)}, shop())
	require.NoError(t, err)
	require.Zero(t, r.Stat().Bytes)
}

// What is in use stays, however much one client sends, and if it sends all of
// it twice.
func TestFloodOfTextsDoesNotDisplaceWhatIsUsed(t *testing.T) {
	for _, times := range []int{1, 2} {
		r := newRewriter(t, Config{Confine: true, CacheBytes: 256 << 10})
		cat := shop()
		inUse := make([]*Result, 10)
		use := func(i int) *Result {
			result, err := r.Rewrite(Request{SQL: fmt.Sprintf("SELECT id AS used%d FROM orders", i)}, cat)
			require.NoError(t, err)
			return result
		}
		for i := range inUse {
			inUse[i] = use(i)
		}
		for i := range 600 {
			for range times {
				_, err := r.Rewrite(Request{SQL: distinct(i, 0)}, cat)
				require.NoError(t, err)
			}
			if n := i % 20; n < len(inUse) {
				require.Same(t, inUse[n], use(n), "%d times, %d", times, i)
			}
		}
	}
}

func TestCacheIsUsedByManySessions(t *testing.T) {
	r := newRewriter(t, Config{Confine: true, CacheBytes: 64 << 10})
	cat := shop()
	var sessions sync.WaitGroup
	for n := range 4 {
		sessions.Go(func() {
			for i := range 300 {
				sql := fmt.Sprintf("SELECT id AS a%d FROM orders WHERE id = %d", i%50, i*n)
				result, err := r.Rewrite(Request{SQL: sql}, cat)
				require.NoError(t, err)
				require.Contains(t, result.Statements[0].Text.SQL("1"), fmt.Sprintf("(id = %d)", i*n))
			}
		})
	}
	sessions.Wait()
}

package rewrite

import (
	"fmt"
	"runtime"
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

// What the cache says it takes is what it takes, and that is little.
func TestCachedStatementsTakeTheMemoryThatIsCounted(t *testing.T) {
	const n = 100
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // empties pools
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) //nolint:gosec // far below
	}
	cat := shop()
	for name, text := range map[string]string{
		"lookup": "SELECT id, total AS a%d FROM orders WHERE id = %d",
		"insert": "INSERT INTO orders (id, customer_id, state) VALUES (%d, %d, 'open') RETURNING id",
		"join": `SELECT c.name AS a%d, o.id, o.total, l.qty
			FROM customers c JOIN orders o ON o.customer_id = c.id AND o.state = 'open'
			LEFT JOIN order_lines l ON l.order_id = o.id
			WHERE c.name LIKE 'a%%' AND o.placed BETWEEN '2024-01-01' AND '2024-12-31' AND o.id > %d
			ORDER BY o.total DESC LIMIT 20`,
	} {
		fill := func(r *Rewriter) {
			for i := range n {
				for value := range 2 {
					sql := fmt.Sprintf(strings.Replace(text, "(id, c", fmt.Sprintf("(id /* %d */, c", i), 1), i, value+1)
					_, err := r.Rewrite(Request{SQL: sql}, cat)
					require.NoError(t, err)
				}
			}
		}
		fill(newRewriter(t, Config{Confine: true})) // whatever is made once
		r := newRewriter(t, Config{Confine: true})
		before := heap()
		fill(r)
		taken, stat := heap()-before, r.Stat()
		t.Logf("%s: %d bytes each, %d counted", name, taken/n, stat.Bytes/n)
		require.Less(t, stat.Bytes/n, int64(4<<10), name)
		require.Less(t, taken, stat.Bytes*5/4, name)
		require.Equal(t, int64(0), stat.Hits)
		runtime.KeepAlive(r)
	}
}

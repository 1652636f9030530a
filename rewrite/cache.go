package rewrite

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// defaultCacheBytes bounds the cache where the configuration does not.
const defaultCacheBytes = 64 << 20

// maxEntries is for the list, which wants a number of entries; the bound is
// that of bytes.
const maxEntries = 1 << 30

// largestShare is the part of the cache that one entry may take: one of so
// many.
const largestShare = 16

// A cacheKey is all that a Result depends on.
type cacheKey struct {
	sql      string
	declared string // ParamOIDs, four bytes each
	version  uint64 // of the catalog
	extended bool
	dump     bool
}

// A cache holds the results of the texts used last. It is safe for concurrent
// use.
type cache struct {
	capacity int64

	mu           sync.Mutex
	used         int64
	hits, misses int64
	lru          *simplelru.LRU[cacheKey, cacheEntry]
}

type cacheEntry struct {
	result *Result
	size   int64
}

func newCache(capacity int64) (*cache, error) {
	if capacity == 0 {
		capacity = defaultCacheBytes
	}
	c := &cache{capacity: capacity}
	lru, err := simplelru.NewLRU(maxEntries, func(_ cacheKey, e cacheEntry) { c.used -= e.size })
	if err != nil {
		return nil, err
	}
	c.lru = lru
	return c, nil
}

func (c *cache) get(k cacheKey) (*Result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.lru.Get(k)
	if ok {
		c.hits++
	} else {
		c.misses++
	}
	return e.result, ok
}

// A Stat is a snapshot of a Rewriter's cache of results.
type Stat struct {
	Entries      int
	Bytes        int64
	Hits, Misses int64 // since New
}

// Stat returns the cache's counters as they are now.
func (r *Rewriter) Stat() Stat {
	c := r.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stat{Entries: c.lru.Len(), Bytes: c.used, Hits: c.hits, Misses: c.misses}
}

func (c *cache) add(k cacheKey, r *Result) {
	e := cacheEntry{result: r, size: r.size() + int64(len(k.sql)+len(k.declared))}
	if e.size > c.capacity/largestShare {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(k) // two sessions may have made the same result
	c.lru.Add(k, e)
	for c.used += e.size; c.used > c.capacity; {
		if _, _, ok := c.lru.RemoveOldest(); !ok {
			return
		}
	}
}

// entryOverhead is about what the structures around a result's texts take.
const entryOverhead = 512

func (r *Result) size() int64 {
	n := int64(entryOverhead)
	for i := range r.Statements {
		s := &r.Statements[i]
		if s.Prepare != nil {
			s = &s.Prepare.Statement
		}
		n += entryOverhead + s.Text.size()
		for k := range r.Statements[i].Arguments {
			n += 32 + int64(len(r.Statements[i].Arguments[k].Text))
		}
		for k := range s.Checks {
			n += 64 + int64(len(s.Checks[k].table)+len(s.Checks[k].value))
		}
	}
	return n
}

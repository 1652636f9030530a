package rewrite

import (
	"container/list"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
)

// defaultCacheBytes bounds the cache where the configuration does not.
const defaultCacheBytes = 64 << 20

const (
	// maxShards and shardBytes cut the cache into parts with a lock each: as
	// many as have that size, but no more.
	maxShards  = 16
	shardBytes = 1 << 20
	// largestShare is the part of a shard that one entry may take: one of so many.
	largestShare = 8
	// youngShare is the part of a shard for entries that nobody has asked for again.
	youngShare = 8
)

// A cache holds what became of the texts used last, by their keys. It is
// bounded in bytes and safe for concurrent use.
//
// An entry is young until it is used again. Young ones leave first, so a client
// that sends one new text after another displaces its own. The others leave in
// the order in which they came unless they were used since they were last
// looked at: what is used is kept, however much comes in.
type cache struct {
	seed   maphash.Seed
	shards []shard
}

// An entry is what is known of a key. Only used changes.
type entry struct {
	hash uint64
	key  string
	size int64
	used atomic.Bool
	at   *list.Element
	old  bool
	reading
}

// A shard is a part of the cache.
type shard struct {
	capacity int64
	hits     atomic.Int64

	mu         sync.RWMutex
	entries    map[uint64]*entry // two keys of one hash displace each other
	young, old list.List         // of *entry, the newest in front
	youngBytes int64
	used       int64 // bytes, of all entries
}

func newCache(capacity int64) *cache {
	if capacity == 0 {
		capacity = defaultCacheBytes
	}
	n := min(maxShards, 1<<(bits.Len64(uint64(max(capacity/shardBytes, 1)))-1)) //nolint:gosec // not negative
	c := &cache{seed: maphash.MakeSeed(), shards: make([]shard, n)}
	for i := range c.shards {
		c.shards[i].capacity = capacity / int64(n)
		c.shards[i].entries = make(map[uint64]*entry)
	}
	return c
}

func (c *cache) shard(hash uint64) *shard { return &c.shards[hash%uint64(len(c.shards))] }

// get finds an entry, or nil.
func (c *cache) get(key []byte) *entry {
	hash := maphash.Bytes(c.seed, key)
	s := c.shard(hash)
	s.mu.RLock()
	e := s.entries[hash]
	s.mu.RUnlock()
	if e == nil || e.key != string(key) {
		return nil
	}
	if !e.used.Load() { // sessions share the entry: most only read it
		e.used.Store(true)
	}
	return e
}

// put makes r what is known of a key.
func (c *cache) put(key string, r reading) {
	e := &entry{hash: maphash.String(c.seed, key), key: key, size: r.size() + int64(len(key)) + entryBytes, reading: r}
	s := c.shard(e.hash)
	if e.size > s.capacity/largestShare {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.entries[e.hash]; before != nil {
		e.old = before.old && before.key == e.key
		s.remove(before)
	}
	s.insert(e)
	s.settle()
}

func (s *shard) insert(e *entry) {
	s.entries[e.hash] = e
	if e.old {
		e.at = s.old.PushFront(e)
	} else {
		e.at = s.young.PushFront(e)
		s.youngBytes += e.size
	}
	s.used += e.size
}

func (s *shard) remove(e *entry) {
	if e.old {
		s.old.Remove(e.at)
	} else {
		s.young.Remove(e.at)
		s.youngBytes -= e.size
	}
	s.used -= e.size
	delete(s.entries, e.hash)
}

// settle makes room. While there is some, young entries that nobody has used
// are kept as well, and leave before others do.
func (s *shard) settle() {
	for s.youngBytes > s.capacity/youngShare {
		e := s.young.Back().Value.(*entry)
		s.remove(e)
		if e.used.Swap(false) || s.used+e.size <= s.capacity {
			e.old = true
			s.insert(e)
		}
	}
	for s.used > s.capacity {
		last := s.old.Back()
		if last == nil {
			last = s.young.Back()
		}
		e := last.Value.(*entry)
		s.remove(e)
		if e.used.Swap(false) {
			s.insert(e)
		}
	}
}

// A Stat is a snapshot of a Rewriter's cache of results.
type Stat struct {
	Entries      int
	Bytes        int64
	Hits, Misses int64 // texts that were not read, and that were, since New
}

// Stat returns the cache's counters as they are now.
func (r *Rewriter) Stat() Stat {
	stat := Stat{Misses: r.misses.Load()}
	for i := range r.cache.shards {
		s := &r.cache.shards[i]
		s.mu.RLock()
		stat.Entries += len(s.entries)
		stat.Bytes += s.used
		s.mu.RUnlock()
		stat.Hits += s.hits.Load()
	}
	return stat
}

// hit counts that an entry told what becomes of a text.
func (c *cache) hit(e *entry) { c.shard(e.hash).hits.Add(1) }

// What structures take, about.
const (
	entryBytes     = 350 // an entry, its places in map and list
	statementBytes = 350
)

func (r *Result) size() int64 {
	n := int64(64)
	for i := range r.Statements {
		s := &r.Statements[i]
		if s.Prepare != nil {
			n += statementBytes
			s = &s.Prepare.Statement
		}
		n += statementBytes + s.Text.size() + int64(len(s.Keys))*4 + int64(len(s.Name)+len(s.Value))
		if s.Lookup != nil {
			n += s.Lookup.size()
		}
		for k := range r.Statements[i].Arguments {
			n += 32 + int64(len(r.Statements[i].Arguments[k].Text))
		}
		for k := range s.Checks {
			n += 64 + int64(len(s.Checks[k].table)+len(s.Checks[k].value))
		}
		if s.Copy != nil {
			n += statementBytes + int64(len(s.Copy.Columns))*64
		}
		if s.CopyOut != nil {
			n += s.CopyOut.size()
		}
	}
	return n
}

package catalog

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// loadShare is how many times as long as a load takes RefreshOlderThan waits
// from its beginning to the next.
const loadShare = 4

// A Catalog holds the newest Snapshot of one database.
type Catalog struct {
	q       Querier
	cfg     Config
	current atomic.Pointer[Snapshot]

	loading chan struct{} // holds one token: whoever has it loads
	sum     [sha256.Size]byte

	mu      sync.Mutex
	started uint64        // number of the last load that began
	at      time.Time     // when it did
	took    time.Duration // from then until it ended
	running bool
	ended   uint64 // number of the last load that ended, unless its caller gave up
	err     error  // of that load
}

// Open loads the first Snapshot. The Catalog uses q for one statement at a
// time, for as long as it is refreshed.
func Open(ctx context.Context, q Querier, cfg Config) (*Catalog, error) {
	c := &Catalog{q: q, cfg: cfg, loading: make(chan struct{}, 1)}
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Snapshot is the newest one. It never blocks.
func (c *Catalog) Snapshot() *Snapshot { return c.current.Load() }

// Refresh loads a snapshot that shows what was committed before the call. On
// error the old one stays, and so it does if nothing changed. Calls that wait
// at the same time share one load and its error.
func (c *Catalog) Refresh(ctx context.Context) error {
	c.mu.Lock()
	seen := c.started
	c.mu.Unlock()
	return c.refresh(ctx, seen)
}

// RefreshOlderThan is Refresh unless the last load began less than age ago, or
// so lately that loading would take more than a quarter of the time: a client
// that asks for unknown names cannot keep the server busy. It reports whether
// Snapshot changed during the call, and the error of the last load.
func (c *Catalog) RefreshOlderThan(ctx context.Context, age time.Duration) (changed bool, err error) {
	before := c.Snapshot()
	c.mu.Lock()
	seen, fresh := c.started, time.Since(c.at) < max(age, loadShare*c.took)
	if fresh && !c.running {
		defer c.mu.Unlock()
		return false, c.err
	}
	c.mu.Unlock()
	if fresh {
		seen-- // the load that is running will do
	}
	err = c.refresh(ctx, seen)
	return c.Snapshot() != before, err
}

// refresh returns once a load later than number seen has ended.
func (c *Catalog) refresh(ctx context.Context, seen uint64) error {
	select {
	case c.loading <- struct{}{}:
		defer func() { <-c.loading }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c.mu.Lock()
	ended, err := c.ended, c.err
	c.mu.Unlock()
	if ended > seen {
		return err
	}
	return c.load(ctx)
}

// load replaces the snapshot if the server's catalog changed. The caller holds
// the token.
func (c *Catalog) load(ctx context.Context) error {
	c.mu.Lock()
	at, took := c.at, c.took
	c.started++
	number := c.started
	c.at, c.running = time.Now(), true
	c.mu.Unlock()

	err := c.replace(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.took = false, time.Since(c.at)
	if err != nil && ctx.Err() != nil {
		c.at, c.took = at, took // the caller gave up, which tells the others nothing
		return err
	}
	c.ended, c.err = number, err
	return err
}

// replace stores a new snapshot unless the server's answer is the last one's.
func (c *Catalog) replace(ctx context.Context) error {
	rows, err := readRows(ctx, c.q, c.cfg.Inspect)
	if err != nil {
		return err
	}
	sum := fingerprint(rows)
	if c.current.Load() != nil && sum == c.sum {
		return nil
	}
	s, err := build(rows, c.cfg)
	if err != nil {
		return err
	}
	c.sum = sum
	c.current.Store(s)
	return nil
}

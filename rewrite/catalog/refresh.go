package catalog

import (
	"context"
	"sync/atomic"
	"time"
)

// A Catalog holds the newest Snapshot of one database.
type Catalog struct {
	q       Querier
	cfg     Config
	current atomic.Pointer[Snapshot]
}

// Open loads the first Snapshot. q may be called by one goroutine at a time,
// for as long as the Catalog is used.
func Open(ctx context.Context, q Querier, cfg Config) (*Catalog, error) {
	s, err := Load(ctx, q, cfg)
	if err != nil {
		return nil, err
	}
	c := &Catalog{q: q, cfg: cfg}
	c.current.Store(s)
	return c, nil
}

// Snapshot is the newest one. It never blocks.
func (c *Catalog) Snapshot() *Snapshot { return c.current.Load() }

// Refresh loads a snapshot that shows what was committed before the call. On
// error the old one stays; if nothing changed the old one stays as well.
// Calls at the same time share one load.
func (c *Catalog) Refresh(ctx context.Context) error {
	_, err := c.RefreshOlderThan(ctx, 0)
	return err
}

// RefreshOlderThan is Refresh unless the last load began less than age ago: so
// a client that asks for unknown names cannot load the server. It reports
// whether Snapshot changed.
func (c *Catalog) RefreshOlderThan(ctx context.Context, age time.Duration) (changed bool, err error) {
	s, err := Load(ctx, c.q, c.cfg)
	if err != nil {
		return false, err
	}
	c.current.Store(s)
	return true, nil
}

package proxy

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tenantgate/auth"
	"tenantgate/pool"
)

// Lookups of many clients by the same statement go together: while as many
// batches as batchesAtOnce are under way, others wait for one to come back, and
// then go to the server in one write. Those of one tenant are one transaction.
// A lookup only reads, and none sees anything of the others. Whatever goes wrong
// with a batch, each lookup of it is run again by itself.

const (
	// batchesAtOnce is how many batches of one statement may be under way before
	// lookups wait for each other.
	batchesAtOnce = 4

	// largestBatch is how many lookups go together at most.
	largestBatch = 16

	// batchPatience is how long a lookup waits for others to come back. Then it
	// goes its own way: what is under way is slow, and may be held up.
	batchPatience = 500 * time.Microsecond

	// farTrip is how long the fastest batches take if the server is far away. To
	// wait for them costs more than it saves where a connection is free.
	farTrip = time.Millisecond

	// tripWindow is how long the fastest batch is remembered, once or twice.
	tripWindow = time.Second
)

// Batches are those of one backend, by the statement.
type batches struct {
	atOnce   int           // batchesAtOnce
	patience time.Duration // batchPatience

	mu    sync.Mutex
	of    map[*pool.Statement]*batch
	spare *batch // to be used again; nil if there is none
	trips trips
}

// Trips tells how long the fastest batches take.
type trips struct {
	began            time.Time     // of the window
	fastest, earlier time.Duration // in this window and the one before; 0 if there was none
}

func (t *trips) note(took time.Duration, now time.Time) {
	if now.Sub(t.began) >= tripWindow {
		t.began, t.earlier, t.fastest = now, t.fastest, 0
	}
	if t.fastest == 0 || took < t.fastest {
		t.fastest = took
	}
}

func (t *trips) far() bool {
	return t.fastest >= farTrip && (t.earlier == 0 || t.earlier >= farTrip)
}

// A batch is what there is of one statement.
type batch struct {
	underWay int      // batches that have a server connection, of one lookup or more
	waiting  []*guest // oldest first
}

func newBatches() *batches {
	return &batches{atOnce: batchesAtOnce, patience: batchPatience, of: make(map[*pool.Statement]*batch)}
}

// join reports whether a lookup is to go at once. If not it waits to be told. free
// tells whether there is a server connection for it.
func (b *batches) join(st *pool.Statement, g *guest, free func() bool) (goes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.of[st]
	if (x != nil && x.underWay >= b.atOnce || x == nil && b.atOnce == 0) && !(b.trips.far() && free()) {
		g.leads = false
		x = b.at(st)
		x.waiting = append(x.waiting, g)
		return false
	}
	return true
}

// at is what there is of a statement, made when it is new.
func (b *batches) at(st *pool.Statement) *batch {
	x := b.of[st]
	if x == nil {
		if x, b.spare = b.spare, nil; x == nil {
			x = new(batch)
		}
		b.of[st] = x
	}
	return x
}

// hurry has a guest go that nobody has taken along. It is false if somebody has.
func (b *batches) hurry(st *pool.Statement, g *guest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.remove(st, g)
}

// giveUp is for a session that waits no longer. It reports whether the guest is
// still its own, and not that of a batch.
func (b *batches) giveUp(st *pool.Statement, g *guest) (own bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.remove(st, g) {
		return true
	}
	if g.leads {
		<-g.told
		b.wake(st)
	}
	return g.leads
}

// leave notes that a batch is under way, which has a server connection. Guests who
// wait, and want the same parameters, are taken along if it takes any: those of
// one tenant next to each other, and of the given one last.
func (b *batches) leave(st *pool.Statement, takes bool, tenant *auth.Tenant, settings map[string]string, into []*guest) []*guest {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.at(st)
	x.underWay++
	if !takes || len(x.waiting) == 0 {
		return into
	}
	left := x.waiting[:0]
	for _, g := range x.waiting {
		if len(into) < largestBatch-1 && maps.Equal(g.settings, settings) {
			into = append(into, g)
		} else {
			left = append(left, g)
		}
	}
	clear(x.waiting[len(left):])
	x.waiting = left
	slices.SortStableFunc(into, func(a, b *guest) int {
		switch {
		case a.tenant == b.tenant:
			return 0
		case a.tenant == tenant:
			return 1
		case b.tenant == tenant:
			return -1
		default:
			return strings.Compare(a.tenant.ID, b.tenant.ID)
		}
	})
	return into
}

// back notes that a batch which left then has come back: who has waited longest
// goes.
func (b *batches) back(st *pool.Statement, left time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.trips.note(now.Sub(left), now)
	b.of[st].underWay--
	b.wake(st)
}

// wake has the guest go who has waited longest.
func (b *batches) wake(st *pool.Statement) {
	x := b.of[st]
	if x == nil {
		return
	}
	if len(x.waiting) > 0 {
		g := x.waiting[0]
		b.remove(st, g)
		g.leads = true
		g.told <- guestLeads
		return
	}
	b.forget(st, x)
}

// remove takes out a guest who waits. It is false if it does not.
func (b *batches) remove(st *pool.Statement, g *guest) bool {
	x := b.of[st]
	if x == nil {
		return false
	}
	at := slices.Index(x.waiting, g)
	if at < 0 {
		return false
	}
	x.waiting = slices.Delete(x.waiting, at, at+1)
	b.forget(st, x)
	return true
}

// forget drops what there is of a statement if that is nothing.
func (b *batches) forget(st *pool.Statement, x *batch) {
	if x.underWay == 0 && len(x.waiting) == 0 {
		delete(b.of, st)
		b.spare = x
	}
}

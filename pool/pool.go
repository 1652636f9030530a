// Package pool lends server connections. A connection belongs to one holder
// between Acquire and Release or Destroy, and to nobody otherwise.
package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
)

var (
	// ErrClosed is returned once the pool has been closed.
	ErrClosed = errors.New("pool is closed")
	// ErrTimeout is returned when no connection came free within AcquireTimeout.
	ErrTimeout = errors.New("no server connection came free in time")

	errSlow = errors.New("server has not answered yet")
)

// A GroupLimitError tells that the group held its share of the connections for
// the whole time that it may wait.
type GroupLimitError struct {
	Group string
	Limit int
}

func (e *GroupLimitError) Error() string {
	return fmt.Sprintf("group holds its limit of %d server connections", e.Limit)
}

// An UnavailableError tells that the server could not be reached, or refused
// us; Unwrap gives what was last tried.
type UnavailableError struct {
	Err error
}

func (e *UnavailableError) Error() string { return "server is not available: " + e.Err.Error() }

// Unwrap returns the failure of the last attempt to connect.
func (e *UnavailableError) Unwrap() error { return e.Err }

// A Config describes a pool. Zero values take the defaults named there.
type Config struct {
	Server         *pgconn.Config // where and as whom to connect; its AfterConnect prepares a connection
	Size           int            // server connections at most; 20
	PerGroup       int            // of these, held by one group at most; 0 is no limit
	MinIdle        int            // kept open though idle
	IdleTimeout    time.Duration  // idle ones beyond MinIdle are closed after; 5m
	MaxLifetime    time.Duration  // closed at this age, less a tenth at random; 1h
	AcquireTimeout time.Duration  // waited for a connection at most; 10s
	Silence        time.Duration  // a server that says nothing for so long, though asked, is given up; 30s
	MaxStatements  int            // prepared statements kept on one connection; 500
	Log            zerolog.Logger
}

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second

	// maxDials is how many connections are opened at once at most: a server that
	// has just come back is not met by all of them together.
	maxDials = 5
)

// A Pool keeps the connections to one database as one role. All methods may
// be called by any goroutine.
type Pool struct {
	cfg    Config
	ctx    context.Context // ends with Close: dials and upkeep stop
	cancel context.CancelFunc
	tasks  sync.WaitGroup // dials, retries and upkeep

	mu       sync.Mutex
	closed   bool
	idle     []*Conn // least recently used first
	leased   map[*Conn]struct{}
	checking map[*Conn]struct{} // idle ones whose servers are asked whether they are there
	dialing  int
	groups   map[string]*group
	spare    *group // to be used again; nil if there is none
	waiting  queue
	failure  error         // of the last dial, nil after a success
	backoff  time.Duration // before the next dial; 0 while dials succeed
	retry    bool          // a retry is scheduled
	stat     Stat
}

// New returns a pool without connections; Start opens MinIdle of them.
func New(cfg Config) (*Pool, error) {
	if cfg.Server == nil {
		return nil, errors.New("pool needs a server to connect to")
	}
	setDefault(&cfg.Size, 20)
	setDefault(&cfg.IdleTimeout, 5*time.Minute)
	setDefault(&cfg.MaxLifetime, time.Hour)
	setDefault(&cfg.AcquireTimeout, 10*time.Second)
	setDefault(&cfg.Silence, usualSilence)
	setDefault(&cfg.MaxStatements, 500)
	if cfg.Size < 0 || cfg.PerGroup < 0 || cfg.MinIdle < 0 || cfg.MinIdle > cfg.Size {
		return nil, fmt.Errorf("pool sizes out of range: size %d, per group %d, min idle %d", cfg.Size, cfg.PerGroup, cfg.MinIdle)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Pool{
		cfg: cfg, ctx: ctx, cancel: cancel,
		leased:   make(map[*Conn]struct{}),
		checking: make(map[*Conn]struct{}),
		groups:   make(map[string]*group),
	}, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Start opens the idle connections that are to be kept and begins the upkeep,
// which ends with Close.
func (p *Pool) Start() {
	p.tasks.Go(p.upkeep)
}

// TryAcquire leases an idle connection to a group, or returns nil where Acquire
// would wait.
func (p *Pool) TryAcquire(to Group) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	g := p.group(to)
	c := p.tryLease(g)
	p.dropGroup(g)
	return c
}

// Free reports whether TryAcquire would lease a connection to the group, if all
// that are idle are still good.
func (p *Pool) Free(to Group) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.group(to)
	defer p.dropGroup(g)
	return len(p.idle) > 0 && g.waiters.Len() == 0 && p.hasRoom(g)
}

// Acquire leases a connection to a group, waiting for one at most as long as
// group and pool allow. Waiting groups take turns; inside one, first come is
// first served. The error is ErrClosed, ErrTimeout, *GroupLimitError,
// *UnavailableError or that of ctx, whose deadline is a time to wait as well.
func (p *Pool) Acquire(ctx context.Context, to Group) (*Conn, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	g := p.group(to)
	if c := p.tryLease(g); c != nil {
		p.mu.Unlock()
		return c, nil
	}
	wait := p.cfg.AcquireTimeout
	if to.Wait > 0 {
		wait = min(wait, to.Wait)
	}
	w := newWaiter(wait)
	p.waiting.push(g, w)
	p.dialForWaiters()
	p.mu.Unlock()
	return p.await(ctx, g, w)
}

// tryLease leases an idle connection to g, unless others of g wait already.
func (p *Pool) tryLease(g *group) *Conn {
	if g.waiters.Len() == 0 && p.hasRoom(g) {
		if c := p.popIdle(); c != nil {
			p.lease(c, g)
			return c
		}
	}
	return nil
}

// await blocks until w is served, its time is up or ctx ends.
func (p *Pool) await(ctx context.Context, g *group, w *waiter) (*Conn, error) {
	defer w.free()
	start := time.Now()
	var err error
	select {
	case d := <-w.ready:
		p.mu.Lock()
		p.stat.WaitTime += time.Since(start)
		p.mu.Unlock()
		return d.conn, d.err
	case <-w.timer.C:
		err = ErrTimeout
	case <-ctx.Done():
		if err = context.Cause(ctx); errors.Is(err, context.DeadlineExceeded) {
			err = ErrTimeout // of the caller's time
		}
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.waiting.remove(g, w) { // served meanwhile
		d := <-w.ready
		if d.err != nil {
			return nil, d.err
		}
		if errors.Is(err, ErrTimeout) {
			return d.conn, nil
		}
		p.unlease(d.conn)
		p.offer(d.conn)
		return nil, err
	}
	defer p.dropGroup(g)
	if !errors.Is(err, ErrTimeout) {
		return nil, err
	}
	p.stat.Timeouts++
	switch {
	case !p.hasRoom(g):
		return nil, &GroupLimitError{Group: g.name, Limit: p.limit(g)}
	case p.failure != nil:
		return nil, &UnavailableError{Err: p.failure}
	case p.dialing > 0:
		return nil, &UnavailableError{Err: errSlow}
	default:
		return nil, ErrTimeout
	}
}

// Release gives back a connection whose last ReadyForQuery was idle, and on
// which nothing is outstanding. c must not be used again.
func (p *Pool) Release(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlease(c)
	if p.closed || c.buffered() || c.expired(time.Now()) {
		p.discard(c)
		p.dialForWaiters()
		return
	}
	p.offer(c)
}

// Destroy closes a connection whose state is unknown. c must not be used again.
func (p *Pool) Destroy(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlease(c)
	p.discard(c)
	p.dialForWaiters()
}

// Close closes the idle connections at once and the leased ones when they come
// back; waiters get ErrClosed. It waits for the pool's own goroutines.
func (p *Pool) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		for _, c := range p.idle {
			c.terminate()
		}
		p.stat.Destroyed += int64(len(p.idle))
		p.idle = nil
		p.failWaiters(ErrClosed)
	}
	p.mu.Unlock()
	p.cancel()
	p.tasks.Wait()
}

// hasRoom reports whether g may hold one more connection.
func (p *Pool) hasRoom(g *group) bool {
	limit := p.limit(g)
	return limit == 0 || g.held < limit
}

// limit is how many connections g may hold; 0 is as many as there are.
func (p *Pool) limit(g *group) int {
	if g.limit > 0 {
		return g.limit
	}
	return p.cfg.PerGroup
}

// popIdle takes the most recently used idle connection that is still alive.
func (p *Pool) popIdle() *Conn {
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		c := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		if !c.expired(time.Now()) && c.quiet() {
			return c
		}
		p.discard(c)
	}
	return nil
}

func (p *Pool) lease(c *Conn, g *group) {
	c.holder = g
	g.held++
	p.leased[c] = struct{}{}
	p.stat.Acquired++
}

// unlease ends the lease of c. A connection that is not leased is a bug here.
func (p *Pool) unlease(c *Conn) {
	if _, ok := p.leased[c]; !ok {
		panic("pool: connection given back twice")
	}
	delete(p.leased, c)
	g := c.holder
	c.holder = nil
	g.held--
	p.dropGroup(g)
}

// offer hands a good connection to the waiter whose turn it is, or keeps it.
func (p *Pool) offer(c *Conn) {
	if !p.serve(c) {
		c.idleSince = time.Now()
		c.heard = c.idleSince
		p.idle = append(p.idle, c)
	}
}

// serve hands a good connection to the waiter whose turn it is. It reports false
// if nobody waits who may have it.
func (p *Pool) serve(c *Conn) bool {
	g, w := p.waiting.next(p.hasRoom)
	if w == nil {
		return false
	}
	p.lease(c, g)
	w.ready <- delivery{conn: c}
	return true
}

func (p *Pool) discard(c *Conn) {
	c.terminate()
	p.stat.Destroyed++
}

// group returns what is kept of a group, made when it is new. What it may have
// is what was said last.
func (p *Pool) group(of Group) *group {
	g := p.groups[of.Name]
	if g == nil {
		if g, p.spare = p.spare, nil; g == nil {
			g = new(group)
		}
		g.name = of.Name
		p.groups[of.Name] = g
	}
	g.limit, g.weight = of.Limit, of.Weight
	return g
}

// dropGroup forgets a group that holds nothing and waits for nothing.
func (p *Pool) dropGroup(g *group) {
	if g.held == 0 && g.waiters.Len() == 0 && p.groups[g.name] == g {
		delete(p.groups, g.name)
		p.spare = g
	}
}

func (p *Pool) failWaiters(err error) {
	for {
		g, w := p.waiting.next(func(*group) bool { return true })
		if w == nil {
			return
		}
		w.ready <- delivery{err: err}
		p.dropGroup(g)
	}
}

// dialForWaiters starts as many dials as there are waiters they could serve.
func (p *Pool) dialForWaiters() {
	if p.closed {
		return
	}
	if p.failure != nil {
		p.scheduleRetry()
		return
	}
	for p.dialing < min(p.waiting.eligible(p.hasRoom), maxDials) && p.total() < p.cfg.Size {
		p.dialing++
		p.tasks.Go(p.dial)
	}
}

func (p *Pool) total() int { return len(p.idle) + len(p.checking) + len(p.leased) + p.dialing }

// scheduleRetry arranges for one dial after the backoff, if somebody waits.
func (p *Pool) scheduleRetry() {
	if p.retry || p.dialing > 0 || p.waiting.len() == 0 || p.total() >= p.cfg.Size {
		return
	}
	p.retry = true
	wait := p.backoff/2 + rand.N(p.backoff/2+1) // #nosec G404 -- jitter is no secret
	p.tasks.Go(func() {
		select {
		case <-time.After(wait):
		case <-p.ctx.Done():
		}
		p.mu.Lock()
		p.retry = false
		if p.closed || p.waiting.len() == 0 || p.total() >= p.cfg.Size {
			p.mu.Unlock()
			return
		}
		p.dialing++
		p.mu.Unlock()
		p.dial()
	})
}

// dial opens one connection and offers it. The caller has counted it in dialing.
func (p *Pool) dial() {
	c, err := connect(p.ctx, p.cfg)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing--
	if err != nil {
		p.dialFailed(err)
		return
	}
	p.stat.Dialed++
	p.failure, p.backoff = nil, 0
	if p.closed {
		p.discard(c)
		return
	}
	p.offer(c)
	p.dialForWaiters()
}

func (p *Pool) dialFailed(err error) {
	p.stat.DialFailures++
	if p.closed {
		return
	}
	if p.failure == nil {
		p.cfg.Log.Warn().Err(err).Msg("server is not available")
	}
	p.failure = err
	p.backoff = min(max(2*p.backoff, firstRetry), lastRetry)
	if hopeless(err) {
		p.failWaiters(&UnavailableError{Err: err})
	}
	p.scheduleRetry()
}

// upkeep closes connections that have been idle or alive too long and keeps
// MinIdle open.
func (p *Pool) upkeep() {
	tick := time.NewTicker(max(min(time.Second, p.cfg.IdleTimeout/4, p.cfg.Silence/4), time.Millisecond))
	defer tick.Stop()
	for {
		p.mu.Lock()
		now := time.Now()
		p.closeIdle(now)
		p.checkIdle(now)
		if p.failure == nil || p.waiting.len() == 0 && p.backoff >= lastRetry {
			for p.dialing < maxDials && len(p.idle)+len(p.checking)+p.dialing < p.cfg.MinIdle && p.total() < p.cfg.Size {
				p.dialing++
				p.tasks.Go(p.dial)
			}
		}
		p.mu.Unlock()
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *Pool) closeIdle(now time.Time) {
	kept := p.idle[:0]
	spare := len(p.idle) + len(p.checking) - p.cfg.MinIdle
	for _, c := range p.idle {
		tired := now.Sub(c.idleSince) > p.cfg.IdleTimeout && spare > 0
		if tired || c.expired(now) || !c.quiet() {
			p.discard(c)
			spare--
			continue
		}
		kept = append(kept, c)
	}
	clear(p.idle[len(kept):])
	p.idle = kept
}

package auth

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// A Throttle says how failed attempts are slowed. Zero values take the
// defaults named there.
type Throttle struct {
	FirstDelay time.Duration // after one failure, doubled by each further one; 100ms
	MaxDelay   time.Duration // 5s
	Forget     time.Duration // after the last failure; 10m
	Entries    int           // addresses, logins and pairs of them remembered; 16384 of each
}

// A throttle delays attempts after failures. Neither a login's nor an
// address's failures delay anybody for longer than MaxDelay: whoever hammers
// at a login, or from behind a shared address, must not lock out the others.
// A pair of login and address takes turns, and is refused once its queue is
// longer than two delays. A pair whose last attempt succeeded is not delayed.
type throttle struct {
	cfg  Throttle
	seed maphash.Seed

	mu     sync.Mutex
	addrs  *simplelru.LRU[netip.Prefix, *failures]
	logins *simplelru.LRU[uint64, *failures]
	pairs  *simplelru.LRU[pair, *failures]
	good   *simplelru.LRU[pair, struct{}]
	stat   Stat
}

// A Stat is a snapshot of what came of wrong passwords, since New.
type Stat struct {
	Failures  int64         // wrong passwords, and proofs for unknown logins
	Delayed   int64         // attempts that had to wait
	Delay     time.Duration // of all of them
	Throttled int64         // attempts that were not looked at
}

// Stat returns the counters as they are now. They go on after Renew.
func (a *Authenticator) Stat() Stat {
	a.throttle.mu.Lock()
	defer a.throttle.mu.Unlock()
	return a.throttle.stat
}

// A pair holds the login's hash: names are the client's and may be long.
type pair struct {
	login uint64
	addr  netip.Prefix
}

type failures struct {
	count int
	last  time.Time
	next  time.Time // when the next attempt of a pair has its turn
}

func newThrottle(cfg Throttle) *throttle {
	setDefault(&cfg.FirstDelay, 100*time.Millisecond)
	setDefault(&cfg.MaxDelay, 5*time.Second)
	setDefault(&cfg.Forget, 10*time.Minute)
	setDefault(&cfg.Entries, 16384)
	return &throttle{
		cfg:    cfg,
		seed:   maphash.MakeSeed(),
		addrs:  newLRU[netip.Prefix, *failures](cfg.Entries),
		logins: newLRU[uint64, *failures](cfg.Entries),
		pairs:  newLRU[pair, *failures](cfg.Entries),
		good:   newLRU[pair, struct{}](cfg.Entries),
	}
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

func newLRU[K comparable, V any](size int) *simplelru.LRU[K, V] {
	lru, err := simplelru.NewLRU[K, V](size, nil)
	if err != nil {
		panic(err) // only for a size that setDefault does not let through
	}
	return lru
}

// An attempt is one client's try to log in.
type attempt struct {
	throttle *throttle
	pair     pair
}

func (t *throttle) attempt(user string, addr netip.Addr) attempt {
	return attempt{t, pair{login: maphash.String(t.seed, user), addr: network(addr)}}
}

// network is what counts as one address: of IPv6 the network that one host is
// given. Unix sockets are one address too.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// wait returns when the attempt may be looked at; the error is ErrThrottled or
// that of ctx.
func (a attempt) wait(ctx context.Context) error {
	delay, err := a.throttle.delay(a.pair, time.Now())
	if err != nil || delay <= 0 {
		return err
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait after failed attempts: %w", context.Cause(ctx))
	}
}

func (t *throttle) delay(p pair, now time.Time) (time.Duration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.good.Get(p); ok {
		return 0, nil
	}
	turn := now
	for _, f := range []*failures{get(t, t.addrs, p.addr, now), get(t, t.logins, p.login, now)} {
		if f != nil {
			turn = later(turn, f.last.Add(t.backoff(f.count)))
		}
	}
	if f := get(t, t.pairs, p, now); f != nil {
		turn = later(turn, f.next)
		if turn.Sub(now) > 2*t.cfg.MaxDelay {
			t.stat.Throttled++
			return 0, ErrThrottled
		}
		f.next = turn.Add(t.backoff(f.count))
	}
	if turn.After(now) {
		t.stat.Delayed++
		t.stat.Delay += turn.Sub(now)
	}
	return turn.Sub(now), nil
}

// failed counts a wrong password.
func (a attempt) failed() {
	t, now := a.throttle, time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stat.Failures++
	t.good.Remove(a.pair)
	count(t, t.addrs, a.pair.addr, now)
	count(t, t.logins, a.pair.login, now)
	f := count(t, t.pairs, a.pair, now)
	f.next = later(f.next, now.Add(t.backoff(f.count)))
}

// succeeded lets the pair through without delay from now on.
func (a attempt) succeeded() {
	t := a.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pairs.Remove(a.pair)
	t.good.Add(a.pair, struct{}{})
}

// backoff is the delay after that many failures, at least one.
func (t *throttle) backoff(count int) time.Duration {
	delay := t.cfg.FirstDelay
	for range count - 1 {
		if delay >= t.cfg.MaxDelay {
			break
		}
		delay *= 2
	}
	return min(delay, t.cfg.MaxDelay)
}

// get returns what is remembered under key, nil if nothing or long ago.
func get[K comparable](t *throttle, lru *simplelru.LRU[K, *failures], key K, now time.Time) *failures {
	f, ok := lru.Get(key)
	if !ok {
		return nil
	}
	if now.Sub(f.last) > t.cfg.Forget {
		lru.Remove(key)
		return nil
	}
	return f
}

func count[K comparable](t *throttle, lru *simplelru.LRU[K, *failures], key K, now time.Time) *failures {
	f := get(t, lru, key, now)
	if f == nil {
		f = &failures{}
		lru.Add(key, f)
	}
	f.count++
	f.last = now
	return f
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

package proxy

import (
	"errors"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"tenantgate/rewrite"
)

// maxKinds bounds how many kinds of refusals, or of errors, one tenant's tally
// tells apart. Rules and SQLSTATEs are far fewer, but for those that functions
// of a database make up.
const maxKinds = 300

// A counts is what one session does, message by message. Only its own
// goroutine writes, so no two cores are after the same one.
type counts struct {
	statements     atomic.Int64
	received, sent atomic.Int64 // bytes from and to the client
	queries        timing       // from a query, or a pipeline's first message, to ReadyForQuery
	transactions   timing
}

// durations are the bounds of a timing's steps.
var durations = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second,
}

// A timing counts durations by steps. The last step is for those above all bounds.
type timing struct {
	steps [len(durations) + 1]atomic.Int64
	total atomic.Int64 // nanoseconds
}

func (t *timing) observe(d time.Duration) {
	step := 0
	for step < len(durations) && d > durations[step] {
		step++
	}
	t.steps[step].Add(1)
	t.total.Add(int64(d))
}

// A timingStat is a timing as it was at one moment.
type timingStat struct {
	steps [len(durations) + 1]int64
	total time.Duration
}

func (t *timingStat) add(other *timing) {
	for i := range t.steps {
		t.steps[i] += other.steps[i].Load()
	}
	t.total += time.Duration(other.total.Load())
}

func (t *timingStat) count() int64 {
	var n int64
	for _, step := range t.steps {
		n += step
	}
	return n
}

// A countsStat is the sum of sessions' counts.
type countsStat struct {
	statements, received, sent int64
	queries, transactions      timingStat
}

func (c *countsStat) add(other *counts) {
	c.statements += other.statements.Load()
	c.received += other.received.Load()
	c.sent += other.sent.Load()
	c.queries.add(&other.queries)
	c.transactions.add(&other.transactions)
}

// A refusalKind is how refusals are told apart. Rules are listed in
// docs/rules.md; what needs none has an SQLSTATE alone.
type refusalKind struct {
	rule, code string
}

// A tally is what the sessions of one tenant have done that is rare, and what
// those that are gone have done in all.
type tally struct {
	apart atomic.Int64 // so many more lookups go by themselves

	mu         sync.Mutex
	gone       countsStat
	refusals   tallied
	letThrough tallied  // in observe mode
	errors     tallied  // of the server, by the class of their SQLSTATE
	pins       [8]int64 // by the bit of the reason
}

func newTally() *tally {
	return &tally{refusals: make(tallied), letThrough: make(tallied), errors: make(tallied)}
}

// A tallied counts by kinds.
type tallied map[refusalKind]int64

// add counts one. Kinds beyond maxKinds are counted as other.
func (t tallied) add(kind refusalKind) {
	if _, known := t[kind]; !known && len(t) >= maxKinds {
		kind = refusalKind{rule: "other"}
	}
	t[kind]++
}

func (t tallied) total() int64 {
	var n int64
	for _, count := range t {
		n += count
	}
	return n
}

// leave takes over what a session has counted that ends, or changes its tenant.
func (t *tally) leave(c *counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone.add(c)
}

func (t *tally) refused(kind refusalKind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusals.add(kind)
}

func (t *tally) passedOver(kind refusalKind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.letThrough.add(kind)
}

func (t *tally) failed(code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errors.add(refusalKind{code: code[:min(2, len(code))]})
}

// pinned counts the reasons that a session has not been pinned for before.
func (t *tally) pinned(reasons pinReason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ; reasons != 0; reasons &= reasons - 1 {
		t.pins[bits.TrailingZeros8(uint8(reasons))]++
	}
}

// kindOf tells a refusal's kind.
func kindOf(refusal error) refusalKind {
	e, _ := Translate(refusal)
	kind := refusalKind{code: e.Code}
	var unsupported *rewrite.UnsupportedError
	var forbidden *rewrite.ForbiddenError
	switch {
	case errors.As(refusal, &unsupported):
		kind.rule = unsupported.Rule
	case errors.As(refusal, &forbidden):
		kind.rule = forbidden.Rule
	}
	return kind
}

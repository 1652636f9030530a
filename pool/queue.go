package pool

import (
	"container/list"
	"sync"
	"time"
)

// A Group is whoever shares a limit and a turn: the pool does not know that it
// is a tenant.
type Group struct {
	Name   string
	Limit  int           // connections held at once at most; 0 means Config.PerGroup
	Weight int           // connections handed to it in one turn; 0 means 1
	Wait   time.Duration // for a connection, if that is less than Config.AcquireTimeout
}

// A group is what the pool keeps of a Group that holds connections or waits.
type group struct {
	name    string
	limit   int
	weight  int
	held    int       // connections leased to it
	waiters list.List // of *waiter, oldest first
	turn    *list.Element
	served  int // waiters in this turn
}

// A waiter is one blocked Acquire.
type waiter struct {
	ready chan delivery // buffered: serving never blocks
	timer *time.Timer
	place *list.Element
}

// waiters are used again: every transaction may need one where clients are many
// and connections few.
var waiters = sync.Pool{New: func() any {
	return &waiter{ready: make(chan delivery, 1), timer: time.NewTimer(time.Hour)}
}}

func newWaiter(patience time.Duration) *waiter {
	w := waiters.Get().(*waiter)
	w.timer.Reset(patience)
	return w
}

// free ends the use of a waiter that nobody will serve any more.
func (w *waiter) free() {
	w.timer.Stop()
	waiters.Put(w)
}

// A delivery is what a waiter gets: a connection or why there is none.
type delivery struct {
	conn *Conn
	err  error
}

// A queue gives waiting groups turns in a round, and serves the oldest waiters
// of the group whose turn it is, as many as it has weight. The pool's lock
// guards it.
type queue struct {
	round list.List // of *group with waiters, next first
	count int
}

func (q *queue) len() int { return q.count }

func (q *queue) push(g *group, w *waiter) {
	w.place = g.waiters.PushBack(w)
	if g.turn == nil {
		g.turn = q.round.PushBack(g)
	}
	q.count++
}

// remove takes out a waiter that gave up. It reports false if w was served.
func (q *queue) remove(g *group, w *waiter) bool {
	if w.place == nil {
		return false
	}
	q.take(g, w)
	return true
}

// next takes out the waiter whose turn it is among the groups that may hold
// one more; nil if there is none.
func (q *queue) next(hasRoom func(*group) bool) (*group, *waiter) {
	for e := q.round.Front(); e != nil; e = e.Next() {
		g := e.Value.(*group)
		if !hasRoom(g) {
			continue
		}
		w := g.waiters.Front().Value.(*waiter)
		if g.served++; g.served >= g.weight {
			g.served = 0
			q.round.MoveToBack(e)
		}
		q.take(g, w)
		return g, w
	}
	return nil, nil
}

// eligible counts the waiters in groups that may hold one more.
func (q *queue) eligible(hasRoom func(*group) bool) int {
	n := 0
	for e := q.round.Front(); e != nil; e = e.Next() {
		if g := e.Value.(*group); hasRoom(g) {
			n += g.waiters.Len()
		}
	}
	return n
}

func (q *queue) take(g *group, w *waiter) {
	g.waiters.Remove(w.place)
	w.place = nil
	q.count--
	if g.waiters.Len() == 0 {
		q.round.Remove(g.turn)
		g.turn, g.served = nil, 0
	}
}

package proxy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tenantgate/auth"
)

// What a session does is timed by the proxy's clock, which no client can set.
// One timer serves a session. It is armed when something begins and is left
// alone when that ends, so that a statement costs no more than a look at the
// time. A group is timed as a whole: PostgreSQL holds back what tells where its
// statements end.

const (
	// glance is how often a session that keeps its client waiting looks whether
	// the client is still there.
	glance = time.Second

	// grace is how long a statement may go on that is being cancelled before its
	// server connection is cut off, and then how long until its client is.
	grace = 5 * time.Second
)

var (
	// errClientLost ends a statement whose client is gone; nobody hears of it.
	errClientLost = newError("08006", "connection to client lost", "")
	// errCanceled is a statement that its client cancelled while no server ran it.
	errCanceled = newError("57014", "canceling statement due to user request", "")
	// errCareTimeout is a server that does not answer what the proxy asks it
	// after a transaction.
	errCareTimeout = newError("08006", "server does not answer", "The session goes on; run-time parameters and prepared statements are kept.")
)

// An activity is what a session is at, as far as it is timed.
type activity uint8

const (
	atRest    activity = iota // waits for its client's next transaction, or works for a moment
	queued                    // waits for a server connection
	along                     // waits for another session, whose batch has its lookup
	running                   // a server connection runs the client's statement
	caring                    // a server connection runs statements of the proxy's own
	idleInTxn                 // holds a server connection and waits for its client
)

// A stopwatch is what is timed of a session. The session's lock guards it.
type stopwatch struct {
	activity  activity
	since     time.Time
	statement time.Duration // running at most; 0 is no limit
	idle      time.Duration // idleInTxn at most; 0 is no limit
	overdue   *Error        // why what is under way is being stopped
	stopping  time.Time     // since when
	cut       bool          // the server connection has been cut off
	asked     bool          // the server has been asked to cancel what is under way
	ending    *Error        // why the whole session is being ended
	canceled  bool          // the client cancelled a COPY from it, which waits for more
	copying   bool          // running is such a COPY

	stopWaiting context.CancelCauseFunc // of queued and along

	timer *time.Timer // made when first needed
	fires time.Time   // zero: not armed
	looks sync.WaitGroup
}

// setTimeouts sets the limits on time to those of a tenant.
func (s *session) setTimeouts(l auth.Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopwatch.statement, s.stopwatch.idle = l.StatementTimeout, l.IdleInTransactionTimeout
}

// begin notes what the session is at from now on.
func (s *session) begin(what activity) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopwatch.activity, s.stopwatch.since, s.stopwatch.asked = what, now, false
	s.arm(now)
}

// end notes that the session is at rest.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.stopwatch
	if t.cut && s.conn != nil {
		_ = s.conn.Net.SetDeadline(time.Time{}) // it may have come to its end all the same
	}
	t.activity, t.overdue, t.cut = atRest, nil, false
}

// overdue is why what is under way is being stopped; nil if it is not.
func (s *session) overdue() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopwatch.overdue
}

// asked reports whether the server has been asked to cancel what is under way.
func (s *session) asked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopwatch.asked
}

// ending is why the whole session is being ended; nil if it is not.
func (s *session) ending() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopwatch.ending
}

// beginCopy has a COPY from the client timed as one statement.
func (s *session) beginCopy() {
	s.mu.Lock()
	s.stopwatch.copying, s.stopwatch.canceled = true, false
	s.mu.Unlock()
	s.begin(running)
}

// endCopying ends that: what follows is timed by itself.
func (s *session) endCopying() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopwatch.copying, s.stopwatch.canceled = false, false
}

// copyStopped is why a COPY must not go on, though no server says so.
func (s *session) copyStopped() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopwatch.overdue != nil:
		return s.stopwatch.overdue
	case s.stopwatch.canceled:
		return errCanceled
	default:
		return nil
	}
}

// arm makes the timer fire when there is next something to look at. The lock is
// held.
func (s *session) arm(now time.Time) {
	t := &s.stopwatch
	var limit time.Duration
	switch t.activity {
	case running, along:
		limit = t.statement
	case idleInTxn:
		if limit = t.idle; limit == 0 {
			return // its reading tells when the client goes
		}
	case queued, caring:
	case atRest:
		return
	}
	next := now.Add(glance)
	if limit > 0 && (t.activity == idleInTxn || t.overdue == nil && t.since.Add(limit).Before(next)) {
		next = t.since.Add(limit)
	}
	if !t.fires.IsZero() && !t.fires.After(next) {
		return // it looks before, and then arms itself again
	}
	t.fires = next
	switch {
	case t.timer == nil:
		t.looks.Add(1)
		t.timer = time.AfterFunc(next.Sub(now), s.look)
	case !t.timer.Reset(next.Sub(now)):
		t.looks.Add(1)
	}
}

// look is run by the timer: it stops what has taken too long, or what nobody
// waits for any more.
func (s *session) look() {
	defer s.stopwatch.looks.Done()
	if cancel := s.examine(time.Now()); cancel {
		s.cancelServer(s.server.ctx)
	}
}

// examine decides on what is under way. It reports whether the server is to be
// asked to cancel it.
func (s *session) examine(now time.Time) (cancel bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.stopwatch
	t.fires = time.Time{}
	taken := now.Sub(t.since)
	switch t.activity {
	case atRest:
		return false
	case queued, along:
		switch {
		case gone(s.client):
			t.stopWaiting(errClientLost)
		case t.activity == along && t.statement > 0 && taken >= t.statement:
			t.stopWaiting(statementTimeout(t.statement))
		}
	case idleInTxn:
		if t.idle > 0 && taken >= t.idle {
			t.ending = idleTimeout(t.idle)
			_ = s.client.SetReadDeadline(time.Unix(1, 0))
			return false
		}
	case caring:
		if taken >= cleanTimeout {
			t.overdue = errCareTimeout
			s.cutServer()
		}
	case running:
		switch {
		case t.overdue != nil && now.Sub(t.stopping) >= 2*grace:
			t.ending = t.overdue
			_ = s.client.SetDeadline(time.Unix(1, 0)) // it takes no answer, or sends no end of its COPY
			return false
		case t.overdue != nil:
			if now.Sub(t.stopping) >= grace {
				s.cutServer()
			}
		case s.conn != nil && s.conn.Unreachable():
			t.overdue, t.stopping = errServerLost, now
			s.backend.pool.Suspect()
			s.cutServer()
		case t.statement > 0 && taken >= t.statement:
			t.overdue, cancel = statementTimeout(t.statement), true
		case gone(s.client):
			t.overdue, cancel = errClientLost, true
		}
		if cancel {
			t.stopping = now
		}
	}
	s.arm(now)
	return cancel
}

// cutServer wakes whoever reads or writes the server connection. The lock is
// held.
func (s *session) cutServer() {
	if s.conn != nil {
		s.stopwatch.cut = true
		_ = s.conn.Net.SetDeadline(time.Unix(1, 0))
	}
}

// stopTiming ends the timing of a session that is over, and waits until nothing
// of it is under way.
func (s *session) stopTiming() {
	s.mu.Lock()
	s.stopwatch.activity = atRest
	if timer := s.stopwatch.timer; timer != nil && timer.Stop() {
		s.stopwatch.looks.Done()
	}
	s.mu.Unlock()
	s.stopwatch.looks.Wait()
}

func statementTimeout(limit time.Duration) *Error {
	return &Error{
		Code: "57014", Message: "canceling statement due to statement timeout",
		Detail: fmt.Sprintf("limits.statement_timeout of the tenant is %s.", limit),
	}
}

func idleTimeout(limit time.Duration) *Error {
	return &Error{
		Code: "25P03", Message: "terminating connection due to idle-in-transaction timeout",
		Detail: fmt.Sprintf("limits.idle_in_transaction_timeout of the tenant is %s.", limit),
	}
}

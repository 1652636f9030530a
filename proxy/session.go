package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"tenantgate/auth"
	"tenantgate/pool"
	"tenantgate/rewrite"
)

// directWrite is what goes to the server in one blocking write. More could
// fill both directions' socket buffers and block for ever, so it is written
// while replies are read.
const directWrite = 32 << 10

// unfinishedGroup is how much of a pipeline is held before its Sync has come.
const unfinishedGroup = 256 << 10

// errGone ends a session whose client has left or is not worth talking to.
var errGone = errors.New("client is gone")

// A session serves one client. One goroutine runs it; what another one may
// touch (cancel, drain) is behind the lock.
//
// A client's messages go to the server one group at a time: up to and
// including a Query or a Sync. So the transaction status is known whenever a
// group begins, and a server connection is leased for whole groups.
type session struct {
	server  *Server
	id      uint32 // of BackendKeyData
	secret  []byte
	client  net.Conn // a *tls.Conn once TLS is up
	in      *reader
	out     []byte // answers not yet written to the client
	send    []byte // messages not yet written to the server
	log     zerolog.Logger
	backend *backend

	identity   *auth.Identity
	untenanted zerolog.Logger // what log is made of when a tenant is chosen
	begun      time.Time
	clock      clock
	shown      shown
	tenant     *auth.Tenant    // nil until one is chosen; changes under the server's lock, as the next two
	operator   bool            // confined by no tenant
	tally      *tally          // of the tenant
	counts     *counts         // while it was this tenant's
	values     *rewrite.Values // the tenant's
	place      *place

	mail      mailbox
	listening []subscription
	changes   []channelChange // of what the session listens on, in this transaction
	marks     string          // of the changes, as the server told last
	owed      bool            // the client waits for ReadyForQuery, until the changes are made

	machine
	args        bindArgs              // of the Bind message under way
	literals    []string              // of the lookup under way
	guest       *guest                // it, while others may take it along; nil before the first one
	guests      []*guest              // others' lookups that go along with the session's; nil: told
	batch       *pool.Statement       // whose batch is under way; nil if none is
	left        time.Time             // when it left
	again       string                // the SQLSTATE it was refused with: its query is to be sent as it came
	load        *copyLoad             // the COPY under way that the client's rows go into
	unloading   bool                  // a COPY to the client is under way whose text is the proxy's
	copied      int                   // rows that a COPY has inserted
	timedCopy   bool                  // a COPY from the client is under way, timed as a whole
	partial     int                   // bytes still to come of a message that is passed on in pieces
	passingOver bool                  // or is too large for whoever it is for
	tainted     bool                  // a statement that was let through may have run on the server connection
	drawing     bool                  // this transaction's server connection has been told to forget sequences
	drawn       bool                  // and it has
	confined    bool                  // this transaction's server connection carries the tenant
	block       bool                  // in a transaction block that nothing which was sent ends
	beginning   bool                  // the last statement that was sent is BEGIN
	held        holding               // what the server connection has of the session
	defined     bool                  // operator: this transaction may have changed definitions
	deallocated bool                  // operator: and its server connection has none of the proxy's statements
	leftover    uint64                // operator: the number of what it may leave on server connections
	swallowed   bool                  // a Sync went by during COPY FROM STDIN: the server ignores it
	cleaning    bool                  // DISCARD ALL is under way: what it makes the server report is not the client's
	statements  map[string]*prepared  // by the client's names; "" is the unnamed one
	portals     map[string]*prepared  // of this transaction
	ownPortals  map[string]*ownPortal // of this transaction, not on the server
	path        string                // what search_path is set to in this transaction; "" is the role's own
	settings    map[string]string     // run-time parameters the client set, by lower-case name
	initial     map[string]string     // those of its start-up packet
	reported    map[string]string     // ParameterStatus as the client knows it
	greeted     map[string]string     // what has changed of it, as it was when the session began
	touched     map[string]bool       // parameters set in this transaction, and whether they were reset last

	waits    context.Context // of all waits for a server connection, until one is cancelled
	cancels  atomic.Int32    // cancel requests under way
	handover sync.Mutex      // held while the server takes notice of one; before mu

	mu        sync.Mutex
	conn      *pool.Conn // leased, else nil
	waiting   bool       // blocked reading from the client, nothing leased
	draining  bool
	stopwatch stopwatch
}

// run serves a client that has been greeted until it leaves, ctx ends or the
// proxy drains. It owns the client's connection.
func (s *session) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.interrupt)
	defer stop()
	defer s.stopTiming()
	defer s.abandon()
	for {
		typ, body, err := s.next()
		if err != nil {
			return s.parting(err)
		}
		s.clock.start()
		err = s.message(ctx, typ, body)
		if typ == 'Q' || typ == 'S' || typ == 'F' {
			s.clock.stop(s.counts, s.status)
		}
		if err != nil {
			return s.parting(err)
		}
	}
}

// next waits for the client's next message. Between transactions a draining
// proxy ends the wait.
func (s *session) next() (typ byte, body []byte, err error) {
	if s.shown.killed.Load() {
		return 0, nil, errKilled
	}
	if s.in.buffered() {
		if s.between() && s.isDraining() {
			return 0, nil, errDraining
		}
		return s.in.next()
	}
	for {
		mailed, err := s.deliver()
		if err != nil {
			return 0, nil, err
		}
		s.mu.Lock()
		s.waiting = s.between()
		s.shown.enter(s.resting())
		drained := s.waiting && s.draining
		if !s.waiting && s.stopwatch.idle > 0 {
			s.stopwatch.activity, s.stopwatch.since = idleInTxn, time.Now()
			s.arm(s.stopwatch.since)
		}
		s.mu.Unlock()
		if drained {
			return 0, nil, errDraining
		}
		typ, body, err = s.in.next()
		woken := mailed && s.mail.waited()
		s.mu.Lock()
		s.waiting = false
		s.shown.enter(stateActive)
		drained = s.draining && s.between()
		s.stopwatch.activity = atRest
		ending := s.stopwatch.ending
		over := s.over()
		if woken && !over {
			_ = s.client.SetReadDeadline(time.Time{})
		}
		s.mu.Unlock()
		switch {
		case ending != nil:
			return 0, nil, ending
		case drained:
			return 0, nil, errDraining
		case woken && !over && errors.Is(err, os.ErrDeadlineExceeded):
			continue
		}
		return typ, body, err
	}
}

// over reports whether something may have ended a read from the client, or is to
// end it: its deadline stays. The lock is held.
func (s *session) over() bool {
	return s.draining || s.stopwatch.ending != nil || s.shown.killed.Load() || s.server.ctx.Err() != nil
}

// deliver hands the client its notifications if it is told of any now. It
// reports whether the wait for the client ends when one comes.
func (s *session) deliver() (wakes bool, err error) {
	for s.between() && s.status == 'I' && s.idle() && !s.skipping && len(s.out) == 0 {
		if s.mail.wait() {
			return true, nil
		}
		if s.out, err = s.mail.take(s.out); err != nil {
			return false, err
		}
		if err := s.flush(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// message acts on one message of the client. An error ends the session.
func (s *session) message(ctx context.Context, typ byte, body []byte) error {
	if s.skipping && typ != 'S' && typ != 'X' {
		return nil // as the server does after an error, up to Sync
	}
	switch typ {
	case 'Q':
		return s.query(ctx, body)
	case 'P':
		return s.parse(ctx, body)
	case 'B':
		return s.bind(ctx, body)
	case 'D':
		return s.describe(ctx, body)
	case 'E':
		return s.execute(ctx, body)
	case 'C':
		return s.close(ctx, body)
	case 'H':
		return s.flushGroup()
	case 'S':
		return s.sync()
	case 'X':
		return errGone
	case 'F':
		if s.operator {
			return s.functionCall(ctx, body)
		}
		return s.refuseSimple(errNoFastPath)
	case 'd', 'c', 'f':
		return nil // left over from a COPY that failed: PostgreSQL ignores them too
	default:
		return newError("08P01", fmt.Sprintf("invalid frontend message type %d", typ), "")
	}
}

// lease gets a server connection for the transaction that begins, set up as
// the client wants it. A failure is one of the statement, not of the session.
func (s *session) lease(ctx context.Context) error {
	if s.conn != nil {
		s.held.kept = false
		return nil
	}
	if s.tenant == nil && !s.operator {
		return errTenantUnknown
	}
	c := s.backend.pool.TryAcquire(s.group())
	if c == nil {
		var err error
		s.shown.enter(stateWaiting)
		c, err = s.queue(ctx)
		s.shown.enter(stateActive)
		switch {
		case err != nil && s.shown.killed.Load():
			return errKilled
		case err != nil:
			return s.unavailable(err)
		}
	}
	s.shown.serverPID.Store(c.PID)
	s.mu.Lock()
	s.conn = c
	s.mu.Unlock()
	if s.shown.killed.Load() { // while it waited
		s.destroy()
		return errKilled
	}
	if s.backend.alone || s.operator { // where any statement may notify, by a trigger
		s.backend.senders.note(c.PID, s.id)
	}
	s.settle()
	if s.status == 'E' {
		s.failBlock()
	}
	return nil
}

// group is whose share of the pool the session takes from.
func (s *session) group() pool.Group {
	if s.tenant == nil {
		return pool.Group{Name: s.identity.Login}
	}
	return groupOf(s.tenant)
}

// queue waits for a server connection, until the client cancels or leaves.
func (s *session) queue(ctx context.Context) (*pool.Conn, error) {
	s.beginWaiting(ctx, queued)
	defer s.end()
	c, err := s.backend.pool.Acquire(s.waits, s.group())
	if s.tenant != nil {
		err = limitReached(err, s.tenant.Limits)
	}
	return c, err
}

// beginWaiting begins a wait, queued or along, for as long as waits lasts.
func (s *session) beginWaiting(ctx context.Context, what activity) {
	s.mu.Lock()
	if s.waits == nil || s.waits.Err() != nil {
		s.waits, s.stopwatch.stopWaiting = context.WithCancelCause(ctx)
	}
	s.mu.Unlock()
	s.begin(what)
}

// exchange writes what is pending to the server and relays the answers until
// none is outstanding. A server that fails is reported to the client; only an
// error that ends the session is returned.
func (s *session) exchange() error {
	if s.conn == nil {
		s.out = s.fakes(s.out)
		return s.flush()
	}
	nested := s.beginExchange()
	var writing *sync.WaitGroup
	if len(s.send) <= directWrite {
		s.conn.Request(s.send)
	} else {
		writing = writeBeside(s.conn.Net, s.send)
		s.send = nil
	}
	err := s.relay() // even after a failed write: the server may have said why
	if c := s.conn; err == nil && c != nil {
		err = c.Flush() // nothing was to be read
	}
	s.send = s.send[:0]
	for err == nil && s.copyingIn {
		if s.load != nil {
			err = s.feedLoad(s.load)
		} else {
			err = s.feedCopy()
		}
		if err == nil {
			err = s.relay()
		}
	}
	if why := s.overdue(); err != nil && why != nil && !errors.Is(err, errGone) {
		err = errors.Join(why, err)
	}
	if !nested {
		s.end()
	}
	if err != nil && errors.Is(err, errGone) {
		s.destroy() // also ends a write that is still under way
	}
	if err != nil && !errors.Is(err, errGone) {
		err = s.lost(err)
	}
	if writing != nil {
		writing.Wait()
	}
	return err
}

// writeBeside writes while its caller reads. The caller waits for it.
func writeBeside(c net.Conn, pending []byte) *sync.WaitGroup {
	var writing sync.WaitGroup
	writing.Go(func() {
		if _, err := c.Write(pending); err != nil {
			_ = c.SetReadDeadline(time.Unix(1, 0)) // wakes the relay
		}
	})
	return &writing
}

// beginExchange has an exchange timed, unless it is part of what already is.
func (s *session) beginExchange() (nested bool) {
	if s.timedCopy {
		return true
	}
	if slices.ContainsFunc(s.outstanding, func(r request) bool { return !r.upkeep }) {
		s.begin(running)
		return false
	}
	s.handover.Lock()   // a cancel request under way is for the client's statement
	s.handover.Unlock() //nolint:staticcheck // nothing to do but wait
	s.begin(caring)
	return false
}

// settled is called after each ReadyForQuery: outside a transaction the server
// connection goes back.
func (s *session) settled() error {
	s.skipping = false
	if s.status != 'I' {
		return nil
	}
	if s.conn != nil && s.deallocated {
		if err := s.prepareAgain(); err != nil {
			return err
		}
	}
	if err := s.settleChannels(); err != nil {
		return err
	}
	s.confined, s.drawing, s.drawn = false, false, false
	clear(s.portals)
	clear(s.ownPortals)
	if s.conn == nil {
		clear(s.touched)
		return nil
	}
	if s.defined {
		s.definitionsSettled()
	}
	if len(s.touched) > 0 {
		if err := s.readBack(); err != nil {
			return err
		}
	}
	if s.conn == nil {
		return nil // lost meanwhile
	}
	if s.tainted || !s.released() {
		s.destroy()
		return nil
	}
	if kept, err := s.settleHolding(); kept || err != nil || s.conn == nil {
		return err
	}
	s.release()
	return nil
}

// between reports whether no transaction or group of messages is under way.
func (s *session) between() bool { return s.conn == nil || s.held.kept }

// release gives the leased server connection back to the pool.
func (s *session) release() {
	c := s.part()
	s.held.forget()
	if s.shown.killed.Load() {
		s.backend.pool.Destroy(c) // it has a deadline
		return
	}
	s.backend.pool.Release(c)
}

// part takes the leased server connection from the session, once no cancel
// request for it is under way.
func (s *session) part() *pool.Conn {
	s.handover.Lock()
	defer s.handover.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conn
	s.conn = nil
	s.shown.release()
	return c
}

// destroy closes the leased server connection.
func (s *session) destroy() {
	c := s.part()
	s.dropChanges()
	s.send = s.send[:0]
	s.confined, s.tainted, s.drawing, s.drawn = false, false, false, false
	s.deallocated = false // of a connection that is gone
	s.held.forget()
	clear(s.portals)
	clear(s.ownPortals)
	clear(s.touched)
	if c != nil {
		s.backend.pool.Destroy(c)
	}
}

// abandon ends what the session has: an unfinished transaction dies with its
// server connection.
func (s *session) abandon() {
	s.dropChanges()
	s.unlistenAll()
	s.leave()
	if stop := s.stopwatch.stopWaiting; stop != nil {
		stop(nil)
	}
	_ = s.client.Close()
}

// parting tells the client why the session ends, if it can still be told, and
// returns what the log should know: nil for an ordinary end.
func (s *session) parting(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && s.shown.killed.Load():
		err = errKilled
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errDraining
		if why := s.ending(); why != nil {
			err = why
		}
	case errors.Is(err, errGone), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	}
	var told *Error
	if errors.As(err, &told) || errors.Is(err, errMalformed) {
		_ = s.client.SetWriteDeadline(time.Now().Add(time.Second))
		s.emitError("FATAL", err)
		_ = s.flush()
		if errors.Is(err, errDraining) || errors.Is(err, errKilled) {
			return nil
		}
	}
	return err
}

// emitError queues an error for the client.
func (s *session) emitError(severity string, err error) {
	msg, internal := errorResponse(severity, err)
	if internal {
		s.log.Error().Err(err).Msg("internal error")
	}
	out, encodeErr := msg.Encode(s.out)
	if encodeErr != nil {
		s.log.Error().Err(encodeErr).Msg("error message cannot be encoded")
		return
	}
	s.out = out
}

// flush writes the pending answers to the client.
func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	n, err := s.client.Write(s.out)
	s.counts.sent.Add(int64(n))
	if cap(s.out) > directWrite && !s.unloading {
		s.out = nil
	}
	s.out = s.out[:0]
	if err != nil {
		return errGone
	}
	return nil
}

// drain ends the session as soon as it is between transactions.
func (s *session) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	if s.waiting {
		_ = s.client.SetReadDeadline(time.Unix(1, 0))
	}
}

func (s *session) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// interrupt wakes every read and write of the session: it ends now.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.client.SetDeadline(time.Unix(1, 0))
	if s.conn != nil {
		_ = s.conn.Net.SetDeadline(time.Unix(1, 0))
	}
}

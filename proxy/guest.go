package proxy

import (
	"context"
	"slices"
	"time"

	"tenantgate/auth"
	"tenantgate/pool"
)

// This is the sessions' side of batches: one leads, and others are its guests.

const (
	// largestGuest is the size of a lookup that goes together with others, and of
	// its answer, in bytes.
	largestGuest       = 1 << 10
	largestGuestAnswer = 32 << 10

	// keptGuestAnswer is how much room for one a session keeps.
	keptGuestAnswer = 4 << 10

	// apartAfterwards is how many lookups of a tenant go by themselves after one
	// that failed, was too large or was cancelled: it made others go twice.
	apartAfterwards = 100
)

// A guestOutcome is what a guest is told.
type guestOutcome uint8

const (
	guestLeads    guestOutcome = iota // it is to go now, with whoever waits
	guestAnswered                     // it has its answer
	guestAlone                        // it is to be run by itself
	guestSpoils                       // the same, because it failed or is too large
)

// A guest is one session's lookup while others may take it along. Its session
// waits meanwhile, or has given it up.
type guest struct {
	tenant    *auth.Tenant
	settings  map[string]string // run-time parameters that it wants to be under
	request   []byte            // Bind, perhaps Describe, and Execute
	describes bool
	answer    []byte // of the server to Describe and Execute: the batch's, until told
	tooLarge  bool   // it was
	complete  bool   // it is, but for the end of the transaction
	told      chan guestOutcome
	leads     bool // it has been told that
	patience  *time.Timer
}

// hear takes one message of the answer. An answer that is too large is forgotten.
func (g *guest) hear(msg []byte) {
	if g.tooLarge = g.tooLarge || len(g.answer)+len(msg) > largestGuestAnswer; !g.tooLarge {
		g.answer = append(g.answer, msg...)
	}
}

// forget gives up an answer, and its room if that is large.
func (g *guest) forget() {
	g.tooLarge, g.complete = false, false
	if g.answer = g.answer[:0]; cap(g.answer) > keptGuestAnswer {
		g.answer = nil
	}
}

// mayBatch reports whether a lookup may go together with others.
func (s *session) mayBatch() bool {
	if s.tally.apart.Load() > 0 {
		s.tally.apart.Add(-1)
		return false
	}
	return len(s.guest.request) <= largestGuest
}

// newGuest returns the room for the request of the session's next lookup.
func (s *session) newGuest(describes bool) []byte {
	if s.guest == nil {
		s.guest = &guest{told: make(chan guestOutcome, 1)}
	}
	s.guest.tenant, s.guest.settings, s.guest.describes = s.tenant, s.settings, describes
	return s.guest.request[:0]
}

// joinBatch waits until the session's lookup is to go, or has gone. An error is
// why it does not wait any longer.
func (s *session) joinBatch(ctx context.Context, st *pool.Statement) (guestOutcome, error) {
	g, b := s.guest, s.backend.batches
	if b.join(st, g, func() bool { return s.backend.pool.Free(s.group()) }) {
		return guestLeads, nil
	}
	s.beginWaiting(ctx, along)
	defer s.end()
	if g.patience == nil {
		g.patience = time.NewTimer(b.patience)
	} else {
		g.patience.Reset(b.patience)
	}
	defer g.patience.Stop()
	for {
		select {
		case told := <-g.told:
			if told == guestSpoils {
				s.tally.apart.Store(apartAfterwards)
			}
			if told != guestAnswered {
				g.forget()
			}
			return told, nil
		case <-g.patience.C:
			if b.hurry(st, g) {
				return guestLeads, nil
			}
		case <-s.waits.Done():
			if !b.giveUp(st, g) {
				s.guest = nil // the batch has it
			}
			if s.shown.killed.Load() {
				return guestAlone, errKilled
			}
			return guestAlone, context.Cause(s.waits)
		}
	}
}

// passOnAnswer gives the client the answer to its lookup, which went with others.
func (s *session) passOnAnswer(opening []byte) error {
	s.out = append(append(s.out, opening...), s.guest.answer...)
	s.guest.forget()
	if mail, full := s.mail.take(s.out); full == nil { // a full one ends the session soon
		s.out = mail
	}
	s.out = appendReady(s.out, s.status)
	return s.flush()
}

// leadBatch sets the tenant for the session's own lookup. Before it goes whoever
// waits and may go along: what the session's own brings may be passed on in
// pieces. Each tenant's lookups are a transaction of their own.
func (s *session) leadBatch(st *pool.Statement, takes bool) {
	s.batch, s.left = st, time.Now()
	s.guests = s.backend.batches.leave(st, takes, s.tenant, s.settings, s.guests[:0])
	var of *auth.Tenant // whose transaction it is
	begin := func(tenant *auth.Tenant, others bool) {
		if of == tenant {
			return
		}
		if of != nil {
			s.send = appendBare(s.send, 'S')
			s.push(request{await: awaitSync, reply: replySkip, others: true})
		}
		if of = tenant; s.backend.confining {
			s.sendTenant(tenant.Key, others)
		}
	}
	for _, g := range s.guests {
		begin(g.tenant, true)
		s.send = append(s.send, g.request...)
		s.push(request{await: awaitBind, reply: replySkip, others: true, guest: g})
		if g.describes {
			s.push(request{await: awaitDescribePortal, reply: replySkip, others: true, guest: g})
		}
		s.push(request{await: awaitExecute, reply: replySkip, others: true, guest: g})
	}
	begin(s.tenant, false)
}

// endBatch is called when the session's batch, if there is one, waits for the
// server no more, or must not any longer: another one may go, and those who have
// not been told go by themselves.
func (s *session) endBatch() {
	if st := s.batch; st != nil {
		s.batch = nil
		s.backend.batches.back(st, s.left)
	}
	for _, g := range s.guests {
		if g != nil {
			s.tellGuest(g, guestAlone)
		}
	}
	s.guests = s.guests[:0]
}

// serveGuest passes on one message to a guest.
func (s *session) serveGuest(req request, msg []byte, done bool) {
	if req.await != awaitDescribePortal && req.await != awaitExecute {
		return
	}
	req.guest.hear(msg)
	switch {
	case !done || req.await != awaitExecute:
	case req.guest.tooLarge:
		s.tellGuest(req.guest, guestSpoils)
	default:
		req.guest.complete = true
	}
}

// tellGuest parts from one of those that go along.
func (s *session) tellGuest(g *guest, told guestOutcome) {
	for i := range s.outstanding { // it may ask for something else from now on
		if s.outstanding[i].guest == g {
			s.outstanding[i].guest = nil
		}
	}
	if at := slices.Index(s.guests, g); at >= 0 {
		s.guests[at] = nil
		g.told <- told
	}
}

// tellComplete parts from those whose answers are complete: their transaction
// has ended well, or not.
func (s *session) tellComplete(told guestOutcome) {
	for _, g := range s.guests {
		if g != nil && g.complete {
			s.tellGuest(g, told)
		}
	}
}

// guestFailed takes note of the failure of a lookup that goes along. It reports
// whether that is the session's own failure as well: it has cancelled, and what
// the server was at was in one transaction with what it waits for.
func (s *session) guestFailed(failed request, lost []request, code string) bool {
	canceled := s.asked() && code == errCanceled.Code
	if canceled {
		s.tally.apart.Store(apartAfterwards)
	}
	own := slices.ContainsFunc(lost, func(r request) bool { return !r.others })
	switch {
	case failed.await == awaitSync: // all of them have been told
	case canceled && !own:
		s.cancelAgain()
	case !canceled && failed.guest != nil:
		s.tellGuest(failed.guest, guestSpoils)
	}
	if own && !canceled {
		s.again = code
	}
	return own && canceled
}

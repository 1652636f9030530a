package proxy

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"time"
)

const (
	cancelTimeout = 5 * time.Second

	// maxCancels is how many cancel requests a backend is sent at once: each is a
	// connection to it.
	maxCancels = 8

	// cancelsOfOne is how many requests of one session may be under way: one
	// that the server is taking notice of, and one for what comes next. Others
	// would tell it nothing new.
	cancelsOfOne = 2
)

// cancelStatement carries out a cancel request: process id and secret. Nothing
// is answered, as PostgreSQL does, so nobody learns which keys exist.
func (s *Server) cancelStatement(ctx context.Context, request []byte) {
	if len(request) < 8 {
		return
	}
	id, secret := binary.BigEndian.Uint32(request), request[4:]
	s.mu.Lock()
	session := s.sessions[id]
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	switch {
	case session != nil && subtle.ConstantTimeCompare(secret, session.secret) == 1:
		session.cancelStatement(ctx)
	default:
		s.log.Info().Uint32("session", id).Msg("cancel request with a key that nobody has")
	}
}

// cancelStatement cancels what the session is at: its wait for a server
// connection, or what that connection runs.
func (s *session) cancelStatement(ctx context.Context) {
	s.mu.Lock()
	t := &s.stopwatch
	if t.activity == queued || t.activity == along {
		t.stopWaiting(errCanceled)
	}
	t.canceled = t.activity == running && t.copying
	s.mu.Unlock()
	s.cancelServer(ctx)
}

// cancelServer has the server cancel the client's statement. Until the server
// has taken notice its connection does not change hands, and is not used for
// statements of the proxy's own, so no other statement is hit.
func (s *session) cancelServer(ctx context.Context) {
	if s.cancels.Add(1) > cancelsOfOne {
		s.cancels.Add(-1)
		return
	}
	defer s.cancels.Add(-1)
	s.handover.Lock()
	defer s.handover.Unlock()
	s.mu.Lock()
	c, runs := s.conn, s.stopwatch.activity == running
	s.stopwatch.asked = runs
	s.mu.Unlock()
	if !runs || c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	select {
	case s.backend.cancels <- struct{}{}:
		defer func() { <-s.backend.cancels }()
	case <-ctx.Done():
		s.log.Warn().Msg("cancel request dropped: the server is slow to take others")
		return
	}
	if err := c.Cancel(ctx); err != nil {
		s.log.Warn().Err(err).Msg("cancel request failed")
	}
}

// cancelAgain repeats a request that has hit what goes before the session's own
// lookup: those of another tenant.
func (s *session) cancelAgain() {
	s.stopwatch.looks.Go(func() { s.cancelServer(s.server.ctx) })
}

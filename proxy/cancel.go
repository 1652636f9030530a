package proxy

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"time"
)

const cancelTimeout = 5 * time.Second

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

// cancelStatement cancels what the session's server connection is running. The
// lock keeps that connection from changing hands until the server has taken
// notice, so no other session's statement is hit.
func (s *session) cancelStatement(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return
	}
	if err := s.conn.Cancel(ctx); err != nil {
		s.log.Warn().Err(err).Msg("cancel request failed")
	}
}

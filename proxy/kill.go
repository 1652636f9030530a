package proxy

import (
	"context"
	"fmt"
	"time"
)

// killTimeout is how long a session that is to end may take to say so: until
// then a server that does not answer, or a client that does not read, is
// waited for.
const killTimeout = 5 * time.Second

// kill ends the session or console with that id.
func (s *Server) kill(id uint32) error {
	s.mu.Lock()
	session, console := s.sessions[id], s.consoles[id]
	s.mu.Unlock()
	switch {
	case session != nil:
		session.kill(s.ctx)
	case console != nil:
		console.end(errKilled)
	default:
		return newError("42704", fmt.Sprintf("there is no session %d", id), "SHOW CLIENTS lists them.")
	}
	return nil
}

// kill ends the session: what its server connection runs is cancelled, the
// client is told, and an unfinished transaction is rolled back.
func (s *session) kill(ctx context.Context) {
	s.shown.killed.Store(true)
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	s.mu.Lock()
	until := time.Now().Add(killTimeout)
	_ = s.client.SetReadDeadline(time.Unix(1, 0))
	_ = s.client.SetWriteDeadline(until)
	if s.conn != nil {
		_ = s.conn.Net.SetDeadline(until)
	}
	s.mu.Unlock()
	s.cancelStatement(ctx)
}

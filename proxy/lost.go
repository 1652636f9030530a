package proxy

import (
	"errors"
	"slices"
	"strings"

	"tenantgate/rewrite"
)

// lost gives up a server connection that failed and tells the client, which
// stays. A transaction block is aborted, as after any error: nothing that the
// client has still to say of it may run by itself.
func (s *session) lost(cause error) error {
	s.log.Warn().Err(cause).Uint32("server_pid", s.conn.PID).Msg("server connection lost")
	s.destroy()
	synced := s.outstandingReady()
	told := s.erred
	asked := slices.ContainsFunc(s.outstanding, func(r request) bool { return !r.upkeep })
	s.outstanding = s.outstanding[:0]
	s.erred, s.copying, s.copyingIn = false, false, false
	s.status = 'I'
	if s.beginning = false; s.block {
		s.status = 'E'
	}
	if s.partial > 0 && !s.passingOver {
		return errGone // in mid-message: nothing can be said any more
	}
	s.partial, s.passingOver = 0, false
	if !asked {
		return nil // the client has all it waits for
	}
	if !told {
		var fatal *Error
		if !errors.As(cause, &fatal) {
			fatal = errServerLost
		}
		s.emitError("ERROR", fatal)
	}
	if synced {
		s.out = appendReady(s.out, s.status)
		s.skipping = false
	} else {
		s.skipping = true
	}
	return s.flush()
}

// outstandingReady reports whether a ReadyForQuery was due.
func (s *session) outstandingReady() bool {
	for i := range s.outstanding {
		if k := s.outstanding[i].await; k == awaitSync && s.outstanding[i].reply == replyForward || k == awaitQuery || k == awaitFunction {
			return true
		}
	}
	return false
}

// failBlock brings a new server connection to where the client is: in a
// transaction block that has failed. So the server answers as it would have.
func (s *session) failBlock() {
	s.sendUpkeep("BEGIN")
	s.send = appendExecute(s.send, refusedPortal, 0)
	s.push(request{await: awaitFailure, reply: replySkip, upkeep: true})
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync, reply: replySkip, upkeep: true})
}

// afterLoss answers a simple query in a transaction block whose server
// connection is lost, as far as that takes no server.
func (s *session) afterLoss(statements []rewrite.Statement, sql string) (answered bool, err error) {
	if s.status != 'E' || s.conn != nil || len(statements) == 0 {
		return false, nil
	}
	first := &statements[0]
	switch {
	case first.Unsure, first.Kind == rewrite.KindRollbackTo:
		return false, nil
	case first.Kind != rewrite.KindCommit && first.Kind != rewrite.KindRollback:
		return true, s.refuseSimple(errAborted)
	case len(statements) > 1, strings.Contains(strings.ToLower(sql), "chain"): // goes on behind it
		return false, nil
	}
	s.status, s.block = 'I', false
	s.out = appendReady(append(s.fakes(s.out), commandComplete("ROLLBACK")...), s.status)
	if err := s.flush(); err != nil {
		return true, err
	}
	return true, s.settled()
}

package proxy

import (
	"context"

	"tenantgate/pool"
	"tenantgate/rewrite"
)

// A simple query that reads one row by a unique key goes to the server as a
// group of the extended protocol, with a prepared statement that all sessions
// share: the server has it parsed and planned. The client sees the messages that
// its query would have brought.
//
// The server must not come to say anything about the statement that it would not
// have said of the text. If it refuses to prepare, bind or describe it, nothing
// has been read, and the text is sent after all.

// lookUp runs a simple query as a lookup. done is false if the query must be
// sent as it came.
func (s *session) lookUp(ctx context.Context, st *rewrite.Statement, sql string) (done bool, err error) {
	l := st.Lookup
	if l == nil || s.operator || s.conn != nil || s.status != 'I' || !s.idle() {
		return false, nil
	}
	values, ok := l.Arguments(s.literals[:0], sql)
	s.literals = values
	defer func() { clear(s.literals) }()
	if !ok || !s.maySend(l, values) {
		return false, nil
	}
	if err := s.lease(ctx); err != nil {
		return true, s.refuseSimple(err)
	}
	shared, ok := l.Memo.Load().(*pool.Statement)
	if !ok {
		shared = s.backend.shared(l.Statement.Text.SQLFor(s.values), withKeys(l.ParamOIDs, &l.Statement), "")
		l.Memo.Store(shared)
	}
	if !s.conn.Statements.Has(shared) {
		s.sendParse(&prepared{statement: &l.Statement, values: s.values, shared: shared, lookup: true}, replySkip)
	}
	if s.backend.confining {
		s.confineTransaction()
	}
	for _, k := range l.Statement.Keys {
		s.literals = append(s.literals, s.values[k.Value])
	}
	s.send = appendBindText(s.send, shared.Name, s.literals...)
	s.send = appendTarget(s.send, 'D', 'P', "")
	s.send = appendExecute(s.send, "", 0)
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitBind, reply: replySkip, retry: true})
	s.push(request{await: awaitDescribePortal, retry: true})
	s.push(request{await: awaitExecute})
	s.push(request{await: awaitSync})
	if err := s.exchange(); err != nil {
		return true, err
	}
	refused := s.again
	s.again = ""
	if refused == "" || s.conn == nil {
		return true, s.settled()
	}
	s.confined = false
	if refused == errPlanChanged.Code {
		s.backend.statements.retire(shared)
		l.Memo.Store(s.backend.shared(shared.SQL, shared.ParamOIDs, ""))
	}
	return false, nil
}

// maySend reports whether what is checked of a statement's values holds. If not,
// the query itself is refused.
func (s *session) maySend(l *rewrite.Lookup, values []string) bool {
	if l.Statement.CheckKey(s.key()) != nil {
		return false
	}
	return l.Statement.CheckBind(s.key(), func(i int) (value []byte, binaryFormat, null bool) {
		if i < 0 || i >= len(values) {
			return nil, false, true
		}
		return []byte(values[i]), false, false
	}) == nil
}

// retriable reports whether an error tells that the server would not take a
// statement, and not that it was stopped.
func retriable(code string) bool {
	return len(code) == 5 && (code[:2] == "0A" || code[:2] == "22" || code[:2] == "42")
}

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
	if l == nil || !s.mayLookUp() {
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
	s.beginLookup(&l.Statement, shared)
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
	if !s.lookupRefused(shared) {
		return true, s.settled()
	}
	l.Memo.Store(s.backend.shared(shared.SQL, shared.ParamOIDs, "")) // another one, if that is retired
	return false, nil
}

// A lookupGroup is what most drivers send of a statement that they do not keep:
// Parse, Bind, perhaps Describe, Execute and Sync, all in one.
type lookupGroup struct {
	bind      []byte // behind the names
	describes bool
	size      int // of the messages behind Parse
}

// lookupGroup finds what follows the Parse of an unnamed statement. Nothing of
// it is taken.
func (r *reader) lookupGroup() (g lookupGroup, ok bool) {
	typ, body, after, ok := r.peek(0)
	if !ok || typ != 'B' || len(body) < 2 || body[0] != 0 || body[1] != 0 {
		return g, false
	}
	g.bind = body[2:]
	typ, body, after, ok = r.peek(after)
	if g.describes = ok && typ == 'D' && string(body) == "P\x00"; g.describes {
		typ, body, after, ok = r.peek(after)
	}
	if !ok || typ != 'E' || string(body) != "\x00\x00\x00\x00\x00" {
		return g, false
	}
	typ, _, g.size, ok = r.peek(after)
	return g, ok && typ == 'S'
}

// lookUpGroup runs an unnamed statement whose Parse has just come, and what
// follows it, by the statement that all sessions share. done is false if the
// messages must be dealt with as they come. What it is prepared for needs no
// second thought here: it is the client's own text, that comes again and again.
func (s *session) lookUpGroup(ctx context.Context, p *prepared, text string, oids []uint32) (done bool, err error) {
	g, ok := s.in.lookupGroup()
	if !ok || !s.mayLookUp() {
		return false, nil
	}
	s.share(p, text, withKeys(oids, p.statement))
	if !p.shared.Repeated() {
		return false, nil
	}
	args := &s.args
	defer args.forget()
	if args.decode(g.bind) != nil || args.count() != p.statement.Params || s.checkBind(p, args) != nil {
		return false, nil
	}
	if err := s.lease(ctx); err != nil {
		return true, s.refuse(err)
	}
	s.beginLookup(p.statement, p.shared)
	msg, at := beginMessage(s.send, 'B')
	msg = appendCString(append(msg, 0), p.shared.Name)
	s.send = finishMessage(args.appendWithKeys(msg, p.statement.Keys, s.values), at)
	s.push(request{await: awaitBind, retry: true, fake: parsedAndBound})
	if g.describes {
		s.send = appendTarget(s.send, 'D', 'P', "")
		s.push(request{await: awaitDescribePortal, retry: true})
	}
	s.send = appendExecute(s.send, "", 0)
	s.push(request{await: awaitExecute})
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync})
	s.in.skip(g.size)
	if err := s.exchange(); err != nil {
		return true, err
	}
	if s.lookupRefused(p.shared) {
		s.in.skip(-g.size)
		return false, nil
	}
	s.counts.statements.Add(1)
	p.parsed = true
	s.statements[""] = p
	err = s.settled()
	s.clock.stop(s.counts, s.status)
	return true, err
}

// What answers Parse, and Parse and Bind.
var (
	parseComplete  = appendBare(nil, '1')
	parsedAndBound = appendBare(parseComplete, '2')
)

// mayLookUp reports whether lookups are for this session now: a tenant's,
// outside a transaction, with nothing under way.
func (s *session) mayLookUp() bool {
	return !s.operator && s.conn == nil && s.status == 'I' && s.idle()
}

// beginLookup makes the leased server connection have the statement, and sets
// the tenant.
func (s *session) beginLookup(st *rewrite.Statement, shared *pool.Statement) {
	if !s.conn.Statements.Has(shared) {
		s.sendParse(&prepared{statement: st, values: s.values, shared: shared, lookup: true}, replySkip)
	}
	if s.backend.confining {
		s.confineTransaction()
	}
}

// lookupRefused reports whether the server would not take a statement, so that
// nothing of it has happened. One whose columns have changed is not used again.
func (s *session) lookupRefused(shared *pool.Statement) bool {
	refused := s.again
	s.again = ""
	if refused == "" || s.conn == nil {
		return false
	}
	s.confined = false
	if refused == errPlanChanged.Code {
		s.backend.statements.retire(shared)
	}
	return true
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

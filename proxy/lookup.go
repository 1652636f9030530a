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
//
// What clients prepare themselves, named or not, is looked up likewise. Lookups of
// many sessions go together: see batches.

// A lookup is one that is ready to be sent.
type lookup struct {
	statement *rewrite.Statement
	shared    *pool.Statement
	prepared  *prepared // nil: the client has not prepared it itself, and hears nothing of that
	opening   []byte    // what the client is told before Describe and Execute are answered
}

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
	shared, ok := l.Memo.Load().(*pool.Statement)
	if !ok {
		shared = s.backend.shared(l.Statement.Text.SQLFor(s.values), withKeys(l.ParamOIDs, &l.Statement), "")
		l.Memo.Store(shared)
	}
	for _, k := range l.Statement.Keys {
		s.literals = append(s.literals, s.values[k.Value])
	}
	msg := appendBindText(s.newGuest(true), shared.Name, s.literals...)
	s.guest.request = appendExecute(appendTarget(msg, 'D', 'P', ""), "", 0)
	done, refusal, err := s.runLookup(ctx, lookup{statement: &l.Statement, shared: shared})
	switch {
	case refusal != nil:
		return true, s.refuseSimple(refusal)
	case !done:
		l.Memo.Store(s.backend.shared(shared.SQL, shared.ParamOIDs, "")) // another one, if that is retired
	}
	return done, err
}

// restOfLookup finds what follows a Bind of the unnamed portal, so many bytes
// behind the next message, if it is a lookup: perhaps Describe, Execute and
// Sync. Nothing of it is taken.
func (r *reader) restOfLookup(at int) (describes bool, size int, ok bool) {
	typ, body, after, ok := r.peek(at)
	if describes = ok && typ == 'D' && string(body) == "P\x00"; describes {
		typ, body, after, ok = r.peek(after)
	}
	if !ok || typ != 'E' || string(body) != "\x00\x00\x00\x00\x00" {
		return false, 0, false
	}
	typ, _, size, ok = r.peek(after)
	return describes, size, ok && typ == 'S'
}

// lookUpGroup runs an unnamed statement whose Parse has just come, and what
// most drivers send behind it: Bind, perhaps Describe, Execute and Sync, all in
// one. done is false if the messages must be dealt with as they come. What it is
// prepared for needs no second thought here: it is the client's own text, that
// comes again and again.
func (s *session) lookUpGroup(ctx context.Context, p *prepared, text string, oids []uint32) (done bool, err error) {
	typ, bind, after, ok := s.in.peek(0)
	if !ok || typ != 'B' || len(bind) < 2 || bind[0] != 0 || bind[1] != 0 || !s.mayLookUp() {
		return false, nil
	}
	describes, size, ok := s.in.restOfLookup(after)
	if !ok {
		return false, nil
	}
	s.share(p, text, withKeys(oids, p.statement))
	if !p.shared.Repeated() {
		return false, nil
	}
	args := &s.args
	defer args.forget()
	if args.decode(bind[2:]) != nil || args.count() != p.statement.Params {
		return false, nil
	}
	return s.lookUpBound(ctx, p, bind[2:], describes, size, lookup{opening: parsedAndBound})
}

// lookUpNamed runs a statement that the client has prepared, once its Bind has
// come and all that is to follow is at hand. done is false if the messages must
// be dealt with as they come: so they are until the client has the columns.
func (s *session) lookUpNamed(ctx context.Context, portal string, p *prepared, rest []byte) (done bool, err error) {
	if portal != "" || p.unnamed || p.there || !s.mayLookUp() {
		return false, nil
	}
	describes, size, ok := s.in.restOfLookup(0)
	if !ok || describes && p.columns == "" || s.args.count() != p.statement.Params {
		return false, nil
	}
	return s.lookUpBound(ctx, p, rest, describes, size, lookup{prepared: p, opening: bindComplete})
}

// lookUpBound runs a lookup with the arguments that have been decoded, which are
// rest as they came. What follows it has that size.
func (s *session) lookUpBound(ctx context.Context, p *prepared, rest []byte, describes bool, size int, l lookup) (done bool, err error) {
	if s.checkBind(p, &s.args) != nil {
		return false, nil
	}
	l.statement, l.shared = p.statement, p.shared
	msg, at := beginMessage(s.newGuest(describes), 'B')
	msg = appendCString(append(msg, 0), p.shared.Name)
	if len(p.statement.Keys) == 0 {
		msg = append(msg, rest...)
	} else {
		msg = s.args.appendWithKeys(msg, p.statement.Keys, s.values)
	}
	msg = finishMessage(msg, at)
	if describes {
		msg = appendTarget(msg, 'D', 'P', "")
	}
	s.guest.request = appendExecute(msg, "", 0)
	done, refusal, err := s.runLookup(ctx, l)
	switch {
	case refusal != nil:
		return true, s.refuse(refusal)
	case done && err == nil:
		s.in.skip(size)
		s.counts.statements.Add(1)
		if l.prepared == nil {
			p.parsed = true
			s.statements[""] = p
		}
		s.clock.stop(s.counts, s.status)
	}
	return done, err
}

// What answers Bind, and Parse and Bind.
var (
	parseComplete  = appendBare(nil, '1')
	bindComplete   = appendBare(nil, '2')
	parsedAndBound = appendBare(parseComplete, '2')
)

// runLookup runs the lookup that the session's guest asks for, up to
// ReadyForQuery: as a part of another session's batch, or in one of its own,
// with whoever waits for that. done is false if the server would not take it,
// and nothing has happened. A refusal tells that no server connection could be
// had, or waited for.
func (s *session) runLookup(ctx context.Context, l lookup) (done bool, refusal, err error) {
	batched := s.mayBatch()
	if batched {
		told, refusal := s.joinBatch(ctx, l.shared)
		switch {
		case refusal != nil:
			return false, refusal, nil
		case told == guestAnswered:
			return true, nil, s.passOnAnswer(l.opening)
		}
		batched = told == guestLeads
	}
	if err := s.lease(ctx); err != nil {
		return false, err, nil
	}
	known := s.conn.Statements.Has(l.shared)
	switch {
	case known:
	case l.prepared != nil:
		return false, nil, nil
	default:
		s.sendParse(&prepared{statement: l.statement, values: s.values, shared: l.shared, lookup: true}, replySkip)
	}
	if batched {
		s.leadBatch(l.shared, known)
	} else if s.backend.confining {
		s.confineTransaction()
	}
	retry := l.prepared == nil
	bind := request{await: awaitBind, about: l.prepared, retry: retry}
	switch {
	case l.opening == nil:
		bind.reply = replySkip
	case retry:
		bind.fake = l.opening
	}
	s.push(bind)
	if s.guest.describes {
		s.push(request{await: awaitDescribePortal, about: l.prepared, retry: retry})
	}
	s.push(request{await: awaitExecute, about: l.prepared})
	s.push(request{await: awaitSync})
	s.send = appendBare(append(s.send, s.guest.request...), 'S')
	err = s.exchange()
	s.endBatch()
	switch {
	case err != nil:
		return true, nil, err
	case s.lookupRefused(l.shared):
		return false, nil, nil
	default:
		return true, nil, s.settled()
	}
}

// mayLookUp reports whether lookups are for this session now: a tenant's,
// outside a transaction, with nothing under way.
func (s *session) mayLookUp() bool {
	return !s.operator && s.conn == nil && s.status == 'I' && s.idle()
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

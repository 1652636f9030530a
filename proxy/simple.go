package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"unicode/utf8"

	"tenantgate/rewrite"
)

// refusedPortal names a portal that no session can have, for none can guess it:
// executing it makes the server fail the transaction, as a refused statement must.
var refusedPortal = "tenantgate: refused " + rand.Text()

// severalStatements refuses what the proxy answers itself when it does not
// come alone.
var severalStatements = &rewrite.UnsupportedError{
	Rule: "message.several",
	Node: "this statement together with others in one message",
	Hint: "Send it alone.",
}

// A sentText is what one Query message to the server holds, statement by
// statement, so that positions can be led back to the client's text.
type sentText struct {
	statements []rewrite.Statement
	values     *rewrite.Values
}

// appendQuery appends the Query message.
func (t *sentText) appendQuery(dst []byte) []byte {
	dst, at := beginMessage(dst, 'Q')
	for i := range t.statements {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = t.statements[i].Text.AppendSQL(dst, t.values)
	}
	return finishMessage(append(dst, 0), at)
}

// original maps a character position in the text to one in the client's message.
func (t *sentText) original(position int) int {
	for i := range t.statements {
		length := utf8.RuneCountInString(t.statements[i].Text.SQLFor(t.values))
		if position <= length+1 || i == len(t.statements)-1 {
			return t.statements[i].Text.OriginalFor(position, t.values)
		}
		position -= length + 1
	}
	return position
}

// A piece is a part of a simple query that goes to the server as one message.
type piece struct {
	sentText
	confine bool // the tenant setting goes before it
}

// query runs a simple query.
func (s *session) query(ctx context.Context, body []byte) error {
	sql, rest, err := cstring(body)
	if err != nil || len(rest) > 0 {
		return errMalformed
	}
	s.erred = false
	delete(s.statements, "") // as the server drops it
	if ok, err := s.knowHolding(); err != nil {
		return err
	} else if !ok {
		return s.endGroup()
	}
	result, err := s.confineText(ctx, rewrite.Request{SQL: sql})
	if s.server.cfg.TempTables && (err != nil || refused(result)) {
		if parts := rewrite.Parts(sql); s.changesTables(parts) {
			return s.oneByOne(ctx, parts)
		}
	}
	if err != nil {
		return s.refuseSimple(err)
	}
	s.counts.statements.Add(int64(len(result.Statements)))
	if answered, err := s.afterLoss(result.Statements, sql); answered {
		return err
	}
	for i := range result.Statements {
		st := &result.Statements[i]
		if !translated(st) {
			continue
		}
		if len(result.Statements) > 1 {
			return s.refuseSimple(severalStatements)
		}
		return s.translate(ctx, st, sql)
	}
	if len(result.Statements) == 0 && s.conn == nil {
		s.out = appendReady(appendBare(s.fakes(s.out), 'I'), s.status)
		return s.flush()
	}
	for i := range result.Statements {
		err := result.Statements[i].CheckKey(s.key())
		if err != nil && s.observed(err) {
			err = nil
		}
		if err == nil {
			err = s.checkSequences(&result.Statements[i])
		}
		if err != nil {
			return s.refuseSimple(err)
		}
	}
	own, err := leadingOwn(result)
	if err != nil {
		return s.refuseSimple(err)
	}
	statements := ownChannels(result.Statements[own:])
	pieces, err := s.cut(statements)
	if err != nil {
		return s.refuseSimple(err)
	}
	for i := range result.Statements[:own] {
		answer, err := s.answerOwn(&result.Statements[i], len(result.Statements) > 1)
		if err != nil {
			return s.refuseSimple(err)
		}
		s.out = append(append(s.fakes(s.out), answer.columns...), answer.rest...)
	}
	if own > 0 && own == len(result.Statements) {
		s.out = appendReady(s.out, s.status)
		return s.flush()
	}
	if len(statements) == 1 {
		if done, err := s.lookUp(ctx, &statements[0], sql); done {
			return err
		}
	}
	if err := s.lease(ctx); err != nil {
		return s.refuseSimple(err)
	}
	if err := s.writeChannels(ctx, statements); err != nil { // the pieces have them
		return s.refuseSimple(err)
	}
	if len(statements) == 1 && s.unloads(&statements[0]) {
		return s.unload(&statements[0])
	}
	if s.operator {
		pieces[0].statements = s.underServerNames(pieces[0].statements)
	}
	for i := range pieces {
		if err := s.sendPiece(&pieces[i], i < len(pieces)-1); err != nil {
			return err
		}
		if s.erred || s.conn == nil {
			break
		}
	}
	return s.settled()
}

// translated reports whether a statement is sent as other messages than a
// Query.
func translated(st *rewrite.Statement) bool {
	return st.Copy != nil || st.Kind == rewrite.KindPrepare || st.Kind == rewrite.KindExecute
}

// translate runs a statement by other messages than a Query.
func (s *session) translate(ctx context.Context, st *rewrite.Statement, sql string) error {
	switch {
	case st.Copy != nil:
		return s.copyFrom(ctx, st.Copy)
	case st.Kind == rewrite.KindPrepare:
		return s.prepareSQL(ctx, st, sql)
	default:
		return s.executeSQL(ctx, st)
	}
}

// sendPiece runs one piece. more tells that another follows if it succeeds, so
// its ReadyForQuery is not yet the client's.
func (s *session) sendPiece(p *piece, more bool) error {
	confine, room := p.confine && s.status != 'E', len(p.statements) > 0
	for i := range p.statements {
		room = room && s.wantsRoom(&p.statements[i])
	}
	if room {
		s.makeRoom()
	}
	if confine {
		s.confineTransaction()
	}
	if (confine || room) && s.status == 'I' && s.backend.needsGroup(p) {
		return s.sendGroup(p, more)
	}
	s.forgetSequences(slices.ContainsFunc(p.statements, func(st rewrite.Statement) bool { return st.Sequences.Draws }))
	s.conn.Unnamed = nil
	s.send = p.appendQuery(s.send)
	s.push(request{await: awaitQuery, text: &p.sentText, cut: more})
	for i := range p.statements {
		s.noteEffect(&p.statements[i])
	}
	if err := s.exchange(); err != nil {
		return err
	}
	if s.conn == nil || !s.skipping {
		return nil
	}
	// What went before the query failed, and the server passed over the query.
	s.erred = true
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync})
	return s.exchange()
}

// noteEffect follows what a statement does to session and transaction.
func (s *session) noteEffect(st *rewrite.Statement) {
	s.taint(st)
	s.noteHolding(st)
	if st.Hold&rewrite.HoldNotifies != 0 {
		s.backend.senders.note(s.conn.PID, s.id)
	}
	s.block = s.block || s.beginning // BEGIN alone begins no block if it fails
	switch st.Kind {
	case rewrite.KindBegin:
		s.beginning = true
	case rewrite.KindCommit, rewrite.KindRollback:
		s.confined, s.block, s.beginning = false, false, false
	case rewrite.KindSet, rewrite.KindReset:
		s.noteSetting(st)
	default: // nothing that outlives the statement
	}
}

// resetsAll reports whether a statement resets all run-time parameters, the
// tenant setting among them.
func resetsAll(st *rewrite.Statement) bool { return st.Kind == rewrite.KindReset && st.Name == "" }

// cut divides a simple query where the tenant setting has to go in between: it
// must not come before BEGIN ISOLATION LEVEL or SET TRANSACTION, which want to
// be first, and it ends with a transaction.
func (s *session) cut(statements []rewrite.Statement) ([]piece, error) {
	if !s.backend.confining || len(statements) == 0 || len(statements) == 1 && s.fitsAlone(statements[0].Kind) {
		return []piece{{sentText: sentText{statements, s.values}}}, nil
	}
	var pieces []piece
	begin, control := 0, 0 // of the piece; behind its last transaction control statement
	explicit, confined := s.status != 'I', s.confined
	confine := false // the piece that begins at begin starts with the setting
	parts := false   // a cut from here on would part an implicit transaction
	add := func(end int) {
		if end > begin {
			pieces = append(pieces, piece{sentText{statements[begin:end], s.values}, confine})
		}
	}
	for i := range statements {
		if resetsAll(&statements[i]) {
			confined, control, parts = false, i+1, !explicit
			continue
		}
		switch statements[i].Kind {
		case rewrite.KindBegin:
			explicit, control, parts = true, i+1, false
		case rewrite.KindCommit, rewrite.KindRollback:
			explicit, confined, control, parts = false, false, i+1, false
		case rewrite.KindSetTransaction:
			if !explicit && len(statements) > 1 {
				return nil, &rewrite.UnsupportedError{
					Rule: "transaction.set_outside",
					Node: "SET TRANSACTION outside a transaction block",
					Hint: "Send BEGIN first.",
				}
			}
			control = i + 1
		case rewrite.KindRollbackTo, rewrite.KindShow, rewrite.KindListen, rewrite.KindUnlisten, rewrite.KindNotify:
		default:
			if confined {
				continue
			}
			if parts {
				return nil, severalStatements
			}
			if control > begin || confine {
				add(control)
				begin = control
			}
			confine, confined = true, true
		}
	}
	add(len(statements))
	return pieces, nil
}

// fitsAlone reports whether a statement of this kind, the only one, goes without
// the tenant's setting. Whoever asks whether it is in a transaction block is in
// one behind any message, as of PostgreSQL 18.
func (s *session) fitsAlone(kind rewrite.Kind) bool {
	return !needsTenant(kind) || kind == rewrite.KindInBlock && s.status == 'I'
}

// refuseSimple answers a simple query that must not run, and fails the
// transaction it came in.
func (s *session) refuseSimple(refusal error) error {
	s.logRefusal(refusal)
	if s.conn == nil || s.status == 'E' && len(s.send) == 0 {
		var syntax *rewrite.SyntaxError
		if s.status == 'E' && !errors.As(refusal, &syntax) {
			refusal = errAborted
		}
		s.out = s.fakes(s.out)
		s.emitError("ERROR", refusal)
		s.out = appendReady(s.out, s.status)
		return s.flush()
	}
	s.send = appendExecute(s.send, refusedPortal, 0)
	s.push(request{await: awaitRefusal, reply: replySkip, refusal: refusal})
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync})
	if err := s.exchange(); err != nil {
		return err
	}
	return s.settled()
}

package proxy

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"tenantgate/rewrite"
)

// refusedPortal names a portal that no session can have: executing it makes
// the server fail the transaction, as a refused statement must.
const refusedPortal = "tenantgate: refused"

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
	key        string
}

// sql returns the text to send.
func (t *sentText) sql() string {
	if len(t.statements) == 1 {
		return t.statements[0].Text.SQL(t.key)
	}
	var sql []byte
	for i := range t.statements {
		if i > 0 {
			sql = append(sql, ';')
		}
		sql = append(sql, t.statements[i].Text.SQL(t.key)...)
	}
	return string(sql)
}

// original maps a character position in sql to one in the client's message.
func (t *sentText) original(position int) int {
	for i := range t.statements {
		length := utf8.RuneCountInString(t.statements[i].Text.SQL(t.key))
		if position <= length+1 || i == len(t.statements)-1 {
			return t.statements[i].Text.Original(position, t.key)
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
	result, err := s.confineText(ctx, rewrite.Request{SQL: sql})
	if err != nil {
		return s.refuseSimple(err)
	}
	if answer, err := s.ownStatement(result); err != nil {
		return s.refuseSimple(err)
	} else if answer != nil {
		s.out = append(s.fakes(s.out), answer...)
		s.out = appendReady(s.out, s.status)
		return s.flush()
	}
	for i := range result.Statements {
		if in := result.Statements[i].Copy; in != nil {
			if len(result.Statements) > 1 {
				return s.refuseSimple(severalStatements)
			}
			return s.copyFrom(ctx, in)
		}
	}
	if len(result.Statements) == 0 && s.conn == nil {
		s.out = appendReady(appendBare(s.fakes(s.out), 'I'), s.status)
		return s.flush()
	}
	for i := range result.Statements {
		if err := result.Statements[i].CheckKey(s.key()); err != nil {
			return s.refuseSimple(err)
		}
	}
	pieces, err := s.cut(result)
	if err != nil {
		return s.refuseSimple(err)
	}
	if err := s.lease(ctx); err != nil {
		return s.refuseSimple(err)
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

// sendPiece runs one piece. more tells that another follows if it succeeds, so
// its ReadyForQuery is not yet the client's.
func (s *session) sendPiece(p *piece, more bool) error {
	if p.confine && s.status != 'E' {
		s.confineTransaction()
	}
	s.conn.Unnamed = nil
	s.send = appendQuery(s.send, p.sql())
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
	switch st.Kind {
	case rewrite.KindCommit, rewrite.KindRollback:
		s.confined = false
	case rewrite.KindSet, rewrite.KindReset:
		s.touch(st.Name)
	default: // nothing that outlives the statement
	}
}

// cut divides a simple query where the tenant setting has to go in between: it
// must not come before BEGIN ISOLATION LEVEL or SET TRANSACTION, which want to
// be first, and it ends with a transaction.
func (s *session) cut(result *rewrite.Result) ([]piece, error) {
	statements := result.Statements
	if !s.backend.confining || len(statements) == 0 {
		return []piece{{sentText: sentText{statements, s.key()}}}, nil
	}
	var pieces []piece
	begin, control := 0, 0 // of the piece; behind its last transaction control statement
	explicit, confined := s.status != 'I', s.confined
	confine := false // the piece that begins at begin starts with the setting
	add := func(end int) {
		if end > begin {
			pieces = append(pieces, piece{sentText{statements[begin:end], s.key()}, confine})
		}
	}
	for i := range statements {
		switch statements[i].Kind {
		case rewrite.KindBegin:
			explicit, control = true, i+1
		case rewrite.KindCommit, rewrite.KindRollback:
			explicit, confined, control = false, false, i+1
		case rewrite.KindSetTransaction:
			if !explicit && len(statements) > 1 {
				return nil, &rewrite.UnsupportedError{
					Rule: "transaction.set_outside",
					Node: "SET TRANSACTION outside a transaction block",
					Hint: "Send BEGIN first.",
				}
			}
			control = i + 1
		case rewrite.KindRollbackTo, rewrite.KindShow:
		default:
			if confined {
				continue
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

// ownStatement answers what concerns the proxy's session and no server
// connection: nil if the result is for the server.
func (s *session) ownStatement(result *rewrite.Result) ([]byte, error) {
	for i := range result.Statements {
		st := &result.Statements[i]
		if !ownKind(st) {
			continue
		}
		if len(result.Statements) > 1 {
			return nil, severalStatements
		}
		return s.answerOwn(st)
	}
	return nil, nil
}

func ownKind(st *rewrite.Statement) bool {
	switch st.Kind {
	case rewrite.KindDeallocate, rewrite.KindDiscard:
		return true
	case rewrite.KindSet, rewrite.KindReset, rewrite.KindShow:
		return st.Name == tenantParameter
	default:
		return false
	}
}

func (s *session) answerOwn(st *rewrite.Statement) ([]byte, error) {
	if s.status == 'E' {
		return nil, errAborted
	}
	switch st.Kind {
	case rewrite.KindDeallocate:
		if st.Name == "" {
			s.forgetStatements()
			return commandComplete("DEALLOCATE ALL"), nil
		}
		if s.statements[st.Name] == nil {
			return nil, newError("26000", fmt.Sprintf("prepared statement %q does not exist", st.Name), "")
		}
		delete(s.statements, st.Name)
		return commandComplete("DEALLOCATE"), nil
	case rewrite.KindDiscard:
		return s.discard(st.Name)
	case rewrite.KindShow:
		return s.showTenant()
	default:
		if st.Kind == rewrite.KindReset {
			return nil, newError("42501", "the tenant cannot be reset", "Choose another with SET "+tenantParameter+".")
		}
		if err := s.chooseTenant(st.Value); err != nil {
			return nil, err
		}
		return commandComplete("SET"), nil
	}
}

// discard answers DISCARD: what a session has is the proxy's to forget.
func (s *session) discard(what string) ([]byte, error) {
	switch what {
	case "all":
		if s.status != 'I' {
			return nil, newError("25001", "DISCARD ALL cannot run inside a transaction block", "")
		}
		s.forgetStatements()
		s.resetSettings()
		return commandComplete("DISCARD ALL"), nil
	case "plans":
		return commandComplete("DISCARD PLANS"), nil
	case "sequences":
		return commandComplete("DISCARD SEQUENCES"), nil
	case "temp":
		return commandComplete("DISCARD TEMP"), nil
	default:
		return nil, &rewrite.UnsupportedError{Rule: "statement.discard", Node: "DISCARD " + what}
	}
}

func commandComplete(tag string) []byte {
	msg, at := beginMessage(nil, 'C')
	return finishMessage(appendCString(msg, tag), at)
}

package proxy

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"

	"tenantgate/rewrite"
)

// Some statements concern the proxy's session and no server connection: the
// proxy answers DEALLOCATE, DISCARD, and SET and SHOW of the tenant itself, in
// either protocol.

// An ownAnswer is what the proxy says to such a statement.
type ownAnswer struct {
	columns []byte // RowDescription, if there are rows
	rest    []byte // rows and CommandComplete
}

// An ownPortal is such a statement bound to a portal.
type ownPortal struct {
	statement *rewrite.Statement
	format    uint16 // of the result
	ran       bool
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

// leadingOwn counts the statements of a message, its first ones, that the
// proxy answers. Behind others they are refused: the message is one
// transaction, which they would cut.
func leadingOwn(result *rewrite.Result) (int, error) {
	n := 0
	for i := range result.Statements {
		st := &result.Statements[i]
		switch {
		case !ownKind(st):
		case i > n, len(result.Statements) > 1 && (st.Kind == rewrite.KindSet || st.Kind == rewrite.KindReset):
			return 0, severalStatements
		default:
			n++
		}
	}
	return n, nil
}

// answerOwn carries out one of these statements. within tells that the message
// holds others, so that it is a transaction.
func (s *session) answerOwn(st *rewrite.Statement, within bool) (ownAnswer, error) {
	if s.status == 'E' {
		return ownAnswer{}, errAborted
	}
	switch st.Kind {
	case rewrite.KindDeallocate:
		if st.Name == "" {
			s.forgetStatements()
			return ownTag("DEALLOCATE ALL"), nil
		}
		if s.statements[st.Name] == nil {
			return ownAnswer{}, newError("26000", fmt.Sprintf("prepared statement %q does not exist", st.Name), "")
		}
		delete(s.statements, st.Name)
		return ownTag("DEALLOCATE"), nil
	case rewrite.KindDiscard:
		return s.discard(st.Name, within)
	case rewrite.KindShow:
		return s.showTenant()
	case rewrite.KindSet:
		if err := s.chooseTenant(st.Value); err != nil {
			return ownAnswer{}, err
		}
		return ownTag("SET"), nil
	default:
		return ownAnswer{}, newError("42501", "the tenant cannot be reset", "Choose another with SET "+tenantParameter+".")
	}
}

// discard answers DISCARD: what a session has is the proxy's to forget.
func (s *session) discard(what string, within bool) (ownAnswer, error) {
	switch what {
	case "all":
		if s.status != 'I' || within {
			return ownAnswer{}, newError("25001", "DISCARD ALL cannot run inside a transaction block", "")
		}
		if s.held.kept {
			if err := s.unpin(); err != nil {
				return ownAnswer{}, err
			}
		}
		s.unlistenAll()
		s.forgetStatements()
		s.resetSettings()
		return ownAnswer{rest: s.reportInitial(commandComplete("DISCARD ALL"))}, nil
	case "plans":
		return ownTag("DISCARD PLANS"), nil
	case "sequences":
		return ownTag("DISCARD SEQUENCES"), nil
	case "temp":
		return ownTag("DISCARD TEMP"), nil
	default:
		return ownAnswer{}, &rewrite.UnsupportedError{Rule: "statement.discard", Node: "DISCARD " + what}
	}
}

// showTenant answers SHOW tenantgate.tenant.
func (s *session) showTenant() (ownAnswer, error) {
	id := ""
	if s.tenant != nil {
		id = s.tenant.ID
	}
	columns, err := showColumns(0)
	if err != nil {
		return ownAnswer{}, err
	}
	row, err := (&pgproto3.DataRow{Values: [][]byte{[]byte(id)}}).Encode(nil)
	if err != nil {
		return ownAnswer{}, fmt.Errorf("encode row: %w", err)
	}
	return ownAnswer{columns, append(row, commandComplete("SHOW")...)}, nil
}

// showColumns describes the result of SHOW tenantgate.tenant. Text is the same
// in either format.
func showColumns(format uint16) ([]byte, error) {
	msg, err := (&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{
		Name: []byte(tenantParameter), DataTypeOID: textOID, DataTypeSize: -1, TypeModifier: -1, Format: int16(format), //nolint:gosec // 0 or 1
	}}}).Encode(nil)
	if err != nil {
		return nil, fmt.Errorf("encode columns: %w", err)
	}
	return msg, nil
}

func ownTag(tag string) ownAnswer { return ownAnswer{rest: commandComplete(tag)} }

func commandComplete(tag string) []byte {
	msg, at := beginMessage(nil, 'C')
	return finishMessage(appendCString(msg, tag), at)
}

// fake queues an answer of the proxy's behind those that are outstanding.
func (s *session) fake(answer []byte) error {
	s.push(request{await: awaitNothing, reply: replyFake, fake: answer})
	return nil
}

// caughtUp has the server answer what is outstanding. It is false if any of it
// failed: then the group is over, up to its Sync.
func (s *session) caughtUp() (bool, error) {
	if s.conn != nil && !s.idle() {
		if err := s.flushGroup(); err != nil {
			return false, err
		}
	}
	return !s.skipping, nil
}

// parseOwn prepares a statement that no server has to know.
func (s *session) parseOwn(p *prepared) error {
	if ok, err := s.caughtUp(); !ok {
		return err
	}
	if s.status == 'E' {
		return s.refuse(errAborted)
	}
	p.parsed = true
	s.statements[p.name] = p
	return s.fake(appendBare(nil, '1'))
}

func (s *session) bindOwn(portal string, p *prepared, args *bindArgs) error {
	if ok, err := s.caughtUp(); !ok {
		return err
	}
	formats := args.results[2:]
	columns := 0
	if p.statement.Kind == rewrite.KindShow {
		columns = 1
	}
	switch {
	case s.status == 'E':
		return s.refuse(errAborted)
	case args.count() > 0:
		return s.refuse(newError("08P01", fmt.Sprintf("bind message supplies %d parameters, but prepared statement %q requires 0",
			args.count(), p.name), ""))
	case columns > 0 && len(formats) > 2:
		return s.refuse(newError("08P01", fmt.Sprintf("bind message has %d result formats but query has %d columns",
			len(formats)/2, columns), ""))
	case portal != "" && (s.portals[portal] != nil || s.ownPortals[portal] != nil):
		return s.refuse(portalExists(portal))
	}
	o := &ownPortal{statement: p.statement}
	if columns > 0 && len(formats) == 2 {
		if o.format = binary.BigEndian.Uint16(formats); o.format > 1 {
			return s.refuse(newError("22023", fmt.Sprintf("invalid format code: %d", o.format), ""))
		}
	}
	delete(s.portals, portal)
	s.ownPortals[portal] = o
	return s.fake(appendBare(nil, '2'))
}

// describeOwn answers Describe. Statements have parameters, if none here.
func (s *session) describeOwn(st *rewrite.Statement, format uint16, parameters bool) error {
	if ok, err := s.caughtUp(); !ok {
		return err
	}
	var answer []byte
	if parameters {
		answer = append(answer, 't', 0, 0, 0, 6, 0, 0)
	}
	if st.Kind != rewrite.KindShow {
		return s.fake(appendBare(answer, 'n'))
	}
	columns, err := showColumns(format)
	if err != nil {
		return s.refuse(err)
	}
	return s.fake(append(answer, columns...))
}

func (s *session) executeOwn(ctx context.Context, name string, o *ownPortal) error {
	if ok, err := s.caughtUp(); !ok {
		return err
	}
	if o.ran {
		return s.refuse(newError("55000", fmt.Sprintf("portal %q cannot be run", name), ""))
	}
	if channelKind(o.statement) {
		o.ran = true
		return s.executeChannel(ctx, *o.statement)
	}
	answer, err := s.answerOwn(o.statement, !s.between())
	if err != nil {
		return s.refuse(err)
	}
	o.ran = true
	return s.fake(answer.rest)
}

func portalExists(name string) error {
	return newError("42P03", fmt.Sprintf("cursor %q already exists", name), "")
}

package proxy

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"tenantgate/pool"
)

// longAnswer is how many bytes of an answer go on as they come. More are gathered:
// a delay of a millisecond or two at its end is little then.
const longAnswer = 4 << 20

// A fate is what becomes of one message of the server.
type fate uint8

const (
	pass    fate = iota // to the client, byte for byte
	drop                // the client never knows
	replace             // other bytes go in its place
)

// relay passes the server's answers on until no request is outstanding, but for
// those that go ahead. Only
// message heads are looked at; a run of messages to be passed goes out in one
// write, straight from the server connection's buffer.
func (s *session) relay() error {
	c := s.conn
	passed := 0
	for {
		s.out = s.fakes(s.out)
		run := c.Start
		for !s.idle() || s.partial > 0 {
			left := c.End - c.Start
			if s.partial > 0 {
				n := min(left, s.partial)
				c.Start += n
				s.partial -= n
				if s.passingOver {
					run = c.Start
					s.passingOver = s.partial > 0
				}
				if s.partial > 0 {
					break
				}
				continue
			}
			if left < headSize {
				break
			}
			typ := c.Buffer[c.Start]
			size := int(binary.BigEndian.Uint32(c.Buffer[c.Start+1:])) + 1
			if size < headSize || size > maxMessage {
				return fmt.Errorf("%w: length %d of a message of type %q", errServerProtocol, size-1, typ)
			}
			bulk := (typ == 'D' || typ == 'd') && !s.idle() &&
				(s.head().reply == replyForward || s.head().others && size > largestGuestAnswer)
			row := typ == 'd' && bulk && s.head().unload.writes()
			if row && size > largestRow {
				return errRowTooLarge
			}
			if left < size && (row || !bulk) {
				break
			}
			if row {
				s.out = append(s.out, c.Buffer[run:c.Start]...)
				run = c.Start + size
				if err := s.passRow(c.Buffer[c.Start:run]); err != nil {
					return err
				}
				c.Start = run
				continue
			}
			if bulk {
				if _, err := s.fromServer(typ); err != nil {
					s.out = append(s.out, c.Buffer[run:c.Start]...)
					return err
				}
				n := min(left, size)
				s.partial = size - n
				if s.head().others {
					s.out = append(s.out, c.Buffer[run:c.Start]...)
					s.passingOver = s.partial > 0
					run = c.Start + n
				}
				if g := s.head().guest; g != nil {
					g.tooLarge = true
				}
				c.Start += n
				continue
			}
			what, instead, err := s.answer(c.Buffer[c.Start : c.Start+size])
			if err != nil {
				s.out = append(s.out, c.Buffer[run:c.Start]...)
				return err
			}
			if what == pass {
				c.Start += size
			} else {
				s.out = append(s.out, c.Buffer[run:c.Start]...)
				s.out = append(s.out, instead...)
				c.Start += size
				run = c.Start
			}
			if !s.idle() && s.head().reply == replyFake {
				s.out = append(s.out, c.Buffer[run:c.Start]...)
				run = c.Start
				s.out = s.fakes(s.out)
			}
		}
		if len(s.guests) > 0 && !s.idle() && s.partial == 0 { // who go first, and whose transaction has not ended
			s.out = append(s.out, c.Buffer[run:c.Start]...)
			run = c.Start
		}
		if run < c.Start || s.idle() || s.copyingIn || s.unloading || len(s.out) > clientBuffer { // else what there is goes along with what comes
			passed += len(s.out) + c.Start - run
			if err := s.passOn(c.Buffer[run:c.Start]); err != nil {
				return err
			}
		}
		if s.heard() && s.partial == 0 || s.copyingIn {
			return nil
		}
		if err := s.hear(&passed); err != nil {
			return fmt.Errorf("read from server: %w", err)
		}
	}
}

// hear reads what the server says next. Of a long answer that flows it has much
// come together: passed is how many bytes of it have gone on since it last did not.
func (s *session) hear(passed *int) error {
	if *passed < longAnswer {
		return s.conn.Fill()
	}
	flows, err := s.conn.FillBulk()
	if !flows {
		*passed = 0
	}
	return err
}

// passOn writes pending answers and then the run to the client.
func (s *session) passOn(run []byte) error {
	s.endBatch() // this may have to wait for the client
	if len(s.out) > 0 {
		s.out = append(s.out, run...)
		return s.flush()
	}
	if len(run) == 0 {
		return nil
	}
	n, err := s.client.Write(run)
	s.counts.sent.Add(int64(n))
	if err != nil {
		return errGone
	}
	return nil
}

// passRow passes a row of COPY in binary format on as text, which may be much longer:
// 1e131071 is ten bytes.
func (s *session) passRow(msg []byte) error {
	if _, err := s.fromServer(msg[0]); err != nil {
		return err
	}
	out, err := s.head().unload.appendRow(s.out, msg[headSize:])
	if err != nil {
		return err
	}
	if s.out = out; len(s.out) < textPiece {
		return nil
	}
	s.endBatch() // this may have to wait for the client
	return s.flush()
}

// answer decides on one whole message of the server.
func (s *session) answer(msg []byte) (what fate, instead []byte, err error) {
	typ, body := msg[0], msg[headSize:]
	switch typ {
	case 'E':
		return s.errorAnswer(body)
	case 'N':
		return s.notice(msg)
	case 'S':
		return s.parameterStatus(body)
	case 'A':
		return drop, nil, nil // the listener hears what the session listens on
	}
	if s.idle() {
		return drop, nil, fmt.Errorf("%w: message %q to no request", errServerProtocol, typ)
	}
	req := *s.head()
	done, err := s.fromServer(typ)
	if err != nil {
		return drop, nil, err
	}
	what = pass
	if req.reply != replyForward {
		what = drop
	}
	switch typ {
	case 'Z':
		if string(body) == "I" {
			s.tellComplete(guestAnswered)
		}
		if what, err = s.ready(req, body); err == nil && req.tag && !s.erred {
			what, instead = replace, appendReady(s.copyTag(), s.status)
		} else if err == nil && what == pass && s.status == 'I' {
			if mail, full := s.mail.take(nil); full == nil && len(mail) > 0 { // a full one ends the session soon
				what, instead = replace, appendReady(mail, s.status)
			}
		}
	case 'H':
		if req.unload.writes() {
			what, instead = replace, appendCopyResponse(nil, 'H', 0, len(req.unload.forms))
		}
	case 'G':
		if req.load != nil {
			what, instead = req.load.asked()
			s.copyingIn = !req.load.ended
		} else {
			s.beginFeed()
		}
	case '2':
		if req.fake != nil {
			what, instead = replace, req.fake
		}
	case 'T', 'n':
		if req.load != nil {
			err = req.load.describe(body)
		}
		if req.unload != nil && typ == 'T' {
			err = req.unload.describe(body)
		}
		if req.columns != nil {
			req.columns.noteColumns(typ, body, s.backend.definitionsVersion())
		}
		if typ == 'n' && req.rowsOnly {
			what = drop
		}
	case 't':
		if req.learn != nil {
			err = req.learn.learn(body, req.hidden)
		}
		if req.hidden > 0 && what == pass {
			instead, err = hideParameters(body, req.hidden)
			what = replace
		}
	case 'D':
		err = s.ownRow(req, body)
	case 'C':
		s.drawn = s.drawn || req.forgets
		if !done {
			s.head().nth++
		}
		if tag := s.channelTag(req); tag != nil && what == pass {
			what, instead = replace, tag
		}
		if req.copied != nil {
			err = s.countCopied("INSERT", body)
		}
		if req.load != nil {
			req.load.before = req.load.divided
			err = s.countCopied("COPY", body)
		}
	}
	if err != nil {
		return drop, nil, err
	}
	if req.guest != nil {
		s.serveGuest(req, msg, done)
	}
	if done {
		s.done(req)
		s.pop()
	}
	return what, instead, nil
}

// notice decides on a NoticeResponse.
func (s *session) notice(msg []byte) (fate, []byte, error) {
	if s.idle() {
		return drop, nil, nil
	}
	if s.head().await == awaitSync { // whose lookup it is of nobody can tell
		s.tellComplete(guestAlone)
	}
	if g := s.head().guest; g != nil {
		g.hear(msg)
	}
	if s.head().load != nil || s.head().copied != nil {
		about, err := s.head().copyNotice(msg[headSize:])
		return replace, about, err
	}
	if s.head().reply == replyForward {
		return pass, nil, nil
	}
	return drop, nil, nil
}

// done takes note of a request that was answered in full.
func (s *session) done(req request) {
	if req.await == awaitParse && req.prepare != nil {
		req.prepare.parsed = true
	}
}

// ready takes note of a ReadyForQuery.
func (s *session) ready(req request, body []byte) (fate, error) {
	if len(body) != 1 || body[0] != 'I' && body[0] != 'T' && body[0] != 'E' {
		return drop, fmt.Errorf("%w: ReadyForQuery without a status", errServerProtocol)
	}
	s.status = body[0]
	if !req.upkeep {
		s.block, s.beginning = s.status != 'I', false
	}
	if req.reply != replyForward || req.cut && !s.erred || s.again != "" {
		return drop, nil
	}
	if s.status == 'I' && len(s.changes) > 0 {
		s.owed = true // settled says so
		return drop, nil
	}
	return pass, nil
}

// ownRow reads a row that the proxy asked for.
func (s *session) ownRow(req request, body []byte) error {
	switch req.await {
	case awaitTenant, awaitSetting, awaitHolding, awaitLocks, awaitMarks, awaitUnload:
	default:
		return nil
	}
	if (req.await == awaitMarks || req.await == awaitUnload) && isNullRow(body) {
		return nil // none
	}
	if req.await == awaitSetting && isNullRow(body) {
		return nil // the server has no such parameter
	}
	column, err := onlyColumn(body)
	if err != nil {
		return err
	}
	if req.await == awaitTenant {
		if string(column) != req.value {
			return fmt.Errorf("%w: the tenant setting was not taken", errServerProtocol)
		}
		return nil
	}
	value := string(column)
	switch {
	case req.await == awaitHolding && s.operator:
		return s.takeOperatorHolding(value)
	case req.await == awaitHolding:
		return s.held.take(value)
	case req.await == awaitLocks:
		s.held.takeLocks(value)
	case req.await == awaitUnload:
		req.unload.take(value)
	case req.await == awaitMarks:
		s.marks = value
	default: // awaitSetting
		s.takeSetting(req.value, value, req.reset)
	}
	return nil
}

// isNullRow reports whether a row is one NULL.
func isNullRow(body []byte) bool { return string(body) == "\x00\x01\xff\xff\xff\xff" }

// onlyColumn is the value of a row's one column, a part of the row.
func onlyColumn(body []byte) ([]byte, error) {
	if len(body) < 6 || binary.BigEndian.Uint16(body) != 1 || int(int32(binary.BigEndian.Uint32(body[2:]))) != len(body)-6 {
		return nil, fmt.Errorf("%w: a row of one value was due", errServerProtocol)
	}
	return body[6:], nil
}

// hideParameters takes the last n parameters out of a ParameterDescription.
func hideParameters(body []byte, n int) ([]byte, error) {
	if len(body) < 2 {
		return nil, fmt.Errorf("%w: ParameterDescription too short", errServerProtocol)
	}
	count := int(binary.BigEndian.Uint16(body))
	if count < n || len(body) != 2+4*count {
		return nil, fmt.Errorf("%w: ParameterDescription of %d parameters", errServerProtocol, count)
	}
	msg, at := beginMessage(nil, 't')
	msg = binary.BigEndian.AppendUint16(msg, uint16(count-n))
	msg = append(msg, body[2:2+4*(count-n)]...)
	return finishMessage(msg, at), nil
}

// parameterStatus keeps track of what the server reports. The client is told
// what is news to it.
func (s *session) parameterStatus(body []byte) (fate, []byte, error) {
	name, rest, err := cstring(body)
	if err != nil {
		return drop, nil, fmt.Errorf("%w: ParameterStatus: %w", errServerProtocol, err)
	}
	value, _, err := cstring(rest)
	if err != nil {
		return drop, nil, fmt.Errorf("%w: ParameterStatus: %w", errServerProtocol, err)
	}
	switch strings.ToLower(name) {
	case "client_encoding", "standard_conforming_strings":
		if was := s.conn.Reported[name]; was != value && !s.operator {
			// Statements were read under the old value: whatever comes now may
			// have been understood otherwise by the server.
			return drop, nil, fmt.Errorf("%w: %s changed to %q", errServerProtocol, name, value)
		}
	}
	s.conn.Reported[name] = value
	if s.cleaning {
		return drop, nil, nil
	}
	if name == "session_authorization" && !s.operator || s.reported[name] == value || s.tainted { // or will not last
		return drop, nil, nil
	}
	if _, known := s.greeted[name]; !known {
		if s.greeted == nil {
			s.greeted = make(map[string]string)
		}
		s.greeted[name] = s.reported[name]
	}
	s.reported[name] = value
	return pass, nil, nil
}

// errorAnswer decides on an ErrorResponse.
func (s *session) errorAnswer(body []byte) (fate, []byte, error) {
	var msg pgproto3.ErrorResponse
	if err := msg.Decode(body); err != nil {
		return drop, nil, fmt.Errorf("%w: ErrorResponse: %w", errServerProtocol, err)
	}
	if msg.Severity == "FATAL" || msg.Severity == "PANIC" || msg.SeverityUnlocalized == "FATAL" || msg.SeverityUnlocalized == "PANIC" {
		return drop, nil, &Error{Code: msg.Code, Message: msg.Message, Hint: errServerLost.Hint}
	}
	s.drawing = s.drawn // if it was among what is passed over
	failed, lost, err := s.failed()
	if err != nil {
		return drop, nil, err
	}
	s.tellComplete(guestAlone)
	if failed.others && !s.guestFailed(failed, lost, msg.Code) {
		return drop, nil, nil
	}
	if failed.retry && retriable(msg.Code) {
		s.again = msg.Code
	} else {
		s.tally.failed(msg.Code)
	}
	s.forget(failed)
	if p := failed.about; p != nil && p.shared != nil && msg.Code == errPlanChanged.Code && msg.Routine == errPlanChanged.Routine {
		s.backend.statements.retire(p.shared) // whoever prepares it again gets the columns that there are now
	}
	for _, r := range lost {
		s.forget(r)
	}
	if failed.await == awaitBind && failed.fake != nil && s.again == "" {
		s.out = append(s.out, parseComplete...)
	}
	switch {
	case s.again != "", failed.await == awaitFailure:
		return drop, nil, nil
	case failed.await == awaitHolding && s.operator: // its role may not look
		s.held.reasons, s.held.dirty = pinUnknown, true
		return drop, nil, nil
	case failed.upkeep:
		return drop, nil, &Error{Code: msg.Code, Message: msg.Message, Hint: errServerLost.Hint}
	case failed.await == awaitRefusal || failed.load.refused(&msg):
		if failed.load != nil {
			failed.refusal = failed.load.refusal
		}
		refusal, internal := errorResponse("ERROR", failed.refusal)
		if internal {
			s.log.Error().Err(failed.refusal).Msg("internal error")
		}
		bytes, err := refusal.Encode(nil)
		return replace, bytes, err
	}
	if !s.restate(&msg, failed) {
		return pass, nil, nil
	}
	bytes, err := msg.Encode(nil)
	return replace, bytes, err
}

// forget undoes what was noted about a request that the server did not carry
// out.
func (s *session) forget(r request) {
	if r.evicted != nil { // Close was passed over with the Parse before it
		s.conn.Statements.Add(r.evicted)
	}
	if r.await != awaitParse || r.prepare == nil {
		return
	}
	if r.prepare.unnamed {
		s.conn.Unnamed = nil
	} else {
		s.conn.Statements.Remove(r.prepare.shared)
	}
	if !r.prepare.parsed && s.statements[r.prepare.name] == r.prepare {
		delete(s.statements, r.prepare.name)
	}
}

// restate puts an error of the server in terms of the client's own text. It
// reports whether anything changed.
func (s *session) restate(msg *pgproto3.ErrorResponse, failed request) bool {
	changed := false
	if why := s.overdue(); why != nil && msg.Code == why.Code {
		msg.Message, msg.Detail, changed = why.Message, why.Detail, true // the server knows only that it was asked to
	}
	if failed.load != nil || failed.copied != nil {
		msg.Position, msg.Where, changed = 0, failed.contextOfCopy(msg.Where), true // the position is in the proxy's text
	}
	if failed.unload != nil && failed.about == nil {
		msg.Position, changed = 0, true // it is in the proxy's text
	}
	if msg.Position > 0 {
		position := int(msg.Position)
		switch {
		case failed.text != nil:
			position = failed.text.original(position)
		case failed.about != nil:
			position = failed.about.original(position)
		}
		changed = position != int(msg.Position)
		msg.Position = int32(position)
	}
	if p := failed.about; p != nil && failed.await == awaitBind && msg.Code == "08P01" {
		var supplied, required int
		if _, err := fmt.Sscanf(msg.Message, "bind message supplies %d parameters, but prepared statement "+strconv.Quote(p.serverName())+" requires %d",
			&supplied, &required); err == nil {
			hidden := len(p.statement.Keys)
			msg.Message = fmt.Sprintf("bind message supplies %d parameters, but prepared statement \"%s\" requires %d", supplied-hidden, p.name, required-hidden)
			changed = true
		}
	}
	if s.backend.rewriting && msg.Detail != "" && strings.HasPrefix(msg.Code, "23") && !s.ownKey(msg) {
		// The key that a constraint names may be another tenant's.
		msg.Detail = ""
		changed = true
	}
	return changed
}

// readSetting reads the answer to one of the proxy's own settings outside a
// session: what the server reports because of it, or its error.
func readSetting(c *pool.Conn) (reported map[string]string, err error) {
	reported = make(map[string]string)
	var refused error
	for {
		for c.End-c.Start < headSize || c.End-c.Start < 1+int(binary.BigEndian.Uint32(c.Buffer[c.Start+1:])) {
			if err := c.Fill(); err != nil {
				return nil, fmt.Errorf("%w: read from server: %w", errServerProtocol, err)
			}
		}
		size := 1 + int(binary.BigEndian.Uint32(c.Buffer[c.Start+1:]))
		typ, body := c.Buffer[c.Start], c.Buffer[c.Start+headSize:c.Start+size]
		c.Start += size
		switch typ {
		case '2', 'D', 'C', 'N':
		case 'S':
			var status pgproto3.ParameterStatus
			if err := status.Decode(body); err != nil {
				return nil, fmt.Errorf("%w: ParameterStatus: %w", errServerProtocol, err)
			}
			reported[status.Name] = status.Value
		case 'E':
			var msg pgproto3.ErrorResponse
			if err := msg.Decode(body); err != nil {
				return nil, fmt.Errorf("%w: ErrorResponse: %w", errServerProtocol, err)
			}
			refused = &Error{Code: msg.Code, Message: msg.Message, Hint: msg.Hint}
		case 'Z':
			if len(body) != 1 || body[0] != 'I' {
				return nil, fmt.Errorf("%w: not idle after a setting", errServerProtocol)
			}
			return reported, refused
		default:
			return nil, fmt.Errorf("%w: message %q in answer to a setting", errServerProtocol, typ)
		}
	}
}

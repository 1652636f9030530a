package proxy

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"tenantgate/rewrite"
)

// Where no policies are in the way, the rows of COPY FROM STDIN go into a COPY
// of the proxy's, with the tenant's key behind each. They are read as for
// INSERTs and written anew, so that a row is one row whatever it holds.

// A copyLoad is such a COPY under way.
type copyLoad struct {
	in      *rewrite.CopyIn
	stream  copyStream
	lines   lineMap
	one     *prepared // INSERT of one row, which says what is checked of each
	args    bindArgs
	suffix  []byte // of each row: the key, if it is not among the columns, and the line's end
	refusal error  // why the proxy has the server fail it
}

// loader returns what a COPY's rows are written with, or nil if they have to go
// by INSERTs.
func (s *session) loader(in *rewrite.CopyIn, one *prepared) *copyLoad {
	keys := one.statement.Keys
	if in.Load == "" || s.backend.confining || in.LoadKey != (len(keys) == 1) || len(keys) > 1 || in.LoadKey && keys[0].Value != rewrite.ValueKey {
		return nil
	}
	l := &copyLoad{in: in, stream: newCopyStream(in), one: one}
	if in.LoadKey {
		l.suffix = appendCopyText(append(l.suffix, '\t'), []byte(s.key()))
	}
	l.suffix = append(l.suffix, '\n')
	return l
}

// loadRows runs the COPY of which l has been made.
func (s *session) loadRows(l *copyLoad) error {
	s.load, s.takesCopy = l, true
	defer func() { s.load, s.takesCopy, s.send = nil, false, nil }()
	s.forgetSequences(true)
	s.conn.Unnamed = nil
	s.send = appendQuery(s.send, l.in.Load)
	s.push(request{await: awaitQuery, load: l})
	if err := s.exchange(); err != nil {
		return err
	}
	return s.settled()
}

// feedLoad takes the client's rows in and passes them on, until they end or the
// server has something to say.
func (s *session) feedLoad(l *copyLoad) error {
	s.send, _ = beginMessage(s.send[:0], 'd')
	for {
		typ, body, err := s.nextOfCopy()
		if err != nil || typ == 0 {
			return err
		}
		var end []byte
		switch typ {
		case 'd':
			l.refusal = l.stream.feed(body, false, s.loadRow)
		case 'c':
			l.refusal = l.stream.feed(nil, true, s.loadRow)
			end = appendBare(nil, 'c')
		case 'f':
			end = appendMessage(nil, typ, body)
		case 'H', 'S': // ignored in COPY
		case 'X':
			return errGone
		default:
			l.refusal = l.stream.broken(newError("08P01", fmt.Sprintf("unexpected message type 0x%02X during COPY from stdin", typ), ""))
		}
		if l.refusal != nil {
			s.logRefusal(l.refusal)
			end = appendMessage(nil, 'f', appendCString(nil, refusedPortal))
		}
		if end == nil && (len(s.send) == headSize || s.in.buffered() && len(s.send) < copyChunk) {
			continue
		}
		pending := append(finishMessage(s.send, 1), end...)
		s.send = s.send[:0]
		s.copyingIn = end == nil
		if err := s.feed(pending); err != nil || !s.copyingIn {
			return err
		}
		if !s.conn.Quiet() {
			return s.conn.Fill()
		}
		s.send, _ = beginMessage(s.send, 'd')
	}
}

// loadRow writes one row.
func (s *session) loadRow(fields [][]byte) error {
	l := s.load
	l.args.values = fields
	if err := s.checkBind(l.one, &l.args); err != nil {
		return err
	}
	l.lines.add(l.stream.row, l.stream.line())
	for i, field := range fields {
		if i > 0 {
			s.send = append(s.send, '\t')
		}
		if field == nil {
			s.send = append(s.send, '\\', 'N')
		} else {
			s.send = appendCopyText(s.send, field)
		}
	}
	s.send = append(s.send, l.suffix...)
	return nil
}

// copySpecial is what is written with a backslash.
var copySpecial = newByteSet('\\', '\t', '\n', '\r')

// appendCopyText appends a value as COPY reads it in text format.
func appendCopyText(dst, value []byte) []byte {
	for len(value) > 0 {
		n := copySpecial.index(value)
		if dst = append(dst, value[:n]...); n == len(value) {
			break
		}
		c := value[n]
		value = value[n+1:]
		switch c {
		case '\\':
			dst = append(dst, '\\', '\\')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		}
	}
	return dst
}

// refused reports whether an error is that the proxy had the server fail.
func (l *copyLoad) refused(e *pgproto3.ErrorResponse) bool {
	return l != nil && l.refusal != nil && e.Code == "57014" && strings.Contains(e.Message, refusedPortal)
}

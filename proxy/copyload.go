package proxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"tenantgate/rewrite"
)

// Where no policies are in the way, the rows of COPY FROM STDIN go into a COPY
// of the proxy's, with the tenant's key behind each. They are read as for
// INSERTs and written anew, so that a row is one row whatever it holds. In binary
// format they cost the server less; from a value on that has no form in it, a
// second COPY takes the rest as text.

// A copyLoad is such a COPY under way.
type copyLoad struct {
	in      *rewrite.CopyIn
	stream  copyStream
	lines   lineMap
	one     *prepared // INSERT of one row, which says what is checked of each
	args    bindArgs
	key     []byte       // of each row, if it is not among the columns
	given   bool         // the client's rows are in binary format
	binary  bool         // the format of the COPY under way
	forms   []binaryForm // in it, of the stream's columns; nil if the types are not those that the catalog has
	suffix  []byte       // of each row: the key, and a line's end
	message int          // where the message under way has its length
	begun   bool         // the client has been asked for its data
	ended   bool         // it has sent all
	divided int          // rows of the first COPY, if there is a second
	before  int          // rows of a COPY that has ended
	refusal error        // why the proxy has the server fail it
}

// loader returns what a COPY's rows are written with, or nil if they have to go
// by INSERTs.
func (s *session) loader(in *rewrite.CopyIn, one *prepared) *copyLoad {
	keys := one.statement.Keys
	if in.Load == nil || s.backend.confining || in.Load.Key != (len(keys) == 1) || len(keys) > 1 || in.Load.Key && keys[0].Value != rewrite.ValueKey {
		return nil
	}
	l := &copyLoad{in: in, stream: newCopyStream(in), one: one, given: in.Format == rewrite.CopyBinary}
	if l.given {
		l.args.formats = []byte{0, 1}
	}
	if in.Load.Key {
		l.key = []byte(s.key())
	}
	switch l.binary = l.allForms(); {
	case l.binary:
		return l
	case l.given:
		return nil
	default:
		l.setText()
		return l
	}
}

// allForms reports whether the rows can be in binary format, as far as the catalog
// knows, and makes the key's form.
func (l *copyLoad) allForms() (ok bool) {
	types := l.in.Load.Types
	if l.key != nil {
		last := len(types) - 1
		form, ok := tupleForm(types[last], -1)
		if ok {
			l.suffix, ok = appendTupleField(nil, l.key, form)
		}
		if !ok {
			return false
		}
		types = types[:last]
	}
	return l.given || l.in.Load.Divisible && !slices.ContainsFunc(types, func(oid uint32) bool {
		_, ok := tupleForm(oid, -1)
		return !ok
	})
}

// loadRows runs the COPY of which l has been made.
func (s *session) loadRows(l *copyLoad) error {
	s.load, s.takesCopy = l, true
	defer func() { s.load, s.takesCopy, s.send = nil, false, nil }()
	s.forgetSequences(true)
	s.copied = 0
	s.conn.Unnamed = nil
	if l.binary {
		s.send = appendParse(s.send, "", l.in.Load.Select(), nil)
		s.push(request{await: awaitParse, reply: replySkip, load: l})
		s.send = appendTarget(s.send, 'D', 'S', "")
		s.push(request{await: awaitDescribe, reply: replySkip, load: l})
	}
	s.sendLoad(l)
	if err := s.exchange(); err != nil {
		return err
	}
	if s.send = s.send[:0]; s.skipping {
		return s.endCopy(nil)
	}
	return s.settled()
}

// describe takes the types in that the columns have, from then on to the end of the
// transaction. Of a domain it is the type below.
func (l *copyLoad) describe(body []byte) error {
	fields, err := describedFields(body)
	if err != nil {
		return err
	}
	types := l.in.Load.Types
	if len(fields) != len(types) {
		return fmt.Errorf("%w: description of %d columns where %d are due", errServerProtocol, len(fields), len(types))
	}
	forms := make([]binaryForm, len(l.in.Columns))
	for i, f := range fields {
		isKey := i == len(forms) || i == l.in.KeyColumn
		if f.DataTypeOID != types[i] && (isKey || !l.given) {
			return nil
		}
		if i < len(forms) && !l.given {
			forms[i], _ = tupleForm(f.DataTypeOID, f.TypeModifier)
		}
	}
	l.forms = forms
	return nil
}

// describedFields are those of a RowDescription.
func describedFields(body []byte) ([]pgproto3.FieldDescription, error) {
	var description pgproto3.RowDescription
	if err := description.Decode(body); err != nil {
		return nil, fmt.Errorf("%w: RowDescription: %w", errServerProtocol, err)
	}
	return description.Fields, nil
}

// setText has the rows written as text from there on.
func (l *copyLoad) setText() {
	l.binary, l.suffix = false, nil
	if l.key != nil {
		l.suffix = appendCopyText([]byte{'\t'}, l.key)
	}
	l.suffix = append(l.suffix, '\n')
}

// sendLoad sends the COPY.
func (s *session) sendLoad(l *copyLoad) {
	format := rewrite.CopyText
	if l.binary {
		format = rewrite.CopyBinary
	}
	s.send = appendParse(s.send, "", l.in.Load.Copy(format), nil)
	s.push(request{await: awaitParse, reply: replySkip, load: l})
	s.send = appendBindText(s.send, "")
	s.push(request{await: awaitBind, reply: replySkip, load: l})
	s.send = appendExecute(s.send, "", 0)
	s.push(request{await: awaitExecute, reply: replySkip, load: l})
	if l.binary {
		s.send = appendMessage(s.send, 'd', tuplesHead)
	}
}

// asked returns what the client is told when the server asks for data.
func (l *copyLoad) asked() (what fate, instead []byte) {
	if l.begun {
		return drop, nil
	}
	l.begun = true
	return replace, appendCopyInResponse(nil, l.in)
}

// feedLoad takes the client's rows in and passes them on, until they end or the
// server has something to say.
func (s *session) feedLoad(l *copyLoad) error {
	s.send, l.message = beginMessage(s.send[:0], 'd')
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
			if l.binary {
				s.send = append(s.send, tuplesEnd...)
			}
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
		s.send = finishMessage(s.send, l.message)
		if l.ended = end != nil; l.ended {
			s.copyingIn = false
			s.send = appendBare(append(s.send, end...), 'S')
			s.push(request{await: awaitSync, tag: true})
		}
		pending := s.send
		s.send = s.send[:0]
		if err := s.feed(pending); err != nil || !s.copyingIn {
			return err
		}
		if !s.conn.Quiet() {
			return s.conn.Fill()
		}
		s.send, l.message = beginMessage(s.send, 'd')
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
	if l.binary {
		begin, ok := len(s.send), l.forms != nil
		if ok {
			s.send, ok = appendTuple(s.send, fields, l.forms, l.suffix)
		}
		switch {
		case ok:
			return nil
		case l.given:
			return errPlanChanged
		}
		s.divide(l, begin)
	}
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

// divide ends the COPY in binary format, before the row that begins there, and has
// another take that and the rest as text.
func (s *session) divide(l *copyLoad, row int) {
	s.send = finishMessage(append(s.send[:row], tuplesEnd...), l.message)
	s.send = appendBare(s.send, 'c')
	l.setText()
	l.divided = l.stream.row - 1
	s.sendLoad(l)
	s.send, l.message = beginMessage(s.send, 'd')
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

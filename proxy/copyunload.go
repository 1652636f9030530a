package proxy

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tenantgate/rewrite"
)

// COPY of a table TO STDOUT in text format: the server writes its rows in binary
// format, which costs it less, and the proxy their text. For that it has to have
// each row as a whole, so it is done only where all rows are small: where nothing is
// in the table's TOAST table.

const (
	unloadStatement = "tenantgate_unload"

	// unloadQuery is of a table: how many columns it has for COPY, and the settings
	// that text depends on; NULL if its rows may be large.
	unloadQuery = `SELECT CASE WHEN c.reltoastrelid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
OR pg_catalog.pg_relation_size(c.reltoastrelid, 'main'::pg_catalog.text) OPERATOR(pg_catalog.=) 0::pg_catalog.int8
THEN pg_catalog.concat_ws(' '::pg_catalog.text, (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute AS a
	WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
	AND a.attgenerated OPERATOR(pg_catalog.=) ''::pg_catalog."char"),
	pg_catalog.current_setting('TimeZone'::pg_catalog.text), pg_catalog.current_setting('DateStyle'::pg_catalog.text)) END
FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) $1::pg_catalog.oid`

	// largestRow is more than a row can have that is compressed within a page. A
	// larger one has come in since the TOAST table was looked at.
	largestRow = 16 << 20

	// textPiece is how much text is written at once, up to the end of a row.
	textPiece = 256 << 10
)

// errRowTooLarge ends a COPY.
var errRowTooLarge = &Error{
	Code: "54000", Message: "a row is too large that was written while COPY began",
	Hint: "Run COPY again.",
}

// A copyUnload is such a COPY under way.
type copyUnload struct {
	out   *rewrite.CopyOut
	types []uint32   // of the columns
	forms []textForm // of the columns; nil: the server writes the text
	begun bool       // the head of its stream has come
}

// unloads reports whether a statement is one that unload runs.
func (s *session) unloads(st *rewrite.Statement) bool {
	return st.CopyOut != nil && s.status != 'E' && s.backend.catalog.Snapshot().Role.Sizes
}

// unload runs COPY of a table, whose text the proxy writes if it can.
func (s *session) unload(st *rewrite.Statement) error {
	u := &copyUnload{out: st.CopyOut}
	s.forgetSequences(st.Sequences.Draws)
	s.confineFor(st)
	s.conn.Unnamed = nil
	s.send = appendParse(s.send, "", u.out.Select(), nil)
	s.push(request{await: awaitParse, reply: replySkip, unload: u})
	s.send = appendTarget(s.send, 'D', 'S', "")
	s.push(request{await: awaitDescribe, reply: replySkip, unload: u})
	s.sendOwn(unloadStatement, request{await: awaitUnload, unload: u}, strconv.FormatUint(uint64(u.out.Table), 10))
	s.send = appendBare(s.send, 'H')
	if err := s.exchange(); err != nil {
		return err
	}
	if s.conn == nil || s.skipping {
		return s.endCopy(nil)
	}
	s.unloading = u.writes()
	defer s.endUnloading()
	s.sendStatement(st, u)
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync})
	if err := s.exchange(); err != nil {
		return err
	}
	return s.settled()
}

// endUnloading leaves no large buffer behind.
func (s *session) endUnloading() {
	if s.unloading = false; len(s.out) == 0 {
		s.out = nil
	}
}

// describe takes the types in that the columns have, from then on to the end of the
// transaction. Of a domain it is the type below.
func (u *copyUnload) describe(body []byte) error {
	fields, err := describedFields(body)
	if err != nil {
		return err
	}
	types := make(map[string]uint32, len(fields))
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		name := string(f.Name)
		types[name] = f.DataTypeOID
		if slices.Contains(u.out.Columns, name) { // generated ones are not
			names = append(names, name)
		}
	}
	if u.out.All && !slices.Equal(names, u.out.Columns) {
		return nil // another order than the catalog has
	}
	for _, name := range u.out.Columns {
		u.types = append(u.types, types[name]) // 0 is of one that is not there
	}
	return nil
}

// take decides by what unloadQuery says.
func (u *copyUnload) take(value string) {
	fields := strings.SplitN(value, " ", 3)
	if len(fields) == 3 && len(u.types) > 0 && (!u.out.All || fields[0] == strconv.Itoa(len(u.out.Columns))) {
		u.forms = textFormsOf(u.types, fields[1], fields[2])
	}
}

// writes reports whether the proxy writes the text.
func (u *copyUnload) writes() bool { return u != nil && u.forms != nil }

// appendRow appends the text of the row in a message of the server, if it has one:
// the last has none.
func (u *copyUnload) appendRow(dst, body []byte) ([]byte, error) {
	if !u.begun {
		if len(body) < len(tuplesHead) || string(body[:len(tuplesHead)]) != string(tuplesHead) {
			return dst, fmt.Errorf("%w: head of COPY in binary format", errServerProtocol)
		}
		u.begun, body = true, body[len(tuplesHead):]
	}
	if string(body) == string(tuplesEnd) {
		return dst, nil
	}
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(u.forms) {
		return dst, fmt.Errorf("%w: row of COPY in binary format", errServerProtocol)
	}
	body = body[2:]
	dst, at := beginMessage(dst, 'd')
	for i, form := range u.forms {
		if i > 0 {
			dst = append(dst, '\t')
		}
		if len(body) < 4 {
			return dst, fmt.Errorf("%w: row of COPY in binary format", errServerProtocol)
		}
		size := int(int32(binary.BigEndian.Uint32(body))) //nolint:gosec // two's complement
		body = body[4:]
		if size == -1 {
			dst = append(dst, '\\', 'N')
			continue
		}
		ok := size >= 0 && size <= len(body)
		if ok {
			dst, ok = form(dst, body[:size])
		}
		if !ok {
			return dst, fmt.Errorf("%w: value of COPY in binary format", errServerProtocol)
		}
		body = body[size:]
	}
	return finishMessage(append(dst, '\n'), at), nil
}

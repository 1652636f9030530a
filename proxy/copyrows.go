package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"tenantgate/rewrite"
)

// A COPY stream is cut into rows here, as PostgreSQL's COPY FROM reads it. It
// arrives in pieces of any size; a row is given on as soon as it is complete,
// and only the unfinished one is kept.

// maxCopyRow bounds one row, as PostgreSQL bounds a line.
const maxCopyRow = 1 << 30

// A rowReader cuts one format. fields are valid during the call; nil is NULL.
type rowReader interface {
	// next cuts the first row off data. rest is what follows it; ok is false
	// if data ends before the row does. end tells that the stream has ended.
	next(data []byte, end bool) (fields [][]byte, rest []byte, ok bool, err error)
}

// A copyStream feeds a rowReader.
type copyStream struct {
	reader  rowReader
	pending []byte
	row     int // of the stream, from 1
}

// feed adds data and calls row for each complete row.
func (s *copyStream) feed(data []byte, end bool, row func(fields [][]byte) error) error {
	all := data
	if len(s.pending) > 0 {
		s.pending = append(s.pending, data...)
		all = s.pending
	}
	for {
		fields, rest, ok, err := s.reader.next(all, end)
		if err != nil {
			return err
		}
		if !ok {
			if len(all) > maxCopyRow {
				return newError("54000", "row of COPY is too long", "")
			}
			s.pending = append(s.pending[:0], all...)
			return nil
		}
		all = rest
		if fields == nil {
			continue // a header
		}
		s.row++
		if err := row(fields); err != nil {
			return err
		}
	}
}

// newRowReader returns the reader for a COPY statement's format.
func newRowReader(in *rewrite.CopyIn) rowReader {
	switch in.Format {
	case rewrite.CopyBinary:
		return &binaryRows{columns: len(in.Columns)}
	case rewrite.CopyCSV:
		return &csvRows{in: in, headers: in.Header}
	default:
		return &textRows{in: in, headers: in.Header}
	}
}

func badCopy(format string, args ...any) error {
	return newError("22P04", fmt.Sprintf(format, args...), "")
}

// checkCount holds a row's fields against the columns.
func checkCount(in *rewrite.CopyIn, fields [][]byte) error {
	switch {
	case len(fields) < len(in.Columns):
		return badCopy("missing data for column %q", in.Columns[len(fields)].Name)
	case len(fields) > len(in.Columns):
		return badCopy("extra data after last expected column")
	default:
		return nil
	}
}

// checkHeader holds a header line against the columns, as HEADER MATCH asks.
func checkHeader(in *rewrite.CopyIn, fields [][]byte) error {
	if in.Header != rewrite.HeaderMatch {
		return nil
	}
	if len(fields) != len(in.Columns) {
		return badCopy("wrong number of fields in header line: got %d, expected %d", len(fields), len(in.Columns))
	}
	for i, f := range fields {
		if string(f) != in.Columns[i].Name {
			return badCopy("column name mismatch in header line field %d: got %q, expected %q", i+1, f, in.Columns[i].Name)
		}
	}
	return nil
}

// textRows reads the text format.
type textRows struct {
	in      *rewrite.CopyIn
	headers rewrite.CopyHeader // not read yet
	crlf    bool
	known   bool // crlf is known: from the first line
	done    bool // the end marker has come
	scanned int  // bytes of an unfinished line that hold no end
	fields  [][]byte
	values  []byte
}

func (t *textRows) next(data []byte, end bool) (fields [][]byte, rest []byte, ok bool, err error) {
	if t.done {
		return nil, nil, false, nil // what follows the end marker is ignored
	}
	line, rest, ok := t.line(data, end)
	if !ok {
		return nil, nil, false, nil
	}
	if string(line) == `\.` {
		t.done = true
		return nil, nil, false, nil
	}
	if err := t.split(line); err != nil {
		return nil, nil, false, err
	}
	if t.headers != rewrite.HeaderNone {
		t.headers = rewrite.HeaderNone
		return nil, rest, true, checkHeader(t.in, t.fields)
	}
	if len(t.in.Columns) == 0 && len(line) == 0 {
		t.fields = t.fields[:0]
	}
	return t.fields, rest, true, checkCount(t.in, t.fields)
}

// line cuts off one line: up to a newline that no backslash escapes.
func (t *textRows) line(data []byte, end bool) (line, rest []byte, ok bool) {
	for from := t.scanned; ; {
		n := bytes.IndexByte(data[from:], '\n')
		if n < 0 {
			if t.scanned = len(data); end {
				t.scanned = 0
			}
			return data, nil, end && len(data) > 0
		}
		at := from + n
		if escaped(data[:at]) {
			from = at + 1
			continue
		}
		t.scanned = 0
		line, rest = data[:at], data[at+1:]
		if !t.known {
			t.known, t.crlf = true, bytes.HasSuffix(line, []byte("\r"))
		}
		if t.crlf {
			line = bytes.TrimSuffix(line, []byte("\r"))
		}
		return line, rest, true
	}
}

// escaped reports whether an odd number of backslashes ends b.
func escaped(b []byte) bool {
	n := 0
	for i := len(b) - 1; i >= 0 && b[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// split takes the fields of a line and their escapes apart.
func (t *textRows) split(line []byte) error {
	t.fields = t.fields[:0]
	if cap(t.values) < len(line) { // unescaping only makes shorter
		t.values = make([]byte, 0, len(line))
	}
	out := t.values[:0]
	raw, start := 0, 0 // where the field begins, in line and in out
	finish := func(to int) {
		if string(line[raw:to]) == t.in.Null {
			t.fields = append(t.fields, nil)
		} else {
			t.fields = append(t.fields, out[start:len(out):len(out)])
		}
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case t.in.Delimiter:
			finish(i)
			raw, start = i+1, len(out)
		case '\r', '\n':
			return badCopy("literal carriage return or newline found in data")
		case '\\':
			if i+1 == len(line) {
				out = append(out, c)
				continue
			}
			i++
			var b byte
			b, i = unescape(line, i)
			out = append(out, b)
		default:
			out = append(out, c)
		}
	}
	finish(len(line))
	return nil
}

// unescape reads what follows a backslash at i. It returns the byte and the
// index of the last one read.
func unescape(line []byte, i int) (b byte, last int) {
	switch c := line[i]; c {
	case 'b':
		return '\b', i
	case 'f':
		return '\f', i
	case 'n':
		return '\n', i
	case 'r':
		return '\r', i
	case 't':
		return '\t', i
	case 'v':
		return '\v', i
	case '0', '1', '2', '3', '4', '5', '6', '7':
		value := int(c - '0')
		for range 2 {
			if i+1 == len(line) || line[i+1] < '0' || line[i+1] > '7' {
				break
			}
			i++
			value = value<<3 | int(line[i]-'0')
		}
		return byte(value), i
	case 'x':
		value, digits := 0, 0
		for digits < 2 && i+1 < len(line) {
			d := hexDigit(line[i+1])
			if d < 0 {
				break
			}
			i++
			digits++
			value = value<<4 | d
		}
		if digits == 0 {
			return 'x', i
		}
		return byte(value), i
	default:
		return c, i
	}
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}

// csvRows reads the CSV format.
type csvRows struct {
	in      *rewrite.CopyIn
	headers rewrite.CopyHeader
	crlf    bool
	known   bool
	done    bool
	scanned int  // bytes of an unfinished record that hold no end
	quoted  bool // at that place
	escape  bool // the byte before it
	fields  [][]byte
	values  []byte
}

func (r *csvRows) next(data []byte, end bool) (fields [][]byte, rest []byte, ok bool, err error) {
	if r.done {
		return nil, nil, false, nil
	}
	length, rest, ok, err := r.record(data, end)
	if !ok || err != nil {
		return nil, nil, false, err
	}
	record := data[:length]
	if string(record) == `\.` {
		r.done = true
		return nil, nil, false, nil
	}
	r.split(record)
	if r.headers != rewrite.HeaderNone {
		r.headers = rewrite.HeaderNone
		return nil, rest, true, checkHeader(r.in, r.fields)
	}
	if len(r.in.Columns) == 0 && len(record) == 0 {
		r.fields = r.fields[:0]
	}
	return r.fields, rest, true, checkCount(r.in, r.fields)
}

// record finds the end of a record: a newline outside quotes.
func (r *csvRows) record(data []byte, end bool) (length int, rest []byte, ok bool, err error) {
	for i := r.scanned; i < len(data); i++ {
		c := data[i]
		if r.quoted && c == r.in.Escape && r.in.Escape != r.in.Quote {
			r.escape = !r.escape
			continue
		}
		if c == r.in.Quote && !r.escape {
			r.quoted = !r.quoted
		}
		r.escape = false
		if c != '\n' || r.quoted {
			continue
		}
		r.scanned = 0
		if !r.known {
			r.known, r.crlf = true, i > 0 && data[i-1] == '\r'
		}
		length = i
		if r.crlf && i > 0 && data[i-1] == '\r' {
			length--
		}
		return length, data[i+1:], true, nil
	}
	if r.scanned = len(data); end {
		r.scanned = 0
	}
	if end && r.quoted {
		return 0, nil, false, badCopy("unterminated CSV quoted field")
	}
	return len(data), nil, end && len(data) > 0, nil
}

// split takes a record apart, as PostgreSQL does: quotes may begin and end
// anywhere in a field.
func (r *csvRows) split(record []byte) {
	r.fields = r.fields[:0]
	if cap(r.values) < len(record) {
		r.values = make([]byte, 0, len(record))
	}
	out := r.values[:0]
	start, quoted, wasQuoted := 0, false, false
	finish := func() {
		value := out[start:len(out):len(out)]
		i := len(r.fields)
		null := string(value) == r.in.Null && (!wasQuoted || r.in.ForceNull(i)) && !(r.in.ForceNotNull(i) && !wasQuoted)
		if null {
			value = nil
		}
		r.fields = append(r.fields, value)
		start, wasQuoted = len(out), false
	}
	for i := 0; i < len(record); i++ {
		c := record[i]
		switch {
		case quoted && c == r.in.Escape && i+1 < len(record) && (record[i+1] == r.in.Quote || record[i+1] == r.in.Escape):
			i++
			out = append(out, record[i])
		case c == r.in.Quote:
			quoted = !quoted
			wasQuoted = true
		case c == r.in.Delimiter && !quoted:
			finish()
		default:
			out = append(out, c)
		}
	}
	finish()
}

// binarySignature begins a stream in the binary format.
var binarySignature = []byte("PGCOPY\n\xff\r\n\x00")

// binaryRows reads the binary format.
type binaryRows struct {
	columns int
	begun   bool
	done    bool
	fields  [][]byte
}

func (b *binaryRows) next(data []byte, end bool) (fields [][]byte, rest []byte, ok bool, err error) {
	if b.done {
		if len(data) > 0 {
			return nil, nil, false, badCopy("received copy data after EOF marker")
		}
		return nil, nil, false, nil
	}
	fields, rest, ok, err = b.cut(data)
	if err == nil && !ok && end && (len(data) > 0 || !b.begun) { // the end marker may be missing
		err = badCopy("unexpected EOF in COPY data")
	}
	return fields, rest, ok, err
}

func (b *binaryRows) cut(data []byte) (fields [][]byte, rest []byte, ok bool, err error) {
	if !b.begun {
		const head = 11 + 4 + 4
		if len(data) < head {
			return nil, nil, false, nil
		}
		if !bytes.HasPrefix(data, binarySignature) {
			return nil, nil, false, badCopy("COPY file signature not recognized")
		}
		if flags := binary.BigEndian.Uint32(data[11:]); flags != 0 {
			return nil, nil, false, badCopy("unrecognized critical flags in COPY file header")
		}
		extension := int(int32(binary.BigEndian.Uint32(data[15:])))
		if extension < 0 {
			return nil, nil, false, badCopy("invalid COPY file header (missing length)")
		}
		if len(data) < head+extension {
			return nil, nil, false, nil
		}
		b.begun = true
		return nil, data[head+extension:], true, nil
	}
	if len(data) < 2 {
		return nil, nil, false, nil
	}
	count := int(int16(binary.BigEndian.Uint16(data)))
	data = data[2:]
	if count == -1 {
		b.done = true
		return nil, data, true, nil
	}
	if count != b.columns {
		return nil, nil, false, badCopy("row field count is %d, expected %d", count, b.columns)
	}
	b.fields = b.fields[:0]
	for range count {
		if len(data) < 4 {
			return nil, nil, false, nil
		}
		size := int(int32(binary.BigEndian.Uint32(data)))
		data = data[4:]
		if size == -1 {
			b.fields = append(b.fields, nil)
			continue
		}
		if size < 0 {
			return nil, nil, false, badCopy("invalid field size")
		}
		if len(data) < size {
			return nil, nil, false, nil
		}
		b.fields = append(b.fields, data[:size:size])
		data = data[size:]
	}
	if b.fields == nil {
		b.fields = [][]byte{}
	}
	return b.fields, data, true, nil
}

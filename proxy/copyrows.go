package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"

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
	// line counts the lines that have been read as PostgreSQL does, from 1; text is
	// what is in the last one. After an error it is the one in error, and text is
	// nil if it could not be read.
	line() (number int, text []byte)
}

// A copyStream feeds a rowReader.
type copyStream struct {
	table   string
	reader  rowReader
	pending []byte
	row     int // of the stream, from 1
}

func newCopyStream(in *rewrite.CopyIn) copyStream {
	return copyStream{table: in.Table(), reader: newRowReader(in)}
}

// line is the line of the row at hand.
func (s *copyStream) line() int {
	number, _ := s.reader.line()
	return number
}

// failed says which line an error is about.
func (s *copyStream) failed(err error) error {
	number, text := s.reader.line()
	return &copyError{err, copyContext(s.table, number, text)}
}

// broken is an error at the end of what has come.
func (s *copyStream) broken(err error) error {
	return &copyError{err, copyContext(s.table, s.line()+1, nil)}
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
			return s.failed(err)
		}
		if !ok {
			if len(all) > maxCopyRow {
				return s.broken(newError("54000", "row of COPY is too long", ""))
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
			return s.failed(err)
		}
	}
}

// newRowReader returns the reader for a COPY statement's format.
func newRowReader(in *rewrite.CopyIn) rowReader {
	switch in.Format {
	case rewrite.CopyBinary:
		return &binaryRows{columns: len(in.Columns)}
	case rewrite.CopyCSV:
		return &csvRows{in: in, headers: in.Header, lines: newLineReader(in), stops: newByteSet(in.Quote, in.Escape, in.Delimiter)}
	default:
		return &textRows{in: in, headers: in.Header, lines: newLineReader(in), stops: newByteSet(in.Delimiter, '\\')}
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

// noHeader is the error of a stream that ends before the header that it has to
// have.
func noHeader(in *rewrite.CopyIn, headers rewrite.CopyHeader, lines *lineReader) error {
	if headers != rewrite.HeaderMatch {
		return nil
	}
	lines.number, lines.text = 1, []byte{}
	return checkHeader(in, nil)
}

// checkText refuses what is no text in UTF-8.
func checkText(b []byte) error {
	i := 0
	for i < len(b) {
		for len(b)-i >= 8 && plainBytes(binary.LittleEndian.Uint64(b[i:])) {
			i += 8
		}
		if i == len(b) {
			break
		}
		if c := b[i]; c > 0 && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			return newError("22021", fmt.Sprintf("invalid byte sequence for encoding \"UTF8\": 0x%02x", b[i]), "")
		}
		i += size
	}
	return nil
}

// plainBytes reports whether eight bytes are ASCII, none of them zero.
func plainBytes(word uint64) bool {
	return word&highBits == 0 && (word-lowBits)&highBits == 0
}

// textRows reads the text format.
type textRows struct {
	in      *rewrite.CopyIn
	stops   *byteSet           // what ends a field, or is escaped
	headers rewrite.CopyHeader // not read yet
	lines   lineReader
	fields  [][]byte
	values  []byte
}

func (t *textRows) next(data []byte, end bool) (fields [][]byte, rest []byte, ok bool, err error) {
	if t.lines.done {
		return nil, nil, len(data) > 0, nil // what follows the end marker is ignored
	}
	line, rest, ok, err := t.lines.next(data, end)
	switch {
	case err != nil:
		return nil, nil, false, err
	case !ok && (t.lines.done || end):
		return nil, nil, t.lines.done, noHeader(t.in, t.headers, &t.lines)
	case !ok:
		return nil, nil, false, nil
	case t.headers == rewrite.HeaderSkip:
		t.headers = rewrite.HeaderNone
		return nil, rest, true, nil
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

func (t *textRows) line() (number int, text []byte) { return t.lines.number, t.lines.text }

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
	end, verify := len(line), false
	for i := 0; i < len(line); i++ {
		n := t.stops.index(line[i:])
		out = append(out, line[i:i+n]...)
		if i += n; i == len(line) {
			break
		}
		switch c := line[i]; c {
		case t.in.Delimiter:
			finish(i)
			raw, start = i+1, len(out)
		case '\\':
			if i+1 == len(line) { // it escapes nothing, and is left out
				end = i
				continue
			}
			i++
			var b byte
			b, i = unescape(line, i)
			out = append(out, b)
			verify = verify || b == 0 || b >= utf8.RuneSelf
		}
	}
	finish(end)
	for _, f := range t.fields {
		if !verify {
			break
		}
		if err := checkText(f); err != nil {
			return err
		}
	}
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
	stops   *byteSet // quote, escape and delimiter
	headers rewrite.CopyHeader
	lines   lineReader
	fields  [][]byte
	values  []byte
}

func (r *csvRows) next(data []byte, end bool) (fields [][]byte, rest []byte, ok bool, err error) {
	if r.lines.done {
		return nil, nil, len(data) > 0, nil
	}
	record, rest, ok, err := r.lines.next(data, end)
	switch {
	case err != nil:
		return nil, nil, false, err
	case !ok && (r.lines.done || end):
		return nil, nil, r.lines.done, noHeader(r.in, r.headers, &r.lines)
	case !ok:
		return nil, nil, false, nil
	case r.headers == rewrite.HeaderSkip:
		r.headers = rewrite.HeaderNone
		return nil, rest, true, nil
	}
	if err := r.split(record); err != nil {
		return nil, nil, false, err
	}
	if r.headers != rewrite.HeaderNone {
		r.headers = rewrite.HeaderNone
		return nil, rest, true, checkHeader(r.in, r.fields)
	}
	if len(r.in.Columns) == 0 && len(record) == 0 {
		r.fields = r.fields[:0]
	}
	return r.fields, rest, true, checkCount(r.in, r.fields)
}

func (r *csvRows) line() (number int, text []byte) { return r.lines.number, r.lines.text }

// split takes a record apart, as PostgreSQL does: quotes may begin and end
// anywhere in a field.
func (r *csvRows) split(record []byte) error {
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
		n := r.stops.index(record[i:])
		out = append(out, record[i:i+n]...)
		if i += n; i == len(record) {
			break
		}
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
	if quoted {
		return badCopy("unterminated CSV quoted field")
	}
	finish()
	return nil
}

// binarySignature begins a stream in the binary format.
var binarySignature = []byte("PGCOPY\n\xff\r\n\x00")

// binaryRows reads the binary format.
type binaryRows struct {
	columns int
	number  int
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
	if err == nil && !ok && end && (len(data) > 1 || !b.begun) { // the end marker may be missing
		err = badCopy("unexpected EOF in COPY data")
	}
	if b.begun && (err != nil || fields != nil || b.done) {
		b.number++
	}
	return fields, rest, ok, err
}

func (b *binaryRows) line() (number int, text []byte) { return b.number, nil }

func (b *binaryRows) cut(data []byte) (fields [][]byte, rest []byte, ok bool, err error) {
	if !b.begun {
		const head = 11 + 4 + 4
		if len(data) < head {
			return nil, nil, false, nil
		}
		if !bytes.HasPrefix(data, binarySignature) {
			return nil, nil, false, badCopy("COPY file signature not recognized")
		}
		if flags := binary.BigEndian.Uint32(data[11:]); flags>>16 != 0 {
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

package proxy

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Errors and notices of COPY FROM say in their CONTEXT which line of the client's
// stream they are about, as PostgreSQL's do (CopyFromErrorCallback).

// A copyError is an error of the proxy's about a stream.
type copyError struct {
	error
	context string
}

func (e *copyError) Unwrap() error { return e.error }

// shownOfLine bounds what of a line a context shows, in bytes.
const shownOfLine = 100

// copyContext is of a line of a COPY into a table, and of what is in it if text
// is not nil. Of line 0, which is before the first, there is none.
func copyContext(table string, line int, text []byte) string {
	if line == 0 {
		return ""
	}
	context := fmt.Sprintf("COPY %s, line %d", table, line)
	switch {
	case text == nil:
		return context
	case len(text) <= shownOfLine:
		return fmt.Sprintf("%s: \"%s\"", context, text)
	}
	end := shownOfLine
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s: \"%s...\"", context, text[:end])
}

// copiedRows are rows that one INSERT puts in, by the lines they are on. The
// server cannot tell which of them an error is about.
type copiedRows struct {
	table       string
	first, last int
}

func (r *copiedRows) context() string {
	if r.first == r.last {
		return copyContext(r.table, r.first, nil)
	}
	return fmt.Sprintf("COPY %s, lines %d to %d", r.table, r.first, r.last)
}

// A lineMap tells the client's line of each row of a stream that the proxy sends
// with one line to a row.
type lineMap struct {
	bends []bend
}

// A bend is a row from which on so many lines are ahead of rows.
type bend struct{ row, ahead int }

// keptBends bounds a map. Rows before those it knows are with the server long
// since.
const keptBends = 16 << 10

func (m *lineMap) add(row, line int) {
	ahead := line - row
	switch n := len(m.bends); {
	case n > 0 && m.bends[n-1].ahead == ahead:
		return
	case n == keptBends:
		m.bends = m.bends[:copy(m.bends, m.bends[n/2:])]
	}
	m.bends = append(m.bends, bend{row, ahead})
}

// line is the line of a row, or 0 if that is not known.
func (m *lineMap) line(row int) int {
	for i := len(m.bends) - 1; i >= 0; i-- {
		if b := m.bends[i]; b.row <= row {
			return row + b.ahead
		}
	}
	return 0
}

// context puts a context of the server's in terms of the client's lines. What the
// server shows of a whole line is the proxy's, and so is a column that the client
// has not named.
func (l *copyLoad) context(where string) string {
	about := "COPY " + l.in.Table() + ", line "
	before, rest, found := strings.Cut("\n"+where, "\n"+about) // what led to it comes first
	if !found && !strings.Contains(where, "COPY "+l.in.Table()) {
		return where // of what runs behind all rows
	}
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	row, err := strconv.Atoi(rest[:digits])
	line := l.lines.line(l.before + row)
	if l.stream.row == 0 { // none has been sent
		line = l.stream.line() + row
	}
	if err != nil || line == 0 {
		return ""
	}
	column := ""
	if name, isColumn := strings.CutPrefix(rest[digits:], ", column "); isColumn && l.in.HasColumn(name[:max(0, strings.IndexByte(name, ':'))]) {
		column = rest[digits:]
	}
	return strings.TrimPrefix(before+"\n"+copyContext(l.in.Table(), line, nil)+column, "\n")
}

// copyNotice puts a notice about rows of a COPY in terms of the client's lines.
func (r *request) copyNotice(body []byte) ([]byte, error) {
	var msg pgproto3.NoticeResponse
	if err := msg.Decode(body); err != nil {
		return nil, fmt.Errorf("%w: NoticeResponse: %w", errServerProtocol, err)
	}
	msg.Where = r.contextOfCopy(msg.Where)
	return msg.Encode(nil)
}

// contextOfCopy is the context of what the server says about rows of a COPY.
func (r *request) contextOfCopy(where string) string {
	switch {
	case r.load != nil:
		return r.load.context(where)
	case r.await == awaitBind || where == "": // it would tell of the proxy's parameters
		return r.copied.context()
	default:
		return where + "\n" + r.copied.context()
	}
}

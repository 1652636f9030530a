package proxy

import "tenantgate/rewrite"

// A lineEnd is how the lines of a stream end: as the first one does.
type lineEnd uint8

const (
	endUnknown lineEnd = iota
	endNL
	endCR
	endCRNL
)

// A lineReader cuts a stream in text or CSV format into lines, as PostgreSQL
// does: a backslash keeps the byte behind it in the line, quotes of CSV
// keep whole lines, and \. ends the stream.
type lineReader struct {
	csv           bool
	marked        bool // \. ends CSV, too, and text within a line: up to PostgreSQL 17
	quote, escape byte
	stops         *byteSet // what may end a line, or keep its end from doing so
	ends          lineEnd
	done          bool   // the end marker has come
	scanned       int    // bytes of an unfinished line that hold no end
	quoted        bool   // at that place
	escaped       bool   // the byte before it was an escape
	number        int    // of lines so far
	text          []byte // the last one, if it could be read
}

func newLineReader(in *rewrite.CopyIn) lineReader {
	l := lineReader{csv: in.Format == rewrite.CopyCSV, marked: in.EndMarker, quote: in.Quote, escape: in.Escape}
	if l.csv {
		l.stops = newByteSet('\n', '\r', '\\', in.Quote, in.Escape)
	} else {
		l.stops = newByteSet('\n', '\r', '\\')
	}
	return l
}

// next cuts one line off, which is text. ok is false if data ends before the
// line does; a line without end may be the last.
func (l *lineReader) next(data []byte, end bool) (line, rest []byte, ok bool, err error) {
	line, rest, ok, err = l.cut(data, end)
	if ok || err != nil {
		l.number++
		l.text = nil
	}
	if ok && err == nil {
		if err = checkText(line); err == nil {
			l.text = line
		}
	}
	return line, rest, ok, err
}

func (l *lineReader) cut(data []byte, end bool) (line, rest []byte, ok bool, err error) {
	for i := l.scanned; i < len(data); i++ {
		if n := l.stops.index(data[i:]); n > 0 {
			l.escaped = false
			if i += n; i == len(data) {
				break
			}
		}
		c := data[i]
		if !end && (c == '\r' || c == '\\') && i+4 > len(data) { // what it means, the next bytes tell
			l.scanned = i
			return nil, nil, false, nil
		}
		if l.csv {
			l.toggle(c)
			if l.quoted && (c == '\n' && l.ends == endNL || c == '\r' && l.ends != endNL) {
				l.number++
			}
		}
		switch {
		case c == '\r' && !l.quoted:
			size, err := l.carriageReturn(data[i:])
			l.scanned = 0
			return data[:i], data[i+size:], true, err
		case c == '\n' && !l.quoted:
			l.scanned = 0
			if l.ends == endCR || l.ends == endCRNL {
				return nil, nil, false, l.misplaced("newline")
			}
			l.ends = endNL
			return data[:i], data[i+1:], true, nil
		case c == '\\' && !l.csv, c == '\\' && i == 0 && l.marked:
			l.done, err = l.marker(data[i:])
			if l.done && i > 0 && !l.marked {
				err = badCopy("end-of-copy marker is not alone on its line")
			}
			if l.done || err != nil {
				return data[:i], nil, i > 0, err
			}
			if !l.csv {
				i++ // whatever it is, it ends no line
			}
		}
	}
	if !end {
		l.scanned = len(data)
		return nil, nil, false, nil
	}
	l.scanned = 0
	return data, nil, len(data) > 0, nil
}

// toggle follows quotes and escapes of CSV.
func (l *lineReader) toggle(c byte) {
	escapes := c == l.escape && l.escape != l.quote
	if l.quoted && escapes {
		l.escaped = !l.escaped
	}
	if c == l.quote && !l.escaped {
		l.quoted = !l.quoted
	}
	if !escapes {
		l.escaped = false
	}
}

// carriageReturn returns how many bytes end a line at a carriage return.
func (l *lineReader) carriageReturn(at []byte) (size int, err error) {
	newline := len(at) > 1 && at[1] == '\n'
	switch {
	case l.ends == endNL, l.ends == endCRNL && !newline:
		return 0, l.misplaced("carriage return")
	case l.ends == endCR:
		return 1, nil
	case newline:
		l.ends = endCRNL
		return 2, nil
	default:
		l.ends = endCR
		return 1, nil
	}
}

func (l *lineReader) misplaced(what string) error {
	if l.csv {
		return badCopy("unquoted %s found in data", what)
	}
	return badCopy("literal %s found in data", what)
}

// marker reports whether a backslash begins the end marker: a point and the
// end of the line follow.
func (l *lineReader) marker(at []byte) (bool, error) {
	follows := func(i int) byte {
		if i < len(at) {
			return at[i]
		}
		return 0
	}
	if follows(1) != '.' {
		return false, nil
	}
	i := 2
	if l.ends == endCRNL {
		switch {
		case follows(i) == '\r':
			i++
		case l.csv:
			return false, nil
		case follows(i) == '\n':
			return false, badCopy("end-of-copy marker does not match previous newline style")
		default:
			return false, badCopy("end-of-copy marker corrupt")
		}
	}
	c := follows(i)
	switch {
	case c != '\r' && c != '\n' && l.csv:
		return false, nil
	case c != '\r' && c != '\n':
		return false, badCopy("end-of-copy marker corrupt")
	case c == '\r' && (l.ends == endNL || l.ends == endCRNL), c == '\n' && l.ends == endCR:
		return false, badCopy("end-of-copy marker does not match previous newline style")
	default:
		return true, nil
	}
}

package rewrite

import (
	"strings"
	"unicode/utf8"
)

// A Template is a statement's text with holes for what is the tenant's own. In
// the extended protocol there are none, parameters take their place; but COPY
// takes no parameters, so it has holes in either protocol.
//
// What it has from the client is not copied: it is cut from the client's text
// when it is written. So one list of parts serves all texts that differ in
// their literals alone.
type Template struct {
	parts   []part
	added   string  // what the parts hold that are not the client's
	sql     string  // the client's text, of the whole message
	ends    []int32 // where the literals end in it that spots count from
	unknown bool    // nobody knows where the text comes from
}

// A part is a stretch of the text.
type part struct {
	kind       partKind
	value      Value // of a hole
	start, end int32 // of added: in Template.added
	from, to   spot  // in the client's text; of what was added, from is where
}

// partBytes is what a part takes.
const partBytes = 28

type partKind uint8

const (
	partCopied partKind = iota // the client's own
	partAdded
	partHole // where a value goes, as one string literal
)

// A spot is a place in a text of the client's: bytes behind the end of one of
// its literals, or behind the text's start for number 0.
type spot struct {
	literal int32
	behind  int32
}

func (t *Template) offset(s spot) int {
	if s.literal == 0 {
		return int(s.behind)
	}
	return int(t.ends[s.literal-1] + s.behind)
}

const (
	// holeByte begins what stands for a hole while a text is put together. A
	// client's text cannot hold it. The other one is a digit, the Value.
	holeByte  = "\x00"
	holeBytes = 2
)

// mark is the hole of a value.
func (v Value) mark() string { return holeByte + string(rune('0'+v)) }

// fixedTemplate is a text of ours, which holds hole marks.
func fixedTemplate(text string) Template {
	w := splicer{}
	w.add(text, 0)
	t := w.template("")
	t.unknown = true
	return t
}

// Length is that of the client's text in bytes, of the whole message.
func (t *Template) Length() int { return len(t.sql) }

// SQL is SQLFor of a tenant of whom nothing but the key is known.
func (t *Template) SQL(key string) string { return t.SQLFor(&Values{ValueKey: key}) }

// SQLFor returns the statement for a tenant. What cannot be text becomes NULL,
// which equals no tenant's key.
func (t *Template) SQLFor(values *Values) string {
	quoted := quotedValues{values: values}
	if len(t.parts) == 1 {
		return t.text(&t.parts[0], &quoted)
	}
	n := 0
	for i := range t.parts {
		n += len(t.text(&t.parts[i], &quoted))
	}
	var sql strings.Builder
	sql.Grow(n)
	for i := range t.parts {
		sql.WriteString(t.text(&t.parts[i], &quoted))
	}
	return sql.String()
}

// AppendSQL appends what SQLFor returns.
func (t *Template) AppendSQL(b []byte, values *Values) []byte {
	quoted := quotedValues{values: values}
	for i := range t.parts {
		b = append(b, t.text(&t.parts[i], &quoted)...)
	}
	return b
}

// quotedValues are the literals of values, each made when it is needed.
type quotedValues struct {
	values   *Values
	literals [valueCount]string
}

func (q *quotedValues) literal(v Value) string {
	if q.literals[v] == "" {
		q.literals[v] = quoteLiteral(q.values[v])
	}
	return q.literals[v]
}

func (t *Template) text(p *part, quoted *quotedValues) string {
	switch p.kind {
	case partCopied:
		return t.sql[t.offset(p.from):t.offset(p.to)]
	case partAdded:
		return t.added[p.start:p.end]
	default:
		return quoted.literal(p.value)
	}
}

// marked is the text with hole marks.
func (t *Template) marked() string {
	var marks quotedValues
	for v := range marks.literals {
		marks.literals[v] = Value(v).mark() //nolint:gosec // there are a few
	}
	var sql strings.Builder
	for i := range t.parts {
		sql.WriteString(t.text(&t.parts[i], &marks))
	}
	return sql.String()
}

// holes counts the places of values.
func (t *Template) holes() (n int) {
	for i := range t.parts {
		if t.parts[i].kind == partHole {
			n++
		}
	}
	return n
}

// Original is OriginalFor of a tenant of whom nothing but the key is known.
func (t *Template) Original(pos int, key string) int {
	return t.OriginalFor(pos, &Values{ValueKey: key})
}

// OriginalFor translates a position in SQLFor, as the server reports it, into
// one in the client's text of the whole message. Both count characters from 1.
// It is 0 for what is not known. A position in added text becomes the place
// where the text was added.
func (t *Template) OriginalFor(pos int, values *Values) int {
	if pos < 1 || t.unknown {
		return 0
	}
	at, quoted := pos-1, quotedValues{values: values}
	for i := range t.parts {
		p := &t.parts[i]
		n := utf8.RuneCountInString(t.text(p, &quoted))
		if at >= n && i < len(t.parts)-1 {
			at -= n
			continue
		}
		from := position(t.sql, t.offset(p.from))
		if p.kind == partCopied {
			from += at
		}
		return from
	}
	return 0
}

// size is about how many bytes of memory the template holds, the client's text
// not counted.
func (t *Template) size() int64 {
	return int64(cap(t.parts))*partBytes + int64(len(t.added)) + int64(cap(t.ends))*4
}

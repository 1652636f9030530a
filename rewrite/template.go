package rewrite

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// A Template is a statement's text with holes for what is the tenant's own. In
// the extended protocol there are none, parameters take their place; but COPY
// takes no parameters, so it has holes in either protocol.
type Template struct {
	pieces []string // the text around the holes: one more than holes
	holes  []hole
	edits  []edit // where the text comes from, in order; none if nobody knows
}

// A hole is where a value goes, as one string literal.
type hole struct {
	at    int // characters of the text before it, other holes not counted
	value Value
}

// An edit is a stretch of the text: copied from the client's, or added.
type edit struct {
	at     int // characters of the text before it, holes not counted
	source int // position of its first character in the client's text, or where it was added
	added  bool
}

const (
	// holeByte begins what stands for a hole while a text is put together. A
	// client's text cannot hold it. The other one is a digit, the Value.
	holeByte  = "\x00"
	holeBytes = 2
)

// mark is the hole of a value.
func (v Value) mark() string { return holeByte + string(rune('0'+v)) }

// newTemplate cuts a text at its hole marks.
func newTemplate(text string, edits []edit) Template {
	t := Template{pieces: strings.Split(text, holeByte), edits: edits}
	at := 0
	for i, piece := range t.pieces[1:] {
		at += utf8.RuneCountInString(t.pieces[i])
		t.holes = append(t.holes, hole{at: at, value: Value(piece[0] - '0')})
		t.pieces[i+1] = piece[1:]
	}
	return t
}

// marked is the text that newTemplate had.
func (t *Template) marked() string {
	var b strings.Builder
	for i, piece := range t.pieces {
		if i > 0 {
			b.WriteString(t.holes[i-1].value.mark())
		}
		b.WriteString(piece)
	}
	return b.String()
}

// SQL is SQLFor of a tenant of whom nothing but the key is known.
func (t *Template) SQL(key string) string { return t.SQLFor(&Values{ValueKey: key}) }

// SQLFor returns the statement for a tenant. What cannot be text becomes NULL,
// which equals no tenant's key.
func (t *Template) SQLFor(values *Values) string {
	if len(t.holes) == 0 {
		if len(t.pieces) == 0 {
			return ""
		}
		return t.pieces[0]
	}
	var b strings.Builder
	for i, piece := range t.pieces {
		if i > 0 {
			b.WriteString(quoteLiteral(values[t.holes[i-1].value]))
		}
		b.WriteString(piece)
	}
	return b.String()
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
	if pos < 1 || len(t.edits) == 0 {
		return 0
	}
	at := pos - 1
	for _, h := range t.holes {
		if at < h.at {
			break
		}
		at = max(at-utf8.RuneCountInString(quoteLiteral(values[h.value])), h.at)
	}
	i := sort.Search(len(t.edits), func(i int) bool { return t.edits[i].at > at }) - 1
	if i < 0 {
		return 0
	}
	e := t.edits[i]
	if e.added {
		return e.source
	}
	return e.source + at - e.at
}

// size is about how many bytes of memory the template holds.
func (t *Template) size() int64 {
	n := int64(len(t.holes))*16 + int64(len(t.edits))*24
	for _, piece := range t.pieces {
		n += int64(len(piece)) + 16
	}
	return n
}

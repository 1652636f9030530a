package rewrite

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// A Template is a statement's text with holes for the tenant's key. In the
// extended protocol there are none, the key is a parameter; but COPY takes no
// parameters, so it has holes in either protocol.
type Template struct {
	pieces []string // the text around the holes: one more than holes
	holes  []hole
	edits  []edit // where the text comes from, in order; none if nobody knows
}

// A hole is where the key goes, as one string literal.
type hole struct {
	at int // characters of the text before it, other holes not counted
}

// An edit is a stretch of the text: copied from the client's, or added.
type edit struct {
	at     int // characters of the text before it, holes not counted
	source int // position of its first character in the client's text, or where it was added
	added  bool
}

// holeMark stands for a hole while a text is put together. A client's text
// cannot hold it.
const holeMark = "\x00"

// newTemplate cuts a text at its hole marks.
func newTemplate(text string, edits []edit) Template {
	t := Template{pieces: strings.Split(text, holeMark), edits: edits}
	at := 0
	for _, piece := range t.pieces[:len(t.pieces)-1] {
		at += utf8.RuneCountInString(piece)
		t.holes = append(t.holes, hole{at: at})
	}
	return t
}

// SQL returns the statement for the tenant with this key. A key that cannot be
// text becomes NULL, which equals no tenant's.
func (t *Template) SQL(key string) string {
	if len(t.holes) == 0 {
		if len(t.pieces) == 0 {
			return ""
		}
		return t.pieces[0]
	}
	return strings.Join(t.pieces, quoteLiteral(key))
}

// Original translates a position in SQL(key), as the server reports it, into
// one in the client's text of the whole message. Both count characters from 1.
// It is 0 for what is not known. A position in added text becomes the place
// where the text was added.
func (t *Template) Original(pos int, key string) int {
	if pos < 1 || len(t.edits) == 0 {
		return 0
	}
	at, literal := pos-1, 0
	if len(t.holes) > 0 {
		literal = utf8.RuneCountInString(quoteLiteral(key))
	}
	for _, h := range t.holes {
		if at < h.at {
			break
		}
		at = max(at-literal, h.at)
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
	n := int64(len(t.holes))*8 + int64(len(t.edits))*24
	for _, piece := range t.pieces {
		n += int64(len(piece)) + 16
	}
	return n
}

package rewrite

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Splices at one place go in order of rank: first what closes or continues the
// text before it, then what opens the text behind it.
const (
	rankReplace     = iota // text that stands for the client's own
	rankAppend             // one more item of a list
	rankTable              // FROM, where TABLE t was
	rankJoinEnd            // the end of a filter join
	rankGuardEnd           // the end of a guard
	rankApartEnd           // the end of what is made the tenant's own
	rankParenthesis        // the end of a condition in parentheses
	rankWhere              // a new WHERE
	rankFence              // OFFSET 0, MATERIALIZED
	rankApartStart         // the start of what is made the tenant's own
	rankJoinStart          // the start of a filter join
	rankCondition          // the start of a condition in parentheses
	rankGuardStart         // the start of a guard
	rankSchema             // the schema of a relation
)

// A splice is one change of the client's text: text replaces what lies between
// two byte offsets, which may be equal. text may have hole marks.
type splice struct {
	start, end int
	rank       int
	text       string
}

// A source is the client's text with its tokens.
type source struct {
	sql     string
	tokens  []token
	partner []int32 // of each bracket the other one's index; -1 for the rest
}

// newSource pairs the brackets of a text. The tokens are those of lex.
func newSource(sql string, tokens []token) *source {
	s := &source{sql: sql, tokens: tokens, partner: make([]int32, len(tokens))}
	var open []int32
	for i, t := range tokens {
		s.partner[i] = -1
		if t.kind != tokenPunct || t.end-t.start != 1 {
			continue
		}
		switch sql[t.start] {
		case '(', '[':
			open = append(open, int32(i)) //nolint:gosec // lex bounds the number of tokens
		case ')', ']':
			if len(open) > 0 {
				o := open[len(open)-1]
				open = open[:len(open)-1]
				s.partner[o], s.partner[i] = int32(i), o //nolint:gosec // as above
			}
		}
	}
	return s
}

// find returns the token that starts at a byte offset, or -1.
func (s *source) find(offset int32) int {
	i, found := slices.BinarySearchFunc(s.tokens, int(offset), func(t token, at int) int { return cmp.Compare(t.start, at) })
	if !found {
		return -1
	}
	return i
}

// is reports whether token i is there and is the unquoted word.
func (s *source) is(i int, word string) bool {
	return i >= 0 && i < len(s.tokens) && s.tokens[i].is(s.sql, word)
}

// punct reports whether token i is there and is the punctuation.
func (s *source) punct(i int, text string) bool {
	return i >= 0 && i < len(s.tokens) && s.tokens[i].punct(s.sql, text)
}

// name reports whether token i is there and is a name or key word.
func (s *source) name(i int) bool {
	return i >= 0 && i < len(s.tokens) && (s.tokens[i].kind == tokenWord || s.tokens[i].kind == tokenQuoted)
}

// closing returns the bracket that closes token i, or -1.
func (s *source) closing(i int) int {
	if i < 0 || i >= len(s.tokens) || s.partner[i] <= int32(i) { //nolint:gosec // lex bounds the number of tokens
		return -1
	}
	return int(s.partner[i])
}

// A clause is a set of words that start or end parts of a statement.
type clause func(s *source, i int) bool

// clauseEnd stops at all that can follow a FROM clause or a condition.
func clauseEnd(s *source, i int) bool {
	switch s.word(i) {
	case "where", "having", "window", "union", "intersect", "except", "limit", "offset", "fetch", "for",
		"returning", "into":
		return true
	case "group", "order":
		return s.is(i+1, "by")
	case "on":
		return s.is(i+1, "conflict")
	}
	return false
}

// listEnd stops at all that can follow a target list.
func listEnd(s *source, i int) bool {
	if s.word(i) == "from" {
		return !(s.is(i-1, "distinct") && (s.is(i-2, "is") || s.is(i-2, "not")))
	}
	return clauseEnd(s, i)
}

// armEnd stops at all that can follow one arm of a set operation.
func armEnd(s *source, i int) bool {
	switch s.word(i) {
	case "union", "intersect", "except", "limit", "offset", "fetch", "for", "returning":
		return true
	case "order":
		return s.is(i+1, "by")
	case "on":
		return s.is(i+1, "conflict")
	}
	return false
}

// selectEnd stops at all that can follow a SELECT within an INSERT.
func selectEnd(s *source, i int) bool {
	return s.is(i, "returning") || s.is(i, "on") && s.is(i+1, "conflict")
}

// longestClauseWord is the length of "intersect", which clauses look for.
const longestClauseWord = len("intersect")

// word returns token i in lower case if it may be a key word that clauses
// look for: not a label behind AS or a dot.
func (s *source) word(i int) string {
	t := s.tokens[i]
	if t.kind != tokenWord || t.end-t.start > longestClauseWord {
		return ""
	}
	if s.punct(i-1, ".") || s.is(i-1, "as") {
		return ""
	}
	return strings.ToLower(t.text(s.sql))
}

// skip goes from token i on, over brackets, to the first token where stop
// holds, or that closes a bracket of before, or ends the statement. It returns
// that token's index, which may be one behind the last token.
func (s *source) skip(i int, stop clause) int {
	for i < len(s.tokens) {
		if s.punct(i, ")") || s.punct(i, "]") || s.punct(i, ";") || stop(s, i) {
			return i
		}
		if c := s.closing(i); c > i {
			i = c
		}
		i++
	}
	return i
}

// A extent is a run of tokens, last included.
type extent struct {
	first, last int
}

// spliced applies splices to a part of the client's text. It is false if they do
// not lie there one behind the other.
func spliced(sql string, part statementText, splices []splice) (Template, bool) {
	slices.SortStableFunc(splices, func(a, b splice) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.rank, b.rank))
	})
	w := splicer{sql: sql, source: part.position}
	w.out.Grow(part.end - part.start + 64*len(splices))
	at := part.start
	for _, sp := range splices {
		if sp.start < at || sp.end < sp.start || sp.end > part.end {
			return Template{}, false
		}
		w.copy(sql[at:sp.start])
		w.add(sp.text)
		w.drop(sql[sp.start:sp.end])
		at = sp.end
	}
	w.copy(sql[at:part.end])
	return newTemplate(w.out.String(), w.edits), true
}

// A splicer puts a text together and keeps account of where it comes from.
type splicer struct {
	sql    string
	out    strings.Builder
	edits  []edit
	at     int // characters written, holes not counted
	source int // position in the client's text
}

func (w *splicer) copy(text string) {
	if text == "" {
		return
	}
	w.separate(text)
	n := utf8.RuneCountInString(text)
	w.edits = append(w.edits, edit{at: w.at, source: w.source})
	w.out.WriteString(text)
	w.at += n
	w.source += n
}

func (w *splicer) add(text string) {
	w.separate(text)
	w.edits = append(w.edits, edit{at: w.at, source: w.source, added: true})
	w.out.WriteString(text)
	w.at += utf8.RuneCountInString(text) - holeBytes*strings.Count(text, holeByte)
}

// drop passes over text that was replaced.
func (w *splicer) drop(text string) {
	w.source += utf8.RuneCountInString(text)
}

// separate keeps two words from growing together.
func (w *splicer) separate(next string) {
	s := w.out.String()
	if s == "" || next == "" || !wordByte(s[len(s)-1]) || !wordByte(next[0]) {
		return
	}
	w.edits = append(w.edits, edit{at: w.at, source: w.source, added: true})
	w.out.WriteByte(' ')
	w.at++
}

// wordByte reports whether b can be part of a token that goes on with letters,
// digits or quotes.
func wordByte(b byte) bool {
	return charClass[b]&charIdent != 0 || b == '"' || b == '\'' || b == holeByte[0]
}

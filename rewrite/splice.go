package rewrite

import (
	"cmp"
	"slices"
	"strings"
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
	partner []int32        // of each bracket the other one's index; -1 for the rest
	seen    map[int32]bool // where literals start that were read
	readAny bool           // one was read of which nobody knows where it is
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

// read notes that the result depends on the value of a literal: one that
// starts at a token, perhaps behind a minus.
func (s *source) read(i int) {
	if s.seen == nil {
		s.seen = make(map[int32]bool)
	}
	if i < 0 {
		s.readAny = true
	}
	for ; i >= 0 && i < len(s.tokens); i++ {
		s.seen[int32(s.tokens[i].start)] = true //nolint:gosec // texts are bounded
		if !s.tokens[i].op(s.sql, "-") && !s.punct(i, "(") {
			return
		}
	}
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
func spliced(sql string, of statementText, splices []splice) (Template, bool) {
	slices.SortStableFunc(splices, func(a, b splice) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.rank, b.rank))
	})
	w := splicer{parts: make([]part, 0, 1+2*len(splices))}
	at := of.start
	for _, sp := range splices {
		if sp.start < at || sp.end < sp.start || sp.end > of.end {
			return Template{}, false
		}
		w.copy(sql, at, sp.start)
		w.add(sp.text, sp.start)
		at = sp.end
	}
	w.copy(sql, at, of.end)
	return w.template(sql), true
}

// A splicer puts a text together and keeps account of where it comes from.
type splicer struct {
	parts []part
	added strings.Builder
	known map[string]int32 // where in added a text is that was added before
	last  byte             // of the text
}

func (w *splicer) copy(sql string, from, to int) {
	if from == to {
		return
	}
	w.separate(sql[from], from)
	w.parts = append(w.parts, part{kind: partCopied, from: spotAt(from), to: spotAt(to)})
	w.last = sql[to-1]
}

// add adds text, which may have hole marks, at a place of the client's.
func (w *splicer) add(text string, at int) {
	if text == "" {
		return
	}
	w.separate(text[0], at)
	w.last = lastByte(text)
	for text != "" {
		end := strings.IndexByte(text, holeByte[0])
		if end == 0 {
			w.parts = append(w.parts, part{kind: partHole, value: Value(text[1] - '0'), from: spotAt(at), to: spotAt(at)})
			text = text[holeBytes:]
			continue
		}
		if end < 0 {
			end = len(text)
		}
		start := w.store(text[:end])
		w.parts = append(w.parts, part{kind: partAdded, start: start, end: start + int32(end), from: spotAt(at), to: spotAt(at)}) //nolint:gosec // texts are bounded
		text = text[end:]
	}
}

// lastByte is the last byte of a text; that of a hole is its mark's.
func lastByte(text string) byte {
	if n := len(text) - holeBytes; n >= 0 && text[n] == holeByte[0] {
		return holeByte[0]
	}
	return text[len(text)-1]
}

// store returns where in added a text is. Many rows add the same.
func (w *splicer) store(text string) int32 {
	if start, ok := w.known[text]; ok {
		return start
	}
	if w.known == nil {
		w.known = make(map[string]int32)
	}
	start := int32(w.added.Len()) //nolint:gosec // texts are bounded
	w.added.WriteString(text)
	w.known[text] = start
	return start
}

// separate keeps two words from growing together.
func (w *splicer) separate(next byte, at int) {
	if len(w.parts) == 0 || !wordByte(w.last) || !wordByte(next) {
		return
	}
	start := w.store(" ")
	w.parts = append(w.parts, part{kind: partAdded, start: start, end: start + 1, from: spotAt(at), to: spotAt(at)})
}

func (w *splicer) template(sql string) Template {
	return Template{parts: w.parts, added: w.added.String(), sql: sql}
}

func spotAt(offset int) spot {
	return spot{behind: int32(offset)} //nolint:gosec // texts are bounded
}

// wordByte reports whether b can be part of a token that goes on with letters,
// digits or quotes.
func wordByte(b byte) bool {
	return charClass[b]&charIdent != 0 || b == '"' || b == '\'' || b == holeByte[0]
}

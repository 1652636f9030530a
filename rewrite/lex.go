package rewrite

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A tokenKind is what a token is to PostgreSQL's lexer.
type tokenKind uint8

const (
	tokenWord     tokenKind = iota + 1 // identifier or key word without quotes
	tokenQuoted                        // "..." and U&"..."
	tokenString                        // '...', E'...', B'...', X'...', U&'...', $tag$...$tag$
	tokenNumber                        // 1, 1.5, .5, 1e10, 0x1F, 1_000
	tokenParam                         // $1
	tokenOperator                      // what can be an operator's name: + <> || ->>
	tokenPunct                         // ( ) [ ] , ; . : :: := => ..
)

// A token is one lexical unit of a text. Comments and white space lie between
// tokens. A string literal continued on the next line is one token.
type token struct {
	kind       tokenKind
	start, end int // byte offsets
}

// text returns the token as it was written.
func (t token) text(sql string) string { return sql[t.start:t.end] }

// is reports whether t is the unquoted word, given in lower case ASCII.
func (t token) is(sql, word string) bool {
	if t.kind != tokenWord || t.end-t.start != len(word) {
		return false
	}
	for i := range len(word) {
		if lowerASCII(sql[t.start+i]) != word[i] {
			return false
		}
	}
	return true
}

// punct reports whether t is this punctuation.
func (t token) punct(sql, text string) bool {
	return t.kind == tokenPunct && sql[t.start:t.end] == text
}

// op reports whether t is this operator.
func (t token) op(sql, text string) bool {
	return t.kind == tokenOperator && sql[t.start:t.end] == text
}

// maxOperatorRun bounds how many operator characters may follow each other.
// The server's names end at 63, and the C lexer is quadratic in longer runs.
const maxOperatorRun = 64

// maxTokens bounds the tokens of one text. Parsing takes up to 400 bytes for
// each of them.
const maxTokens = 6_000_000

// Classes of bytes; a byte may be in several.
const (
	charSpace uint16 = 1 << iota
	charIdentStart
	charIdent
	charDigit
	charHex
	charOctal
	charBinary
	charOperator
	charSelf // single characters that are tokens of their own
)

var charClass = func() (c [256]uint16) {
	for b := range c {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' || b >= 0x80 {
			c[b] |= charIdentStart | charIdent
		}
		if b >= '0' && b <= '9' {
			c[b] |= charDigit | charIdent | charHex
		}
		if b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F' {
			c[b] |= charHex
		}
		if b >= '0' && b <= '7' {
			c[b] |= charOctal
		}
		if b == '0' || b == '1' {
			c[b] |= charBinary
		}
	}
	c['$'] |= charIdent
	for _, b := range []byte(" \t\n\r\f") {
		c[b] |= charSpace
	}
	for _, b := range []byte("~!@#^&|`?+-*/%<>=") {
		c[b] |= charOperator
	}
	for _, b := range []byte(",()[].;:") {
		c[b] |= charSelf
	}
	return c
}()

func lowerASCII(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// lex cuts a text into tokens as PostgreSQL's lexer does while
// standard_conforming_strings is on. Its time is linear in the length. It
// accepts a little more than the server does (escapes in strings are not
// verified), but has the same boundaries for all that the server accepts.
func lex(sql string) ([]token, error) {
	l := newLexer(sql)
	if err := l.run(); err != nil {
		return nil, err
	}
	return l.tokens, nil
}

// A lexer is the state of one lex.
type lexer struct {
	sql    string
	pos    int
	tokens []token
	depth  int // of comments, the deepest
	runEnd int // where the operator characters around the last comment's opening end
	reread int // bytes that the C lexer reads again after openings of comments
}

func newLexer(sql string) *lexer {
	return &lexer{sql: sql, tokens: make([]token, 0, min(len(sql)/4+1, maxTokens+1))}
}

// run takes all tokens of the text, but no more than one above maxTokens.
func (l *lexer) run() error {
	for len(l.tokens) <= maxTokens {
		if err := l.skipSpace(); err != nil {
			return err
		}
		if l.pos >= len(l.sql) {
			return nil
		}
		if err := l.next(); err != nil {
			return err
		}
	}
	return tooManyTokens()
}

func tooManyTokens() error {
	return &TooComplexError{
		Message: fmt.Sprintf("statement has more than %d words and signs", maxTokens),
		Hint:    "Send fewer rows at a time, or use COPY.",
	}
}

// at returns the byte n after the position, or 0 behind the end.
func (l *lexer) at(n int) byte {
	if l.pos+n < len(l.sql) {
		return l.sql[l.pos+n]
	}
	return 0
}

// emit ends a token that began at the position.
func (l *lexer) emit(kind tokenKind, end int) {
	if len(l.tokens) == cap(l.tokens) { // at once as many as there can be: each copy of a long text's takes new memory
		grown := make([]token, len(l.tokens), min(len(l.tokens)+len(l.sql)-l.pos, max(len(l.tokens), maxTokens)+1))
		copy(grown, l.tokens)
		l.tokens = grown
	}
	l.tokens = append(l.tokens, token{kind: kind, start: l.pos, end: end})
	l.pos = end
}

// skipSpace moves behind white space and comments.
func (l *lexer) skipSpace() error {
	for l.pos < len(l.sql) {
		switch c := l.sql[l.pos]; {
		case charClass[c]&charSpace != 0:
			l.pos++
		case c == '-' && l.at(1) == '-':
			l.pos = lineEnd(l.sql, l.pos)
		case c == '/' && l.at(1) == '*':
			if err := l.skipComment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// lineEnd returns where the line that holds pos ends.
func lineEnd(sql string, pos int) int {
	if i := strings.IndexAny(sql[pos:], "\n\r"); i >= 0 {
		return pos + i
	}
	return len(sql)
}

// skipComment moves behind a comment, which may hold others. Each opening
// makes the C lexer read the operator characters behind it twice; reread adds
// these up.
func (l *lexer) skipComment() error {
	start, depth := l.pos, 0
	for i := l.pos; i+1 < len(l.sql); {
		switch {
		case l.sql[i] == '/' && l.sql[i+1] == '*':
			depth++
			l.depth = max(l.depth, depth)
			i += 2
			l.runEnd = max(l.runEnd, i)
			for l.runEnd < len(l.sql) && charClass[l.sql[l.runEnd]]&charOperator != 0 {
				l.runEnd++
			}
			l.reread += l.runEnd - i
		case l.sql[i] == '*' && l.sql[i+1] == '/':
			depth--
			i += 2
			if depth == 0 {
				l.pos = i
				return nil
			}
		default:
			i++
		}
	}
	return l.fail("unterminated /* comment", start)
}

// next takes one token; there is one at the position.
func (l *lexer) next() error {
	c, class := l.sql[l.pos], charClass[l.sql[l.pos]]
	switch {
	case class&charIdentStart != 0:
		return l.word()
	case c == '\'':
		return l.quoted(tokenString, l.pos+1, insidePlain)
	case c == '"':
		return l.quoted(tokenQuoted, l.pos+1, insidePlain)
	case class&charDigit != 0, c == '.' && charClass[l.at(1)]&charDigit != 0:
		return l.number()
	case class&charSelf != 0:
		l.punctuation()
		return nil
	case class&charOperator != 0:
		return l.operators()
	case c == '$':
		return l.dollar()
	}
	return l.fail("syntax error", l.pos)
}

// word takes an identifier, or the string or quoted identifier whose prefix
// it turns out to be. N'...' is the word N before a string, as to the server.
func (l *lexer) word() error {
	switch l.sql[l.pos] {
	case 'e', 'E':
		if l.at(1) == '\'' {
			return l.quoted(tokenString, l.pos+2, insideEscapes)
		}
	case 'b', 'B', 'x', 'X':
		if l.at(1) == '\'' {
			return l.quoted(tokenString, l.pos+2, insideBits)
		}
	case 'n', 'N':
		if l.at(1) == '\'' {
			l.emit(tokenWord, l.pos+1)
			return nil
		}
	case 'u', 'U':
		if l.at(1) == '&' && l.at(2) == '\'' {
			return l.quoted(tokenString, l.pos+3, insidePlain)
		}
		if l.at(1) == '&' && l.at(2) == '"' {
			return l.quoted(tokenQuoted, l.pos+3, insidePlain)
		}
	}
	end := l.pos + 1
	for end < len(l.sql) && charClass[l.sql[end]]&charIdent != 0 {
		end++
	}
	l.emit(tokenWord, end)
	return nil
}

// punctuation takes the longest token that starts with a self character.
func (l *lexer) punctuation() {
	switch l.sql[l.pos : l.pos+min(2, len(l.sql)-l.pos)] {
	case "::", ":=", "..":
		l.emit(tokenPunct, l.pos+2)
	default:
		l.emit(tokenPunct, l.pos+1)
	}
}

// operators takes the operators that a run of operator characters consists
// of. A comment ends the run. Trailing signs belong to a name only if it also
// has a character that is in no operator of the SQL standard.
func (l *lexer) operators() error {
	end, foreign, lastSolid := l.pos, false, l.pos
	for ; end < len(l.sql); end++ {
		c := l.sql[end]
		if charClass[c]&charOperator == 0 {
			break
		}
		if end+1 < len(l.sql) && (c == '-' && l.sql[end+1] == '-' || c == '/' && l.sql[end+1] == '*') {
			break
		}
		if strings.IndexByte("~!@#^&|`?%", c) >= 0 {
			foreign = true
		}
		if c != '+' && c != '-' {
			lastSolid = end
		}
	}
	if end-l.pos >= maxOperatorRun {
		return l.fail("operator too long", l.pos)
	}
	if foreign {
		l.emitOperator(end)
		return nil
	}
	l.emitOperator(lastSolid + 1)
	for l.pos < end {
		l.emitOperator(l.pos + 1)
	}
	return nil
}

// emitOperator ends an operator, or the arrow that names an argument.
func (l *lexer) emitOperator(end int) {
	if l.sql[l.pos:end] == "=>" {
		l.emit(tokenPunct, end)
		return
	}
	l.emit(tokenOperator, end)
}

// maxErrorText bounds how much of a client's text an error message quotes.
const maxErrorText = 256

// fail makes the error of a token that starts at byte offset pos.
func (l *lexer) fail(message string, pos int) error {
	near := l.sql[pos:]
	if len(near) > maxErrorText {
		near = strings.ToValidUTF8(near[:maxErrorText], "")
	}
	return &SyntaxError{
		Message:  fmt.Sprintf(`%s at or near "%s"`, message, near),
		Position: position(l.sql, pos),
	}
}

// position turns a byte offset into PostgreSQL's: characters, from 1.
func position(sql string, offset int) int {
	if offset < 0 || offset > len(sql) {
		return 0
	}
	return utf8.RuneCountInString(sql[:offset]) + 1
}

package rewrite

import (
	"encoding/binary"
	"strings"
	"sync"
)

// The shape of a text is the text without its literals. Texts of one shape
// have the same tokens but for what is in the literals, and literals of the
// same classes in the same places; so they have the same parse tree but for the
// values of constants.

// A class is a set of literals that are alike to all that reads a statement:
// their token is of the same kind and starts and ends alike, and the server
// gives them the same type. It stands in the shape for the literal.
type class byte

const (
	classNone     class = 0   // the literal stays in the shape as it is
	classString   class = 's' // '...' without a backslash
	classSlashes  class = 'b' // '...' with any
	classEscapes  class = 'e' // E'...' with escapes that are always valid
	classDollar   class = 'd' // $tag$...$tag$
	classInt4     class = 'i' // digits that fit
	classInt8     class = 'l'
	classDigits   class = 'n' // digits beyond
	classDecimals class = 'f' // digits, a point, digits
)

// classMark comes before a class, and what follows the text. A text cannot
// hold it.
const classMark = 0

// maxShapedText bounds the texts that are looked up by their shape.
const maxShapedText = 4 << 20

// A shaper finds the shape of one text. It is used again for others.
type shaper struct {
	lexer  lexer
	key    []byte  // all that a Result depends on, but for literals
	starts []int32 // of the literals that are not in the key
	ends   []int32
	shaped int // the length of the key without fixed literals
}

// plain makes the key of a text with its literals, read with that version of the
// catalog.
func (s *shaper) plain(req Request, version uint64) {
	s.starts, s.ends = s.starts[:0], s.ends[:0]
	s.head(req, version)
	s.key = append(s.key, req.SQL...)
}

// head begins a key with what a Result depends on besides the text.
func (s *shaper) head(req Request, version uint64) {
	var flags byte
	if req.Extended {
		flags |= 1
	}
	if req.Dump {
		flags |= 2
	}
	s.key = binary.LittleEndian.AppendUint64(s.key[:0], version)
	s.key = append(s.key, flags)
	s.key = binary.LittleEndian.AppendUint32(s.key, uint32(len(req.ParamOIDs))) //nolint:gosec // 16 bits in the message
	for _, oid := range req.ParamOIDs {
		s.key = binary.LittleEndian.AppendUint32(s.key, oid)
	}
}

// shape makes the key of a text's shape. It is false for texts that have none,
// or that would be refused for what may be in a literal, or for their length:
// they must be read as they are.
func (s *shaper) shape(req Request, version uint64) bool {
	if checkEncoding(req.SQL) != nil {
		return false
	}
	s.lexer = lexer{sql: req.SQL, tokens: s.lexer.tokens[:0]}
	if s.lexer.run() != nil || s.lexer.bounded() != nil {
		return false
	}
	s.starts, s.ends = s.starts[:0], s.ends[:0]
	s.head(req, version)
	at := 0
	for _, t := range s.lexer.tokens {
		if t.kind != tokenString && t.kind != tokenNumber {
			continue
		}
		c := classOf(t, req.SQL)
		if c == classNone {
			continue
		}
		s.key = append(append(s.key, req.SQL[at:t.start]...), classMark, byte(c))
		s.starts = append(s.starts, int32(t.start)) //nolint:gosec // texts are bounded
		s.ends = append(s.ends, int32(t.end))       //nolint:gosec // as above
		at = t.end
	}
	s.key = append(s.key, req.SQL[at:]...)
	s.shaped = len(s.key)
	return true
}

// fix adds the literals that a Result depends on to the key.
func (s *shaper) fix(sql string, fixed literalSet) {
	s.key = append(s.key, classMark, classMark)
	for i := range s.ends {
		if fixed.has(i) {
			s.key = append(append(s.key, sql[s.starts[i]:s.ends[i]]...), classMark)
		}
	}
}

// unfix makes the key that of the shape again.
func (s *shaper) unfix() { s.key = s.key[:s.shaped] }

// largestKept bounds what a shaper keeps for the next text.
const largestKept = 1 << 16

// shapers are those that no text needs now.
var shapers = sync.Pool{New: func() any { return new(shaper) }}

// putBack lets the next text use s.
func (s *shaper) putBack() {
	if cap(s.key) <= 4*largestKept && cap(s.lexer.tokens) <= largestKept && cap(s.ends) <= largestKept {
		s.lexer.sql = ""
		shapers.Put(s)
	}
}

// classOf tells the class of a literal.
func classOf(t token, sql string) class {
	text := t.text(sql)
	if t.kind == tokenNumber {
		return classOfNumber(text)
	}
	switch text[0] {
	case '\'':
		if strings.IndexByte(text, '\\') >= 0 {
			return classSlashes
		}
		return classString
	case 'e', 'E':
		if plainEscapes(text) {
			return classEscapes
		}
	case '$':
		return classDollar
	}
	return classNone // U&'', B'', X''
}

// plainEscapes reports whether all escapes of E'...' are single characters
// that stand for one each.
func plainEscapes(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			if i++; i == len(text) || strings.IndexByte(`\nrt`, text[i]) < 0 {
				return false
			}
		}
	}
	return true
}

// The first numbers that are not of the type before: their negatives still are.
const (
	beyondInt4 = "2147483648"
	beyondInt8 = "9223372036854775808"
)

func classOfNumber(text string) class {
	point := -1
	for i := range len(text) {
		switch c := text[i]; {
		case c == '.' && point < 0 && i > 0 && i < len(text)-1:
			point = i
		case c < '0' || c > '9':
			return classNone
		}
	}
	switch {
	case point >= 0:
		return classDecimals
	case text[0] == '0' && len(text) > 1, text == beyondInt4, text == beyondInt8:
		return classNone
	case below(text, beyondInt4):
		return classInt4
	case below(text, beyondInt8):
		return classInt8
	}
	return classDigits
}

// below compares numbers that are written in digits without leading zeros.
func below(a, b string) bool {
	return len(a) < len(b) || len(a) == len(b) && a < b
}

package rewrite

import (
	"strings"
)

// What a quoted token may hold besides plain characters.
type inside uint8

const (
	insidePlain   inside = iota // doubled quotes
	insideEscapes               // doubled quotes, and anything after a backslash
	insideBits                  // no quotes at all: B'' and X''
)

// quoted takes a literal or identifier whose inside starts at i.
func (l *lexer) quoted(kind tokenKind, i int, in inside) error {
	quote, first := l.sql[i-1], i
	for i < len(l.sql) {
		switch c := l.sql[i]; {
		case c == '\\' && in == insideEscapes:
			i += 2
		case c != quote:
			i++
		case in != insideBits && i+1 < len(l.sql) && l.sql[i+1] == quote:
			i += 2
		case kind == tokenQuoted && i == first:
			return l.fail("zero-length delimited identifier", l.pos)
		default:
			if kind == tokenString {
				next, comment := continued(l.sql, i+1)
				if comment {
					return l.unsupportedContinuation(next)
				}
				if next > 0 {
					i = next
					continue
				}
			}
			l.emit(kind, i+1)
			return nil
		}
	}
	if kind == tokenQuoted {
		return l.fail("unterminated quoted identifier", l.pos)
	}
	return l.fail("unterminated quoted string", l.pos)
}

// continued returns where the inside of a continued literal goes on when only
// white space with a newline is between pos and the next quote; else 0. comment
// tells that there are comments as well.
func continued(sql string, pos int) (next int, comment bool) {
	newline := false
	for pos < len(sql) {
		switch c := sql[pos]; {
		case c == '\n' || c == '\r':
			newline = true
			pos++
		case charClass[c]&charSpace != 0:
			pos++
		case c == '-' && pos+1 < len(sql) && sql[pos+1] == '-':
			comment = true
			pos = lineEnd(sql, pos)
		case c == '\'' && newline:
			return pos + 1, comment
		default:
			return 0, false
		}
	}
	return 0, false
}

// unsupportedContinuation refuses what the server takes for one literal and
// libpg_query's lexer for several.
func (l *lexer) unsupportedContinuation(next int) error {
	return &UnsupportedError{
		Rule:     ruleLiteralContinued,
		Node:     "a comment inside a continued string constant",
		Hint:     "Write the string constant in one piece.",
		Position: position(l.sql, next-1),
	}
}

// number takes a numeric constant.
func (l *lexer) number() error {
	const digits = charDigit
	end := l.pos
	if l.sql[end] == '0' {
		switch l.at(1) {
		case 'x', 'X':
			return l.radix(charHex, "hexadecimal")
		case 'o', 'O':
			return l.radix(charOctal, "octal")
		case 'b', 'B':
			return l.radix(charBinary, "binary")
		}
	}
	end = digitsEnd(l.sql, end, digits)
	if end < len(l.sql) && l.sql[end] == '.' && !(end > l.pos && strings.HasPrefix(l.sql[end:], "..")) {
		end++
		if end < len(l.sql) && charClass[l.sql[end]]&charDigit != 0 {
			end = digitsEnd(l.sql, end, digits)
		}
	}
	if end < len(l.sql) && lowerASCII(l.sql[end]) == 'e' {
		exp := end + 1
		if exp < len(l.sql) && (l.sql[exp] == '+' || l.sql[exp] == '-') {
			exp++
		}
		if exp < len(l.sql) && charClass[l.sql[exp]]&charDigit != 0 {
			end = digitsEnd(l.sql, exp, digits)
		}
	}
	if end < len(l.sql) && charClass[l.sql[end]]&charIdentStart != 0 {
		return l.fail("trailing junk after numeric literal", l.pos)
	}
	l.emit(tokenNumber, end)
	return nil
}

// radix takes a constant such as 0x1F.
func (l *lexer) radix(digits uint16, name string) error {
	first := l.pos + 2
	if l.at(2) == '_' {
		first++
	}
	end := digitsEnd(l.sql, first, digits)
	if end == first {
		return l.fail("invalid "+name+" integer", l.pos)
	}
	if end < len(l.sql) && charClass[l.sql[end]]&charIdentStart != 0 {
		return l.fail("trailing junk after numeric literal", l.pos)
	}
	l.emit(tokenNumber, end)
	return nil
}

// digitsEnd returns the end of digits that start at pos; single underscores
// may separate them.
func digitsEnd(sql string, pos int, digits uint16) int {
	for pos < len(sql) {
		switch {
		case charClass[sql[pos]]&digits != 0:
			pos++
		case sql[pos] == '_' && pos+1 < len(sql) && charClass[sql[pos+1]]&digits != 0 &&
			charClass[sql[pos-1]]&digits != 0:
			pos += 2
		default:
			return pos
		}
	}
	return pos
}

// dollar takes a parameter or a dollar-quoted literal.
func (l *lexer) dollar() error {
	end := l.pos + 1
	if charClass[l.at(1)]&charDigit != 0 {
		for end < len(l.sql) && charClass[l.sql[end]]&charDigit != 0 {
			end++
		}
		l.emit(tokenParam, end)
		return nil
	}
	for end < len(l.sql) && l.sql[end] != '$' && charClass[l.sql[end]]&charIdent != 0 {
		end++
	}
	if end >= len(l.sql) || l.sql[end] != '$' {
		return l.fail("syntax error", l.pos)
	}
	end++
	tag := l.sql[l.pos:end]
	i := strings.Index(l.sql[end:], tag)
	if i < 0 {
		return l.fail("unterminated dollar-quoted string", l.pos)
	}
	l.emit(tokenString, end+i+len(tag))
	return nil
}

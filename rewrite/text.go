package rewrite

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"tenantgate/rewrite/catalog"
)

// checkEncoding refuses what the server would, and what the parser would not
// read to its end.
func checkEncoding(sql string) error {
	if i := strings.IndexByte(sql, 0); i >= 0 {
		return &EncodingError{Message: `invalid byte sequence for encoding "UTF8": 0x00`}
	}
	if utf8.ValidString(sql) {
		return nil
	}
	for i, c := range sql {
		if _, n := utf8.DecodeRuneInString(sql[i:]); c == utf8.RuneError && n == 1 {
			return &EncodingError{Message: fmt.Sprintf(`invalid byte sequence for encoding "UTF8": 0x%02x`, sql[i])}
		}
	}
	return nil
}

// checkNames refuses names of which this server may see more than the parser:
// both cut a long one, but the server counts bytes of its own encoding.
func checkNames(s *source, cat *catalog.Snapshot) error {
	if cat.ServerEncoding == "" || cat.ServerEncoding == "UTF8" {
		return nil
	}
	for _, t := range s.tokens {
		if (t.kind != tokenWord && t.kind != tokenQuoted) || t.end-t.start <= maxNameBytes || isASCII(t.text(s.sql)) {
			continue
		}
		return &UnsupportedError{
			Rule:     ruleNameLength,
			Node:     fmt.Sprintf("a name of more than %d bytes", maxNameBytes),
			Hint:     "Use a shorter name.",
			Position: position(s.sql, t.start),
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// highestParam is the highest number of a parameter in the text.
func (s *source) highestParam() int {
	highest := 0
	for _, t := range s.tokens {
		if t.kind == tokenParam {
			highest = max(highest, paramNumber(t.text(s.sql)))
		}
	}
	return highest
}

// offsetPosition is position for an offset that may be unknown: below 0.
func offsetPosition(sql string, offset int32) int {
	if offset < 0 {
		return 0
	}
	return position(sql, int(offset))
}

package doctor

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A hold says how far a policy's condition keeps rows to their tenant; more is
// better.
type hold int

const (
	wide   hold = iota // it does not
	opaque             // it depends on what its text does not show
	holds              // the tenant column equals the setting
)

// judgeExpression judges a condition as pg_get_expr writes it.
func judgeExpression(expression, column, setting string) hold {
	all, ok := tokens(expression)
	if !ok {
		return wide // the server writes no such thing
	}
	return judgeTokens(all, column, setting)
}

// judgeTokens judges the terms between AND: one that holds is enough.
func judgeTokens(all []string, column, setting string) hold {
	all = unwrap(all)
	if slices.Contains(topLevel(all), "OR") {
		return wide
	}
	terms := split(all, "AND")
	if len(terms) > 1 {
		best := wide
		for _, term := range terms {
			best = max(best, judgeTokens(term, column, setting))
		}
		return best
	}
	sides := split(all, "=")
	if len(sides) == 2 && isColumn(sides[0], column) {
		return judgeValue(sides[1], column, setting)
	}
	if len(sides) == 2 && isColumn(sides[1], column) {
		return judgeValue(sides[0], column, setting)
	}
	return judgeOther(all, column)
}

// widening words let a condition be true for other rows, or without a tenant.
var widening = []string{"OR", "COALESCE", "CASE", "IS", "NOT"}

// judgeOther judges a term that is no comparison with the tenant column.
func judgeOther(all []string, column string) hold {
	depends := len(calls(all)) > 0 || slices.Contains(all, "FROM")
	if depends && slices.Contains(all, column) && !slices.ContainsFunc(all, isWidening) {
		return opaque // as is column IN (SELECT … FROM …)
	}
	return wide
}

func isWidening(token string) bool { return slices.Contains(widening, token) }

// judgeValue judges what the tenant column is compared with.
func judgeValue(value []string, column, setting string) hold {
	called := calls(value)
	if len(called) == 0 || slices.Contains(value, column) || slices.ContainsFunc(value, isWidening) {
		return wide
	}
	if slices.Contains(value, "FROM") || slices.ContainsFunc(called, func(name string) bool { return name != "current_setting" && name != "NULLIF" }) {
		return opaque
	}
	reads := false
	for i, token := range value {
		if token == "current_setting" && i+2 < len(value) {
			if !strings.EqualFold(value[i+2], "'"+setting+"'") {
				return wide // another setting, which a tenant might write
			}
			reads = true
		}
		if first, _ := utf8.DecodeRuneInString(token); !isWord(first) && first != '\'' && first != '"' && !slices.Contains([]string{"(", ")", ",", "::", "."}, token) {
			return opaque
		}
	}
	if !reads {
		return wide
	}
	return holds
}

// calls lists the functions that are called: words before a parenthesis, but
// for types with a length and the words of SQL that a parenthesis follows.
func calls(all []string) []string {
	var called []string
	for i := 0; i+1 < len(all); i++ {
		first, _ := utf8.DecodeRuneInString(all[i])
		if all[i+1] != "(" || !isWord(first) && first != '"' || i > 0 && (all[i-1] == "::" || all[i-1] == "character") {
			continue
		}
		if slices.Contains([]string{"SELECT", "AND", "ANY", "ALL", "SOME", "IN", "EXISTS", "AS", "WHERE", "FROM", "ON", "NOT", "OR"}, all[i]) {
			continue
		}
		called = append(called, all[i])
	}
	return called
}

// isColumn reports whether all is the column, with a cast or without.
func isColumn(all []string, column string) bool {
	all = unwrap(all)
	if i := slices.Index(topLevel(all), "::"); i > 0 {
		return isColumn(all[:i], column)
	}
	return len(all) == 1 && (all[0] == column || all[0] == `"`+strings.ReplaceAll(column, `"`, `""`)+`"`)
}

// unwrap takes off the parentheses around all.
func unwrap(all []string) []string {
	for len(all) > 1 && all[0] == "(" && all[len(all)-1] == ")" {
		depth := 0
		for i, token := range all {
			switch token {
			case "(":
				depth++
			case ")":
				depth--
			}
			if depth == 0 && i < len(all)-1 {
				return all
			}
		}
		all = all[1 : len(all)-1]
	}
	return all
}

// topLevel is all with what stands in parentheses blanked out.
func topLevel(all []string) []string {
	flat := make([]string, len(all))
	depth := 0
	for i, token := range all {
		switch {
		case token == ")" || token == "]":
			depth--
		case token == "(" || token == "[":
			depth++
		case depth == 0:
			flat[i] = token
		}
	}
	return flat
}

// split cuts all at a token outside parentheses.
func split(all []string, at string) [][]string {
	var parts [][]string
	start := 0
	for i, token := range topLevel(all) {
		if token == at {
			parts = append(parts, all[start:i])
			start = i + 1
		}
	}
	return append(parts, all[start:])
}

// tokens cuts an expression of the server's into words, quoted ones with their
// quotes, and symbols. pg_catalog is left out. It is false for a quote or
// parenthesis without its other end.
func tokens(expression string) (all []string, ok bool) {
	var open []string
	for rest := strings.ReplaceAll(expression, "pg_catalog.", ""); rest != ""; {
		first, size := utf8.DecodeRuneInString(rest)
		switch {
		case unicode.IsSpace(first):
		case first == '\'' || first == '"':
			if size = quotedEnd(rest, byte(first)); size < 0 {
				return nil, false
			}
		case isWord(first):
			size = spanEnd(rest, isWord)
		case strings.ContainsRune("()[],.;", first):
		case strings.HasPrefix(rest, "::"):
			size = 2
		default:
			size = max(size, spanEnd(rest, func(r rune) bool { return strings.ContainsRune("+-*/<>=~!@#%^&|`?", r) }))
		}
		if token := rest[:size]; !unicode.IsSpace(first) {
			if open, ok = nest(open, token); !ok {
				return nil, false
			}
			all = append(all, token)
		}
		rest = rest[size:]
	}
	return all, len(open) == 0
}

// nest follows parentheses and brackets: open are those that have no end yet.
func nest(open []string, token string) ([]string, bool) {
	ends := map[string]string{")": "(", "]": "["}
	switch token {
	case "(", "[":
		return append(open, token), true
	case ")", "]":
		last := len(open) - 1
		if last < 0 || open[last] != ends[token] {
			return nil, false
		}
		return open[:last], true
	default:
		return open, true
	}
}

func isWord(r rune) bool {
	return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// spanEnd is how many bytes the first characters of a kind take.
func spanEnd(text string, kind func(rune) bool) int {
	if i := strings.IndexFunc(text, func(r rune) bool { return !kind(r) }); i >= 0 {
		return i
	}
	return len(text)
}

// quotedEnd is where a quoted word ends, less than 0 if it does not; the quote
// in it is written twice.
func quotedEnd(text string, mark byte) int {
	for i := 1; i < len(text); i++ {
		if text[i] != mark {
			continue
		}
		if i+1 < len(text) && text[i+1] == mark {
			i++
			continue
		}
		return i + 1
	}
	return -1
}

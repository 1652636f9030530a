package catalog

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxNameBytes is the length of PostgreSQL's identifiers: NAMEDATALEN - 1.
const maxNameBytes = 63

// String writes the name as SQL would: quoted where it has to be.
func (n Name) String() string {
	if n.Schema == "" {
		return quoteName(n.Name)
	}
	return quoteName(n.Schema) + "." + quoteName(n.Name)
}

// ParseName reads "[schema.]name" as in SQL: what is not quoted folds to lower
// case, "Order" does not, and what is too long is cut.
func ParseName(s string) (Name, error) {
	parts, err := splitNames(s, '.')
	if err != nil {
		return Name{}, fmt.Errorf("name %q: %w", s, err)
	}
	switch len(parts) {
	case 1:
		return Name{Name: parts[0]}, nil
	case 2:
		return Name{Schema: parts[0], Name: parts[1]}, nil
	default:
		return Name{}, fmt.Errorf("name %q: %d parts, but [schema.]name has two at most", s, len(parts))
	}
}

// splitNames reads identifiers between separators, with blanks around them.
func splitNames(s string, separator byte) ([]string, error) {
	if !utf8.ValidString(s) {
		return nil, errors.New("not valid UTF-8")
	}
	var names []string
	for {
		name, rest, err := nextName(strings.TrimLeft(s, " \t\r\n\f\v"))
		if err != nil {
			return nil, err
		}
		names = append(names, truncateName(name))
		rest = strings.TrimLeft(rest, " \t\r\n\f\v")
		if rest == "" {
			return names, nil
		}
		if rest[0] != separator {
			r, _ := utf8.DecodeRuneInString(rest)
			return nil, fmt.Errorf("unexpected %q; other characters than letters, digits, _ and $ need double quotes", r)
		}
		s = rest[1:]
	}
}

// nextName reads one identifier at the start of s and folds it.
func nextName(s string) (name, rest string, err error) {
	switch {
	case s == "":
		return "", "", errors.New("a name is missing")
	case strings.HasPrefix(s, `U&"`), strings.HasPrefix(s, `u&"`):
		return "", "", errors.New(`U&"" names are not supported, write the characters themselves`)
	case s[0] == '"':
		return quotedName(s)
	case !nameStart(s[0]):
		r, _ := utf8.DecodeRuneInString(s)
		return "", "", fmt.Errorf("a name cannot start with %q unless it is in double quotes", r)
	}
	end := 1
	for end < len(s) && (nameStart(s[end]) || s[end] >= '0' && s[end] <= '9' || s[end] == '$') {
		end++
	}
	return foldName(s[:end]), s[end:], nil
}

// quotedName reads an identifier in double quotes, where "" stands for one.
func quotedName(s string) (name, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == 0:
			return "", "", errors.New("a name cannot hold a NUL")
		case s[i] != '"':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		case b.Len() == 0:
			return "", "", errors.New(`"" is not a name`)
		default:
			return b.String(), s[i+1:], nil
		}
	}
	return "", "", errors.New("a double quote is missing at the end")
}

func nameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

// foldName lower-cases ASCII letters alone, as the server does in UTF8.
func foldName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// truncateName cuts a name to what fits, at the end of a character.
func truncateName(name string) string {
	if len(name) <= maxNameBytes {
		return name
	}
	end := maxNameBytes
	for end > 0 && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func utf8Encoding(name string) bool { return name == "" || name == "UTF8" }

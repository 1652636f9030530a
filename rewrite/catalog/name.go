package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxNameBytes is the length of PostgreSQL's identifiers: NAMEDATALEN - 1.
const maxNameBytes = 63

// blanks are what the server takes for white space.
const blanks = " \t\n\r\f\v"

// String writes the name as SQL would: quoted where it has to be.
func (n Name) String() string {
	if n.Schema == "" {
		return quoteName(n.Name)
	}
	return quoteName(n.Schema) + "." + quoteName(n.Name)
}

func compareNames(a, b Name) int {
	return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Name, b.Name))
}

// ParseName reads "[schema.]name" as in SQL: what is not quoted folds to lower
// case, "Order" does not, and what is too long is cut.
func ParseName(s string) (Name, error) {
	n, err := parseName(s)
	if err != nil {
		return Name{}, fmt.Errorf("name %q: %w", s, err)
	}
	return n, nil
}

func parseName(s string) (Name, error) {
	if !utf8.ValidString(s) {
		return Name{}, errors.New("not valid UTF-8")
	}
	var parts []string
	for rest := s; ; rest = rest[1:] {
		var part string
		var err error
		if part, rest, err = nextName(strings.TrimLeft(rest, blanks)); err != nil {
			return Name{}, err
		}
		parts = append(parts, truncateName(part))
		if rest = strings.TrimLeft(rest, blanks); rest == "" {
			break
		}
		if rest[0] != '.' {
			r, _ := utf8.DecodeRuneInString(rest)
			return Name{}, fmt.Errorf("unexpected %q: characters other than letters, digits, _ and $ need double quotes", r)
		}
	}
	switch len(parts) {
	case 1:
		return Name{Name: parts[0]}, nil
	case 2:
		return Name{Schema: parts[0], Name: parts[1]}, nil
	default:
		return Name{}, fmt.Errorf("%d parts, [schema.]name has two at most", len(parts))
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

// splitIdentifiers reads a list as in search_path: between commas, what is not
// quoted may hold any character but a blank. It is false for what the server
// would refuse.
func splitIdentifiers(s string) ([]string, bool) {
	s = strings.TrimLeft(s, blanks)
	if s == "" {
		return nil, true
	}
	var names []string
	for {
		var name string
		if s != "" && s[0] == '"' {
			end := 1
			for end < len(s) && (s[end] != '"' || end+1 < len(s) && s[end+1] == '"') {
				if s[end] == '"' {
					end++
				}
				end++
			}
			if end >= len(s) {
				return nil, false
			}
			name, s = strings.ReplaceAll(s[1:end], `""`, `"`), s[end+1:]
		} else {
			end := strings.IndexAny(s, blanks+",")
			if end < 0 {
				end = len(s)
			}
			if end == 0 {
				return nil, false
			}
			name, s = foldName(s[:end]), s[end:]
		}
		names = append(names, truncateName(name))
		if s = strings.TrimLeft(s, blanks); s == "" {
			return names, true
		}
		if s[0] != ',' {
			return nil, false
		}
		s = strings.TrimLeft(s[1:], blanks)
	}
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

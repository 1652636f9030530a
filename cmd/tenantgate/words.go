package main

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A choice is one word of an enumeration.
type choice[T any] struct {
	word  string
	value T
}

// choose reads one word of several.
func choose[T any](v value, choices ...choice[T]) (result T, ok bool) {
	text, _, ok := v.scalar()
	if !ok {
		return result, false
	}
	words := make([]string, len(choices))
	for i, c := range choices {
		if c.word == text {
			return c.value, true
		}
		words[i] = c.word
	}
	v.problem("%s", unknown(v.key(), v.node.Value, words))
	return result, false
}

// none adds a problem if a list or mapping has nothing in it.
func (v value) none(allowed string) {
	if (v.node.Kind == yaml.SequenceNode || v.node.Kind == yaml.MappingNode) && len(v.node.Content) == 0 {
		v.problem("%s is empty; allowed: %s", v.key(), allowed)
	}
}

// unknown says that a word is not among those allowed, and which was meant.
func unknown(what, word string, allowed []string) string {
	meant := ""
	if near, ok := nearest(word, allowed); ok {
		meant = fmt.Sprintf("did you mean %q? ", near)
	}
	return fmt.Sprintf("unknown %s %q; %sallowed: %s", what, word, meant, strings.Join(allowed, ", "))
}

// nearest returns the word with the fewest edits to it, if those are few. To
// leave off the end is one edit.
func nearest(word string, among []string) (string, bool) {
	best, found := len(word)/3+2, ""
	if len(word) > 100 {
		return "", false
	}
	for _, candidate := range among {
		d := distance(strings.ToLower(word), strings.ToLower(candidate))
		if len(word) > 1 && strings.HasPrefix(candidate, word) {
			d = min(d, 1)
		}
		if d < best {
			best, found = d, candidate
		}
	}
	return found, found != ""
}

// distance is Levenshtein's: insertions, deletions and replacements.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

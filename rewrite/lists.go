package rewrite

import (
	"fmt"
	"strings"
)

// A section is one group of names in functions.txt or relations.txt: a header
// that ends with a reason, and below it, indented, names.
type section struct {
	header []string // the words before the colon
	reason string
	names  []string
}

// parseSections reads a list. Lists are part of the program, so one that
// cannot be read is a bug.
func parseSections(list string) []section {
	var sections []section
	for i, line := range strings.Split(list, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "):
			last := &sections[len(sections)-1]
			last.names = append(last.names, strings.Fields(line)...)
		default:
			header, reason, ok := strings.Cut(line, ": ")
			if !ok {
				panic(fmt.Sprintf("rewrite: line %d of a list has no reason", i+1))
			}
			sections = append(sections, section{header: strings.Fields(header), reason: reason})
		}
	}
	return sections
}

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// A leaf is one SELECT, VALUES or TABLE of a tree of set operations.
type leaf struct {
	stmt *pg_query.SelectStmt
	text int // the token SELECT, VALUES or TABLE
}

// leavesOf pairs the leaves of a set operation with their texts, of which the
// first token is i. Without texts, or with other ones, the tokens are -1.
func (c *confiner) leavesOf(s *pg_query.SelectStmt, i int) []leaf {
	var leaves []leaf
	var walk func(s *pg_query.SelectStmt)
	walk = func(s *pg_query.SelectStmt) {
		if s.Larg == nil && s.Rarg == nil {
			leaves = append(leaves, leaf{stmt: s, text: -1})
			return
		}
		walk(s.Larg)
		walk(s.Rarg)
	}
	walk(s)
	texts, _, ok := c.source.arms(i, nil)
	if !ok || len(texts) != len(leaves) {
		c.fail()
		return leaves
	}
	for n := range leaves {
		leaves[n].text = texts[n]
	}
	return leaves
}

// arms finds the first tokens of the leaves of a set operation that starts at
// token i, and where it ends.
func (s *source) arms(i int, found []int) (texts []int, end int, ok bool) {
	if s.is(i, "with") {
		i = s.withEnd(i)
	}
	for {
		switch {
		case s.punct(i, "("):
			found, end, ok = s.arms(i+1, found)
			if !ok || end != s.closing(i) {
				return found, i, false
			}
			i = end + 1
		case s.is(i, "select"), s.is(i, "values"), s.is(i, "table"):
			found = append(found, i)
			i++
		default:
			return found, i, false
		}
		i = s.skip(i, armEnd)
		if !s.is(i, "union") && !s.is(i, "intersect") && !s.is(i, "except") {
			return found, s.skip(i, selectEnd), true
		}
		i++
		if s.is(i, "all") || s.is(i, "distinct") {
			i++
		}
	}
}

// withEnd returns the token behind a WITH clause that starts at token i.
func (s *source) withEnd(i int) int {
	i++
	if s.is(i, "recursive") {
		i++
	}
	for {
		i = s.nameEnd(i)
		if s.punct(i, "(") { // the names of its columns
			i = s.closing(i) + 1
		}
		for s.is(i, "as") || s.is(i, "not") || s.is(i, "materialized") {
			i++
		}
		i = s.closing(i) + 1
		if s.is(i, "search") { // SEARCH DEPTH FIRST BY a SET b
			i = s.skip(i, func(s *source, i int) bool { return s.is(i, "set") }) + 2
		}
		if s.is(i, "cycle") { // CYCLE a SET b USING c
			i = s.skip(i, func(s *source, i int) bool { return s.is(i, "using") }) + 2
		}
		if !s.punct(i, ",") {
			return i
		}
		i++
	}
}

// rows finds the rows of VALUES, which is token i: their brackets.
func (s *source) rows(i int) []extent {
	var rows []extent
	for {
		i++
		last := s.closing(i)
		if last < 0 {
			return rows
		}
		rows = append(rows, extent{first: i, last: last})
		if i = last + 1; !s.punct(i, ",") {
			return rows
		}
	}
}

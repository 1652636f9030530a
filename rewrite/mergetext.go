package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// A mergeText is where the parts of a MERGE are: tokens.
type mergeText struct {
	on    int
	whens []whenText
}

// A whenText is where the parts of a WHEN clause are; -1 is unknown.
type whenText struct {
	when, matched, then int
	end                 int // behind its last token
}

// A rowText is where the parts of the INSERT of a WHEN clause are.
type rowText struct {
	insert  int
	columns int // the bracket that closes the column list
	first   int // VALUES, or DEFAULT
	last    int // the bracket that closes the row, or VALUES of DEFAULT VALUES; -1 if not found
}

// mergeWord stops at the words that part a MERGE, outside CASE.
func mergeWord(words ...string) clause {
	inCase := 0
	return func(s *source, i int) bool {
		switch word := s.word(i); {
		case word == "case":
			inCase++
		case word == "end" && inCase > 0:
			inCase--
		case inCase == 0 && word != "":
			for _, stop := range words {
				if word == stop {
					return true
				}
			}
		}
		return false
	}
}

// locateMerge finds the parts of a MERGE. The source may be a join, so it is
// the last ON before the first WHEN that counts.
func (c *confiner) locateMerge(s *pg_query.MergeStmt) (mergeText, bool) {
	src := c.source
	target, ok := c.extent(s.Relation, false)
	if !ok || !src.is(target.last+1, "using") {
		return mergeText{}, false
	}
	text := mergeText{on: -1}
	i := target.last + 2
	for {
		i = src.skip(i, mergeWord("on", "when"))
		if !src.is(i, "on") {
			break
		}
		text.on = i
		i++
	}
	if text.on < 0 {
		return mergeText{}, false
	}
	for src.is(i, "when") {
		w := whenText{when: i, matched: i + 1}
		if src.is(w.matched, "not") {
			w.matched++
		}
		w.then = src.skip(w.matched+1, mergeWord("then"))
		if !src.is(w.matched, "matched") || !src.is(w.then, "then") {
			return mergeText{}, false
		}
		w.end = src.skip(w.then+1, mergeWord("when"))
		text.whens = append(text.whens, w)
		i = w.end
	}
	return text, len(text.whens) > 0 && len(text.whens) == len(s.MergeWhenClauses)
}

// locateRow finds the parts of the INSERT of a WHEN clause.
func (c *confiner) locateRow(when *pg_query.MergeWhenClause, at whenText) rowText {
	src := c.source
	row := rowText{insert: at.then + 1, last: -1}
	if at.then < 0 || !src.is(row.insert, "insert") {
		return row
	}
	i := row.insert + 1
	if len(when.TargetList) > 0 {
		if row.columns = src.closing(i); row.columns < 0 {
			return row
		}
		i = row.columns + 1
	}
	if src.is(i, "overriding") {
		i += 3
	}
	row.first = i
	switch {
	case len(when.Values) == 0 && src.is(i, "default") && src.is(i+1, "values"):
		row.last = i + 1
	case len(when.Values) > 0 && src.is(i, "values"):
		row.last = src.closing(i + 1)
	}
	return row
}

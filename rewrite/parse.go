package rewrite

import (
	"errors"
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"github.com/pganalyze/pg_query_go/v5/parser"
)

// maxDeparseDepth bounds the trees that are given to the deparser. It recurses
// in C with several times the stack that the parser needs.
const maxDeparseDepth = 300

// parse makes the parse tree of a text that passed checkComplexity.
func parse(sql string) ([]*pg_query.RawStmt, error) {
	tree, err := pg_query.Parse(sql)
	var failure *parser.Error
	switch {
	case errors.As(err, &failure):
		return nil, &SyntaxError{Message: failure.Message, Position: max(failure.Cursorpos, 0)}
	case err != nil: // the tree cannot be decoded: it is too deep
		return nil, &TooComplexError{
			Message: "stack depth limit exceeded",
			Hint:    "The statement nests too deeply: " + err.Error(),
		}
	}
	return tree.Stmts, nil
}

// deparse writes a statement from its tree. The result must be parsed and
// compared before it is used: the deparser loses parentheses.
func deparse(stmt *pg_query.Node) (string, error) {
	if depth := treeDepth(stmt); depth > maxDeparseDepth {
		return "", fmt.Errorf("deparse: depth %d is above %d", depth, maxDeparseDepth)
	}
	sql, err := pg_query.Deparse(&pg_query.ParseResult{Stmts: []*pg_query.RawStmt{{Stmt: stmt}}})
	if err != nil {
		return "", fmt.Errorf("deparse: %w", err)
	}
	return sql, nil
}

// maxExpansion bounds how many words and signs of a text the parse tree may
// hold more than once.
const maxExpansion = 1 << 16

// checkExpansion bounds the size of the parse tree. The tree repeats the right
// side of SET (a, b) = (...) for every column of the left side, and right
// sides can be within each other: a text of 400 bytes can take gigabytes.
func checkExpansion(s *source) error {
	// factors holds, for each bracket that is open, how often its inside is in
	// the tree; the outermost comes first.
	total, factors, current := 0, []int{}, 1
	base := 1 // of the bracket that is open innermost
	for i, t := range s.tokens {
		if total += current - 1; total > maxExpansion {
			return &TooComplexError{
				Message: "statement assigns too much to lists of columns",
				Hint:    "Assign to one column at a time: SET a = x, b = y.",
			}
		}
		switch {
		case s.punct(i, "("), s.punct(i, "["):
			factors = append(factors, base, current)
			base = current
		case (s.punct(i, ")") || s.punct(i, "]")) && len(factors) > 0:
			base, current = factors[len(factors)-2], factors[len(factors)-1]
			factors = factors[:len(factors)-2]
			if n := s.assigned(i); n > 1 {
				current = min(base*n, 2*maxExpansion)
			}
		case s.punct(i, ","), s.punct(i, ";"):
			current = base
		case t.is(s.sql, "where"), t.is(s.sql, "from"), t.is(s.sql, "returning"):
			if !s.punct(i-1, ".") && !s.is(i-1, "distinct") {
				current = base
			}
		}
	}
	return nil
}

// assigned counts the columns of a list that ends with bracket i and stands on
// the left side of an assignment. For other brackets it is 0.
func (s *source) assigned(i int) int {
	first := int(s.partner[i])
	if first < 0 || i+1 >= len(s.tokens) || !s.tokens[i+1].op(s.sql, "=") ||
		!s.is(first-1, "set") && !s.punct(first-1, ",") {
		return 0
	}
	n := 1
	for k := first + 1; k < i; k++ {
		if c := s.closing(k); c > k {
			k = c
		} else if s.punct(k, ",") {
			n++
		}
	}
	return n
}

package rewrite

import (
	"fmt"
)

// Bounds of a text that may reach the parser. It recurses in C over the tree
// that it makes, and a stack overflow there ends the whole process. Measured
// with a stack of 2 MB the parser bears six times maxDepth.
const (
	maxTextBytes    = 64 << 20
	maxDepth        = 1000
	maxCommentDepth = 8
)

// What one construct adds to the depth, in units of one binary operator, by
// the stack that the most expensive use of it takes.
const (
	depthOperator = 1
	depthBetween  = 2
	depthBracket  = 3 // a sub-select, a CTE
	depthCase     = 2
)

// maxReread bounds how often, on average, the C lexer may read a byte of
// comments again: its time is quadratic in "/**//**//**/...".
const maxReread = 32

// checkComplexity refuses a text that could exhaust the parser's stack, memory
// or time. It must come before anything of libpg_query sees the text; its own
// time is linear.
func checkComplexity(sql string) error {
	_, err := lexBounded(sql)
	return err
}

// lexBounded is checkComplexity for who needs the tokens as well.
func lexBounded(sql string) ([]token, error) {
	if len(sql) > maxTextBytes {
		return nil, &TooComplexError{
			Message: fmt.Sprintf("statement is longer than %d bytes", maxTextBytes),
			Hint:    "Send fewer rows at a time, or use COPY.",
		}
	}
	l := newLexer(sql)
	if err := l.run(); err != nil {
		return nil, err
	}
	if err := l.bounded(); err != nil {
		return nil, err
	}
	depth, size := treeBounds(sql, l.tokens)
	if size > maxTokens {
		return nil, tooManyTokens()
	}
	if depth > maxDepth {
		return nil, &TooComplexError{
			Message: "stack depth limit exceeded",
			Hint: fmt.Sprintf("Operators in one chain, joins, set operations and brackets may add up to %d levels. "+
				"Lists, AND and OR do not count.", maxDepth),
		}
	}
	return l.tokens, nil
}

// bounded refuses comments that would take the C lexer too long.
func (l *lexer) bounded() error {
	if l.depth > maxCommentDepth || l.reread > maxReread*len(l.sql)+1<<16 {
		return &TooComplexError{
			Message: "comments are nested too deeply or too densely",
			Hint:    fmt.Sprintf("Comments may be nested %d deep.", maxCommentDepth),
		}
	}
	return nil
}

// treeBounds returns upper bounds of the tree that a text makes: of its depth,
// and of its size in tokens.
//
// Chains grow a tree by one level for each link: a+b+c, a::int::text, NOT NOT a,
// FROM a JOIN b JOIN c, UNION. Lists do not: a, b, c and a AND b AND c. Brackets
// and CASE open a level whose depth adds to the chain in which it stands.
//
// SET (a, b) = (SELECT ...) has its right side twice in the tree.
func treeBounds(sql string, tokens []token) (depth, size int) {
	b := bounds{levels: make([]level, 1, 16)}
	for i, tok := range tokens {
		prev := token{}
		if i > 0 {
			prev = tokens[i-1]
		}
		b.top().size++
		switch tok.kind {
		case tokenOperator:
			b.link(depthOperator)
			if prev.punct(sql, ")") && tok.op(sql, "=") {
				b.top().copies = max(b.top().copies, b.assigned)
			}
		case tokenPunct:
			b.punctuation(tok.text(sql))
			if tok.punct(sql, "(") && (prev.is(sql, "set") || prev.punct(sql, ",")) {
				b.top().assigns = true
			}
		case tokenWord:
			if prev.punct(sql, ".") || prev.is(sql, "as") {
				continue // a name, whatever the word means elsewhere
			}
			b.word(depthWordOf(sql, tok))
		case tokenQuoted, tokenString, tokenNumber, tokenParam:
		}
		if len(b.levels) > maxDepth {
			return len(b.levels), 0 // each weighs one at least
		}
	}
	for len(b.levels) > 1 {
		b.pop()
	}
	l := b.top()
	return l.depth(), l.total()
}

// bounds follow a text through its brackets.
type bounds struct {
	levels   []level // those that are open, the outermost first
	assigned int     // columns in the brackets that were closed last, if SET may assign to them
}

// A level is what was met since a bracket or CASE was opened.
type level struct {
	opened byte // '(', '[' or 'c' for CASE; 0 is the outermost
	weight int

	sets, setsBefore   int // set operations of the statement: they go on behind commas
	joins, joinsBefore int // since the last comma, and the most before it
	links, inner       int // in the chain: its links, and the deepest level within it
	chainBefore        int // the deepest chain that has ended
	betweens           int // BETWEENs whose AND is to come

	assigns          bool // behind SET or a comma
	commas           int
	size, sizeBefore int // tokens since the last comma, and before it
	copies           int // how often the tree holds them, if more than once
}

// depth bounds what the level adds to the depth of its surroundings.
func (l *level) depth() int {
	return l.weight + max(l.setsBefore, l.sets) + max(l.joinsBefore, l.joins) + max(l.chainBefore, l.links+l.inner)
}

// total bounds the size of the level's part of the tree.
func (l *level) total() int {
	return min(l.sizeBefore+l.size*max(l.copies, 1), maxTokens+1)
}

// endChain ends the chain: nothing that follows is above or below it.
func (l *level) endChain() {
	l.chainBefore = max(l.chainBefore, l.links+l.inner)
	l.links, l.inner = 0, 0
}

// endJoins ends an item of FROM.
func (l *level) endJoins() {
	l.joinsBefore, l.joins = max(l.joinsBefore, l.joins), 0
}

// endItem ends an item of a list.
func (l *level) endItem() {
	l.endChain()
	l.endJoins()
	l.betweens = 0
	l.commas++
	l.sizeBefore, l.size, l.copies = l.total(), 0, 0
}

func (b *bounds) top() *level { return &b.levels[len(b.levels)-1] }

func (b *bounds) link(n int) { b.top().links += n }

func (b *bounds) push(opened byte, weight int) {
	b.levels = append(b.levels, level{opened: opened, weight: weight})
}

// pop closes the innermost level; it is part of the chain around it.
func (b *bounds) pop() {
	closed := *b.top()
	b.levels = b.levels[:len(b.levels)-1]
	l := b.top()
	l.inner = max(l.inner, closed.depth())
	l.size = min(l.size+closed.total(), maxTokens+1)
	b.assigned = 0
	if closed.assigns {
		b.assigned = closed.commas + 1
	}
}

func (b *bounds) punctuation(text string) {
	switch text {
	case "(", "[":
		b.push(text[0], depthBracket)
	case ")":
		b.close('(')
	case "]":
		b.close('[')
	case "::":
		b.link(depthOperator)
	case ",":
		b.top().endItem()
	case ";":
		b.top().endItem()
		b.top().setsBefore, b.top().sets = max(b.top().setsBefore, b.top().sets), 0
	}
}

// close pops up to the bracket that is closed. Without one the text has a
// syntax error, and its tree is not made.
func (b *bounds) close(opened byte) {
	for i := len(b.levels) - 1; i > 0; i-- {
		if b.levels[i].opened == opened {
			for len(b.levels) > i {
				b.pop()
			}
			return
		}
	}
}

// A depthWord is what a key word does to the depth.
type depthWord uint8

const (
	wordOther depthWord = iota
	wordLink
	wordJoin
	wordSet
	wordBetween
	wordAnd
	wordOr
	wordCase
	wordArm // WHEN, THEN, ELSE
	wordEnd
)

var depthWords = map[string]depthWord{
	"not": wordLink, "is": wordLink, "isnull": wordLink, "notnull": wordLink, "collate": wordLink,
	"at": wordLink, "like": wordLink, "ilike": wordLink, "similar": wordLink, "escape": wordLink,
	"in": wordLink, "overlaps": wordLink, "operator": wordLink,
	"join": wordJoin, "union": wordSet, "intersect": wordSet, "except": wordSet,
	"between": wordBetween, "and": wordAnd, "or": wordOr,
	"case": wordCase, "when": wordArm, "then": wordArm, "else": wordArm, "end": wordEnd,
}

// maxDepthWord is the length of the longest of depthWords.
const maxDepthWord = 9

// depthWordOf looks a word up, in whatever case it is written.
func depthWordOf(sql string, tok token) depthWord {
	var folded [maxDepthWord]byte
	n := tok.end - tok.start
	if n > maxDepthWord {
		return wordOther
	}
	for i := range n {
		folded[i] = lowerASCII(sql[tok.start+i])
	}
	return depthWords[string(folded[:n])]
}

func (b *bounds) word(w depthWord) {
	l := b.top()
	switch w {
	case wordOther:
	case wordLink:
		l.links += depthOperator
	case wordBetween:
		l.links += depthBetween
		l.betweens++
	case wordJoin:
		l.joins++
	case wordSet:
		l.sets++
		l.endChain()
		l.endJoins()
	case wordAnd:
		// x BETWEEN 1 AND NOT y BETWEEN 1 AND NOT z nests.
		if l.betweens > 0 {
			l.betweens--
			return
		}
		l.endChain()
	case wordOr:
		l.endChain()
	case wordCase:
		b.push('c', depthCase)
	case wordArm:
		if l.opened == 'c' {
			l.endChain()
		}
	case wordEnd:
		if l.opened == 'c' {
			b.pop()
		}
	}
}

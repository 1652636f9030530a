package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// sideText finds one side of a comparison in the text.
func (c *confiner) sideText(g *guardedSide) (extent, bool) {
	e, ok := c.operandTexts(g.root)[g.operand]
	for ok && e.first < e.last && c.source.closing(e.first) == e.last { // brackets around it
		e = extent{e.first + 1, e.last - 1}
	}
	expr := g.operand.GetAExpr()
	at := c.source.find(expr.Location)
	if !ok || at <= e.first || at >= e.last {
		return extent{}, false
	}
	if g.side == expr.Lexpr {
		return extent{e.first, at - 1}, true
	}
	end := at + 1
	if c.source.is(at, "operator") { // OPERATOR(pg_catalog.=)
		end = c.source.closing(at+1) + 1
	}
	return extent{end, e.last}, end > at && end <= e.last
}

// targetText finds the value of a target list's item in the text, without the
// name that it may have.
func (c *confiner) targetText(t *pg_query.ResTarget, named bool) (extent, bool) {
	s := c.source
	i := s.find(t.Location)
	if i < 0 {
		return extent{}, false
	}
	end := s.skip(i, func(s *source, i int) bool { return s.punct(i, ",") || listEnd(s, i) })
	e := extent{first: i, last: end - 1}
	if named {
		if !s.name(e.last) || s.is(e.last-1, "uescape") {
			return extent{}, false
		}
		if e.last--; s.is(e.last, "as") {
			e.last--
		}
	}
	return e, e.last >= e.first
}

// operandTexts finds the operands of a condition in the text, once.
func (c *confiner) operandTexts(root *pg_query.Node) map[*pg_query.Node]extent {
	if root == nil {
		return nil
	}
	texts, found := c.operands[root]
	if !found {
		texts = c.locateOperands(root)
		c.operands[root] = texts
	}
	return texts
}

func (c *confiner) locateOperands(root *pg_query.Node) map[*pg_query.Node]extent {
	all := conjunctsAt(root)
	i := c.source.find(anchorOf(root))
	if i < 0 {
		return nil
	}
	last := c.source.find(anchorOf(lastOperand(root)))
	start := c.source.conditionStart(i)
	parts := c.source.operands(start, len(all))
	for len(parts) != len(all) || parts[len(parts)-1].last < last { // the anchor of (a AND b) AND c is in brackets
		if !c.source.punct(start-1, "(") {
			return nil
		}
		start = c.source.conditionStart(start - 1)
		parts = c.source.operands(start, len(all))
	}
	texts := make(map[*pg_query.Node]extent, len(all))
	for n, operand := range all {
		texts[operand] = parts[n]
	}
	return texts
}

// lastOperand is what comes last in a condition of ANDs and ORs.
func lastOperand(n *pg_query.Node) *pg_query.Node {
	for {
		args := n.GetBoolExpr().GetArgs()
		if len(args) == 0 {
			return n
		}
		n = args[len(args)-1]
	}
}

// anchorOf is where a token lies that is within an expression and in none of
// its brackets; below 0 it is not known.
func anchorOf(n *pg_query.Node) int32 {
	if i := n.GetAIndirection(); i != nil {
		return anchorOf(i.Arg)
	}
	m := n.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("node"))
	if field == nil {
		return -1
	}
	inner := m.Get(field).Message()
	location := inner.Descriptor().Fields().ByName("location")
	if location == nil {
		return -1
	}
	return int32(inner.Get(location).Int()) //nolint:gosec // the field is an int32
}

// conditionStart goes from a token of a condition back to its first one.
func (s *source) conditionStart(i int) int {
	for ; i > 0; i-- {
		before := i - 1
		switch {
		case s.punct(before, ")"), s.punct(before, "]"):
			if open := int(s.partner[before]); open >= 0 {
				i = open + 1 // the loop goes on before the bracket
				continue
			}
			return i
		case s.punct(before, "("), s.punct(before, "["), s.punct(before, ";"):
			return i
		}
		switch s.word(before) {
		case "where", "on", "having":
			return i
		}
	}
	return i
}

// operands splits a condition that starts at token i at its ANDs. want is how
// many there should be: with one, the whole is one operand whatever is in it.
func (s *source) operands(i, want int) []extent {
	var list []extent
	first, between, depth := i, 0, 0
	for ; i < len(s.tokens); i++ {
		if s.punct(i, ")") || s.punct(i, "]") || s.punct(i, ";") || depth == 0 && (clauseEnd(s, i) || s.endsOn(i)) {
			break
		}
		if c := s.closing(i); c > i {
			i = c
			continue
		}
		switch s.word(i) {
		case "case":
			depth++
		case "end":
			depth--
		case "between":
			between++
		case "and":
			switch {
			case depth > 0 || want == 1:
			case between > 0:
				between--
			default:
				list = append(list, extent{first, i - 1})
				first = i + 1
			}
		}
	}
	if i <= first {
		return nil
	}
	list = append(list, extent{first, i - 1})
	if more := want - len(list) + 1; more > 1 && s.closing(list[0].first) == list[0].last {
		if inner := s.operands(list[0].first+1, more); len(inner) == more { // (a AND b) AND c has three
			return append(inner, list[1:]...)
		}
	}
	return list
}

// endsOn reports whether a token ends the condition of a join.
func (s *source) endsOn(i int) bool {
	if s.punct(i, ",") {
		return true
	}
	switch s.word(i) {
	case "join", "cross", "natural", "inner", "on", "using":
		return true
	case "when": // of MERGE; CASE is counted
		return true
	case "left", "right", "full":
		return s.is(i+1, "join") || s.is(i+1, "outer")
	}
	return false
}

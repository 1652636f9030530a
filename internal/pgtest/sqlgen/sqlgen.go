// Package sqlgen makes random statements over the clinic's schema that have
// one right answer: what a tenant gets through the proxy can be compared with
// what the database of its rows alone answers.
//
// Left out by construction is all that may differ between two databases with
// the same rows: volatile functions, LIMIT without an order of whole rows,
// sequences, places of rows, conditions whose errors depend on the plan.
package sqlgen

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
)

// The signs by which a statement's template marks what can be simplified, and
// its parameters: open, what stands in its place, mid, itself, shut.
const (
	open  = "\x01"
	mid   = "\x02"
	shut  = "\x03"
	param = "\x04" // before and after a parameter's index
)

// A Statement is one statement and the values of its parameters.
type Statement struct {
	Kind    string // what it is: select, insert, ...
	Ordered bool   // the order of its rows is part of the answer
	Writes  bool
	Binary  bool // results are asked for in binary format

	text string // template
	args []Arg
}

// An Arg is the value of a parameter; a nil Value is NULL.
type Arg struct {
	Value  []byte
	Binary bool
}

// Options say what statements are made for.
type Options struct {
	Tenant int  // the key of the tenant that sends them
	Params bool // constants may be parameters
	Views  bool // views may stand for tables
	// Referenced is set if rows of other tenants refer to this tenant's: what
	// they refer to is then not deleted, for they would notice.
	Referenced bool
}

// Generate makes statement number n of a seed.
func Generate(seed, n uint64, o Options) Statement {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, n)), Options: o, queries: 7} //nolint:gosec // repeatable on purpose
	s := g.statement()
	s.args = g.args
	s.Binary = o.Params && g.chance(15)
	return s
}

// SQL is the statement's text, and the values of its parameters.
func (s *Statement) SQL() (string, []Arg) {
	var out strings.Builder
	var args []Arg
	numbers := make(map[string]int)
	text := plain(s.text)
	for {
		before, rest, ok := strings.Cut(text, param)
		out.WriteString(before)
		if !ok {
			return out.String(), args
		}
		index, after, _ := strings.Cut(rest, param)
		if numbers[index] == 0 {
			var i int
			_, _ = fmt.Sscan(index, &i) // the generator wrote it
			args = append(args, s.args[i])
			numbers[index] = len(args)
		}
		fmt.Fprintf(&out, "$%d", numbers[index])
		text = after
	}
}

// plain is a template without its marks.
func plain(text string) string {
	var out strings.Builder
	hidden := 0 // alternatives we are in
	for _, r := range text {
		switch string(r) {
		case open:
			hidden++
		case mid:
			hidden--
		case shut:
		default:
			if hidden == 0 {
				out.WriteRune(r)
			}
		}
	}
	return out.String()
}

// Simpler returns the statements that come of simplifying one part, largest
// parts first.
func (s *Statement) Simpler() iter.Seq[Statement] {
	return func(yield func(Statement) bool) {
		for start := range len(s.text) {
			if s.text[start] != open[0] {
				continue
			}
			middle := start + strings.Index(s.text[start:], mid)
			end, depth := middle+1, 1
			for ; depth > 0; end++ {
				switch s.text[end] {
				case open[0]:
					depth++
				case shut[0]:
					depth--
				}
			}
			simple := *s
			simple.text = s.text[:start] + s.text[start+1:middle] + s.text[end:]
			if !yield(simple) {
				return
			}
		}
	}
}

// may marks a part of a template that instead could stand in for.
func may(instead, part string) string { return open + instead + mid + part + shut }

// A generator makes one statement.
type generator struct {
	*rand.Rand
	Options

	args    []Arg
	ints    []int // arguments that are integers and may be used again
	queries int   // how many more sub-selects the statement may have
	names   int
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) fresh(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

// statement picks the kind of statement by weight.
func (g *generator) statement() Statement {
	switch n := g.IntN(100); {
	case n < 56:
		return g.selectStatement()
	case n < 60:
		g.Params = false // COPY takes none
		text, _ := g.query(scope{}, g.kinds(1+g.IntN(3)), 2)
		return Statement{Kind: "copy", text: "COPY (" + text + ") TO STDOUT" + pick(g, "", " (FORMAT csv, HEADER)", " WITH CSV")}
	case n < 74:
		return g.insert()
	case n < 86:
		return g.update()
	case n < 93:
		return g.delete()
	case n < 96:
		return g.merge()
	default:
		return g.wrong()
	}
}

package rewrite

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// sampleDigits is how many random digits end the sample.
const sampleDigits = 32

// newSamples makes the values that stand for all tenants' in a proof.
func newSamples() *Values {
	var v Values
	for i := range v {
		v[i] = newSample()
	}
	return &v
}

// newSample makes the key that stands for all keys in a proof. It has what
// could go wrong with quoting, and no client can guess it, so that its literal
// is nowhere in a client's text.
//
// A proof with one key holds for all: every place of the key is one token, a
// string literal, and what it holds shows in the tree as the value of one
// constant and nowhere else.
func newSample() string {
	var random [sampleDigits / 2]byte
	_, _ = rand.Read(random[:]) // it never fails
	return `'"$1\' -- /* ` + hex.EncodeToString(random[:])
}

// prove returns the text of a statement and its parsed tree, which is the one
// that is meant. The spliced text comes first; if it is another
// statement, the deparsed tree; and if that is one too, nothing is sent.
func (r *Rewriter) prove(c *confiner, part statementText, meant *pg_query.Node) (Template, *pg_query.Node, error) {
	sql := c.source.sql
	if len(c.splices) == 0 && !c.unspliced && part.start == 0 && part.end == len(sql) {
		text, _ := spliced(sql, part, nil)
		return text, meant, nil
	}
	if !c.unspliced {
		text, ok := spliced(sql, part, c.splices)
		if ok && c.viewState.bytes > 0 { // it may be deeper than the client's by far
			if _, err := lexBounded(text.SQLFor(r.samples)); err != nil {
				return Template{}, nil, err
			}
		}
		if ok {
			if tree, ok := r.same(text, meant); ok {
				return text, tree, nil
			}
		}
	}
	if text, ok := r.deparsed(meant); ok {
		if tree, ok := r.same(text, meant); ok {
			return text, tree, nil
		}
	}
	return Template{}, nil, &UnsupportedError{
		Rule:     ruleUnproven,
		Node:     "a statement that could not be rewritten with certainty",
		Hint:     "Write the statement in a simpler way, and report it.",
		Position: part.position,
	}
}

// same parses a text and reports whether it is the one statement that is
// meant.
func (r *Rewriter) same(text Template, meant *pg_query.Node) (*pg_query.Node, bool) {
	stmts, err := parse(text.SQLFor(r.samples))
	if err != nil || len(stmts) != 1 || !equalTrees(stmts[0].Stmt, meant) {
		return nil, false
	}
	return stmts[0].Stmt, true
}

// deparsed writes a statement from its tree. Where the text has come from is
// not known then. The holes are the literals of the sample.
func (r *Rewriter) deparsed(stmt *pg_query.Node) (Template, bool) {
	sql, err := deparse(stmt)
	if err != nil {
		return Template{}, false
	}
	tokens, err := lex(sql)
	if err != nil {
		return Template{}, false
	}
	var out strings.Builder
	at := 0
	literals := make(map[string]Value, valueCount)
	for v, sample := range r.samples {
		literals[quoteLiteral(sample)] = Value(v) //nolint:gosec // there are a few
	}
	for _, t := range tokens {
		if v, ok := literals[t.text(sql)]; ok && t.kind == tokenString {
			out.WriteString(sql[at:t.start] + v.mark())
			at = t.end
		}
	}
	out.WriteString(sql[at:])
	for _, sample := range r.samples {
		if strings.Contains(out.String(), sample[len(sample)-sampleDigits:]) {
			return Template{}, false // a literal in a form that was not recognized
		}
	}
	return fixedTemplate(out.String()), true
}

// auditor returns what audits one statement.
func (r *Rewriter) auditor(cat *catalog.Snapshot, k *keys, checks []Check) *auditor {
	checked := make(map[Check]bool, len(checks))
	for _, check := range checks {
		check.text = false // how the value arrives
		checked[check] = true
	}
	a := &auditor{catalog: cat, isValue: func(n *pg_query.Node, v Value, t catalog.Type) bool { return isLiteralKey(n, r.samples[v], t) }}
	if k.params {
		a.isValue = func(n *pg_query.Node, v Value, t catalog.Type) bool {
			return isParamKey(n, t, func(number int) bool {
				i := number - k.client - 1
				return i >= 0 && i < len(k.types) && k.types[i] == t && k.values[i] == v
			})
		}
	}
	a.isKey = func(n *pg_query.Node, t catalog.Type) bool { return a.isValue(n, ValueKey, t) }
	a.isChecked = func(n *pg_query.Node, rel *catalog.Relation, f family) bool {
		check := Check{table: rel.Name, family: f, param: int(n.GetParamRef().GetNumber())}
		if check.param <= 0 {
			var constant bool
			if check.value, check.null, constant = constantText(n); !constant {
				return false
			}
		}
		return checked[check]
	}
	return a
}

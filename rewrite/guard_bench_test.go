package rewrite

import (
	"strings"
	"testing"
)

// Each case beside its floor: lexing with bounds, and parsing.
func BenchmarkGuard(b *testing.B) {
	cat := guardCatalog()
	g := newRewriter(b, Config{}).guard
	for name, sql := range map[string]string{
		"short": "SELECT o.id, o.note FROM orders o WHERE o.id = $1",
		"join":  ordinary[1],
		"rows":  "INSERT INTO orders (id, note, total) VALUES (1, 'x', 2)" + strings.Repeat(", (1, 'x', 2)", 1000),
	} {
		b.Run("bounds/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(sql)))
			for b.Loop() {
				_ = checkComplexity(sql)
			}
		})
		b.Run("parse/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(sql)))
			for b.Loop() {
				_, _ = parse(sql)
			}
		})
		b.Run("guard/"+name, func(b *testing.B) {
			tokens, _ := lexBounded(sql)
			stmts, _ := parse(sql)
			src := newSource(sql, tokens)
			b.SetBytes(int64(len(sql)))
			for b.Loop() {
				_, _ = g.check(stmts[0], cat, src)
			}
		})
	}
}

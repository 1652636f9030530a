package rewrite

import (
	"fmt"
	"strings"
	"testing"
)

// benchmarkTexts are statements by what varies.
func benchmarkTexts() map[string]string {
	report := `SELECT c.name, count(o.id) AS orders, sum(l.qty * l.price) AS total
		FROM customers c
		JOIN orders o ON o.customer_id = c.id AND o.state = 'open'
		LEFT JOIN order_lines l ON l.order_id = o.id
		LEFT JOIN archive a ON a.id = o.id
		WHERE c.name LIKE 'a%' AND o.placed BETWEEN '2024-01-01' AND '2024-12-31'
		  AND EXISTS (SELECT 1 FROM labels b WHERE b.id = o.id)
		GROUP BY c.name HAVING count(o.id) > 2 ORDER BY total DESC LIMIT 20`
	return map[string]string{
		"lookup": "SELECT id, total FROM orders WHERE id = $1",
		"report": report,
		"insert": "INSERT INTO orders (id, state) VALUES ($1, $2) RETURNING id",
	}
}

// BenchmarkRewrite measures a text that is not in the cache, beside the parse
// that it cannot do without, and one that is.
func BenchmarkRewrite(b *testing.B) {
	cat := shop()
	for name, sql := range benchmarkTexts() {
		r := newRewriter(b, Config{Confine: true})
		req := Request{SQL: sql, Extended: true}
		b.Run(fmt.Sprintf("text=%s/size=%d/parse", name, len(sql)), func(b *testing.B) {
			for b.Loop() {
				if _, err := parse(sql); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("text=%s/size=%d/new", name, len(sql)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.rewrite(req, cat); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("text=%s/size=%d/cached", name, len(sql)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Rewrite(req, cat); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// manyRows is an INSERT of n rows.
func manyRows(n int) string {
	var sql strings.Builder
	sql.WriteString("INSERT INTO orders (id, customer_id, state, total) VALUES ")
	for i := range n {
		if i > 0 {
			sql.WriteString(", ")
		}
		fmt.Fprintf(&sql, "(%d, %d, 'state %d', %d.5)", i, i%7, i, i%100)
	}
	return sql.String()
}

func BenchmarkRewriteManyRows(b *testing.B) {
	cat, r := shop(), newRewriter(b, Config{Confine: true})
	for _, n := range []int{100, 10_000} {
		sql := manyRows(n)
		b.Run(fmt.Sprintf("rows=%d/size=%d/parse", n, len(sql)), func(b *testing.B) {
			for b.Loop() {
				if _, err := parse(sql); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("rows=%d/size=%d/new", n, len(sql)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.rewrite(Request{SQL: sql}, cat); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

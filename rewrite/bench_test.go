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
				if _, err := r.rewrite(req, cat, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// pointSelect, report and manyRows are statements as a client writes them that
// has no parameters.
func pointSelect(i int) string {
	return fmt.Sprintf("SELECT id, total FROM orders WHERE id = %d", i)
}

func report(i int) string {
	return strings.NewReplacer("> 2", fmt.Sprintf("> %d", i%9+1), "'2024-01-01'", fmt.Sprintf("'20%02d-01-01'", i%100)).
		Replace(benchmarkTexts()["report"])
}

// BenchmarkCached measures texts that need no reading: one text again and
// again, without and with literals, and texts that differ in their literals.
func BenchmarkCached(b *testing.B) {
	cat := shop()
	texts := []struct {
		name string
		make func(i int) string
	}{
		{"lookup", pointSelect},
		{"report", report},
		{"rows", func(i int) string { return strings.Replace(manyRows(1000), "(0, ", fmt.Sprintf("(%d, ", i), 1) }},
	}
	for _, enforce := range []string{"rewrite", "rls"} {
		for _, text := range texts {
			run := func(name string, req func(i int) Request) {
				r := newRewriter(b, Config{Confine: enforce == "rewrite"})
				requests := make([]Request, 64)
				for i := range requests {
					requests[i] = req(i)
					for range 2 {
						if _, err := r.Rewrite(requests[i], cat); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.Run(fmt.Sprintf("enforce=%s/text=%s/size=%d/%s", enforce, text.name, len(requests[0].SQL), name), func(b *testing.B) {
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						if _, err := r.Rewrite(requests[i%len(requests)], cat); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			if sql := benchmarkTexts()[text.name]; sql != "" && text.name == "lookup" {
				run("parameters", func(int) Request { return Request{SQL: sql, Extended: true} })
			}
			run("same", func(int) Request { return Request{SQL: text.make(0)} })
			run("literals", func(i int) Request { return Request{SQL: text.make(i)} })
		}
	}
}

// BenchmarkSQL measures writing what is sent.
func BenchmarkSQL(b *testing.B) {
	cat, r := shop(), newRewriter(b, Config{Confine: true})
	for name, sql := range map[string]string{"lookup": pointSelect(1), "report": report(1), "rows": manyRows(1000)} {
		result, err := r.Rewrite(Request{SQL: sql}, cat)
		if err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, 0, 1<<20)
		b.Run("text="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = result.Statements[0].Text.AppendSQL(buf[:0], &Values{ValueKey: "1"})
			}
		})
	}
}

// BenchmarkCachedParallel measures what sessions that run at once cost each
// other.
func BenchmarkCachedParallel(b *testing.B) {
	cat, r := shop(), newRewriter(b, Config{Confine: true})
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := r.Rewrite(Request{SQL: "SELECT id, total FROM orders WHERE id = $1", Extended: true}, cat); err != nil {
				b.Fatal(err)
			}
		}
	})
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
				if _, err := r.rewrite(Request{SQL: sql}, cat, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

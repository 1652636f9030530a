//go:build !race

package rewrite

// Tests of the time that long texts take. They run without the race detector:
// what it adds would be most of the time they measure.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTextOfManyRowsIsRewrittenInLinearTime(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	const rows = 100_000
	sql := manyRows(rows)
	start := time.Now()
	result, err := r.Rewrite(Request{SQL: sql}, cat)
	require.NoError(t, err)
	t.Logf("%d rows, %d bytes: %v", rows, len(sql), time.Since(start))
	s := &result.Statements[0]
	require.Equal(t, rows, s.Text.holes())
	require.False(t, s.Text.unknown, "deparsed")
	text := s.Text.SQL("it's")
	require.Equal(t, rows, strings.Count(text, "'it''s'::pg_catalog.int4)"))
	require.Equal(t, strings.Index(sql, "'state 99999'")+1, s.Text.Original(strings.Index(text, "'state 99999'")+1, "it's"))
}

// A text of some hundred kilobytes takes no more than a moment, whatever is
// many in it.
func TestRewriteTakesLinearTime(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	many := func(n int, f func(i int) string) string {
		parts := make([]string, n)
		for i := range n {
			parts[i] = f(i)
		}
		return strings.Join(parts, ", ")
	}
	const n = 2000
	for name, sql := range map[string]string{
		"tables":     "SELECT 1 FROM " + many(n, func(i int) string { return fmt.Sprintf("orders o%d", i) }),
		"locks":      "SELECT 1 FROM " + many(n, func(i int) string { return fmt.Sprintf("orders o%d", i) }) + " FOR UPDATE OF " + many(n, func(i int) string { return fmt.Sprintf("o%d", i) }),
		"subselects": "SELECT " + many(n, func(int) string { return "(SELECT 1 FROM orders)" }),
		"ctes":       "WITH " + many(n, func(i int) string { return fmt.Sprintf("w%d AS (SELECT 1)", i) }) + " SELECT 1 FROM " + many(n, func(i int) string { return fmt.Sprintf("w%d", i) }),
		"search":     "INSERT INTO archive (id) WITH RECURSIVE a AS (SELECT 1) SEARCH DEPTH FIRST BY " + many(n, func(i int) string { return fmt.Sprintf("c%d", i) }) + " SET x SELECT 1",
		"checks":     "INSERT INTO orders (id, tenant_id) VALUES " + many(n, func(i int) string { return fmt.Sprintf("(1, %d)", i) }),
		"parameters": "INSERT INTO orders (id, tenant_id) VALUES " + many(n, func(i int) string { return fmt.Sprintf("($1, $%d)", i+2) }),
		"ors":        "SELECT 1 FROM orders WHERE " + strings.Repeat("id = 1 OR ", n) + "id = 2",
		"stars":      "INSERT INTO archive (id, tenant_id) SELECT " + many(n, func(int) string { return "*" }) + " FROM " + many(n, func(i int) string { return fmt.Sprintf("orders o%d", i) }),
		"columns":    "INSERT INTO orders (" + many(n, func(int) string { return "id" }) + ") VALUES (" + many(n, func(int) string { return "1" }) + ")",
		"tenants":    "INSERT INTO orders (" + many(n, func(int) string { return "tenant_id" }) + ") VALUES (" + many(n, func(int) string { return "1" }) + ")",
		"sets":       "UPDATE orders SET " + many(n, func(int) string { return "tenant_id = 1" }),
		"conditions": "SELECT 1 FROM " + many(n, func(i int) string { return fmt.Sprintf("orders o%d", i) }) + " WHERE true" + strings.Repeat(" AND o7.state || 'x' > 'a'", n),
		"guards":     "SELECT 1 FROM " + many(n, func(i int) string { return fmt.Sprintf("orders o%d", i) }) + " WHERE true" + strings.Repeat(" AND random() < 1", n),
		"values":     "SELECT 1 FROM (SELECT " + many(n, func(i int) string { return fmt.Sprintf("o%d.id / 2", i) }) + " FROM " + many(n, func(i int) string { return fmt.Sprintf("orders o%d", i) }) + ") s",
		"statements": strings.Repeat("SELECT 1 FROM orders;", n),
	} {
		for _, extended := range []bool{false, true} {
			start := time.Now()
			_, err := r.Rewrite(Request{SQL: sql, Extended: extended}, cat)
			if err != nil {
				require.NotContains(t, goldenError(err), "INTERNAL", name)
				require.NotContains(t, goldenError(err), ruleUnproven, name)
			}
			t.Logf("%s: %d bytes, %v, %v", name, len(sql), time.Since(start), err != nil)
			require.Less(t, time.Since(start), 10*time.Second, name)
		}
	}
}

func TestCheckComplexityTakesLinearTime(t *testing.T) {
	for _, unit := range []string{"(", "[", "CASE ", "SET (a) = ", ", (a, b) = (1)", ")", "a AND ", "x BETWEEN ", "END ", "+ ", "/**/"} {
		took := func(size int) time.Duration {
			sql := strings.Repeat(unit, size/len(unit))
			start := time.Now()
			_ = checkComplexity(sql)
			return time.Since(start)
		}
		short, long := time.Hour, time.Hour // the fastest, of up to ten times where the machine does other work
		// Quadratic time would be 16 times as much for a text 4 times as long.
		limit := func() time.Duration { return 10*short + 100*time.Millisecond }
		for round := 0; round < 3 || round < 10 && long >= limit(); round++ {
			short, long = min(short, took(1<<20)), min(long, took(4<<20))
		}
		require.Less(t, long, limit(), unit)
	}
}

func TestGuardTakesLinearTime(t *testing.T) {
	g, err := newGuard(&Config{Setting: "app.tenant_id"})
	require.NoError(t, err)
	cat := guardCatalog()
	for name, sql := range map[string]string{
		"values":     "INSERT INTO orders (id, note, total) VALUES (1, 'x', -2)" + strings.Repeat(", (1, upper('x'), -2)", 30_000),
		"statements": strings.Repeat("SELECT o.peers FROM customers o; ", 10_000),
		"notations":  "SELECT 1" + strings.Repeat(", o.peers", 20_000) + " FROM customers o",
		"both":       "SELECT 1" + strings.Repeat(", o.peers", 20_000) + " FROM customers o" + strings.Repeat(", customers o", 20_000),
		"CTEs":       "WITH o AS (SELECT 1 AS peers)" + strings.Repeat(", o AS (SELECT 1 AS peers)", 10_000) + "SELECT o.peers FROM o" + strings.Repeat(", o", 10_000),
	} {
		tokens, err := lexBounded(sql)
		require.NoError(t, err)
		stmts, err := parse(sql)
		require.NoError(t, err)
		src := newSource(sql, tokens)
		start := time.Now()
		for _, raw := range stmts {
			_, err := g.check(raw, cat, src)
			require.NoError(t, err, name)
		}
		require.Less(t, time.Since(start), 5*time.Second, name)
	}
}

func TestLexTakesLinearTime(t *testing.T) {
	const size = 1 << 20
	for _, unit := range []string{
		"/*", "/**/", "/**/ ", "(", "+/**/", "$a$ ", "'' ", "'a'\n", "\"a\" ", "1.", "--\n", "a.b,", "$a", "''", "-1",
		"/*/**/*/", "'a' --\n", "*", "/* ", "E'\\'' ", "u&", "1_", "1e",
	} {
		sql := strings.Repeat(unit, size/len(unit))
		start := time.Now()
		_, _ = lex(sql)
		require.Less(t, time.Since(start), 5*time.Second, unit)
	}
}

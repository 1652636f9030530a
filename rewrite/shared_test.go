package rewrite

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

// other is a literal of the same class as one, with another value.
func other(random *rand.Rand, literal string) string {
	digits := func(first string, n int) string {
		out := first[random.IntN(len(first)):][:1]
		for range n {
			out += string(rune('0' + random.IntN(10)))
		}
		return out
	}
	words := []string{"", "a", "it''s", "é", "$1", "--", "/*", "*/", `"`, "1", "tenant", "NULL", ";", "''", "%", "now", "pg_class", "app.tenant_id"}
	word := func() string { return words[random.IntN(len(words))] }
	switch classOf(token{kind: kindOf(literal), end: len(literal)}, literal) {
	case classString:
		if random.IntN(3) == 0 {
			return "'app.tenant_id'" // what nobody may read
		}
		return "'" + word() + word() + "'"
	case classSlashes:
		return "'" + word() + `\` + word() + "'"
	case classEscapes:
		return "E'" + word() + []string{``, `\\`, `\n`, `\r`, `\t`}[random.IntN(5)] + word() + "'"
	case classDollar:
		return "$q$" + word() + word() + "$q$"
	case classInt4:
		return []string{"0", "1", "2", "7", "2147483647", digits("123456789", random.IntN(9))}[random.IntN(6)]
	case classInt8:
		return []string{"2147483649", "9223372036854775807", digits("3456789", 9+random.IntN(9))}[random.IntN(3)]
	case classDigits:
		return []string{"9223372036854775809", digits("123456789", 20)}[random.IntN(2)]
	case classDecimals:
		return digits("0123456789", random.IntN(5)) + "." + digits("0123456789", random.IntN(5))
	default:
		return literal
	}
}

func kindOf(literal string) tokenKind {
	if charClass[literal[0]]&charDigit != 0 {
		return tokenNumber
	}
	return tokenString
}

// replaced puts other literals in the place of those that are not fixed.
func replaced(random *rand.Rand, sql string, s *shaper, fixed literalSet) string {
	var out strings.Builder
	at := int32(0)
	for i, start := range s.starts {
		literal := sql[start:s.ends[i]]
		if !fixed.has(i) && random.IntN(4) > 0 {
			literal = other(random, literal)
		}
		out.WriteString(sql[at:start] + literal)
		at = s.ends[i]
	}
	return out.String() + sql[at:]
}

// requireNotRead reads a text, and again with other literals where they are
// free: nothing else may change. It returns how many are free.
func requireNotRead(t *testing.T, random *rand.Rand, r *Rewriter, req Request, cat *catalog.Snapshot, times int) (free int) {
	t.Helper()
	var s, again shaper
	var c constants
	if !s.shape(req, cat.Version) {
		return 0
	}
	first, err := r.read(req, cat, &c)
	if err != nil || !first.templated() {
		return 0
	}
	needs, ok := first.anchor(s.starts, s.ends)
	if !ok {
		return 0
	}
	fixed := c.fixed(s.starts, nil)
	for range times {
		varied := req
		varied.SQL = replaced(random, req.SQL, &s, fixed)
		require.True(t, again.shape(varied, cat.Version), "%s\n%s", req.SQL, varied.SQL)
		require.Equal(t, string(s.key), string(again.key), "%s\n%s", req.SQL, varied.SQL)
		var c constants
		second, err := r.read(varied, cat, &c)
		require.NoError(t, err, "%s\n%s", req.SQL, varied.SQL)
		require.Equal(t, fixed, c.fixed(again.starts, nil), "%s\n%s", req.SQL, varied.SQL)
		got, ok := second.anchor(again.starts, again.ends)
		require.True(t, ok)
		require.Equal(t, needs, got, varied.SQL)
		require.True(t, first.same(second), "%s\n%s", req.SQL, varied.SQL)
		requireSameText(t, second, first.of(varied.SQL, again.ends, needs))
	}
	return len(s.ends) - fixed.count()
}

// requireSameText holds two results of one text against each other.
func requireSameText(t *testing.T, want, got *Result) {
	t.Helper()
	require.Len(t, got.Statements, len(want.Statements))
	for i := range want.Statements {
		g, w := got.Statements[i], want.Statements[i]
		for _, key := range []string{"1", `it's\`} {
			text := w.Text.SQL(key)
			require.Equal(t, text, g.Text.SQL(key))
			require.Equal(t, "x"+text, string(g.Text.AppendSQL([]byte("x"), &Values{ValueKey: key})))
			for pos := 0; pos < len(text)+3; pos += 1 + len(text)/50 {
				require.Equal(t, w.Text.Original(pos, key), g.Text.Original(pos, key), "%d of %s", pos, text)
			}
		}
		g.Text, w.Text = Template{}, Template{}
		require.Equal(t, w, g)
	}
}

// sharedTexts have literals in all kinds of places.
var sharedTexts = []string{
	"SELECT id FROM orders WHERE id = 5 AND state = 'open' AND total > -1.5 AND customer_id <> - 7",
	"SELECT id FROM orders WHERE id IN (1, 2, 3000000000) OR state LIKE 'a%' OR state LIKE 'a\\' OR state LIKE E'a\\n' LIMIT 10 OFFSET 20",
	"SELECT id FROM orders WHERE placed > now() - interval '7 days' AND total BETWEEN 1 AND 2.5",
	"SELECT id, CASE WHEN total > 100 THEN 'large' WHEN total > 10 THEN 'medium' ELSE 'small' END AS size FROM orders ORDER BY 1, 2",
	"SELECT (SELECT max(id) FROM order_lines l WHERE l.order_id = o.id AND l.qty > 3 LIMIT 1) FROM orders o WHERE o.id = 9223372036854775807",
	"SELECT count(*) FROM orders GROUP BY state HAVING count(*) >= 0 AND CASE WHEN pg_catalog.count(*) >= 0 THEN max(id) > 5 ELSE false END",
	"INSERT INTO orders (id, state, total) VALUES (1, 'a', 1.5), (2, E'b\\\\', 99999999999999999999), (3, $$c$$, NULL)",
	"INSERT INTO orders (tenant_id, id, state) VALUES (1, 1, 'a'), ('1', 2, 'b'), (DEFAULT, 3, 'c')",
	"INSERT INTO orders (id, state) VALUES (1, 'x') ON CONFLICT (tenant_id, id) DO UPDATE SET state = 'y', tenant_id = 1 WHERE orders.state <> 'z' RETURNING id + 1",
	"UPDATE orders SET state = 'x', total = total * 1.1, tenant_id = 1 WHERE id = 5",
	"UPDATE orders SET (state, tenant_id) = ('a', 1) WHERE id = 7",
	"DELETE FROM orders USING customers c WHERE c.id = orders.customer_id AND c.name = 'it''s' RETURNING orders.id",
	"WITH a AS (SELECT id FROM orders WHERE state = 'a'), b AS (DELETE FROM notes WHERE id = 1 RETURNING id) SELECT * FROM a, b WHERE a.id = 2",
	"SELECT id FROM orders WHERE id = 1; SELECT id FROM customers WHERE name = 'é' OR id = 2; DELETE FROM notes WHERE id = 3",
	"BEGIN; UPDATE orders SET total = 5 WHERE id = 1; COMMIT",
	"SELECT 'a' AS one, 1 AS two, -1, 1.5, 3000000000, 99999999999999999999, B'01', X'1F', U&'\\0061', N'n', true, NULL",
	"SELECT 'orders'::regclass, '1'::int4, '{1,2}'::int4[], date '2024-01-01', '1.5'::numeric(4, 2), interval '1' day",
	"SELECT lower('A'), coalesce(state, 'x'), greatest(1, 2), ARRAY[1, 2], ROW(1, 'a'), nullif(state, 'a') FROM orders",
	"SELECT id FROM orders o JOIN customers c ON c.id = o.customer_id AND c.name = 'a' LEFT JOIN notes n ON n.id = 4 WHERE o.id = 5",
	"SELECT id FROM orders WHERE id = 1 UNION ALL SELECT id FROM notes WHERE id = 2 LIMIT 3",
	"SELECT 'a'\n'b' FROM orders WHERE state = 'c' -- 'd'\n AND /* 'e' */ id=1",
	"SELECT id FROM orders WHERE id=1 AND state='x'OR state='y'",
	"SELECT pg_advisory_lock(5), pg_advisory_xact_lock(1, 2), pg_notify('a', 'b')",
	"SELECT pg_try_advisory_lock(5) FROM countries WHERE code = 'x'",
	"SELECT current_setting('TimeZone'), current_setting('server_version') FROM orders WHERE current_setting('DateStyle') <> 'x'",
	"SELECT current_setting('server_version'), set_config('application_name', 'x', false)",
	"SELECT set_config('application_name', 'a', false)",
	"SET application_name = 'a'",
	"EXPLAIN SELECT id FROM orders WHERE id = 1",
	"COPY (SELECT id FROM orders WHERE id = 1) TO STDOUT",
	"TABLE orders LIMIT 5",
	"VALUES (1, 'a'), (2, 'b')",
	"SELECT id FROM big_orders WHERE id = 3 AND total > 4",
	"SELECT EXTRACT(year FROM placed) = 2024, placed AT TIME ZONE 'UTC', substring(state FROM 1 FOR 2), state SIMILAR TO 'a' FROM orders",
	"SELECT id FROM orders WHERE state = 'é' AND nothing = 1",
	"SELECT id FROM orders FETCH FIRST 3 ROWS ONLY",
	"SELECT $1, id FROM orders WHERE id = $2 AND state = 'x'",
	"DECLARE c CURSOR FOR SELECT id FROM orders WHERE id = 1",
	"EXECUTE nothing(1, 'a')",
	"PREPARE p AS SELECT id FROM orders WHERE id = $1 AND state = 'a'",
}

func TestFreeLiteralsAreReadByNobody(t *testing.T) {
	cat, random := shop(), rand.New(rand.NewPCG(1, 2))
	for name, config := range map[string]Config{"rewrite": {Confine: true}, "rls": {}} {
		r, free := newRewriter(t, config), 0
		for i, sql := range append(goldenInputs(t), sharedTexts...) {
			free += requireNotRead(t, random, r, Request{SQL: sql, Extended: i%4 == 0}, cat, 1)
		}
		t.Logf("%s: %d literals are free", name, free)
		require.Greater(t, free, 450)
	}
}

// requireAsFresh holds what a rewriter makes of a text, with what it knows of
// others, against what it makes of it alone.
func requireAsFresh(t *testing.T, r *Rewriter, req Request, cat *catalog.Snapshot) {
	t.Helper()
	want, wantErr := r.read(req, cat, nil)
	got, err := r.Rewrite(req, cat)
	require.Equal(t, wantErr, err, "%s", req.SQL)
	if err == nil {
		requireSameText(t, want, got)
	}
}

// The same holds if not only free literals change: then it is another key.
func TestResultsOfTextsOfOneShapeAreThoseOfEachAlone(t *testing.T) {
	cat, random := shop(), rand.New(rand.NewPCG(3, 4))
	for _, config := range []Config{{Confine: true}, {}, {Confine: true, Observe: true}} {
		r := newRewriter(t, config)
		for _, sql := range sharedTexts {
			for n := range 6 {
				var s shaper
				req := Request{SQL: sql, Extended: n%2 == 1}
				require.True(t, s.shape(req, cat.Version), sql)
				req.SQL = replaced(random, sql, &s, nil)
				requireAsFresh(t, r, req, cat)
			}
		}
		shared := 0
		for i := range r.cache.shards {
			for _, e := range r.cache.shards[i].entries {
				if e.about == aboutAll {
					shared++
				}
			}
		}
		require.Greater(t, shared, 20)
	}
}

func FuzzResultsOfTextsOfOneShapeAreThoseOfEachAlone(f *testing.F) {
	for i, sql := range sharedTexts {
		f.Add(sql, uint64(i), i%2 == 0)
	}
	cat := shop()
	rewriters := []*Rewriter{newRewriter(f, Config{Confine: true}), newRewriter(f, Config{})}
	f.Fuzz(func(t *testing.T, sql string, seed uint64, extended bool) {
		random := rand.New(rand.NewPCG(seed, 0))
		req := Request{SQL: sql, Extended: extended}
		for _, r := range rewriters {
			requireNotRead(t, random, r, req, cat, 1)
			for range 3 {
				var s shaper
				varied := req
				if s.shape(req, cat.Version) {
					varied.SQL = replaced(random, sql, &s, nil)
				}
				requireAsFresh(t, r, varied, cat)
			}
		}
	})
}

package rewrite

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ordinary are statements of applications that must pass.
var ordinary = []string{
	"SELECT * FROM orders WHERE id = $1",
	"SELECT o.id, o.note, c.name FROM orders o JOIN customers c ON c.id = o.id LEFT JOIN countries n ON n.code = o.state WHERE o.total > 5.5 ORDER BY o.id DESC NULLS LAST LIMIT 10 OFFSET 20",
	"SELECT count(*), sum(total), avg(total)::numeric(10,2), max(id) FILTER (WHERE total > 1), string_agg(note, ', ' ORDER BY id) FROM orders GROUP BY state HAVING count(*) > 1",
	"SELECT row_number() OVER (PARTITION BY state ORDER BY total DESC), lag(total, 1) OVER w FROM orders WINDOW w AS (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
	"WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n) FROM t",
	"WITH x AS (SELECT id FROM orders FOR UPDATE SKIP LOCKED LIMIT 5) UPDATE orders SET state = 'taken' FROM x WHERE orders.id = x.id RETURNING orders.*",
	"SELECT * FROM orders WHERE state IN ('a', 'b') AND note ILIKE '%x%' AND total BETWEEN 1 AND 2 AND NOT (id IS NULL OR id <> ALL ($1))",
	"SELECT * FROM orders WHERE (id, state) > ($1, $2) ORDER BY id, state LIMIT 50",
	"SELECT coalesce(note, 'x') || '!' || upper(trim(both ' ' from note)), greatest(1, 2), nullif(note, ''), CASE WHEN total > 1 THEN 'a' ELSE 'b' END FROM orders",
	"SELECT date_trunc('month', now()), extract(epoch FROM now()), now() - interval '1 day', current_date, localtimestamp, to_char(now(), 'YYYY-MM-DD'), now() AT TIME ZONE 'UTC'",
	"SELECT note::jsonb -> 'a' ->> 'b', note::jsonb #>> '{a,b}', jsonb_build_object('a', id), to_jsonb(o), note::jsonb @> '{}', note::jsonb ? 'a' FROM orders o",
	"SELECT * FROM jsonb_to_recordset($1) AS x(a int, b text), jsonb_array_elements('[]') WITH ORDINALITY AS e(v, n), unnest($2::int[], $3::text[]) AS u(a, b)",
	"SELECT json_agg(t) FROM (SELECT id, note FROM orders) t",
	"SELECT array_agg(id), array_length(ARRAY[1,2], 1), (ARRAY[1,2])[1], '{1,2}'::int[] && ARRAY[1], id = ANY ('{1,2}') FROM orders GROUP BY id",
	"SELECT to_tsvector('english', note) @@ websearch_to_tsquery('a b'), ts_rank(to_tsvector(note), 'a'::tsquery) FROM orders",
	"SELECT generate_series('2024-01-01'::date, '2024-12-31', '1 month'), * FROM generate_series(1, 10) g",
	"SELECT EXISTS (SELECT 1 FROM orders), (SELECT max(id) FROM orders), ARRAY(SELECT id FROM orders), id IN (SELECT id FROM customers) FROM orders",
	"SELECT DISTINCT ON (state) * FROM orders ORDER BY state, id",
	"SELECT state, count(*) FROM orders GROUP BY GROUPING SETS ((state), ()), ROLLUP (id), CUBE (total)",
	"SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 2 EXCEPT SELECT 3 ORDER BY 1",
	"TABLE orders", "VALUES (1, 'a'), (2, 'b')",
	"SELECT o FROM orders o", "SELECT (o).id, o.* FROM orders o", "SELECT orders FROM orders",
	"SELECT substring(note FROM 1 FOR 2), substring(note FROM '[a-z]+'), position('a' IN note), overlay(note PLACING 'x' FROM 1), note SIMILAR TO 'a%' FROM orders",
	"SELECT gen_random_uuid(), random(), sha256('x'), encode('x', 'base64'), regexp_replace('a', 'b', 'c', 'g'), split_part('a,b', ',', 1), format('%s', 1)",
	"SELECT current_user, session_user, current_database(), current_schema, version(), pg_backend_pid(), txid FROM (SELECT 1 AS txid) x",
	"INSERT INTO orders (id, note) VALUES ($1, $2), (DEFAULT, NULL) RETURNING id",
	"INSERT INTO orders (id, note) SELECT id, name FROM customers ON CONFLICT (tenant_id, id) DO UPDATE SET note = excluded.note, total = orders.total + 1 WHERE orders.note <> excluded.note RETURNING *",
	"INSERT INTO orders (id) VALUES (1) ON CONFLICT DO NOTHING",
	"INSERT INTO orders DEFAULT VALUES",
	"UPDATE orders SET note = 'x', (total, state) = (SELECT 1, 'y'), id = DEFAULT WHERE id = 5 RETURNING id, note",
	"UPDATE orders o SET note = c.name FROM customers c WHERE c.id = o.id",
	"DELETE FROM orders WHERE id = 1 RETURNING *", "DELETE FROM orders o USING customers c WHERE c.id = o.id",
	"COPY orders TO STDOUT (FORMAT csv, HEADER)", "COPY (SELECT * FROM orders) TO STDOUT WITH (FORMAT binary)", "COPY orders (id, note) TO STDOUT",
	"DECLARE c NO SCROLL CURSOR FOR SELECT * FROM orders",
	"SELECT * FROM orders FOR UPDATE OF orders NOWAIT", "SELECT * FROM orders o JOIN countries c ON true FOR SHARE OF o",
	"SELECT xmlelement(name a, xmlattributes(1 AS b), note), xmlforest(id), xpath('/a', '<a/>') FROM orders",
	"SELECT '2024-01-01'::date + 1, B'101' | B'1', 5 % 2, 2 ^ 3, |/ 4, @ -5, 1 <=> 2 FROM (SELECT 1) x WHERE false",
	"SELECT 'a' COLLATE \"C\" < 'b', 'x' IS NORMALIZED, 1 IS DISTINCT FROM 2, true IS NOT UNKNOWN, ROW(1, 2) = ROW(1, 2), (1, 2) OVERLAPS (3, 4) FROM orders WHERE false",
	"select $1::text, $2::uuid, $3::timestamptz; select 1;;",
	"/* app:web */ SELECT 1 -- trailing",
	"",
	"SELECT U&'d\\0061t', E'a\\nb', $$x$$, $a$y$a$, 'x' 'y' FROM orders WHERE false",
}

func TestOrdinaryStatementsPass(t *testing.T) {
	cat := guardCatalog()
	r := newRewriter(t, Config{})
	for _, sql := range ordinary {
		sql = strings.Replace(sql, "'x' 'y'", "'x'\n'y'", 1)
		_, err := r.Rewrite(Request{SQL: sql}, cat)
		require.NoError(t, err, sql)
	}
}

func TestGuardNeedsTheNameOfTheTenantSetting(t *testing.T) {
	_, err := New(Config{})
	require.ErrorContains(t, err, "no name of the tenant setting")
}

// FuzzGuardAnswersEveryText feeds any text to lexer, bounds, parser and guard.
// A text that passes must not name what is dangerous outside of strings,
// names in quotes and comments.
func FuzzGuardAnswersEveryText(f *testing.F) {
	for _, list := range [][]string{ordinary, lexSeeds, everywhere} {
		for _, sql := range list {
			f.Add(strings.ReplaceAll(sql, "%s", "set_config('app.tenant_id', '2', false)"))
		}
	}
	for _, s := range deepShapes {
		f.Add(s(3))
	}
	f.Add("COPY orders(nosuch) TO STDOUT")
	cat := guardCatalog()
	rewriters := []*Rewriter{newRewriter(f, Config{}), newRewriter(f, Config{Confine: true})}
	f.Fuzz(func(t *testing.T, sql string) {
		for _, r := range rewriters {
			_, err := r.Rewrite(Request{SQL: sql}, cat)
			if err != nil {
				requireKnownError(t, err, sql)
				continue
			}
			tokens, err := lex(sql)
			require.NoError(t, err)
			for i, tok := range tokens {
				for _, word := range []string{"pg_sleep", "query_to_xml", "pg_terminate_backend", "dblink", "truncate", "ts_stat"} {
					call := i+1 < len(tokens) && tokens[i+1].punct(sql, "(")
					name := i > 0 && (tokens[i-1].is(sql, "as") || tokens[i-1].kind == tokenWord || tokens[i-1].kind == tokenQuoted)
					require.False(t, tok.is(sql, word) && call && !name, "%q", sql)
				}
			}
		}
	})
}

// requireKnownError holds an error to the types of this package.
func requireKnownError(t *testing.T, err error, sql string) {
	t.Helper()
	known := errors.As(err, new(*SyntaxError)) || errors.As(err, new(*TooComplexError)) || errors.As(err, new(*EncodingError)) ||
		errors.As(err, new(*UnsupportedError)) || errors.As(err, new(*ForbiddenError)) || errors.As(err, new(*UndefinedTableError)) ||
		errors.As(err, new(*WrongTenantError)) || errors.As(err, new(*DefinitionError))
	require.True(t, known, "%q: %v", sql, err)
}

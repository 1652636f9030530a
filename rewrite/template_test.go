package rewrite

import (
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"github.com/stretchr/testify/require"
)

// nastyKeys are keys that could break out of a literal.
var nastyKeys = []string{
	"", "1", "it's", "''", `\`, `\'`, `'\''`, "a\nb", "$1", "$$", "-- ", "/*", "*/", `"`, "é", "\u2028", ";", "\x01",
	"1' OR '1'='1", `E'\'`, strings.Repeat("x", 1000),
}

// The proof is made with one key. It holds for the others if nothing but the
// value of the literals changes with the key.
func TestTextOfAnyKeyHasTheTreeOfTheSample(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	texts := []string{
		"SELECT * FROM orders o LEFT JOIN notes n ON n.id = o.id WHERE o.id = 1 OR n.id = 2",
		"INSERT INTO notes VALUES (1, 'it''s'), (2, $$x$$)",
		"COPY BINARY notes TO STDOUT",
		"UPDATE visits SET page = (SELECT max(body) FROM notes), tenant_id = DEFAULT",
	}
	for _, sql := range texts {
		result, err := r.Rewrite(Request{SQL: sql}, cat)
		require.NoError(t, err)
		text := &result.Statements[0].Text
		require.NotZero(t, text.holes())
		want, err := parse(text.SQLFor(r.samples))
		require.NoError(t, err)
		for _, key := range nastyKeys {
			got, err := parse(text.SQL(key))
			require.NoError(t, err, key)
			require.Len(t, got, 1)
			n := replaceConstants(got[0].Stmt, key, r.samples[ValueKey])
			require.GreaterOrEqual(t, n, text.holes(), key)
			require.True(t, equalTrees(want[0].Stmt, got[0].Stmt), "%q: %s", key, text.SQL(key))
			require.NoError(t, r.Audit(text.SQL(key), key, false, cat), key)
		}
	}
}

// replaceConstants puts one string for another in casts, and counts them.
func replaceConstants(n *pg_query.Node, from, to string) (count int) {
	visitAll(n, func(n *pg_query.Node) {
		if s := n.GetTypeCast().GetArg().GetAConst().GetSval(); s != nil && s.Sval == from {
			s.Sval = to
			count++
		}
	})
	return count
}

func TestKeyThatIsNoTextSeesNothing(t *testing.T) {
	s := rewriteOne(t, Request{SQL: "SELECT id FROM orders"})
	for _, key := range []string{"a\x00b", "\xff"} {
		require.Equal(t, "SELECT id FROM public.orders WHERE orders.tenant_id = NULL::pg_catalog.int4", s.Text.SQL(key))
	}
}

func TestPositionsAreThoseOfTheClientsText(t *testing.T) {
	for _, sql := range []string{
		"SELECT o.id, nothing FROM orders o, notes WHERE o.id = missing OR o.id = 2 ORDER BY other",
		"SELECT 'é', nothing FROM orders o LEFT JOIN customers c ON c.missing = o.id WHERE other = 'ü'",
		"INSERT INTO orders (id, state) VALUES (nothing, 'é'), (2, missing) RETURNING other",
		"TABLE orders ORDER BY nothing",
		"SELECT 1; UPDATE orders SET state = nothing WHERE missing = 1 RETURNING other; SELECT 2",
		"COPY (SELECT nothing FROM orders WHERE missing) TO STDOUT",
	} {
		result, err := newRewriter(t, Config{Confine: true}).Rewrite(Request{SQL: sql}, shop())
		require.NoError(t, err)
		for _, key := range []string{"1", "a longer key's"} {
			for i := range result.Statements {
				text := result.Statements[i].Text.SQL(key)
				for _, word := range []string{"nothing", "missing", "other", "SELECT 2"} {
					in := runeIndex(text, word)
					if in < 0 {
						continue
					}
					require.Equal(t, runeIndex(sql, word)+1, result.Statements[i].Text.Original(in+1, key), "%s in %s", word, text)
				}
			}
		}
	}
}

func runeIndex(s, word string) int {
	i := strings.Index(s, word)
	if i < 0 {
		return -1
	}
	return len([]rune(s[:i]))
}

func TestPositionsInAddedTextAreWhereItWasAdded(t *testing.T) {
	const sql = "SELECT id FROM orders ORDER BY id"
	s := rewriteOne(t, Request{SQL: sql})
	text := s.Text.SQL("it's")
	require.Equal(t, "SELECT id FROM public.orders WHERE orders.tenant_id = 'it''s'::pg_catalog.int4 ORDER BY id", text)
	require.Equal(t, runeIndex(sql, "orders")+1, s.Text.Original(runeIndex(text, "public")+1, "it's"))
	for _, word := range []string{"WHERE", "'it''s'", "''s", "pg_catalog"} {
		require.Equal(t, runeIndex(sql, " ORDER")+1, s.Text.Original(runeIndex(text, word)+1, "it's"), word)
	}
	require.Zero(t, s.Text.Original(0, "1"))
	require.Zero(t, s.Text.Original(-5, "1"))
	deparsed := rewriteOne(t, Request{SQL: "COPY BINARY notes TO STDOUT"})
	require.Zero(t, deparsed.Text.Original(3, "1"))
}

package rewrite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

// goldenInputs are the statements of all golden cases.
func goldenInputs(t testing.TB) []string {
	t.Helper()
	var inputs []string
	files, err := filepath.Glob("testdata/re*/*.txt")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, block := range strings.Split(string(text), "\n\n") {
			before, _, found := strings.Cut(block, "\n----")
			if !found {
				continue
			}
			var lines []string
			for _, line := range strings.Split(before, "\n") {
				if !strings.HasPrefix(line, "#") {
					lines = append(lines, line)
				}
			}
			inputs = append(inputs, strings.Join(lines[1:], "\n"))
		}
	}
	require.Greater(t, len(inputs), 400)
	return inputs
}

// FuzzRewrite: whatever a client sends is refused with an error that has its
// place in the protocol, or becomes what the audit passes.
func FuzzRewrite(f *testing.F) {
	for _, sql := range goldenInputs(f) {
		f.Add(sql, false)
		f.Add(sql, true)
	}
	for _, place := range subSelectPlaces {
		f.Add(fmt.Sprintf(place, "(SELECT max(id) FROM orders)"), false)
	}
	cat, r := shop(), newRewriter(f, Config{Confine: true})
	f.Fuzz(func(t *testing.T, sql string, extended bool) {
		result, err := r.Rewrite(Request{SQL: sql, Extended: extended}, cat)
		if err != nil {
			require.NotContains(t, goldenError(err), "INTERNAL", sql)
			return // a refusal is safe
		}
		for i := range result.Statements {
			s := &result.Statements[i]
			if s.Copy != nil {
				continue
			}
			for _, key := range []string{"1", `it's\`} {
				text := s.Text.SQL(key)
				if s.CheckKey(key) == nil {
					require.NoError(t, r.Audit(text, key, extended, cat), "%s\n%s", sql, text)
				}
				for _, pos := range []int{0, 1, len(text) / 2, len(text), len(text) + 9} {
					require.LessOrEqual(t, s.Text.Original(pos, key), len(sql)+len(text)+10)
				}
			}
		}
	})
}

// The tree has the right side of SET (a, b) = (...) once for each column.
func TestTextWhoseTreeExplodesIsRefused(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	nested := "SELECT 1"
	for range 12 {
		nested = "WITH w AS (UPDATE orders SET (id, state, total, tags, placed, customer_id) = (" + nested + ")) SELECT 1"
	}
	columns := strings.TrimSuffix(strings.Repeat("id, ", 4000), ", ")
	values := strings.TrimSuffix(strings.Repeat("1, ", 4000), ", ")
	for _, sql := range []string{
		nested,
		"UPDATE orders SET (" + columns + ") = (" + values + ")",
		"UPDATE orders SET (" + columns + ") = ROW (" + values + ")",
		"UPDATE orders SET state = 'a', (" + columns + ") = (SELECT " + values + ")",
		"INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET (" + columns + ") = (SELECT " + values + ")",
		"UPDATE orders SET (" + columns + ") = a IS DISTINCT FROM (" + values + ")",
		"UPDATE orders SET (" + columns + ") = o.where + f(" + values + ")",
		`UPDATE orders SET ("x"[(1)], ` + columns + ") = (" + values + ")",
	} {
		start := time.Now()
		_, err := r.Rewrite(Request{SQL: sql}, cat)
		var complex *TooComplexError
		require.ErrorAs(t, err, &complex, "%.80s", sql)
		require.Less(t, time.Since(start), time.Second)
	}
	wide := strings.TrimSuffix(strings.Repeat("state, ", 150), ", ")
	_, err := r.Rewrite(Request{SQL: "UPDATE orders SET (" + wide + ") = (" + wide + ") WHERE id IN (" + values + ")"}, cat)
	require.NoError(t, err)
}

func TestTextThatTheServerCannotReadIsRefused(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	for sql, message := range map[string]string{
		"SELECT '\xff'":         `invalid byte sequence for encoding "UTF8": 0xff`,
		"SELECT 'a\x00b'":       `invalid byte sequence for encoding "UTF8": 0x00`,
		"SELECT '\xed\xa0\x80'": `invalid byte sequence for encoding "UTF8": 0xed`,
	} {
		_, err := r.Rewrite(Request{SQL: sql}, cat)
		var encoding *EncodingError
		require.ErrorAs(t, err, &encoding)
		require.Equal(t, message, encoding.Message)
	}
}

// Server and parser cut long names, but the server counts its own bytes.
func TestLongNamesAreRefusedWhereTheServerMayCutThemElsewhere(t *testing.T) {
	data := func(encoding string) *catalog.Snapshot {
		return catalog.New(catalog.Data{SearchPath: []string{"public"}, ServerEncoding: encoding, Relations: []catalog.Relation{{
			Schema: "public", Name: strings.Repeat("ä", 31), Kind: 'r', Class: catalog.Shared,
		}}})
	}
	r := newRewriter(t, Config{Confine: true})
	sql := "SELECT 1 FROM " + strings.Repeat("ä", 40)
	_, err := r.Rewrite(Request{SQL: sql}, data("UTF8"))
	require.NoError(t, err)
	_, err = r.Rewrite(Request{SQL: sql}, data("LATIN1"))
	var unsupported *UnsupportedError
	require.ErrorAs(t, err, &unsupported)
	require.Equal(t, ruleNameLength, unsupported.Rule)
	_, err = r.Rewrite(Request{SQL: "SELECT 1 AS " + strings.Repeat("a", 70)}, data("LATIN1"))
	require.NoError(t, err)
}

func TestTablesWithoutRowSecurityAreRefusedWhereItIsRequired(t *testing.T) {
	relation := func(secured bool) *catalog.Snapshot {
		return catalog.New(catalog.Data{SearchPath: []string{"public"}, Relations: []catalog.Relation{{
			Schema: "public", Name: "t", Kind: 'r', Class: catalog.Tenanted, TenantColumn: "k", RowSecurity: secured,
			Columns: []catalog.Column{{Name: "k", Type: catalog.Type{OID: oidInt4, Schema: "pg_catalog", Name: "int4"}}},
		}}})
	}
	for _, config := range []Config{{RequireRowSecurity: true}, {RequireRowSecurity: true, Confine: true}} {
		r := newRewriter(t, config)
		for _, sql := range []string{"SELECT 1 FROM t", "INSERT INTO t DEFAULT VALUES", "COPY t TO STDOUT", "COPY t FROM STDIN"} {
			_, err := r.Rewrite(Request{SQL: sql}, relation(true))
			require.NoError(t, err)
			_, err = r.Rewrite(Request{SQL: sql}, relation(false))
			var forbidden *ForbiddenError
			require.ErrorAs(t, err, &forbidden)
			require.Equal(t, ruleRelationNoRowSecurity, forbidden.Rule)
		}
	}
}

func TestNewWantsTheTenantSetting(t *testing.T) {
	_, err := New(Config{})
	require.Error(t, err)
}

func TestEqualTextsOfAStatementGetEqualAliases(t *testing.T) {
	long := strings.Repeat("a", 60)
	s := rewriteOne(t, Request{SQL: "SELECT 1 FROM orders " + long + " JOIN orders " + long + "b ON true JOIN (SELECT 1 FROM orders " + long + " JOIN archive ON true) x ON true"})
	text := s.Text.SQL("1")
	require.NotContains(t, text, "__tn_"+long, "the alias is hashed")
	var aliases []string
	for _, part := range strings.Split(text, `(SELECT) AS "`)[1:] {
		alias, _, _ := strings.Cut(part, `"`)
		require.LessOrEqual(t, len(alias), maxNameBytes)
		aliases = append(aliases, alias)
	}
	require.Len(t, aliases, 4)
	require.NotEqual(t, aliases[0], aliases[1])
	require.Equal(t, aliases[0], aliases[2])
}

func TestCacheIsKeyedByAllThatCounts(t *testing.T) {
	r := newRewriter(t, Config{Confine: true})
	cat := shop()
	first, err := r.Rewrite(Request{SQL: "SELECT id FROM orders"}, cat)
	require.NoError(t, err)
	again, err := r.Rewrite(Request{SQL: "SELECT id FROM orders"}, cat)
	require.NoError(t, err)
	require.Same(t, first, again)
	for _, other := range []Request{
		{SQL: "SELECT id FROM orders "},
		{SQL: "SELECT id FROM orders", Extended: true},
		{SQL: "SELECT id FROM orders", Extended: true, ParamOIDs: []uint32{0}},
		{SQL: "SELECT id FROM orders", Extended: true, ParamOIDs: []uint32{23}},
	} {
		result, err := r.Rewrite(other, cat)
		require.NoError(t, err)
		require.NotSame(t, first, result)
	}
	newer, err := r.Rewrite(Request{SQL: "SELECT id FROM orders"}, shop())
	require.NoError(t, err)
	require.NotSame(t, first, newer)
}

func TestRewriterIsUsedByManySessions(t *testing.T) {
	r := newRewriter(t, Config{Confine: true, CacheBytes: 32 << 10})
	cat, inputs := shop(), goldenInputs(t)
	var sessions sync.WaitGroup
	for n := range 4 {
		sessions.Go(func() {
			for i := range 200 {
				sql := inputs[(i*7+n*3)%len(inputs)]
				result, err := r.Rewrite(Request{SQL: sql}, cat)
				if err != nil {
					continue
				}
				for s := range result.Statements {
					_ = result.Statements[s].Text.SQL("1")
				}
			}
		})
	}
	sessions.Wait()
}

func TestTreesAreEqualOnlyIfTheyMeanTheSame(t *testing.T) {
	for _, pair := range [][2]string{
		{"SELECT 1", "SELECT  /* x */ 1"},
		{"TABLE orders", "SELECT * FROM orders"},
		{"SELECT 'a'", "SELECT E'\\x61'"},
		{"SELECT 1::int", "SELECT CAST(1 AS pg_catalog.int4)"},
	} {
		require.True(t, equalSQL(t, pair[0], pair[1]), pair[0])
	}
	for _, pair := range [][2]string{
		{"SELECT 1", "SELECT 2"},
		{"SELECT 1", "SELECT '1'"},
		{"SELECT 1", "SELECT 1.0"},
		{"SELECT NULL", "SELECT 0"},
		{"SELECT true", "SELECT false"},
		{"SELECT $1", "SELECT $2"},
		{"SELECT a", "SELECT b"},
		{"SELECT a.b", "SELECT b"},
		{"SELECT a OR b AND c", "SELECT (a OR b) AND c"},
		{"SELECT (a OR b) IS NOT NULL", "SELECT a OR b IS NOT NULL"},
		{"SELECT a AND b AND c", "SELECT a AND (b AND c)"},
		{"SELECT 1 FROM a", "SELECT 1 FROM ONLY a"},
		{"SELECT 1 FROM a", "SELECT 1 FROM a AS b"},
		{"SELECT 1 FROM a LEFT JOIN b ON c", "SELECT 1 FROM a RIGHT JOIN b ON c"},
		{"SELECT 1 FROM a FOR UPDATE", "SELECT 1 FROM a FOR SHARE"},
		{"SELECT 1 FROM a FOR UPDATE NOWAIT", "SELECT 1 FROM a FOR UPDATE"},
		{"SELECT 1 UNION SELECT 2", "SELECT 1 UNION ALL SELECT 2"},
		{"SELECT 1 LIMIT 1", "SELECT 1 OFFSET 1"},
		{"SELECT a FROM b ORDER BY c", "SELECT a FROM b ORDER BY c DESC"},
		{"SELECT count(*)", "SELECT count(DISTINCT a)"},
		{"SELECT a::numeric(10)", "SELECT a::numeric(11)"},
		{"INSERT INTO a VALUES (1)", "INSERT INTO a DEFAULT VALUES"},
		{"INSERT INTO a VALUES (1), (2)", "INSERT INTO a VALUES (1)"},
	} {
		require.False(t, equalSQL(t, pair[0], pair[1]), pair[0])
	}
}

func equalSQL(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := parse(a)
	require.NoError(t, err)
	y, err := parse(b)
	require.NoError(t, err)
	require.Equal(t, equalTrees(x[0].Stmt, y[0].Stmt), equalTrees(y[0].Stmt, x[0].Stmt))
	return equalTrees(x[0].Stmt, y[0].Stmt)
}

// The deparser crashes the process on deep trees; it is not given any.
func TestDeepTreesAreNotDeparsed(t *testing.T) {
	stmts, err := parse("SELECT 1" + strings.Repeat(" + 1", 900))
	require.NoError(t, err)
	_, err = deparse(stmts[0].Stmt)
	require.Error(t, err)
}

// Texts whose trees take much memory are read two at a time, and none is lost.
func TestLargeTextsWaitForEachOther(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	var wait sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wait.Go(func() {
			_, errs[i] = r.Rewrite(Request{SQL: "SELECT '" + strings.Repeat("x", largeText) + fmt.Sprint(i) + "' FROM orders"}, cat)
		})
	}
	wait.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Empty(t, r.large)
}

package rewrite

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	pg_query "github.com/pganalyze/pg_query_go/v5"
	"github.com/stretchr/testify/require"
)

// forGolden calls f for the golden cases of testdata/rewrite.
func forGolden(t *testing.T, f func(t *testing.T, d *datadriven.TestData)) {
	t.Helper()
	datadriven.Walk(t, "testdata/rewrite", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			f(t, d)
			return d.Expected
		})
	})
}

// No key of a rewritten text is there for nothing: with another tenant's in
// one place, the audit fails.
func TestAuditNoticesEachWrongKey(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	wrong := 0
	forGolden(t, func(t *testing.T, d *datadriven.TestData) {
		if d.Cmd != "simple" {
			return
		}
		result, err := r.Rewrite(Request{SQL: d.Input}, cat)
		require.NoError(t, err)
		for i := range result.Statements {
			text := &result.Statements[i].Text
			pieces := strings.Split(text.marked(), holeByte)
			for broken := range text.holes() {
				if !strings.HasPrefix(pieces[broken+1], ValueKey.mark()[1:]) {
					continue // what any other value is for is audited by its place
				}
				var sql strings.Builder
				for h, piece := range pieces {
					if h > 0 {
						piece = piece[holeBytes-1:]
					}
					sql.WriteString(piece)
					switch {
					case h == broken:
						sql.WriteString("'2'")
					case h < len(pieces)-1:
						sql.WriteString("'1'")
					}
				}
				require.Error(t, r.Audit(sql.String(), goldenKey, false, cat), "%s", sql.String())
				wrong++
			}
		}
	})
	require.Greater(t, wrong, 300)
}

// Without any one predicate the audit fails as well.
func TestAuditNoticesEachMissingPredicate(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	missing := 0
	forGolden(t, func(t *testing.T, d *datadriven.TestData) {
		if d.Cmd != "simple" {
			return
		}
		result, err := r.Rewrite(Request{SQL: d.Input}, cat)
		require.NoError(t, err)
		for i := range result.Statements {
			if result.Statements[i].Copy != nil {
				continue
			}
			text := result.Statements[i].Text.SQL(goldenKey)
			for n := range predicates(t, text) {
				stmts, err := parse(text)
				require.NoError(t, err)
				*predicatesOf(stmts[0].Stmt)[n] = pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
					Val: &pg_query.A_Const_Boolval{Boolval: &pg_query.Boolean{Boolval: true}},
				}}}
				a := &auditor{
					catalog:   cat,
					isKey:     literalKeys(goldenKey),
					isChecked: constantsOf(goldenKey),
				}
				err = a.audit(stmts[0].Stmt)
				if err == nil {
					err = a.apart(stmts[0].Stmt, nil)
				}
				require.Error(t, err, "without predicate %d: %s", n, text)
				missing++
			}
		}
	})
	require.Greater(t, missing, 300)
}

func predicates(t *testing.T, text string) []*pg_query.Node {
	t.Helper()
	stmts, err := parse(text)
	require.NoError(t, err)
	require.Len(t, stmts, 1)
	return predicatesOf(stmts[0].Stmt)
}

// predicatesOf finds the comparisons with a key in a tree.
func predicatesOf(n *pg_query.Node) (found []*pg_query.Node) {
	visitAll(n, func(n *pg_query.Node) {
		e := n.GetAExpr()
		if e == nil || len(e.Name) != 1 || e.Name[0].GetString_().GetSval() != "=" {
			return
		}
		if e.Rexpr.GetTypeCast().GetArg().GetAConst().GetSval().GetSval() == goldenKey && e.Lexpr.GetColumnRef() != nil {
			found = append(found, n)
		}
	})
	return found
}

func TestAuditRefusesWhatIsNotConfined(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	const key = "'1'::pg_catalog.int4"
	for _, sql := range []string{
		"SELECT * FROM public.orders",
		"SELECT * FROM orders WHERE orders.tenant_id = " + key, // without schema
		"SELECT * FROM public.orders WHERE tenant_id = " + key, // without qualifier
		"SELECT * FROM public.orders WHERE orders.tenant_id = " + key + " OR true",
		"SELECT * FROM public.orders WHERE NOT orders.tenant_id = " + key,
		"SELECT * FROM public.orders WHERE (orders.tenant_id = " + key + ") IS NOT NULL",
		"SELECT * FROM public.orders WHERE orders.tenant_id <> " + key,
		"SELECT * FROM public.orders WHERE orders.tenant_id OPERATOR(public.=) " + key,
		"SELECT * FROM public.orders WHERE orders.tenant_id = 1",
		"SELECT * FROM public.orders WHERE orders.tenant_id = '1'",
		"SELECT * FROM public.orders WHERE orders.tenant_id = '1'::text",
		"SELECT * FROM public.orders WHERE orders.tenant_id = '1'::public.int4",
		"SELECT * FROM public.orders WHERE orders.tenant_id = '1'::pg_catalog.int8",
		"SELECT * FROM public.orders WHERE orders.id = " + key,
		"SELECT * FROM public.orders o WHERE orders.tenant_id = " + key,
		"SELECT * FROM public.orders o, public.customers c WHERE o.tenant_id = " + key,
		"SELECT * FROM public.orders o, public.customers c WHERE o.tenant_id = " + key + " AND o.tenant_id = " + key,
		"SELECT * FROM public.orders HAVING orders.tenant_id = " + key,
		"SELECT * FROM public.order_lines AS l (a, b, c, tenant_id) WHERE l.tenant_id = " + key,
		"SELECT * FROM public.order_lines AS l (a, b, c, c) WHERE l.c = " + key,
		"SELECT * FROM public.orders o JOIN public.countries c ON o.tenant_id = " + key,
		"SELECT * FROM public.orders o LEFT JOIN (SELECT) AS x ON o.tenant_id = " + key,
		"SELECT * FROM (public.orders o JOIN (SELECT) AS x ON o.tenant_id = " + key + " OR true)",
		"SELECT * FROM (public.orders o JOIN (SELECT) AS x ON o.tenant_id = " + key + " AND (SELECT true FROM public.orders))",
		"SELECT * FROM (public.orders o JOIN (SELECT 1) AS x ON o.tenant_id = " + key + ")",
		"SELECT * FROM (public.orders o JOIN (SELECT FROM public.orders) AS x ON o.tenant_id = " + key + ")",
		"SELECT * FROM (public.orders o NATURAL JOIN (SELECT) AS x)",
		"SELECT * FROM (public.orders o JOIN public.orders p ON o.tenant_id = " + key + ")",
		"SELECT * FROM public.orders TABLESAMPLE system ((SELECT count(*) FROM public.orders)) WHERE orders.tenant_id = " + key,
		"SELECT (SELECT count(*) FROM public.orders) FROM public.orders WHERE orders.tenant_id = " + key,
		"SELECT * INTO x FROM public.orders WHERE orders.tenant_id = " + key,
		"SELECT * FROM public.secrets",
		"SELECT * FROM public.nothing",
		"SELECT * FROM nothing",
		"WITH orders AS (SELECT 1) SELECT * FROM public.orders",
		"WITH a AS (SELECT * FROM orders), orders AS (SELECT 1) SELECT 1",
		"WITH a AS (WITH orders AS (SELECT 1) SELECT 1) SELECT * FROM orders",
		"SELECT (WITH orders AS (SELECT 1) SELECT 1), (SELECT 1 FROM orders)",
		"UPDATE public.orders SET state = 'x'",
		"UPDATE public.orders SET state = 'x' FROM public.customers c WHERE orders.tenant_id = " + key,
		"UPDATE public.orders SET tenant_id = '2'::pg_catalog.int4 WHERE orders.tenant_id = " + key,
		"UPDATE public.orders SET tenant_id = 2 WHERE orders.tenant_id = " + key,
		"UPDATE public.orders SET tenant_id = id WHERE orders.tenant_id = " + key,
		"UPDATE public.orders SET tenant_id = DEFAULT WHERE orders.tenant_id = " + key,
		"UPDATE public.orders SET tenant_id[1] = 1 WHERE orders.tenant_id = " + key,
		"UPDATE public.orders SET (state, tenant_id) = ('x', 2) WHERE orders.tenant_id = " + key,
		"UPDATE public.orders SET (state, tenant_id) = (SELECT 'x', 1) WHERE orders.tenant_id = " + key,
		"UPDATE public.orders o SET tenant_id = c.tenant_id FROM public.customers c WHERE o.tenant_id = " + key + " AND c.tenant_id = " + key,
		"UPDATE public.orders SET state = 'x' WHERE CURRENT OF c",
		"UPDATE public.countries SET name = 'x'",
		"DELETE FROM public.orders",
		"DELETE FROM public.orders WHERE orders.tenant_id = " + key + " OR true",
		"DELETE FROM public.countries",
		"DELETE FROM pg_catalog.pg_class",
		"WITH orders AS (SELECT 1) DELETE FROM orders",
		"INSERT INTO public.orders (id) VALUES (1)",
		"INSERT INTO public.orders VALUES (1, " + key + ")",
		"INSERT INTO public.orders DEFAULT VALUES",
		"INSERT INTO public.orders (id, tenant_id) VALUES (1, " + key + "), (2, 2)",
		"INSERT INTO public.orders (id, tenant_id) VALUES (1, NULL)",
		"INSERT INTO public.orders (id, tenant_id) VALUES (1, id)",
		"INSERT INTO public.orders (id, tenant_id) VALUES (1, DEFAULT)",
		"INSERT INTO public.orders (tenant_id, id) SELECT *, " + key + " FROM public.countries",
		"INSERT INTO public.orders (id, tenant_id, tenant_id) VALUES (1, 2, " + key + ")",
		"INSERT INTO public.orders (id, tenant_id) SELECT 1, " + key + " UNION SELECT 2, 2",
		"INSERT INTO public.orders (id, tenant_id) SELECT 1, c.code FROM public.countries c",
		"INSERT INTO public.orders (id, tenant_id) SELECT 1, tenant_id FROM public.notes WHERE notes.tenant_id = '1'::pg_catalog.text",
		"INSERT INTO public.orders (id, tenant_id) VALUES (1, " + key + ") ON CONFLICT (id) DO UPDATE SET state = 'x'",
		"INSERT INTO public.orders (id, tenant_id) VALUES (1, " + key + ") ON CONFLICT (id) DO UPDATE SET state = 'x' WHERE excluded.tenant_id = " + key,
		"INSERT INTO public.orders AS excluded (id, tenant_id) VALUES (1, " + key + ") ON CONFLICT (id) DO UPDATE SET state = 'x' WHERE excluded.tenant_id = " + key,
		"INSERT INTO public.orders (id, tenant_id) VALUES (1, " + key + ") ON CONFLICT (id) DO UPDATE SET tenant_id = 2 WHERE orders.tenant_id = " + key,
		"INSERT INTO public.countries (code) VALUES ('x')",
		"MERGE INTO public.archive a USING public.countries c ON true WHEN MATCHED THEN DELETE",
		"COPY public.orders TO STDOUT",
		"COPY public.feature_flags FROM STDIN",
		"COPY public.countries TO '/tmp/x'",
		"TRUNCATE public.orders",
		"LOCK TABLE public.orders",
		"CREATE TABLE x AS SELECT 1",
		"EXPLAIN ANALYZE SELECT 1",
		"PREPARE x AS SELECT 1",
		"CALL f()",
		"DO $$ $$",
	} {
		require.Error(t, r.Audit(sql, goldenKey, false, cat), sql)
	}
	for _, sql := range []string{
		"SELECT * FROM public.orders WHERE orders.tenant_id = " + key,
		"SELECT * FROM public.orders o WHERE (o.id = 1 OR true) AND o.tenant_id = " + key,
		"SELECT * FROM public.orders AS o (a, b) WHERE o.b = " + key,
		"INSERT INTO public.orders (id, tenant_id) VALUES (1, 1)",
		"WITH orders AS (SELECT 1) SELECT * FROM orders",
		"WITH RECURSIVE a AS (SELECT * FROM orders), orders AS (SELECT 1) SELECT 1",
		"UPDATE public.feature_flags SET enabled = true",
	} {
		require.NoError(t, r.Audit(sql, goldenKey, false, cat), sql)
	}
}

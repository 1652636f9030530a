package rewrite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestServerWithoutMergeAnswersItsSyntaxError(t *testing.T) {
	old := *shop()
	old.ServerVersion = 140012
	for _, confine := range []bool{true, false} {
		r := newRewriter(t, Config{Confine: confine})
		_, err := r.Rewrite(Request{SQL: "/* é */ merge into labels l USING orders o ON true WHEN MATCHED THEN DELETE"}, &old)
		var syntax *SyntaxError
		require.ErrorAs(t, err, &syntax)
		require.Equal(t, SyntaxError{Message: `syntax error at or near "merge"`, Position: 9}, *syntax)
	}
}

// unconfinedMerges are results of MERGE that must not run: each lacks one of
// the places of the key.
var unconfinedMerges = []string{
	"MERGE INTO public.labels l USING (SELECT 1 AS id) s ON l.id = s.id WHEN MATCHED AND l.tenant_id = '1'::pg_catalog.int4 THEN DELETE",
	"MERGE INTO public.labels l USING (SELECT 1 AS id) s ON l.tenant_id = '1'::pg_catalog.int4 OR l.id = s.id WHEN NOT MATCHED THEN DO NOTHING",
	"MERGE INTO public.labels l USING (SELECT 1 AS id) s ON l.tenant_id = '1'::pg_catalog.int4 WHEN MATCHED THEN DELETE",
	"MERGE INTO public.labels l USING public.orders o ON l.tenant_id = '1'::pg_catalog.int4 AND o.tenant_id = '1'::pg_catalog.int4 WHEN NOT MATCHED THEN DO NOTHING",
	"MERGE INTO public.labels l USING (SELECT 1 AS id) s ON l.tenant_id = '1'::pg_catalog.int4 WHEN NOT MATCHED THEN INSERT (id) VALUES (1)",
	"MERGE INTO public.labels l USING (SELECT 1 AS id) s ON l.tenant_id = '1'::pg_catalog.int4 WHEN NOT MATCHED THEN INSERT VALUES (1, '1'::pg_catalog.int4)",
	"MERGE INTO public.labels l USING (SELECT 1 AS id) s ON l.tenant_id = '1'::pg_catalog.int4 WHEN NOT MATCHED THEN INSERT (id, tenant_id) VALUES (1, s.id)",
	"MERGE INTO public.labels l USING (SELECT 1 AS id) s ON l.tenant_id = '1'::pg_catalog.int4 WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
	"MERGE INTO public.labels l USING (SELECT 1 AS id) s ON l.tenant_id = '1'::pg_catalog.int4 WHEN MATCHED AND l.tenant_id = '1'::pg_catalog.int4 THEN UPDATE SET tenant_id = s.id",
	"MERGE INTO public.labels l USING (SELECT 2 AS tenant_id) s ON l.tenant_id = '1'::pg_catalog.int4 WHEN MATCHED AND l.tenant_id = '1'::pg_catalog.int4 THEN UPDATE SET tenant_id = s.tenant_id",
	"MERGE INTO public.countries c USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
	"EXPLAIN (ANALYZE) SELECT 1",
}

func TestAuditFailsOnUnconfinedMerge(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	for _, sql := range unconfinedMerges {
		require.Error(t, r.Audit(sql, "1", false, cat), sql)
	}
	require.NoError(t, r.Audit("MERGE INTO public.labels l USING (SELECT 1 AS id) s ON l.tenant_id = '1'::pg_catalog.int4 AND l.id = s.id "+
		"WHEN MATCHED AND l.tenant_id = '1'::pg_catalog.int4 THEN UPDATE SET name = 'x' "+
		"WHEN NOT MATCHED THEN INSERT (id, tenant_id) VALUES (s.id, '1'::pg_catalog.int4)", "1", false, cat))
}

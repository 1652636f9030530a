package rewrite

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

func TestObservingSendsWhatIsRefusedAsItCame(t *testing.T) {
	cat := catalog.New(catalog.Data{
		Relations:  []catalog.Relation{{Schema: "public", Name: "t", Kind: 'r', Class: catalog.Tenanted, TenantColumn: "tenant_id", Columns: []catalog.Column{{Name: "tenant_id", Type: catalog.Type{Schema: "pg_catalog", Name: "int4"}}}}},
		SearchPath: []string{"public"}, ServerVersion: 150000,
	})
	r, err := New(Config{Setting: "app.tenant_id", Confine: true, Observe: true})
	require.NoError(t, err)
	strict, err := New(Config{Setting: "app.tenant_id", Confine: true})
	require.NoError(t, err)
	for sql, kind := range map[string]Kind{
		"SELECT pg_sleep(1) -- why\n":             KindQuery,
		"COMMIT AND CHAIN":                        KindCommit,
		"ROLLBACK AND CHAIN":                      KindRollback,
		"PREPARE TRANSACTION 'x'":                 KindCommit,
		"ROLLBACK PREPARED 'x'":                   KindQuery,
		"SET TRANSACTION SNAPSHOT '1-1-1'":        KindSetTransaction,
		"SET app.tenant_id = '2'":                 KindQuery,
		"RESET ROLE":                              KindQuery,
		"TRUNCATE t":                              KindQuery,
		"TABLE nowhere":                           KindQuery,
		"SELEC 1":                                 KindQuery,
		"SELECT 'a' -- b\n 'c'":                   KindQuery,
		"COPY t FROM '/etc/passwd'":               KindQuery,
		"SELECT $1::int, pg_terminate_backend(1)": KindQuery,
	} {
		for _, extended := range []bool{false, true} {
			req := Request{SQL: sql, Extended: extended}
			_, refusal := strict.Rewrite(req, cat)
			require.Error(t, refusal, sql)
			for range 2 { // the second time from the cache
				result, err := r.Rewrite(req, cat)
				require.NoError(t, err, sql)
				require.Len(t, result.Statements, 1)
				st := result.Statements[0]
				require.Equal(t, refusal, st.Refusal, sql)
				require.Equal(t, kind, st.Kind, sql)
				require.Equal(t, sql, st.Text.SQL("1"))
				require.Equal(t, 3, st.Text.Original(3, "1"))
				require.Empty(t, st.Keys)
			}
		}
	}
	result, err := r.Rewrite(Request{SQL: "SELECT * FROM t; SELECT pg_sleep(1); SELECT * FROM t"}, cat)
	require.NoError(t, err)
	require.Len(t, result.Statements, 3)
	require.NoError(t, result.Statements[0].Refusal)
	require.Contains(t, result.Statements[2].Text.SQL("1"), "tenant_id = '1'", "what is not refused is confined")
	require.Equal(t, " SELECT pg_sleep(1)", result.Statements[1].Text.SQL("1"))

	for _, sql := range []string{
		"SET client_encoding = 'BIG5'", "COPY t FROM STDIN WHERE true", "COPY nowhere FROM STDIN", "EXECUTE p(now())", "PREPARE p (regclass) AS SELECT 1",
		"SELECT '\xff'",
	} {
		_, refusal := strict.Rewrite(Request{SQL: sql}, cat)
		require.Error(t, refusal, sql)
		_, err := r.Rewrite(Request{SQL: sql}, cat)
		require.Error(t, err, sql)
		require.EqualError(t, err, refusal.Error(), sql)
	}
}

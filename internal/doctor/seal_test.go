package doctor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/rewrite/catalog"
)

func TestSealedDatabaseHasNoFindings(t *testing.T) {
	database, cfg := healthyWith(t, "sealed_healthy", true, &catalog.SealKey{1})
	url := pgtest.Server(t).URL("sealed_healthy", "secret", database)
	require.Empty(t, examine(t, url, cfg))

	cfg.Seal = nil
	findings := examine(t, url, cfg)
	require.ElementsMatch(t, []string{
		"policy-sealed:public.orders.tenantgate", "policy-sealed:public.lines.tenantgate", "policy-sealed:public.events.tenantgate",
		"policy-sealed:public.events_new.tenantgate", `policy-sealed:public."Order".tenantgate`,
	}, named(findings, Error))
	cfg.Seal = &catalog.SealKey{2}
	require.Equal(t, []string{"seal-key:tenantgate.tenant()"}, named(examine(t, url, cfg), Error))
}

func TestDatabaseWithoutTheSealIsFound(t *testing.T) {
	database, cfg := healthy(t, "unsealed", true)
	url := pgtest.Server(t).URL("unsealed", "secret", database)
	key := catalog.SealKey{1}
	cfg.Seal = &key
	require.ElementsMatch(t, []string{
		"seal-missing:tenantgate.tenant()",
		"policy-unsealed:public.orders.tenantgate", "policy-unsealed:public.lines.tenantgate", "policy-unsealed:public.events.tenantgate",
		"policy-unsealed:public.events_new.tenantgate", `policy-unsealed:public."Order".tenantgate`,
	}, named(examine(t, url, cfg), Error))
}

func TestWhatIsWrongWithASealIsFoundAndMended(t *testing.T) {
	key := catalog.SealKey{1}
	database, cfg := healthyWith(t, "sealed_sick", true, &key)
	url := pgtest.Server(t).URL("sealed_sick", "secret", database)
	owner := pgtest.Connect(t, pgtest.Server(t).SuperuserURL(database))
	for _, fault := range []struct {
		sql  string
		want []string
	}{
		{
			"CREATE OR REPLACE FUNCTION tenantgate.tenant() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT split_part(current_setting('app.tenant_id'), ':', 4) $$",
			[]string{"seal-changed:tenantgate.tenant()", "seal-key:tenantgate.tenant()"},
		},
		{"GRANT SELECT ON tenantgate.seal TO PUBLIC", []string{"denied-accessible:tenantgate.seal", "seal-changed:tenantgate.tenant()"}},
		{
			"ALTER POLICY tenantgate ON orders USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::int))",
			[]string{"policy-unsealed:public.orders.tenantgate"},
		},
		{
			"CREATE FUNCTION public.tenant() RETURNS text LANGUAGE sql STABLE AS $$ SELECT '2' $$; ALTER POLICY tenantgate ON orders USING (tenant_id = (SELECT public.tenant()::int) OR tenant_id = (SELECT tenantgate.tenant()::int))",
			[]string{"policy-too-wide:public.orders.tenantgate"},
		},
	} {
		pgtest.Simple(t, owner, fault.sql)
		findings := examine(t, url, cfg)
		if fault.want[0] != "policy-too-wide:public.orders.tenantgate" {
			require.ElementsMatch(t, fault.want, named(findings, Error), fault.sql)
		} else {
			require.Contains(t, named(findings, Error), fault.want[0])
		}
		for _, f := range findings {
			for _, sql := range f.SQL {
				pgtest.Must(t, owner, sql)
			}
		}
		require.Empty(t, named(examine(t, url, cfg), Error), fault.sql)
	}
}

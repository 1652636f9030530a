package doctor

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest/clinic"
	"tenantgate/pool"
	"tenantgate/rewrite/catalog"
)

// A proxy that adds a plain predicate, or leaves all to policies, would be
// found out. Here there is none: the session sees all rows.
func TestConditionsThatTellAreFound(t *testing.T) {
	c := clinic.New(t, 2)
	server, err := pgconn.ParseConfig(c.URL(c.Plain()))
	require.NoError(t, err)
	session := pool.NewQuerier(server)
	t.Cleanup(func() { session.Close(context.Background()) })
	cfg := Config{Catalog: clinic.Config(), Rewriting: true, Sessions: []Session{{Tenant: "tenant1", Key: "1", Query: session}}}
	var told []string
	for _, f := range examine(t, c.URL(c.Plain()), cfg) {
		if f.Check == "conditions-tell" {
			require.Equal(t, Error, f.Severity)
			told = append(told, f.Object)
		}
	}
	require.Subset(t, told, []string{
		"public.patients", "public.appointments", "public.invoices", "public.legacy_codes", "public.tenants", "billing.payments", `public."Order"`,
	})
}

func TestErrorsOfProbesThroughTheProxyAreTold(t *testing.T) {
	table := catalog.Relation{Schema: "public", Name: "t", TenantColumn: "c", Columns: []catalog.Column{{Name: "c", Type: catalog.Type{Schema: "pg_catalog", Name: "int4"}}}}
	for code, want := range map[string][]string{
		"42501": {}, "0A000": {}, "22P02": {}, "22012": {"conditions-tell:public.t"}, "57014": {"probe-too-slow:public.t"},
	} {
		p := &patient{cfg: Config{Rewriting: true}}
		require.NoError(t, p.ask(t.Context(), Session{Key: "1", Query: failing{&pgconn.PgError{Code: code}}}, &table), code)
		require.ElementsMatch(t, want, append(named(p.findings, Error), named(p.findings, Warning)...), code)
	}
	for _, code := range []string{"53300", "57P03", "XX000", ""} {
		p := &patient{}
		require.Error(t, p.ask(t.Context(), Session{Key: "it's", Query: failing{&pgconn.PgError{Code: code}}}, &table), code)
	}
}

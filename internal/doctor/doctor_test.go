package doctor

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest/clinic"
)

// examine is Examine of a database that a URL leads to.
func examine(t testing.TB, url string, cfg Config) []Finding {
	t.Helper()
	server, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	findings, err := Examine(context.Background(), server, cfg)
	require.NoError(t, err)
	return findings
}

// named are the names of the findings of a severity.
func named(findings []Finding, severity Severity) []string {
	all := []string{}
	for _, f := range findings {
		if f.Severity == severity {
			all = append(all, f.Name)
		}
	}
	return all
}

func TestWhatBootstrapPreparesHasNoErrorsButThoseOfItsSchema(t *testing.T) {
	c := clinic.New(t, 2)
	for database, cfg := range map[string]Config{
		c.Policies: {Catalog: clinic.Config(), RowSecurity: true},
		c.Plain:    {Catalog: clinic.Config(), Rewriting: true},
	} {
		findings := examine(t, c.URL(database), cfg)
		require.Equal(t, []string{"fk-cascade-without-tenant:public.invoice_lines"}, named(findings, Error))
	}
}

package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/rewrite/catalog"
)

func TestTenantsTakeNumbersOfASequence(t *testing.T) {
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			c := clinic.New(t, 2)
			for _, database := range []string{c.Policies, c.Plain} {
				require.NoError(t, c.Server.Exec(t.Context(), database, `CREATE SEQUENCE document_seq START 1000 INCREMENT 50;
					CREATE SEQUENCE other_seq; GRANT USAGE ON SEQUENCE document_seq, other_seq TO `+clinic.Role))
			}
			g := open(t, c, enforce, func(cfg *Config) {
				poolOf(1)(cfg)
				cfg.Catalog.Tables = append(cfg.Catalog.Tables, catalog.TableRule{Name: catalog.Name{Name: "document_seq"}, Class: catalog.SharedReadWrite})
			})
			one, two := g.tenant("1"), g.tenant("2")
			require.Equal(t, [][]string{{"1000"}}, pgtest.Must(t, one, "select nextval ('document_seq')")) // as Hibernate writes it
			require.Equal(t, [][]string{{"1050"}}, pgtest.Must(t, two, "SELECT nextval('public.document_seq'::regclass)"))
			outcome := pgtest.Extended(t, one, "INSERT INTO documents (id, title) VALUES (nextval('document_seq'), $1) RETURNING id", []byte("x"))
			require.Equal(t, [][]string{{"1100"}}, outcome.Rows)
			pgtest.Must(t, two, "UPDATE documents SET id = nextval('document_seq') WHERE id IN (SELECT id FROM documents ORDER BY id LIMIT 1)")
			require.Equal(t, [][]string{{"1150"}}, pgtest.Must(t, two, "SELECT max(id) FROM documents"))
			for _, sql := range []string{
				"SELECT nextval('other_seq')", "SELECT currval('document_seq')", "SELECT lastval()", "SELECT setval('document_seq', 1)",
				"SELECT id FROM documents WHERE nextval('document_seq') > 0",
			} {
				_, err := one.Exec(t.Context(), sql).ReadAll()
				require.Equal(t, "42501", sqlState(t, err), sql)
			}
		})
	}
}

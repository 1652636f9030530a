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
			for _, database := range []string{c.Policies(), c.Plain()} {
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
				"SELECT nextval('other_seq')", "SELECT currval('document_seq')", "SELECT lastval()", "BEGIN; SELECT lastval()", "ROLLBACK; SELECT lastval()", "SELECT setval('document_seq', 1)",
				"SELECT id FROM documents WHERE nextval('document_seq') > 0",
			} {
				_, err := one.Exec(t.Context(), sql).ReadAll()
				require.Equal(t, "42501", sqlState(t, err), sql)
			}
		})
	}
}

func TestCurrvalAndLastvalAnswerWhatTheTransactionHasTaken(t *testing.T) {
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			c := clinic.New(t, 2)
			for _, database := range []string{c.Policies(), c.Plain()} {
				require.NoError(t, c.Server.Exec(t.Context(), database, "CREATE SEQUENCE document_seq START 1000; GRANT USAGE ON SEQUENCE document_seq TO "+clinic.Role))
			}
			g := open(t, c, enforce, func(cfg *Config) {
				poolOf(1)(cfg)
				cfg.Catalog.Tables = append(cfg.Catalog.Tables, catalog.TableRule{Name: catalog.Name{Name: "document_seq"}, Class: catalog.SharedReadWrite})
			})
			one, two := g.tenant("1"), g.tenant("2")
			code := func(sql string) string {
				_, err := one.Exec(t.Context(), sql).ReadAll()
				return sqlState(t, err)
			}
			pgtest.Must(t, two, "SELECT nextval('document_seq')") // on the server connection that the other session gets
			pgtest.Must(t, one, "BEGIN")
			require.Equal(t, "42501", code("SELECT lastval()"))
			pgtest.Must(t, one, "ROLLBACK")

			pgtest.Must(t, one, "BEGIN")
			pgtest.Must(t, one, "INSERT INTO log_lines (level, line) VALUES ('info', 'draws nothing')")
			require.Equal(t, "55000", code("SELECT lastval()"), "what another session has taken is forgotten")
			pgtest.Must(t, one, "ROLLBACK")

			pgtest.Must(t, one, "BEGIN")
			row := pgtest.Must(t, one, "INSERT INTO practitioners (name) VALUES ('x') RETURNING id")
			require.Equal(t, row, pgtest.Must(t, one, "SELECT LASTVAL()"))
			number := pgtest.Must(t, one, "SELECT nextval('document_seq')")
			require.Equal(t, number, pgtest.Must(t, one, "SELECT currval('document_seq')"))
			require.Equal(t, number, pgtest.Extended(t, one, "SELECT currval('document_seq'::regclass)").Rows)
			pgtest.Must(t, one, "INSERT INTO documents (id, title) VALUES (currval('document_seq'), 'x')")
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, one, "SELECT count(*) FROM documents WHERE title = 'x'"))
			pgtest.Must(t, one, "COMMIT")
			require.Equal(t, "42501", code("SELECT currval('document_seq')"), "the server connection has gone back")

			outcome := pgtest.Extended(t, one, "BEGIN")
			require.Empty(t, outcome.Code)
			row = pgtest.Extended(t, one, "INSERT INTO practitioners (name) VALUES ($1) RETURNING id", []byte("y")).Rows
			require.Equal(t, row, pgtest.Extended(t, one, "SELECT lastval()").Rows)
			pgtest.Must(t, one, "ROLLBACK")

			pgtest.Must(t, two, "SELECT nextval('document_seq')")
			pgtest.Must(t, one, "BEGIN")
			pgtest.Must(t, one, "SAVEPOINT a")
			require.Equal(t, "42601", code("INSERT INTO"))
			pgtest.Must(t, one, "ROLLBACK TO a")
			require.Equal(t, "42501", code("SELECT lastval()"), "nothing has been forgotten")
			pgtest.Must(t, one, "ROLLBACK")
		})
	}
}

package proxy

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// size is a column of psql's lists.
var size = regexp.MustCompile(`\|\d+ (bytes|kB|MB)`)

func TestPsqlListsRelationsAndDatabasesWithoutTheirSizes(t *testing.T) {
	c := clinic.New(t, 2)
	bin := c.Server.BinDir()
	const script = `\pset format unaligned
\d+
\dt+
\dt+ billing.*
\di+
\dv+
\dm+
\ds+
\dP+
\d+ patients
\l+ template1
\db+ pg_default
SELECT pg_catalog.pg_relation_size('nosuch');
`
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			direct := psql(t, bin, pgtestOracle(t, c, enforce), script)
			require.Regexp(t, `\|patients\|.*kB`, direct)
			direct = size.ReplaceAllString(direct, "|")
			through := psql(t, bin, g.url("tenant1"), script)
			require.Contains(t, through, "|patients|")
			require.Equal(t, comparable(direct), comparable(through))
		})
	}
}

func TestSizesOfAllTenantsAreToldToNone(t *testing.T) {
	c := clinic.New(t, 2)
	calls := []string{
		"pg_relation_size('patients')", "pg_catalog.pg_relation_size('patients', 'main')", "pg_table_size('patients'::regclass)", "pg_indexes_size('patients')",
		"pg_total_relation_size(quote_ident('public') || '.' || quote_ident('patients'))", "pg_total_relation_size('patients'::regclass::oid)",
		"pg_database_size(current_database())", "pg_database_size('postgres')", "pg_tablespace_size('pg_default')", "pg_tablespace_size(1663)",
		"sum(pg_table_size('patients'))", "(SELECT max(pg_table_size(c.tableoid)) FROM countries c)", "(SELECT max(pg_total_relation_size(oid)) FROM pg_class)",
	}
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn, operator := g.tenant("1"), pgtest.Connect(t, g.url("ops"))
			for _, call := range calls {
				require.Equal(t, [][]string{{"t"}}, pgtest.Must(t, operator, "SELECT "+call+" >= 0"), call)
				require.Equal(t, [][]string{{"t"}}, pgtest.Must(t, conn, "SELECT "+call+" IS NULL"), call)
				require.Equal(t, [][]string{{"t"}}, pgtest.Extended(t, conn, "SELECT "+call+" IS NULL").Rows, call)
			}
			require.Equal(t, [][]string{{"0"}}, pgtest.Must(t, conn, "SELECT count(*) FROM patients WHERE pg_relation_size(tableoid) >= 0"))
			d, err := conn.Prepare(t.Context(), "", "SELECT pg_relation_size($1), pg_total_relation_size($2)", []uint32{0, 26})
			require.NoError(t, err)
			require.Equal(t, []uint32{2205, 26}, d.ParamOIDs)
			require.Equal(t, "pg_relation_size", d.Fields[0].Name)
			require.Equal(t, "42P01", pgtest.Simple(t, conn, "SELECT pg_relation_size('nosuch')")[0].Code)
			require.Equal(t, "42883", pgtest.Simple(t, conn, "SELECT pg_table_size(true)")[0].Code)
		})
	}
}

func TestTenantWithADatabaseOfItsOwnIsToldItsSizes(t *testing.T) {
	c := clinic.New(t, 2)
	own := c.Oracle(t, "2")
	g := open(t, c, Both, func(cfg *Config) {
		authenticator, err := auth.New(auth.Config{
			Tenants: []auth.Tenant{{ID: "alone", Backend: "main", Database: own}},
			Logins:  []auth.Login{{User: "alone", Password: password, Tenants: []string{"alone"}}},
		})
		require.NoError(t, err)
		cfg.Auth = authenticator
	})
	g.database = own
	conn := pgtest.Connect(t, g.url("alone"))
	require.Equal(t, [][]string{{"t", "t", "t"}},
		pgtest.Must(t, conn, "SELECT pg_table_size('patients') > 0, pg_database_size('postgres') IS NULL, pg_tablespace_size('pg_default') IS NULL"))
}

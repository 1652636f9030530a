package clinic

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/rewrite/catalog"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// tenanted lists the tables whose rows have a tenant, without partitions.
func tenanted(t *testing.T, c *Clinic) []catalog.Relation {
	t.Helper()
	var tables []catalog.Relation
	for _, r := range snapshot(t, pgtest.Connect(t, c.OwnerURL(c.Plain()))).Relations() {
		if r.Class == catalog.Tenanted && (r.Kind == 'r' || r.Kind == 'p') && !strings.HasPrefix(r.Name, "events_") {
			tables = append(tables, r)
		}
	}
	require.NotEmpty(t, tables)
	return tables
}

func rowsOf(r catalog.Relation) string {
	return "SELECT t::text FROM " + catalog.Name{Schema: r.Schema, Name: r.Name}.String() + " t ORDER BY t::text"
}

func TestPoliciesShowEachTenantWhatItsOracleHolds(t *testing.T) {
	pgtest.NoLeaks(t)
	c := New(t, 3)
	tables := tenanted(t, c)
	for _, key := range c.Keys {
		shared := pgtest.Connect(t, c.URL(c.Policies()))
		pgtest.Must(t, shared, "SET "+Setting+" = '"+key+"'")
		oracle := pgtest.Connect(t, c.URL(c.Oracle(t, key)))
		for _, table := range tables {
			rows := pgtest.Must(t, oracle, rowsOf(table))
			require.NotEmpty(t, rows, table.Name)
			require.Equal(t, rows, pgtest.Must(t, shared, rowsOf(table)), table.Name)
		}
	}
}

func TestSharedDatabasesHoldAllTenantsRows(t *testing.T) {
	c := New(t, 3)
	tables := tenanted(t, c)
	want := make(map[string]int)
	for _, key := range c.Keys {
		oracle := pgtest.Connect(t, c.URL(c.Oracle(t, key)))
		for _, table := range tables {
			want[table.Name] += len(pgtest.Must(t, oracle, rowsOf(table)))
		}
	}
	for _, database := range []string{c.Policies(), c.Plain()} {
		all := pgtest.Connect(t, c.Server.SuperuserURL(database))
		for _, table := range tables {
			require.Len(t, pgtest.Must(t, all, rowsOf(table)), want[table.Name], table.Name)
		}
	}
}

func TestWithoutATenantPoliciesShowNothing(t *testing.T) {
	c := New(t, 2)
	nobody := pgtest.Connect(t, c.URL(c.Policies()))
	for _, table := range tenanted(t, c) {
		require.Empty(t, pgtest.Must(t, nobody, rowsOf(table)), table.Name)
	}
}

func TestRoleHasTheSameRightsEverywhere(t *testing.T) {
	c := New(t, 2)
	for _, database := range []string{c.Policies(), c.Plain(), c.Oracle(t, "1")} {
		conn := pgtest.Connect(t, c.URL(database))
		for sql, code := range map[string]string{
			"TABLE countries":                            "",
			"UPDATE countries SET name = name":           "42501",
			"UPDATE feature_flags SET enabled = enabled": "",
			"TABLE audit_log":                            "42501",
			"TABLE jobs":                                 "42501",
			"TRUNCATE patients":                          "42501",
		} {
			outcomes := pgtest.Simple(t, conn, sql)
			require.Equal(t, code, outcomes[0].Code, "%s in %s: %s", sql, database, outcomes[0].Message)
		}
	}
}

func TestEveryTextOfATenantHoldsItsMark(t *testing.T) {
	c := New(t, 2)
	one := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	require.Equal(t, [][]string{{"0"}}, pgtest.Must(t, one,
		"SELECT count(*) FROM patients WHERE position('"+Mark("1")+"' IN name) = 0"))
	for _, table := range tenanted(t, c) {
		for _, row := range pgtest.Must(t, one, rowsOf(table)) {
			require.NotContains(t, row[0], Mark("2"))
		}
	}
}

package rewrite

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// What returns a set cannot stand in a CASE: the server would refuse the
// statement.
func TestFunctionsThatReturnSetsAreKnown(t *testing.T) {
	server := pgtest.Server(t)
	conn := pgtest.Connect(t, server.SuperuserURL("postgres"))
	for _, row := range pgtest.Must(t, conn, "SELECT DISTINCT proname FROM pg_catalog.pg_proc WHERE proretset AND pronamespace = 'pg_catalog'::regnamespace") {
		require.True(t, vetted.sets[row[0]], row[0])
	}
}

// The name that a value behind a guard gets is the one that PostgreSQL would
// have given it.
func TestColumnsHaveTheNamesThatPostgreSQLGives(t *testing.T) {
	server := pgtest.Server(t)
	conn := pgtest.Connect(t, server.SuperuserURL("postgres"))
	for _, value := range []string{
		"1", "'a'", "oid", "c.oid", "(c).oid", "c.relnatts + 1", "-relnatts", "oid::int", "oid::int::text", "(relnatts + 1)::int", "1::smallint",
		"cast(1 AS numeric(5,2))", "lower(relname)", "pg_catalog.lower(relname)", "coalesce(oid, 1)", "nullif(oid, 1)",
		"CASE WHEN true THEN 1 END", "CASE WHEN true THEN 1 ELSE oid END", "CASE WHEN true THEN 'a' ELSE lower(relname) END",
		"greatest(1, 2)", "least(oid, 2)", "ARRAY[1, 2]", "ARRAY(SELECT 1)", "ROW(1, 2)", "(1, 2)", "EXISTS (SELECT 1)",
		"(SELECT 1)", "(SELECT 1 AS x)", "(SELECT oid)", "1 IN (SELECT 2)", "oid IS NULL", "NOT true", "true AND false",
		"relname COLLATE \"C\"", "(relname || 'x') COLLATE \"C\"", "reloptions[1]", "(ARRAY[1])[1]", "oid BETWEEN 1 AND 2", "relname LIKE 'a'",
		"extract(year FROM now())", "substring(relname::text FROM 1)", "position('a' IN relname::text)", "oid IS DISTINCT FROM 1", "now() AT TIME ZONE 'UTC'",
		"true IS TRUE", "count(*) OVER ()", "1 = ANY (ARRAY[1])", "trim(relname::text)", "(c).relname::text",
	} {
		sql := "SELECT " + value + " FROM pg_class c LIMIT 0"
		want := pgtest.Simple(t, conn, sql)[0]
		require.Empty(t, want.Code, "%s: %s", sql, want.Message)
		stmts, err := parse(sql)
		require.NoError(t, err)
		got := columnName(stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().Val)
		require.Equal(t, strings.Join(want.Columns, ""), got, sql)
	}
}

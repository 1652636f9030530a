package proxy

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// value prepares a statement under a name and returns what it selects.
func value(t *testing.T, conn *pgconn.PgConn, name, sql string) string {
	t.Helper()
	if sql != "" {
		_, err := conn.Prepare(t.Context(), name, sql, nil)
		require.NoError(t, err)
	}
	result := conn.ExecPrepared(t.Context(), name, nil, nil, nil).Read()
	require.NoError(t, result.Err)
	return string(result.Rows[0][0])
}

// The server reads constants when it prepares a statement, and not again.
func TestTextsThatMeanSomethingElseAreNotShared(t *testing.T) {
	const sql = "SELECT date '01/02/2024' - date '2024-01-01' || ' ' || ('2024-01-01 12:00'::timestamptz AT TIME ZONE 'UTC')"
	settings := []string{"", "SET DateStyle = 'ISO, DMY'", "SET TimeZone = 'Asia/Tokyo'", "SET DateStyle = 'ISO, DMY'; SET TimeZone = 'Asia/Tokyo'"}
	c := clinic.New(t, 1)
	g := open(t, c, Both, poolOf(1))
	seen := make(map[string]bool)
	for _, setting := range settings {
		direct, conn := pgtest.Connect(t, c.URL(c.Policies())), g.tenant("1")
		for _, conn := range []*pgconn.PgConn{direct, conn} {
			pgtest.Simple(t, conn, setting)
		}
		want := value(t, direct, "s", sql)
		require.Equal(t, want, value(t, conn, "s", sql), setting)
		seen[want] = true
	}
	require.Len(t, seen, len(settings))
}

func TestTextPreparedUnderALocalSettingIsNotShared(t *testing.T) {
	const sql = "SELECT date '01/02/2024' - date '2024-01-01'"
	g := open(t, clinic.New(t, 1), RLS, poolOf(1))
	first, second := g.tenant("1"), g.tenant("1")
	pgtest.Must(t, first, "BEGIN")
	pgtest.Must(t, first, "SET LOCAL DateStyle = 'ISO, DMY'")
	require.Equal(t, "31", value(t, first, "s", sql))
	pgtest.Must(t, first, "COMMIT")
	require.Equal(t, "1", value(t, second, "s", sql))
	require.Equal(t, "31", value(t, first, "s", ""))
}

// One who prepares it again elsewhere shares it with those who mean the same.
func TestStatementIsPreparedAgainUnderTheSettingsOfTheMoment(t *testing.T) {
	const sql = "SELECT date '01/02/2024' - date '2024-01-01'"
	g := open(t, clinic.New(t, 2), RLS, poolOf(2))
	moves, holds, stays := g.tenant("1"), g.tenant("2"), g.tenant("1")
	pgtest.Must(t, moves, "SET DateStyle = 'ISO, DMY'")
	require.Equal(t, "31", value(t, moves, "s", sql))
	pgtest.Must(t, moves, "SET DateStyle = 'ISO, MDY'")
	pgtest.Must(t, holds, "BEGIN; SELECT 1") // what has it
	value(t, moves, "s", "")
	pgtest.Must(t, stays, "SET DateStyle = 'ISO, DMY'")
	require.Equal(t, "31", value(t, stays, "s", sql))
}

func TestNamesAreLookedForOnEachSessionsPath(t *testing.T) {
	g, direct := openOperators(t, 1)
	pgtest.Must(t, pgtest.Connect(t, direct), "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t AS SELECT 1 AS n; CREATE TABLE b.t AS SELECT 'text' AS n")
	for path, want := range map[string]string{"a": "1", "b": "text"} {
		conn := pgtest.Connect(t, g.url(owner))
		pgtest.Must(t, conn, "SET search_path = "+path)
		require.Equal(t, want, value(t, conn, "s", "SELECT n FROM t"))
	}
}

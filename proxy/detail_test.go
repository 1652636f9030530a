package proxy

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// TestDetailOfAViolationIsToldWhereTheKeyIsTheTenantsOwn: where policies hold,
// PostgreSQL tells none itself.
func TestDetailOfAViolationIsToldWhereTheKeyIsTheTenantsOwn(t *testing.T) {
	c := clinic.New(t, 2)
	for _, database := range []string{c.Policies(), c.Plain()} {
		require.NoError(t, c.Server.Exec(t.Context(), database, `
			CREATE TABLE seats ("tenant_id" int NOT NULL, seat text NOT NULL, UNIQUE (tenant_id, seat));
			CREATE TABLE names (tenant_id int NOT NULL, name text NOT NULL UNIQUE);
			CREATE TABLE shares (tenant_id int NOT NULL, name text NOT NULL, UNIQUE (name, tenant_id));
			INSERT INTO seats VALUES (1, 'a'), (2, 'b'); INSERT INTO names VALUES (1, 'a'), (2, 'b'); INSERT INTO shares VALUES (1, 'a'), (2, 'b');
			GRANT SELECT, INSERT, UPDATE, DELETE ON seats, names, shares TO `+clinic.Role))
	}
	require.NoError(t, c.Server.Exec(t.Context(), c.Policies(), `
		ALTER TABLE seats ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		CREATE POLICY tenant ON seats USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::int))`))
	own := map[string]string{"INSERT INTO seats (seat) VALUES ('a')": "Key (tenant_id, seat)=(1, a) already exists."}
	hidden := []string{
		"INSERT INTO names (name) VALUES ('b')", "INSERT INTO names (name) VALUES ('a')", // the key is not known to be one's own
		"INSERT INTO shares (name) VALUES ('a')",
		"INSERT INTO seats (seat) VALUES (NULL)",
	}
	rewriting := open(t, c, Rewrite, poolOf(1)).tenant("1")
	direct := pgtest.Connect(t, c.URL(c.Plain()))
	for sql, detail := range own {
		require.Equal(t, detail, detailOf(t, rewriting, sql))
		require.Equal(t, detail, detailOf(t, direct, "INSERT INTO seats (tenant_id, seat) VALUES (1, 'a')"))
	}
	for _, sql := range hidden {
		require.Empty(t, detailOf(t, rewriting, sql), sql)
	}
	for _, enforce := range []Enforcement{RLS, Both} {
		conn := open(t, c, enforce, poolOf(1)).tenant("1")
		for sql := range own {
			require.Empty(t, detailOf(t, conn, map[bool]string{false: sql, true: "INSERT INTO seats VALUES (1, 'a')"}[enforce == RLS]), enforce.String())
		}
	}
}

// detailOf is that of the error of a statement that violates a constraint.
func detailOf(t *testing.T, conn *pgconn.PgConn, sql string) string {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql).ReadAll()
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg, sql)
	require.Equal(t, "23", pg.Code[:2], "%s: %v", sql, err)
	return pg.Detail
}

func TestKeysInDetailsAreReadToTheirEnd(t *testing.T) {
	for list, want := range map[string]string{"1, 5": "1", "1": "1", "12, 5": "12", "1,5": "1,5", "": ""} {
		got, ok := cutFirst(list, "")
		require.True(t, ok)
		require.Equal(t, want, got)
	}
}

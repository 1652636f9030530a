package proxy

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

func TestSearchPathIsASessionsOwnAndFollowsItsTransactions(t *testing.T) {
	c := clinic.New(t, 2)
	alone := c.Oracle(t, "1")
	const unqualified, qualified = "SELECT count(*) FROM patients", "SELECT count(*) FROM public.patients"
	script := []string{
		unqualified, "SET search_path = ''", unqualified, qualified, "SELECT 'patients'::regclass", "SELECT 'public.patients'::regclass",
		"SELECT slugify('A b')", "SELECT public.slugify('A b')", "SELECT count(*) > 10 FROM pg_class", "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'patients_country_fkey'",
		"RESET search_path", unqualified, "SELECT 'public.patients'::regclass",
		"BEGIN", "SET LOCAL search_path TO pg_catalog", "SAVEPOINT a", unqualified, "ROLLBACK TO a", qualified, "ROLLBACK", unqualified,
		"BEGIN", "SET search_path TO ''", qualified, "ROLLBACK", unqualified, "SET search_path TO ''", unqualified,
		"BEGIN", "SET LOCAL search_path TO public", unqualified, "COMMIT", unqualified, qualified, "SET search_path TO \"$user\", public", unqualified,
		"SET SCHEMA 'public'", unqualified, "SET search_path TO ''", "DISCARD ALL", unqualified, "SET search_path TO ''", "RESET ALL", unqualified,
	}
	outcomes := func(conn, other *pgconn.PgConn) (all [][]pgtest.Outcome) {
		for _, sql := range script {
			list := pgtest.Simple(t, conn, sql)
			for i := range list {
				list[i].Message = ""
			}
			all = append(all, list)
			if other != nil && conn.TxStatus() == 'I' { // it gets the same server connection
				pgtest.Must(t, other, unqualified)
			}
		}
		return all
	}
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			for _, initial := range []string{"", "search_path=public", "options=-c%20search_path%3D", "search_path=pg_catalog"} {
				oracle := pgtest.Connect(t, c.URL(alone)+"&"+initial)
				got, want := outcomes(g.tenant("1", initial), g.tenant("2")), outcomes(oracle, nil)
				for i, sql := range script {
					require.Equal(t, want[i], got[i], "%s: %d: %s", initial, i, sql)
				}
			}
			for _, refused := range []string{"search_path=billing", "search_path=public,billing", "options=-c%20search_path%3Dpg_temp"} {
				_, err := pgconn.Connect(t.Context(), g.url("tenant1", refused))
				require.Equal(t, "42501", sqlState(t, err), refused)
			}
		})
	}
}

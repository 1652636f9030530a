package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

func TestLoginOfSeveralTenantsHasNoneUntilItChooses(t *testing.T) {
	c := clinic.New(t, 3)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			const own = "SELECT DISTINCT tenant_id FROM patients"
			conn := pgtest.Connect(t, g.url("both"))
			refused := pgtest.Simple(t, conn, own)[0]
			require.Equal(t, "42501", refused.Code)
			require.Contains(t, refused.Message, "a tenant must be chosen")
			require.Equal(t, "42501", pgtest.Extended(t, conn, own).Code)
			require.Equal(t, "42501", pgtest.Extended(t, conn, "").Code)
			require.Equal(t, []pgtest.Outcome{{}}, pgtest.Simple(t, conn, ""))
			for _, key := range []string{"1", "2", "1"} {
				pgtest.Must(t, conn, "SET tenantgate.tenant = 'tenant"+key+"'")
				require.Equal(t, [][]string{{"tenant" + key}}, pgtest.Must(t, conn, "SHOW tenantgate.tenant"))
				require.Equal(t, [][]string{{key}}, pgtest.Must(t, conn, own))
				require.Equal(t, [][]string{{key}}, pgtest.Extended(t, conn, own).Rows)
			}
			require.Equal(t, "42501", pgtest.Simple(t, conn, "SET tenantgate.tenant = 'tenant3'")[0].Code)
			require.Equal(t, "42501", pgtest.Simple(t, conn, "SET tenantgate.tenant = 'nosuch'")[0].Code)
			pgtest.Must(t, conn, "BEGIN")
			pgtest.Must(t, conn, own)
			require.Equal(t, "25001", pgtest.Simple(t, conn, "SET tenantgate.tenant = 'tenant2'")[0].Code)
			pgtest.Must(t, conn, "ROLLBACK")
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, own))

			chosen := pgtest.Connect(t, g.url("both", "options=-c%20tenantgate.tenant%3Dtenant2"))
			require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, chosen, own))
			_, err := pgconn.Connect(t.Context(), g.url("both", "options=-c%20tenantgate.tenant%3Dtenant3"))
			require.Equal(t, "42501", sqlState(t, err))
		})
	}
}

func TestStatementPreparedForOneTenantIsNotAnothers(t *testing.T) {
	g := open(t, clinic.New(t, 2), Rewrite, nil)
	conn := pgtest.Connect(t, g.url("both", "options=-c%20tenantgate.tenant%3Dtenant1"))
	_, err := conn.Prepare(t.Context(), "s", "SELECT DISTINCT tenant_id FROM patients", nil)
	require.NoError(t, err)
	pgtest.Must(t, conn, "SET tenantgate.tenant = 'tenant2'")
	require.Equal(t, "26000", sqlState(t, conn.ExecPrepared(t.Context(), "s", nil, nil, nil).Read().Err))
}

func TestTableMadeAfterStartUpIsFound(t *testing.T) {
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			c := clinic.New(t, 2)
			g := open(t, c, enforce, nil)
			conn := g.tenant("1")
			require.Equal(t, "42P01", pgtest.Simple(t, conn, "SELECT * FROM later")[0].Code)
			owner := pgtest.Connect(t, c.OwnerURL(g.database))
			pgtest.Must(t, owner, "CREATE TABLE later (tenant_id int, word text)")
			pgtest.Must(t, owner, "INSERT INTO later VALUES (1, 'mine'), (2, 'theirs')")
			if enforce != Rewrite {
				pgtest.Must(t, owner, "ALTER TABLE later ENABLE ROW LEVEL SECURITY")
				pgtest.Must(t, owner, "CREATE POLICY p ON later USING (tenant_id = nullif(current_setting('"+clinic.Setting+"', true), '')::int)")
			}
			pgtest.Must(t, owner, "GRANT SELECT ON later TO "+clinic.Role)
			for deadline := time.Now().Add(30 * time.Second); pgtest.Simple(t, conn, "SELECT word FROM later")[0].Code != ""; {
				require.True(t, time.Now().Before(deadline), "the table is not found")
				time.Sleep(staleCatalog / 5)
			}
			require.Equal(t, [][]string{{"mine"}}, pgtest.Must(t, conn, "SELECT word FROM later"))
		})
	}
}

func TestTableWithoutPoliciesIsRefusedWherePoliciesAreReliedOn(t *testing.T) {
	c := clinic.New(t, 2)
	owner := pgtest.Connect(t, c.OwnerURL(c.Policies()))
	pgtest.Must(t, owner, "ALTER TABLE notes DISABLE ROW LEVEL SECURITY")
	for _, enforce := range []Enforcement{RLS, Both} {
		refused := pgtest.Simple(t, open(t, c, enforce, nil).tenant("1"), "SELECT body FROM notes")[0]
		require.Equal(t, "42501", refused.Code, refused.Message)
	}
}

func TestRoleThatPoliciesDoNotHoldIsNotServed(t *testing.T) {
	c := clinic.New(t, 1)
	for _, url := range []string{c.Server.SuperuserURL(c.Policies()), c.OwnerURL(c.Policies())} {
		g := open(t, c, RLS, nil)
		cfg := g.server.cfg
		server, err := pgconn.ParseConfig(url)
		require.NoError(t, err)
		b := cfg.Backends["main"]
		b.Pool.Server = server
		cfg.Backends = map[string]BackendConfig{"main": b}
		s, err := New(cfg)
		require.NoError(t, err)
		require.ErrorContains(t, s.Open(t.Context()), "role")
		s.Close()
	}
}

func TestSessionCommandsAnswerAsPostgreSQLDoes(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, poolOf(1))
	conn := g.tenant("1", "TimeZone=Asia/Tokyo")
	for _, name := range []string{"a", "b"} {
		_, err := conn.Prepare(t.Context(), name, "SELECT 1", nil)
		require.NoError(t, err)
	}
	require.Equal(t, "DEALLOCATE", pgtest.Simple(t, conn, "DEALLOCATE a")[0].Tag)
	require.Equal(t, "26000", pgtest.Simple(t, conn, "DEALLOCATE a")[0].Code)
	require.Equal(t, "DEALLOCATE ALL", pgtest.Simple(t, conn, "DEALLOCATE ALL")[0].Tag)
	require.Equal(t, "26000", sqlState(t, conn.ExecPrepared(t.Context(), "b", nil, nil, nil).Read().Err))
	pgtest.Must(t, conn, "SET TimeZone TO 'UTC'")
	pgtest.Must(t, conn, "SET statement_timeout TO '5s'")
	require.Equal(t, "DISCARD ALL", pgtest.Simple(t, conn, "DISCARD ALL")[0].Tag)
	require.Equal(t, "Asia/Tokyo", pgtest.Must(t, conn, "SHOW TimeZone")[0][0])
	require.Equal(t, "0", pgtest.Must(t, conn, "SHOW statement_timeout")[0][0])
	pgtest.Must(t, conn, "BEGIN")
	require.Equal(t, "25001", pgtest.Simple(t, conn, "DISCARD ALL")[0].Code)
	require.EqualValues(t, 'E', conn.TxStatus())
	pgtest.Must(t, conn, "ROLLBACK")
	require.Equal(t, []pgtest.Outcome{{}}, pgtest.Simple(t, conn, " -- nothing"))
	require.Empty(t, pgtest.Extended(t, conn, "").Code)
}

func TestProbesTellWhetherClientsCanBeServed(t *testing.T) {
	c := clinic.New(t, 1)
	g := open(t, c, RLS, nil)
	get := func(path string) int {
		w := httptest.NewRecorder()
		g.server.HTTP().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code
	}
	require.Equal(t, http.StatusOK, get("/healthz"))
	require.Equal(t, http.StatusOK, get("/readyz"))
	require.Equal(t, http.StatusNotFound, get("/nothing"))
	g.server.Close()
	require.Equal(t, http.StatusServiceUnavailable, get("/readyz"))
}

func TestTenantWithADatabaseOfItsOwnHasAllOfIt(t *testing.T) {
	c := clinic.New(t, 2)
	own := c.Oracle(t, "2")
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, func(cfg *Config) {
				authenticator, err := auth.New(auth.Config{
					Tenants: []auth.Tenant{{ID: "alone", Backend: "main", Database: own}},
					Logins:  []auth.Login{{User: "alone", Password: password, Tenants: []string{"alone"}}},
				})
				require.NoError(t, err)
				cfg.Auth = authenticator
			})
			_, err := pgconn.Connect(t.Context(), g.url("alone"))
			require.Equal(t, "3D000", sqlState(t, err))
			g.database = own
			conn := pgtest.Connect(t, g.url("alone"))
			require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, conn, "SELECT DISTINCT tenant_id FROM patients"))
			require.Equal(t, [][]string{{"2"}}, pgtest.Extended(t, conn, "SELECT DISTINCT tenant_id FROM patients").Rows)
			pgtest.Must(t, conn, "BEGIN")
			pgtest.Must(t, conn, "INSERT INTO patients (id, name) VALUES (900, 'New')")
			pgtest.Must(t, conn, "DELETE FROM log_lines")
			pgtest.Must(t, conn, "ROLLBACK")
			require.Equal(t, "42501", pgtest.Simple(t, conn, "SELECT * FROM audit_log")[0].Code)
			require.Equal(t, "42501", pgtest.Simple(t, conn, "UPDATE countries SET name = 'x'")[0].Code)
			require.Equal(t, "42501", pgtest.Simple(t, conn, "SET ROLE clinic_owner")[0].Code)
		})
	}
}

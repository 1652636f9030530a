package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// openOwner starts a proxy before a clinic without policies, with an operator
// whose role owns it. It reaches the server by unix sockets, which hold little.
func openOwner(t *testing.T) *gate {
	t.Helper()
	c := clinic.New(t, 2)
	server, err := pgconn.ParseConfig(c.Server.SuperuserURL(c.Plain()))
	require.NoError(t, err)
	direct := fmt.Sprintf("host=%s port=%d user=%s password='%s' dbname=%s", c.Server.Dir(), server.Port, server.User, server.Password, server.Database)
	return open(t, c, Rewrite, func(cfg *Config) {
		poolOf(1)(cfg)
		cfg.Backends["main"].Pool.Server.Host = c.Server.Dir()
		cfg.Auth, err = auth.New(auth.Config{
			Tenants: []auth.Tenant{{ID: "tenant1", Key: "1", Backend: "main"}},
			Logins: []auth.Login{
				{User: "tenant1", Password: password, Tenants: []string{"tenant1"}},
				{User: owner, Password: password, Operator: true, URL: direct},
				{User: "watcher", Password: password, Operator: true, Backend: "main", Console: true},
			},
		})
		require.NoError(t, err)
	})
}

// Notices of the rows fill what lies between the server and the proxy before the
// server has taken the rows in.
func TestNoticesOfACopyDoNotStallIt(t *testing.T) {
	g := openOwner(t)
	pgtest.Must(t, pgtest.Connect(t, g.url(owner)), `
		CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '%', repeat('x', 400); RETURN NULL; END$$;
		CREATE TRIGGER told BEFORE INSERT ON patients FOR EACH ROW EXECUTE FUNCTION told()`)
	const rows = 40_000
	pieces := slices.Repeat([][]byte{[]byte(strings.Repeat("1\t"+strings.Repeat("x", 20)+"\n", 50))}, rows/50)
	for _, login := range []string{owner, "tenant1"} {
		tag, notices := copiedWhole(t, pgtest.Connect(t, g.url(login)), "COPY patients (id, name) FROM STDIN", pieces...)
		require.Equal(t, rows, notices, login)
		require.Equal(t, "COPY 0", tag, login)
	}
}

func TestKilledSessionIsToldInMidCopy(t *testing.T) {
	g := openOwner(t)
	console := pgtest.Connect(t, g.console())
	for _, login := range []string{owner, "tenant1"} {
		conn := pgtest.Connect(t, g.url(login))
		f := conn.Frontend()
		f.Send(&pgproto3.Query{String: "COPY patients (tenant_id, id, name) FROM STDIN"})
		f.Send(&pgproto3.CopyData{Data: []byte("1\t900\tx\n")})
		require.NoError(t, f.Flush())
		msg, err := f.Receive()
		require.NoError(t, err)
		require.IsType(t, &pgproto3.CopyInResponse{}, msg)
		pgtest.Must(t, console, fmt.Sprintf("KILL %d", conn.PID()))
		var told *pgconn.PgError
		_, err = conn.ReceiveMessage(t.Context())
		require.ErrorAs(t, err, &told, login)
		require.Equal(t, "57P01", told.Code, login)
		require.Eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, 10*time.Second, 5*time.Millisecond)
	}
	require.Equal(t, [][]string{{"0"}}, pgtest.Must(t, pgtest.Connect(t, g.url(owner)), "SELECT count(*) FROM patients WHERE id = 900"))
}

package proxy

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/pool"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const password = "correct horse"

var enforcements = []Enforcement{RLS, Rewrite, Both}

// A gate is a proxy before a clinic's database, with a login tenant<key> for
// each tenant.
type gate struct {
	t        testing.TB
	server   *Server
	addr     string
	database string
}

// open starts a proxy before a database of the clinic. change may alter the
// configuration.
func open(t testing.TB, c *clinic.Clinic, enforce Enforcement, change func(*Config)) *gate {
	t.Helper()
	database := c.Policies()
	if enforce == Rewrite {
		database = c.Plain()
	}
	server, err := pgconn.ParseConfig(c.URL(database))
	require.NoError(t, err)
	var logins auth.Config
	for _, key := range c.Keys {
		id := "tenant" + key
		logins.Tenants = append(logins.Tenants, auth.Tenant{ID: id, Key: key, Backend: "main"})
		logins.Logins = append(logins.Logins, auth.Login{User: id, Password: password, Tenants: []string{id}})
	}
	logins.Tenants = append(logins.Tenants, auth.Tenant{ID: "gone", Key: "999", Backend: "main", Suspended: true})
	logins.Logins = append(logins.Logins,
		auth.Login{User: "gone", Password: password, Tenants: []string{"gone"}},
		auth.Login{User: "ops", Password: password, Operator: true, Backend: "main"},
		auth.Login{User: "watcher", Password: password, Operator: true, Backend: "main", Console: true},
	)
	if len(c.Keys) > 1 {
		logins.Logins = append(logins.Logins, auth.Login{User: "both", Password: password, Tenants: []string{"tenant1", "tenant2"}})
	}
	authenticator, err := auth.New(logins)
	require.NoError(t, err)
	cfg := Config{
		Enforce: enforce, Setting: clinic.Setting, Catalog: clinic.Config(), Auth: authenticator,
		Backends: map[string]BackendConfig{"main": {Pool: pool.Config{Server: server, Size: 4, AcquireTimeout: 20 * time.Second}}},
		Log:      zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel),
	}
	if change != nil {
		change(&cfg)
	}
	g := &gate{t: t, database: database}
	g.server, err = New(cfg)
	require.NoError(t, err)
	require.NoError(t, g.server.Open(context.Background()))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.addr = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- g.server.Serve(listener) }()
	t.Cleanup(func() {
		g.server.Close()
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return g
}

// openAlone starts a proxy for one tenant, alone, whose database is its own.
func openAlone(t testing.TB, c *clinic.Clinic) *gate {
	t.Helper()
	database := c.Oracle(t, "1")
	g := open(t, c, Both, func(cfg *Config) {
		authenticator, err := auth.New(auth.Config{
			Tenants: []auth.Tenant{{ID: "alone", Backend: "main", Database: database}},
			Logins:  []auth.Login{{User: "alone", Password: password, Tenants: []string{"alone"}}},
		})
		require.NoError(t, err)
		cfg.Auth = authenticator
	})
	g.database = database
	return g
}

// poolOf makes the pool of a gate this large.
func poolOf(size int) func(*Config) {
	return func(cfg *Config) {
		b := cfg.Backends["main"]
		b.Pool.Size = size
		cfg.Backends["main"] = b
	}
}

// url is a login's connection string. params are further ones, "name=value".
func (g *gate) url(login string, params ...string) string {
	query := "sslmode=disable"
	for _, p := range params {
		query += "&" + p
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(login, password), Host: g.addr, Path: g.database, RawQuery: query}
	return u.String()
}

// console is the connection string of the proxy's console.
func (g *gate) console() string {
	return strings.Replace(g.url("watcher"), "/"+g.database+"?", "/"+consoleDatabase+"?", 1)
}

// tenant returns a connection as the tenant with that key.
func (g *gate) tenant(key string, params ...string) *pgconn.PgConn {
	g.t.Helper()
	return pgtest.Connect(g.t, g.url("tenant"+key, params...))
}

// backend is that of the tenants.
func (g *gate) backend() *backend {
	b, err := g.server.backendAt(context.Background(), placement{backend: "main", database: g.database})
	require.NoError(g.t, err)
	return b
}

// pool is the server connections' pool.
func (g *gate) pool() *pool.Pool { return g.backend().pool }

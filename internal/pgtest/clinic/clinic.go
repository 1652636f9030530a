// Package clinic makes the databases that tests of tenancy compare: the data
// of testdata/schema, a product for doctors' practices, once with all tenants
// in one database and once for each tenant alone.
//
// What a tenant sees of the shared database must equal what its own database,
// the oracle, answers to the same statement.
package clinic

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/postgres"
	"tenantgate/rewrite/catalog"
)

// Roles of the server. Both have Password.
const (
	Role     = "clinic_app"   // what server connections log in as
	Owner    = "clinic_owner" // owns the databases and all in them
	Password = "clinic"
)

// Setting is the run-time parameter that the policies read.
const Setting = "app.tenant_id"

// A Clinic is one set of databases, with data of its own that a test may
// change.
type Clinic struct {
	Server *postgres.Server
	Keys   []string // of the tenants: "1", "2", ...

	t testing.TB

	mu              sync.Mutex
	policies, plain string            // made when first asked for
	oracles         map[string]string // databases by key
}

// Mark is in every text value of a tenant's rows, and in no other's.
func Mark(key string) string { return "~" + key + "~" }

// Config classifies the clinic's relations.
func Config() catalog.Config {
	return catalog.Config{
		Setting: Setting,
		Column:  "tenant_id",
		Tables: []catalog.TableRule{
			{Name: catalog.Name{Name: "tenants"}, Class: catalog.Tenanted, Column: "id"},
			{Name: catalog.Name{Name: "countries"}, Class: catalog.Shared},
			{Name: catalog.Name{Name: "feature_flags"}, Class: catalog.SharedReadWrite},
			{Name: catalog.Name{Name: "audit_log"}, Class: catalog.Denied},
		},
		AllowFunctions: []catalog.Name{{Schema: "public", Name: "slugify"}},
	}
}

// New is a clinic with as many tenants. Its databases are dropped after the test.
func New(t testing.TB, tenants int) *Clinic {
	t.Helper()
	c := &Clinic{Server: pgtest.Server(t), t: t, oracles: make(map[string]string)}
	for key := 1; key <= tenants; key++ {
		c.Keys = append(c.Keys, strconv.Itoa(key))
	}
	return c
}

// In is a clinic that has moved into a database of another server, which the
// caller has prepared.
func In(t testing.TB, s *postgres.Server, database string, keys ...string) *Clinic {
	return &Clinic{Server: s, Keys: keys, t: t, policies: database, plain: database}
}

// Policies is the shared database as bootstrap prepares it for row-level
// security.
func (c *Clinic) Policies() string { return c.database(&c.policies, true) }

// Plain is the shared database as bootstrap prepares it for enforcement by
// rewriting alone.
func (c *Clinic) Plain() string { return c.database(&c.plain, false) }

func (c *Clinic) database(name *string, policies bool) string {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if *name == "" {
		*name = pgtest.Copy(c.t, template(c.t, c.Keys, policies), "")
	}
	return *name
}

// Oracle returns the database that holds one tenant's rows alone: without
// policies, the tenant columns with the tenant's key as their default.
func (c *Clinic) Oracle(t testing.TB, key string) string {
	t.Helper()
	require.Contains(t, c.Keys, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.oracles[key] == "" {
		name := pgtest.Copy(t, template(t, []string{key}, false), "")
		require.NoError(t, c.Server.Exec(context.Background(), name, tenantDefaults(t, c.OwnerURL(name), key)))
		c.oracles[key] = name
	}
	return c.oracles[key]
}

// AddTenant adds another tenant's rows to a shared database.
func (c *Clinic) AddTenant(t testing.TB, database, key string) {
	t.Helper()
	require.NoError(t, c.Server.Exec(context.Background(), database,
		"SET session_replication_role = replica;\n"+strings.ReplaceAll(read(t, "clinic_tenant.sql"), ":tenant", key)))
}

// URL is a connection string for Role.
func (c *Clinic) URL(database string) string { return c.Server.URL(Role, Password, database) }

// OwnerURL is a connection string for Owner.
func (c *Clinic) OwnerURL(database string) string { return c.Server.URL(Owner, Password, database) }

// read returns a file of testdata/schema.
func read(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd() // the directory of the package under test
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		require.NotEqual(t, "/", dir, "no go.mod above the package under test")
		dir = filepath.Dir(dir)
	}
	text, err := os.ReadFile(filepath.Join(dir, "testdata", "schema", name))
	require.NoError(t, err)
	return string(text)
}

package clinic

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/postgres"
	"tenantgate/rewrite/catalog"
)

// templates are the databases that New and Oracle copy. They last as long as
// the server.
var templates = struct {
	sync.Mutex
	names map[templateKey]string
}{names: make(map[templateKey]string)}

// A templateKey tells templates apart; the zero value is that of the schema
// without rows, roles made.
type templateKey struct {
	tenants  string // their keys
	policies bool
}

// readable are the views that the role may read; bootstrap leaves them to the
// operator.
const readable = `open_invoices, open_totals, status_counts, patient_countries, busy_patients, people, supervisors,
	payment_methods, "Order Totals", audit_view, audit_counts, jobs_view, own_patients, patient_counts`

// template returns a database that holds these tenants' rows.
func template(t testing.TB, keys []string, policies bool) string {
	t.Helper()
	templates.Lock()
	defer templates.Unlock()
	id := templateKey{strings.Join(keys, " "), policies}
	if name, made := templates.names[id]; made {
		return name
	}
	schema, made := templates.names[templateKey{}]
	if !made {
		schema = "clinic"
		makeSchema(t, schema)
		templates.names[templateKey{}] = schema
	}
	name := fmt.Sprintf("clinic_%d", len(templates.names))
	makeTemplate(t, name, schema, keys, policies)
	templates.names[id] = name
	return name
}

// makeSchema makes the owner and a database that holds no rows.
func makeSchema(t testing.TB, name string) {
	t.Helper()
	ctx := context.Background()
	s := pgtest.Server(t)
	require.NoError(t, s.Exec(ctx, postgres.Superuser, "CREATE ROLE "+Owner+" LOGIN CREATEROLE PASSWORD '"+Password+"'"))
	require.NoError(t, s.CreateDatabase(ctx, name, ""))
	require.NoError(t, s.Exec(ctx, name, "ALTER DATABASE "+name+" OWNER TO "+Owner+"; ALTER SCHEMA public OWNER TO "+Owner))
	conn := pgtest.Connect(t, s.URL(Owner, Password, name))
	_, err := conn.Exec(ctx, read(t, "clinic.sql")).ReadAll()
	require.NoError(t, err)
	require.NoError(t, conn.Close(ctx)) // a database is copied only while nobody uses it
}

// makeTemplate fills a copy of the schema and prepares it for tenants.
func makeTemplate(t testing.TB, name, schema string, keys []string, policies bool) {
	t.Helper()
	ctx := context.Background()
	s := pgtest.Server(t)
	require.NoError(t, s.CreateDatabase(ctx, name, schema))
	require.NoError(t, s.Exec(ctx, postgres.Superuser, "ALTER DATABASE "+name+" OWNER TO "+Owner))
	// As a replica: no trigger looks whether a row is there that another refers to.
	data := "SET session_replication_role = replica;\n" + read(t, "clinic_shared.sql")
	tenant := read(t, "clinic_tenant.sql")
	for _, key := range keys {
		data += strings.ReplaceAll(tenant, ":tenant", key)
	}
	require.NoError(t, s.Exec(ctx, name, data+"REFRESH MATERIALIZED VIEW patient_counts"))

	conn := pgtest.Connect(t, s.URL(Owner, Password, name))
	plan, err := catalog.Bootstrap(snapshot(t, conn), catalog.BootstrapConfig{
		Setting: Setting, Role: Role, Password: Password, NoRowSecurity: !policies,
	})
	require.NoError(t, err)
	for _, ddl := range plan {
		_, err := conn.Exec(ctx, ddl.SQL).ReadAll()
		require.NoError(t, err, ddl.String())
	}
	_, err = conn.Exec(ctx, "GRANT SELECT ON "+readable+" TO "+Role+
		"; GRANT UPDATE ON open_invoices, busy_patients, own_patients TO "+Role).ReadAll() // for FOR UPDATE
	require.NoError(t, err)
	require.NoError(t, conn.Close(ctx))
	require.NoError(t, s.Exec(ctx, name, "ANALYZE"))
}

// tenantDefaults gives the tenant columns the defaults they have in a database
// of one tenant.
func tenantDefaults(t testing.TB, url, key string) string {
	t.Helper()
	var sql strings.Builder
	for _, r := range snapshot(t, pgtest.Connect(t, url)).Relations() {
		if r.Class == catalog.Tenanted && (r.Kind == 'r' || r.Kind == 'p') {
			fmt.Fprintf(&sql, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT '%s';\n",
				catalog.Name{Schema: r.Schema, Name: r.Name}, catalog.Name{Name: r.TenantColumn}, key)
		}
	}
	return sql.String()
}

func snapshot(t testing.TB, conn *pgconn.PgConn) *catalog.Snapshot {
	t.Helper()
	config := Config()
	config.Inspect = true
	s, err := catalog.Load(context.Background(), pgtest.Querier{Conn: conn}, config)
	require.NoError(t, err)
	return s
}

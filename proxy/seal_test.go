package proxy

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/rewrite/catalog"
)

var testSealKey = catalog.SealKey{7, 31: 7}

// seal prepares a clinic's database for sealed tokens.
func seal(t testing.TB, c *clinic.Clinic, database string) {
	t.Helper()
	require.NoError(t, c.Server.Exec(context.Background(), database, "GRANT CREATE ON DATABASE "+database+" TO "+clinic.Owner))
	owner := pgtest.Connect(t, c.OwnerURL(database))
	config := clinic.Config()
	config.Inspect = true
	s, err := catalog.Load(context.Background(), pgtest.Querier{Conn: owner}, config)
	require.NoError(t, err)
	plan, err := catalog.Bootstrap(s, catalog.BootstrapConfig{Setting: clinic.Setting, Role: clinic.Role, Sealed: true, SealKey: &testSealKey})
	require.NoError(t, err)
	for _, ddl := range plan {
		_, err := owner.Exec(context.Background(), ddl.SQL).ReadAll()
		require.NoError(t, err, ddl.SQL)
	}
	// FOR UPDATE through a view takes more than bootstrap leaves there.
	pgtest.Must(t, owner, "GRANT UPDATE ON open_invoices, busy_patients, own_patients TO "+clinic.Role)
}

// withSeal makes a gate seal the tenant setting.
func withSeal(cfg *Config) {
	b := cfg.Backends["main"]
	b.SealKey = &testSealKey
	cfg.Backends["main"] = b
}

func TestTenantSeesItsRowsInASealedDatabaseToo(t *testing.T) {
	c := clinic.New(t, 3)
	watch(t, c, c.Policies(), "1")
	seal(t, c, c.Policies())
	files, err := filepath.Glob("../testdata/oracle/*.sql")
	require.NoError(t, err)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	conns := map[Enforcement]*pgconn.PgConn{}
	for _, enforce := range []Enforcement{RLS, Both} {
		conns[enforce] = open(t, c, enforce, withSeal).tenant("1")
	}
	asked := 0
	for _, file := range files {
		for i, oc := range readOracle(t, file) {
			enforce, extended := RLS, oc.params || i%4 < 2
			if i%2 == 1 {
				enforce = Both
			}
			got := ask(t, conns[enforce], oc.question(), extended)
			if code := oc.refused[enforce.String()]; code != "" {
				require.Equal(t, code, got.Code, "%s: %s: %s", oc.name, oc.sql, got.Message)
				continue
			}
			want := ask(t, oracle, oc.question(), extended)
			if !sameAnswer(want, got) {
				want, got = differing(want, got)
				t.Errorf("%s, %s: %s\n want %+v\n  got %+v", enforce, oc.name, oc.sql, want, got)
			}
			asked++
		}
	}
	require.Greater(t, asked, 700)
}

func TestSealIsMadeAnewForEveryTransaction(t *testing.T) {
	c := clinic.New(t, 2)
	seal(t, c, c.Policies())
	for _, enforce := range []Enforcement{RLS, Both} {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, func(cfg *Config) { withSeal(cfg); poolOf(1)(cfg) })
			one, two := g.tenant("1"), g.tenant("2")
			const own = "SELECT DISTINCT tenant_id FROM patients"
			for range 3 {
				require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, one, own))
				require.Equal(t, [][]string{{"2"}}, pgtest.Extended(t, two, own).Rows)
			}
			pgtest.Must(t, one, "BEGIN ISOLATION LEVEL SERIALIZABLE")
			pgtest.Must(t, one, "SAVEPOINT a")
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, one, own))
			pgtest.Must(t, one, "ROLLBACK TO a")
			require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, one, own))
			pgtest.Must(t, one, "INSERT INTO notes SELECT * FROM notes WHERE false")
			pgtest.Must(t, one, "COMMIT")
			for _, sql := range []string{
				"SELECT current_setting('app.tenant_id')", "SHOW app.tenant_id", "SELECT tenantgate.tenant()", "TABLE tenantgate.seal",
				"SELECT inner_pad FROM tenantgate.seal", "SET app.tenant_id = '2'",
			} {
				require.Equal(t, "42501", pgtest.Simple(t, one, sql)[0].Code, sql)
			}
			require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, two, own))
		})
	}
}

func TestSealIsByTheClockOfTheServer(t *testing.T) {
	c := clinic.New(t, 1)
	seal(t, c, c.Policies())
	g := open(t, c, RLS, func(cfg *Config) { withSeal(cfg); poolOf(1)(cfg) })
	conn := g.tenant("1")
	pgtest.Must(t, conn, "SELECT FROM patients")
	b := g.backend()
	require.InDelta(t, 0, time.Duration(b.ahead.Load()).Seconds(), 5, "the test and its server have one clock")
	b.ahead.Store(int64(-time.Hour)) // as if this machine's clock had been put back since
	require.Equal(t, "42501", pgtest.Simple(t, conn, "SELECT FROM patients")[0].Code)
}

func TestSealWithAnotherKeyShowsNothing(t *testing.T) {
	c := clinic.New(t, 1)
	seal(t, c, c.Policies())
	g := open(t, c, RLS, func(cfg *Config) {
		b := cfg.Backends["main"]
		b.SealKey = &catalog.SealKey{1}
		cfg.Backends["main"] = b
	})
	for _, sql := range []string{"SELECT FROM patients", "INSERT INTO notes DEFAULT VALUES", "DELETE FROM patients"} {
		refused := pgtest.Simple(t, g.tenant("1"), sql)[0]
		require.Equal(t, "42501", refused.Code)
		require.Contains(t, refused.Message, "no valid tenant")
	}
	refused := pgtest.Simple(t, open(t, c, RLS, nil).tenant("1"), "SELECT FROM patients")[0]
	require.Equal(t, "42501", refused.Code, "the plain key is no token")
}

// BenchmarkSeal measures what the seal costs a transaction of one short
// statement, beside the same without it.
func BenchmarkSeal(b *testing.B) {
	c := clinic.New(b, 2)
	plain := open(b, c, RLS, nil).tenant("1")
	other := clinic.New(b, 2)
	seal(b, other, other.Policies())
	sealed := open(b, other, RLS, withSeal).tenant("1")
	const sql = "SELECT name FROM patients WHERE id = $1"
	for _, conn := range []*pgconn.PgConn{plain, sealed} {
		_, err := conn.Prepare(b.Context(), "patient", sql, nil)
		require.NoError(b, err)
	}
	for _, name := range strings.Fields("plain sealed plain sealed plain sealed") {
		conn := map[string]*pgconn.PgConn{"plain": plain, "sealed": sealed}[name]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, conn.ExecPrepared(b.Context(), "patient", [][]byte{[]byte("1")}, nil, nil).Read().Err)
			}
		})
	}
}

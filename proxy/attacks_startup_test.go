package proxy

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// theirNames shows whose rows there are.
const theirNames = "SELECT string_agg(DISTINCT name, ',') FROM public.patients"

// TestStartUpPacketsDoNotChangeTheTenant sends the packets of
// testdata/attacks/i_startup.txt, and sends them to PostgreSQL as well, where
// they have to do what the file says.
func TestStartUpPacketsDoNotChangeTheTenant(t *testing.T) {
	c := clinic.New(t, 2)
	require.NoError(t, c.Server.Exec(t.Context(), c.Policies(), `
		DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'clinic_admin') THEN CREATE ROLE clinic_admin BYPASSRLS; END IF; END $$;
		CREATE SCHEMA attic; GRANT SELECT ON patients TO clinic_admin; GRANT clinic_admin TO `+clinic.Role))
	t.Cleanup(func() {
		require.NoError(t, c.Server.Exec(context.Background(), c.Policies(), "REVOKE clinic_admin FROM "+clinic.Role))
	})
	attacks := readAttacks(t, "../testdata/attacks/i_startup.txt")
	require.GreaterOrEqual(t, len(attacks), 80)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			usual := begin(t, g.url("tenant1"), g.database, &attack{})
			own := pgtest.Must(t, usual, theirNames+";"+sanity)
			for _, a := range attacks {
				want := a.want[enforce.String()]
				conn, code, rule := knock(t, g.url("tenant1"), a.packet(t, "tenant1", g.database))
				if got := (verdict{code: code, rule: rule}); got != want {
					t.Errorf("%s\nwant %v, got %v", a, want, got)
				}
				if conn == nil {
					continue
				}
				require.NotContains(t, pgtest.Must(t, conn, theirNames)[0][0], clinic.Mark("2"), a.String())
				require.NoError(t, conn.Close(t.Context()))
				require.Equal(t, own, pgtest.Must(t, usual, theirNames+";"+sanity), "%s: the next session", a)
			}
			for _, database := range []string{"postgres", "template1", "clinic", "nosuch", g.database + " ", strings.ToUpper(g.database), "\xff"} {
				_, code, _ := knock(t, g.url("tenant1"), startup(protocol30, "user", "tenant1", "database", database))
				require.Equal(t, "3D000", code, database)
			}
		})
	}
	t.Run("without guard", func(t *testing.T) {
		usual := pgtest.Must(t, begin(t, c.URL(c.Policies()), c.Policies(), &attack{}), startUpState)
		for _, a := range attacks {
			if want, got := a.bare["rls"].kind, startUpEffect(t, c, usual, a); got != want {
				t.Errorf("%s\nwithout guard: want %q, but it is %q", a, want, got)
			}
		}
	})
}

// packet is an attack's start-up packet.
func (a *attack) packet(t *testing.T, user, database string) []byte {
	t.Helper()
	params := []string{"user", user, "database", database}
	for _, line := range a.messages {
		name, value := cutParameter(t, line)
		params = append(params, name, value)
	}
	return startup(protocol30, params...)
}

// cutParameter reads name=value, each of which may be quoted.
func cutParameter(t *testing.T, line string) (name, value string) {
	t.Helper()
	name, value, _ = strings.Cut(line, "=")
	if strings.HasPrefix(line, `"`) {
		end := strings.LastIndex(line, `"=`) + 1
		name, value = unquote(t, line[:end]), line[end+1:]
	}
	if strings.HasPrefix(value, `"`) {
		value = unquote(t, value)
	}
	return name, value
}

// A disguise sends a packet in the place of what is written first.
type disguise struct {
	net.Conn
	packet []byte
}

func (d *disguise) Write(p []byte) (int, error) {
	if d.packet == nil {
		return d.Conn.Write(p)
	}
	packet := d.packet
	d.packet = nil
	_, err := d.Conn.Write(packet)
	return len(p), err
}

// knock logs in with a start-up packet. conn is nil if it is refused.
func knock(t *testing.T, url string, packet []byte) (conn *pgconn.PgConn, code, rule string) {
	t.Helper()
	config, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &disguise{conn, packet}, err
	}
	conn, err = pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		var refusal *pgconn.PgError
		require.ErrorAs(t, err, &refusal)
		rule, _ = strings.CutPrefix(refusal.Detail, "Rule: ")
		return nil, refusal.Code, strings.TrimSuffix(rule, ".")
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn, "", ""
}

// begin logs in with a packet that is not refused.
func begin(t *testing.T, url, database string, a *attack) *pgconn.PgConn {
	t.Helper()
	config, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	conn, code, _ := knock(t, url, a.packet(t, config.User, database))
	require.Empty(t, code, a.String())
	return conn
}

// startUpEffect tells what PostgreSQL does with an attack's packet.
func startUpEffect(t *testing.T, c *clinic.Clinic, usual [][]string, a *attack) string {
	t.Helper()
	conn, _, _ := knock(t, c.URL(c.Policies()), a.packet(t, clinic.Role, c.Policies()))
	if conn == nil {
		return harmless
	}
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	seen := func() string {
		last := pgtest.Simple(t, conn, theirNames)
		return strings.Join(slices.Concat(last[len(last)-1].Rows...), "")
	}
	const set = "SET " + clinic.Setting + " = '1'" // what a proxy does that lets the packet through
	shown := seen()
	if pgtest.Must(t, conn, set); strings.Contains(shown+seen(), clinic.Mark("2")) {
		return shows
	}
	if !slices.EqualFunc(usual, pgtest.Must(t, conn, startUpState), slices.Equal) {
		return leaves
	}
	return harmless
}

// startUpState is what a start-up packet decides.
const startUpState = `SELECT current_user, session_user, current_database(),
	(SELECT md5(string_agg(name || '=' || setting, ',' ORDER BY name)) FROM pg_catalog.pg_settings)`

package proxy

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/internal/postgres"
	"tenantgate/pool"
)

// faultsVariable says how many times as long the tests of faults go on that have
// a length; make faults sets it.
const faultsVariable = "FAULTS"

// faults is how much longer a test of faults lasts than in make test.
func faults(t testing.TB) int {
	t.Helper()
	text := os.Getenv(faultsVariable)
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	require.Positive(t, n)
	return n
}

// wardSchema is a small database of tenants 1 and 2. Rows of done tell which
// statements have run, and how often.
const wardSchema = `
CREATE ROLE ` + clinic.Role + ` LOGIN PASSWORD '` + clinic.Password + `';
CREATE TABLE done (tenant_id int NOT NULL DEFAULT nullif(current_setting('` + clinic.Setting + `', true), '')::int, mark text NOT NULL);
ALTER TABLE done ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON done USING (tenant_id = nullif(current_setting('` + clinic.Setting + `', true), '')::int);
CREATE TABLE loose (mark text NOT NULL); -- without a tenant
GRANT SELECT, INSERT, UPDATE, DELETE ON done, loose TO ` + clinic.Role + `;
ALTER ROLE ` + clinic.Role + ` SET ` + clinic.Setting + ` = '1'; -- for operators
`

// ward is a clinic on a server of its own, which a test may stop and kill.
func ward(t testing.TB, settings map[string]string) *clinic.Clinic {
	t.Helper()
	s := pgtest.Start(t, postgres.Options{Settings: settings})
	ctx := context.Background()
	require.NoError(t, s.CreateDatabase(ctx, "ward", ""))
	require.NoError(t, s.Exec(ctx, "ward", wardSchema))
	return clinic.In(t, s, "ward", "1", "2")
}

// descriptors is how many file descriptors this process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0 // not Linux
	}
	require.NoError(t, err)
	return len(open)
}

// nothingLeaks fails a test after which goroutines or file descriptors are left.
// Call it first.
func nothingLeaks(t testing.TB) {
	t.Helper()
	pgtest.Server(t) // which stays
	before := descriptors(t)
	t.Cleanup(func() {
		for end := time.Now().Add(20 * time.Second); descriptors(t) > before && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		if now := descriptors(t); now > before && !t.Failed() {
			t.Errorf("%d file descriptors before, %d now", before, now)
		}
	})
	pgtest.NoLeaks(t)
}

// poolFor is the pool that a login's sessions lease from, once there is one.
func (g *gate) poolFor(login string) *pool.Pool {
	if login != "ops" {
		return g.pool()
	}
	g.server.mu.Lock()
	defer g.server.mu.Unlock()
	return g.server.backends[placement{backend: "main", database: g.database, operator: true}].pool
}

// allBack waits until no session holds a server connection, or waits for one.
func allBack(t testing.TB, p *pool.Pool) {
	t.Helper()
	eventually(t, func() bool {
		s := p.Stat()
		return s.Leased == 0 && s.Waiting == 0
	}, "server connections are not back")
}

// ended is how a statement has: an SQLSTATE, "gone" if the connection ended
// without one, or empty without an error.
func ended(err error) string {
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &pgErr):
		return pgErr.Code
	default:
		return "gone"
	}
}

// runs waits until the server runs a statement of the proxy's, and returns the
// process that does.
func runs(t testing.TB, c *clinic.Clinic, database, sql string) (pid int) {
	t.Helper()
	admin := pgtest.Connect(t, c.Server.SuperuserURL("postgres"))
	eventually(t, func() bool {
		rows := pgtest.Must(t, admin, "SELECT pid FROM pg_stat_activity WHERE datname = '"+database+
			"' AND state = 'active' AND position($$"+sql+"$$ IN query) > 0")
		if len(rows) == 0 {
			return false
		}
		var err error
		pid, err = strconv.Atoi(rows[0][0])
		return err == nil
	}, "the statement does not run")
	require.NoError(t, admin.Close(t.Context()))
	return pid
}

// times is how often statements with that mark have run.
func times(t testing.TB, c *clinic.Clinic, database, mark string) string {
	t.Helper()
	var conn *pgconn.PgConn
	eventually(t, func() (up bool) {
		var err error
		conn, err = c.Server.Connect(t.Context(), database)
		return err == nil
	}, "the server does not recover")
	defer conn.Close(t.Context())
	return pgtest.Must(t, conn, "SELECT (SELECT count(*) FROM done WHERE mark = '"+mark+"') + (SELECT count(*) FROM loose WHERE mark = '"+mark+"')")[0][0]
}

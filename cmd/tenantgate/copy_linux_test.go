package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// copyMiBVariable says how much is copied each way; make copy sets it.
const copyMiBVariable = "COPY_MIB"

// highWater is the largest resident size that a process has had.
func highWater(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^VmHWM:\s*(\d+) kB$`).FindSubmatch(status)
	require.NotNil(t, m)
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	require.NoError(t, err)
	return kib << 10
}

// lines is a COPY stream of many rows of about a KiB, with a few of half a MiB.
func lines(size int) (stream io.Reader, rows int) {
	short := []byte("bulk\t" + strings.Repeat("line of text \\\\ ", 64) + "\n")
	long := []byte("bulk\t" + strings.Repeat("x", 512<<10) + "\n")
	var parts []io.Reader
	for left := size; left > 0; rows++ {
		row := short
		if rows%2000 == 1999 {
			row = long
		}
		parts = append(parts, bytes.NewReader(row))
		left -= len(row)
	}
	return io.MultiReader(parts...), rows
}

// copied is how many MiB are to go one way.
func copied(t *testing.T) (mib int) {
	t.Helper()
	text := os.Getenv(copyMiBVariable)
	if text == "" {
		return 64
	}
	mib, err := strconv.Atoi(text)
	require.NoError(t, err)
	return mib
}

// startFor runs a proxy for one tenant, who may connect to url. pool is its
// configuration.
func startFor(t *testing.T, c *clinic.Clinic, pool string) (cmd *exec.Cmd, url string) {
	t.Helper()
	addresses, cmd, _ := startProxy(t, t.TempDir(), fmt.Sprintf(`
listen: ["127.0.0.1:0"]
admin: {listen: "127.0.0.1:0"}
backends: {main: {url: %q, pool: {%s}}}
tenancy:
  enforce: both
  setting: %s
  tables: {tenants: {column: id}, countries: shared, feature_flags: shared-rw, audit_log: denied}
  acknowledge: ["fk-cascade-without-tenant:public.invoice_lines"]
tenants: [{id: acme, key: "1"}]
logins: [{user: acme_app, password: secret, tenant: acme}]
`, c.URL(c.Policies()), pool, clinic.Setting))
	return cmd, "postgres://acme_app:secret@" + addresses["clients are served"][0] + "/" + c.Policies() + "?sslmode=disable"
}

func TestCopyStreamsThroughLittleMemory(t *testing.T) {
	mib, bound := copied(t), int64(32<<20)
	cmd, url := startFor(t, clinic.New(t, 1), "")
	conn := pgtest.Connect(t, url)
	const in = "COPY log_lines (level, line) FROM STDIN"
	stream, _ := lines(1 << 20)
	_, err := conn.CopyFrom(t.Context(), stream, in) // what any COPY takes
	require.NoError(t, err)
	before := highWater(t, cmd.Process.Pid)

	stream, rows := lines(mib << 20)
	start := time.Now()
	tag, err := conn.CopyFrom(t.Context(), stream, in)
	require.NoError(t, err)
	require.EqualValues(t, rows, tag.RowsAffected())
	took, afterIn := time.Since(start), highWater(t, cmd.Process.Pid)
	t.Logf("in: %d MiB, %d rows in %.1fs; high-water mark of the proxy %d MiB, before %d MiB",
		mib, rows, took.Seconds(), afterIn>>20, before>>20)

	start = time.Now()
	tag, err = conn.CopyTo(t.Context(), io.Discard, "COPY log_lines (level, line) TO STDOUT")
	require.NoError(t, err)
	require.Greater(t, tag.RowsAffected(), int64(rows))
	afterOut := highWater(t, cmd.Process.Pid)
	t.Logf("out: %d rows in %.1fs; high-water mark of the proxy %d MiB", tag.RowsAffected(), time.Since(start).Seconds(), afterOut>>20)
	require.Less(t, afterOut-before, bound)
}

// slowly reads in small pieces, and now and then not at all for a while.
type slowly struct {
	net.Conn
	read, pause int // bytes: so far, and from one pause to the next
}

func (s *slowly) Read(p []byte) (int, error) {
	before := s.read / s.pause
	n, err := s.Conn.Read(p[:min(len(p), 4<<10)])
	if s.read += n; s.read/s.pause > before {
		time.Sleep(100 * time.Millisecond)
	}
	return n, err
}

func TestSlowReaderTakesLittleMemory(t *testing.T) {
	mib := copied(t)
	cmd, url := startFor(t, clinic.New(t, 1), "")
	config, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	var reader *slowly
	config.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
		reader = &slowly{Conn: conn, pause: mib << 20 / 20}
		return reader, nil
	}
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	pgtest.Must(t, conn, "SELECT count(*) FROM patients")
	before := highWater(t, cmd.Process.Pid)
	start := time.Now()
	result := conn.Exec(t.Context(), fmt.Sprintf("SELECT a, repeat('line of text ', 78) FROM generate_series(1, %d) a", mib<<10))
	require.True(t, result.NextResult())
	rows := 0
	for r := result.ResultReader(); r.NextRow(); rows++ {
		require.Len(t, r.Values()[1], 78*13)
	}
	require.NoError(t, result.Close())
	require.Equal(t, mib<<10, rows)
	require.Greater(t, reader.read, mib<<20)
	after := highWater(t, cmd.Process.Pid)
	t.Logf("%d MiB in %.1fs, read slowly; high-water mark of the proxy %d MiB, before %d MiB", reader.read>>20, time.Since(start).Seconds(), after>>20, before>>20)
	require.Less(t, after-before, int64(16<<20))
	if os.Getenv(copyMiBVariable) != "" { // without the race detector, which has memory of its own
		require.Less(t, after, int64(64<<20))
	}
}

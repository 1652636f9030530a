package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

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

func TestCopyStreamsThroughLittleMemory(t *testing.T) {
	mib, bound := 64, int64(32<<20)
	if text := os.Getenv(copyMiBVariable); text != "" {
		var err error
		mib, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	c := clinic.New(t, 1)
	addresses, cmd, _ := startProxy(t, t.TempDir(), fmt.Sprintf(`
listen: ["127.0.0.1:0"]
admin: {listen: "127.0.0.1:0"}
backends: {main: {url: %q}}
tenancy:
  enforce: both
  setting: %s
  tables: {tenants: {column: id}, countries: shared, feature_flags: shared-rw, audit_log: denied}
  acknowledge: ["fk-cascade-without-tenant:public.invoice_lines"]
tenants: [{id: acme, key: "1"}]
logins: [{user: acme_app, password: secret, tenant: acme}]
`, c.URL(c.Policies), clinic.Setting))
	conn := pgtest.Connect(t, "postgres://acme_app:secret@"+addresses["clients are served"][0]+"/"+c.Policies+"?sslmode=disable")
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

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// openFiles is how many file descriptors a process has.
func openFiles(t *testing.T, pid int) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	require.NoError(t, err)
	return len(files)
}

// limitFiles lets a process have so many file descriptors.
func limitFiles(t *testing.T, pid int, limit uint64) {
	t.Helper()
	var was unix.Rlimit
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was))
	was.Cur = limit
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &was, nil))
}

func TestProxyWithoutFileDescriptorsServesWhomItHasAndRecovers(t *testing.T) {
	c := clinic.New(t, 1)
	cmd, url := startFor(t, c, "min_idle: 0, acquire_timeout: 1s")
	pid := cmd.Process.Pid
	first, second := pgtest.Connect(t, url), pgtest.Connect(t, url)
	pgtest.Must(t, first, "SELECT 1")
	before := openFiles(t, pid)

	limitFiles(t, pid, 0) // whoever has one keeps it
	pgtest.Must(t, first, "BEGIN")
	pgtest.Must(t, first, "SELECT count(*) FROM patients")
	refused := pgtest.Simple(t, second, "SELECT 1")[0] // takes a second server connection
	require.Equal(t, "57P03", refused.Code)
	require.Contains(t, refused.Message, "file descriptors")
	const waiting = 5
	connected := make(chan error, waiting)
	for range waiting { // wait to be accepted
		go func() {
			conn, err := pgconn.Connect(context.Background(), url)
			if err == nil {
				_, err = conn.Exec(context.Background(), "SELECT 1").ReadAll()
				err = errors.Join(err, conn.Close(context.Background()))
			}
			connected <- err
		}()
	}
	time.Sleep(200 * time.Millisecond)
	pgtest.Must(t, first, "COMMIT")
	pgtest.Must(t, second, "SELECT 1") // by the one that is free now
	require.Empty(t, connected)

	limitFiles(t, pid, 1000)
	for range waiting {
		require.NoError(t, <-connected)
	}
	pgtest.Must(t, first, "BEGIN")
	pgtest.Must(t, first, "SELECT 1")
	require.Eventually(t, func() bool { return pgtest.Simple(t, second, "SELECT 1")[0].Code == "" }, 20*time.Second, 10*time.Millisecond)
	pgtest.Must(t, first, "COMMIT")
	require.Eventually(t, func() bool { return openFiles(t, pid) <= before+1 }, 20*time.Second, 10*time.Millisecond,
		"one more server connection, and nothing else")
}

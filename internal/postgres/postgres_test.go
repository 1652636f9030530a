package postgres

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func scalar(t *testing.T, s *Server, sql string) string {
	t.Helper()
	conn, err := s.Connect(context.Background(), Superuser)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	results, err := conn.Exec(context.Background(), sql).ReadAll()
	require.NoError(t, err)
	return string(results[0].Rows[0][0])
}

func TestServerTakesSettingsAndKeepsDataOverARestart(t *testing.T) {
	ctx := context.Background()
	s := start(t, Options{Settings: map[string]string{"application_name": "it's"}})
	require.Equal(t, "it's", scalar(t, s, "SHOW application_name"))
	require.Equal(t, "off", scalar(t, s, "SHOW fsync"))

	require.NoError(t, s.Exec(ctx, Superuser, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)"))
	port := s.Port()
	require.NoError(t, s.Stop())
	_, err := s.Connect(ctx, Superuser)
	require.Error(t, err)
	require.NoError(t, s.Restart(ctx))
	require.Equal(t, port, s.Port())
	require.Equal(t, "7", scalar(t, s, "SELECT n FROM kept"))
}

func TestDatabasesAreCopiedFromTemplates(t *testing.T) {
	ctx := context.Background()
	s := start(t, Options{})
	require.NoError(t, s.CreateDatabase(ctx, `a "b"`, ""))
	require.NoError(t, s.Exec(ctx, `a "b"`, "CREATE TABLE t ()"))
	require.NoError(t, s.CreateDatabase(ctx, "copy", `a "b"`))
	require.NoError(t, s.Exec(ctx, "copy", "SELECT FROM t"))
}

func TestPasswordIsNeededOnBothListeners(t *testing.T) {
	s := start(t, Options{})
	for _, host := range []string{"127.0.0.1", s.Dir()} {
		_, err := pgconn.Connect(context.Background(), "host="+host+" port="+strconv.Itoa(s.Port())+" user=postgres password=wrong")
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr, host)
		require.Equal(t, "28P01", pgErr.Code)
	}
}

func TestTLSServerIsVerifiedByItsCertificate(t *testing.T) {
	s := start(t, Options{TLS: true, HBA: []string{"hostnossl all all all reject"}})
	require.Equal(t, "t", scalar(t, s, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
}

func TestKilledServerDropsItsClientsAndStartsAgain(t *testing.T) {
	ctx := context.Background()
	s := start(t, Options{})
	conn, err := s.Connect(ctx, Superuser)
	require.NoError(t, err)
	defer conn.Close(ctx)
	require.NoError(t, s.Kill())
	_, err = conn.Exec(ctx, "SELECT 1").ReadAll()
	var pgErr *pgconn.PgError
	require.Error(t, err)
	require.NotErrorAs(t, err, &pgErr, "a killed server has no last words")
	require.NoError(t, s.Restart(ctx))
	require.Equal(t, "1", scalar(t, s, "SELECT 1"))
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	s := start(t, Options{})
	pid := s.process.cmd.Process.Pid
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	requireGone(t, pid)
	require.NoDirExists(t, s.dir)
	require.ErrorIs(t, s.Restart(context.Background()), ErrClosed)
}

func TestEndOfTheContextClosesTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := Start(ctx, Options{})
	require.NoError(t, err)
	pid := s.process.cmd.Process.Pid
	cancel()
	requireGone(t, pid)
	require.Eventually(t, func() bool { _, err := os.Stat(s.dir); return os.IsNotExist(err) }, 10*time.Second, 10*time.Millisecond)
}

func TestTakenPortIsGivenUp(t *testing.T) {
	s := start(t, Options{})
	port := s.Port()
	require.NoError(t, s.Stop())
	l, err := net.Listen("tcp", s.Addr())
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, s.Restart(context.Background()))
	require.NotEqual(t, port, s.Port())
}

func TestFailedStartShowsTheLogAndRemovesTheDirectory(t *testing.T) {
	t.Setenv("TMPDIR", publicTempDir(t))
	_, err := Start(context.Background(), Options{Settings: map[string]string{"no_such_setting": "1"}})
	require.ErrorContains(t, err, `unrecognized configuration parameter "no_such_setting"`)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestMissingProgramsAreExplained(t *testing.T) {
	t.Setenv(BinDirVariable, "/nowhere")
	_, err := Start(context.Background(), Options{})
	require.ErrorIs(t, err, ErrNotInstalled)
	require.ErrorContains(t, err, "/nowhere")
	require.ErrorContains(t, err, "apt-get install postgresql")
}

func TestNewestVersionIsChosen(t *testing.T) {
	require.Equal(t, 15, majorVersion("/usr/lib/postgresql/15/bin"))
	require.Equal(t, 18, majorVersion("/opt/homebrew/opt/postgresql@18/bin"))
	require.Equal(t, 0, majorVersion("/usr/bin"))
}

// TestServerDiesWithItsParent runs this test binary as a parent that is
// killed: see TestMain.
func TestServerDiesWithItsParent(t *testing.T) {
	t.Setenv("TMPDIR", publicTempDir(t))
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line := make([]byte, 32)
	n, err := out.Read(line)
	require.NoError(t, err)
	pid, err := strconv.Atoi(string(line[:n]))
	require.NoError(t, err)
	require.False(t, ended(pid))
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	requireGone(t, pid)

	next := start(t, Options{})
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	require.NoError(t, err)
	require.Equal(t, []string{next.dir}, left, "the next server removes what was left")
	require.NoError(t, next.Close())
}

func TestDirectoriesInUseStay(t *testing.T) {
	first := start(t, Options{})
	removeAbandoned()
	require.Equal(t, "1", scalar(t, first, "SELECT 1"))
}

// publicTempDir is a temporary directory that other users may enter too, as
// the one that runs PostgreSQL when root runs the tests.
func publicTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tg-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return ended(pid) }, 10*time.Second, 10*time.Millisecond)
}

func TestServersLiveInMemoryWhereThereIsPlenty(t *testing.T) {
	t.Setenv("TMPDIR", "")
	if memoryHasRoom() {
		require.Equal(t, memoryDir, parentDir())
	} else {
		require.Equal(t, os.TempDir(), parentDir())
	}
	t.Setenv("TMPDIR", "/elsewhere")
	require.Equal(t, "/elsewhere", parentDir())
}

package proxy

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// A terminal is psql as somebody uses it.
type terminal struct {
	t        *testing.T
	keyboard *os.File
	cmd      *exec.Cmd
	reading  sync.WaitGroup

	mu     sync.Mutex
	screen strings.Builder
}

// startTerminal opens a pseudo-terminal and psql in it.
func startTerminal(t *testing.T, bin, url string) *terminal {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	fd := int(keyboard.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	defer tty.Close()
	s := &terminal{t: t, keyboard: keyboard}
	s.cmd = exec.Command(filepath.Join(bin, "psql"), "-X", "--no-readline", "-v", "VERBOSITY=verbose", url)
	s.cmd.Env = append(os.Environ(), "PAGER=", "LC_ALL=C.UTF-8", "TERM=dumb")
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, s.cmd.Start())
	s.reading.Go(s.read)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		_ = keyboard.Close()
		s.reading.Wait()
		if t.Failed() {
			t.Logf("the screen:\n%s", s.screen.String())
		}
	})
	return s
}

// read keeps what is shown, of which long results are cut.
func (s *terminal) read() {
	buf := make([]byte, 4<<10)
	for {
		n, err := s.keyboard.Read(buf)
		s.mu.Lock()
		if s.screen.Len() > 64<<10 {
			tail := s.screen.String()[60<<10:]
			s.screen.Reset()
			s.screen.WriteString(tail)
		}
		s.screen.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// types types, and forgets what has been shown.
func (s *terminal) types(text string) {
	s.t.Helper()
	s.mu.Lock()
	s.screen.Reset()
	s.mu.Unlock()
	_, err := s.keyboard.WriteString(text)
	require.NoError(s.t, err)
}

// shows waits until a text is shown.
func (s *terminal) shows(text string) {
	s.t.Helper()
	eventually(s.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.screen.String(), text)
	}, "%q is not shown", text)
}

// interrupted presses ^C until a text is shown: psql may not have begun.
func (s *terminal) interrupted(text string) {
	s.t.Helper()
	eventually(s.t, func() bool {
		s.mu.Lock()
		shown := strings.Contains(s.screen.String(), text)
		s.mu.Unlock()
		if !shown {
			_, err := s.keyboard.Write([]byte{3})
			require.NoError(s.t, err)
			time.Sleep(100 * time.Millisecond)
		}
		return shown
	}, "%q is not shown", text)
}

// alive checks that the same session goes on.
func (s *terminal) alive() {
	s.t.Helper()
	s.types("SELECT 'a' || 'live', count(*) FROM log_lines WHERE level = 'gone';\n")
	s.shows("alive    |     0")
}

// copyInto is a COPY from the client, and a line for it, of a tenant or of an
// operator, for whom nothing fills the tenant column.
func copyInto(login, level string) (sql, line string) {
	if login == "ops" {
		return "COPY log_lines (tenant_id, level, line) FROM STDIN", "1\t" + level + "\tline\n"
	}
	return "COPY log_lines (level, line) FROM STDIN", level + "\tline\n"
}

func TestInterruptInPsqlCancelsAndTheSessionGoesOn(t *testing.T) {
	for _, login := range []string{"tenant1", "ops"} {
		t.Run(login, func(t *testing.T) {
			c := clinic.New(t, 1)
			g := open(t, c, Rewrite, poolOf(1))
			s := startTerminal(t, c.Server.BinDir(), g.url(login))
			s.shows("=> ")
			busy := func() {
				t.Helper()
				eventually(t, func() bool { return g.poolFor(login) != nil && g.poolFor(login).Stat().Leased == 1 }, "the statement runs")
			}

			s.types(long + ";\n")
			runs(t, c, g.database, long)
			s.interrupted("57014: canceling statement due to user request")
			s.alive()

			s.types("BEGIN;\nUPDATE log_lines SET level = 'gone';\nSELECT 'be' || 'gun';\n")
			s.shows("begun")
			s.types(long + ";\n")
			runs(t, c, g.database, long)
			s.interrupted("57014: canceling statement due to user request")
			s.types("SELECT 1;\n")
			s.shows("25P02")
			s.types("COMMIT;\n")
			s.shows("ROLLBACK")
			s.alive()

			s.types("COPY (" + endless + ") TO STDOUT;\n")
			s.shows(strings.Repeat("x", 200))
			s.interrupted("57014: canceling statement due to user request")
			s.alive()

			sql, line := copyInto(login, "gone")
			s.types(sql + ";\n")
			s.shows(">> ")
			s.types(line)
			busy()
			s.interrupted("57014: COPY from stdin failed: canceled by user")
			s.alive()

			s.types("\\q\n")
			require.NoError(t, s.cmd.Wait())
			allBack(t, g.poolFor(login))
			require.Zero(t, g.poolFor(login).Stat().Destroyed)
		})
	}
}

// feed is the client's side of a COPY that goes on until it is told to end.
type feed struct {
	line  []byte
	taken chan struct{} // a value for each line that was asked for
	end   chan struct{}
}

func (f *feed) Read(p []byte) (int, error) {
	select {
	case f.taken <- struct{}{}:
		return copy(p, f.line), nil
	case <-f.end:
		return 0, io.EOF
	}
}

func TestCancelEndsACopyFromTheClient(t *testing.T) {
	for _, login := range []string{"tenant1", "ops"} {
		t.Run(login, func(t *testing.T) {
			c := clinic.New(t, 1)
			g := open(t, c, Rewrite, poolOf(1))
			conn := pgtest.Connect(t, g.url(login))
			sql, line := copyInto(login, "gone")
			f := &feed{line: []byte(line), taken: make(chan struct{}), end: make(chan struct{})}
			ended := make(chan error, 1)
			go func() {
				_, err := conn.CopyFrom(context.Background(), f, sql)
				ended <- err
			}()
			<-f.taken
			runs(t, c, g.database, "COPY")
			require.NoError(t, conn.CancelRequest(t.Context()))
			var err error
			for going := true; going; { // PostgreSQL, too, tells a client at its next message
				select {
				case <-f.taken:
				case err = <-ended:
					going = false
				}
			}
			e := pgError(t, err)
			require.Equal(t, "57014", e.Code)
			require.Contains(t, e.Message, "canceling statement due to user request")
			require.Equal(t, "0", pgtest.Must(t, conn, "SELECT count(*) FROM log_lines WHERE level = 'gone'")[0][0])

			// The next COPY is not the one that was cancelled.
			sql, line = copyInto(login, "kept")
			_, err = conn.CopyFrom(t.Context(), strings.NewReader(line), sql)
			require.NoError(t, err)
			require.Equal(t, "1", pgtest.Must(t, conn, "SELECT count(*) FROM log_lines WHERE level = 'kept'")[0][0])
			allBack(t, g.poolFor(login))
			require.Zero(t, g.poolFor(login).Stat().Destroyed)
		})
	}
}

// heldRow makes a row that statements wait for until release is called.
func heldRow(t *testing.T, c *clinic.Clinic, g *gate) (release func()) {
	t.Helper()
	pgtest.Must(t, g.tenant("1"), "INSERT INTO log_lines (level, line) VALUES ('held', 'row')")
	holder := pgtest.Connect(t, c.Server.SuperuserURL(g.database))
	pgtest.Must(t, holder, "BEGIN")
	pgtest.Must(t, holder, "UPDATE log_lines SET line = line WHERE level = 'held'")
	return func() { pgtest.Must(t, holder, "ROLLBACK") }
}

const waitsForRow = "UPDATE log_lines SET line = line WHERE level = 'held'"

// waitsForLock waits until a statement does.
func waitsForLock(t *testing.T, c *clinic.Clinic, g *gate) {
	t.Helper()
	admin := pgtest.Connect(t, c.Server.SuperuserURL("postgres"))
	eventually(t, func() bool {
		return len(pgtest.Must(t, admin, "SELECT FROM pg_stat_activity WHERE datname = '"+g.database+"' AND wait_event_type = 'Lock'")) == 1
	}, "no statement waits for a lock")
	require.NoError(t, admin.Close(t.Context()))
}

func TestCancelOfAPipelineUndoesAllOfItsGroup(t *testing.T) {
	c := clinic.New(t, 1)
	g := open(t, c, Both, poolOf(1))
	conn := g.tenant("1")
	release := heldRow(t, c, g)
	for range 3 {
		batch := &pgconn.Batch{}
		batch.ExecParams("INSERT INTO log_lines (level, line) VALUES ('gone', 'never')", nil, nil, nil, nil)
		batch.ExecParams(waitsForRow, nil, nil, nil, nil)
		batch.ExecParams("INSERT INTO log_lines (level, line) VALUES ('gone', 'never')", nil, nil, nil, nil)
		failed := make(chan error, 1)
		go func() {
			_, err := conn.ExecBatch(context.Background(), batch).ReadAll()
			failed <- err
		}()
		waitsForLock(t, c, g)
		require.NoError(t, conn.CancelRequest(t.Context()))
		require.Equal(t, "57014", pgError(t, <-failed).Code)
		require.Equal(t, "0", pgtest.Must(t, conn, "SELECT count(*) FROM log_lines WHERE level = 'gone'")[0][0])
	}

	pipeline := conn.StartPipeline(t.Context())
	for _, sql := range []string{
		"INSERT INTO log_lines (level, line) VALUES ('first', 'line')", waitsForRow, "INSERT INTO log_lines (level, line) VALUES ('third', 'line')",
	} {
		pipeline.SendQueryParams(sql, nil, nil, nil, nil)
		require.NoError(t, pipeline.Sync())
	}
	waitsForLock(t, c, g)
	require.NoError(t, conn.CancelRequest(t.Context()))
	var codes []string
	for groups := 0; groups < 3; {
		results, err := pipeline.GetResults()
		if _, ended := results.(*pgconn.PipelineSync); ended {
			groups++
			continue
		}
		if r, ok := results.(*pgconn.ResultReader); ok {
			_, err = r.Close()
		}
		codes = append(codes, ended(err))
	}
	require.NoError(t, pipeline.Close())
	require.Equal(t, []string{"", "57014", ""}, codes)
	require.Equal(t, "2", pgtest.Must(t, conn, "SELECT count(*) FROM log_lines WHERE level IN ('first', 'third')")[0][0])
	release()
	pgtest.Must(t, conn, waitsForRow)
	require.Zero(t, g.pool().Stat().Destroyed)
}

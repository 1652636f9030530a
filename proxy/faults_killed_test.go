package proxy

import (
	"context"
	"errors"
	"io"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/pool"
)

// endless is a result that nobody reads to its end.
const endless = "SELECT a, repeat('x', 200) FROM generate_series(1, 20000) a, generate_series(1, 20000) b"

// A killer ends the server process of a session.
type killer struct {
	name  string
	crash bool // the server ends all others as well, and recovers
	kill  func(t *testing.T, c *clinic.Clinic, pid int)
}

var killers = []killer{
	{name: "terminated", kill: func(t *testing.T, c *clinic.Clinic, pid int) {
		require.NoError(t, c.Server.Exec(t.Context(), "postgres", "SELECT pg_terminate_backend("+strconv.Itoa(pid)+", 10000)"))
	}},
	{name: "killed", crash: true, kill: func(t *testing.T, _ *clinic.Clinic, pid int) {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }, "the process goes on")
	}},
}

// A victim is a session whose server process ends.
type victim struct {
	t     *testing.T
	c     *clinic.Clinic
	g     *gate
	login string
	conn  *pgconn.PgConn
	pool  *pool.Pool
	kill  func(pid int)
}

func (v *victim) process() int {
	pid, err := strconv.Atoi(pgtest.Must(v.t, v.conn, "SELECT pg_backend_pid()")[0][0])
	require.NoError(v.t, err)
	return pid
}

// leased is the process of the one server connection that is.
func (v *victim) leased() int {
	for _, c := range v.pool.Conns() {
		if c.Leased {
			return int(c.PID)
		}
	}
	v.t.Fatal("no server connection is leased")
	return 0
}

// hold has statements wait for a row until release is called.
func (v *victim) hold() (release func()) {
	holder := pgtest.Connect(v.t, v.c.Server.SuperuserURL(v.g.database))
	pgtest.Must(v.t, holder, "INSERT INTO done VALUES (1, 'held')")
	pgtest.Must(v.t, holder, "BEGIN")
	pgtest.Must(v.t, holder, "SELECT FROM done WHERE mark = 'held' FOR UPDATE")
	return func() { _ = holder.Close(context.Background()) }
}

// moments are when the process ends, and what the client sees of it.
var moments = []struct {
	name string
	run  func(v *victim)
}{
	{"between statements", func(v *victim) {
		v.kill(v.process())
		pgtest.Must(v.t, v.conn, "INSERT INTO done (mark) VALUES ('between')") // sees nothing
		require.Equal(v.t, "1", times(v.t, v.c, v.g.database, "between"))
	}},
	{"in mid-statement", func(v *victim) {
		const sql = "INSERT INTO done (mark) SELECT 'statement' FROM generate_series(1, 2000000000) a"
		failed := inBackground(v.conn, sql)
		v.kill(runs(v.t, v.c, v.g.database, sql))
		require.Contains(v.t, lostCodes, ended(<-failed))
		require.Equal(v.t, "0", times(v.t, v.c, v.g.database, "statement"))
	}},
	{"in mid-transaction", func(v *victim) {
		pgtest.Must(v.t, v.conn, "BEGIN")
		pgtest.Must(v.t, v.conn, "INSERT INTO done (mark) VALUES ('transaction')")
		v.kill(v.process())
		require.Contains(v.t, lostCodes, ended(simple(v.conn, "INSERT INTO done (mark) VALUES ('transaction')")))
		require.EqualValues(v.t, 'E', v.conn.TxStatus()) // or the rest would run by itself
		require.Equal(v.t, "25P02", ended(simple(v.conn, "INSERT INTO done (mark) VALUES ('transaction')")))
		require.Equal(v.t, "25P02", ended(simple(v.conn, "SELECT 1; COMMIT")))
		require.Equal(v.t, "ROLLBACK", pgtest.Simple(v.t, v.conn, "COMMIT")[0].Tag)
		require.Equal(v.t, "0", times(v.t, v.c, v.g.database, "transaction"))
	}},
	{"in mid-transaction of the extended protocol", func(v *victim) {
		require.Empty(v.t, pgtest.Extended(v.t, v.conn, "SET TimeZone = 'Asia/Tokyo'").Code)
		require.Empty(v.t, pgtest.Extended(v.t, v.conn, "BEGIN").Code)
		require.Empty(v.t, pgtest.Extended(v.t, v.conn, "SAVEPOINT a").Code)
		const sql = "INSERT INTO done (mark) VALUES ('extended')"
		require.Empty(v.t, pgtest.Extended(v.t, v.conn, sql).Code)
		v.kill(v.process())
		require.Contains(v.t, lostCodes, pgtest.Extended(v.t, v.conn, sql).Code)
		require.Equal(v.t, "25P02", pgtest.Extended(v.t, v.conn, sql).Code)
		require.Equal(v.t, "3B001", pgtest.Extended(v.t, v.conn, "ROLLBACK TO a").Code)
		require.EqualValues(v.t, 'E', v.conn.TxStatus())
		require.Equal(v.t, "ROLLBACK", pgtest.Extended(v.t, v.conn, "COMMIT").Tag)
		require.EqualValues(v.t, 'I', v.conn.TxStatus())
		require.Equal(v.t, "Asia/Tokyo", pgtest.Must(v.t, v.conn, "SHOW TimeZone")[0][0])
		require.Equal(v.t, "0", times(v.t, v.c, v.g.database, "extended"))
	}},
	{"at BEGIN, which does not begin a transaction then", func(v *victim) {
		release := v.hold()
		failed := inBackground(v.conn, "SELECT mark FROM done WHERE mark = 'held' FOR UPDATE; BEGIN")
		v.kill(runs(v.t, v.c, v.g.database, "FOR UPDATE"))
		require.Contains(v.t, lostCodes, ended(<-failed))
		release()
		require.EqualValues(v.t, 'I', v.conn.TxStatus())
	}},
	{"at several statements of one message", func(v *victim) {
		failed := inBackground(v.conn, "BEGIN; INSERT INTO done (mark) VALUES ('message'); "+long)
		v.kill(runs(v.t, v.c, v.g.database, long))
		require.Contains(v.t, lostCodes, ended(<-failed))
		require.EqualValues(v.t, 'E', v.conn.TxStatus())
		require.Equal(v.t, "25P02", ended(simple(v.conn, "INSERT INTO done (mark) VALUES ('message')")))
		require.Empty(v.t, ended(simple(v.conn, "ROLLBACK; INSERT INTO done (mark) VALUES ('next')")))
		require.Equal(v.t, "0", times(v.t, v.c, v.g.database, "message"))
		require.Equal(v.t, "1", times(v.t, v.c, v.g.database, "next"))
	}},
	{"in a pipeline", func(v *victim) {
		pid := v.process()
		batch := &pgconn.Batch{}
		batch.ExecParams("INSERT INTO done (mark) VALUES ('pipeline')", nil, nil, nil, nil)
		batch.ExecParams(long, nil, nil, nil, nil)
		batch.ExecParams("INSERT INTO done (mark) VALUES ('pipeline')", nil, nil, nil, nil)
		failed := make(chan error, 1)
		go func() {
			_, err := v.conn.ExecBatch(context.Background(), batch).ReadAll()
			failed <- err
		}()
		require.Equal(v.t, pid, runs(v.t, v.c, v.g.database, long))
		v.kill(pid)
		require.Contains(v.t, lostCodes, ended(<-failed))
		require.Equal(v.t, "0", times(v.t, v.c, v.g.database, "pipeline"))
	}},
	{"in a COPY from the client", func(v *victim) {
		reader, writer := io.Pipe()
		failed := make(chan error, 1)
		go func() {
			table := "done"
			if v.login == "ops" { // whom PostgreSQL does not let copy where there are policies
				table = "loose"
			}
			_, err := v.conn.CopyFrom(context.Background(), reader, "COPY "+table+" (mark) FROM STDIN")
			_ = reader.CloseWithError(io.ErrClosedPipe)
			failed <- err
		}()
		_, err := writer.Write([]byte("copied\ncopied\n"))
		require.NoError(v.t, err)
		eventually(v.t, func() bool { return v.pool.Stat().Leased == 1 }, "the COPY has begun")
		v.kill(v.leased())
		for err == nil { // until the proxy says that it has ended
			_, err = writer.Write([]byte("copied\n"))
		}
		require.Contains(v.t, lostCodes, ended(<-failed))
		require.Equal(v.t, "0", times(v.t, v.c, v.g.database, "copied"))
	}},
	{"in mid-result", func(v *victim) {
		result := v.conn.Exec(v.t.Context(), endless)
		require.True(v.t, result.NextResult())
		require.True(v.t, result.ResultReader().NextRow())
		rows := result.ResultReader()
		v.kill(v.leased())
		for rows.NextRow() { // what was under way still comes
			require.Len(v.t, rows.Values()[1], 200)
		}
		// In the middle of a row there is no place for an error: the connection ends.
		require.Contains(v.t, append([]string{"gone"}, lostCodes...), ended(result.Close()))
	}},
}

// lostCodes are the SQLSTATEs of a server that ends, and of one that says
// nothing before it does.
var lostCodes = []string{"57P01", "08006"}

func TestServerProcessThatEndsIsReportedOnceAndReplaced(t *testing.T) {
	nothingLeaks(t)
	c := ward(t, nil)
	for i, k := range killers {
		logins := []string{"ops", "tenant1"}
		if faults(t) == 1 { // each once
			logins = logins[i : i+1]
		}
		for _, login := range logins {
			t.Run(k.name+"/"+login, func(t *testing.T) {
				g := open(t, c, RLS, poolOf(1))
				for turn := range len(moments) * faults(t) {
					moment := moments[turn%len(moments)]
					t.Run(moment.name, func(t *testing.T) {
						pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL("ward")), "TRUNCATE done, loose")
						conn := pgtest.Connect(t, g.url(login))
						v := &victim{t: t, c: c, g: g, login: login, conn: conn, pool: g.poolFor(login), kill: func(pid int) { k.kill(t, c, pid) }}
						moment.run(v)
						if k.crash {
							eventually(t, func() bool { return c.Server.Exec(t.Context(), "postgres", "") == nil }, "the server does not recover")
						}
						if !conn.IsClosed() {
							require.EqualValues(t, 'I', conn.TxStatus())
							pgtest.Must(t, conn, "INSERT INTO done (mark) VALUES ('after')")
							require.Equal(t, "1", times(t, c, "ward", "after"))
						}
						allBack(t, v.pool)
					})
				}
			})
		}
	}
}

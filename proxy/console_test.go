package proxy

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	_ "github.com/lib/pq"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

func TestConsoleSpeaksWithPsql(t *testing.T) {
	c := clinic.New(t, 2)
	g := open(t, c, Both, func(cfg *Config) {
		poolOf(3)(cfg)
		cfg.Version = "1.2.3"
		cfg.Shown = []Setting{{"tenancy.enforce", "both"}}
	})
	one := g.tenant("1")
	require.Equal(t, "42501", pgtest.Simple(t, one, "CREATE TABLE mine ()")[0].Code)
	pgtest.Must(t, one, "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT 1; COMMIT")
	pid := pgtest.Must(t, one, "SELECT pg_backend_pid()")[0][0]
	pgtest.Must(t, g.tenant("2"), "SELECT 1")
	ask := func(command string) string {
		t.Helper()
		out, err := exec.Command(filepath.Join(c.Server.BinDir(), "psql"), "-XAtq", "-F", "|", "-c", command, g.console()).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	session := fmt.Sprint(one.PID())
	g.settled()
	require.Equal(t, "tenantgate 1.2.3\n", ask("SHOW VERSION"))
	require.Equal(t, "tenancy.enforce|both\n", ask("show config;"))
	require.Equal(t, "tenant1|statement.ddl|42501|1|0\n", ask("SHOW REFUSALS"))
	require.Equal(t, "off|refusals are enforced|0\n", ask("SHOW OBSERVE"))
	require.Regexp(t, `(?m)^`+session+`\|tenant1\|tenant1\|127\.0\.0\.1:\d+\|no\|idle\|20\d\d-.* UTC\|\d+\|cursors with hold\|main\|`+g.database+`\|`+pid+`$`, ask("SHOW CLIENTS"))
	require.Regexp(t, `(?m)^\d+\|watcher\|\|127\.0\.0\.1:\d+\|no\|console\|20\d\d-.* UTC\|\d+\|\|\|tenantgate\|$`, ask("SHOW CLIENTS"))
	require.Regexp(t, `(?m)^`+pid+`\|main\|`+g.database+`\|active\|tenant1\|`+session+`\|20\d\d-.* UTC\|\d+\|cursors with hold$`, ask("SHOW SERVERS"))
	require.Regexp(t, `(?m)^\d+\|main\|`+g.database+`\|idle\|\|\|20\d\d-.* UTC\|\d+\|$`, ask("SHOW SERVERS"))
	require.Regexp(t, `^main\|`+g.database+`\|many\|3\|1\|1\|0\|0\|\d+\|\d+\|0\|2\|0\n$`, ask("SHOW POOLS"))
	require.Regexp(t, `^`+session+`\|tenant1\|tenant1\|cursors with hold\|20\d\d-.* UTC\|\d+\|idle\|main\|`+g.database+`\|`+pid+`\n$`, ask("SHOW PINS"))
	require.Regexp(t, `(?m)^tenant1\|main\|`+g.database+`\|no\|1\|0\|0\|1\|4\|1\|0$`, ask("SHOW TENANTS"))
	require.Regexp(t, `(?m)^gone\|main\|`+g.database+`\|yes\|0\|0\|0\|0\|0\|0\|0$`, ask("SHOW TENANTS"))
	require.Regexp(t, `(?m)^tenant2\|1\|1\|1\|\d+\|\d+\|\d+\|\d+\|0$`, ask("SHOW STATS"))
	for command := range showTables {
		if command != "HELP" {
			require.Contains(t, ask("SHOW HELP"), "SHOW "+command+"|")
		}
	}
	said := psql(t, c.Server.BinDir(), g.console(), "SHOW NOTHING;\nSELECT 1;\nRELOAD;\nSUSPEND;\nSHOW VERSION\\; SHOW HELP;\nKILL 0;\n\\echo still here\nSHOW VERSION;\n\\x\nSHOW OBSERVE;\n")
	for _, part := range []string{
		"ERROR:  42601: nothing to show is called \"NOTHING\"\nHINT:  SHOW HELP lists the commands.",
		"ERROR:  42601: the console has no command \"SELECT\"",
		"ERROR:  0A000: RELOAD is not supported\nHINT:  Restart the proxy with the changed file.",
		"ERROR:  0A000: SUSPEND is not supported",
		"ERROR:  42601: the console takes one command at a time",
		"ERROR:  42704: there is no session 0",
		"still here\n     version      \n------------------\n tenantgate 1.2.3\n(1 row)",
		"observe     | off",
	} {
		require.Contains(t, said, part)
	}
}

func TestConsoleIsLoudAboutObserving(t *testing.T) {
	var log journal
	c := clinic.New(t, 1)
	g := open(t, c, RLS, observing(&log))
	pgtest.Must(t, g.tenant("1"), "SELECT pg_sleep(0)")
	g.settled()
	said := psql(t, c.Server.BinDir(), g.console(), "SHOW OBSERVE;\nSHOW REFUSALS;\n")
	require.Contains(t, said, "WARNING:  observe is on: refusals are logged and NOT enforced")
	require.Regexp(t, `on +\| observe is on.*\| +1\n`, said)
	require.Regexp(t, `tenant1 \| function.sleep \| 42501 +\| +0 \| +1\n`, said)
}

func TestConsoleSpeaksWithPgxAndPq(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		config, err := pgx.ParseConfig(g.console())
		require.NoError(t, err)
		config.DefaultQueryExecMode = mode
		conn, err := pgx.ConnectConfig(t.Context(), config)
		require.NoError(t, err)
		for range 2 { // the second time what was prepared is used again
			var id, age int64
			var login, tenant, addr, tls, state, begun, pinned, backend, database string
			var pid *int64
			require.NoError(t, conn.QueryRow(t.Context(), "SHOW CLIENTS").Scan(
				&id, &login, &tenant, &addr, &tls, &state, &begun, &age, &pinned, &backend, &database, &pid), mode)
			require.Equal(t, int64(conn.PgConn().PID()), id)
			require.Equal(t, "watcher", login)
			require.Nil(t, pid)
			var code *pgconn.PgError
			_, err = conn.Exec(t.Context(), "SHOW NOTHING")
			require.ErrorAs(t, err, &code)
			require.Equal(t, "42601", code.Code)
		}
		require.NoError(t, conn.Ping(t.Context()))
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		rows, err := tx.Query(t.Context(), "SHOW HELP")
		require.NoError(t, err)
		all, err := pgx.CollectRows(rows, pgx.RowToMap)
		require.NoError(t, err)
		require.Len(t, all, len(help))
		_, err = tx.Exec(t.Context(), "SELECT 1")
		require.Error(t, err)
		_, err = tx.Exec(t.Context(), "SHOW HELP")
		var aborted *pgconn.PgError
		require.ErrorAs(t, err, &aborted)
		require.Equal(t, "25P02", aborted.Code)
		require.NoError(t, tx.Rollback(t.Context()))
		require.NoError(t, conn.Close(t.Context()))
	}
	db, err := sql.Open("postgres", g.console())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var key, value string
	require.ErrorIs(t, db.QueryRowContext(t.Context(), "SHOW CONFIG").Scan(&key, &value), sql.ErrNoRows)
	prepared, err := db.PrepareContext(t.Context(), "SHOW server_version")
	require.NoError(t, err)
	require.NoError(t, prepared.QueryRowContext(t.Context()).Scan(&value))
	require.True(t, strings.HasPrefix(value, "16.0 (tenantgate "), value)
	require.NoError(t, prepared.Close())
}

// tell sends messages to a console and returns what comes up to ReadyForQuery,
// message for message.
func tell(t *testing.T, front *pgproto3.Frontend, msgs ...pgproto3.FrontendMessage) (answers []string) {
	t.Helper()
	for _, msg := range msgs {
		front.Send(msg)
	}
	require.NoError(t, front.Flush())
	for {
		msg, err := front.Receive()
		require.NoError(t, err)
		switch msg := msg.(type) {
		case *pgproto3.ErrorResponse:
			answers = append(answers, msg.Code)
		case *pgproto3.CommandComplete:
			answers = append(answers, string(msg.CommandTag))
		case *pgproto3.ReadyForQuery:
			return append(answers, string(msg.TxStatus))
		default:
			answers = append(answers, strings.TrimPrefix(fmt.Sprintf("%T", msg), "*pgproto3."))
		}
	}
}

func TestConsoleKeepsTheExtendedProtocol(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	conn := pgtest.Connect(t, g.console())
	front := conn.Frontend()
	parse := &pgproto3.Parse{Name: "s", Query: "SHOW HELP"}
	bind := &pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s"}
	execute := func(rows uint32) *pgproto3.Execute { return &pgproto3.Execute{Portal: "p", MaxRows: rows} }
	sync := &pgproto3.Sync{}
	require.Equal(t, []string{"ParseComplete", "ParameterDescription", "RowDescription", "I"},
		tell(t, front, parse, &pgproto3.Describe{ObjectType: 'S', Name: "s"}, sync))
	require.Equal(t, []string{"BindComplete", "RowDescription", "DataRow", "DataRow", "PortalSuspended", "DataRow", "PortalSuspended", "CloseComplete", "I"},
		tell(t, front, bind, &pgproto3.Describe{ObjectType: 'P', Name: "p"}, execute(2), execute(1), &pgproto3.Close{ObjectType: 'P', Name: "p"}, sync))
	require.Equal(t, []string{"34000", "I"}, tell(t, front, execute(0), bind, sync), "the portal is gone, and the rest is passed over")
	require.Equal(t, []string{"42P05", "I"}, tell(t, front, parse, sync))
	require.Equal(t, []string{"26000", "I"}, tell(t, front, &pgproto3.Bind{PreparedStatement: "other"}, sync))
	require.Equal(t, []string{"08P01", "I"}, tell(t, front, &pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{[]byte("1")}}, sync))
	require.Equal(t, []string{"08P01", "I"}, tell(t, front, &pgproto3.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{0, 1, 0}}, sync))
	require.Equal(t, []string{"22023", "I"}, tell(t, front, &pgproto3.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{2}}, sync))
	require.Equal(t, []string{"42601", "I"}, tell(t, front, &pgproto3.Parse{Query: "SHOW HELP", ParameterOIDs: []uint32{25}}, sync))
	require.Equal(t, []string{"CloseComplete", "ParseComplete", "BindComplete", "NoData", "BEGIN", "55000", "E"}, tell(t, front,
		&pgproto3.Close{ObjectType: 'S', Name: "s"}, &pgproto3.Parse{Name: "s", Query: "BEGIN"}, bind, &pgproto3.Describe{ObjectType: 'P', Name: "p"}, execute(0), execute(0), sync))
	require.Equal(t, []string{"ROLLBACK", "I"}, tell(t, front, &pgproto3.Query{String: "COMMIT"}))
	require.Equal(t, []string{"ParseComplete", "BindComplete", "EmptyQueryResponse", "I"},
		tell(t, front, &pgproto3.Parse{Query: " -- nothing"}, &pgproto3.Bind{}, &pgproto3.Execute{}, sync))
	require.Equal(t, []string{"EmptyQueryResponse", "I"}, tell(t, front, &pgproto3.Query{String: ";"}))
	require.Equal(t, []string{"SET", "I"}, tell(t, front, &pgproto3.Query{String: "SET SESSION extra_float_digits = 3"}))
	require.Equal(t, []string{"0A000", "I"}, tell(t, front, &pgproto3.Query{String: "SET observe = off"}))

	front.Send(&pgproto3.FunctionCall{})
	require.NoError(t, front.Flush())
	msg, err := front.Receive()
	require.NoError(t, err)
	require.Equal(t, "08P01", msg.(*pgproto3.ErrorResponse).Code)
	_, err = front.Receive()
	require.Error(t, err, "the console ends")
}

func TestConsoleBoundsWhatOneClientKeepsThere(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	front := pgtest.Connect(t, g.console()).Frontend()
	for i := range maxConsoleNames {
		front.Send(&pgproto3.Parse{Name: fmt.Sprint(i), Query: "SHOW HELP"})
	}
	answers := tell(t, front, &pgproto3.Parse{Name: "more", Query: "SHOW HELP"}, &pgproto3.Sync{})
	require.Equal(t, []string{"ParseComplete", "54000", "I"}, answers[maxConsoleNames-1:])
	front.Send(&pgproto3.Query{String: strings.Repeat(" ", maxConsoleMessage+1)})
	require.NoError(t, front.Flush())
	msg, err := front.Receive()
	require.NoError(t, err)
	require.Equal(t, "08P01", msg.(*pgproto3.ErrorResponse).Code)
}

func TestConsoleIsForLoginsThatHaveIt(t *testing.T) {
	var log journal
	g := open(t, clinic.New(t, 2), RLS, func(cfg *Config) {
		cfg.Log = zerolog.New(&log).Level(zerolog.InfoLevel)
		cfg.Shown = []Setting{{"config", "tenantgate.yaml"}}
	})
	for _, login := range []string{"tenant1", "both", "ops"} {
		_, err := pgconn.Connect(t.Context(), strings.Replace(g.console(), "watcher", login, 1))
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, login)
		require.Equal(t, "3D000", refused.Code, login)
	}
	_, err := pgconn.Connect(t.Context(), strings.Replace(g.console(), "correct", "wrong", 1))
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "28P01", refused.Code)
	require.NotContains(t, log.take(), "console opened")
	// A login with a console is still an operator elsewhere.
	require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, pgtest.Connect(t, g.url("watcher")), "SELECT 1"))
	require.NotContains(t, log.take(), "console opened")
	conn := pgtest.Connect(t, g.console())
	opened := ""
	eventually(t, func() bool {
		opened += log.take()
		return strings.Contains(opened, "console opened")
	}, "the log tells of the console")

	pgtest.Must(t, g.tenant("1"), "SELECT 'a secret'")
	for name := range showTables {
		for _, row := range pgtest.Must(t, conn, "SHOW "+name) {
			for _, secret := range []string{password, clinic.Password, "SCRAM", "a secret"} {
				require.NotContains(t, strings.Join(row, " "), secret, name)
			}
		}
	}
}

func TestKilledSessionIsToldAndItsStatementCancelled(t *testing.T) {
	g := open(t, clinic.New(t, 2), RLS, poolOf(2))
	console := pgtest.Connect(t, g.console())
	idle, busy, other := g.tenant("1"), g.tenant("1"), g.tenant("2")
	ended := func(conn *pgconn.PgConn) {
		t.Helper()
		err := conn.Exec(context.Background(), "SELECT 1").Close()
		var fatal *pgconn.PgError
		require.ErrorAs(t, err, &fatal)
		require.Equal(t, "57P01", fatal.Code)
	}
	pgtest.Must(t, console, fmt.Sprintf("KILL %d", idle.PID()))
	ended(idle)
	pgtest.Must(t, busy, "BEGIN")
	cancelled := make(chan error, 1)
	go func() {
		cancelled <- busy.Exec(context.Background(), "SELECT count(*) FROM generate_series(1, 10000000000)").Close()
	}()
	require.Eventually(t, func() bool {
		for _, row := range pgtest.Must(t, console, "SHOW CLIENTS") {
			if row[0] == fmt.Sprint(busy.PID()) && row[5] == "active" && row[11] != "" {
				return true
			}
		}
		return false
	}, 10*time.Second, 5*time.Millisecond)
	time.Sleep(50 * time.Millisecond) // for the statement to reach the server
	pgtest.Must(t, console, fmt.Sprintf("KILL %d", busy.PID()))
	select {
	case err := <-cancelled:
		var fatal *pgconn.PgError
		require.ErrorAs(t, err, &fatal)
		require.Contains(t, []string{"57014", "57P01"}, fatal.Code)
	case <-time.After(2 * killTimeout):
		t.Fatal("the statement goes on")
	}
	require.Eventually(t, func() bool { return len(pgtest.Must(t, console, "SHOW CLIENTS")) == 2 }, 10*time.Second, 5*time.Millisecond)
	for range 3 {
		require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, other, "SELECT DISTINCT tenant_id FROM patients"))
	}
	// One that waits for a server connection ends when it gets one.
	holders := []*pgconn.PgConn{other, g.tenant("2")}
	for _, holder := range holders {
		pgtest.Must(t, holder, "BEGIN")
		pgtest.Must(t, holder, "SELECT 1")
	}
	waiting := g.tenant("1")
	go func() { cancelled <- waiting.Exec(context.Background(), "SELECT count(*) FROM patients").Close() }()
	require.Eventually(t, func() bool { return g.pool().Stat().Waiting == 1 }, 10*time.Second, 5*time.Millisecond)
	pgtest.Must(t, console, fmt.Sprintf("KILL %d", waiting.PID()))
	pgtest.Must(t, holders[0], "COMMIT")
	var fatal *pgconn.PgError
	require.ErrorAs(t, <-cancelled, &fatal)
	require.Equal(t, "57P01", fatal.Code)
	pgtest.Must(t, holders[1], "COMMIT")
	again := pgtest.Connect(t, g.console())
	pgtest.Must(t, console, fmt.Sprintf("KILL %d", again.PID()))
	ended(again)
}

func TestShutdownEndsConsoles(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	conn := pgtest.Connect(t, g.console())
	require.NoError(t, g.server.Shutdown(context.Background()))
	err := conn.Exec(context.Background(), "SHOW VERSION").Close()
	var fatal *pgconn.PgError
	require.ErrorAs(t, err, &fatal)
	require.Equal(t, "57P01", fatal.Code)
}

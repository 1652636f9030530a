package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/pool"
)

// owner is the login of a gate's superuser.
const owner = "owner"

// openOperators starts a proxy with logins of operators over few server
// connections, before a database of its own.
func openOperators(t *testing.T, size int) (g *gate, direct string) {
	t.Helper()
	c := clinic.New(t, 2)
	direct = c.Server.SuperuserURL(pgtest.Database(t, ""))
	g = open(t, c, RLS, func(cfg *Config) {
		var err error
		cfg.Auth, err = auth.New(auth.Config{
			Tenants: []auth.Tenant{{ID: "tenant1", Key: "1", Backend: "main"}},
			Logins: []auth.Login{
				{User: "tenant1", Password: password, Tenants: []string{"tenant1"}},
				{User: "ops", Password: password, Operator: true, Backend: "main"},
				{User: owner, Password: password, Operator: true, URL: direct},
				{User: "migrator", Password: password, Operator: true, URL: c.Server.SuperuserURL(c.Policies())},
			},
		})
		require.NoError(t, err)
		cfg.Operators = pool.Config{Size: size}
	})
	config, err := pgconn.ParseConfig(direct)
	require.NoError(t, err)
	g.database = config.Database
	return g, direct
}

// operatorScripts are what two sessions send, in turn as their prefixes say.
// Between transactions a third one takes part in the pool.
var operatorScripts = map[string][]string{
	"settings": {
		"a: SET DateStyle = 'German'", "b: SHOW DateStyle", "a: SHOW DateStyle", "a: SET app.custom = 'mine'", "b: SELECT coalesce(current_setting('app.custom', true), '')",
		"a: SELECT current_setting('app.custom')", "a: BEGIN", "a: SET work_mem = '7MB'", "a: ROLLBACK", "a: SHOW work_mem",
		"a: SELECT set_config('statement_timeout', '77s', false)", "b: SHOW statement_timeout", "a: SHOW statement_timeout",
		"a: SET LOCAL work_mem = '9MB'", "a: RESET DateStyle", "a: SHOW DateStyle", "b: SET search_path = pg_catalog", "a: SHOW search_path", "b: SHOW search_path",
		"b: RESET ALL", "b: SHOW search_path", "a: SHOW statement_timeout",
		"a: DO $$BEGIN PERFORM set_config('lock_timeout', '5s', false); PERFORM set_config('app.hidden', 'x', false); END$$",
		"a: SHOW lock_timeout", "b: SHOW lock_timeout", "b: SELECT coalesce(current_setting('app.hidden', true), '')",
		"a: SET nosuch = 1", "a: SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "a: SHOW default_transaction_read_only",
		"b: SHOW default_transaction_read_only", "a: DISCARD ALL", "a: SHOW default_transaction_read_only", "a: SHOW lock_timeout",
		"a: SET TIME ZONE 'Asia/Tokyo'", "a: SELECT '2024-01-01 00:00Z'::timestamptz", "b: SELECT '2024-01-01 00:00Z'::timestamptz::date",
		"a: SET client_encoding = 'LATIN1'; SET app.other = 'y'", "a: SHOW client_encoding", "b: SHOW client_encoding", "a: SHOW app.other", "a: SELECT 'x'",
		"a: SET client_encoding = 'UTF8'", "a: SET NAMES 'UTF8'",
	},
	"temporary tables": {
		"a: CREATE TEMP TABLE scratch (n int)", "b: SELECT * FROM scratch", "a: INSERT INTO scratch VALUES (1), (2)", "a: SELECT sum(n) FROM scratch",
		"b: CREATE TEMP TABLE scratch (t text)", "b: SELECT count(*) FROM scratch", "a: DROP TABLE scratch", "a: SELECT 1", "b: SELECT count(*) FROM scratch",
		"b: SELECT 1 AS one INTO TEMP other", "b: TABLE other", "b: DISCARD TEMP", "b: TABLE other", "b: SELECT 1",
		"a: CREATE FUNCTION pg_temp.twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'", "a: SELECT pg_temp.twice(4)", "b: SELECT to_regprocedure('pg_temp.twice(int)')", "a: DISCARD ALL", "a: SELECT pg_temp.twice(4)",
		"a: DO $$BEGIN CREATE TEMP TABLE made (n) AS SELECT 5; END$$", "a: TABLE made", "b: TABLE made", "a: DROP TABLE made",
	},
	"locks": {
		"a: SELECT pg_try_advisory_lock(11)", "b: SELECT pg_try_advisory_lock(11)", "a: SELECT pg_advisory_unlock(11)", "b: SELECT pg_try_advisory_lock(11)",
		"b: SELECT pg_advisory_unlock_all()", "a: BEGIN", "a: SELECT pg_try_advisory_xact_lock(12)", "b: SELECT pg_try_advisory_xact_lock(12)", "a: COMMIT",
		"b: SELECT pg_try_advisory_xact_lock(12)",
	},
	"prepared": {
		"a: PREPARE p (int) AS SELECT $1 + 1", "a: EXECUTE p (1)", "b: EXECUTE p (1)", "b: PREPARE p (text) AS SELECT $1 || 'b'", "b: EXECUTE p ('x')",
		"a: EXECUTE p (2 + 3)", "a: PREPARE p AS SELECT 1", "a: EXPLAIN (COSTS OFF) EXECUTE p (1)", "a: DEALLOCATE p", "a: EXECUTE p (1)", "b: EXECUTE p ('y')",
		"b: DEALLOCATE ALL", "b: EXECUTE p ('y')", "a: PREPARE q AS SELECT 7; EXECUTE q", "a: DEALLOCATE ALL; SELECT 8", "a: EXECUTE q", "a: SELECT 9",
	},
	"cursors and transactions": {
		"a: BEGIN", "a: DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 5)", "a: FETCH 2 FROM c", "a: COMMIT", "b: FETCH 1 FROM c", "a: FETCH 2 FROM c",
		"a: CLOSE c", "a: FETCH 1 FROM c", "a: BEGIN; SELECT 1; SELECT 1 / 0; SELECT 2", "a: SELECT 1", "a: ROLLBACK", "a: SELECT 1; SELECT nosuch; SELECT 2",
		"b: BEGIN ISOLATION LEVEL SERIALIZABLE", "b: SHOW transaction_isolation", "b: SAVEPOINT s", "b: SELECT 1 / 0", "b: ROLLBACK TO s", "b: COMMIT AND CHAIN", "b: SELECT 1", "b: ROLLBACK",
		"a: SET TRANSACTION READ ONLY", "a: START TRANSACTION READ ONLY", "a: CREATE TABLE never (n int)", "a: COMMIT", "a: COMMIT", "a: ", "a: ;;", "a: SELECT 1;;SELECT 2;",
	},
	"definitions": {
		"a: CREATE TABLE things (id serial PRIMARY KEY, name text)", "b: INSERT INTO things (name) VALUES ('one') RETURNING id", "a: ALTER TABLE things ADD tag text DEFAULT 'x'",
		"b: SELECT * FROM things", "a: CREATE FUNCTION double(int) RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN $1 * 2; END$$", "b: SELECT double(21)",
		"a: CREATE INDEX CONCURRENTLY ON things (name)", "a: VACUUM things", "a: VACUUM ANALYZE things; SELECT 1", "b: CALL nosuch()", "b: TRUNCATE things", "b: TABLE things",
		"a: SELECT nosuch FROM things", "a: SELEC 1", "a: CREATE TABLE things (x int)", "a: DROP TABLE things", "b: TABLE things", "a: CREATE ROLE somebody", "a: SET ROLE somebody",
		"a: SELECT current_user", "b: SELECT current_user <> 'somebody'", "a: RESET ROLE", "a: SELECT current_user <> 'somebody'", "a: SET SESSION AUTHORIZATION somebody", "a: SELECT session_user", "b: SELECT session_user <> 'somebody'",
		"a: RESET SESSION AUTHORIZATION", "a: DROP ROLE somebody", "a: CREATE DATABASE nested_in_a_message; SELECT 1", "a: SELECT 1 WHERE 1 = JSON_VALUE('[1]', '$[0]' RETURNING int)",
		"b: DISCARD PLANS", "b: DISCARD SEQUENCES", "b: LISTEN nothing; UNLISTEN *", "b: CHECKPOINT",
	},
}

func TestOperatorsHaveWhatTheyWouldHaveDirectly(t *testing.T) {
	for name, script := range operatorScripts {
		t.Run(name, func(t *testing.T) {
			g, direct := openOperators(t, 3)
			oracle := map[string]*pgconn.PgConn{"a": pgtest.Connect(t, direct), "b": pgtest.Connect(t, direct)}
			var want [][]pgtest.Outcome
			for _, line := range script {
				who, sql, _ := strings.Cut(line, ": ")
				want = append(want, pgtest.Simple(t, oracle[who], sql))
			}
			require.NoError(t, oracle["a"].Close(t.Context()))
			require.NoError(t, oracle["b"].Close(t.Context()))
			if name == "definitions" {
				_ = pgtest.Simple(t, pgtest.Connect(t, direct), "DROP FUNCTION double")
			}
			sessions := map[string]*pgconn.PgConn{"a": pgtest.Connect(t, g.url(owner)), "b": pgtest.Connect(t, g.url(owner)), "c": pgtest.Connect(t, g.url(owner))}
			for i, line := range script {
				who, sql, _ := strings.Cut(line, ": ")
				require.Equal(t, want[i], pgtest.Simple(t, sessions[who], sql), line)
				if i%2 == 0 {
					pgtest.Must(t, sessions["c"], "SELECT 1")
				}
			}
		})
	}
}

func TestOperatorsShareServerConnections(t *testing.T) {
	g, _ := openOperators(t, 1)
	one, two := pgtest.Connect(t, g.url(owner)), pgtest.Connect(t, g.url(owner))
	pid := pgtest.Must(t, one, "SELECT pg_backend_pid()")
	require.Equal(t, pid, pgtest.Must(t, two, "SELECT pg_backend_pid()"))
	pgtest.Must(t, one, "CREATE TABLE shared (n int)")
	pgtest.Must(t, two, "INSERT INTO shared VALUES (1)")
	require.Equal(t, pid, pgtest.Must(t, one, "SELECT pg_backend_pid()"))
	pgtest.Must(t, one, "CREATE TEMP TABLE mine (n int)")
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() {
		_, err := two.Exec(ctx, "SELECT 1").ReadAll()
		waiting <- err
	}()
	pgtest.Must(t, one, "INSERT INTO mine VALUES (1)")
	pgtest.Must(t, one, "DROP TABLE mine")
	require.NoError(t, <-waiting)
	cancel()
}

func TestOperatorsPreparedStatementsLiveAcrossServerConnections(t *testing.T) {
	g, _ := openOperators(t, 2)
	a, b := pgtest.Connect(t, g.url(owner)), pgtest.Connect(t, g.url(owner))
	prepared := func(conn *pgconn.PgConn, name, sql string) {
		_, err := conn.Prepare(t.Context(), name, sql, nil)
		require.NoError(t, err)
	}
	run := func(conn *pgconn.PgConn, name, arg string) []string {
		result := conn.ExecPrepared(t.Context(), name, [][]byte{[]byte(arg)}, nil, nil).Read()
		require.NoError(t, result.Err)
		var values []string
		for _, row := range result.Rows {
			values = append(values, string(row[0]))
		}
		return values
	}
	prepared(a, "s", "SELECT $1::int + 1")
	prepared(b, "s", "SELECT $1::int + 2")
	pgtest.Must(t, b, "BEGIN") // holds one connection
	require.Equal(t, []string{"11"}, run(a, "s", "10"))
	require.Equal(t, []string{"12"}, run(b, "s", "10"))
	pgtest.Must(t, b, "COMMIT")
	require.Equal(t, [][]string{{"6"}}, pgtest.Must(t, a, "EXECUTE s (5)"))
	require.Equal(t, [][]string{{"1"}, {"8"}}, append(pgtest.Must(t, b, "SELECT 1"), pgtest.Must(t, b, "SELECT 1; EXECUTE s(6)")...))
	require.Equal(t, "8", string(b.ExecParams(t.Context(), "EXECUTE s (6)", nil, nil, nil, nil).Read().Rows[0][0]))
	require.Equal(t, "42P05", pgtest.Simple(t, a, "PREPARE s AS SELECT 1")[0].Code)
	pgtest.Must(t, a, "DEALLOCATE s")
	require.Equal(t, "26000", pgtest.Simple(t, a, "EXECUTE s (1)")[0].Code)
	require.Equal(t, []string{"3"}, run(b, "s", "1"))

	pgtest.Must(t, a, "BEGIN") // a name of the proxy's is nobody's own
	name := pgtest.Must(t, a, "SELECT name FROM pg_prepared_statements WHERE name LIKE 'tg\\_%' LIMIT 1")[0][0]
	require.Equal(t, "26000", sqlState(t, a.ExecPrepared(t.Context(), name, [][]byte{nil}, nil, nil).Read().Err))
	pgtest.Must(t, a, "ROLLBACK")

	pgtest.Must(t, a, "CREATE TABLE wide (a int)")
	prepared(b, "w", "SELECT * FROM wide WHERE $1 = ''")
	require.Empty(t, run(b, "w", ""))
	pgtest.Must(t, a, "ALTER TABLE wide ADD b int")
	require.Equal(t, "0A000", sqlState(t, b.ExecPrepared(t.Context(), "w", [][]byte{nil}, nil, nil).Read().Err))
	prepared(b, "w2", "SELECT * FROM wide WHERE $1 = ''")
	require.Empty(t, run(b, "w2", ""))
}

func TestOperatorsNeverGetAnotherSessionsNumbers(t *testing.T) {
	g, _ := openOperators(t, 1)
	a, b := pgtest.Connect(t, g.url(owner)), pgtest.Connect(t, g.url(owner))
	pgtest.Must(t, a, "CREATE TABLE numbered (id serial, t text)")
	pgtest.Must(t, a, "INSERT INTO numbered (t) VALUES ('a')")
	require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, a, "SELECT lastval()"))
	require.Equal(t, "55000", pgtest.Simple(t, b, "SELECT lastval()")[0].Code)
	require.Equal(t, "55000", pgtest.Simple(t, a, "SELECT currval('numbered_id_seq')")[0].Code)
	pgtest.Must(t, b, "BEGIN")
	pgtest.Must(t, b, "WITH i AS (INSERT INTO numbered (t) VALUES ('b') RETURNING id) SELECT id FROM i")
	require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, b, "SELECT lastval()"))
	pgtest.Must(t, b, "COMMIT")
	require.Equal(t, "55000", pgtest.Simple(t, a, "SELECT lastval()")[0].Code)
}

func TestResetGoesBackToTheStartUpPacket(t *testing.T) {
	g, _ := openOperators(t, 1)
	for _, login := range []string{owner, "tenant1"} {
		g := *g
		if login == "tenant1" {
			g.database = clinicDatabase(t, &g)
		}
		a, b := pgtest.Connect(t, g.url(login, "options=-c%20DateStyle%3DGerman", "application_name=app")), pgtest.Connect(t, g.url(login))
		show := func(conn *pgconn.PgConn) string {
			return pgtest.Must(t, conn, "SHOW DateStyle")[0][0] + " " + pgtest.Must(t, conn, "SHOW application_name")[0][0]
		}
		require.Equal(t, "German, DMY app", show(a))
		pgtest.Must(t, a, "SET DateStyle = 'SQL'")
		require.Equal(t, "SQL, DMY app", show(a))
		pgtest.Must(t, a, "BEGIN")
		pgtest.Must(t, a, "RESET DateStyle")
		pgtest.Must(t, a, "ROLLBACK")
		require.Equal(t, "SQL, DMY app", show(a))
		pgtest.Must(t, a, "SET DateStyle TO DEFAULT")
		require.Equal(t, "German, DMY app", show(a))
		require.Equal(t, "German, DMY", a.ParameterStatus("DateStyle"))
		pgtest.Must(t, a, "SET DateStyle = 'SQL'; SET application_name = 'other'")
		pgtest.Must(t, a, "RESET ALL")
		require.Equal(t, "German, DMY app", show(a))
		require.Equal(t, "ISO, MDY ", show(b))
	}
}

func TestConnectionLostAfterDeallocateAllIsReplaced(t *testing.T) {
	g, direct := openOperators(t, 1)
	conn := pgtest.Connect(t, g.url(owner))
	pgtest.Must(t, conn, "BEGIN; DEALLOCATE ALL")
	pid := pgtest.Must(t, conn, "SELECT pg_backend_pid()")[0][0]
	pgtest.Must(t, pgtest.Connect(t, direct), fmt.Sprintf("SELECT pg_terminate_backend(%s, 5000)", pid))
	require.Equal(t, "57P01", pgtest.Simple(t, conn, "SELECT 1")[0].Code)
	pgtest.Must(t, conn, "ROLLBACK")
	for range 2 {
		require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, "SELECT 1"))
	}
}

func TestOperatorsCopyThrough(t *testing.T) {
	g, _ := openOperators(t, 1)
	conn, other := pgtest.Connect(t, g.url(owner)), pgtest.Connect(t, g.url(owner))
	pgtest.Must(t, conn, "CREATE TABLE t (n int, s text)")
	var rows strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&rows, "%d\t%s\n", i, strings.Repeat("x", i%97))
	}
	tag, err := conn.CopyFrom(t.Context(), strings.NewReader(rows.String()), "COPY t FROM STDIN")
	require.NoError(t, err)
	require.Equal(t, "COPY 100000", tag.String())
	require.Equal(t, [][]string{{"100000"}}, pgtest.Must(t, other, "SELECT count(*) FROM t"))
	var out bytes.Buffer
	_, err = conn.CopyTo(t.Context(), &out, "COPY (SELECT * FROM t ORDER BY n) TO STDOUT")
	require.NoError(t, err)
	require.Equal(t, rows.String(), out.String())

	_, err = conn.CopyFrom(t.Context(), strings.NewReader("1\tx\nno number\ty\n"+rows.String()), "COPY t FROM STDIN")
	require.Equal(t, "22P02", sqlState(t, err))
	_, err = conn.CopyFrom(t.Context(), io.MultiReader(strings.NewReader("1\tx\n"), failingReader{}), "COPY t FROM STDIN")
	require.Equal(t, "57014", sqlState(t, err))
	require.Equal(t, [][]string{{"100000"}}, pgtest.Must(t, other, "SELECT count(*) FROM t"))

	// As libpq does in the extended protocol: the first Sync is the COPY's.
	f := conn.Frontend()
	f.Send(&pgproto3.Parse{Query: "COPY t FROM STDIN"})
	f.Send(&pgproto3.Bind{})
	f.Send(&pgproto3.Execute{})
	f.Send(&pgproto3.Sync{})
	f.Send(&pgproto3.CopyData{Data: []byte("-1\tlast\n")})
	f.Send(&pgproto3.CopyDone{})
	f.Send(&pgproto3.Sync{})
	require.NoError(t, f.Flush())
	var tags []string
	for ready := false; !ready; {
		msg, err := f.Receive()
		require.NoError(t, err)
		switch msg := msg.(type) {
		case *pgproto3.CommandComplete:
			tags = append(tags, string(msg.CommandTag))
		case *pgproto3.ErrorResponse:
			require.Fail(t, msg.Message)
		case *pgproto3.ReadyForQuery:
			ready = true
		}
	}
	require.Equal(t, []string{"COPY 1"}, tags)
	require.Equal(t, [][]string{{"last"}}, pgtest.Must(t, other, "SELECT s FROM t WHERE n = -1"))
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestOperatorsUseTheFastPath(t *testing.T) {
	g, _ := openOperators(t, 1)
	conn, err := pgx.Connect(t.Context(), g.url(owner))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	f := conn.PgConn().Frontend()
	call := func(oid uint32) (result []byte, code string) {
		f.Send(&pgproto3.FunctionCall{Function: oid, ArgFormatCodes: []uint16{0}, Arguments: [][]byte{[]byte("-5")}, ResultFormatCode: 0})
		require.NoError(t, f.Flush())
		for {
			msg, err := f.Receive()
			require.NoError(t, err)
			switch msg := msg.(type) {
			case *pgproto3.FunctionCallResponse:
				result = bytes.Clone(msg.Result)
			case *pgproto3.ErrorResponse:
				code = msg.Code
			case *pgproto3.ReadyForQuery:
				return result, code
			}
		}
	}
	result, code := call(1397) // abs(int4)
	require.Equal(t, "5", string(result))
	require.Empty(t, code)
	_, code = call(1)
	require.Equal(t, "42883", code)
	result, _ = call(1397)
	require.Equal(t, "5", string(result))
}

func TestOperatorsStartUpParametersHold(t *testing.T) {
	g, _ := openOperators(t, 1)
	a := pgtest.Connect(t, g.url(owner, "options=-c%20search_path%3Dpg_catalog%20-c%20my.own%3Dx", "statement_timeout=33s", "application_name=a"))
	b := pgtest.Connect(t, g.url(owner, "application_name=b"))
	for range 2 {
		require.Equal(t, [][]string{{"pg_catalog", "x", "33s", "a"}},
			pgtest.Must(t, a, "SELECT current_setting('search_path'), current_setting('my.own'), current_setting('statement_timeout'), current_setting('application_name')"))
		require.Equal(t, [][]string{{"", "0", "b"}},
			pgtest.Must(t, b, "SELECT coalesce(current_setting('my.own', true), ''), current_setting('statement_timeout'), current_setting('application_name')"))
	}
	_, err := pgconn.Connect(t.Context(), g.url(owner, "nosuch=1"))
	require.Equal(t, "42704", sqlState(t, err))
	g.database = "nosuch"
	_, err = pgconn.Connect(t.Context(), g.url(owner))
	require.Equal(t, "3D000", sqlState(t, err))
}

func TestWhatOperatorsDefineTenantsSee(t *testing.T) {
	g, _ := openOperators(t, 1)
	g.database = clinicDatabase(t, g)
	migrator, tenant := pgtest.Connect(t, g.url("migrator")), g.tenant("1")
	require.Equal(t, "42703", pgtest.Simple(t, tenant, "SELECT extra FROM patients")[0].Code)
	pgtest.Must(t, migrator, "ALTER TABLE patients ADD extra text DEFAULT 'new'")
	require.Equal(t, [][]string{{"new"}}, pgtest.Must(t, tenant, "SELECT DISTINCT extra FROM patients"))
}

// clinicDatabase is that of the gate's backend.
func clinicDatabase(t *testing.T, g *gate) string {
	t.Helper()
	return g.server.cfg.Backends["main"].Pool.Server.Database
}

// A driver that knows the columns from the portal of the first execution, as
// PgJDBC and node-postgres do, executes the statement on another server
// connection, which prepares it when the table has changed.
func TestColumnsThatAPortalToldAreHeldOnEveryServerConnection(t *testing.T) {
	g, _ := openOperators(t, 2)
	client, other, third := dialWire(t, g.url(owner)), pgtest.Connect(t, g.url(owner)), pgtest.Connect(t, g.url(owner))
	pgtest.Must(t, other, "CREATE TABLE wide (a int)")
	const execute = `Bind "" "s"; Execute ""; Sync`
	pgtest.Must(t, third, "BEGIN") // holds a server connection
	client.run(wireScript{lines: []string{`> Parse "s" "SELECT * FROM wide"; Bind "" "s"; Describe P ""; Execute ""; Sync`}})
	pgtest.Must(t, other, "BEGIN") // holds the one that has the statement
	pgtest.Must(t, third, "ALTER TABLE wide ADD b int")
	pgtest.Must(t, third, "COMMIT")
	client.record = nil
	changed := client.run(wireScript{lines: []string{"> " + execute}})
	require.Contains(t, changed[0], "0A000 \"cached plan must not change result type\"")
	require.Equal(t, "ReadyForQuery I", changed[1])
	pgtest.Must(t, other, "COMMIT")
	client.record = nil
	again := client.run(wireScript{lines: []string{`> Close S "s"; Parse "s" "SELECT * FROM wide"; Bind "" "s"; Describe P ""; Execute ""; Sync`, "> " + execute}})
	require.Contains(t, again[3], " b:")
	require.Equal(t, []string{"BindComplete &{}", "CommandComplete SELECT 0", "ReadyForQuery I"}, again[len(again)-3:])
}

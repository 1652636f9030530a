package proxy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// In the input of FuzzMessages each part between two separators is a message:
// its type, then its body. The length is put in, unless the part is raw.
const (
	messageSeparator = '\xfe' // in no UTF-8
	messageRaw       = '!'
)

// FuzzMessages lets a session send any messages in any order, before a real
// PostgreSQL. The proxy must go on or end the session, answer in whole
// messages, never show or change another tenant's row, and give the next
// session a server connection as it should be.
func FuzzMessages(f *testing.F) {
	for _, seed := range conversations {
		for how := range byte(3) {
			f.Add("", inParts(f, seed), how)
		}
	}
	for _, raw := range []string{"!Q\x00\x00\x00\x03", "!Q\x7f\xff\xff\xff", "!Q\x00\x00\x00\x0dSELECT", "R\x00\x00\x00\x00", "QSELECT 1\x00; SELECT 2\x00", "B\x00\x00\xff\xff", "S\xfe!X", "C\xfeD\xfeE\xfeH\xfeS"} {
		f.Add("", []byte(raw), byte(2))
	}
	f.Add("-c TimeZone=Asia/Tokyo --DateStyle=German", []byte("QSHOW TimeZone\x00"), byte(0))
	f.Add(`-c application_name=a\ b -c app.tenant_id=2`, []byte("QSELECT 1\x00"), byte(1))
	house := newHouse(f)
	f.Fuzz(func(t *testing.T, options string, data []byte, how byte) {
		if said := options + string(data); strings.Contains(said, "~2") || strings.Contains(said, "2~") || strings.ContainsRune(options, 0) {
			return // a client may say anything to itself
		}
		room := house.rooms[int(how)%len(house.rooms)]
		sent, got := room.converse(t, options, data)
		room.visits = append(room.visits, fmt.Sprintf("%q %q", options, data))
		require.NotContains(t, string(got), clinic.Mark("2"))
		requireAnswers(t, sent, got)
		require.NotContains(t, house.log.String(), "panic")
		require.NotContains(t, house.log.String(), "internal error")
		house.log.Reset()
		room.inspect(t)
	})
}

// conversations are message orders to start from.
var conversations = func() [][]pgproto3.FrontendMessage {
	type order = []pgproto3.FrontendMessage
	query := func(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }
	parse := func(name, sql string) pgproto3.FrontendMessage { return &pgproto3.Parse{Name: name, Query: sql} }
	bind := func(portal, statement string, values ...string) pgproto3.FrontendMessage {
		m := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
		for _, v := range values {
			m.Parameters = append(m.Parameters, []byte(v))
		}
		return m
	}
	execute := func(portal string, rows uint32) pgproto3.FrontendMessage {
		return &pgproto3.Execute{Portal: portal, MaxRows: rows}
	}
	describe := func(what byte, name string) pgproto3.FrontendMessage {
		return &pgproto3.Describe{ObjectType: what, Name: name}
	}
	data := func(text string) pgproto3.FrontendMessage { return &pgproto3.CopyData{Data: []byte(text)} }
	sync, flush, done := &pgproto3.Sync{}, &pgproto3.Flush{}, &pgproto3.CopyDone{}
	return []order{
		{query("SELECT count(*) FROM patients"), query("BEGIN"), query("SELECT 1/0"), query("SELECT 1"), query("ROLLBACK")},
		{parse("", "SELECT name FROM patients WHERE id = $1"), bind("", "", "1"), describe('P', ""), execute("", 0), sync},
		{parse("s1", "SELECT id FROM patients"), describe('S', "s1"), bind("p1", "s1"), execute("p1", 1), &pgproto3.Close{ObjectType: 'P', Name: "p1"}, &pgproto3.Close{ObjectType: 'S', Name: "s1"}, flush, sync},
		{parse("", "BEGIN"), bind("", ""), execute("", 0), parse("", "INSERT INTO log_lines (level, line) VALUES ('a', 'b')"), bind("", ""), execute("", 0), sync, query("COMMIT")},
		{query("COPY log_lines (level, line) FROM STDIN"), data("x\ty\n"), done, query("SELECT 1")},
		{query("COPY log_lines (level, line) FROM STDIN"), data("x\ty\n"), &pgproto3.CopyFail{Message: "no"}, flush, sync, query("COPY patients TO STDOUT")},
		{parse("", "COPY log_lines FROM STDIN"), bind("", ""), execute("", 0), data("1\tx\ty\n"), done, sync},
		{query("BEGIN; DECLARE c CURSOR FOR SELECT name FROM patients"), query("FETCH 2 FROM c; MOVE 1 FROM c"), query("SAVEPOINT a; ROLLBACK TO a"), query("COMMIT; BEGIN; SELECT 1")},
		{query("DECLARE c CURSOR WITH HOLD FOR SELECT name FROM patients"), query("FETCH 2 FROM c"), query("CLOSE c")},
		{query("PREPARE q (int) AS SELECT name FROM patients WHERE id = $1"), query("EXECUTE q (1)"), query("DEALLOCATE q"), query("DISCARD ALL")},
		{query("SET TimeZone = 'Asia/Tokyo'; SET app.tenant_id = 2"), query("SELECT set_config('app.tenant_id', '2', false)"), query("RESET ALL")},
		{query("SELECT set_config('TimeZone', 'UTC', true)"), query("BEGIN; SET LOCAL DateStyle = 'German'"), query("ROLLBACK AND CHAIN"), query("SHOW search_path")},
		{parse(setStatement, "SELECT 1"), bind("", setStatement, clinic.Setting, "2"), execute("", 0), sync, query("SELECT name FROM patients")},
		{bind("tenantgate: refused", ""), execute("tenantgate: refused", 0), sync, describe('S', setStatement), sync},
		{&pgproto3.FunctionCall{Function: 2078}, &pgproto3.Terminate{}, query("SELECT 1")},
		{&pgproto3.PasswordMessage{Password: "secret"}, query("SELECT 1")},
		{query("SELECT 1;; SELECT name FROM patients;"), query("")},
		{parse("", ""), bind("", ""), describe('P', ""), execute("", 0), sync},
		{parse("", "SELECT name FROM patients ORDER BY id"), bind("", ""), execute("", 2), execute("", 2), sync, execute("", 2), sync},
		{parse("", "SELECT 1/0"), bind("", ""), execute("", 0), query("SELECT 1"), parse("", "SELECT 2"), sync, sync},
		{query("CREATE TEMP TABLE x AS SELECT 1 AS a"), query("SELECT a, name FROM x, patients"), query("DROP TABLE x")},
		{query("LISTEN a; NOTIFY a, 'b'"), query("SELECT pg_notify('a', 'c'), pg_listening_channels()"), query("BEGIN; UNLISTEN a; SAVEPOINT s; LISTEN b; ROLLBACK TO s; COMMIT"), parse("", "UNLISTEN *"), bind("", ""), execute("", 0), sync},
		{query("SELECT pg_advisory_lock(1), pg_try_advisory_lock(1, 2)"), query("SELECT pg_advisory_unlock(1)"), parse("", "SELECT pg_advisory_unlock_all()"), bind("", ""), execute("", 0), sync},
		{&pgproto3.Close{ObjectType: 'S', Name: tenantStatement}, &pgproto3.Close{ObjectType: 'P', Name: "nosuch"}, describe('P', "nosuch"), sync, parse(strings.Repeat("n", 70), "SELECT 1"), describe('S', strings.Repeat("n", 64)), bind(strings.Repeat("p", 70), strings.Repeat("n", 70)), execute(strings.Repeat("p", 70), 0), sync},
		{query("COPY (SELECT id, name FROM patients) TO STDOUT (FORMAT binary)"), query("BEGIN; COPY log_lines (level, line) FROM STDIN (FORMAT csv)"), data("x,y\n"), done, query("SELECT currval('log_lines_id_seq'); COMMIT")},
		{query("UPDATE patients SET name = 'n' WHERE id = 2 RETURNING name"), query("DELETE FROM log_lines"), query("INSERT INTO patients (tenant_id, id) VALUES (2, 7)")},
	}
}()

// inParts writes messages as the input of FuzzMessages.
func inParts(t testing.TB, messages []pgproto3.FrontendMessage) []byte {
	t.Helper()
	var parts [][]byte
	for _, m := range messages {
		whole, err := m.Encode(nil)
		require.NoError(t, err)
		parts = append(parts, append(whole[:1:1], whole[headSize:]...))
	}
	return bytes.Join(parts, []byte{messageSeparator})
}

// A house is proxies before a clinic's databases, each with one server
// connection.
type house struct {
	rooms []*room
	log   safeBuffer
}

// A room is one of its proxies, and the session that comes next.
type room struct {
	gate     *gate
	tenant   *auth.Identity
	listener net.Listener
	next     *pgconn.PgConn
	sane     [][]string // what it is told by wholesome
	super    *pgconn.PgConn
	rows     [][]string // of the other tenant
	visits   []string   // what has been sent since they were looked at
}

const (
	// shortPatience is how long a client waits before its statement is stopped.
	shortPatience = 3 * time.Second

	// maxVisits is after how many sessions the database is looked at.
	maxVisits = 50
)

func newHouse(f *testing.F) *house {
	h := &house{}
	c := clinic.New(f, 2)
	for _, enforce := range enforcements {
		g := open(f, c, enforce, func(cfg *Config) {
			poolOf(1)(cfg)
			cfg.Log = zerolog.New(&h.log)
			cfg.TempTables = enforce == Both
		})
		r := &room{gate: g, next: g.tenant("2"), super: pgtest.Connect(f, c.Server.SuperuserURL(g.database))}
		r.tenant = identity()
		var err error
		r.listener, err = net.Listen("unix", filepath.Join(f.TempDir(), "room"))
		require.NoError(f, err)
		f.Cleanup(func() { _ = r.listener.Close() })
		r.sane, r.rows = pgtest.Must(f, r.next, wholesome), pgtest.Must(f, r.super, othersRows)
		h.rooms = append(h.rooms, r)
	}
	return h
}

// wholesome is sanity without the schema for temporary tables, which a server
// connection has for good once it had one.
var wholesome = strings.Replace(sanity, "pg_my_temp_schema()", "0", 1)

// identity is that of a client who has proved to be tenant1. Its statements are
// limited, and nobody else's: on a slow machine they may take long.
func identity() *auth.Identity {
	return &auth.Identity{Login: "tenant1", Tenants: []*auth.Tenant{{
		ID: "tenant1", Key: "1", Backend: "main", Limits: auth.Limits{StatementTimeout: 500 * time.Millisecond},
	}}}
}

// othersRows digests what tenant 1 must not change.
var othersRows = func() string {
	var parts []string
	for _, table := range []string{
		"patients", "practitioners", "appointments", "invoices", "notes", "documents", "events", "legacy_codes", "settings", "log_lines", "billing.payments",
	} {
		parts = append(parts, fmt.Sprintf("SELECT '%s', count(*)::text || md5(string_agg(x::text, '' ORDER BY x::text)) FROM %s x WHERE tenant_id::text <> '1'", table, table))
	}
	return strings.Join(append(parts, "SELECT 'classes', count(*)::text FROM pg_class WHERE relkind <> 't'",
		"SELECT 'countries', md5(string_agg(x::text, '' ORDER BY x::text)) FROM countries x"), " UNION ALL ")
}()

// converse serves one session that sends data, and returns it as messages
// together with all that was answered.
func (r *room) converse(t *testing.T, options string, data []byte) (sent, got []byte) {
	for _, part := range bytes.Split(data, []byte{messageSeparator}) {
		switch {
		case len(part) == 0:
		case part[0] == messageRaw:
			sent = append(sent, part[1:]...)
		default:
			var at int
			sent, at = beginMessage(sent, part[0])
			sent = finishMessage(append(sent, part[1:]...), at)
		}
	}
	until := time.Now().Add(patience)
	client, err := net.Dial("unix", r.listener.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	conn, err := r.listener.Accept()
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.serve(t, conn, options)
	}()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = client.Write(sent)
		_ = client.(*net.UnixConn).CloseWrite()
	}()
	got = r.listen(t, client, until)
	_ = client.Close()
	select {
	case <-ended:
	case <-time.After(time.Until(until)):
		require.Fail(t, "the session goes on after its client has left")
	}
	<-written
	return sent, got
}

// serve is what the server does with a client that has logged in.
func (r *room) serve(t *testing.T, conn net.Conn, options string) {
	defer conn.Close()
	defer func() {
		if bug := recover(); bug != nil {
			t.Errorf("panic: %v", bug)
		}
	}()
	g := &greeting{server: r.gate.server, conn: conn, in: newReader(conn), log: r.gate.server.log, version: protocol30, params: map[string]string{
		"user": "tenant1", "database": r.gate.database, "options": options,
	}}
	ctx, cancel := context.WithTimeout(r.gate.server.ctx, patience)
	defer cancel()
	served, err := g.admit(ctx, r.tenant)
	if err != nil {
		g.fatal(err)
		return
	}
	served()
}

// listen reads what comes until the session ends. A statement that the server
// is busy with is no fault of the proxy, and is stopped.
func (r *room) listen(t *testing.T, client net.Conn, until time.Time) []byte {
	var got []byte
	buf := make([]byte, 16<<10)
	deadline := time.Now().Add(shortPatience)
	for {
		_ = client.SetReadDeadline(deadline)
		n, err := client.Read(buf)
		got = append(got, buf[:n]...)
		switch {
		case err == nil:
		case !os.IsTimeout(err):
			return got
		case deadline.Equal(until):
			require.Fail(t, "no answer, and no end")
		default:
			pgtest.Must(t, r.super, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+clinic.Role+"' AND state = 'active'")
			deadline = until
		}
	}
}

// inspect asks the next session, and now and then the database. Temporary
// tables of a server connection that was closed are there for a moment more.
func (r *room) inspect(t *testing.T) {
	require.Equal(t, r.sane, pgtest.Must(t, r.next, wholesome))
	if len(r.visits) < maxVisits {
		return
	}
	now := pgtest.Must(t, r.super, othersRows)
	for until := time.Now().Add(shortPatience); !reflect.DeepEqual(r.rows, now) && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
		now = pgtest.Must(t, r.super, othersRows)
	}
	require.Equal(t, r.rows, now, "one of these:\n%s", strings.Join(r.visits, "\n"))
	r.visits = r.visits[:0]
	size := pgtest.Must(t, r.super, "SELECT pg_database_size(current_database()) > 500 * 1024 * 1024")
	if size[0][0] == "t" {
		for _, table := range []string{"log_lines", "notes", "settings", "documents", "events"} {
			pgtest.Must(t, r.super, "DELETE FROM "+table+" WHERE tenant_id::text = '1'")
		}
		pgtest.Must(t, r.super, "VACUUM FULL")
	}
}

// requireAnswers holds what a session says to the protocol: whole messages, no
// more answers than questions, and nothing after an error that ends it.
func requireAnswers(t *testing.T, sent, got []byte) {
	t.Helper()
	rest, messages := cutMessages(got)
	require.Empty(t, rest, "what is no whole message")
	questions := bytes.Count(sent, []byte("Q")) + bytes.Count(sent, []byte("S")) + bytes.Count(sent, []byte("F")) + 1 // at most, and one of the login
	ready := 0
	for i, m := range messages {
		switch m.typ {
		case 'Z':
			ready++
			require.Len(t, m.body, 1)
			require.Contains(t, []byte("ITE"), m.body[0])
		case 'E':
			var msg pgproto3.ErrorResponse
			require.NoError(t, msg.Decode(m.body))
			require.NotEqual(t, "XX000", msg.Code, msg.Message)
			if msg.Severity == "FATAL" {
				require.Equal(t, len(messages)-1, i, "something follows the end")
			}
		case 'R', 'K', 'S', 'N', 'A', 'T', 'D', 'C', 'I', '1', '2', '3', 'n', 't', 's', 'G', 'H', 'd', 'c':
		default:
			require.Fail(t, "answer", "message %q", m.typ)
		}
	}
	require.LessOrEqual(t, ready, questions)
}

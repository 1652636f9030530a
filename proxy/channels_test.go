package proxy

import (
	"context"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// channelScripts are what sessions do with channels, the last one of tenants
// alone.
var channelScripts = [][]string{
	{
		"a> LISTEN news",
		`a> LISTEN "News"; LISTEN "it's"; SELECT 1`,
		"b> NOTIFY news, 'one'",
		"a! news",
		`b> NOTIFY "News"; NOTIFY "it's", 'it''s'; NOTIFY other`,
		"a! News it's",
		"a> NOTIFY news, 'mine'",
		"a! news",
		"b> LISTEN news",
		"b> SELECT pg_notify('news', 'two'), pg_notify('other', 'two')",
		"a! news",
		"b! news",
		"a> UNLISTEN news",
		"a> NOTIFY news, 'three'",
		"b! news",
		"a> UNLISTEN *",
		"a> UNLISTEN *; UNLISTEN nothing",
		"b> DISCARD ALL",
		"a> NOTIFY news, 'four'",
	},
	{
		"a> BEGIN",
		"a> LISTEN news",
		"a> NOTIFY news, 'early'",
		"a> COMMIT",
		"b> NOTIFY news, 'one'",
		"a! news news",
		"a> BEGIN",
		"a> LISTEN gone",
		"a> SAVEPOINT s",
		"a> UNLISTEN news",
		"a> LISTEN undone",
		"a> ROLLBACK TO s",
		"b> NOTIFY news, 'held'",
		"a> SELECT 1",
		"a> COMMIT",
		"b> NOTIFY gone; NOTIFY undone; NOTIFY news, 'still'",
		"a! news gone news",
		"a> BEGIN",
		"a> UNLISTEN *",
		"a> LISTEN never",
		"a> SELECT 1 / 0",
		"a> LISTEN never",
		"a> UNLISTEN news",
		"a> NOTIFY news, 'never'",
		"a> COMMIT",
		"b> NOTIFY never; NOTIFY news, 'kept'",
		"a! news",
		"a> LISTEN never; SELECT 1 / 0",
		"a> BEGIN; UNLISTEN *; LISTEN again; COMMIT; SELECT 2",
		"b> BEGIN",
		"b> NOTIFY again, 'rolled back'",
		"b> ROLLBACK",
		"b> NOTIFY news; NOTIFY never; NOTIFY again, 'last'",
		"a! again",
		"b> LISTEN again",
		"a-",
		"b> NOTIFY again",
		"a> NOTIFY again, 'anew'",
		"b! again again",
	},
	{
		"a> SELECT * FROM pg_listening_channels()",
		`a> LISTEN b; LISTEN "A {"",\"`,
		"a> SELECT pg_listening_channels(), pg_catalog.pg_listening_channels() AS b",
		"b> SELECT count(*) FROM pg_listening_channels()",
		"a> SELECT c FROM pg_listening_channels() AS c WHERE c = 'b'",
		"a> UNLISTEN b",
		"a> SELECT * FROM (SELECT pg_listening_channels()) s",
	},
}

// forProtocol has the statements of one message one by one for the extended
// protocol.
func forProtocol(script []string, extended bool) []string {
	var lines []string
	for _, line := range script {
		parts := []string{line}
		if extended && line[1] == '>' {
			parts = strings.Split(line[2:], ";")
			for i := range parts {
				parts[i] = line[:2] + " " + strings.TrimSpace(parts[i])
			}
		}
		lines = append(lines, parts...)
	}
	return lines
}

// anonymous leaves out who has sent notifications: soon after another session
// has had the server connection it is not certain.
func anonymous(seen []string) []string {
	from := regexp.MustCompile(" from (another|a|b)")
	for i := range seen {
		seen[i] = from.ReplaceAllString(seen[i], "")
	}
	return seen
}

func TestChannelsAreAsForTheTenantAlone(t *testing.T) {
	c := clinic.New(t, 2)
	direct := c.URL(c.Oracle(t, "1"))
	for _, extended := range []bool{false, true} {
		for i, script := range channelScripts {
			script := forProtocol(script, extended)
			want := anonymous(play(t, script, extended, func(string) *player { return newPlayer(t, direct) }))
			for _, enforce := range enforcements {
				g := open(t, c, enforce, poolOf(2))
				stranger := newPlayer(t, g.url("tenant2"))
				stranger.ask(`LISTEN news; LISTEN again; LISTEN "News"; LISTEN gone`, false)
				got := anonymous(play(t, script, extended, func(string) *player { return newPlayer(t, g.url("tenant1")) }))
				require.Equal(t, want, got, "script %d, %s", i, enforce)
				stranger.ask("SELECT 1", false) // brings what has come
				require.Empty(t, stranger.heard(nil), "of another tenant")
				eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "a session is pinned")
			}
		}
	}
}

func TestChannelsOfOperatorsAreThoseOfTheDatabase(t *testing.T) {
	g, direct := openOperators(t, 2)
	for _, extended := range []bool{false, true} {
		for i, script := range channelScripts[:2] {
			script := forProtocol(script, extended)
			want := anonymous(play(t, script, extended, func(string) *player { return newPlayer(t, direct) }))
			got := anonymous(play(t, script, extended, func(string) *player { return newPlayer(t, g.url(owner)) }))
			require.Equal(t, want, got, "script %d", i)
		}
	}
	g, direct = openOperators(t, 1)
	for _, encoding := range []string{"UTF8", "%27utf-8%27"} { // as asyncpg writes it
		operator := newPlayer(t, g.url(owner, "client_encoding="+encoding))
		operator.ask("DEALLOCATE ALL; LISTEN plain", false)
		pgtest.Must(t, pgtest.Connect(t, direct), "NOTIFY plain, 'x'")
		require.Equal(t, `plain="x" from another`, operator.await(t, []string{"plain"}, nil))
		pgtest.Must(t, pgtest.Connect(t, g.url(owner)), "SELECT 1") // on the one server connection
	}
}

func TestChannelsOfADatabaseOfOneTenantAreAsTheyAreWritten(t *testing.T) {
	c := clinic.New(t, 1)
	g := openAlone(t, c)
	p := newPlayer(t, g.url("alone"))
	p.ask("LISTEN news", false)
	pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL(g.database)), "NOTIFY news, 'x'")
	require.Equal(t, `news="x" from another`, p.await(t, []string{"news"}, nil))
}

func TestDriversListenWhileOthersHaveTheServerConnection(t *testing.T) {
	c := clinic.New(t, 2)
	g := open(t, c, Both, poolOf(1))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, g.url("tenant1"))
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(ctx, "LISTEN news")
	require.NoError(t, err)
	listener := pq.NewListener(g.url("tenant1"), time.Second, time.Second, nil)
	defer func() { _ = listener.Close() }()
	require.NoError(t, listener.Listen("news"))

	sender := g.tenant("1")
	pgtest.Must(t, sender, "BEGIN")
	pgtest.Must(t, sender, "NOTIFY news, 'word'")
	pgtest.Must(t, sender, "COMMIT")
	other := g.tenant("2")
	pgtest.Must(t, other, "BEGIN")
	n, err := conn.WaitForNotification(ctx)
	require.NoError(t, err)
	require.Equal(t, []any{"news", "word", sender.PID()}, []any{n.Channel, n.Payload, n.PID})
	select {
	case n := <-listener.Notify:
		require.Equal(t, []any{"news", "word", int(sender.PID())}, []any{n.Channel, n.Extra, n.BePid})
	case <-ctx.Done():
		require.Fail(t, "lib/pq has heard nothing")
	}
	pgtest.Must(t, other, "COMMIT")
	require.NoError(t, listener.Unlisten("news"))
	require.NoError(t, listener.Ping())
	require.Len(t, pgtest.Must(t, g.tenant("1"), "SELECT 1"), 1)
}

func TestListeningConnectionThatIsLostIsMadeAgain(t *testing.T) {
	c := clinic.New(t, 1)
	g := open(t, c, Both, poolOf(1))
	super := pgtest.Connect(t, c.Server.SuperuserURL(g.database))
	a, b := newPlayer(t, g.url("tenant1")), g.tenant("1")
	a.ask("LISTEN news", false)
	require.Equal(t, [][]string{{"t"}}, pgtest.Must(t, super, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "+
		"WHERE datname = current_database() AND query LIKE 'LISTEN \"%' AND query NOT LIKE '%tenantgate%'"))
	a.ask("LISTEN other", false) // it waits for the new connection, which listens on all
	pgtest.Must(t, b, "NOTIFY news, 'again'; NOTIFY other")
	require.Equal(t, `news="again" from another, other="" from another`, a.await(t, []string{"news", "other"}, nil))
	require.NoError(t, a.conn.Close(t.Context()))
	backend := g.backend()
	eventually(t, func() bool {
		backend.listener.mu.Lock()
		defer backend.listener.mu.Unlock()
		return len(backend.listener.channels) == 0
	}, "there are channels that nobody listens on")
}

func TestSessionThatDoesNotTakeItsNotificationsIsEnded(t *testing.T) {
	c := clinic.New(t, 1)
	g := open(t, c, Both, poolOf(2))
	a, b := g.tenant("1"), g.tenant("1")
	pgtest.Must(t, a, "LISTEN news")
	pgtest.Must(t, a, "BEGIN")
	pgtest.Must(t, b, "SELECT count(pg_notify('news', repeat('x', 7000) || i)) FROM generate_series(1, 700) AS i")
	g.server.mu.Lock()
	s := g.server.sessions[a.PID()]
	g.server.mu.Unlock()
	eventually(t, func() bool {
		s.mail.mu.Lock()
		defer s.mail.mu.Unlock()
		return s.mail.full
	}, "it is not full")
	pgtest.Must(t, a, "COMMIT")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var pg *pgconn.PgError
	require.ErrorAs(t, a.WaitForNotification(ctx), &pg)
	require.Equal(t, []string{"FATAL", "53400"}, []string{pg.Severity, pg.Code})
}

func TestNobodyListensWhenTheProxyHasStopped(t *testing.T) {
	t.Run("proxy", func(t *testing.T) {
		c := clinic.New(t, 1)
		g := open(t, c, Both, nil)
		pgtest.Must(t, g.tenant("1"), "LISTEN news")
		pgtest.Must(t, g.tenant("1"), "LISTEN other")
		require.Contains(t, goroutines(), "(*listener).run")
	})
	eventually(t, func() bool { return !strings.Contains(goroutines(), "(*listener).run") }, "a listener still runs")
}

func goroutines() string {
	stack := make([]byte, 4<<20)
	return string(stack[:runtime.Stack(stack, true)])
}

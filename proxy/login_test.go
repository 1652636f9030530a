package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// frame is a message of any type.
func frame(typ byte, body string) []byte {
	out, at := beginMessage(nil, typ)
	return finishMessage(append(out, body...), at)
}

// saslInitial is a SASLInitialResponse.
func saslInitial(mechanism, first string) []byte {
	return frame('p', mechanism+"\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(len(first))))+first)
}

// withTLS gives a gate a certificate; roots verify it.
func withTLS(t *testing.T) (change func(*Config), roots *x509.CertPool) {
	t.Helper()
	cert, roots := certificate(t)
	return func(cfg *Config) { cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} }, roots
}

// encrypted asks for TLS and completes it.
func encrypted(t *testing.T, conn net.Conn, roots *x509.CertPool) *tls.Conn {
	t.Helper()
	requireS(t, conn)
	client := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
	require.NoError(t, client.Handshake())
	return client
}

// requireS asks for TLS, and is told that it may begin.
func requireS(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := conn.Write(packet(sslRequest))
	require.NoError(t, err)
	answer := []byte{0}
	_, err = io.ReadFull(conn, answer)
	require.NoError(t, err)
	require.Equal(t, "S", string(answer))
}

// TestLoginTakesNothingButSCRAM: what a client, or somebody between it and the
// proxy, may put in the place of a proof.
func TestLoginTakesNothingButSCRAM(t *testing.T) {
	change, roots := withTLS(t)
	g := open(t, clinic.New(t, 1), RLS, change)
	hello := startup(protocol30, "user", "tenant1", "database", g.database)
	for what, c := range map[string]struct {
		message     []byte
		plain, over string // SQLSTATE without TLS and with it; "" is the challenge
	}{
		"the password":                         {frame('p', password+"\x00"), "08P01", "08P01"},
		"an MD5 hash":                          {frame('p', "md5"+strings.Repeat("0f", 16)+"\x00"), "08P01", "08P01"},
		"a token of GSSAPI":                    {frame('p', "\x60\x82\x01\x00\x06\x09"), "08P01", "08P01"},
		"nothing":                              {frame('p', ""), "08P01", "08P01"},
		"a proof before the challenge":         {frame('p', "c=biws,r=abc,p=AAAA"), "08P01", "08P01"},
		"a mechanism with the password":        {saslInitial("PLAIN", "\x00tenant1\x00"+password), "08P01", "08P01"},
		"an older mechanism":                   {saslInitial("SCRAM-SHA-1", "n,,n=,r=abc"), "08P01", "08P01"},
		"a mechanism in small letters":         {saslInitial("scram-sha-256", "n,,n=,r=abc"), "08P01", "08P01"},
		"no first message":                     {frame('p', "SCRAM-SHA-256\x00\xff\xff\xff\xff"), "08P01", "08P01"},
		"a first message that is cut":          {frame('p', "SCRAM-SHA-256\x00\x00\x00\x00\x09n,,n="), "08P01", "08P01"},
		"no channel binding known":             {saslInitial("SCRAM-SHA-256", "n,,n=,r=abc"), "", ""},
		"a binding that nobody offered":        {saslInitial("SCRAM-SHA-256", "y,,n=,r=abc"), "", "28000"},
		"a binding by the wrong mechanism":     {saslInitial("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=abc"), "08P01", "08P01"},
		"a binding":                            {saslInitial("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc"), "08P01", ""},
		"a binding of another kind":            {saslInitial("SCRAM-SHA-256-PLUS", "p=tls-unique,,n=,r=abc"), "08P01", "08P01"},
		"a mechanism that binds, without":      {saslInitial("SCRAM-SHA-256-PLUS", "n,,n=,r=abc"), "08P01", "08P01"},
		"a mechanism that binds, not offered":  {saslInitial("SCRAM-SHA-256-PLUS", "y,,n=,r=abc"), "08P01", "08P01"},
		"an identity to act for":               {saslInitial("SCRAM-SHA-256", "n,a=ops,n=,r=abc"), "08P01", "08P01"},
		"a query":                              {frame('Q', "SELECT 1\x00"), "08P01", "08P01"},
		"the end":                              {frame('X', ""), "08P01", "08P01"},
		"Sync":                                 {frame('S', ""), "08P01", "08P01"},
		"a function call":                      {frame('F', strings.Repeat("\x00", 10)), "08P01", "08P01"},
		"what the server says when one is in":  {frame('R', "\x00\x00\x00\x00"), "08P01", "08P01"},
		"another start-up packet":              {hello, "08P01", "08P01"},
		"a cancel request":                     {packet(cancelRequest, 0, 0, 0, 1, 1, 2, 3, 4), "08P01", "08P01"},
		"a request for TLS":                    {packet(sslRequest), "08P01", "08P01"},
		"more than a message of a login holds": {frame('p', "")[:1:1], "", ""}, // see below
	} {
		if len(c.message) == 1 { // its length is enough
			c.message, c.plain, c.over = binary.BigEndian.AppendUint32(c.message, maxAuthMessage+5), "08P01", "08P01"
		}
		for tlsToo, want := range map[bool]string{false: c.plain, true: c.over} {
			conn := g.dial()
			if tlsToo {
				conn = encrypted(t, conn, roots)
			}
			require.IsType(t, &pgproto3.AuthenticationSASL{}, say(t, conn, hello)[0])
			_, err := conn.Write(c.message)
			require.NoError(t, err)
			switch msg, err := pgproto3.NewFrontend(conn, conn).Receive(); m := msg.(type) {
			case *pgproto3.AuthenticationSASLContinue:
				require.Empty(t, want, what)
			case *pgproto3.ErrorResponse:
				require.Equal(t, "FATAL "+want, m.Severity+" "+m.Code, what)
				_, err = io.ReadAll(conn)
				require.NoError(t, err, what)
			default:
				require.Fail(t, "answer", "%s, TLS %t: %T %v", what, tlsToo, msg, err)
			}
			_ = conn.Close()
		}
	}
}

// An eager client appends a message to its third write, which is its proof.
type eager struct {
	net.Conn
	writes int
	more   []byte
}

func (e *eager) Write(p []byte) (int, error) {
	if e.writes++; e.writes == 3 {
		_, err := e.Conn.Write(append(p[:len(p):len(p)], e.more...))
		return len(p), err
	}
	return e.Conn.Write(p)
}

func TestWhatComesBeforeALoginIsBounded(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	params := []string{"user", "tenant1", "database", g.database, "application_name"}
	fill := func(size int) []byte { // a packet of that size
		return startup(protocol30, append(params, strings.Repeat("x", size-len(startup(protocol30, append(params, "")...))))...)
	}
	require.IsType(t, &pgproto3.AuthenticationSASL{}, say(t, g.dial(), fill(maxStartupSize))[0])
	require.Equal(t, "08P01", fatal(t, say(t, g.dial(), fill(maxStartupSize + 1)[:4]))) // the rest is not waited for
	for _, length := range []uint32{0, 4, 7, maxStartupSize + 1, 1 << 31, 0xffffffff} {
		require.Equal(t, "08P01", fatal(t, say(t, g.dial(), binary.BigEndian.AppendUint32(nil, length))), length)
	}
	config, err := pgconn.ParseConfig(g.url("tenant1"))
	require.NoError(t, err)
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &eager{Conn: conn, more: frame('Q', "SELECT 1\x00")}, err
	}
	_, err = pgconn.ConnectConfig(t.Context(), config)
	require.Equal(t, "08P01", sqlState(t, err), "a query before the login was answered")
}

// TestLoginIsLeftInTimeHoweverItIsDrawnOut: clients that say a little now and
// then, at every step.
func TestLoginIsLeftInTimeHoweverItIsDrawnOut(t *testing.T) {
	change, roots := withTLS(t)
	g := open(t, clinic.New(t, 1), RLS, func(cfg *Config) { change(cfg); cfg.LoginTimeout = time.Second })
	hello := startup(protocol30, "user", "tenant1", "database", g.database)
	drawnOut := func(conn, raw net.Conn, bytes []byte) error {
		began := time.Now()
		for i := 0; time.Since(began) < 15*time.Second; i++ {
			if i < len(bytes)-1 {
				if _, err := conn.Write(bytes[i : i+1]); err != nil {
					return nil
				}
			}
			_ = raw.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := io.Copy(io.Discard, raw); err == nil || !isTimeout(err) {
				return nil // the end
			}
		}
		return errors.New("it goes on")
	}
	steps := map[string]func() error{
		"start-up packet": func() error {
			c := g.dial()
			return drawnOut(c, c, startup(protocol30, "application_name", strings.Repeat("x", 9000)))
		},
		"TLS handshake": func() error {
			c := g.dial()
			requireS(t, c)
			return drawnOut(c, c, append([]byte{tlsHandshakeByte, 3, 1, 0x20, 0}, make([]byte, 8192)...))
		},
		"TLS at once": func() error {
			c := g.dial()
			return drawnOut(c, c, append([]byte{tlsHandshakeByte, 3, 1, 0x20, 0}, make([]byte, 8192)...))
		},
		"start-up packet in TLS": func() error {
			raw := g.dial()
			c := encrypted(t, raw, roots)
			return drawnOut(c, raw, startup(protocol30, "application_name", strings.Repeat("x", 9000)))
		},
		"proof": func() error {
			c := g.dial()
			say(t, c, hello)
			return drawnOut(c, c, saslInitial("SCRAM-SHA-256", "n,,n=,r="+strings.Repeat("x", 9000)))
		},
	}
	ended := make(chan error, len(steps))
	for step, run := range steps {
		go func() {
			if err := run(); err != nil {
				ended <- fmt.Errorf("%s: %w", step, err)
				return
			}
			ended <- nil
		}()
	}
	for range steps {
		require.NoError(t, <-ended)
	}
}

// TestPlainTextBeforeTLSIsDiscarded: I9. What somebody between client and proxy
// puts before the handshake, or beside it, is answered by nobody.
func TestPlainTextBeforeTLSIsDiscarded(t *testing.T) {
	change, roots := withTLS(t)
	g := open(t, clinic.New(t, 1), RLS, change)
	hello := startup(protocol30, "user", "tenant1", "database", g.database)
	for what, sent := range map[string][]byte{
		"a start-up packet behind the request":       append(packet(sslRequest), hello...),
		"a byte behind the request":                  append(packet(sslRequest), 0),
		"a handshake behind the request":             append(packet(sslRequest), tlsHandshakeByte, 3, 1, 0, 5),
		"two requests":                               append(packet(sslRequest), packet(sslRequest)...),
		"a query behind the request":                 append(packet(sslRequest), frame('Q', "SELECT 1\x00")...),
		"a start-up packet behind one for GSSAPI":    append(packet(gssEncRequest), hello...),
		"a request for TLS behind one for GSSAPI":    append(packet(gssEncRequest), packet(sslRequest)...),
		"a request for TLS, and then GSSAPI and TLS": append(append(packet(sslRequest), packet(gssEncRequest)...), packet(sslRequest)...),
	} {
		require.Equal(t, "08P01", fatal(t, say(t, g.dial(), sent)), what)
	}
	for what, sent := range map[string][]byte{
		"a start-up packet":             hello,
		"a query":                       frame('Q', "SELECT 1\x00"),
		"another request":               packet(sslRequest),
		"a start-up packet, then hello": append(hello[:len(hello):len(hello)], tlsHandshakeByte, 3, 1, 0, 5, 1, 0, 0, 1, 0),
	} {
		conn := g.dial()
		requireS(t, conn)
		_, err := conn.Write(sent)
		require.NoError(t, err)
		got, _ := io.ReadAll(conn)
		require.True(t, len(got) == 0 || got[0] == tlsAlertByte, "%s in the handshake's place: %q", what, got)
	}
	inside := encrypted(t, g.dial(), roots)
	require.Equal(t, "0A000", fatal(t, say(t, inside, packet(sslRequest))), "a request for TLS in TLS")

	config, err := pgconn.ParseConfig(g.url("tenant1") + "&sslmode=require")
	require.NoError(t, err)
	config.Fallbacks = nil
	config.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	other := g.tenant("1")
	before := pgtest.Must(t, other, "SELECT count(*) FROM log_lines")
	_, err = conn.Conn().(*tls.Conn).NetConn().Write(frame('Q', "DELETE FROM log_lines\x00"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT 1").ReadAll()
	require.Error(t, err, "the session ends")
	require.Equal(t, before, pgtest.Must(t, other, "SELECT count(*) FROM log_lines"))
	_ = conn.Close(t.Context())
}

// secrets of a SCRAM exchange differ each time, or are a login's own.
var scramSecrets = regexp.MustCompile(`([rs])=([^,]*)`)

// TestUnknownLoginCannotBeToldFromAWrongPassword compares all bytes of a login.
func TestUnknownLoginCannotBeToldFromAWrongPassword(t *testing.T) {
	verifier, err := auth.NewVerifier(password, auth.DefaultIterations)
	require.NoError(t, err)
	g := open(t, clinic.New(t, 1), RLS, func(cfg *Config) {
		cfg.Auth, err = auth.New(auth.Config{
			Tenants: []auth.Tenant{{ID: "one", Key: "1", Backend: "main"}, {ID: "gone", Key: "9", Backend: "main", Suspended: true}},
			Logins: []auth.Login{
				{User: "text", Password: password, Tenants: []string{"one"}},
				{User: "hash", Password: verifier.Encode(), Tenants: []string{"one"}},
				{User: "card", Tenants: []string{"one"}}, // by certificate alone
				{User: "susp", Password: password, Tenants: []string{"gone"}},
				{User: "none", Password: password}, // without a tenant
				{User: "oper", Password: password, Operator: true, Backend: "main"},
			},
			Throttle: auth.Throttle{FirstDelay: 1, MaxDelay: 1},
		})
		require.NoError(t, err)
	})
	try := func(user, database string) (said, salt string) {
		config, err := pgconn.ParseConfig(strings.Replace(g.url(user), ":"+strings.ReplaceAll(password, " ", "%20"), ":wrong", 1))
		require.NoError(t, err)
		require.Equal(t, "wrong", config.Password)
		config.Database = database
		var kept *recorder
		dial := config.DialFunc
		config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			kept = &recorder{Conn: conn}
			return kept, err
		}
		_, err = pgconn.ConnectConfig(t.Context(), config)
		require.Equal(t, "28P01", sqlState(t, err), user)
		said = strings.ReplaceAll(string(kept.seen), `"`+user+`"`, `"user"`)
		said = scramSecrets.ReplaceAllStringFunc(said, func(s string) string {
			if s[0] == 's' {
				salt = s
			}
			return fmt.Sprintf("%c of %d bytes", s[0], len(s))
		})
		return said, salt
	}
	want, salt := try("text", g.database)
	require.Contains(t, want, "password authentication failed")
	salts := map[string]string{salt: "text"}
	for _, user := range []string{"hash", "card", "susp", "none", "oper", "nobd", "Text", "äß", "t xt"} {
		for _, database := range []string{g.database, "elsewhere", consoleDatabase} {
			said, salt := try(user, database)
			require.Equal(t, want, said, "%s, %s", user, database)
			require.Contains(t, []string{"", user}, salts[salt], "%s: a login's salt is its own, and stays", user)
			salts[salt] = user
		}
	}
	require.Len(t, salts, 10)
}

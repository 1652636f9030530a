package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// dial opens a bare connection to the proxy.
func (g *gate) dial() net.Conn {
	g.t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	require.NoError(g.t, err)
	g.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(g.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

func packet(code uint32, body ...byte) []byte {
	msg := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(msg, code), body...)
}

func startup(version uint32, params ...string) []byte {
	var body []byte
	for _, p := range params {
		body = appendCString(body, p)
	}
	return packet(version, append(body, 0)...)
}

// say sends bytes and returns the messages that come until the proxy closes or
// falls silent for the login.
func say(t *testing.T, conn net.Conn, bytes []byte) []pgproto3.BackendMessage {
	t.Helper()
	_, err := conn.Write(bytes)
	require.NoError(t, err)
	frontend := pgproto3.NewFrontend(conn, conn)
	var messages []pgproto3.BackendMessage
	for {
		msg, err := frontend.Receive()
		if err != nil {
			return messages
		}
		switch m := msg.(type) {
		case *pgproto3.ErrorResponse:
			copied := *m
			return append(messages, &copied)
		case *pgproto3.NegotiateProtocolVersion:
			copied := *m
			messages = append(messages, &copied)
		case *pgproto3.AuthenticationSASL:
			return append(messages, &pgproto3.AuthenticationSASL{AuthMechanisms: append([]string{}, m.AuthMechanisms...)})
		}
	}
}

func fatal(t *testing.T, messages []pgproto3.BackendMessage) string {
	t.Helper()
	require.NotEmpty(t, messages)
	e, ok := messages[len(messages)-1].(*pgproto3.ErrorResponse)
	require.True(t, ok, "%T", messages[len(messages)-1])
	require.Equal(t, "FATAL", e.Severity)
	return e.Code
}

func TestStartUpPacketsAreAnsweredAsPostgreSQLDoes(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	params := []string{"user", "tenant1", "database", g.database}
	sasl := func(messages []pgproto3.BackendMessage) {
		t.Helper()
		require.IsType(t, &pgproto3.AuthenticationSASL{}, messages[len(messages)-1])
	}
	sasl(say(t, g.dial(), startup(protocol30, params...)))
	sasl(say(t, g.dial(), startup(protocol32, params...)))

	for version, negotiated := range map[uint32]uint32{3<<16 | 1: protocol30, 3<<16 | 3: protocol32, 3<<16 | 9999: protocol32} {
		messages := say(t, g.dial(), startup(version, append(params, "_pq_.unheard_of", "1")...))
		require.Len(t, messages, 2)
		require.Equal(t, &pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: negotiated, UnrecognizedOptions: []string{"_pq_.unheard_of"}}, messages[0])
		sasl(messages)
	}
	require.Equal(t, "0A000", fatal(t, say(t, g.dial(), startup(2<<16, params...))))
	require.Equal(t, "0A000", fatal(t, say(t, g.dial(), startup(4<<16, params...))))
	require.Equal(t, "08P01", fatal(t, say(t, g.dial(), startup(protocol30, "user", "tenant1", "user", "tenant2"))))
	require.Equal(t, "28000", fatal(t, say(t, g.dial(), startup(protocol30, "database", "x"))))
	require.Equal(t, "0A000", fatal(t, say(t, g.dial(), startup(protocol30, append(params, "replication", "database")...))))
	require.Equal(t, "08P01", fatal(t, say(t, g.dial(), packet(protocol30, 'u', 's', 'e', 'r'))))
	require.Equal(t, "08P01", fatal(t, say(t, g.dial(), binary.BigEndian.AppendUint32(nil, 1<<30))))
	require.Equal(t, "08P01", fatal(t, say(t, g.dial(), []byte("GET / HTTP/1.1\r\n\r\n"))))
}

func TestEncryptionRequestsAreDeclinedWithoutACertificate(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	conn := g.dial()
	answer := make([]byte, 1)
	for _, code := range []uint32{gssEncRequest, sslRequest} {
		_, err := conn.Write(packet(code))
		require.NoError(t, err)
		_, err = io.ReadFull(conn, answer)
		require.NoError(t, err)
		require.Equal(t, "N", string(answer))
	}
	require.IsType(t, &pgproto3.AuthenticationSASL{}, say(t, conn, startup(protocol30, "user", "tenant1", "database", g.database))[0])
	require.Equal(t, "08P01", fatal(t, say(t, g.dial(), append(packet(sslRequest), startup(protocol30)...))))
}

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestClientsConnectOverTLS(t *testing.T) {
	cert, roots := certificate(t)
	g := open(t, clinic.New(t, 1), RLS, func(cfg *Config) {
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		cfg.RequireTLS = true
	})
	_, err := pgconn.Connect(t.Context(), g.url("tenant1"))
	require.Equal(t, "28000", sqlState(t, err))
	for _, params := range []string{"", "&channel_binding=require", "&sslnegotiation=direct"} {
		cfg, err := pgconn.ParseConfig(g.url("tenant1") + "&sslmode=require" + params)
		require.NoError(t, err)
		cfg.Fallbacks = nil
		cfg.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"postgresql"}}
		conn, err := pgconn.ConnectConfig(t.Context(), cfg)
		require.NoError(t, err, params)
		require.Len(t, pgtest.Must(t, conn, "SELECT DISTINCT tenant_id FROM patients"), 1)
		require.NoError(t, conn.Close(t.Context()))
	}
	smuggled := append(packet(sslRequest), startup(protocol30, "user", "tenant1")...)
	require.Equal(t, "08P01", fatal(t, say(t, g.dial(), smuggled)))
}

func TestLongCancelKeysGoWithTheNewerProtocol(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	for params, size := range map[string]int{"max_protocol_version=3.0": 4, "max_protocol_version=3.2": 32} {
		conn := pgtest.Connect(t, g.url("tenant1", params))
		require.Len(t, conn.SecretKey(), size, params)
		require.Equal(t, "57014", cancelled(t, conn, "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b"))
	}
}

func TestClientThatDoesNotLogInIsLeftInTime(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, func(cfg *Config) { cfg.LoginTimeout = 2 * time.Second; cfg.MaxLogins = 2 })
	conn := g.dial()
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)

	stuck := []net.Conn{g.dial(), g.dial()}
	time.Sleep(50 * time.Millisecond)
	_, err = g.dial().Read(make([]byte, 1)) // one too many is not kept waiting
	require.Error(t, err)
	for _, c := range stuck {
		_ = c.Close()
	}
	require.Eventually(t, func() bool {
		conn, err := pgconn.Connect(t.Context(), g.url("tenant1"))
		if err != nil {
			return false
		}
		return conn.Close(t.Context()) == nil
	}, 30*time.Second, 20*time.Millisecond)
}

func TestOptionsOfTheStartUpPacketAreReadAsTheServerDoes(t *testing.T) {
	for options, want := range map[string]map[string]string{
		"":                               {},
		"-c a=1":                         {"a": "1"},
		"-ca=1 -c b=2":                   {"a": "1", "b": "2"},
		"--a-b=1  \t--c=":                {"a_b": "1", "c": ""},
		`-c a=x\ y\\z`:                   {"a": `x y\z`},
		"-c\tapplication_name=a=b":       {"application_name": "a=b"},
		"-c TimeZone=UTC -c timezone=X ": {"timezone": "X"},
		`-c a=1\`:                        {"a": "1"},
		"-c a=1\v-c\fb=2\r-c\nc=3":       {"a": "1", "b": "2", "c": "3"},
	} {
		got, err := parseOptions(options)
		require.NoError(t, err, options)
		require.Equal(t, want, got, options)
	}
	for _, options := range []string{"-c", "-c a", "a=1", "-d 5", "--", "-c =1", "- c a=1"} {
		_, err := parseOptions(options)
		require.Error(t, err, options)
	}
}

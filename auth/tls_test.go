package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"
)

func ecdsaKey(t testing.TB) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	return key
}

func ed25519Key(t testing.TB) crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

func selfSigned(t testing.TB, key crypto.Signer) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// wire is an Exchange over a connection, as a server has it.
type wire struct{ backend *pgproto3.Backend }

func (w wire) Send(msg pgproto3.BackendMessage) error {
	w.backend.Send(msg)
	return w.backend.Flush()
}

func (w wire) Receive(msg pgproto3.FrontendMessage) error {
	authType := uint32(pgproto3.AuthTypeSASL)
	if _, ok := msg.(*pgproto3.SASLResponse); ok {
		authType = pgproto3.AuthTypeSASLContinue
	}
	if err := w.backend.SetAuthType(authType); err != nil {
		return err
	}
	received, err := w.backend.Receive()
	if err != nil {
		return err
	}
	switch msg := msg.(type) {
	case *pgproto3.SASLInitialResponse:
		if got, ok := received.(*pgproto3.SASLInitialResponse); ok {
			*msg = *got
			return nil
		}
	case *pgproto3.SASLResponse:
		if got, ok := received.(*pgproto3.SASLResponse); ok {
			*msg = *got
			return nil
		}
	}
	return ErrProtocol
}

// serve takes one client through start-up and authentication.
func serve(ctx context.Context, a *Authenticator, conn net.Conn, cert *tls.Certificate) error {
	backend := pgproto3.NewBackend(conn, conn)
	startup, err := backend.ReceiveStartupMessage()
	if err != nil {
		return err
	}
	peer := Peer{Addr: address}
	if _, ok := startup.(*pgproto3.SSLRequest); ok && cert != nil {
		if _, err := conn.Write([]byte("S")); err != nil {
			return err
		}
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12})
		peer.ServerCert = cert.Certificate[0]
		backend = pgproto3.NewBackend(conn, conn)
		if startup, err = backend.ReceiveStartupMessage(); err != nil {
			return err
		}
	}
	message, ok := startup.(*pgproto3.StartupMessage)
	if !ok {
		return errors.New("no start-up message")
	}
	if _, err := a.Authenticate(ctx, message.Parameters["user"], peer, wire{backend}); err != nil {
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: err.Error()})
		return errors.Join(err, backend.Flush())
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := backend.Flush(); err != nil {
		return err
	}
	_, err = backend.Receive() // Terminate
	return err
}

// connect has pgconn log in at a server that serves it alone.
func connect(t *testing.T, a *Authenticator, cert *tls.Certificate, dsn string) (client, server error) {
	t.Helper()
	cfg, err := pgconn.ParseConfig(dsn)
	require.NoError(t, err)
	near, far := net.Pipe()
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return near, nil }
	cfg.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	cfg.Fallbacks = nil
	served := make(chan error, 1)
	go func() {
		defer func() { _ = far.Close() }()
		served <- serve(t.Context(), a, far, cert)
	}()
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err == nil {
		_ = conn.Close(t.Context()) // the server is gone first, over TLS an error
	}
	return err, <-served
}

func TestPgconnLogsIn(t *testing.T) {
	ecdsaCert, edCert := selfSigned(t, ecdsaKey(t)), selfSigned(t, ed25519Key(t))
	passwords := map[string]string{
		"ascii":      "wonder",
		"umlaut":     "geheim\u00e4",
		"decomposed": "geheima\u0308",
		"nbsp":       "two\u00a0words",
		"emoji":      "\U0001F511",
	}
	for name, password := range passwords {
		a := newAuthenticator(t, Config{Logins: []Login{{User: "u", Password: password, Operator: true}}})
		for how, dsn := range map[string]string{
			"plain":            "sslmode=disable",
			"binding required": "sslmode=require channel_binding=require",
			"binding disabled": "sslmode=require channel_binding=disable",
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				err, _ := connect(t, a, &ecdsaCert, "host=localhost user=u password='"+password+"' "+dsn)
				require.NoError(t, err)
			})
		}
		err, _ := connect(t, a, &edCert, "host=localhost user=u sslmode=require password='"+password+"'")
		require.NoError(t, err, "a certificate that defines no binding")
	}
}

func TestPgconnIsRejected(t *testing.T) {
	a := newAuthenticator(t, Config{Logins: []Login{{User: "u", Password: "x", Operator: true}}})
	for _, user := range []string{"u", "nobody"} {
		err, served := connect(t, a, nil, "host=localhost sslmode=disable password=y user="+user)
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg)
		require.Equal(t, "28P01", pg.Code)
		require.Equal(t, `password authentication failed for user "`+user+`"`, pg.Message)
		require.ErrorIs(t, served, ErrRejected)
	}
}

func TestChannelBinding(t *testing.T) {
	cert, other := selfSigned(t, ecdsaKey(t)), selfSigned(t, ecdsaKey(t))
	a := newAuthenticator(t, Config{Logins: []Login{{User: "u", Password: "x", Operator: true}}})
	binding, err := serverEndPoint(cert.Certificate[0])
	require.NoError(t, err)
	require.Len(t, binding.Data, 48, "SHA-384 of the certificate")
	elsewhere, err := serverEndPoint(other.Certificate[0])
	require.NoError(t, err)
	bound := func(b scram.ChannelBinding) func(*scram.Client) *scram.ClientConversation {
		return func(c *scram.Client) *scram.ClientConversation { return c.NewConversationWithChannelBinding(b) }
	}
	for _, c := range []struct {
		name   string
		client client
		want   error
	}{
		{"right", client{mechanism: mechanismPlus, prefers: bound(binding)}, nil},
		{"of another certificate", client{mechanism: mechanismPlus, prefers: bound(elsewhere)}, ErrChannelBinding},
		{"of another type", client{mechanism: mechanismPlus, prefers: bound(scram.NewTLSUniqueBinding([]byte("x")))}, ErrProtocol},
		{"missing", client{mechanism: mechanismPlus}, ErrProtocol},
		{"under the mechanism without", client{prefers: bound(binding)}, ErrProtocol},
		{"not known to the client", client{}, nil},
		{"hidden from the client", client{first: func(s string) string { return strings.Replace(s, "n,,", "y,,", 1) }}, ErrChannelBinding},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.client.password = "x"
			_, err := a.Authenticate(t.Context(), "u", Peer{ServerCert: cert.Certificate[0]}, &c.client)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				require.NotErrorIs(t, err, ErrRejected)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "SASL SCRAM-SHA-256-PLUS,SCRAM-SHA-256", c.client.transcript[0])
		})
	}
}

func TestOwnCertificateThatDoesNotParseIsAnError(t *testing.T) {
	a := newAuthenticator(t, Config{})
	_, err := a.Authenticate(t.Context(), "u", Peer{ServerCert: []byte("junk")}, &client{})
	require.ErrorContains(t, err, "parse own certificate")
	require.NotErrorIs(t, err, ErrRejected)
}

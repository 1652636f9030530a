package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"

	"tenantgate/auth"
	"tenantgate/pool"
)

const tlsAlertByte = 0x15

// patience is how long a proxy may take for anything that a fuzzer sends. The
// fuzzing engine ends a process without a word that takes ten seconds for one
// input.
const patience = 8 * time.Second

// What the client of FuzzStartUp does beside sending its bytes.
const (
	startTLSOffered  = 1 << iota // the proxy has a certificate
	startTLSRequired             // and refuses clients without TLS
	startHandshake               // the client completes TLS when that is agreed to
	startAtOnce                  // it begins with TLS
	startProof                   // it knows the password
	startBytewise                // it sends byte by byte
)

// FuzzStartUp sends any bytes to a proxy that nobody has logged in to: first
// plain ones, then, if TLS came up meanwhile, others inside it. The proxy must
// answer with whole messages and end, and let nobody in without the password.
func FuzzStartUp(f *testing.F) {
	params := []string{"user", "tenant1", "database", "clinic"}
	hello := startup(protocol30, params...)
	sasl := func(mechanism, first string) []byte {
		body := append(appendCString(nil, mechanism), binary.BigEndian.AppendUint32(nil, uint32(len(first)))...)
		out, at := beginMessage(nil, 'p')
		return finishMessage(append(append(out, body...), first...), at)
	}
	for _, seed := range []struct {
		plain, sealed []byte
		how           byte
	}{
		{hello, nil, 0},
		{hello, nil, startProof},
		{startup(protocol32, params...), nil, startProof | startBytewise},
		{startup(3<<16|9999, append(params, "_pq_.x", "1")...), nil, startProof},
		{startup(protocol30, append(params, "options", `-c TimeZone=UTC --search\_path=x`, "client_encoding", "SJIS")...), nil, startProof},
		{startup(protocol30, append(params, "replication", "database")...), nil, 0},
		{packet(sslRequest), hello, 0},
		{packet(sslRequest), hello, startTLSOffered | startTLSRequired | startHandshake | startProof},
		{append(packet(gssEncRequest), packet(sslRequest)...), hello, startTLSOffered | startHandshake},
		{append(packet(sslRequest), hello...), nil, startTLSOffered | startHandshake},
		{append(packet(sslRequest), packet(sslRequest)...), hello, startBytewise},
		{nil, hello, startTLSOffered | startAtOnce | startProof},
		{nil, append(packet(sslRequest), hello...), startTLSOffered | startAtOnce},
		{[]byte{tlsHandshakeByte, 3, 1, 0, 5, 1, 0, 0, 1, 0}, nil, startTLSOffered},
		{hello, nil, startTLSOffered | startTLSRequired},
		{packet(cancelRequest, 0, 0, 0, 1, 1, 2, 3, 4), nil, 0},
		{packet(cancelRequest), nil, 0},
		{append(hello, sasl("SCRAM-SHA-256", "n,,n=,r=abc")...), nil, 0},
		{append(hello, sasl("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc")...), nil, 0},
		{packet(sslRequest), append(hello, sasl("SCRAM-SHA-256", "y,,n=,r=abc")...), startTLSOffered | startHandshake},
		{append(hello, 'p', 0, 0, 0, 8, 'a', 'b', 'c', 0), nil, 0},
		{append(hello, 'Q', 0, 0, 0, 6, ';', 0), nil, startProof},
		{startup(2<<16, params...), nil, 0},
		{packet(protocol30), nil, 0},
		{[]byte{0, 0, 0, 4}, nil, 0},
		{[]byte("GET / HTTP/1.1\r\n\r\n"), nil, 0},
	} {
		f.Add(seed.plain, seed.sealed, seed.how)
	}
	door := newDoor(f)
	f.Fuzz(func(t *testing.T, plain, sealed []byte, how byte) {
		knocked := door.knock(t, plain, sealed, how)
		requireGreeting(t, knocked, how)
		require.NotContains(t, door.log.String(), "panic")
		require.NotContains(t, door.log.String(), "internal error")
		door.log.Reset()
	})
}

// A door is proxies whose database server cannot be reached.
type door struct {
	servers  map[byte]*Server // by startTLSOffered and startTLSRequired
	listener net.Listener
	log      safeBuffer
}

func newDoor(f *testing.F) *door {
	cert, _ := certificate(f)
	d := &door{servers: make(map[byte]*Server)}
	authenticator, err := auth.New(auth.Config{
		Tenants:  []auth.Tenant{{ID: "tenant1", Key: "1", Backend: "main"}},
		Logins:   []auth.Login{{User: "tenant1", Password: password, Tenants: []string{"tenant1"}}},
		Throttle: auth.Throttle{FirstDelay: 1, MaxDelay: 1},
	})
	require.NoError(f, err)
	nowhere, err := pgconn.ParseConfig("user=u password=p dbname=clinic host=" + f.TempDir()) // no socket there
	require.NoError(f, err)
	for _, how := range []byte{0, startTLSOffered, startTLSOffered | startTLSRequired} {
		cfg := Config{
			Enforce: Both, Setting: "app.tenant_id", Auth: authenticator, RequireTLS: how&startTLSRequired != 0,
			Backends: map[string]BackendConfig{"main": {Pool: pool.Config{Server: nowhere, Size: 1, AcquireTimeout: time.Millisecond}}},
			Log:      zerolog.New(&d.log),
		}
		if how&startTLSOffered != 0 {
			cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		}
		d.servers[how], err = New(cfg)
		require.NoError(f, err)
		f.Cleanup(d.servers[how].Close)
	}
	d.listener, err = net.Listen("unix", filepath.Join(f.TempDir(), "door"))
	require.NoError(f, err)
	f.Cleanup(func() { _ = d.listener.Close() })
	return d
}

// A wire counts what goes over a connection, so that the client knows when the
// proxy waits for it.
type wire struct {
	sent, taken, told, heard atomic.Int64 // bytes
	reading                  atomic.Bool
}

// quiet reports whether the proxy has taken all that was sent, the client has
// heard all that was said, and the proxy wants more.
func (w *wire) quiet() bool {
	return w.reading.Load() && w.taken.Load() == w.sent.Load() && w.heard.Load() == w.told.Load()
}

// A distant connection is the proxy's end, which does not come from this
// machine.
type distant struct {
	net.Conn
	wire *wire
}

func (distant) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5} }

func (d distant) Read(p []byte) (int, error) {
	d.wire.reading.Store(true)
	n, err := d.Conn.Read(p)
	d.wire.taken.Add(int64(n))
	d.wire.reading.Store(false)
	return n, err
}

func (d distant) Write(p []byte) (int, error) {
	d.wire.told.Add(int64(len(p)))
	return d.Conn.Write(p)
}

// A near connection is the client's end.
type near struct {
	*net.UnixConn
	wire *wire
}

func (c near) Read(p []byte) (int, error) {
	n, err := c.UnixConn.Read(p)
	c.wire.heard.Add(int64(n))
	return n, err
}

func (c near) Write(p []byte) (int, error) {
	c.wire.sent.Add(int64(len(p)))
	return c.UnixConn.Write(p)
}

// knock plays the client and returns all that the proxy said outside TLS, or
// inside it once that is up.
func (d *door) knock(t *testing.T, plain, sealed []byte, how byte) []byte {
	server := d.servers[how&(startTLSOffered|startTLSRequired)]
	if server == nil {
		server = d.servers[0]
	}
	dialed, err := net.Dial("unix", d.listener.Addr().String())
	require.NoError(t, err)
	client := near{dialed.(*net.UnixConn), &wire{}}
	conn, err := d.listener.Accept()
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.serve(distant{conn, client.wire})
	}()
	defer func() {
		_ = client.Close()
		select {
		case <-served:
		case <-time.After(patience):
			t.Error("the proxy goes on after its client has left")
		}
	}()
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"postgresql"}}
	c := &caller{t: t, conn: client, half: client, wire: client.wire, how: how}
	if how&startAtOnce != 0 {
		plain, sealed = nil, append(plain[:len(plain):len(plain)], sealed...)
	} else if how&startHandshake == 0 {
		c.data = append(plain[:len(plain):len(plain)], sealed...)
		return c.converse()
	} else if !c.agreed(plain) {
		return nil
	}
	encrypted := tls.Client(client, config)
	_ = client.SetDeadline(time.Now().Add(patience))
	if encrypted.Handshake() != nil {
		return nil
	}
	c.conn, c.half, c.data = encrypted, encrypted, sealed
	return c.converse()
}

// A caller is a client that sends data, and the proof of the password if it is
// asked for that and knows it.
type caller struct {
	t     *testing.T
	conn  net.Conn
	half  interface{ CloseWrite() error }
	wire  *wire
	how   byte
	data  []byte
	proof *scram.ClientConversation
}

// listen is Read, but ends what the client has to say once the proxy waits for
// more than the client has.
func (c *caller) listen(buf []byte, written func() bool) (int, error) {
	give := time.Now().Add(patience)
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
		n, err := c.conn.Read(buf)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		require.True(c.t, time.Now().Before(give), "no answer, and no end")
		if written() && c.wire.quiet() {
			_ = c.half.CloseWrite()
		}
	}
}

// agreed sends plain bytes and reports whether they ask for TLS and get it.
func (c *caller) agreed(plain []byte) bool {
	if !bytes.HasSuffix(plain, packet(sslRequest)) {
		return false
	}
	write(c.conn, plain, c.how)
	answer := []byte{0}
	for {
		if _, err := c.listen(answer, func() bool { return true }); err != nil || answer[0] != 'N' {
			return answer[0] == 'S'
		}
	}
}

// write sends bytes; a proxy that has closed is no error.
func write(conn net.Conn, data []byte, how byte) {
	_ = conn.SetWriteDeadline(time.Now().Add(patience))
	if how&startBytewise == 0 {
		_, _ = conn.Write(data)
		return
	}
	for i := range data {
		if _, err := conn.Write(data[i : i+1]); err != nil {
			return
		}
	}
}

// converse sends the data and returns all answers up to the end.
func (c *caller) converse() []byte {
	var written atomic.Bool
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		write(c.conn, c.data, c.how)
		written.Store(true)
	})
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := c.listen(buf, written.Load)
		got = append(got, buf[:n]...)
		if err != nil {
			return got
		}
		if c.how&startProof != 0 {
			c.prove(got)
		}
	}
}

// prove answers what the proxy asks last.
func (c *caller) prove(got []byte) {
	challenge, offered := lastAuthentication(got)
	var msg pgproto3.FrontendMessage
	switch {
	case offered && c.proof == nil:
		client, err := scram.SHA256.NewClient("", password, "")
		require.NoError(c.t, err)
		c.proof = client.NewConversation()
		first, err := c.proof.Step("")
		require.NoError(c.t, err)
		msg = &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(first)}
	case challenge != "" && c.proof != nil && !c.proof.Done():
		answer, err := c.proof.Step(challenge)
		if err != nil {
			return
		}
		msg = &pgproto3.SASLResponse{Data: []byte(answer)}
	default:
		return
	}
	out, err := msg.Encode(nil)
	require.NoError(c.t, err)
	_, _ = c.conn.Write(out)
}

// lastAuthentication looks for a request of the login at the end of what the
// proxy has said.
func lastAuthentication(got []byte) (challenge string, offered bool) {
	_, messages := cutAnswers(got)
	if len(messages) == 0 {
		return "", false
	}
	last := messages[len(messages)-1]
	if last.typ != 'R' || len(last.body) < 4 {
		return "", false
	}
	switch binary.BigEndian.Uint32(last.body) {
	case pgproto3.AuthTypeSASL:
		return "", true
	case pgproto3.AuthTypeSASLContinue:
		return string(last.body[4:]), false
	}
	return "", false
}

type answered struct {
	typ  byte
	body []byte
}

// cutAnswers cuts what a proxy says into messages, after the single bytes that
// answer requests for encryption. rest is what is left.
func cutAnswers(got []byte) (rest []byte, messages []answered) {
	for len(got) > 0 && (got[0] == 'N' || got[0] == 'S') {
		got = got[1:]
	}
	return cutMessages(got)
}

func cutMessages(got []byte) (rest []byte, messages []answered) {
	for len(got) >= headSize {
		size := 1 + int(binary.BigEndian.Uint32(got[1:]))
		if size < headSize || size > len(got) {
			break
		}
		messages = append(messages, answered{got[0], got[headSize:size]})
		got = got[size:]
	}
	return got, messages
}

// requireGreeting holds what a proxy says before a login to the protocol.
func requireGreeting(t *testing.T, got []byte, how byte) {
	t.Helper()
	rest, messages := cutAnswers(got)
	if how&startTLSOffered != 0 && bytes.HasPrefix(rest, []byte{tlsAlertByte}) {
		return // to a handshake that is none
	}
	require.Empty(t, rest, "%q", got)
	for i, m := range messages {
		switch m.typ {
		case 'R':
			require.GreaterOrEqual(t, len(m.body), 4)
			switch code := binary.BigEndian.Uint32(m.body); code {
			case pgproto3.AuthTypeSASL, pgproto3.AuthTypeSASLContinue:
			case pgproto3.AuthTypeSASLFinal:
				require.NotZero(t, how&startProof, "a login without its password")
			default:
				require.Fail(t, "authentication", "code %d", code)
			}
		case 'v':
		case 'E':
			require.Equal(t, len(messages)-1, i, "something follows the error")
			var msg pgproto3.ErrorResponse
			require.NoError(t, msg.Decode(m.body))
			require.Equal(t, "FATAL", msg.Severity)
			require.NotEqual(t, "XX000", msg.Code, "%s", msg.Message)
		default:
			require.Fail(t, "answer", "message %q", m.typ)
		}
	}
}

// A safeBuffer may be written to by several goroutines.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Reset forgets what was written.
func (b *safeBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/rs/zerolog"

	"tenantgate/auth"
	"tenantgate/pool"
	"tenantgate/rewrite"
)

// Codes that stand where a start-up packet has its protocol version.
const (
	cancelRequest = 80877102
	sslRequest    = 80877103
	gssEncRequest = 80877104

	protocol30 = 3 << 16
	protocol32 = 3<<16 | 2

	tlsHandshakeByte = 0x16 // first byte of a client that begins with TLS at once
)

// A greeting is one client from accept to its first ReadyForQuery.
type greeting struct {
	server   *Server
	conn     net.Conn
	in       *reader
	log      zerolog.Logger
	cert     []byte // ours, once TLS is up
	clientCN string
	version  uint32                   // negotiated
	params   map[string]string        // of the start-up packet
	notice   *pgproto3.NoticeResponse // told at the end of the greeting; nil: none
}

// start greets a client. It returns what serves it from then on, or nil for
// one that only wanted a statement cancelled. An error has been told.
func (s *Server) start(ctx context.Context, conn net.Conn, log zerolog.Logger) (served func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.LoginTimeout)
	defer cancel()
	g := &greeting{server: s, conn: conn, in: newReader(conn), log: log}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	served, err = g.greet(ctx)
	if err != nil {
		if !quietEnd(err) {
			s.refused.add(err)
		}
		_ = g.conn.SetWriteDeadline(time.Now().Add(time.Second))
		g.fatal(err)
		return nil, err
	}
	return served, nil // which ends at once if time was up just now
}

// fatal tells the client why it cannot be served, if it is to be told.
func (g *greeting) fatal(err error) {
	if quietEnd(err) || errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	msg, internal := errorResponse("FATAL", err)
	if internal {
		g.log.Error().Err(err).Msg("internal error")
	}
	if bytes, err := msg.Encode(nil); err == nil {
		_, _ = g.conn.Write(bytes)
	}
}

// quietEnd reports whether a client just left.
func quietEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func (g *greeting) greet(ctx context.Context) (func(), error) {
	version, packet, err := g.preamble(ctx)
	if err != nil || version == cancelRequest {
		return nil, err
	}
	if err := g.negotiate(version, packet); err != nil {
		return nil, err
	}
	user := g.params["user"]
	g.log = g.log.With().Str("login", user).Logger()
	if err := g.admissible(user); err != nil {
		return nil, err
	}
	g.in.limit = maxAuthMessage
	identity, err := g.server.cfg.Auth.Authenticate(ctx, user, g.peer(), g)
	if err != nil {
		return nil, err
	}
	if g.in.limit = maxMessage; g.in.buffered() {
		return nil, fmt.Errorf("%w: bytes before the login was answered", errMalformed)
	}
	if identity.Console && g.database() == consoleDatabase {
		return g.console(identity)
	}
	return g.admit(ctx, identity)
}

// admit lets in a client that has authenticated, if there is a place for it.
func (g *greeting) admit(ctx context.Context, identity *auth.Identity) (func(), error) {
	place, err := g.server.count.admit(identity)
	if err != nil {
		return nil, err
	}
	serve, err := g.session(ctx, identity, place)
	if err != nil {
		place.leave()
		return nil, err
	}
	return func() {
		defer place.leave()
		serve()
	}, nil
}

// preamble reads packets until one is a start-up message: TLS is set up on the
// way, and cancel requests are carried out.
func (g *greeting) preamble(ctx context.Context) (version uint32, packet []byte, err error) {
	encrypted, askedGSS := false, false
	for {
		if err := g.in.need(4); err != nil {
			return 0, nil, err
		}
		if !encrypted && g.server.cfg.TLS != nil && g.in.buf[g.in.start] == tlsHandshakeByte {
			if err := g.encrypt(ctx, true); err != nil {
				return 0, nil, err
			}
			encrypted = true
			continue
		}
		packet, err := g.in.packet()
		if err != nil {
			return 0, nil, err
		}
		version := binary.BigEndian.Uint32(packet)
		switch {
		case version == sslRequest && !encrypted:
			if g.in.buffered() {
				return 0, nil, fmt.Errorf("%w: unencrypted data after the TLS request", errMalformed)
			}
			if g.server.cfg.TLS == nil {
				if _, err := g.conn.Write([]byte{'N'}); err != nil {
					return 0, nil, err
				}
				encrypted = true // asked and answered: no second request
				continue
			}
			if _, err := g.conn.Write([]byte{'S'}); err != nil {
				return 0, nil, err
			}
			if err := g.encrypt(ctx, false); err != nil {
				return 0, nil, err
			}
			encrypted = true
		case version == gssEncRequest && !askedGSS:
			if g.in.buffered() {
				return 0, nil, fmt.Errorf("%w: data after the GSSAPI request", errMalformed)
			}
			if _, err := g.conn.Write([]byte{'N'}); err != nil {
				return 0, nil, err
			}
			askedGSS = true
		case version == cancelRequest:
			g.server.cancelStatement(ctx, packet[4:])
			return version, nil, nil
		default:
			return version, packet[4:], nil
		}
	}
}

// encrypt sets TLS up. At once means that the client began with it, and its
// first bytes are buffered already.
func (g *greeting) encrypt(ctx context.Context, atOnce bool) error {
	config, plain := g.server.cfg.TLS, g.conn
	if atOnce {
		config = config.Clone()
		config.NextProtos = []string{"postgresql"}
		plain = &replayed{Conn: g.conn, first: slices.Clone(g.in.buf[g.in.start:g.in.end])}
	}
	conn := tls.Server(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: TLS handshake: %w", net.ErrClosed, err)
	}
	state := conn.ConnectionState()
	if atOnce && state.NegotiatedProtocol != "postgresql" {
		return newError("08P01", "received direct TLS connection request without ALPN protocol negotiation extension", "")
	}
	if len(state.VerifiedChains) > 0 {
		g.clientCN = state.VerifiedChains[0][0].Subject.CommonName
	}
	if len(config.Certificates) > 0 && len(config.Certificates[0].Certificate) > 0 {
		g.cert = config.Certificates[0].Certificate[0]
	}
	g.conn, g.in = conn, newReader(conn)
	return nil
}

// replayed is a connection whose first bytes have been read before.
type replayed struct {
	net.Conn
	first []byte
}

func (r *replayed) Read(p []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// negotiate reads the start-up message and settles the protocol version.
func (g *greeting) negotiate(version uint32, packet []byte) error {
	if version>>16 != 3 {
		return newError("0A000", fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.2", version>>16, version&0xffff), "")
	}
	g.params = make(map[string]string)
	given := make(map[string]bool)
	var unknown []string
	for {
		name, rest, err := cstring(packet)
		if err != nil {
			return err
		}
		if name == "" {
			if len(rest) > 0 {
				return fmt.Errorf("%w: bytes behind the start-up packet", errMalformed)
			}
			break
		}
		value, rest, err := cstring(rest)
		if err != nil {
			return err
		}
		packet = rest
		if strings.HasPrefix(name, "_pq_.") {
			unknown = append(unknown, name)
			continue
		}
		folded := strings.ToLower(name) // as the server does with names of run-time parameters
		if given[folded] {
			return newError("08P01", fmt.Sprintf("start-up parameter %q is given twice", name), "")
		}
		given[folded] = true
		g.params[name] = value
	}
	g.version = protocol32
	if version < protocol32 {
		g.version = protocol30
	}
	if version == g.version && len(unknown) == 0 {
		return nil
	}
	return g.Send(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: g.version, UnrecognizedOptions: unknown})
}

// admissible refuses what no login may ask for.
func (g *greeting) admissible(user string) error {
	if user == "" {
		return newError("28000", "no PostgreSQL user name specified in startup packet", "")
	}
	_, encrypted := g.conn.(*tls.Conn)
	_, local := g.conn.RemoteAddr().(*net.UnixAddr)
	if g.server.cfg.RequireTLS && !encrypted && !local {
		return newError("28000", "connection requires TLS", "Connect with sslmode=require.")
	}
	if v, ok := g.params["replication"]; ok && !falseWord(v) {
		return newError("0A000", "replication connections are not supported", "Connect to the database server itself.")
	}
	return nil
}

func falseWord(s string) bool {
	switch strings.ToLower(s) {
	case "false", "off", "no", "0", "f", "n":
		return true
	default:
		return false
	}
}

func (g *greeting) peer() auth.Peer {
	peer := auth.Peer{ServerCert: g.cert, ClientCN: g.clientCN}
	if addr, ok := g.conn.RemoteAddr().(*net.TCPAddr); ok {
		peer.Addr, _ = netip.AddrFromSlice(addr.IP)
		peer.Addr = peer.Addr.Unmap()
	}
	return peer
}

// Send writes one message of the login to the client.
func (g *greeting) Send(msg pgproto3.BackendMessage) error {
	bytes, err := msg.Encode(nil)
	if err != nil {
		return fmt.Errorf("encode %T: %w", msg, err)
	}
	_, err = g.conn.Write(bytes)
	return err
}

// Receive reads the client's next message, which must be one of the login.
func (g *greeting) Receive(msg pgproto3.FrontendMessage) error {
	if err := g.in.need(1); err != nil {
		return err
	}
	if typ := g.in.buf[g.in.start]; typ != 'p' { // whose length is not waited for
		return fmt.Errorf("%w: message of type %q", auth.ErrProtocol, typ)
	}
	_, body, err := g.in.next()
	if err != nil {
		return err
	}
	if err := msg.Decode(body); err != nil {
		return fmt.Errorf("%w: %w", auth.ErrProtocol, err)
	}
	return nil
}

// session makes the session of a login.
func (g *greeting) session(ctx context.Context, identity *auth.Identity, place *place) (func(), error) {
	settings, chosen, err := g.settings(identity.Operator)
	if err != nil {
		return nil, err
	}
	s := &session{
		server: g.server, client: g.conn, in: g.in, identity: identity, place: place,
		begun:      time.Now(),
		log:        g.log,
		untenanted: g.log,
		operator:   identity.Operator,
		machine:    machine{status: 'I', takesCopy: identity.Operator},
		statements: make(map[string]*prepared),
		portals:    make(map[string]*prepared),
		ownPortals: make(map[string]*ownPortal),
		settings:   settings,
		values:     new(rewrite.Values),
		mail:       mailbox{client: g.conn},
		initial:    maps.Clone(settings),
		touched:    make(map[string]bool),
		leftover:   lastLeftover.Add(1),
	}
	s.countFor(nil)
	group, limits := s.group(), auth.Limits{}
	if s.operator {
		s.backend, err = g.operatorBackend(identity)
	} else {
		var home *auth.Tenant
		if home, err = g.placeTenant(ctx, s, chosen); err == nil {
			group, limits = groupOf(home), home.Limits
			group.Wait = 0 // which is for statements; logging in has its own time
		}
	}
	if err != nil {
		return nil, err
	}
	if err := s.initialPath(); err != nil {
		return nil, err
	}
	if s.reported, err = s.backend.greeting(ctx, group); err != nil {
		return nil, s.unavailable(limitReached(err, limits))
	}
	if err := s.applyInitial(ctx, group); err != nil {
		return nil, s.unavailable(limitReached(err, limits))
	}
	if !s.operator {
		s.reported["session_authorization"] = identity.Login
	}
	err = g.welcome(s.reported, func(id uint32, secret []byte) {
		s.id, s.secret = id, secret
		g.server.sessions[id] = s
	})
	if err != nil {
		return nil, err
	}
	s.log = s.log.With().Uint32("session", s.id).Logger()
	s.untenanted = s.untenanted.With().Uint32("session", s.id).Logger()
	return func() {
		defer g.server.unregister(s.id)
		if s.operator {
			s.log.Warn().Str("database", s.backend.database).Str("role", s.backend.role).
				Msg("operator logged in: no tenant confines this session")
			defer s.log.Warn().Msg("operator logged out")
		}
		s.log.Debug().Msg("session begins")
		if err := s.run(g.server.ctx); err != nil {
			s.log.Warn().Err(err).Msg("session ended")
			return
		}
		s.log.Debug().Msg("session ended")
	}, nil
}

// placeTenant finds the tenant that a session begins with, if one is certain,
// and the backend of its login's tenants. It returns the tenant that the first
// server connection is leased for.
func (g *greeting) placeTenant(ctx context.Context, s *session, chosen string) (home *auth.Tenant, err error) {
	home = s.identity.Tenants[0]
	t, err := s.identity.Choose(chosen)
	switch {
	case err == nil:
		if err := s.place.move(t); err != nil {
			return nil, err
		}
		home = t
	case chosen != "" || !errors.Is(err, auth.ErrNoTenant):
		return nil, tenantError(err)
	}
	at := g.server.placementOf(home)
	if database := g.database(); database != at.database {
		return nil, newError("3D000", fmt.Sprintf("database %q does not exist", database), "")
	}
	if s.backend, err = g.server.backendAt(ctx, at); err != nil {
		g.log.Error().Err(err).Msg("backend cannot be opened")
		return nil, newError("57P03", "the database server is not available", "Try again.")
	}
	if t != nil {
		s.setTenant(t)
	}
	return home, nil
}

// initialPath makes of a tenant's search_path in the start-up packet what it is
// on server connections, as SET does.
func (s *session) initialPath() error {
	value, ok := s.settings[searchPath]
	if !ok || s.operator {
		return nil
	}
	setting, ok := s.backend.catalog.Snapshot().PinnedPathOf(value)
	if !ok {
		return rewrite.Settable(searchPath, value)
	}
	s.settings[searchPath], s.initial[searchPath], s.path = setting, setting, setting
	return nil
}

// database is the one the client names; PostgreSQL's default is the user's name.
func (g *greeting) database() string {
	if name := g.params["database"]; name != "" {
		return name
	}
	return g.params["user"]
}

// settings returns the run-time parameters of the start-up packet, and the
// tenant that is chosen among them.
func (g *greeting) settings(operator bool) (settings map[string]string, tenant string, err error) {
	all, err := parseOptions(g.params["options"])
	if err != nil {
		return nil, "", err
	}
	for name, value := range g.params {
		switch name {
		case "user", "database", "options", "replication":
		default:
			all[strings.ToLower(name)] = value
		}
	}
	tenant = all[tenantParameter]
	delete(all, tenantParameter)
	if operator {
		return all, "", nil
	}
	settings = make(map[string]string)
	for name, value := range all {
		if name == "client_encoding" && strings.EqualFold(value, "SQL_ASCII") {
			continue // psql's and libpq's where there is no locale: bytes as they are, and these must be UTF-8
		}
		if err := rewrite.Settable(name, value); err != nil && name != searchPath { // which initialPath looks at
			return nil, "", err
		}
		if name == "client_encoding" || name == "standard_conforming_strings" {
			continue // only one value is accepted, and it is pinned
		}
		settings[name] = value
	}
	return settings, tenant, nil
}

// parseOptions reads the command-line options of a start-up packet: -c name=value
// and --name=value, with blanks escaped by backslashes. Names are lower case; of
// one that is given twice the last value counts.
func parseOptions(options string) (map[string]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(options); i++ {
		switch c := options[i]; {
		case c == '\\':
			if i++; i < len(options) {
				word.WriteByte(options[i])
			}
			inWord = true
		case strings.IndexByte(" \t\n\r\v\f", c) >= 0:
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	settings := make(map[string]string)
	for i := 0; i < len(words); i++ {
		w, ok := strings.CutPrefix(words[i], "--")
		if !ok {
			if w, ok = strings.CutPrefix(words[i], "-c"); ok && w == "" && i+1 < len(words) {
				i++
				w = words[i]
			}
		}
		name, value, assigned := strings.Cut(w, "=")
		if !ok || !assigned || name == "" {
			return nil, newError("42601", fmt.Sprintf("invalid command-line argument for server process: %s", words[i]),
				"Only -c name=value and --name=value are supported.")
		}
		settings[strings.ToLower(strings.ReplaceAll(name, "-", "_"))] = value
	}
	return settings, nil
}

// applyInitial makes the server try the client's start-up parameters, unless
// their effect is known: what it reports then is what the client must hear.
func (s *session) applyInitial(ctx context.Context, group pool.Group) error {
	if known, ok := s.backend.recall(s.settings); ok {
		maps.Copy(s.reported, known)
		return nil
	}
	c, err := s.backend.pool.Acquire(ctx, group)
	if err != nil {
		return err
	}
	release := s.backend.pool.Destroy
	defer func() { release(c) }()
	stop := context.AfterFunc(ctx, func() { _ = c.Net.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if len(c.Settings) > 0 { // others' time limits are not this client's
		if _, err := c.Net.Write(appendQuery(nil, "RESET ALL")); err != nil {
			return fmt.Errorf("%w: reset run-time parameters: %w", errServerProtocol, err)
		}
		reported, err := readSetting(c)
		if err != nil {
			return err
		}
		maps.Copy(c.Reported, reported)
		clear(c.Settings)
		c.Unnamed = nil
	}
	for name, value := range s.settings {
		c.Settings[name] = value
		msg := appendBindText(nil, setStatement, name, value)
		msg = appendExecute(msg, "", 0)
		if _, err := c.Net.Write(appendBare(msg, 'S')); err != nil {
			return fmt.Errorf("%w: set start-up parameter: %w", errServerProtocol, err)
		}
		reported, err := readSetting(c)
		if err != nil {
			return err
		}
		maps.Copy(c.Reported, reported)
		for known, value := range c.Reported { // it may have had the value before
			if strings.EqualFold(known, name) {
				reported[known] = value
			}
		}
		maps.Copy(s.reported, reported)
		s.backend.learn(name, value, reported)
	}
	if stop() {
		release = s.backend.pool.Release
	}
	return nil
}

// welcome tells the client that it is in, and gives it the key to cancel its
// statements with.
func (g *greeting) welcome(reported map[string]string, add func(id uint32, secret []byte)) (err error) {
	size := 4
	if g.version >= protocol32 {
		size = 32
	}
	secret := make([]byte, size)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("make cancel key: %w", err)
	}
	var id uint32
	if !g.server.register(func(n uint32) { id = n; add(n, secret) }) {
		return errDraining
	}
	out, err := (&pgproto3.AuthenticationOk{}).Encode(nil)
	for _, name := range slices.Sorted(maps.Keys(reported)) {
		if err == nil {
			out, err = (&pgproto3.ParameterStatus{Name: name, Value: reported[name]}).Encode(out)
		}
	}
	if err == nil {
		out, err = (&pgproto3.BackendKeyData{ProcessID: id, SecretKey: secret}).Encode(out)
	}
	if err == nil && g.notice != nil {
		out, err = g.notice.Encode(out)
	}
	if err == nil {
		_, err = g.conn.Write(appendReady(out, 'I'))
	}
	if err != nil {
		g.server.unregister(id)
		return fmt.Errorf("greet client: %w", err)
	}
	return nil
}

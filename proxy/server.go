// Package proxy serves PostgreSQL clients: it authenticates them, confines
// what they send to their tenant, and relays it over leased server connections.
package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"tenantgate/auth"
	"tenantgate/internal/socket"
	"tenantgate/pool"
	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("server closed")

// A Config is all a Server needs to know.
type Config struct {
	Enforce      Enforcement
	Setting      string // run-time parameter that policies read
	Catalog      catalog.Config
	Auth         *auth.Authenticator
	Backends     map[string]BackendConfig
	TLS          *tls.Config   // towards clients; nil: none
	RequireTLS   bool          // refuse clients without
	LoginTimeout time.Duration // from accept to the end of authentication; 15s
	MaxLogins    int           // clients that are not authenticated yet, at most; 1000
	MaxClients   int           // tenants' clients that are, at most; 0 is no limit
	Explain      bool          // let tenants EXPLAIN, without ANALYZE
	Observe      bool          // log refusals, and send what is refused as it came
	TempTables   bool          // let tenants have temporary tables
	Operators    pool.Config   // a pattern for the pools of operators with a URL of their own; its Server is not used
	CacheBytes   int64         // of rewritten statements; 0 means a default
	Log          zerolog.Logger
	Version      string    // of the program, for metrics and console
	Shown        []Setting // what the console shows as the configuration

	// Examine is asked about each database before it is used. An error keeps
	// clients out, and is asked for again when the next one comes. nil: none is.
	Examine func(context.Context, Database) error
}

// A Setting is one key of the configuration, with a value that holds no secret.
type Setting struct {
	Key, Value string
}

// A Database is one that server connections go to.
type Database struct {
	Backend   string
	Server    *pgconn.Config // of the server connections; not to be changed
	OneTenant bool           // all its rows are one tenant's
}

// A BackendConfig is one database server as configured. Its pool's settings
// serve as a pattern: each database there gets a pool of its own.
type BackendConfig struct {
	Pool    pool.Config
	SealKey *catalog.SealKey // what tokens for its policies are made with; nil: they read the tenant's key itself
	Secret  *rewrite.Secret  // what keeps tenants' locks and channels apart; nil: one that other proxies do not have
}

// A Server accepts clients. New, Serve (which any number of listeners may run
// at once), Shutdown or Close is the order of its life.
type Server struct {
	cfg       Config
	log       zerolog.Logger
	rewriter  *rewrite.Rewriter
	guardOnly *rewrite.Rewriter // for databases of one tenant
	reader    *rewrite.Reader   // for operators
	ctx       context.Context   // of all sessions; ends with Close
	cancel    context.CancelFunc
	logins    chan struct{} // one for each client that is not authenticated yet
	count     *headcount    // of those that are

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	sessions  map[uint32]*session
	consoles  map[uint32]*console
	lastID    uint32
	clients   sync.WaitGroup
	backends  map[placement]*backend
	tallies   map[string]*tally           // by the tenant's id; "" is for sessions without one
	opening   map[placement]chan struct{} // holds one token: whoever has it opens that backend

	accepted, turnedAway atomic.Int64 // logins; clients that came when MaxLogins were at it
	refused              refusedLogins
}

// A placement is where tenants live.
type placement struct {
	backend, database string
	alone             bool   // of a tenant without a key, who is the only one there
	operator          bool   // of operators
	url               string // of an operator with a server role of its own
}

// New checks cfg. Nothing is opened before Open or Serve.
func New(cfg Config) (*Server, error) {
	if cfg.Auth == nil || len(cfg.Backends) == 0 {
		return nil, errors.New("proxy needs logins and a backend")
	}
	if cfg.Enforce < RLS || cfg.Enforce > Both {
		return nil, fmt.Errorf("unknown enforcement %d", cfg.Enforce)
	}
	if cfg.LoginTimeout == 0 {
		cfg.LoginTimeout = 15 * time.Second
	}
	if cfg.MaxLogins == 0 {
		cfg.MaxLogins = 1000
	}
	rewriter, err := rewrite.New(rewrite.Config{
		Setting:            cfg.Setting,
		Confine:            cfg.Enforce != RLS,
		RequireRowSecurity: cfg.Enforce != Rewrite,
		Explain:            cfg.Explain,
		Observe:            cfg.Observe,
		TempTables:         cfg.TempTables,
		CacheBytes:         cfg.CacheBytes,
	})
	if err != nil {
		return nil, err
	}
	guardOnly, err := rewrite.New(rewrite.Config{
		Setting: cfg.Setting, Explain: cfg.Explain, Observe: cfg.Observe, TempTables: cfg.TempTables, OneTenant: true, CacheBytes: cfg.CacheBytes,
	})
	if err != nil {
		return nil, err
	}
	reader := rewrite.NewReader(cfg.CacheBytes)
	var seed [4]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("read random seed: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{
		cfg: cfg, log: cfg.Log, rewriter: rewriter, guardOnly: guardOnly, reader: reader, ctx: ctx, cancel: cancel,
		logins:    make(chan struct{}, cfg.MaxLogins),
		count:     newHeadcount(cfg.MaxClients),
		listeners: make(map[net.Listener]struct{}),
		sessions:  make(map[uint32]*session),
		consoles:  make(map[uint32]*console),
		backends:  make(map[placement]*backend),
		opening:   make(map[placement]chan struct{}),
		tallies:   make(map[string]*tally),
		refused:   refusedLogins{codes: make(tallied)},
		lastID:    binary.BigEndian.Uint32(seed[:]) >> 1,
	}, nil
}

// Open connects to every backend's own database, so that what is wrong with
// one shows before clients come.
func (s *Server) Open(ctx context.Context) error {
	if s.cfg.Observe {
		s.log.Warn().Stringer("enforce", s.cfg.Enforce).Msg("observe: refusals are logged and NOT enforced; tenants are not kept apart")
	}
	for name, cfg := range s.cfg.Backends {
		if _, err := s.backendAt(ctx, placement{backend: name, database: cfg.Pool.Server.Database}); err != nil {
			return fmt.Errorf("backend %q: %w", name, err)
		}
	}
	return nil
}

// Serve accepts clients until Shutdown or Close, then returns ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		_ = l.Close()
		return ErrServerClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	var pause time.Duration
	for {
		conn, err := l.Accept()
		if err != nil {
			if s.isClosing() {
				return ErrServerClosed
			}
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() { // out of file descriptors and the like
				pause = min(max(2*pause, 5*time.Millisecond), time.Second)
				s.log.Warn().Err(err).Dur("pause", pause).Msg("cannot accept clients")
				time.Sleep(pause)
				continue
			}
			return fmt.Errorf("accept clients: %w", err)
		}
		pause = 0
		s.mu.Lock()
		if s.closing {
			s.mu.Unlock()
			_ = conn.Close()
			return ErrServerClosed
		}
		s.clients.Go(func() { s.serve(socket.Wrap(conn)) })
		s.mu.Unlock()
	}
}

// Shutdown stops accepting, lets transactions end, tells clients and closes
// everything. When ctx ends first the rest is cut off, and its error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopAccepting()
	s.mu.Lock()
	for _, session := range s.sessions {
		session.drain()
	}
	for _, c := range s.consoles {
		c.end(errDraining)
	}
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		s.clients.Wait()
		close(gone)
	}()
	var err error
	select {
	case <-gone:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.Close()
	<-gone
	return err
}

// Close cuts off all clients and closes everything. It waits for what the
// server started, and may be called again.
func (s *Server) Close() {
	s.stopAccepting()
	s.cancel()
	s.clients.Wait()
	s.mu.Lock()
	backends := s.backends
	s.backends = make(map[placement]*backend)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, b := range backends {
		b.close(ctx)
	}
}

func (s *Server) stopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for l := range s.listeners {
		_ = l.Close()
	}
	clear(s.listeners)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Ready reports whether clients can be served: every open backend has, or can
// get, a server connection.
func (s *Server) Ready(ctx context.Context) error {
	if s.isClosing() {
		return errDraining
	}
	s.mu.Lock()
	backends := maps.Clone(s.backends)
	s.mu.Unlock()
	for at, b := range backends {
		if b.operator {
			continue // nobody else depends on it
		}
		if _, err := b.querier.Query(ctx, "SELECT 1"); err != nil {
			return fmt.Errorf("backend %q, database %q: %w", at.backend, at.database, err)
		}
	}
	return nil
}

// backendOf returns where a tenant's rows are.
func (s *Server) backendOf(t *auth.Tenant) (*backend, error) {
	return s.backendAt(s.ctx, s.placementOf(t))
}

func (s *Server) placementOf(t *auth.Tenant) placement {
	at := placement{backend: t.Backend, database: t.Database, alone: t.Key == ""}
	if at.database == "" {
		at.database = s.cfg.Backends[t.Backend].Pool.Server.Database
	}
	return at
}

// backendAt returns the backend for a database, opened when first asked for.
func (s *Server) backendAt(ctx context.Context, at placement) (*backend, error) {
	find := func() (b *backend, opening chan struct{}) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if b = s.backends[at]; b == nil {
			if opening = s.opening[at]; opening == nil {
				opening = make(chan struct{}, 1)
				s.opening[at] = opening
			}
		}
		return b, opening
	}
	b, opening := find()
	if b != nil {
		return b, nil
	}
	select {
	case opening <- struct{}{}:
		defer func() { <-opening }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if b, _ = find(); b != nil {
		return b, nil
	}
	cfg, ok := s.cfg.Backends[at.backend]
	if !ok {
		return nil, fmt.Errorf("unknown backend %q", at.backend)
	}
	cfg.Pool.Server = cfg.Pool.Server.Copy()
	cfg.Pool.Server.Database = at.database
	b, err := s.openBackend(ctx, at, cfg)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.backends[at] = b
	s.mu.Unlock()
	return b, nil
}

// serve does everything for one client connection, which it owns. A panic, a
// bug of ours, ends this client and no other.
func (s *Server) serve(conn net.Conn) {
	log := s.log.With().Str("client", conn.RemoteAddr().String()).Logger()
	defer func() {
		if bug := recover(); bug != nil {
			log.Error().Any("panic", bug).Bytes("stack", debug.Stack()).Msg("client's connection ended by a panic")
			_ = conn.Close()
		}
	}()
	select {
	case s.logins <- struct{}{}:
	default:
		s.turnedAway.Add(1)
		log.Warn().Msg("too many clients that have not authenticated")
		_ = conn.Close()
		return
	}
	served, err := s.login(conn, log)
	if err != nil {
		_ = conn.Close()
		if !quietEnd(err) {
			log.Info().Err(err).Msg("login failed")
		}
		return
	}
	if served == nil {
		_ = conn.Close()
		return
	}
	s.accepted.Add(1)
	served()
}

// login greets a client that holds a place among those not authenticated yet,
// and gives the place up.
func (s *Server) login(conn net.Conn, log zerolog.Logger) (served func(), err error) {
	defer func() { <-s.logins }()
	return s.start(s.ctx, conn, log)
}

// register gives a session or an operator's connection its process id.
func (s *Server) register(add func(id uint32)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	for {
		s.lastID = (s.lastID + 1) & 0x7fffffff
		_, session := s.sessions[s.lastID]
		_, console := s.consoles[s.lastID]
		if s.lastID != 0 && !session && !console {
			add(s.lastID)
			return true
		}
	}
}

func (s *Server) unregister(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.sessions[id]; session != nil {
		session.tally.leave(session.counts)
	}
	delete(s.sessions, id)
	delete(s.consoles, id)
}

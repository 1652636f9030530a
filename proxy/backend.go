package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/pool"
	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

// reportedParameters are those that PostgreSQL reports to every client.
var reportedParameters = []string{
	"application_name", "client_encoding", "DateStyle", "default_transaction_read_only", "in_hot_standby",
	"integer_datetimes", "IntervalStyle", "is_superuser", "scram_iterations", "search_path", "server_encoding",
	"server_version", "session_authorization", "standard_conforming_strings", "TimeZone",
}

// learnedSettings bounds what a backend remembers of start-up parameters.
const learnedSettings = 1000

// A backend is one database as one role, which tenants' sessions share.
type backend struct {
	name, database string
	alone          bool            // one tenant's database: no rows are told apart there
	operator       bool            // of operators: no rewriter, no catalog
	role           string          // operator: who server connections log in as
	reader         *rewrite.Reader // operator
	definitions    atomic.Uint64   // operator: how often they may have changed
	outdated       atomic.Bool     // definitions may have changed since the catalog was read
	confining      bool            // the server has to know the tenant
	rewriting      bool            // statements get predicates
	rewriter       *rewrite.Rewriter
	pool           *pool.Pool
	catalog        *catalog.Catalog
	catalogWait    time.Duration // of a statement, for the catalog to be read again; then the old one has to do
	querier        *pool.Querier
	listener       *listener
	senders        senders
	statements     *statements
	batches        *batches
	sealKey        *catalog.SealKey // nil: the tenant setting holds the key as it is
	secret         rewrite.Secret   // of locks and channels
	cancels        chan struct{}    // one for each cancel request under way
	ahead          atomic.Int64     // by how many nanoseconds the server's clock is ahead, as last seen

	mu       sync.Mutex
	reported map[string]string                          // ParameterStatus of a fresh connection
	learned  *simplelru.LRU[setting, map[string]string] // what setting a parameter made the server report
}

// A setting is a run-time parameter with a value as a client wrote it.
type setting struct {
	name, value string
}

// openBackend reads the catalog of a database and makes a pool for it. It
// fails if the role can see past row-level security that is relied on.
func (s *Server) openBackend(ctx context.Context, at placement, cfg BackendConfig) (_ *backend, err error) {
	b := &backend{
		name: at.backend, database: at.database, alone: at.alone,
		confining: !at.alone && s.cfg.Enforce != Rewrite,
		rewriting: !at.alone && s.cfg.Enforce != RLS,
		rewriter:  s.rewriter,
		querier:   pool.NewQuerier(cfg.Pool.Server),
		batches:   newBatches(),
		cancels:   make(chan struct{}, maxCancels),
		senders:   newSenders(),

		catalogWait: catalogTimeout,
	}
	b.listener = newListener(cfg.Pool.Server, s.log.With().Str("backend", b.name).Str("database", b.database).Logger())
	if b.confining {
		b.sealKey = cfg.SealKey
	}
	if at.alone {
		b.rewriter = s.guardOnly
	}
	if cfg.Secret != nil {
		b.secret = *cfg.Secret
	} else if _, err := rand.Read(b.secret[:]); err != nil {
		return nil, fmt.Errorf("make a secret: %w", err)
	}
	defer func() {
		if err != nil {
			b.querier.Close(ctx)
		}
	}()
	if err = b.remember(); err != nil {
		return nil, err
	}
	catalogConfig := s.cfg.Catalog
	catalogConfig.OneTenant = at.alone
	if b.catalog, err = catalog.Open(ctx, b.querier, catalogConfig); err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	snapshot := b.catalog.Snapshot()
	if err := b.trust(snapshot); err != nil {
		return nil, err
	}
	if s.cfg.Examine != nil {
		if err := s.cfg.Examine(ctx, Database{Backend: b.name, Server: cfg.Pool.Server, OneTenant: at.alone}); err != nil {
			return nil, err
		}
	}
	for _, rule := range snapshot.DanglingRules() {
		s.log.Warn().Str("backend", b.name).Str("database", b.database).Str("table", rule.String()).
			Msg("configured table does not exist")
	}
	poolConfig := cfg.Pool
	poolConfig.Log = s.log.With().Str("backend", b.name).Str("database", b.database).Logger()
	poolConfig.Server = pinned(poolConfig.Server, snapshot.SearchPathSetting)
	poolConfig.Server.AfterConnect = b.prepare
	if b.pool, err = pool.New(poolConfig); err != nil {
		return nil, err
	}
	b.pool.Start()
	return b, nil
}

// remember makes what a backend remembers of its sessions.
func (b *backend) remember() (err error) {
	if b.statements, err = newStatementRegistry(); err != nil {
		return err
	}
	if b.learned, err = simplelru.NewLRU[setting, map[string]string](learnedSettings, nil); err != nil {
		return fmt.Errorf("make memory of settings: %w", err)
	}
	return nil
}

// ownStatements are the proxy's own on every server connection.
func (b *backend) ownStatements() map[string]string {
	if b.operator {
		return operatorStatements
	}
	return ownStatements
}

// definitionsVersion changes when definitions may have changed.
func (b *backend) definitionsVersion() uint64 {
	if b.operator {
		return b.definitions.Load()
	}
	return b.catalog.Snapshot().Version
}

// renewCatalog reads the catalog again after an operator may have changed
// definitions. If it cannot be read the old one stays, until the next time.
func (b *backend) renewCatalog(ctx context.Context) error {
	if !b.outdated.Load() || !b.outdated.Swap(false) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.catalogWait)
	defer cancel()
	err := b.catalog.Refresh(ctx)
	if err != nil {
		b.outdated.Store(true)
	}
	return err
}

// refreshCatalog reads the catalog again, unless that was done just now. It
// reports whether anything has changed.
func (b *backend) refreshCatalog(ctx context.Context) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.catalogWait)
	defer cancel()
	return b.catalog.RefreshOlderThan(ctx, staleCatalog)
}

// trust refuses a role that policies do not hold.
func (b *backend) trust(snapshot *catalog.Snapshot) error {
	role := snapshot.Role
	switch {
	case role.Superuser:
		return fmt.Errorf("role %q is a superuser, whom nothing confines: give the backend a plain role", role.Name)
	case role.BypassRLS && b.confining:
		return fmt.Errorf("role %q has BYPASSRLS: policies do not hold it", role.Name)
	case len(role.OwnsTables) > 0:
		return fmt.Errorf("role %q owns tenanted tables (%s, …): an owner can take their policies away", role.Name, role.OwnsTables[0])
	default:
		return nil
	}
}

// pinned returns a copy of a server configuration in which everything that
// decides how the server reads a statement is fixed. Start-up values are also
// what RESET goes back to.
func pinned(server *pgconn.Config, searchPath string) *pgconn.Config {
	server = server.Copy()
	if server.RuntimeParams == nil {
		server.RuntimeParams = make(map[string]string)
	}
	maps.Copy(server.RuntimeParams, map[string]string{
		"client_encoding":             "UTF8",
		"standard_conforming_strings": "on",
		"row_security":                "on",
		"search_path":                 searchPath,
	})
	return server
}

// prepare makes a new server connection ready for the pool.
func (b *backend) prepare(ctx context.Context, pg *pgconn.PgConn) error {
	if !b.operator && (pg.ParameterStatus("client_encoding") != "UTF8" || pg.ParameterStatus("standard_conforming_strings") != "on") {
		return errors.New("server does not take client_encoding UTF8 and standard_conforming_strings on")
	}
	if b.sealKey != nil {
		if err := b.meetServer(ctx, pg); err != nil {
			return err
		}
	}
	for name, sql := range b.ownStatements() {
		if _, err := pg.Prepare(ctx, name, sql, nil); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	reported := make(map[string]string)
	for _, name := range reportedParameters {
		if value := pg.ParameterStatus(name); value != "" || name == "application_name" {
			reported[name] = value
		}
	}
	b.mu.Lock()
	b.reported = reported
	b.mu.Unlock()
	return nil
}

// greeting returns what a fresh server connection reports. It opens one if
// there has been none.
func (b *backend) greeting(ctx context.Context, group pool.Group) (map[string]string, error) {
	b.mu.Lock()
	reported := b.reported
	b.mu.Unlock()
	if reported == nil {
		c, err := b.pool.Acquire(ctx, group)
		if err != nil {
			return nil, err
		}
		b.pool.Release(c)
		b.mu.Lock()
		reported = b.reported
		b.mu.Unlock()
	}
	return maps.Clone(reported), nil
}

// recall returns what setting these parameters makes the server report, if all
// of them have been set before.
func (b *backend) recall(settings map[string]string) (reported map[string]string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	reported = make(map[string]string)
	for name, value := range settings {
		known, ok := b.learned.Get(setting{name, value})
		if !ok {
			return nil, false
		}
		maps.Copy(reported, known)
	}
	return reported, true
}

// learn remembers what setting one parameter made the server report.
func (b *backend) learn(name, value string, reported map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.learned.Add(setting{name, value}, reported)
}

func (b *backend) close(ctx context.Context) {
	b.listener.close()
	b.pool.Close()
	if b.querier != nil {
		b.querier.Close(ctx)
	}
}

package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"tenantgate/auth"
)

// An operator is the connection of a login that no tenant confines. It has a
// server connection of its own from login to end, made with the client's own
// start-up parameters; bytes pass both ways untouched.
type operator struct {
	id     uint32
	login  string
	begun  time.Time
	secret []byte
	client net.Conn
	in     *reader // may hold bytes the client sent early
	server *pgconn.PgConn
	log    zerolog.Logger
}

// operator connects a login that no tenant confines.
func (g *greeting) operator(ctx context.Context, identity *auth.Identity) (func(), error) {
	config, err := g.operatorServer(identity)
	if err != nil {
		return nil, err
	}
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		g.log.Warn().Err(err).Msg("operator cannot be connected")
		return nil, refusedByServer(err)
	}
	if err := pg.SyncConn(ctx); err != nil {
		_ = pg.Close(ctx)
		return nil, fmt.Errorf("settle operator's connection: %w", err)
	}
	reported := make(map[string]string)
	for _, name := range reportedParameters {
		if value := pg.ParameterStatus(name); value != "" || name == "application_name" {
			reported[name] = value
		}
	}
	op := &operator{login: identity.Login, begun: time.Now(), client: g.conn, in: g.in, server: pg, log: g.log}
	err = g.welcome(reported, func(id uint32, secret []byte) {
		op.id, op.secret = id, secret
		g.server.operators[id] = op
	})
	if err != nil {
		_ = pg.Close(ctx)
		return nil, err
	}
	op.log = g.log.With().Uint32("session", op.id).Uint32("server_pid", pg.PID()).Logger()
	return func() {
		defer g.server.unregister(op.id)
		op.log.Warn().Str("database", config.Database).Str("role", config.User).
			Msg("operator logged in: no tenant confines this session")
		op.run(g.server.ctx)
		op.log.Warn().Msg("operator logged out")
	}, nil
}

// operatorServer is where an operator's client goes: its own URL, or its
// backend, and any database there, with the parameters it asks for.
func (g *greeting) operatorServer(identity *auth.Identity) (*pgconn.Config, error) {
	var config *pgconn.Config
	if identity.URL != "" {
		parsed, err := pgconn.ParseConfig(identity.URL)
		if err != nil {
			return nil, fmt.Errorf("operator's URL: %w", err)
		}
		config = parsed
	} else {
		backend, ok := g.server.cfg.Backends[identity.Backend]
		if !ok {
			return nil, fmt.Errorf("unknown backend %q", identity.Backend)
		}
		config = backend.Pool.Server.Copy()
	}
	if name := g.params["database"]; name != "" {
		config.Database = name
	}
	if config.RuntimeParams == nil {
		config.RuntimeParams = make(map[string]string)
	}
	for name, value := range g.params {
		if name != "user" && name != "database" && name != "replication" {
			config.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// refusedByServer passes a server's own refusal on; other failures stay here.
func refusedByServer(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return &Error{Code: pg.Code, Message: pg.Message, Detail: pg.Detail, Hint: pg.Hint}
	}
	return newError("57P03", "the database server is not available", "Try again.")
}

// run relays until one side ends. It owns both connections.
func (op *operator) run(ctx context.Context) {
	server := op.server.Conn()
	closeBoth := sync.OnceFunc(func() {
		_ = op.client.Close()
		_ = server.Close()
	})
	stop := context.AfterFunc(ctx, closeBoth)
	defer stop()
	var relays sync.WaitGroup
	relays.Go(func() {
		defer closeBoth()
		early := op.in.buf[op.in.start:op.in.end]
		if _, err := server.Write(early); err == nil {
			_, _ = io.Copy(server, op.client)
		}
	})
	relays.Go(func() {
		defer closeBoth()
		_, _ = io.Copy(op.client, server)
	})
	relays.Wait()
}

// stat tells what is known of the connection from outside.
func (op *operator) stat() sessionStat {
	_, encrypted := op.client.(*tls.Conn)
	return sessionStat{
		id: op.id, login: op.login, address: op.client.RemoteAddr().String(), encrypted: encrypted,
		state: stateActive.String(), begun: op.begun, serverPID: op.server.PID(),
	}
}

// drain ends the session: only the server knows whether it is in a transaction,
// and tells it to end if it is the one that shuts down.
func (op *operator) drain() {
	_ = op.client.SetReadDeadline(time.Unix(1, 0))
}

// cancelStatement asks the server to cancel what the operator runs.
func (op *operator) cancelStatement(ctx context.Context) {
	if err := op.server.CancelRequest(ctx); err != nil {
		op.log.Warn().Err(err).Msg("cancel request failed")
	}
}

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"tenantgate/internal/postgres"
)

//go:embed demo/schema.sql
var demoSchema string

// Roles of the demo's databases, and where its first proxy tries to listen.
// Passwords equal the names: it listens on 127.0.0.1 alone and guards nothing.
const (
	demoRole  = "clinic_app"
	demoOwner = "clinic_owner"
	demoPort  = 6432
)

// demoWait bounds how long a proxy may take to listen.
const demoWait = 30 * time.Second

// A demoStage is one enforcement: a database and a proxy before it.
type demoStage struct {
	enforce  string
	database string
	port     int
	done     chan struct{} // closed when the proxy has ended
}

// startStage makes a database and starts a proxy before it, which runs until
// ctx ends and calls stop if it fails.
func startStage(ctx context.Context, stop context.CancelCauseFunc, server *postgres.Server, enforce string, port int) (*demoStage, error) {
	stage := &demoStage{enforce: enforce, database: "clinic_" + enforce}
	var err error
	if stage.port, err = freeDemoPort(port); err != nil {
		return nil, err
	}
	path := filepath.Join(server.Dir(), enforce+".yaml")
	if err := os.WriteFile(path, []byte(stage.config(server)), 0o600); err != nil {
		return nil, err
	}
	cfg, err := readConfig(path, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	if err := stage.prepare(ctx, server, cfg); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(server.Dir(), enforce+".log")) // #nosec G304 -- in the server's own directory
	if err != nil {
		return nil, err
	}
	stage.done = make(chan struct{})
	go func() {
		defer close(stage.done)
		defer log.Close()
		if err := serve(ctx, cfg, zerolog.New(log).With().Timestamp().Logger()); err != nil {
			stop(fmt.Errorf("proxy: %w", err))
		}
	}()
	if err := stage.awaitListening(ctx); err != nil {
		stop(err)
		<-stage.done
		text, readErr := os.ReadFile(log.Name())
		return nil, errors.Join(err, readErr, fmt.Errorf("its log says:\n%s", text))
	}
	return stage, nil
}

// config is the proxy's configuration file.
func (s *demoStage) config(server *postgres.Server) string {
	return fmt.Sprintf(`listen: ["127.0.0.1:%d"]
backends:
  main:
    url: %q
tenancy:
  enforce: %s
  setting: app.tenant_id
  column: tenant_id
  tables:
    practices: {column: id}
    countries: shared
tenants:
  - {id: acme, key: "1"}
  - {id: globex, key: "2"}
logins:
  - {user: acme, password: acme, tenant: acme}
  - {user: globex, password: globex, tenant: globex}
`, s.port, server.URL(demoRole, demoRole, s.database), s.enforce)
}

// prepare makes the database: the tables as their owner has them, then what
// bootstrap finds missing for the enforcement.
func (s *demoStage) prepare(ctx context.Context, server *postgres.Server, cfg *Config) error {
	if err := server.CreateDatabase(ctx, s.database, ""); err != nil {
		return err
	}
	if err := server.Exec(ctx, s.database, fmt.Sprintf("ALTER DATABASE %s OWNER TO %s; ALTER SCHEMA public OWNER TO %[2]s",
		s.database, demoOwner)); err != nil {
		return err
	}
	owner, err := pgconn.ParseConfig(server.URL(demoOwner, demoOwner, s.database))
	if err != nil {
		return err
	}
	conn, err := pgconn.ConnectConfig(ctx, owner)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is lost
	if _, err := conn.Exec(ctx, demoSchema).ReadAll(); err != nil {
		return fmt.Errorf("schema of the demo: %w", err)
	}
	_, err = bootstrap(ctx, cfg, bootstrapRequest{backend: cfg.Backends[mainBackend], server: owner, apply: true})
	return err
}

// awaitListening returns nil once the proxy accepts connections.
func (s *demoStage) awaitListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoWait, errors.New("the proxy does not listen"))
	defer cancel()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// freeDemoPort returns the first free port from the one wanted on.
func freeDemoPort(wanted int) (int, error) {
	const tries = 100
	var err error
	for port := wanted; port < wanted+tries; port++ {
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

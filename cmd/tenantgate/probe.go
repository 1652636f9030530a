package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"tenantgate/internal/doctor"
	"tenantgate/pool"
	"tenantgate/proxy"
)

// tenantsAsked is how many tenants' sessions the doctor has in each database.
const tenantsAsked = 2

// A probingProxy is the configured proxy, run by the doctor for itself alone:
// on a unix socket that nobody else may open, with a password of its own.
type probingProxy struct {
	cfg      *Config
	server   *proxy.Server
	dir      string
	password string
	served   chan struct{} // closed when the server has stopped
	queriers []*pool.Querier
}

// startProbing starts the proxy. Nothing is connected before a session asks.
func (c *Config) startProbing(ctx context.Context) (*probingProxy, error) {
	p := &probingProxy{password: rand.Text(), served: make(chan struct{})}
	private := *c
	private.TLS, private.Logins = TLS{Mode: TLSDisable}, nil
	for _, t := range c.Tenants {
		private.Logins = append(private.Logins, Login{User: t.ID, Password: Secret(p.password), Tenants: []string{t.ID}})
	}
	p.cfg = &private
	var err error
	if p.server, err = newServer(p.cfg, zerolog.Nop(), nil); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp("", "tenantgate-doctor-"); err != nil {
		return nil, fmt.Errorf("make directory for a socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", filepath.Join(p.dir, ".s.PGSQL.5432"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for probes: %w", err), os.RemoveAll(p.dir))
	}
	go func() {
		defer close(p.served)
		_ = p.server.Serve(l) // it ends when the server is closed
	}()
	return p, nil
}

// sessions are those of the first tenants of a database. They connect when
// they are asked something.
func (p *probingProxy) sessions(d proxy.Database) ([]doctor.Session, error) {
	var all []doctor.Session
	for _, t := range p.cfg.Tenants {
		database := t.Database
		if database == "" {
			database = p.cfg.Backends[t.Backend].Server().Database
		}
		if t.Suspended || t.Key == "" || t.Backend != d.Backend || database != d.Server.Database || len(all) == tenantsAsked {
			continue
		}
		server, err := pgconn.ParseConfig("sslmode=disable port=5432")
		if err != nil {
			return nil, fmt.Errorf("address the doctor's own proxy: %w", err)
		}
		server.Host, server.User, server.Password, server.Database = p.dir, t.ID, p.password, database
		server.Fallbacks, server.RuntimeParams = nil, map[string]string{"statement_timeout": fmt.Sprint(doctor.StatementTimeout.Milliseconds())}
		querier := pool.NewQuerier(server)
		p.queriers = append(p.queriers, querier)
		all = append(all, doctor.Session{Tenant: t.ID, Key: t.Key, Query: querier})
	}
	return all, nil
}

// close ends sessions and proxy.
func (p *probingProxy) close(ctx context.Context) {
	for _, q := range p.queriers {
		q.Close(ctx)
	}
	p.server.Close()
	<-p.served
	_ = os.RemoveAll(p.dir)
}

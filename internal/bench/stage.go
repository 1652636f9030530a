package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tenantgate/internal/postgres"
)

//go:embed schema.sql
var schema string

const (
	plain    = "bench_plain"    // tables with a tenant column, no policies
	policies = "bench_policies" // the same, with policies
	appRole  = "bench_app"      // of all server connections, with or without tenancy
	owner    = "bench_owner"    // of the tables; with appRole's password
	password = "bench"
	tenants  = 200
	poolSize = 20 // the default of pgbouncer and of tenantgate
)

// A stage is all that is measured: a PostgreSQL, a pgbouncer or two, and a
// tenantgate for each enforcement.
type stage struct {
	server     *postgres.Server
	processes  []*process
	contenders []*contender
	binary     string // tenantgate's
	version    map[string]string
}

// A contender is one way to the database.
type contender struct {
	name     string
	port     int
	database string
	user     func(tenant int) string
	process  *process // nil: there is none in between
	byHand   bool     // the client itself sets the tenant in each transaction
	prepares bool     // statements may stay prepared over transactions
}

func openStage(ctx context.Context) (_ *stage, err error) {
	s := &stage{version: make(map[string]string)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.binary, err = filepath.Abs("bin/tenantgate"); err != nil {
		return nil, err
	}
	s.server, err = postgres.Start(context.WithoutCancel(ctx), postgres.Options{Settings: map[string]string{
		"max_connections": "500",
		"shared_buffers":  "1GB",
		"min_wal_size":    "1GB", // so much of the log is written over, not made anew
		"max_wal_size":    "4GB",
		"log_checkpoints": "off",
		"autovacuum":      "off", // it would fall upon some measurements and not upon others
		"jit":             "off", // likewise: it depends on estimates near its threshold
	}})
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx); err != nil {
		return nil, err
	}
	app := func(int) string { return appRole }
	s.contenders = append(s.contenders, &contender{name: "direct", port: s.server.Port(), database: plain, user: app, prepares: true})
	if err := s.openBouncers(ctx); err != nil {
		return nil, err
	}
	for _, enforce := range []string{"rls", "rewrite", "both"} {
		if err := s.openGate(ctx, enforce); err != nil {
			return nil, fmt.Errorf("tenantgate, %s: %w", enforce, err)
		}
	}
	return s, s.readVersions(ctx)
}

// fill makes the databases.
func (s *stage) fill(ctx context.Context) error {
	if err := s.server.Exec(ctx, postgres.Superuser, fmt.Sprintf(
		"CREATE ROLE %s LOGIN PASSWORD '%[2]s'; CREATE ROLE %[3]s LOGIN CREATEROLE PASSWORD '%[2]s'; GRANT %[1]s TO %[3]s WITH ADMIN OPTION", appRole, password, owner)); err != nil {
		return err
	}
	if err := s.server.CreateDatabase(ctx, plain, ""); err != nil {
		return err
	}
	if err := s.server.Exec(ctx, plain, fmt.Sprintf("ALTER DATABASE %s OWNER TO %s; ALTER SCHEMA public OWNER TO %[2]s", plain, owner)); err != nil {
		return err
	}
	fill := strings.NewReplacer(":tenants", fmt.Sprint(tenants), ":crowdRows", fmt.Sprint(crowdRows)).Replace(schema)
	if err := s.server.Exec(ctx, plain, "SET ROLE "+owner+";"+fill); err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	if err := s.server.CreateDatabase(ctx, policies, plain); err != nil {
		return err
	}
	if err := s.server.Exec(ctx, policies, fmt.Sprintf("ALTER DATABASE %s OWNER TO %s", policies, owner)); err != nil {
		return err
	}
	for database, enforce := range map[string]string{plain: "rewrite", policies: "both"} {
		if err := s.bootstrap(ctx, database, enforce); err != nil {
			return err
		}
		if err := s.server.Exec(ctx, database, "VACUUM ANALYZE"); err != nil {
			return err
		}
	}
	// Without tenancy an app says nothing of tenants: the column fills itself.
	const byDefault = "ALTER TABLE pgbench_history ALTER tenant_id SET DEFAULT 1; ALTER TABLE lines_in ALTER tenant_id SET DEFAULT 1;"
	if err := s.server.Exec(ctx, plain, byDefault); err != nil {
		return err
	}
	return s.server.Exec(ctx, plain, "CHECKPOINT")
}

// bootstrap has tenantgate prepare a database.
func (s *stage) bootstrap(ctx context.Context, database, enforce string) error {
	config := filepath.Join(s.server.Dir(), "bootstrap.yaml")
	if err := os.WriteFile(config, []byte(s.gateConfig(enforce, database, 1, 2, nil)), 0o600); err != nil {
		return err
	}
	return s.command(ctx, "bootstrap", "--config", config, "--url", s.server.URL(owner, password, database), "--apply")
}

// command runs tenantgate to its end.
func (s *stage) command(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, s.binary, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("tenantgate %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// openGate starts a tenantgate.
func (s *stage) openGate(ctx context.Context, enforce string) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	admin, err := freePort(ctx)
	if err != nil {
		return err
	}
	passwd := exec.CommandContext(ctx, s.binary, "passwd")
	passwd.Stdin = strings.NewReader(password + "\n")
	verifier, err := passwd.Output()
	if err != nil {
		return fmt.Errorf("tenantgate passwd: %w", err)
	}
	database := policies
	if enforce == "rewrite" {
		database = plain
	}
	config := filepath.Join(s.server.Dir(), enforce+".yaml")
	if err := os.WriteFile(config, []byte(s.gateConfig(enforce, database, port, admin, bytes.TrimSpace(verifier))), 0o600); err != nil {
		return err
	}
	p, err := startProcess(enforce, s.server.Dir(), s.binary, "serve", "--config", config, "--log-level", "warn")
	if err != nil {
		return err
	}
	p.admin = admin
	s.processes = append(s.processes, p)
	if err := p.awaitListening(ctx, port); err != nil {
		return err
	}
	s.contenders = append(s.contenders, &contender{
		name: enforce, port: port, database: database, process: p, prepares: true,
		user: func(tenant int) string { return fmt.Sprintf("app%d", tenant) },
	})
	return nil
}

// gateConfig is a configuration file as an operator would write it: what is
// not there has its default.
func (s *stage) gateConfig(enforce, database string, port, admin int, verifier []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: [\"127.0.0.1:%d\"]\nadmin: {listen: \"127.0.0.1:%d\", profile: true}\n", port, admin)
	fmt.Fprintf(&b, "backends: {main: {url: %q}}\n", s.server.URL(appRole, password, database))
	fmt.Fprintf(&b, "tenancy: {enforce: %s, setting: app.tenant_id, column: tenant_id}\ntenants:\n", enforce)
	for i := 1; i <= tenants; i++ {
		fmt.Fprintf(&b, "  - {id: tenant%d, key: \"%[1]d\"}\n", i)
	}
	if verifier == nil {
		verifier = []byte(password)
	}
	b.WriteString("logins:\n")
	for i := 1; i <= tenants; i++ {
		fmt.Fprintf(&b, "  - {user: app%d, password: %q, tenant: tenant%[1]d}\n", i, verifier)
	}
	return b.String()
}

// close ends everything.
func (s *stage) close() error {
	var err error
	for _, p := range s.processes {
		err = errors.Join(err, p.stop())
	}
	if s.server != nil {
		err = errors.Join(err, s.server.Close())
	}
	return err
}

// execAll runs SQL in both databases.
func (s *stage) execAll(ctx context.Context, sql string) error {
	return errors.Join(s.server.Exec(ctx, plain, sql), s.server.Exec(ctx, policies, sql))
}

const startTimeout = 30 * time.Second

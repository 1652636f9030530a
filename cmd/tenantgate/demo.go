package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"tenantgate/internal/postgres"
	"tenantgate/proxy"
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

// demoOptions are the command's flags.
type demoOptions struct {
	enforce []string // one proxy and one database each
	keep    bool     // wait for the end of ctx
}

// A demoStage is one enforcement: a database and a proxy before it.
type demoStage struct {
	enforce  string
	database string
	port     int
	done     chan error // what serve returned
	stop     context.CancelFunc
}

const demoExample = `
tenantgate demo
tenantgate demo --enforce rewrite --keep`

func runDemo(ctx context.Context, env *environment, args []string) int {
	flags := env.flags()
	var o demoOptions
	allowed := make([]string, 0, len(demoEnforcements))
	for _, e := range enforcements() {
		allowed = append(allowed, e.word)
	}
	flags.StringSliceVar(&o.enforce, "enforce", []string{proxy.RLS.String(), proxy.Rewrite.String()}, "enforcements to show: "+strings.Join(allowed, ", "))
	flags.BoolVar(&o.keep, "keep", false, "leave PostgreSQL and the proxies running until ^C")
	if _, status, done := env.parse(flags, args, 0, 0); done {
		return status
	}
	if len(o.enforce) == 0 {
		return env.fail(usageError{"--enforce needs an enforcement; allowed: " + strings.Join(allowed, ", ")})
	}
	for i, enforce := range o.enforce {
		if !slices.Contains(allowed, enforce) {
			return env.fail(usageError{unknown("enforcement", enforce, allowed)})
		}
		if slices.Contains(o.enforce[:i], enforce) {
			return env.fail(usageError{"enforcement " + enforce + " is there twice"})
		}
	}
	if err := demo(ctx, o, env.stdout); err != nil {
		return env.fail(err)
	}
	return exitOK
}

// demo starts a throw-away PostgreSQL and a proxy for each enforcement, shows
// with psql what tenants see, and removes everything again.
func demo(ctx context.Context, o demoOptions, stdout io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tenantgate-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	fmt.Fprintln(stdout, "Starting a PostgreSQL that lasts as long as this demo.")
	// Not ended by ctx: the proxies go first.
	server, err := postgres.Start(context.WithoutCancel(ctx), postgres.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	psql, err := findPsql(server.BinDir())
	if err != nil {
		return err
	}
	if err := server.Exec(ctx, postgres.Superuser, fmt.Sprintf("CREATE ROLE %s LOGIN CREATEROLE PASSWORD '%[1]s'", demoOwner)); err != nil {
		return err
	}

	var stages []*demoStage
	defer func() {
		for _, stage := range stages {
			err = errors.Join(err, stage.close())
		}
	}()
	for i, enforce := range o.enforce {
		stage, err := startStage(ctx, server, enforce, demoPort+2*i, dir)
		if err != nil {
			return fmt.Errorf("enforce %s: %w", enforce, err)
		}
		stages = append(stages, stage)
	}
	for _, stage := range stages {
		show := demoShow{out: stdout, bold: isTerminal(stdout), psql: psql, logins: map[string]demoLogin{
			postgres.Superuser: {server.Port(), server.Password(), stage.database},
			"acme":             {stage.port, "acme", stage.database},
			"globex":           {stage.port, "globex", stage.database},
		}}
		if err := show.run(ctx, stage.enforce); err != nil {
			return err
		}
	}
	if o.keep {
		return keepDemo(ctx, stages, stdout)
	}
	fmt.Fprintln(stdout, "To try it yourself: tenantgate demo --keep leaves it running and prints the psql lines.")
	return nil
}

// keepDemo says how to connect and waits for the end.
func keepDemo(ctx context.Context, stages []*demoStage, stdout io.Writer) error {
	fmt.Fprintln(stdout, "Running until ^C. In another terminal:")
	for _, stage := range stages {
		fmt.Fprintf(stdout, "\n  # enforce: %s\n", stage.enforce)
		for _, login := range []string{"acme", "globex"} {
			fmt.Fprintf(stdout, "  psql postgres://%s:%[1]s@127.0.0.1:%d/%s\n", login, stage.port, stage.database)
		}
	}
	<-ctx.Done() // a proxy that ends before is missed by its clients, and close tells why
	return nil
}

// startStage makes a database and starts a proxy before it.
func startStage(ctx context.Context, server *postgres.Server, enforce string, port int, dir string) (*demoStage, error) {
	stage := &demoStage{enforce: enforce, database: "clinic_" + enforce}
	var err error
	if stage.port, err = freeDemoPort(port); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, enforce+".yaml")
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
	log, err := os.Create(filepath.Join(dir, enforce+".log")) // #nosec G304 -- in the demo's own directory
	if err != nil {
		return nil, err
	}
	ctx, stage.stop = context.WithCancel(ctx)
	stage.done = make(chan error, 1)
	go func() {
		defer log.Close()
		stage.done <- serve(ctx, cfg, zerolog.New(log).With().Timestamp().Logger())
	}()
	if err := stage.awaitListening(ctx); err != nil {
		text, readErr := os.ReadFile(log.Name())
		return nil, errors.Join(err, stage.close(), readErr, fmt.Errorf("its log says:\n%s", text))
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
	ctx, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-s.done:
			s.done <- nil // for close
			return fmt.Errorf("the proxy ended: %w", err)
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// close ends the proxy.
func (s *demoStage) close() error {
	s.stop()
	return <-s.done
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

// findPsql prefers the psql that is as old as the server.
func findPsql(binDir string) (string, error) {
	if path, err := exec.LookPath(filepath.Join(binDir, "psql")); err == nil {
		return path, nil
	}
	path, err := exec.LookPath("psql")
	if err != nil {
		return "", errors.New("psql, which shows what tenants see, was not found\n" +
			"install it: apt-get install postgresql-client, dnf install postgresql, apk add postgresql-client, brew install libpq")
	}
	return path, nil
}

// isTerminal reports whether w is a terminal that may be sent colours.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && isatty.IsTerminal(file.Fd())
}

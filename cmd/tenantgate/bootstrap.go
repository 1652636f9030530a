package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/auth"
	"tenantgate/pool"
	"tenantgate/proxy"
	"tenantgate/rewrite/catalog"
)

const bootstrapExample = `
tenantgate bootstrap --config tenantgate.yaml --url postgres://owner@db.example/app > bootstrap.sql
tenantgate bootstrap --url postgres://owner@db.example/app --apply`

// bootstrapTimeout bounds connecting to the server and reading its catalog.
const bootstrapTimeout = 15 * time.Second

// A bootstrapReport is what the bootstrap command prints. Its JSON form is for
// scripts.
type bootstrapReport struct {
	Backend    string        `json:"backend"`
	Database   string        `json:"database"`
	User       string        `json:"user"` // that read the database, and changed it
	Role       string        `json:"role"` // that server connections log in as
	Enforce    string        `json:"enforce"`
	Applied    bool          `json:"applied"`
	Statements []catalog.DDL `json:"statements"` // missing, or applied just now
	Dangling   []string      `json:"dangling,omitempty"`
}

// A bootstrapRequest is the command line's part of the job.
type bootstrapRequest struct {
	backend Backend
	server  *pgconn.Config // of the owner, if --url names one
	role    string
	apply   bool
	harden  bool
}

func runBootstrap(ctx context.Context, env *environment, args []string) int {
	flags := env.flags()
	config := addConfigFlag(flags)
	backend := flags.String("backend", "", "backend whose database is to be prepared, if there are several and none is called "+mainBackend)
	url := flags.String("url", "", "connect by this instead of the backend's url: as a superuser, or as the owner\nof the tables with CREATEROLE; as of PostgreSQL 16 with ADMIN on a role that another has made")
	role := flags.String("role", "", "role that server connections log in as (default the user of the backend's url)")
	apply := flags.Bool("apply", false, "run the statements, in one transaction, instead of printing them")
	harden := flags.Bool("harden", false, "take from PUBLIC too what tenants have no need of: TEMPORARY, CREATE, privileges that policies\ndo not hold, languages, functions and views of PostgreSQL's own; takes a superuser,\nand other applications on the database may need that")
	output := addOutputFlag(flags)
	if _, status, done := env.parse(flags, args, 0, 0); done {
		return status
	}
	cfg, err := config.load(env.lookupEnv)
	if err != nil {
		return env.fail(err)
	}
	request := bootstrapRequest{role: *role, apply: *apply, harden: *harden}
	if request.backend, err = cfg.chooseBackend(*backend); err != nil {
		return env.fail(err)
	}
	request.server = request.backend.Server()
	if *url != "" {
		if request.server, err = pgconn.ParseConfig(*url); err != nil { // which tells of the password
			return env.fail(usageError{"--url is no connection string that can be used"})
		}
	}
	report, err := bootstrap(ctx, cfg, request)
	if err != nil {
		return env.fail(err)
	}
	for _, name := range report.Dangling {
		fmt.Fprintf(env.stderr, "tenantgate: configured table %s does not exist\n", name)
	}
	if *output == outputJSON {
		return env.printJSON(report)
	}
	report.print(env.stdout, env.stderr)
	return exitOK
}

// chooseBackend finds the backend of that name, or the one meant by none.
func (c *Config) chooseBackend(name string) (Backend, error) {
	names := slices.Sorted(maps.Keys(c.Backends))
	if name == "" {
		name = mainBackend
		if len(names) == 1 {
			name = names[0]
		}
	}
	b, ok := c.Backends[name]
	if !ok {
		return Backend{}, usageError{dangling("backend", name, names)}
	}
	return b, nil
}

// bootstrap finds out what is missing and, on request, does it.
func bootstrap(ctx context.Context, cfg *Config, request bootstrapRequest) (*bootstrapReport, error) {
	app := request.backend.Server()
	prepare := catalog.BootstrapConfig{
		Setting:       cfg.Tenancy.Setting,
		Role:          request.role,
		NoRowSecurity: cfg.Tenancy.Enforce == proxy.Rewrite,
		Harden:        request.harden,
		Sealed:        request.backend.sealKey != nil,
		TempTables:    cfg.Tenancy.TempTables,
	}
	if prepare.Role == "" {
		prepare.Role = app.User
	}
	if prepare.Role == app.User && app.Password != "" {
		verifier, err := auth.NewVerifier(app.Password, auth.DefaultIterations)
		if err != nil {
			return nil, fmt.Errorf("make a verifier of the backend's password: %w", err)
		}
		prepare.Password = verifier.Encode()
	}
	server := request.server.Copy()
	if server.RuntimeParams == nil {
		server.RuntimeParams = make(map[string]string)
	}
	server.RuntimeParams["client_encoding"] = "UTF8"

	snapshot, plan, err := planBootstrap(ctx, server, cfg, prepare, request.backend.sealKey)
	if err != nil {
		return nil, fmt.Errorf("backend %q: %w", request.backend.Name, err)
	}
	report := &bootstrapReport{
		Backend: request.backend.Name, Database: server.Database, User: snapshot.Role.Name, Role: prepare.Role,
		Enforce: cfg.Tenancy.Enforce.String(), Applied: request.apply, Statements: append([]catalog.DDL{}, plan...), // a list for scripts, even if it is empty
	}
	for _, name := range snapshot.DanglingRules() {
		report.Dangling = append(report.Dangling, name.String())
	}
	if !request.apply || len(plan) == 0 {
		return report, nil
	}
	if i := slices.IndexFunc(plan, func(d catalog.DDL) bool { return d.Superuser }); i >= 0 && !snapshot.Role.Superuser {
		return nil, fmt.Errorf("backend %q: nothing was changed: only a superuser can run %s …, connect by --url as one", request.backend.Name, firstWords(plan[i].SQL))
	}
	if err := applyBootstrap(ctx, server, plan); err != nil {
		return nil, fmt.Errorf("backend %q: nothing was changed: %w", request.backend.Name, err)
	}
	_, missing, err := planBootstrap(ctx, server, cfg, prepare, nil) // the key was written
	if err != nil {
		return nil, fmt.Errorf("backend %q: read again after the change: %w", request.backend.Name, err)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("backend %q: the statements were run and left something missing, for a start: %s", request.backend.Name, missing[0].Why)
	}
	return report, nil
}

// firstWords is enough of a statement to know it by.
func firstWords(sql string) string {
	words := strings.Fields(sql)
	return strings.Join(words[:min(len(words), 5)], " ")
}

// planBootstrap reads the database and finds what is missing. The seal's key
// is missing unless the database verifies what it makes.
func planBootstrap(ctx context.Context, server *pgconn.Config, cfg *Config, prepare catalog.BootstrapConfig, seal *catalog.SealKey) (*catalog.Snapshot, []catalog.DDL, error) {
	ctx, cancel := context.WithTimeout(ctx, bootstrapTimeout)
	defer cancel()
	querier := pool.NewQuerier(server)
	defer querier.Close(context.WithoutCancel(ctx))
	inspect := cfg.Catalog()
	inspect.Inspect = true
	snapshot, err := catalog.Load(ctx, querier, inspect)
	if err != nil {
		return nil, nil, err
	}
	if seal != nil && catalog.CheckSeal(ctx, querier, cfg.Tenancy.Setting, *seal) != nil {
		prepare.SealKey = seal
	}
	plan, err := catalog.Bootstrap(snapshot, prepare)
	return snapshot, plan, err
}

// transactionStart is what statements run behind. The search path lets no
// object of the database stand in for PostgreSQL's own.
var transactionStart = []string{"BEGIN", "SET LOCAL search_path TO pg_catalog, pg_temp"}

// applyBootstrap runs the statements in one transaction. Errors do not show a
// statement, which may hold a password's verifier, but what it is for.
func applyBootstrap(ctx context.Context, server *pgconn.Config, plan []catalog.DDL) error {
	connecting, cancel := context.WithTimeout(ctx, bootstrapTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(connecting, server)
	if err != nil {
		return fmt.Errorf("connect to server: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range transactionStart {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return err
		}
	}
	for _, ddl := range plan {
		if _, err := conn.Exec(ctx, ddl.SQL).ReadAll(); err != nil {
			var refused *pgconn.PgError
			if errors.As(err, &refused) && refused.Detail != "" {
				err = fmt.Errorf("%w: %s", err, refused.Detail)
			}
			return fmt.Errorf("%s: %w", ddl.Why, err)
		}
	}
	results, err := conn.Exec(ctx, "COMMIT").ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 1 || results[0].CommandTag.String() != "COMMIT" {
		return errors.New("the server rolled the transaction back")
	}
	return nil
}

// print writes a script for psql, or what was done. Without anything missing
// there is no script, and only people are told.
func (r *bootstrapReport) print(stdout, stderr io.Writer) {
	where := fmt.Sprintf("database %s of backend %s, role %s, enforce %s", r.Database, r.Backend, r.Role, r.Enforce)
	if len(r.Statements) == 0 {
		fmt.Fprintf(stderr, "nothing is missing: %s\n", where)
		return
	}
	if r.Applied {
		for _, ddl := range r.Statements {
			fmt.Fprintf(stdout, "%s\n", strings.ReplaceAll(ddl.Why, "\n", "\n  "))
		}
		fmt.Fprintf(stdout, "%d statements run: %s\n", len(r.Statements), where)
		return
	}
	fmt.Fprintf(stdout, "-- %s\n", strings.NewReplacer("\n", " ", "\r", " ").Replace(where))
	for _, sql := range transactionStart {
		fmt.Fprintf(stdout, "%s;\n", sql)
	}
	for _, ddl := range r.Statements {
		fmt.Fprintf(stdout, "\n%s", ddl)
	}
	fmt.Fprintf(stdout, "\nCOMMIT;\n")
}

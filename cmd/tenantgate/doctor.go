package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/internal/doctor"
	"tenantgate/proxy"
)

const doctorExample = `
tenantgate doctor --config tenantgate.yaml
tenantgate doctor --backend silo --output json`

// doctorTimeout bounds the examination of one database.
const doctorTimeout = 5 * time.Minute

// A doctorReport is what the doctor command prints. Its JSON form is for
// scripts.
type doctorReport struct {
	Databases []examination `json:"databases"`
	Unmatched []string      `json:"unmatched"` // names in tenancy.acknowledge that no finding has
	Notes     []string      `json:"notes"`     // what cannot be seen from a database
	Errors    int           `json:"errors"`    // that are not acknowledged
	Warnings  int           `json:"warnings"`  // likewise
}

// An examination is what was found in one database.
type examination struct {
	Backend  string           `json:"backend"`
	Database string           `json:"database"`
	Role     string           `json:"role"`
	Enforce  string           `json:"enforce"`
	Findings []doctor.Finding `json:"findings"`
}

func runDoctor(ctx context.Context, env *environment, args []string) int {
	flags := env.flags()
	config := addConfigFlag(flags)
	backend := flags.String("backend", "", "check this backend alone (default all of them)")
	output := addOutputFlag(flags)
	if _, status, done := env.parse(flags, args, 0, 0); done {
		return status
	}
	cfg, err := config.load(env.lookupEnv)
	if err != nil {
		return env.fail(err)
	}
	if *backend != "" {
		if _, err := cfg.chooseBackend(*backend); err != nil {
			return env.fail(err)
		}
	}
	probing, err := cfg.startProbing(ctx)
	if err != nil {
		return env.fail(err)
	}
	defer probing.close(context.WithoutCancel(ctx))
	report := doctorReport{Notes: doctor.Notes, Databases: []examination{}}
	report.Unmatched = slices.Clone(cfg.Tenancy.Acknowledge)
	for _, d := range cfg.databases() {
		if *backend != "" && d.Backend != *backend {
			continue
		}
		sessions, err := probing.sessions(d)
		if err != nil {
			return env.fail(err)
		}
		found, unmatched, err := cfg.examine(ctx, d, sessions)
		if err != nil {
			return env.fail(err)
		}
		report.add(found, unmatched)
	}
	status := exitOK
	if report.Errors > 0 {
		status = exitFailure
	}
	if *output == outputJSON {
		return max(status, env.printJSON(report))
	}
	report.print(env.stdout)
	return status
}

// add counts what was found in one more database.
func (r *doctorReport) add(found examination, unmatched []string) {
	r.Databases = append(r.Databases, found)
	r.Errors += doctor.Count(found.Findings, doctor.Error)
	r.Warnings += doctor.Count(found.Findings, doctor.Warning)
	still := []string{}
	for _, name := range r.Unmatched {
		if slices.Contains(unmatched, name) {
			still = append(still, name)
		}
	}
	r.Unmatched = still
}

// databases are those of the backends, and those that tenants have there, as
// the proxy uses them.
func (c *Config) databases() []proxy.Database {
	var all []proxy.Database
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		own := c.Backends[name].Server()
		all = append(all, proxy.Database{Backend: name, Server: own})
		others := make(map[string]bool) // whether it is one tenant's alone
		for _, t := range c.Tenants {
			if t.Backend == name && t.Database != "" && t.Database != own.Database {
				others[t.Database] = t.Key == ""
			}
		}
		for _, database := range slices.Sorted(maps.Keys(others)) {
			server := own.Copy()
			server.Database = database
			all = append(all, proxy.Database{Backend: name, Server: server, OneTenant: others[database]})
		}
	}
	return all
}

// examine finds what is wrong with one database, and which of the names in
// tenancy.acknowledge are of none of its findings. With sessions of tenants it
// asks what they are told.
func (c *Config) examine(ctx context.Context, d proxy.Database, sessions []doctor.Session) (examination, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	parser, err := strconv.Atoi(grammar)
	if err != nil {
		return examination{}, nil, fmt.Errorf("read version of the grammar: %w", err)
	}
	findings, err := doctor.Examine(ctx, d.Server, doctor.Config{
		Catalog:     c.Catalog(),
		RowSecurity: c.Tenancy.Enforce != proxy.Rewrite,
		Seal:        c.Backends[d.Backend].sealKey,
		Rewriting:   c.Tenancy.Enforce != proxy.RLS,
		OneTenant:   d.OneTenant,
		TempTables:  c.Tenancy.TempTables,
		Grammar:     parser,
		Sessions:    sessions,
	})
	if err != nil {
		return examination{}, nil, fmt.Errorf("backend %q, database %q: %w", d.Backend, d.Server.Database, err)
	}
	unmatched := doctor.Acknowledge(findings, c.Tenancy.Acknowledge)
	return examination{
		Backend: d.Backend, Database: d.Server.Database, Role: d.Server.User, Enforce: c.Tenancy.Enforce.String(), Findings: findings,
	}, unmatched, nil
}

// print writes the report for people.
func (r *doctorReport) print(w io.Writer) {
	for _, d := range r.Databases {
		fmt.Fprintf(w, "database %s of backend %s, role %s, enforce %s: %s\n", d.Database, d.Backend, d.Role, d.Enforce, counts(d.Findings))
		for _, f := range d.Findings {
			printFinding(w, f)
		}
		fmt.Fprintln(w)
	}
	for _, name := range r.Unmatched {
		fmt.Fprintf(w, "acknowledged, and not found: %s\n", name)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
}

func printFinding(w io.Writer, f doctor.Finding) {
	mark := ""
	if f.Acknowledged {
		mark = " (acknowledged)"
	}
	fmt.Fprintf(w, "\n%s %s%s\n  %s\n", f.Severity, f.Name, mark, oneLine(f.Why))
	for _, sql := range f.SQL {
		fmt.Fprintf(w, "    %s;\n", sql)
	}
}

// counts says how many findings there are of each kind.
func counts(findings []doctor.Finding) string {
	errors, warnings := doctor.Count(findings, doctor.Error), doctor.Count(findings, doctor.Warning)
	text := plural(errors, "error") + ", " + plural(warnings, "warning")
	if acknowledged := len(findings) - errors - warnings; acknowledged > 0 {
		text += fmt.Sprintf(", %d acknowledged", acknowledged)
	}
	return text
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// A faultyDatabaseError is a database that tenants are not to be let into.
type faultyDatabaseError struct {
	database *pgconn.Config
	findings []doctor.Finding // errors that nobody acknowledged
}

// shownFindings bounds how many findings an error message has.
const shownFindings = 20

// Error names the findings and what mends them.
func (e *faultyDatabaseError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "database %s is not served: the doctor finds %s\n", e.database.Database, plural(len(e.findings), "error"))
	for i, f := range e.findings {
		if i == shownFindings {
			fmt.Fprintf(&text, "\nand %d more\n", len(e.findings)-i)
			break
		}
		printFinding(&text, f)
	}
	text.WriteString("\nMend them, or accept them by name in tenancy.acknowledge; tenantgate doctor shows them all, and warnings")
	return text.String()
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"tenantgate/internal/postgres"
)

// A demoStep is the same SQL for some logins, each in a psql session of its own.
type demoStep struct {
	look   string   // what to look at: one sentence
	logins []string // who runs it; postgres.Superuser goes past the proxy
	sql    []string // statements or meta-commands, run in one session
}

// demoEnforcements says what confines rows in each enforcement.
var demoEnforcements = map[string]string{
	"rls":     "policies in the database, the tenant set by tenantgate",
	"rewrite": "no policies in the database, every statement is rewritten",
	"both":    "policies in the database, and every statement is rewritten",
}

// demoSteps are run in order, on data that the steps before have changed.
var demoSteps = []demoStep{
	{
		look:   "The database holds the rows of two practices, and both count from 1: this is PostgreSQL's superuser, not through tenantgate.",
		logins: []string{postgres.Superuser},
		sql:    []string{"TABLE patients;"},
	},
	{
		look:   "A join: raw SQL with no word of tenants. Each login gets its own patients, and the shared countries.",
		logins: []string{"acme", "globex"},
		sql: []string{`SELECT p.id, p.name, c.name AS country, count(*) AS visits, sum(a.fee) AS fees
FROM patients p
JOIN appointments a ON a.patient = p.id
LEFT JOIN countries c ON c.code = p.country
GROUP BY p.id, p.name, c.name ORDER BY p.id;`},
	},
	{
		look:   "Aggregates and sub-selects count no other tenant's rows: Ada to Cleo are acme's, Xenia to Zeno globex's.",
		logins: []string{"acme", "globex"},
		sql: []string{`SELECT count(*) AS patients, min(name), max(name),
  (SELECT sum(fee) FROM appointments) AS fees,
  (SELECT count(*) FROM practices) AS practices
FROM patients;`},
	},
	{
		look:   "acme asks for globex's rows outright, and gets its own.",
		logins: []string{"acme"},
		sql:    []string{"SELECT name FROM patients WHERE tenant_id = 2 OR true ORDER BY 1;"},
	},
	{
		look:   "acme tries to become globex: both ways are refused, and the session is still acme's.",
		logins: []string{"acme"},
		sql: []string{
			"SET app.tenant_id = '2';",
			"SELECT set_config('app.tenant_id', '2', false), name FROM patients;",
			"SELECT count(*) AS patients, max(name) FROM patients;",
		},
	},
	{
		look:   "acme writes a row for globex, which fails as in PostgreSQL; one without the tenant becomes its own.",
		logins: []string{"acme"},
		sql: []string{
			"INSERT INTO patients (tenant_id, id, name) VALUES (2, 5, 'Mole');",
			"INSERT INTO patients (id, name, country) VALUES (4, 'Dora', 'AT') RETURNING *;",
		},
	},
	{
		look:   "acme forgets the WHERE. UPDATE says how many rows it changed: its own four.",
		logins: []string{"acme"},
		sql:    []string{"UPDATE appointments SET fee = 0;"},
	},
	{
		look:   "The superuser again: acme's fees are gone, globex has every row and fee it had.",
		logins: []string{postgres.Superuser},
		sql: []string{`SELECT tenant_id, count(*) AS appointments, sum(fee) AS fees,
  (SELECT string_agg(name, ', ' ORDER BY id) FROM patients p WHERE p.tenant_id = a.tenant_id) AS patients
FROM appointments a GROUP BY tenant_id ORDER BY tenant_id;`},
	},
}

// A demoShow runs the steps in a terminal.
type demoShow struct {
	out  io.Writer
	bold bool // out is a terminal
	psql string

	logins map[string]demoLogin
}

// A demoLogin is where a login of a step connects.
type demoLogin struct {
	port               int
	password, database string
}

// run shows every step under one enforcement.
func (s *demoShow) run(ctx context.Context, enforce string) error {
	s.heading("\n=== enforce: " + enforce + ": " + demoEnforcements[enforce] + " ===\n")
	for i, step := range demoSteps {
		s.heading(fmt.Sprintf("%d. %s", i+1, step.look))
		several := len(step.logins) > 1
		if several {
			fmt.Fprintf(s.out, "\n%s\n", strings.Join(step.sql, "\n"))
		}
		for _, login := range step.logins {
			output, err := s.session(ctx, login, step.sql, !several)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.out, "\n%s:\n%s\n", login, bytes.TrimRight(output, "\n"))
		}
		fmt.Fprintln(s.out)
	}
	return nil
}

// session runs psql and returns what it prints, errors of statements included.
func (s *demoShow) session(ctx context.Context, login string, sql []string, echo bool) ([]byte, error) {
	to := s.logins[login]
	args := []string{
		"--no-psqlrc", "--pset=pager=off", "--pset=footer=off",
		"--host=127.0.0.1", "--port=" + strconv.Itoa(to.port), "--username=" + login, "--dbname=" + to.database,
	}
	if echo {
		args = append(args, "--echo-queries")
	}
	for _, statement := range sql {
		args = append(args, "--command="+statement)
	}
	cmd := exec.CommandContext(ctx, s.psql, args...) // #nosec G204 -- the machine's psql, no shell
	cmd.Env = append(withoutPG(os.Environ()), "PGPASSWORD="+to.password)
	output, err := cmd.CombinedOutput() // in the order in which a terminal would get it
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == psqlStatementFailed {
		return output, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("psql as %s: %w\n%s", login, err, output)
	}
	return output, nil
}

// psqlStatementFailed is psql's exit status when the last statement failed; a
// lost connection is 2.
const psqlStatementFailed = 1

// heading prints a line that stands out on a terminal.
func (s *demoShow) heading(text string) {
	if s.bold {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintln(s.out, text)
}

// withoutPG leaves out libpq's variables: they would change how psql connects.
func withoutPG(env []string) []string {
	var kept []string
	for _, variable := range env {
		if !strings.HasPrefix(variable, "PG") {
			kept = append(kept, variable)
		}
	}
	return kept
}

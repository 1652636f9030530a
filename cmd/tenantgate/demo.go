package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mattn/go-isatty"

	"tenantgate/internal/postgres"
	"tenantgate/proxy"
)

// demoOptions are the command's flags.
type demoOptions struct {
	enforce []string // one proxy and one database each
	keep    bool     // wait for the end of ctx
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
		if ctx.Err() != nil {
			err = context.Cause(ctx) // what it interrupted is of no interest
		}
		return env.fail(err)
	}
	return exitOK
}

// demo starts a throw-away PostgreSQL and a proxy for each enforcement, shows
// with psql what tenants see, and removes everything again.
func demo(ctx context.Context, o demoOptions, stdout io.Writer) (err error) {
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

	running, stop := context.WithCancelCause(ctx) // ends with ctx, or when a proxy fails
	var stages []*demoStage
	defer func() {
		stop(nil)
		for _, stage := range stages {
			<-stage.done
		}
	}()
	for i, enforce := range o.enforce {
		stage, err := startStage(running, stop, server, enforce, demoPort+2*i)
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
		if err := show.run(running, stage.enforce); err != nil {
			return err
		}
	}
	if !o.keep {
		fmt.Fprintln(stdout, "To try it yourself: tenantgate demo --keep leaves it running and prints the psql lines.")
		return nil
	}
	printPsqlLines(stdout, stages)
	<-running.Done()
	if ctx.Err() != nil {
		return nil // the end that was meant
	}
	return context.Cause(running)
}

// printPsqlLines says how to connect.
func printPsqlLines(stdout io.Writer, stages []*demoStage) {
	fmt.Fprintln(stdout, "Running until ^C. In another terminal:")
	for _, stage := range stages {
		fmt.Fprintf(stdout, "\n  # enforce: %s\n", stage.enforce)
		for _, login := range []string{"acme", "globex"} {
			fmt.Fprintf(stdout, "  psql postgres://%s:%[1]s@127.0.0.1:%d/%s\n", login, stage.port, stage.database)
		}
	}
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

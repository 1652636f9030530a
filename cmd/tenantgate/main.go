// Command tenantgate is a PostgreSQL proxy that confines every login to its
// tenant's rows. Here flags, file and environment become values; the packages
// do the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/pflag"
)

// Exit statuses. A script may rely on them.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // wrong arguments or configuration; nothing was started
)

// A command is one of tenantgate's.
type command struct {
	name    string
	summary string // one line, without a full stop
	usage   string // arguments after the flags, as "'SQL'"; may be empty
	example string // lines to try
	run     func(ctx context.Context, env *environment, args []string) int
}

// commands are all there are, in the order of --help.
var commands = []command{
	{"serve", "run the proxy", "", serveExample, runServe},
	{"explain", "show what becomes of a statement for a login", "'SQL'", explainExample, runExplain},
	{"doctor", "check a database for what would let tenants see each other", "", doctorExample, runDoctor},
	{"bootstrap", "print or run the DDL that enforcement needs", "", bootstrapExample, runBootstrap},
	{"passwd", "make a SCRAM-SHA-256 verifier of a password", "[user]", passwdExample, runPasswd},
	{"health", "ask a running proxy whether it is ready", "", healthExample, runHealth},
	{"demo", "show what two tenants see, on a throw-away PostgreSQL", "", demoExample, runDemo},
	{"version", "print the version", "", versionExample, runVersion},
}

// An environment is what a command has of the process around it.
type environment struct {
	command   command // the one that runs
	stdin     *os.File
	stdout    io.Writer
	stderr    io.Writer
	lookupEnv func(string) (string, bool)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal lets a command end in order; the next one ends it.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command that args name and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	env := &environment{stdin: os.Stdin, stdout: stdout, stderr: stderr, lookupEnv: os.LookupEnv}
	return env.dispatch(ctx, args)
}

func (env *environment) dispatch(ctx context.Context, args []string) int {
	if len(args) == 0 {
		printCommands(env.stderr)
		return exitUsage
	}
	switch args[0] {
	case "-h", "--help", "help":
		if len(args) > 1 && args[0] == "help" {
			return env.dispatch(ctx, []string{args[1], "--help"})
		}
		printCommands(env.stdout)
		return exitOK
	case "-v", "--version":
		args = []string{"version"}
	}
	names := make([]string, len(commands))
	for i, c := range commands {
		if c.name == args[0] {
			env.command = c
			return c.run(ctx, env, args[1:])
		}
		names[i] = c.name
	}
	return env.fail(usageError{unknown("command", args[0], names)})
}

func printCommands(w io.Writer) {
	fmt.Fprint(w, "tenantgate is a PostgreSQL proxy that confines every login to its tenant's rows.\n\n"+
		"Usage:\n  tenantgate COMMAND [flags]\n\nCommands:\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range commands {
		fmt.Fprintf(table, "  %s\t%s\n", c.name, c.summary)
	}
	_ = table.Flush() // as for fmt.Fprint
	fmt.Fprint(w, "\nEvery command has --help, with an example.\n")
}

// flags returns the command's set of flags, which prints its help.
func (env *environment) flags() *pflag.FlagSet {
	c := env.command
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	flags.SortFlags = false
	flags.SetOutput(io.Discard) // errors are ours to print
	flags.Usage = func() {
		line := strings.TrimSpace("tenantgate " + c.name + " [flags] " + c.usage)
		fmt.Fprintf(env.stdout, "%s%s.\n\nUsage:\n  %s\n", strings.ToUpper(c.summary[:1]), c.summary[1:], line)
		if flags.HasAvailableFlags() {
			fmt.Fprintf(env.stdout, "\nFlags:\n%s", flags.FlagUsages())
		}
		fmt.Fprint(env.stdout, "\nExample:\n")
		for example := range strings.Lines(strings.TrimSpace(c.example) + "\n") {
			fmt.Fprint(env.stdout, "  ", example)
		}
	}
	return flags
}

// parse reads the arguments. If done, the command is to end with that status.
func (env *environment) parse(flags *pflag.FlagSet, args []string, least, most int) (rest []string, status int, done bool) {
	err := flags.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return nil, exitOK, true
	}
	if err != nil {
		return nil, env.fail(usageError{err.Error()}), true
	}
	rest = flags.Args()
	switch {
	case len(rest) < least:
		return nil, env.fail(usageError{"an argument is missing: " + env.command.usage}), true
	case len(rest) > most:
		return nil, env.fail(usageError{fmt.Sprintf("%d arguments too many", len(rest)-most)}), true
	}
	return rest, exitOK, false
}

// A usageError is a command line that cannot be meant.
type usageError struct {
	text string
}

func (e usageError) Error() string { return e.text }

// fail prints why a command ends and returns its exit status.
func (env *environment) fail(err error) int {
	var usage usageError
	var config *ConfigError
	switch {
	case errors.As(err, &config):
		fmt.Fprintln(env.stderr, err)
		return exitUsage
	case errors.As(err, &usage):
		see := strings.TrimSpace("tenantgate " + env.command.name)
		fmt.Fprintf(env.stderr, "tenantgate: %s\nSee %s --help.\n", err, see)
		return exitUsage
	default:
		fmt.Fprintf(env.stderr, "tenantgate: %s\n", err)
		return exitFailure
	}
}

// An outputFormat is the value of --output.
type outputFormat string

const (
	outputText outputFormat = "text"
	outputJSON outputFormat = "json"
)

// addOutputFlag adds --output.
func addOutputFlag(flags *pflag.FlagSet) *outputFormat {
	format := outputText
	flags.Var(&format, "output", "how to print: text, json")
	return &format
}

// String, Set and Type make it a flag's value.
func (f *outputFormat) String() string { return string(*f) }

// Set takes one of the formats.
func (f *outputFormat) Set(text string) error {
	switch outputFormat(text) {
	case outputText, outputJSON:
		*f = outputFormat(text)
		return nil
	default:
		return errors.New("allowed: text, json")
	}
}

// Type is the placeholder in --help.
func (f *outputFormat) Type() string { return "format" }

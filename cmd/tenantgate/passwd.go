package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"tenantgate/auth"
)

const passwdExample = `
tenantgate passwd acme_app
echo "$PASSWORD" | tenantgate passwd`

func runPasswd(ctx context.Context, env *environment, args []string) int {
	flags := env.flags()
	iterations := flags.Int("iterations", auth.DefaultIterations, "rounds of hashing; more make each login, and guessing, slower")
	rest, status, done := env.parse(flags, args, 0, 1)
	if done {
		return status
	}
	if *iterations < auth.DefaultIterations {
		return env.fail(usageError{fmt.Sprintf("--iterations %d is too few; allowed: from %d on", *iterations, auth.DefaultIterations)})
	}
	password, err := env.readPassword(ctx)
	if err != nil {
		return env.fail(err)
	}
	if err := auth.CheckPassword(password); err != nil {
		return env.fail(err)
	}
	verifier, err := auth.NewVerifier(password, *iterations)
	if err != nil {
		return env.fail(err)
	}
	if len(rest) == 0 {
		fmt.Fprintln(env.stdout, verifier.Encode())
		return exitOK
	}
	fmt.Fprintf(env.stdout, "- {user: %q, password: %q}\n", rest[0], verifier.Encode())
	return exitOK
}

// readPassword asks twice at a terminal, and else reads one line.
func (env *environment) readPassword(ctx context.Context) (string, error) {
	fd := int(env.stdin.Fd()) // #nosec G115 -- file descriptors are small
	if !term.IsTerminal(fd) {
		return readLine(env.stdin)
	}
	first, err := env.prompt(ctx, fd, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := env.prompt(ctx, fd, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the passwords differ")
	}
	return first, nil
}

// prompt reads a line without echo. An interrupt cannot wake it, so that ends
// the process, once the terminal echoes again.
func (env *environment) prompt(ctx context.Context, fd int, question string) (string, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read state of terminal: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		_ = term.Restore(fd, before) // there is nothing else to try
		fmt.Fprintln(env.stderr)
		os.Exit(exitFailure)
	})
	defer stop()
	fmt.Fprint(env.stderr, question)
	password, err := term.ReadPassword(fd)
	fmt.Fprintln(env.stderr)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return string(password), nil
}

// readLine reads the first line of r, without its end.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecretBytes)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

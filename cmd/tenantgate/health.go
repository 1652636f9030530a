package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

const healthExample = `
tenantgate health --config tenantgate.yaml
HEALTHCHECK CMD ["tenantgate", "health", "--config", "/etc/tenantgate.yaml"]`

func runHealth(ctx context.Context, env *environment, args []string) int {
	flags := env.flags()
	config := addConfigFlags(flags)
	timeout := flags.Duration("timeout", 3*time.Second, "how long to wait for the answer")
	if _, status, done := env.parse(flags, args, 0, 0); done {
		return status
	}
	if *timeout <= 0 {
		return env.fail(usageError{"--timeout must be longer than none"})
	}
	cfg, err := config.load(env.lookupEnv)
	if err != nil {
		return env.fail(err)
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	ask := func() (string, error) { return askListener(ctx, cfg.Listen[0]) }
	if cfg.Admin.Listen != "" {
		ask = func() (string, error) { return askReady(ctx, cfg.Admin.Listen) }
	}
	answer, err := ask()
	if err != nil {
		return env.fail(err)
	}
	fmt.Fprintln(env.stdout, answer)
	return exitOK
}

// askReady asks the HTTP side, which knows about the servers behind the proxy.
func askReady(ctx context.Context, listen string) (string, error) {
	url := "http://" + reachable(listen) + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", url, err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // without a proxy from the environment
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask whether the proxy is ready: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("not ready: %s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return "ready", nil
}

// askListener opens a connection as a client would, and goes no further than
// the answer to SSLRequest.
func askListener(ctx context.Context, listen Address) (string, error) {
	target := reachable(listen.Address)
	if listen.Network == "unix" {
		var err error
		if target, err = socketIn(listen.Address); err != nil {
			return "", err
		}
	}
	conn, err := new(net.Dialer).DialContext(ctx, listen.Network, target)
	if err != nil {
		return "", fmt.Errorf("connect to the proxy: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", fmt.Errorf("set deadline: %w", err)
		}
	}
	message, err := (&pgproto3.SSLRequest{}).Encode(nil)
	if err != nil {
		return "", fmt.Errorf("make SSLRequest: %w", err)
	}
	if _, err := conn.Write(message); err != nil {
		return "", fmt.Errorf("send SSLRequest: %w", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return "", fmt.Errorf("read answer to SSLRequest: %w", err)
	}
	if answer[0] != 'S' && answer[0] != 'N' {
		return "", fmt.Errorf("%s answers SSLRequest with %q: no PostgreSQL speaks there", target, answer[0])
	}
	return "listening", nil
}

// reachable turns an address to listen on into one to connect to: of all
// interfaces, the loopback one.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// socketIn finds the socket in a directory.
func socketIn(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(globQuote(dir), ".s.PGSQL.*"))
	if err != nil {
		return "", fmt.Errorf("look for a socket in %s: %w", dir, err)
	}
	for _, path := range found {
		if filepath.Ext(path) != ".lock" {
			return path, nil
		}
	}
	return "", errors.New("no socket in " + dir)
}

func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

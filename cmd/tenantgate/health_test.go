package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// configFile writes a configuration that everything but extra is plain in.
func configFile(t *testing.T, extra string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "t.yaml")
	text := extra + "\nbackends: {main: {url: \"postgres://app@127.0.0.1:1/app\"}}\nlogins: [{user: ops, password: p, operator: true}]\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// health runs the command.
func health(t *testing.T, extra string, flags ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	args := append([]string{"health", "--timeout", "500ms", "--config", configFile(t, extra)}, flags...)
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestHealthAsksTheHTTPSide(t *testing.T) {
	t.Setenv("http_proxy", "http://127.0.0.1:1") // of no concern to a proxy on this machine
	code := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			code = http.StatusNotFound
		}
		w.WriteHeader(code)
		fmt.Fprintln(w, "backend main is down")
	}))
	defer server.Close()
	admin := "admin: {listen: " + strings.TrimPrefix(server.URL, "http://") + "}"

	status, stdout, stderr := health(t, admin)
	require.Equal(t, exitOK, status, stderr)
	require.Equal(t, "ready\n", stdout)
	require.Empty(t, stderr)

	code = http.StatusServiceUnavailable
	status, stdout, stderr = health(t, admin)
	require.Equal(t, exitFailure, status)
	require.Empty(t, stdout)
	require.Equal(t, "tenantgate: not ready: 503 Service Unavailable: backend main is down\n", stderr)
}

// answering listens and answers every first eight bytes with the same text.
func answering(t *testing.T, network, address, answer string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request := make([]byte, 8)
			if _, err := io.ReadFull(conn, request); err == nil && string(request) == "\x00\x00\x00\x08\x04\xd2\x16\x2f" {
				_, _ = conn.Write([]byte(answer))
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l
}

func TestHealthKnocksAtTheListenerWithoutAnHTTPSide(t *testing.T) {
	for answer, want := range map[string]int{"S": exitOK, "N": exitOK, "E": exitFailure, "": exitFailure} {
		l := answering(t, "tcp", "127.0.0.1:0", answer)
		status, stdout, stderr := health(t, "listen: [\""+l.Addr().String()+"\"]")
		require.Equal(t, want, status, stderr)
		require.Equal(t, want == exitOK, stdout == "listening\n")
	}
}

func TestHealthKnocksAtAUnixSocket(t *testing.T) {
	dir := t.TempDir()
	status, _, stderr := health(t, "", "--listen", dir)
	require.Equal(t, exitFailure, status)
	require.Contains(t, stderr, "no socket in "+dir)

	require.NoError(t, os.WriteFile(filepath.Join(dir, ".s.PGSQL.6432.lock"), nil, 0o600))
	answering(t, "unix", filepath.Join(dir, ".s.PGSQL.6432"), "N")
	status, stdout, stderr := health(t, "", "--listen", dir)
	require.Equal(t, exitOK, status, stderr)
	require.Equal(t, "listening\n", stdout)
}

func TestHealthDoesNotWaitForEver(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	for _, extra := range []string{"listen: [\"" + silent.Addr().String() + "\"]", "admin: {listen: \"" + silent.Addr().String() + "\"}"} {
		start := time.Now()
		status, _, _ := health(t, extra)
		require.Equal(t, exitFailure, status)
		require.Less(t, time.Since(start), 10*time.Second)
	}
	status, _, _ := health(t, "", "--timeout", "0s")
	require.Equal(t, exitUsage, status)
}

func TestWildcardAddressesAreReachedOnThisMachine(t *testing.T) {
	for listen, want := range map[string]string{
		":6432": "127.0.0.1:6432", "0.0.0.0:6432": "127.0.0.1:6432", "[::]:6432": "[::1]:6432",
		"10.0.0.1:6432": "10.0.0.1:6432", "db.example.com:6432": "db.example.com:6432",
	} {
		require.Equal(t, want, reachable(listen))
	}
}

func TestHealthEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := askListener(ctx, Address{"tcp", "127.0.0.1:1"})
	require.ErrorIs(t, err, context.Canceled)
}

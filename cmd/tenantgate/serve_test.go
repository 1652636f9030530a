package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/proxy"
)

// writeCertificate makes a self-signed one for 127.0.0.1 in dir.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		"server.crt": {Type: "CERTIFICATE", Bytes: der},
		"server.key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
}

// startProxy runs tenantgate serve as a process of its own and returns where
// it listens, by the log's messages, and the process.
func startProxy(t *testing.T, dir, config string) (addresses map[string][]string, cmd *exec.Cmd, ended <-chan error) {
	t.Helper()
	file := filepath.Join(dir, "tenantgate.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	link := filepath.Join(dir, "tenantgate")
	binary, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(binary, link))
	cmd = exec.Command(link, "serve", "--config", file)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	exit := make(chan error, 1)
	lines := make(chan string, 100)
	go func() {
		scanner := bufio.NewScanner(stderr)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			default:
			}
		}
		close(lines)
		exit <- cmd.Wait()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	addresses = make(map[string][]string)
	for timeout := time.After(30 * time.Second); len(addresses["HTTP is served"]) == 0; {
		select {
		case line, ok := <-lines:
			require.True(t, ok, "the proxy ended: %v", addresses)
			var entry struct{ Message, Listen string }
			require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
			addresses[entry.Message] = append(addresses[entry.Message], entry.Listen)
		case <-timeout:
			t.Fatal("the proxy did not start")
		}
	}
	return addresses, cmd, exit
}

func TestServeFromStartToSigterm(t *testing.T) {
	c := clinic.New(t, 2)
	dir, err := os.MkdirTemp("/tmp", "tenantgate-serve-") // short enough for a socket's path
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	writeCertificate(t, dir)
	addresses, cmd, ended := startProxy(t, dir, fmt.Sprintf(`
listen: ["127.0.0.1:0", %q]
admin: {listen: "127.0.0.1:0"}
tls: {mode: require, cert: server.crt, key: server.key}
backends:
  main: {url: %q, pool: {size: 2, per_tenant: 2}}
tenancy:
  enforce: both
  setting: %s
  tables: {tenants: {column: id}, countries: shared, feature_flags: shared-rw, audit_log: denied}
  acknowledge: ["fk-cascade-without-tenant:public.invoice_lines", "role-owns:public.nothing"]
tenants:
  - {id: acme, key: "1"}
  - {id: globex, key: "2"}
logins:
  - {user: acme_app, password: secret, tenant: acme}
`, dir, c.URL(c.Policies()), clinic.Setting))

	require.Len(t, addresses["the doctor's finding is acknowledged"], 1)
	require.Len(t, addresses["the acknowledged finding is not found"], 1)
	tcp := addresses["clients are served"][0]
	probe, err := http.Get("http://" + addresses["HTTP is served"][0] + "/readyz")
	require.NoError(t, err)
	require.NoError(t, probe.Body.Close())
	require.Equal(t, http.StatusOK, probe.StatusCode)

	_, err = pgconn.Connect(t.Context(), "postgres://acme_app:secret@"+tcp+"/"+c.Policies()+"?sslmode=disable")
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "28000", refused.Code)
	conn := pgtest.Connect(t, "postgres://acme_app:secret@"+tcp+"/"+c.Policies()+"?sslmode=verify-full&sslrootcert="+filepath.Join(dir, "server.crt"))
	require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, "SELECT DISTINCT tenant_id FROM patients"))

	psql := exec.Command(filepath.Join(c.Server.BinDir(), "psql"), "-XAt", "-c", "SELECT DISTINCT tenant_id FROM patients",
		fmt.Sprintf("host=%s port=6432 user=acme_app password=secret dbname=%s", dir, c.Policies()))
	out, err := psql.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "1\n", string(out))

	pgtest.Must(t, conn, "BEGIN")
	pgtest.Must(t, conn, "SELECT 1")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { // nobody new
		_, err := net.DialTimeout("tcp", tcp, time.Second)
		return err != nil
	}, 10*time.Second, 10*time.Millisecond)
	pgtest.Must(t, conn, "SELECT count(*) FROM patients")
	pgtest.Must(t, conn, "COMMIT")
	err = errors.New("not ended")
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = conn.Ping(context.Background()); err != nil {
			break
		}
	}
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "57P01", refused.Code)
	select {
	case err := <-ended:
		require.NoError(t, err) // exit status 0
	case <-time.After(20 * time.Second):
		t.Fatal("the proxy did not end")
	}
	_, err = os.Stat(filepath.Join(dir, socketFile))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestProfilesAreServedOnlyWhereTheyAreWanted(t *testing.T) {
	server, err := proxy.New(proxy.Config{
		Enforce: proxy.RLS, Setting: clinic.Setting, Auth: &auth.Authenticator{}, Backends: map[string]proxy.BackendConfig{"main": {}},
	})
	require.NoError(t, err)
	for path, profile := range map[string]int{"/healthz": http.StatusOK, "/debug/pprof/allocs?debug=1": http.StatusOK, "/debug/pprof/cmdline": http.StatusNotFound} {
		for _, wanted := range []bool{false, true} {
			status := profile
			if !wanted && path != "/healthz" {
				status = http.StatusNotFound
			}
			answer := httptest.NewRecorder()
			adminHandler(server, Admin{Profile: wanted}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
			require.Equal(t, status, answer.Code, "%s, %t", path, wanted)
		}
	}
}

func TestServeSaysWhatKeepsItFromStarting(t *testing.T) {
	c := clinic.New(t, 1)
	dir := t.TempDir()
	run := func(url string) (string, int) {
		t.Helper()
		file := filepath.Join(dir, "tenantgate.yaml")
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
listen: ["127.0.0.1:0"]
backends: {main: {url: %q}}
tenancy: {enforce: rls, tables: {tenants: {column: id}, countries: shared, feature_flags: shared-rw, audit_log: denied}}
tenants: [{id: acme, key: "1"}]
logins: [{user: acme_app, password: secret, tenant: acme}]
`, url), 0o600))
		link := filepath.Join(dir, "tenantgate")
		binary, err := os.Executable()
		require.NoError(t, err)
		_ = os.Symlink(binary, link)
		out, err := exec.Command(link, "serve", "--config", file).CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, string(out))
		require.NotContains(t, strings.ToLower(string(out)), clinic.Password+"@")
		return string(out), exit.ExitCode()
	}
	out, code := run(c.Server.SuperuserURL(c.Policies()))
	require.Equal(t, exitFailure, code)
	require.Contains(t, out, "superuser")
	out, code = run("postgres://nobody:wrong@127.0.0.1:1/none?sslmode=disable")
	require.Equal(t, exitFailure, code)
	require.Contains(t, out, "connect")
	out, code = run(c.URL(c.Policies()))
	require.Equal(t, exitFailure, code)
	require.Contains(t, out, "database "+c.Policies()+" is not served: the doctor finds 1 error\n")
	require.Contains(t, out, "error fk-cascade-without-tenant:public.invoice_lines\n  foreign key invoice_lines_invoice_id_fkey is without the tenant column")
	require.Contains(t, out, "    ALTER TABLE public.invoice_lines DROP CONSTRAINT invoice_lines_invoice_id_fkey, ADD CONSTRAINT")
	require.Contains(t, out, "tenancy.acknowledge")
	require.NotContains(t, out, "clients are served")
	out, code = run("not a url")
	require.Equal(t, exitUsage, code)
	require.Contains(t, out, "tenantgate.yaml:")
}

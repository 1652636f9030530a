package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
)

// bouncers are where pgbouncer's programs are looked for: Debian's, and a newer
// one, which .ci/pgbouncer builds where it can.
var bouncers = []struct{ name, path string }{
	{"pgbouncer", "/usr/sbin/pgbouncer"},
	{"pgbouncer+", "bin/pgbouncer"},
}

var bouncerVersion = regexp.MustCompile(`PgBouncer (\d+)\.(\d+)\.\d+`)

// openBouncers starts each pgbouncer that there is: in transaction mode, with
// prepared statements if its version has them.
func (s *stage) openBouncers(ctx context.Context) error {
	for _, b := range bouncers {
		path, err := exec.LookPath(b.path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			if b.name == "pgbouncer" {
				if path, err = exec.LookPath("pgbouncer"); err != nil {
					return errors.New("pgbouncer is not installed: run .ci/pgbouncer")
				}
			} else {
				continue
			}
		} else if err != nil {
			return err
		}
		if err := s.openBouncer(ctx, b.name, path); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}

func (s *stage) openBouncer(ctx context.Context, name, path string) error {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return err
	}
	found := bouncerVersion.FindSubmatch(out)
	if found == nil {
		return fmt.Errorf("version not understood: %s", out)
	}
	minor, err := strconv.Atoi(string(found[2]))
	if err != nil {
		return err
	}
	prepares := string(found[1]) == "1" && minor >= 21
	s.version[name] = string(found[0])
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.server.Dir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	config := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s/users
pool_mode = transaction
default_pool_size = %d
max_client_conn = 12000
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
`, s.server.Port(), port, dir, poolSize)
	if prepares {
		config += "max_prepared_statements = 200\n"
	}
	files := map[string]string{
		"pgbouncer.ini": config,
		"users":         fmt.Sprintf("\"%s\" \"%s\"\n", appRole, password),
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	args := []string{"-q"}
	if os.Geteuid() == 0 { // it refuses to run as root
		args = append(args, "-u", unprivileged())
	}
	p, err := startProcess(name, s.server.Dir(), path, append(args, filepath.Join(dir, "pgbouncer.ini"))...)
	if err != nil {
		return err
	}
	s.processes = append(s.processes, p)
	if err := p.awaitListening(ctx, port); err != nil {
		return err
	}
	app := func(int) string { return appRole }
	s.contenders = append(s.contenders,
		&contender{name: name, port: port, database: plain, user: app, process: p, prepares: prepares},
		&contender{name: name + " by hand", port: port, database: policies, user: app, process: p, prepares: prepares, byHand: true})
	return nil
}

// unprivileged is a user who is not root.
func unprivileged() string {
	if _, err := user.Lookup("postgres"); err == nil {
		return "postgres"
	}
	return "nobody"
}

// Package postgres starts throw-away PostgreSQL servers from the programs
// installed on this machine. Tests and the demo command use it; data is not
// safe in them, for they never sync it to disk.
//
// Started by root, a server runs as the user "postgres", or "nobody" where
// there is none, because PostgreSQL refuses to run as root.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Superuser is the name of the role that initdb makes.
const Superuser = "postgres"

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 10 * time.Second // each, of the fast and the immediate shutdown
	socketPath   = 103              // bytes that a unix socket's path may have everywhere
)

// ErrClosed is returned for a server that has been closed.
var ErrClosed = errors.New("postgres: the server is closed")

// Options say how a server differs from the usual throw-away one.
type Options struct {
	Settings map[string]string // run-time parameters, over the ones of this package
	HBA      []string          // lines of pg_hba.conf, before scram-sha-256 for all
	TLS      bool              // with a certificate for 127.0.0.1 and localhost, see CAFile
	BinDir   string            // the directory of the programs; FindBinDir if empty
}

// A Server is one PostgreSQL cluster in a temporary directory. It listens on
// 127.0.0.1 and on a unix socket. Its methods may be called concurrently.
type Server struct {
	binDir   string
	dir      string   // holds everything; removed by Close
	lock     *os.File // locked while this process lives
	port     int
	password string // of the superuser
	tls      bool
	owner    owner

	stopContext func() bool // unties the server from Start's context

	mu      sync.Mutex
	process *process // nil while stopped
	closed  bool
}

// Start makes a cluster and starts a server on it. The server is closed by
// Close, and at the latest when ctx ends. On Linux it also ends when this
// process dies without doing either; the next Start then removes what is left.
func Start(ctx context.Context, o Options) (*Server, error) {
	binDir := o.BinDir
	if binDir == "" {
		var err error
		if binDir, err = FindBinDir(); err != nil {
			return nil, err
		}
	}
	owner, err := findOwner()
	if err != nil {
		return nil, err
	}
	removeAbandoned()
	dir, lock, err := makeDir()
	if err != nil {
		return nil, fmt.Errorf("make a directory for PostgreSQL: %w", err)
	}
	s := &Server{binDir: binDir, dir: dir, lock: lock, password: rand.Text(), tls: o.TLS, owner: owner}
	if err := s.create(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.mu.Lock()
	err = s.startLocked(ctx)
	s.mu.Unlock()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.stopContext = context.AfterFunc(ctx, func() { _ = s.Close() }) // nobody is left to tell
	return s, nil
}

// create runs initdb and writes the cluster's files.
func (s *Server) create(ctx context.Context, o Options) error {
	if err := s.owner.give(s.dir); err != nil {
		return fmt.Errorf("hand %s to the user of PostgreSQL: %w", s.dir, err)
	}
	if longest := filepath.Join(s.dir, ".s.PGSQL.65535"); len(longest) > socketPath {
		return fmt.Errorf("%s is too long for a unix socket: set TMPDIR to a shorter path", longest)
	}
	passwordFile := filepath.Join(s.dir, "password")
	if err := s.writeFile(passwordFile, s.password+"\n"); err != nil {
		return err
	}
	initdb := s.prepare(exec.CommandContext(ctx, filepath.Join(s.binDir, "initdb"), "--pgdata="+s.dataDir(), "--username="+Superuser,
		"--pwfile="+passwordFile, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
		"--no-sync", "--no-instructions", "--wal-segsize=1"))
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := os.Remove(passwordFile); err != nil {
		return err
	}
	settings := s.settings()
	if o.TLS {
		if err := s.writeCertificate(); err != nil {
			return err
		}
		settings["ssl"] = "on"
		settings["ssl_cert_file"] = filepath.Join(s.dir, certFile)
		settings["ssl_key_file"] = filepath.Join(s.dir, keyFile)
	}
	for name, value := range o.Settings {
		settings[name] = value
	}
	var conf strings.Builder
	for name, value := range settings {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
	}
	if err := s.writeFile(filepath.Join(s.dataDir(), "postgresql.conf"), conf.String()); err != nil {
		return err
	}
	hba := append(append([]string{}, o.HBA...),
		"local all all scram-sha-256",
		"host all all 127.0.0.1/32 scram-sha-256",
		"local replication all scram-sha-256",
		"host replication all 127.0.0.1/32 scram-sha-256")
	return s.writeFile(filepath.Join(s.dataDir(), "pg_hba.conf"), strings.Join(hba, "\n")+"\n")
}

// settings are those of a server that loses its data gladly.
func (s *Server) settings() map[string]string {
	return map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": s.dir,
		"fsync":                   "off",
		"synchronous_commit":      "off",
		"full_page_writes":        "off",
		"max_connections":         "100",
		"password_encryption":     "scram-sha-256",
		"log_line_prefix":         "%m [%p] %q%u@%d ",
		"log_timezone":            "UTC",
		"timezone":                "UTC",
		"lc_messages":             "C",
	}
}

// Addr is the server's TCP address.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port())) }

// Port is the server's TCP port. It stays the same over a restart unless
// another program has taken it meanwhile.
func (s *Server) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

// Dir is the server's directory. Its unix socket is there, and Close removes
// whatever else has been put there.
func (s *Server) Dir() string { return s.dir }

// BinDir is the directory of the server's programs.
func (s *Server) BinDir() string { return s.binDir }

// URL is a connection string over TCP: with full verification if the server
// has a certificate, else without TLS.
func (s *Server) URL(user, password, database string) string {
	query := "sslmode=disable"
	if s.tls {
		query = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.CAFile()}}.Encode()
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: s.Addr(),
		Path: "/" + database, RawQuery: query,
	}
	return u.String()
}

// Password is that of the superuser.
func (s *Server) Password() string { return s.password }

// SuperuserURL is a connection string for the superuser.
func (s *Server) SuperuserURL(database string) string {
	return s.URL(Superuser, s.password, database)
}

// Connect returns a connection of the superuser. The caller closes it.
func (s *Server) Connect(ctx context.Context, database string) (*pgconn.PgConn, error) {
	conn, err := pgconn.Connect(ctx, s.SuperuserURL(database))
	if err != nil {
		return nil, fmt.Errorf("connect to %s as %s: %w", database, Superuser, err)
	}
	return conn, nil
}

// Exec runs SQL text, of several statements perhaps, as the superuser.
func (s *Server) Exec(ctx context.Context, database, sql string) error {
	conn, err := s.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql).ReadAll()
	return err
}

// CreateDatabase makes a database that is a copy of template, or an empty one
// if template is "". Nobody may be connected to the template.
func (s *Server) CreateDatabase(ctx context.Context, name, template string) error {
	if template == "" {
		template = "template0"
	}
	conn, err := s.Connect(ctx, Superuser)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	sql := "CREATE DATABASE " + quoteIdent(name) + " TEMPLATE " + quoteIdent(template)
	if majorVersion(strings.SplitN(conn.ParameterStatus("server_version"), ".", 2)[0]) >= 15 {
		sql += " STRATEGY file_copy" // several times as fast as the log, where nothing is synced
	}
	_, err = conn.Exec(ctx, sql).ReadAll()
	return err
}

// Log returns what the server has logged so far.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return string(text)
}

// quoteIdent writes a name as an SQL identifier.
func quoteIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// prepare makes a program run as the cluster's owner, in the cluster's
// directory and with nothing of our environment's PG variables.
func (s *Server) prepare(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = s.dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	if path := os.Getenv("LD_LIBRARY_PATH"); path != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+path)
	}
	cmd.SysProcAttr = s.owner.sysProcAttr()
	return cmd
}

// writeFile writes a file that the cluster's owner alone may read.
func (s *Server) writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return s.owner.give(path)
}

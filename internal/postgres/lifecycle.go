package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Ports are taken from below the ranges that systems hand out to outgoing
// connections: there, a client that dials a stopped server's port can meet
// itself.
const (
	firstPort = 15000
	lastPort  = 32000
	portTries = 20
)

// WaitFunction is the function of the goroutine that a running server has, for
// checks that count goroutines.
const WaitFunction = "tenantgate/internal/postgres.(*process).wait"

// errPortTaken: another program had the port when postgres wanted it.
var errPortTaken = errors.New("the port is taken")

// A process is one run of the postgres program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Stop shuts the server down in order: clients get 57P01, data is kept.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopLocked()
}

// Kill ends the server and, on Linux, all its backends with SIGKILL: clients
// see their connections end in the middle of whatever there was.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	// Stopped, it starts no further backend; first of all to go, the backends
	// cannot tell their clients that it went.
	if err := s.process.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	var err error
	backends := children(s.process.cmd.Process.Pid)
	for _, backend := range backends {
		if killErr := syscall.Kill(backend, syscall.SIGKILL); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("kill PostgreSQL: %w", killErr))
		}
	}
	err = errors.Join(err, s.process.cmd.Process.Kill())
	<-s.process.done
	s.process = nil
	// The next server refuses to start while one of them holds the shared memory.
	for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if backends = slices.DeleteFunc(backends, ended); len(backends) == 0 {
			return err
		}
	}
	return errors.Join(err, fmt.Errorf("kill PostgreSQL: backends %v do not end", backends))
}

// Restart starts the server again with its data, after a Stop if it runs.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.stopLocked(); err != nil {
		return err
	}
	return s.startLocked(ctx)
}

// Close ends the server and removes all it had. It may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.stopContext != nil {
		s.stopContext()
	}
	return errors.Join(s.stopLocked(), os.RemoveAll(s.dir), s.lock.Close())
}

// startLocked starts postgres and returns when it accepts connections.
func (s *Server) startLocked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for range portTries {
		if s.port == 0 {
			port, err := freePort()
			if err != nil {
				return err
			}
			s.port = port
		}
		err := s.tryStart(ctx)
		if !errors.Is(err, errPortTaken) {
			return err
		}
		s.port = 0
	}
	return fmt.Errorf("start PostgreSQL: %w, %d times", errPortTaken, portTries)
}

func (s *Server) tryStart(ctx context.Context) error {
	logged := len(s.Log())
	p, err := s.launch()
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.process = p
	err = s.awaitReady(ctx, p)
	if err == nil {
		return nil
	}
	err = errors.Join(err, s.stopLocked())
	log := s.Log()
	if log = log[min(logged, len(log)):]; strings.Contains(log, "could not bind") {
		return errPortTaken
	}
	return fmt.Errorf("start PostgreSQL: %w; its log says:\n%s", err, log)
}

// launch starts the program, and a goroutine that lasts until its end.
func (s *Server) launch() (*process, error) {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has its own descriptor by then
	// No context: it would kill the postmaster and leave its backends to themselves.
	cmd := s.prepare(exec.Command(filepath.Join(s.binDir, "postgres"), "-D", s.dataDir(), "-p", strconv.Itoa(s.port)))
	cmd.Stdout, cmd.Stderr = log, log
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.wait(started)
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// wait starts the program and returns when it has ended. The kernel ends a
// child with the thread that started it, so that thread must last as long.
func (p *process) wait(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // how it ended is in its log
	}
}

// awaitReady returns nil once the superuser can log in.
func (s *Server) awaitReady(ctx context.Context, p *process) error {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	config, err := pgconn.ParseConfig(fmt.Sprintf("host='%s' port=%d user=%s dbname=postgres sslmode=disable", s.dir, s.port, Superuser))
	if err != nil {
		return err
	}
	config.Password = s.password
	for {
		var conn *pgconn.PgConn
		if conn, err = pgconn.ConnectConfig(ctx, config); err == nil {
			if err = conn.Close(ctx); err != nil {
				return err
			}
			var tcp net.Conn
			if tcp, err = net.Dial("tcp", address); err == nil {
				return tcp.Close()
			}
		}
		select {
		case <-p.done:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stopLocked shuts down fast, else immediately, else kills.
func (s *Server) stopLocked() error {
	if s.process == nil {
		return nil
	}
	p := s.process
	s.process = nil
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(stopTimeout):
		}
	}
	return fmt.Errorf("stop PostgreSQL: process %d does not end", p.cmd.Process.Pid)
}

// freePort returns a port on which nobody listens on 127.0.0.1 at the moment.
func freePort() (int, error) {
	var last error
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			last = err
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

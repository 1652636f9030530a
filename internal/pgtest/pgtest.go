// Package pgtest gives tests a PostgreSQL to work with: one throw-away server
// for all tests of a package, started when the first test asks for it.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		url := pgtest.Server(t).SuperuserURL(pgtest.Database(t, "CREATE TABLE t ()"))
//		...
package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"tenantgate/internal/postgres"
)

// shared is the server of this test binary. mu guards it and hasMain.
var (
	mu      sync.Mutex
	shared  *postgres.Server
	hasMain bool

	databases atomic.Int64 // made so far, for their names
	watching  sync.Map     // tests that will show the log if they fail
)

// logTail is how much of the server's log a failed test shows.
const logTail = 4 << 10

// Main runs a package's tests, ends the shared server and fails if goroutines
// are left.
func Main(m *testing.M) {
	mu.Lock()
	hasMain = true
	mu.Unlock()
	code := m.Run()
	if err := closeShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func closeShared() error {
	mu.Lock()
	defer mu.Unlock()
	if shared == nil {
		return nil
	}
	return shared.Close()
}

// Server returns the server that all tests of this binary share. A test that
// stops it or changes its settings starts its own with Start. If the test
// fails, the end of the server's log is shown.
func Server(t testing.TB) *postgres.Server {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	require.True(t, hasMain, "TestMain must call pgtest.Main, which ends the shared server")
	if shared == nil {
		s, err := postgres.Start(context.Background(), options(postgres.Options{}))
		require.NoError(t, err)
		shared = s
	}
	showLogOnFailure(t, shared)
	return shared
}

// Start starts a server for one test and closes it after.
func Start(t testing.TB, o postgres.Options) *postgres.Server {
	t.Helper()
	s, err := postgres.Start(context.Background(), options(o))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	showLogOnFailure(t, s)
	return s
}

// options adds what tests want of every server.
func options(o postgres.Options) postgres.Options {
	settings := map[string]string{
		"max_connections": "200",
		"autovacuum":      "off", // it locks tables at moments of its own
		"log_statement":   "none",
		"log_checkpoints": "off",
	}
	for name, value := range o.Settings {
		settings[name] = value
	}
	o.Settings = settings
	return o
}

// Database makes a database, runs schema in it as the superuser, and drops it
// after the test, whoever is connected then.
func Database(t testing.TB, schema string) string {
	t.Helper()
	return Copy(t, "", schema)
}

// Copy makes a copy of a database and runs sql in it.
func Copy(t testing.TB, template, sql string) string {
	t.Helper()
	ctx := context.Background()
	s := Server(t)
	name := fmt.Sprintf("test_%d", databases.Add(1))
	require.NoError(t, s.CreateDatabase(ctx, name, template))
	t.Cleanup(func() {
		require.NoError(t, s.Exec(ctx, postgres.Superuser, "DROP DATABASE "+name+" WITH (FORCE)"))
	})
	if sql != "" {
		require.NoError(t, s.Exec(ctx, name, sql))
	}
	return name
}

// NoLeaks fails a test after which more goroutines run than before. Call it
// first: what other cleanups end is then no leak.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if !t.Failed() {
			goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction(postgres.WaitFunction))
		}
	})
}

func showLogOnFailure(t testing.TB, s *postgres.Server) {
	type watch struct {
		test   testing.TB
		server *postgres.Server
	}
	if _, twice := watching.LoadOrStore(watch{t, s}, true); twice {
		return
	}
	before := len(s.Log())
	t.Cleanup(func() {
		watching.Delete(watch{t, s})
		if !t.Failed() {
			return
		}
		log := s.Log()
		log = log[min(before, len(log)):]
		if len(log) > logTail {
			log = "...\n" + log[len(log)-logTail:]
		}
		t.Logf("PostgreSQL's log:\n%s", log)
	})
}

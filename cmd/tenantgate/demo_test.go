package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/postgres"
)

// TestDemoShowsEachTenantItsRowsAlone compares all that the demo prints with
// testdata/demo.
func TestDemoShowsEachTenantItsRowsAlone(t *testing.T) {
	privateTemp(t)
	datadriven.RunTest(t, filepath.Join("testdata", "demo"), func(t *testing.T, d *datadriven.TestData) string {
		var stdout, stderr bytes.Buffer
		status := run(context.Background(), append([]string{d.Cmd}, strings.Fields(d.Input)...), &stdout, &stderr)
		require.Equal(t, exitOK, status, stderr.String())
		return stdout.String()
	})
	requireEmptyTemp(t)
}

// TestDemoPrintsTheSameUnderEveryEnforcement: tenants cannot tell which one
// confines them, but for how a refusal names its rule.
func TestDemoPrintsTheSameUnderEveryEnforcement(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, run(context.Background(), []string{"demo", "--enforce", "rls,rewrite,both"}, &stdout, &stderr), stderr.String())
	parts := strings.Split(stdout.String(), "\n=== ")
	require.Len(t, parts, 4)
	var shown []string
	for _, part := range parts[1:] {
		_, steps, ok := strings.Cut(part, "===\n")
		require.True(t, ok)
		shown = append(shown, steps)
	}
	last, _, _ := strings.Cut(shown[2], "To try it yourself")
	require.Equal(t, shown[0], shown[1])
	require.Equal(t, shown[0], last)
}

func TestKeptDemoServesUntilItIsInterrupted(t *testing.T) {
	privateTemp(t)
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--enforce", "rls", "--keep"}, writer, &stderr)
		_ = writer.Close() // never fails
	}()
	var url string
	lines := bufio.NewScanner(reader)
	for url == "" && lines.Scan() {
		url, _ = strings.CutPrefix(lines.Text(), "  psql ")
		if !strings.HasPrefix(url, "postgres://") {
			url = ""
		}
	}
	require.NotEmpty(t, url, "no psql line was printed")
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		for lines.Scan() {
		}
	}()
	conn, err := pgconn.Connect(ctx, url)
	require.NoError(t, err)
	results, err := conn.Exec(ctx, "SELECT min(name) FROM patients").ReadAll()
	require.NoError(t, err)
	require.Equal(t, "Ada", string(results[0].Rows[0][0]))
	interrupt()
	require.Equal(t, exitOK, <-ended, stderr.String())
	<-rest
	_, err = conn.Exec(context.Background(), "SELECT 1").ReadAll()
	require.Error(t, err)
	requireEmptyTemp(t)
}

func TestDemoRefusesEnforcementsItDoesNotKnow(t *testing.T) {
	for _, enforce := range []string{"trust", "rls,rls", ""} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitUsage, run(context.Background(), []string{"demo", "--enforce", enforce}, &stdout, &stderr), enforce)
		require.Contains(t, stderr.String(), "enforcement", enforce)
		require.Empty(t, stdout.String())
	}
}

func TestDemoWithoutPostgreSQLSaysWhatToInstall(t *testing.T) {
	t.Setenv(postgres.BinDirVariable, t.TempDir())
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitFailure, run(context.Background(), []string{"demo"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "apt-get install postgresql")
}

// privateTemp gives the test a directory for temporary files that the user who
// runs PostgreSQL for root may enter too.
func privateTemp(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tg-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Setenv("TMPDIR", dir)
}

func requireEmptyTemp(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

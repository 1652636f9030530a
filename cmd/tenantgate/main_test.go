package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// TestMain is also the command itself, for scripts that run it by its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "tenantgate" {
		main()
		return
	}
	pgtest.Main(m)
}

func TestScripts(t *testing.T) {
	binary, err := os.Executable()
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(env *testscript.Env) error {
			bin := filepath.Join(env.WorkDir, ".bin")
			if err := os.Mkdir(bin, 0o755); err != nil {
				return err
			}
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			return os.Symlink(binary, filepath.Join(bin, "tenantgate"))
		},
	})
}

// exits runs a program that must end with an exit status: exits 2 program args.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits status program [args...]")
	}
	status := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		status = exit.ExitCode()
	}
	if want := args[0]; strconv.Itoa(status) != want {
		ts.Fatalf("exit status %d, want %s", status, want)
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	for _, c := range commands {
		require.NotEmpty(t, c.summary, c.name)
		require.NotContains(t, c.summary, ".", c.name)
		require.Contains(t, c.example, "tenantgate "+c.name, c.name)
	}
}

package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// BinDirVariable names the environment variable that says where initdb and
// postgres are.
const BinDirVariable = "TENANTGATE_PG_BINDIR"

// ErrNotInstalled is what a NotInstalledError unwraps to.
var ErrNotInstalled = errors.New("PostgreSQL's server programs were not found")

// A NotInstalledError tells where the programs were looked for and how they
// are installed.
type NotInstalledError struct {
	Looked []string // directories, in the order of the search
}

func (e *NotInstalledError) Error() string {
	return fmt.Sprintf(`%v (looked in %s)
install them:
  Debian, Ubuntu   apt-get install postgresql
  Fedora, RHEL     dnf install postgresql-server
  Alpine           apk add postgresql
  macOS            brew install postgresql
or set %s to the directory that holds initdb and postgres`,
		ErrNotInstalled, strings.Join(e.Looked, ", "), BinDirVariable)
}

func (e *NotInstalledError) Unwrap() error { return ErrNotInstalled }

// FindBinDir returns the directory of initdb and postgres. If the environment
// variable names one, no other is tried.
func FindBinDir() (string, error) {
	if dir := os.Getenv(BinDirVariable); dir != "" {
		if !isBinDir(dir) {
			return "", &NotInstalledError{Looked: []string{dir + " (" + BinDirVariable + ")"}}
		}
		return dir, nil
	}
	var looked []string
	for _, dir := range candidates() {
		if isBinDir(dir) {
			return dir, nil
		}
		looked = append(looked, dir)
	}
	return "", &NotInstalledError{Looked: append(looked, "PATH")}
}

// candidates lists directories worth a look, the best first.
func candidates() []string {
	var dirs []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",      // Debian
		"/usr/pgsql-*/bin",               // PostgreSQL's own packages for Red Hat
		"/usr/libexec/postgresql*",       // Alpine
		"/usr/local/opt/postgresql*/bin", // Homebrew on Intel
		"/opt/homebrew/opt/postgresql*/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue // not with the constant patterns above
		}
		slices.SortFunc(found, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
		dirs = append(dirs, found...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real // initdb lies beside the program, not beside the link
		}
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}

// majorVersion is the number that a directory's name holds, as 15 in
// /usr/lib/postgresql/15/bin; 0 without one.
func majorVersion(dir string) int {
	digits := strings.FieldsFunc(dir, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	n, err := strconv.Atoi(digits[len(digits)-1])
	if err != nil {
		return 0
	}
	return n
}

func isBinDir(dir string) bool {
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
			return false
		}
	}
	return true
}

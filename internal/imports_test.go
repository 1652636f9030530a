// Package internal_test checks the rules that hold between packages.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "tenantgate/"

// mayImport lists, for every package, the packages of this module that it may
// import. A package that is missing here needs a decision record.
var mayImport = map[string][]string{
	"cmd/tenantgate":    {"auth", "pool", "proxy", "rewrite", "rewrite/catalog", "internal/postgres", "internal/doctor"},
	"proxy":             {"auth", "pool", "rewrite", "rewrite/catalog", "internal/socket"},
	"auth":              {},
	"pool":              {"internal/socket"},
	"internal/socket":   {},
	"rewrite":           {"rewrite/catalog"},
	"rewrite/catalog":   {},
	"internal/postgres": {},
	"internal/doctor":   {"pool", "rewrite/catalog"},
	"internal/bench":    {"internal/postgres"},
	// Test kits: imported by tests and by each other alone.
	"internal/wiretest":      {},
	"internal/pgtest":        {"internal/postgres"},
	"internal/pgtest/clinic": {"internal/postgres", "internal/pgtest", "rewrite/catalog"},
	"internal/pgtest/sqlgen": {},
}

// only lists dependencies that are for some packages alone, with all below them.
var only = map[string][]string{
	"github.com/pganalyze/pg_query_go": {"rewrite"}, // cgo, and a parser that must be guarded
	"github.com/spf13/pflag":           {"cmd/tenantgate"},
	"go.yaml.in/yaml":                  {"cmd/tenantgate"},
	"testing":                          {"internal/wiretest", "internal/pgtest", "internal/pgtest/clinic"},
	"github.com/stretchr/testify":      {"internal/wiretest", "internal/pgtest", "internal/pgtest/clinic"},
	"go.uber.org/goleak":               {"internal/wiretest", "internal/pgtest", "internal/pgtest/clinic"},
	"C":                                {},
	"flag":                             {},
	"log":                              {},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var found []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		found = append(found, p)
	}
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "internal" {
			continue // this test
		}
		allowed, known := mayImport[name]
		require.True(t, known, "package %s is not in the table of packages", name)
		for _, path := range p.Imports {
			if ours, isOurs := strings.CutPrefix(path, module); isOurs {
				require.Contains(t, allowed, ours, "%s imports %s", name, ours)
			}
		}
	}
}

func TestDependenciesStayInThePackagesTheyAreFor(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, path := range p.Imports {
			for dependency, users := range only {
				if path == dependency || strings.HasPrefix(path, dependency+"/") {
					require.True(t, slices.Contains(users, name), "%s imports %s", name, path)
				}
			}
		}
	}
}

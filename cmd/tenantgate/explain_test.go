package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest/clinic"
)

// clinicConfig writes a configuration for a clinic's databases.
func clinicConfig(t *testing.T, c *clinic.Clinic, enforce string) string {
	t.Helper()
	database := c.Policies()
	if enforce == "rewrite" {
		database = c.Plain()
	}
	file := filepath.Join(t.TempDir(), enforce+".yaml")
	text := fmt.Sprintf(`
backends: {main: {url: %q}}
tenancy:
  enforce: %s
  tables: {tenants: {column: id}, countries: shared, feature_flags: shared-rw, audit_log: denied}
  functions: {allow: [slugify]}
tenants:
  - {id: acme, key: 1}
  - {id: globex, key: 2}
  - {id: initech, key: 3, suspended: true}
logins:
  - {user: acme_app, password: p, tenant: acme}
  - {user: bi, password: p, tenants: [acme, globex]}
  - {user: late, password: p, tenant: initech}
  - {user: ops, password: p, operator: true}
`, c.URL(database), enforce)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

var refused = regexp.MustCompile(`verdict[": ]+refuse`)

// TestExplain compares what is printed with testdata/explain. A directive's
// arguments are the enforcement and flags of the command.
func TestExplain(t *testing.T) {
	c := clinic.New(t, 2)
	files := make(map[string]string)
	for _, enforce := range enforcements() {
		files[enforce.word] = clinicConfig(t, c, enforce.word)
	}
	datadriven.Walk(t, filepath.Join("testdata", "explain"), func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			args := []string{"explain", "--config", files[d.Cmd]}
			for _, arg := range d.CmdArgs {
				flag := "--" + arg.Key
				if len(arg.Vals) == 1 {
					flag += "=" + arg.Vals[0]
				}
				args = append(args, flag)
			}
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), append(args, "--", d.Input), &stdout, &stderr)
			require.Empty(t, stderr.String())
			if refused.MatchString(stdout.String()) {
				require.Equal(t, exitFailure, status)
			} else {
				require.Equal(t, exitOK, status)
			}
			return stdout.String()
		})
	})
}

func TestExplanationAsJSONIsOneDocument(t *testing.T) {
	c := clinic.New(t, 1)
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"explain", "--config", clinicConfig(t, c, "both"), "--login=acme_app", "--output=json", "SELECT 1; TABLE jobs"}, &stdout, &stderr)
	require.Equal(t, exitFailure, status, stderr.String())
	var e explanation
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &e))
	require.Equal(t, "acme", e.Tenant)
	require.Len(t, e.Statements, 1)
	require.Equal(t, verdictRefuse, e.Statements[0].Verdict)
	require.Equal(t, "42501", e.Statements[0].SQLState)
	require.Equal(t, 17, e.Statements[0].Position)
}

func TestPointerMarksAPositionAsPsqlDoes(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, c := range []struct {
		sql      string
		position int
		want     string
	}{
		{"SELECT x", 8, "LINE 1: SELECT x\n               ^\n"},
		{"SELECT x", 1, "LINE 1: SELECT x\n        ^\n"},
		{"SELECT x", 9, "LINE 1: SELECT x\n                ^\n"},
		{"SELECT\n\tä, x\nFROM t", 12, "LINE 2:  ä, x\n            ^\n"},
		{"a\nb", 3, "LINE 2: b\n        ^\n"},
		{"a\nb", 2, "LINE 1: a\n         ^\n"},
		{long + "!" + long, 101, "LINE 1: ..." + strings.Repeat("x", 50) + "!" + strings.Repeat("x", 49) + "...\n" + strings.Repeat(" ", 61) + "^\n"},
		{"SELECT x", 0, ""},
		{"SELECT x", 10, ""},
		{"SELECT x", -1, ""},
		{"", 1, "LINE 1: \n        ^\n"},
	} {
		require.Equal(t, c.want, pointer(c.sql, c.position), "%q at %d", c.sql, c.position)
	}
}

package doctor

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryCheckIsDocumented(t *testing.T) {
	documented := make(map[string]bool)
	text, err := os.ReadFile("../../docs/doctor.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "## Checks")
	require.True(t, found)
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		first, _, _ := strings.Cut(line[1:], "|")
		for _, name := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(first, -1) {
			documented[name[1]] = true
		}
	}
	// Those that other tests than the planted faults' find.
	names := []string{
		"role-superuser", "server-encoding", "server-version", "server-outdated", "function-not-rewritten", "probe-too-slow",
		"seal-missing", "seal-changed", "seal-key", "policy-sealed", "policy-unsealed", "conditions-tell",
	}
	for _, name := range slices.Concat(errorsOfFaulty, warningsOfFaulty) {
		check, _, _ := strings.Cut(name, ":")
		names = append(names, check)
	}
	for _, name := range names {
		require.True(t, documented[name], "%s is not documented", name)
	}
	for name := range documented {
		require.Contains(t, names, name, "documented, and never found")
	}
}

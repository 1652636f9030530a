package rewrite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// deparserFaults is the list of statements that the deparser turns into other
// ones, or into text that does not parse. What is sent is proved, so none of
// these does harm; where the text cannot be spliced either, it is refused.
const deparserFaults = "testdata/deparser.txt"

// oracleTexts are the statements that are compared with databases of one tenant.
func oracleTexts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../testdata/oracle/*.sql")
	require.NoError(t, err)
	var texts []string
	for _, file := range files {
		content, err := os.ReadFile(file) //nolint:gosec // a file of testdata
		require.NoError(t, err)
		var sql strings.Builder
		for line := range strings.Lines(string(content)) {
			if strings.HasPrefix(line, "--") {
				continue
			}
			sql.WriteString(line)
			if strings.HasSuffix(strings.TrimSpace(line), ";") {
				texts = append(texts, strings.TrimSpace(sql.String()))
				sql.Reset()
			}
		}
	}
	return texts
}

func TestFaultsOfTheDeparserAreListed(t *testing.T) {
	var faults strings.Builder
	same := 0
	for _, sql := range oracleTexts(t) {
		stmts, err := parse(sql)
		if err != nil {
			continue // the server does not parse it either
		}
		for _, raw := range stmts {
			text, err := deparse(raw.Stmt)
			if err != nil {
				text = err.Error()
			} else if again, err := parse(text); err == nil && len(again) == 1 && equalTrees(raw.Stmt, again[0].Stmt) {
				same++
				continue
			}
			fmt.Fprintf(&faults, "%s\n    %s\n", sql, text)
		}
	}
	listed, err := os.ReadFile(deparserFaults)
	require.NoError(t, err)
	require.Equal(t, string(listed), faults.String())
	require.Greater(t, same, 900)
}

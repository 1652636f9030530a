package rewrite

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rulesInCode collects the ids that constants named rule..., the list of
// functions, and fields named Rule give.
func rulesInCode(t *testing.T) map[string]bool {
	t.Helper()
	rules := make(map[string]bool)
	for _, s := range parseSections(functionList) {
		if s.header[0] == "refuse" || s.header[0] == "apart" || s.header[0] == "withhold" {
			rules[s.header[1]] = true
		}
	}
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
			id, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			rules[id] = true
		}
	}
	var files []string
	for _, pattern := range []string{"*.go", "../proxy/*.go"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if strings.HasPrefix(name.Name, "rule") && i < len(n.Values) {
						add(n.Values[i])
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Rule" {
					add(n.Value)
				}
			}
			return true
		})
	}
	return rules
}

func TestEveryRuleIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/rules.md")
	require.NoError(t, err)
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| (42501|0A000) \\| \\S.* \\|.*\\|$").FindAllStringSubmatch(string(text), -1) {
		require.NotContains(t, documented, m[1])
		documented = append(documented, m[1])
	}
	var used []string
	for rule := range rulesInCode(t) {
		used = append(used, rule)
	}
	slices.Sort(used)
	slices.Sort(documented)
	require.Equal(t, used, documented)
}

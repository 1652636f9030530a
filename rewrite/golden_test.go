package rewrite

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

// goldenKey is the tenant of the golden cases.
const goldenKey = "1"

// goldenResult writes what became of a golden case:
//
//	the text
//	-- params, keys, checks, how it was proved
func goldenResult(d *datadriven.TestData, r *Rewriter, cat *catalog.Snapshot) (*Result, string) {
	req := Request{SQL: d.Input, Extended: d.Cmd == "extended"}
	for _, arg := range d.CmdArgs {
		if arg.Key != "oids" {
			continue
		}
		for _, val := range arg.Vals {
			oid, err := strconv.ParseUint(val, 10, 32)
			if err != nil {
				return nil, err.Error()
			}
			req.ParamOIDs = append(req.ParamOIDs, uint32(oid))
		}
	}
	result, err := r.Rewrite(req, cat)
	if err != nil {
		return nil, goldenError(err)
	}
	var out []string
	for i := range result.Statements {
		out = append(out, goldenStatement(&result.Statements[i], req.Extended))
	}
	return result, strings.Join(out, "\n")
}

func goldenStatement(s *Statement, extended bool) string {
	out := s.Text.SQL(goldenKey)
	if s.Copy != nil {
		return "-- each row: " + s.Copy.Insert(1)
	}
	var facts []string
	if extended {
		facts = append(facts, fmt.Sprintf("params %d", s.Params))
		for i, k := range s.Keys {
			what := "the key"
			if k.Value != ValueKey {
				what = fmt.Sprintf("value %d", k.Value)
			}
			facts = append(facts, fmt.Sprintf("$%d is %s, type %d", s.Params+i+1, what, k.OID))
		}
	}
	for _, c := range s.Checks {
		switch {
		case c.param > 0:
			facts = append(facts, fmt.Sprintf("$%d is checked", c.param))
		case c.null:
			facts = append(facts, "NULL is checked")
		default:
			facts = append(facts, fmt.Sprintf("%q is checked", c.value))
		}
	}
	if s.Text.unknown {
		facts = append(facts, "deparsed")
	}
	if len(facts) > 0 {
		out += "\n-- " + strings.Join(facts, ", ")
	}
	return out
}

// goldenError writes a refusal: SQLSTATE, rule, message, hint, position.
func goldenError(err error) string {
	switch e := err.(type) { //nolint:errorlint // the type itself is what is tested
	case *SyntaxError:
		return fmt.Sprintf("42601: %s at %d", e.Message, e.Position)
	case *TooComplexError:
		return fmt.Sprintf("54001: %s\nHINT: %s", e.Message, e.Hint)
	case *EncodingError:
		return fmt.Sprintf("22021: %s", e.Message)
	case *UnsupportedError:
		return fmt.Sprintf("0A000 %s: %s at %d\nHINT: %s", e.Rule, e.Error(), e.Position, e.Hint)
	case *ForbiddenError:
		return fmt.Sprintf("42501 %s: %s at %d\nHINT: %s", e.Rule, e.Message, e.Position, e.Hint)
	case *UndefinedTableError:
		return fmt.Sprintf("42P01: %s at %d", e.Error(), e.Position)
	case *DefinitionError:
		problem := map[DefinitionProblem]string{
			UndefinedColumn: "undefined column", DuplicateColumn: "duplicate column", InvalidColumn: "invalid column",
			WrongObjectType: "wrong object type", DuplicateAlias: "duplicate alias", InvalidParameter: "invalid parameter",
			UnsupportedParameter: "unsupported parameter",
		}[e.Problem]
		return fmt.Sprintf("%s: %s\nDETAIL: %s\nHINT: %s", problem, e.Message, e.Detail, e.Hint)
	case *WrongTenantError:
		return fmt.Sprintf("42501: %s", e.Error())
	default:
		return "INTERNAL: " + err.Error()
	}
}

// modes are the directives of golden cases.
func modes(t testing.TB) map[string]*Rewriter {
	confine := newRewriter(t, Config{Confine: true})
	return map[string]*Rewriter{
		"simple":   confine,
		"extended": confine,
		"rls":      newRewriter(t, Config{RequireRowSecurity: false}),
		"plans":    newRewriter(t, Config{Confine: true, Explain: true}),
	}
}

func TestGoldenCasesAreRewritten(t *testing.T) {
	cat, rewriters := shop(), modes(t)
	proved, deparsed := 0, 0
	datadriven.Walk(t, "testdata/rewrite", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			r, ok := rewriters[d.Cmd]
			require.True(t, ok, "%s: unknown directive %s", d.Pos, d.Cmd)
			result, text := goldenResult(d, r, cat)
			require.NotNil(t, result, "%s: refused: %s", d.Pos, text)
			for i := range result.Statements {
				s := &result.Statements[i]
				if s.Copy != nil {
					continue
				}
				if s.Text.unknown {
					deparsed++
				}
				proved++
				if r.config.Confine {
					require.NoError(t, r.Audit(s.Text.SQL(goldenKey), goldenKey, d.Cmd == "extended", cat), d.Pos)
				}
			}
			return text
		})
	})
	t.Logf("%d of %d statements by splice, %d by deparse", proved-deparsed, proved, deparsed)
	require.Less(t, deparsed*20, proved, "the text should nearly always be spliced")
}

func TestGoldenCasesAreRefused(t *testing.T) {
	cat, rewriters := shop(), modes(t)
	datadriven.Walk(t, "testdata/refused", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			r, ok := rewriters[d.Cmd]
			require.True(t, ok, "%s: unknown directive %s", d.Pos, d.Cmd)
			result, text := goldenResult(d, r, cat)
			require.Nil(t, result, "%s: not refused: %s", d.Pos, text)
			return text
		})
	})
}

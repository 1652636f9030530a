package proxy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// An oracleCase is one statement of testdata/oracle, the values of its
// parameters, and where it may be refused instead of answered.
type oracleCase struct {
	name    string // file and number of the line it ends in
	sql     string
	args    [][]byte
	params  bool              // it has parameters: there is no simple protocol for it
	refused map[string]string // SQLSTATE by enforcement
}

// readOracle reads statements: each ends with a line that ends in ';'. Before
// one, a line "--! rewrite both: 0A000" says where it is refused, and how, and
// a line "--? 5, 'x', {1,2}, NULL" gives values of its parameters.
func readOracle(t *testing.T, file string) []oracleCase {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a file of testdata
	require.NoError(t, err)
	var cases []oracleCase
	next := oracleCase{refused: make(map[string]string)}
	var sql strings.Builder
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if note, ok := strings.CutPrefix(line, "--! "); ok {
			where, code, ok := strings.Cut(strings.TrimSpace(note), ": ")
			require.True(t, ok, line)
			for enforce := range strings.FieldsSeq(where) {
				next.refused[enforce] = code
			}
			continue
		}
		if values, ok := strings.CutPrefix(line, "--? "); ok {
			next.args, next.params = readArgs(strings.TrimSpace(values)), true
			continue
		}
		if sql.Len() == 0 && (strings.HasPrefix(line, "-- ") || strings.TrimSpace(line) == "") {
			continue
		}
		sql.WriteString(line)
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			next.name = filepath.Base(file)
			next.sql = strings.TrimSuffix(strings.TrimSpace(sql.String()), ";")
			cases = append(cases, next)
			sql.Reset()
			next = oracleCase{refused: make(map[string]string)}
		}
	}
	require.Empty(t, strings.TrimSpace(sql.String()), "statement without end")
	return cases
}

// readArgs reads values between commas: with quotes, in braces, or as they are.
func readArgs(text string) [][]byte {
	var args [][]byte
	for text != "" {
		var value string
		switch text[0] {
		case '\'':
			value, text, _ = strings.Cut(text[1:], "'")
		case '{':
			value, text, _ = strings.Cut(text, "}")
			value += "}"
		default:
			end := strings.IndexByte(text+",", ',')
			value, text = text[:end], text[end:]
		}
		if value == "NULL" {
			args = append(args, nil)
		} else {
			args = append(args, []byte(value))
		}
		text = strings.TrimLeft(text, ", ")
	}
	return args
}

// ordered reports whether ORDER BY stands outside all parentheses, so that the
// order of rows is part of the answer.
func ordered(sql string) bool {
	depth := 0
	for i := range len(sql) {
		switch sql[i] {
		case '(':
			depth++
		case ')':
			depth--
		case 'O', 'o':
			if depth == 0 && len(sql) >= i+8 && strings.EqualFold(sql[i:i+8], "ORDER BY") {
				return true
			}
		}
	}
	return false
}

// question is the case as it is sent.
func (c oracleCase) question() question {
	q := question{
		sql: c.sql, args: c.args, copies: strings.HasPrefix(c.sql, "COPY"),
		ordered: ordered(c.sql) && !strings.HasPrefix(c.sql, "WITH"),
	}
	for _, word := range []string{"INSERT", "UPDATE ", "DELETE", "MERGE"} {
		q.writes = q.writes || strings.Contains(strings.ToUpper(c.sql), word)
	}
	return q
}

func TestTenantSeesTheDatabaseThatHoldsItsRowsAlone(t *testing.T) {
	t.Parallel() // with others that take long
	c := clinic.New(t, 3)
	for _, database := range []string{c.Policies(), c.Plain()} {
		watch(t, c, database, "1")
	}
	files, err := filepath.Glob("../testdata/oracle/*.sql")
	require.NoError(t, err)
	var cases []oracleCase
	for _, file := range files {
		cases = append(cases, readOracle(t, file)...)
	}
	require.Greater(t, len(cases), 800)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	for _, protocol := range []string{"simple", "extended"} {
		extended := protocol == "extended"
		var wants []answer
		for _, oc := range cases {
			var want answer
			if extended || !oc.params {
				want = ask(t, oracle, oc.question(), extended)
			}
			wants = append(wants, want)
		}
		for _, enforce := range enforcements {
			t.Run(protocol+"/"+enforce.String(), func(t *testing.T) {
				conn := open(t, c, enforce, nil).tenant("1")
				for i, oc := range cases {
					if oc.params && !extended {
						continue
					}
					want, got := wants[i], ask(t, conn, oc.question(), extended)
					if code := oc.refused[enforce.String()]; code != "" {
						if code != got.Code {
							t.Errorf("%s: %s\n want %s\n  got %s %s", oc.name, oc.sql, code, got.Code, got.Message)
						}
						continue
					}
					if !sameAnswer(want, got) {
						want, got = differing(want, got)
						t.Errorf("%s: %s\n want %+v\n  got %+v", oc.name, oc.sql, want, got)
					}
				}
			})
		}
	}
}

// equalOutcome ignores messages: values of other tenants may be left out.
func equalOutcome(a, b pgtest.Outcome) bool {
	return a.Code == b.Code && a.Tag == b.Tag && slices.Equal(a.Columns, b.Columns) &&
		slices.Equal(a.Types, b.Types) && slices.EqualFunc(a.Rows, b.Rows, slices.Equal)
}

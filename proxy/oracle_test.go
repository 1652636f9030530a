package proxy

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// An oracleCase is one statement of testdata/oracle and where it may be
// refused instead of answered.
type oracleCase struct {
	sql     string
	refused map[string]string // SQLSTATE by enforcement
}

// readOracle reads statements: each ends with a line that ends in ';'. A line
// "--! rewrite both: 0A000" before one says where it is refused, and how.
func readOracle(t *testing.T, file string) []oracleCase {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var cases []oracleCase
	var sql strings.Builder
	refused := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if note, ok := strings.CutPrefix(line, "--! "); ok {
			where, code, ok := strings.Cut(strings.TrimSpace(note), ": ")
			require.True(t, ok, line)
			for _, enforce := range strings.Fields(where) {
				refused[enforce] = code
			}
			continue
		}
		if sql.Len() == 0 && (strings.HasPrefix(line, "-- ") || strings.TrimSpace(line) == "") {
			continue
		}
		sql.WriteString(line)
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			cases = append(cases, oracleCase{strings.TrimSuffix(strings.TrimSpace(sql.String()), ";"), refused})
			sql.Reset()
			refused = make(map[string]string)
		}
	}
	require.Empty(t, strings.TrimSpace(sql.String()), "statement without end")
	return cases
}

// outcome runs one statement in a transaction that is rolled back, and returns
// what the client learned from it and what the tables held then.
func outcome(t *testing.T, conn *pgconn.PgConn, sql string, extended bool) (pgtest.Outcome, map[string][][]string) {
	t.Helper()
	pgtest.Must(t, conn, "BEGIN")
	var o pgtest.Outcome
	switch {
	case strings.HasPrefix(sql, "COPY"):
		var data bytes.Buffer
		tag, err := conn.CopyTo(t.Context(), &data, sql)
		o.Tag = tag.String()
		for line := range strings.Lines(data.String()) {
			o.Rows = append(o.Rows, []string{line})
		}
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) {
			o.Code, o.Message = pgErr.Code, pgErr.Message
		}
	case extended:
		o = pgtest.Extended(t, conn, sql)
	default:
		outcomes := pgtest.Simple(t, conn, sql)
		require.Len(t, outcomes, 1, sql)
		o = outcomes[0]
	}
	var tables map[string][][]string
	if o.Code == "" && writes(sql) {
		tables = make(map[string][][]string)
		for _, table := range []string{
			"patients", "practitioners", "appointments", "invoices", "invoice_lines", "notes",
			"documents", "events", "legacy_codes", "settings", "log_lines", `"Order"`, "billing.payments", "feature_flags",
		} {
			rows := pgtest.Must(t, conn, "SELECT * FROM "+table)
			slices.SortFunc(rows, slices.Compare)
			tables[table] = rows
		}
	}
	pgtest.Must(t, conn, "ROLLBACK")
	if !strings.Contains(sql, "ORDER BY") || strings.HasPrefix(sql, "COPY") {
		slices.SortFunc(o.Rows, slices.Compare)
	}
	return o, tables
}

func writes(sql string) bool {
	for _, word := range []string{"INSERT", "UPDATE ", "DELETE", "MERGE"} {
		if strings.Contains(sql, word) && !strings.Contains(sql, "FOR ") {
			return true
		}
	}
	return false
}

func TestTenantSeesTheDatabaseThatHoldsItsRowsAlone(t *testing.T) {
	c := clinic.New(t, 3)
	cases := readOracle(t, "../testdata/oracle/statements.sql")
	require.Greater(t, len(cases), 200)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, nil)
			conn := g.tenant("1")
			for _, protocol := range []string{"simple", "extended"} {
				t.Run(protocol, func(t *testing.T) {
					for _, oc := range cases {
						want, wantTables := outcome(t, oracle, oc.sql, protocol == "extended")
						got, gotTables := outcome(t, conn, oc.sql, protocol == "extended")
						if code := oc.refused[enforce.String()]; code != "" {
							require.Equal(t, code, got.Code, "%s: %s", oc.sql, got.Message)
							continue
						}
						if want.Code != "" {
							want.Message = got.Message // values of other tenants may be left out
						}
						if !equalOutcome(want, got) {
							t.Errorf("%s\n want %+v\n  got %+v", oc.sql, want, got)
						}
						for table, rows := range wantTables {
							if !slices.EqualFunc(rows, gotTables[table], slices.Equal) {
								t.Errorf("%s\n%s\n want %v\n  got %v", oc.sql, table, rows, gotTables[table])
							}
						}
					}
				})
			}
		})
	}
}

func equalOutcome(a, b pgtest.Outcome) bool {
	return a.Code == b.Code && a.Tag == b.Tag && slices.Equal(a.Columns, b.Columns) &&
		slices.Equal(a.Types, b.Types) && slices.EqualFunc(a.Rows, b.Rows, slices.Equal)
}

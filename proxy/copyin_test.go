package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// copyAndRollBack runs COPY FROM STDIN in a transaction block that is rolled back. It
// returns the tag, or the error, and what the query finds then.
func copyAndRollBack(t *testing.T, conn *pgconn.PgConn, sql string, data io.Reader, query string) (outcome string, fault *pgconn.PgError, rows [][]string) {
	t.Helper()
	pgtest.Must(t, conn, "BEGIN")
	tag, err := conn.CopyFrom(t.Context(), data, sql)
	if err != nil {
		require.ErrorAs(t, err, &fault, sql)
	} else {
		rows = pgtest.Must(t, conn, query)
	}
	pgtest.Must(t, conn, "ROLLBACK")
	return tag.String(), fault, rows
}

// copyOutcome is what copyAndRollBack brings: the tag or SQLSTATE, and what the table
// holds then.
func copyOutcome(t *testing.T, conn *pgconn.PgConn, sql, data, table string) (result string, rows [][]string) {
	t.Helper()
	// Small reads: rows are cut at any place.
	result, fault, rows := copyAndRollBack(t, conn, sql, iotestSmall{strings.NewReader(data)}, "SELECT * FROM "+table+" ORDER BY 1, 2, 3")
	if fault != nil {
		result = fault.Code
	}
	return result, rows
}

type iotestSmall struct{ io.Reader }

func (r iotestSmall) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 7)]) }

// binaryCopy makes a stream in the binary format of one int and one text column.
func binaryCopy(rows ...string) string {
	b := append([]byte{}, binarySignature...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	for i, text := range rows {
		b = append(b, 0, 2, 0, 0, 0, 4)
		b = binary.BigEndian.AppendUint32(b, uint32(1000+i))
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	return string(append(b, 255, 255))
}

var copyCases = []struct{ sql, data, table string }{
	{"COPY log_lines (level, line) FROM STDIN", "info\ta line\nwarn\tanother\n", "log_lines"},
	{"COPY log_lines (level, line) FROM STDIN", "info\tno newline at the end", "log_lines"},
	{"COPY log_lines (level, line) FROM STDIN", "a\tb\r\nc\td\r\n", "log_lines"},
	{"COPY log_lines (level, line) FROM STDIN", "esc\t\\\\ \\t \\n \\r \\101 \\x41 \\q \\b\n", "log_lines"},
	{"COPY log_lines (level, line) FROM STDIN", "end\tof data\n\\.\nignored\n", "log_lines"},
	{"COPY log_lines (level, line) FROM STDIN", "", "log_lines"},
	{"COPY log_lines (level, line) FROM STDIN", "two\t\\\nlines\n", "log_lines"},
	{"COPY log_lines (level, line) FROM STDIN", "too few\n", "log_lines"},
	{"COPY log_lines (level, line) FROM STDIN", "too\tmany\tfields\n", "log_lines"},
	{"COPY log_lines (level, line) FROM STDIN", "null\t\\N\n", "log_lines"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "N1\t\\N\nN2\t\n", "legacy_codes"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (NULL 'nil', DELIMITER '|')", "N1|nil\nN2|x|\n", "legacy_codes"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (NULL 'nil', DELIMITER '|')", "N1|nil\nN2|x\\|y\n", "legacy_codes"},
	{"COPY legacy_codes (meaning, code) FROM STDIN CSV", "\"quoted, \"\"twice\"\"\",C90\n,C91\n\"\",C92\n\"two\nlines\",C93\n", "legacy_codes"},
	{"COPY legacy_codes (code, meaning) FROM STDIN WITH CSV HEADER", "any,header\nC90,x\n", "legacy_codes"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (FORMAT csv, HEADER match)", "code,meaning\nC90,x\n", "legacy_codes"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (FORMAT csv, HEADER match)", "code,other\nC90,x\n", "legacy_codes"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (FORMAT csv, QUOTE '''', ESCAPE '\\', DELIMITER ';')", "C90;'it\\'s'\nC91;pl'ai'n\n", "legacy_codes"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (FORMAT csv, NULL 'nil', FORCE_NULL (meaning))", "C90,nil\nC91,\"nil\"\n", "legacy_codes"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (FORMAT csv, NULL 'nil', FORCE_NOT_NULL (meaning))", "C90,nil\nC91,\"nil\"\n", "legacy_codes"},
	{"COPY legacy_codes (code, meaning) FROM STDIN CSV", "C90,\"open\n", "legacy_codes"},
	{"COPY patients (id, name, tags, balance) FROM STDIN", "500\tNew\t{a,\"b c\"}\t1.5\n501\tNewer\t{}\t-2\n", "patients"},
	{"COPY patients (id, name) FROM STDIN", "one\tbad number\n", "patients"},
	{"COPY patients (id, name) FROM STDIN", "1\ttwice\n", "patients"},
	{"COPY patients (id, name, country) FROM STDIN", "500\tnowhere\tXX\n", "patients"},
	{"COPY patients (id, name, email) FROM STDIN", "500\tbad\tnonsense\n", "patients"},
	{"COPY patients (id, name) FROM STDIN (FORMAT binary)", binaryCopy("a", "b"), "patients"},
	{"COPY patients (id, name) FROM STDIN BINARY", "nonsense, and some more of it", "patients"},
	{"COPY patients (tenant_id, id, name) FROM STDIN", "1\t500\town key\n", "patients"},
	{"COPY patients FROM STDIN", "1\t500\tall columns\t2000-01-01\ta@b.org\tDE\t1\t{}\n", "patients"},
	{"COPY settings FROM STDIN", "colour\t1\tblue\n", "settings"},
	{"COPY invoices (id, number, patient_id, issued, net) FROM STDIN", "900\tn1\t1\t2026-01-01\t5\n", "invoices"},
	{"COPY invoices (number, patient_id, issued, net, gross) FROM STDIN", "n1\t1\t2026-01-01\t5\t6\n", "invoices"},
	{"COPY events (id, at, kind) FROM STDIN", "900\t2026-02-03\tx\n901\t2030-02-03\ty\n", "events"},
	{"COPY \"Order\" (\"Id\", \"user\") FROM STDIN", "90\tu\n", `"Order"`},
	{"COPY billing.payments (id, received, amount) FROM STDIN", "90\t2026-01-01\t5\n", "billing.payments"},
	{"COPY appointments (id, patient_id, starts, room) FROM STDIN", "900\t1\t2026-01-01\ttoo long for the column\n", "appointments"},
}

func TestCopyFromHasTheOutcomeOfADatabaseOfOneTenant(t *testing.T) {
	c := clinic.New(t, 2)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			conn := open(t, c, enforce, poolOf(1)).tenant("1")
			for _, cc := range copyCases {
				want, wantRows := copyOutcome(t, oracle, cc.sql, cc.data, cc.table)
				got, gotRows := copyOutcome(t, conn, cc.sql, cc.data, cc.table)
				require.Equal(t, want, got, "%s\n%s", cc.sql, cc.data)
				require.Equal(t, wantRows, gotRows, "%s\n%s", cc.sql, cc.data)
			}
		})
	}
}

func TestCopyFromCannotWriteAnotherTenantsKey(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn := g.tenant("1")
			for _, data := range []string{"2\t500\tx\n", "1\t500\tx\n2\t501\ty\n", "\\N\t500\tx\n"} {
				result, _ := copyOutcome(t, conn, "COPY patients (tenant_id, id, name) FROM STDIN", data, "patients")
				require.Equal(t, "42501", result, data)
			}
			for sql, code := range map[string]string{
				"COPY countries FROM STDIN":                              "42501",
				"COPY audit_log FROM STDIN":                              "42501",
				"COPY nosuch FROM STDIN":                                 "42P01",
				"COPY pg_class FROM STDIN":                               "42501",
				"COPY patients (id, name) FROM STDIN (ENCODING 'SJIS')":  "0A000",
				"COPY patients (id, name) FROM STDIN (FREEZE)":           "0A000",
				"COPY patients (id, name) FROM STDIN WHERE id > 3":       "0A000",
				"COPY patients (id, nosuch) FROM STDIN":                  "42703",
				"COPY patients (id, id) FROM STDIN":                      "42701",
				"COPY patients (id, name) FROM STDIN; SELECT 1":          "0A000",
				"COPY patients (id, name) FROM '/etc/passwd'":            "42501",
				"COPY patients (id, name) FROM PROGRAM 'cat /etc/hosts'": "42501",
			} {
				_, err := conn.CopyFrom(t.Context(), strings.NewReader("1\tx\n"), sql)
				require.Equal(t, code, sqlState(t, err), sql)
			}
			pgtest.Must(t, conn, "SELECT count(*) FROM patients")
		})
	}
}

func TestCopyFromOutsideATransactionIsAllOrNothing(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn := g.tenant("1")
			var data bytes.Buffer
			for i := range 5000 {
				fmt.Fprintf(&data, "bulk\t%s row %d\n", clinic.Mark("1"), i)
			}
			bad := data.String() + "bulk\n"
			_, err := conn.CopyFrom(t.Context(), strings.NewReader(bad), "COPY log_lines (level, line) FROM STDIN")
			require.Equal(t, "22P04", sqlState(t, err))
			require.Equal(t, [][]string{{"0"}}, pgtest.Must(t, conn, "SELECT count(*) FROM log_lines WHERE level = 'bulk'"))
			tag, err := conn.CopyFrom(t.Context(), &data, "COPY log_lines (level, line) FROM STDIN")
			require.NoError(t, err)
			require.Equal(t, "COPY 5000", tag.String())
			require.Equal(t, [][]string{{"5000"}}, pgtest.Must(t, conn, "SELECT count(DISTINCT line) FROM log_lines WHERE level = 'bulk'"))
			pgtest.Must(t, conn, "DELETE FROM log_lines WHERE level = 'bulk'")
			_, err = conn.CopyFrom(t.Context(), failing{}, "COPY log_lines (level, line) FROM STDIN")
			require.Error(t, err) // the client sent CopyFail
			require.False(t, conn.IsClosed())
			pgtest.Must(t, conn, "SELECT 1")
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk is gone") }

// Rows that bring their tenant's key are held against it in every format.
func TestKeysInAStreamAreThoseOfTheTenant(t *testing.T) {
	c := clinic.New(t, 2)
	binaryRow := func(tenant uint32) string {
		return strings.ReplaceAll(binaryCopy("x"), "\x00\x02\x00\x00\x00\x04", "\x00\x03\x00\x00\x00\x04"+
			string(binary.BigEndian.AppendUint32(nil, tenant))+"\x00\x00\x00\x04")
	}
	for _, enforce := range enforcements {
		conn := open(t, c, enforce, poolOf(1)).tenant("2")
		for _, tc := range []struct{ columns, own, others string }{
			{"(tenant_id, id, name)", "2\t1000\tx\n", "1\t1000\tx\n"},
			{"(tenant_id, id, name)", " 02 \t1000\tx\n", `\N` + "\t1000\tx\n"},
			{"(id, tenant_id, name) FROM STDIN CSV", "1000,2,x\n", "1000,1,x\n"},
			{"(name, id, tenant_id)", "x\t1000\t+2\n", "x\t1000\t3\n"},
			{"(tenant_id, id, name) FROM STDIN BINARY", binaryRow(2), binaryRow(1)},
		} {
			sql := "COPY patients " + tc.columns
			if !strings.Contains(sql, "FROM") {
				sql += " FROM STDIN"
			}
			outcome, rows := copyOutcome(t, conn, sql, tc.own, "patients")
			require.Equal(t, "COPY 1", outcome, "%s: %s %q", enforce, sql, tc.own)
			require.Equal(t, []string{"2", "1000", "x"}, rows[len(rows)-1][:3], sql)
			outcome, _ = copyOutcome(t, conn, sql, tc.others, "patients")
			require.Equal(t, "42501", outcome, "%s: %s %q", enforce, sql, tc.others)
		}
		var data strings.Builder
		for i := range 2*arrayRows + 100 {
			fmt.Fprintf(&data, "2\t%d\tx\n", 1000+i)
		}
		const sql = "COPY patients (tenant_id, id, name) FROM STDIN"
		outcome, _ := copyOutcome(t, conn, sql, data.String(), "patients")
		require.Equal(t, fmt.Sprint("COPY ", 2*arrayRows+100), outcome, enforce)
		outcome, _ = copyOutcome(t, conn, sql, data.String()+"1\t999\tx\n", "patients")
		require.Equal(t, "42501", outcome, enforce)
	}
}

func TestPgxCopiesInBinary(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn, err := pgx.Connect(t.Context(), g.url("tenant2"))
			require.NoError(t, err)
			defer func() { _ = conn.Close(t.Context()) }()
			var rows [][]any
			for i := range 300 {
				rows = append(rows, []any{1000 + i, fmt.Sprintf("patient %d", i), []string{"x", "y"}})
			}
			n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"patients"}, []string{"id", "name", "tags"}, pgx.CopyFromRows(rows))
			require.NoError(t, err)
			require.EqualValues(t, 300, n)
			tag, err := conn.Exec(t.Context(), "DELETE FROM patients WHERE tags = '{x,y}'")
			require.NoError(t, err)
			require.EqualValues(t, 300, tag.RowsAffected())
		})
	}
}

func TestRowsGoInByCopyWhereNoPoliciesAre(t *testing.T) {
	c := clinic.New(t, 1)
	const text, insert = "COPY public.patients (id, name, born, tenant_id) FROM STDIN", "INSERT INTO public.patients"
	for enforce, want := range map[Enforcement][2]string{
		Rewrite: {text + " (FORMAT binary)", text},
		Both:    {insert, insert},
	} {
		g := open(t, c, enforce, poolOf(1))
		conn := g.tenant("1")
		for i, born := range []string{"2000-02-03", "infinity"} {
			_, err := conn.CopyFrom(t.Context(), strings.NewReader("700\tx\\\\\\ty\t"+born+"\r\n"), "COPY patients (id, name, born) FROM STDIN")
			require.NoError(t, err)
			last := lastQuery(t, c, g)
			require.True(t, last == want[i] || want[i] == insert && strings.HasPrefix(last, insert), last)
			require.Equal(t, [][]string{{"x\\\ty", born}}, pgtest.Must(t, conn, "DELETE FROM patients WHERE id = 700 RETURNING name, born"))
		}
	}
}

// lastQuery is what the server ran last for tenants of a gate.
func lastQuery(t *testing.T, c *clinic.Clinic, g *gate) string {
	t.Helper()
	return pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL(g.database)),
		"SELECT query FROM pg_stat_activity WHERE usename = '"+clinic.Role+"' AND datname = current_database() ORDER BY query_start DESC LIMIT 1")[0][0]
}

// The key goes in with the rows where the column's default is the key, and is
// left to the default where that is another, or the role may not write it.
func TestRowsOfCopyHaveTheirTenantsKey(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		c := clinic.New(t, 2)
		change := poolOf(1)
		if sealed {
			seal(t, c, c.Policies())
			change = withSeal
		}
		owner := pgtest.Connect(t, c.OwnerURL(c.Policies()))
		for _, tc := range []struct{ ddl, into, outcome string }{
			{"", "(tenant_id, id, name)", "COPY 1"},
			{"REVOKE INSERT ON patients FROM " + clinic.Role + "; GRANT INSERT (id, name) ON patients TO " + clinic.Role, "(id, name)", "COPY 1"},
			{"GRANT INSERT ON patients TO " + clinic.Role + "; ALTER TABLE patients ALTER tenant_id SET DEFAULT 1", "(id, name)", "42501"},
			{"ALTER TABLE patients ALTER tenant_id DROP DEFAULT", "(id, name)", "42501"},
		} {
			if tc.ddl != "" {
				pgtest.Must(t, owner, tc.ddl)
			}
			g := open(t, c, RLS, change)
			conn := g.tenant("2")
			outcome, rows := copyOutcome(t, conn, "COPY patients (id, name) FROM STDIN", "700\tx\n", "patients")
			require.Equal(t, tc.outcome, outcome, tc.ddl)
			if rows != nil {
				require.Equal(t, []string{"2", "700", "x"}, rows[len(rows)-1][:3], tc.ddl)
				_, err := conn.CopyFrom(t.Context(), strings.NewReader("700\tx\n"), "COPY patients (id, name) FROM STDIN")
				require.NoError(t, err)
				require.Contains(t, lastQuery(t, c, g), tc.into+" OVERRIDING", tc.ddl)
				pgtest.Must(t, conn, "DELETE FROM patients WHERE id = 700")
			}
		}
	}
}

func TestFirstFaultOfACopyIsTold(t *testing.T) {
	c := clinic.New(t, 2)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	for _, enforce := range enforcements {
		conn := open(t, c, enforce, poolOf(1)).tenant("1")
		for _, data := range []string{
			"1\t500\tx\n1\tone\tbad number\n1\n",
			"1\t500\tx\n1\n1\tone\tbad number\n",
		} {
			want, _ := copyOutcome(t, oracle, "COPY patients (tenant_id, id, name) FROM STDIN", data, "patients")
			got, _ := copyOutcome(t, conn, "COPY patients (tenant_id, id, name) FROM STDIN", data, "patients")
			require.Equal(t, want, got, "%s %s", enforce, data)
		}
		pgtest.Must(t, conn, "SELECT 1")
	}
}

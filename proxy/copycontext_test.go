package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// manyLines are rows of legacy_codes, so many, and then some more text.
func manyLines(rows int, end, more string) string {
	var data strings.Builder
	for i := range rows {
		fmt.Fprintf(&data, "L%d\tx%s", i, end)
	}
	return data.String() + more
}

// faultyCopies are streams with a fault in a line.
var faultyCopies = []struct{ sql, data string }{
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1\tx\nA2\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1\tx\nA2\ty\tz\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1\tx\nA2"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1\tx\r\nA2\ty\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1\tx\nA2\ty\r\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1\t\\\nx\nA2\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1\tx\nA2\t\\xff\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1\tx\nA2\t\xff\nA3\ty\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1\tx\n\\.y\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", manyLines(2500, "\n", "A2\n")},
	{"COPY legacy_codes (code, meaning) FROM STDIN", manyLines(2500, "\r\n", "A2\n")},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1" + strings.Repeat("x", 97) + "é" + "\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1" + strings.Repeat("x", 98) + "é" + "\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN", "A1" + strings.Repeat("x", 98) + "\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (HEADER)", "code\tmeaning\nA2\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (HEADER match)", "code\tother\nA2\tx\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (HEADER match)", "code\nA2\tx\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN (HEADER match)", ""},
	{"COPY legacy_codes (code, meaning) FROM STDIN CSV", "A1,x\nA2\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN CSV", "A1,\"x\ny\"\nA3,\"x\ny\nz\"\nA4\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN CSV", "A1,x\nA3,\"x\r\ny\"\nA4,z,\"z\nz\"\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN CSV", "A1,\"x\r\ny\"\r\nA3,\"x\r\ny\"\r\nA4\r\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN CSV", "A1,x\rA3,\"x\ry\"\rA4\r"},
	{"COPY legacy_codes (code, meaning) FROM STDIN CSV", "A1,x\nA2,\"y\n\nz\n"},
	{"COPY legacy_codes (code, meaning) FROM STDIN CSV HEADER", "code,meaning\nA1,\"x\ny\"\nA2\n"},
	{"COPY patients (id, name) FROM STDIN", "900\tx\n901\n"},
	{"COPY patients (id, name) FROM STDIN", "900\tx\none\ty\n"},
	{"COPY patients (id, name) FROM STDIN", "900\tx\n901\t\\N\n902\tz\n"},
	{"COPY patients (id, name) FROM STDIN", "900\tx\n99999999999\ty\n"},
	{"COPY patients (id, name) FROM STDIN CSV HEADER", "id,name\n900,\"x\ny\"\n901,\"\n\n\"\none,y\n"},
	{"COPY patients (id, name) FROM STDIN CSV", "900,\"x\ny\"\n901,\"\n\n\"\n901,y\n"},
	{"COPY patients (id, name) FROM STDIN CSV", "900,\"x\ny\"\n\"one\nmore\",y\n"},
	{"COPY patients (id, name, born) FROM STDIN", "900\tx\t2026-01-01\n901\ty\t2026-02-30\n"},
	{"COPY patients (id, name) FROM STDIN BINARY", binaryCopy("a", "b") + "more"},
	{"COPY patients (id, name) FROM STDIN BINARY", strings.TrimSuffix(binaryCopy("a", "b"), "\xff\xff") + "\x00\x03"},
	{"COPY patients (id, name) FROM STDIN BINARY", "nonsense, and some more of it"},
}

// faultOf is the error of a COPY.
func faultOf(t *testing.T, conn *pgconn.PgConn, sql, data string) (fault *pgconn.PgError) {
	t.Helper()
	_, err := conn.CopyFrom(t.Context(), strings.NewReader(data), sql)
	require.ErrorAs(t, err, &fault, "%s\n%s", sql, data)
	return fault
}

// Errors of COPY FROM tell the line. Of rows that go in together the server finds
// one in error, and nobody knows which: then the lines are told that they are on.
func TestErrorsOfACopyTellTheLine(t *testing.T) {
	c := clinic.New(t, 1)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	for _, enforce := range enforcements {
		conn := open(t, c, enforce, poolOf(1)).tenant("1")
		for _, cc := range faultyCopies {
			want, got := faultOf(t, oracle, cc.sql, cc.data), faultOf(t, conn, cc.sql, cc.data)
			what := fmt.Sprintf("%s: %s\n%.300q\n%s\n%s", enforce, cc.sql, cc.data, want.Where, got.Where)
			require.Equal(t, want.Code, got.Code, what)
			if want.Code == "22P04" || want.Code == "22021" { // the proxy finds it, too
				require.Equal(t, want.Where, got.Where, what)
				continue
			}
			var table string
			var line, first, last int
			_, err := fmt.Sscanf(want.Where, "COPY %s line %d", &table, &line)
			require.NoError(t, err, what)
			if n, _ := fmt.Sscanf(got.Where, "COPY %s lines %d to %d", &table, &first, &last); n < 3 {
				require.True(t, strings.HasPrefix(want.Where, got.Where), what)
				require.Contains(t, got.Where, fmt.Sprint(" line ", line), what)
				continue
			}
			require.NotEqual(t, Rewrite, enforce, what)
			require.True(t, first <= line && line <= last && first < last, what)
		}
	}
}

// What triggers say has its own context before that, and shows no line of the
// proxy's. Where rows go in by COPY, what runs behind all of them is about no line.
func TestContextOfTriggersOfACopy(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		owner := pgtest.Connect(t, c.OwnerURL(g.database))
		cfg, err := pgconn.ParseConfig(g.url("tenant1"))
		require.NoError(t, err)
		var notices []string
		cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Where) }
		conn, err := pgconn.ConnectConfig(t.Context(), cfg)
		require.NoError(t, err)
		const function, line = "PL/pgSQL function told() line 1 at RAISE", "\nCOPY patients, line 3"
		for when, where := range map[string]string{"BEFORE INSERT ON patients FOR EACH ROW": function + line, "AFTER INSERT ON patients FOR EACH STATEMENT": function} {
			if enforce != Rewrite {
				where = function + line
			}
			notices = nil
			pgtest.Must(t, owner, `
				CREATE OR REPLACE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'here'; RAISE 'never'; END$$;
				CREATE OR REPLACE TRIGGER told `+when+" EXECUTE FUNCTION told()")
			fault := faultOf(t, conn, "COPY patients (id, name) FROM STDIN CSV HEADER", "x,y\n900,\"x\ny\"\n")
			require.Equal(t, "never", fault.Message, enforce)
			require.Equal(t, where, fault.Where, enforce)
			require.Equal(t, []string{where}, notices, enforce)
		}
		require.NoError(t, conn.Close(t.Context()))
	}
}

// Rows that are far apart from their lines are told as well as others, but for
// those long past.
func TestLinesOfRows(t *testing.T) {
	t.Parallel()
	var m lineMap
	lines := []int{0}
	for row := 1; row <= 3*keptBends; row++ {
		lines = append(lines, lines[row-1]+1+row%3)
		m.add(row, lines[row])
	}
	require.LessOrEqual(t, len(m.bends), keptBends)
	require.Zero(t, m.line(1))
	for row := len(lines) - keptBends/2; row < len(lines); row++ {
		require.Equal(t, lines[row], m.line(row))
	}
}

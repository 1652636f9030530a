package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// copyTypes makes types of all kinds that a column may have.
const copyTypes = `
	CREATE TYPE mood AS ENUM ('', 'glad, very', '"{sad}"');
	CREATE DOMAIN code AS varchar(5) CHECK (VALUE <> 'wrong');
	CREATE TYPE pair AS (a int, b text);
	CREATE DOMAIN pairs AS pair[];
	CREATE TYPE span AS RANGE (subtype = int)`

// copiedTypes are column types, each with values in the text format of COPY.
// The last ones are at fault.
var copiedTypes = []struct {
	name   string
	values []string
	faults []string
}{
	{"int", []string{"1", " -2 ", `\N`}, []string{"", "x", "99999999999", "1 2", "{1}"}},
	{"bigint", []string{"9223372036854775807", `\N`}, []string{"9223372036854775808"}},
	{"numeric(5,2)", []string{"1.005", "-999.99", "NaN", `\N`}, []string{"1000", "1,5"}},
	{"real", []string{"1.5", "0.1", "1e-40", "NaN", `\N`}, []string{"1e40", "one"}},
	{"text", []string{"", `a,b "c" {d} \\ \t \n`, "NULL", "null", `\N`, `\\N`, "ä€😀", " x "}, nil},
	{"varchar(3)", []string{"abc", "ab ", "abc   ", `"\\"`, `\N`}, []string{"abcd", "äöüß"}},
	{"char(3)", []string{"a", "abc  ", "", "NULL", `\N`}, []string{"abcd"}},
	{`"char"`, []string{"a", "", ",", `\N`}, nil},
	{"name", []string{"a name", "NULL", `\N`}, nil},
	{"bool", []string{"t", "off", `\N`}, []string{"maybe"}},
	{"bytea", []string{`\\x00ff`, `\\000`, "", `\N`}, []string{`\\x0`}},
	{"bit(3)", []string{"101", `\N`}, []string{"10", "1011"}},
	{"varbit(3)", []string{"1", "", `\N`}, []string{"1111"}},
	{"date", []string{"2026-02-03", "infinity", `\N`}, []string{"2026-02-30", ""}},
	{"timestamptz(0)", []string{"2026-02-03 04:05:06.7+08", `\N`}, []string{"soon"}},
	{"interval", []string{"1 day 2:03", `\N`}, []string{"x"}},
	{"json", []string{`{"a": [1, "\\"\\\\"]}`, `\N`}, []string{"{", `{"a" 1}`}},
	{"jsonb", []string{`{"a": [1, "\\"\\\\"]}`, `"NULL"`, `\N`}, []string{"{"}},
	{"uuid", []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", `\N`}, []string{"a0"}},
	{"inet", []string{"10.0.0.1/8", `\N`}, []string{"10.0.0.256"}},
	{"point", []string{"(1,2)", `\N`}, []string{"1"}},
	{"box", []string{"(1,2),(3,4)", `\N`}, []string{"(1,2)"}},
	{"int4range", []string{"[1,5)", "empty", "(,)", `\N`}, []string{"[5,1)"}},
	{"tsvector", []string{"'a':1 'b,c':2", `\N`}, nil},
	{"xml", []string{`<a b="c,d"/>`, `\N`}, []string{"<a>"}},
	{"int[]", []string{"{1,NULL,3}", "{}", "{{1,2},{3,4}}", "[2:3]={1,2}", `\N`}, []string{"{1", "{x}"}},
	{"text[]", []string{`{a,"b \\"c,d",NULL}`, `\N`}, []string{"a"}},
	{"varchar(2)[]", []string{"{ab,c}", `\N`}, []string{"{abc}"}},
	{"mood", []string{"", "glad, very", `"{sad}"`, `\N`}, []string{"angry"}},
	{"mood[]", []string{`{"glad, very",""}`, `\N`}, []string{"{angry}"}},
	{"code", []string{"abcde", "", `\N`}, []string{"abcdef", "wrong"}},
	{"pair", []string{`(1,"a, ""b""")`, "(,)", `\N`}, []string{"(1)", "(x,y)"}},
	{"pairs", []string{`{"(1,a)","(2,)"}`, "{}", `\N`}, []string{"{(1)}"}},
	{"span", []string{"[1,5)", `\N`}, []string{"[5,1)"}},
}

// copied copies data into the table, outside a transaction, and returns the tag
// or the error, and what the table holds then.
func copied(t *testing.T, conn *pgconn.PgConn, sql, data string) (outcome string, rows [][]string) {
	t.Helper()
	pgtest.Must(t, conn, "DELETE FROM typed")
	tag, err := conn.CopyFrom(t.Context(), strings.NewReader(data), sql)
	outcome = tag.String()
	if err != nil {
		outcome = sqlState(t, err)
	}
	return outcome, pgtest.Must(t, conn, "SELECT * FROM typed ORDER BY id")
}

func TestColumnsOfAnyTypeAreCopiedIn(t *testing.T) {
	c := clinic.New(t, 1)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(c.Oracle(t, "1"))), copyTypes)
	pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(c.Policies())), copyTypes)
	var gates []*pgconn.PgConn
	for _, enforce := range []Enforcement{RLS, Both} {
		gates = append(gates, open(t, c, enforce, tempTables(1)).tenant("1"))
	}
	same := func(sql, data string) {
		t.Helper()
		want, wantRows := copied(t, oracle, sql, data)
		for _, conn := range gates {
			got, gotRows := copied(t, conn, sql, data)
			require.Equal(t, want, got, "%s\n%s", sql, data)
			require.Equal(t, wantRows, gotRows, "%s\n%s", sql, data)
		}
	}
	for _, typ := range copiedTypes {
		for _, conn := range append(gates, oracle) {
			pgtest.Must(t, conn, "CREATE TEMP TABLE typed (id int, v "+typ.name+", w "+typ.name+")")
		}
		var data strings.Builder
		for i, v := range typ.values {
			fmt.Fprintf(&data, "%d\t%s\t%s\n", i, v, typ.values[len(typ.values)-1-i])
		}
		const from = "COPY typed FROM STDIN"
		same(from, data.String())
		for _, v := range typ.faults {
			same(from, data.String()+"1000\t"+v+"\t\\N\n")
		}
		copied(t, oracle, from, data.String())
		for _, options := range []string{" (FORMAT csv, NULL 'nil')", " (FORMAT binary)"} {
			same(from+options, string(copyTo(t, oracle, "COPY typed TO STDOUT"+options)))
		}
		for _, conn := range append(gates, oracle) {
			pgtest.Must(t, conn, "DROP TABLE typed")
		}
	}
}

// The server knows the types of today, the catalog perhaps those of yesterday.
func TestColumnsWhoseTypeHasChangedAreCopiedIn(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		conn := g.tenant("1")
		const sql = "COPY log_lines (level, line) FROM STDIN"
		owner := pgtest.Connect(t, c.OwnerURL(g.database))
		pgtest.Must(t, owner, "TRUNCATE log_lines; ALTER TABLE log_lines ALTER level TYPE date USING NULL")
		_, err := conn.CopyFrom(t.Context(), strings.NewReader("2026-02-03\tbehind\n"), sql)
		require.NoError(t, err)
		require.Equal(t, [][]string{{"2026-02-03", "behind"}}, pgtest.Must(t, conn, "SELECT level, line FROM log_lines"))
		pgtest.Must(t, owner, "ALTER TABLE log_lines ALTER level TYPE text")
	}
}

// Batches end at a number of rows and of bytes; a row may be longer than one.
func TestRowsOfAnySizeAreCopiedIn(t *testing.T) {
	c := clinic.New(t, 1)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	var data strings.Builder
	id := 10_000
	for _, size := range []int{0, 1, 10, 5_000, copyBatchBytes - 20, copyBatchBytes, 3 * copyBatchBytes, 10} {
		for range min(3*arrayRows+7, 4*copyBatchBytes/(size+1)+1) {
			id++
			fmt.Fprintf(&data, "%d\t%s\n", id, strings.Repeat("x", size))
		}
	}
	const sql, sum = "COPY patients (id, name) FROM STDIN", "SELECT count(*), sum(id), sum(length(name)) FROM patients"
	tag, err := oracle.CopyFrom(t.Context(), strings.NewReader(data.String()), sql)
	require.NoError(t, err)
	want := pgtest.Must(t, oracle, sum)
	for _, enforce := range enforcements {
		conn := open(t, c, enforce, poolOf(1)).tenant("1")
		for _, size := range []int{10_000, data.Len()} { // many messages, and one for all
			got, _ := copiedWhole(t, conn, sql, slices.Collect(slices.Chunk([]byte(data.String()), size))...)
			require.Equal(t, tag.String(), got)
			require.Equal(t, want, pgtest.Must(t, conn, sum))
			pgtest.Must(t, conn, "DELETE FROM patients WHERE id > 10000")
		}
	}
}

// What triggers say of the rows a client hears, more of it than lies between the
// server and the client.
func TestNoticesOfACopyAreTold(t *testing.T) {
	c := clinic.New(t, 1)
	const rows = 20_000
	pieces := slices.Repeat([][]byte{[]byte(strings.Repeat("1\tx\n", 100))}, rows/100)
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(g.database)), `
			CREATE OR REPLACE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING '%', repeat('x', 400); RETURN NULL; END$$;
			CREATE OR REPLACE TRIGGER told BEFORE INSERT ON patients FOR EACH ROW EXECUTE FUNCTION told()`)
		tag, notices := copiedWhole(t, g.tenant("1"), "COPY patients (id, name) FROM STDIN", pieces...)
		require.Equal(t, "COPY 0", tag, enforce)
		require.Equal(t, rows, notices, enforce)
	}
}

// A client hears what is wrong with its rows though it sends no more of them.
func TestFaultOfACopyIsToldBeforeItGoesOn(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			w := dialWire(t, open(t, c, enforce, poolOf(1)).url("tenant1"))
			w.run(wireScript{lines: []string{`> Query "COPY patients (id, name) FROM STDIN"`}})
			var rows []byte
			for i := 0; len(rows) < 2*copyBatchBytes; i++ {
				rows = fmt.Appendf(rows, "%d\tname\n", 1000+i%3000) // the same number twice
			}
			_, err := w.conn.Write(appendMessage(nil, 'd', rows))
			require.NoError(t, err)
			record := w.run(wireScript{lines: []string{"< 2"}})
			require.Contains(t, record[len(record)-2], "23505")
			require.Contains(t, record[len(record)-1], "ReadyForQuery")
		})
	}
}

// Rows are on their way to the server when it finds a fault in those before,
// more of them than the socket takes.
func TestRowsBehindAFaultAreLost(t *testing.T) {
	c := clinic.New(t, 1)
	var faulty, more []byte
	for i := range 2000 {
		faulty = fmt.Appendf(faulty, "%d\t%0100d\n", 20_000+i%1000, i) // each number is there twice
	}
	for i := range 40 {
		more = fmt.Appendf(more, "%d\t%s\n", 30_000+i, strings.Repeat("y", copyBatchBytes-20))
	}
	for _, enforce := range enforcements {
		conn := open(t, c, enforce, poolOf(1)).tenant("1")
		before := pgtest.Must(t, conn, "SELECT count(*) FROM patients")
		for range 3 {
			got, _ := copiedWhole(t, conn, "COPY patients (id, name) FROM STDIN", faulty, more)
			require.Equal(t, "23505", got)
			require.Equal(t, before, pgtest.Must(t, conn, "SELECT count(*) FROM patients"))
		}
	}
}

// copiedWhole copies data in messages as long as its pieces, and returns the tag
// or the SQLSTATE, and how many notices came.
func copiedWhole(t *testing.T, conn *pgconn.PgConn, sql string, pieces ...[]byte) (outcome string, notices int) {
	t.Helper()
	f := conn.Frontend()
	f.Send(&pgproto3.Query{String: sql})
	for _, piece := range pieces {
		f.Send(&pgproto3.CopyData{Data: piece})
	}
	f.Send(&pgproto3.CopyDone{})
	sent := make(chan error, 1)
	go func() { sent <- f.Flush() }()
	for {
		msg, err := f.Receive()
		require.NoError(t, err)
		switch msg := msg.(type) {
		case *pgproto3.NoticeResponse:
			notices++
		case *pgproto3.CommandComplete:
			outcome = string(msg.CommandTag)
		case *pgproto3.ErrorResponse:
			outcome = msg.Code
		case *pgproto3.ReadyForQuery:
			require.NoError(t, <-sent)
			return outcome, notices
		}
	}
}

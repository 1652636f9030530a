package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/pool"
	"tenantgate/rewrite"
)

// textSamples are values of the types with a textForm, as SQL.
var textSamples = map[uint32][]string{
	16: {"VALUES (true), (false), (NULL)"},
	20: {"VALUES (0), (-1), (9223372036854775807), (-9223372036854775808)", "SELECT (random() * 1e15)::bigint - 500000000000000 FROM generate_series(1, 500)"},
	21: {"SELECT generate_series(-32768, 32767, 7)", "VALUES (32767)"},
	23: {"VALUES (0), (-1), (2147483647), (-2147483648)", "SELECT (random() * 4e9 - 2e9)::int FROM generate_series(1, 500)"},
	25: {
		`VALUES (''), ('a'), ('\N'), ('\.'), (' x '), ('ä€😀'), (NULL), ('a	b')`,
		"SELECT chr(i) || repeat('x', j) || chr(i) || chr(i) || 'y' FROM generate_series(1, 300) i, generate_series(0, 9) j",
		"SELECT repeat('x', i) || chr(92) || repeat('y', 20 - i) FROM generate_series(0, 20) i",
		"SELECT repeat(md5(i::text), 60) FROM generate_series(1, 20) i",
	},
	oidJSON:    {`VALUES ('{"a": "\\ \n \t"}'), (' [1, 2]	'), ('"ä"'), (NULL)`},
	oidChar:    {"VALUES (''), ('a'), (E'\\t'), ('abcdefghij'), (NULL)"},
	oidVarchar: {"VALUES (''), ('a'), (E'\\r\\n\\b\\v\\f\\x01\\x1f\\x7f'), (NULL)"},
	1082: {
		"VALUES ('infinity'), ('-infinity'), ('4713-01-01 BC'), ('0001-12-31 BC'), ('0001-01-01'), ('0002-01-01 BC'), ('5874897-12-31'), ('9999-12-31'), ('10000-01-01'), (NULL)",
		"SELECT '4713-01-01 BC'::date + i * 97 FROM generate_series(0, 40000) i",
		"SELECT '1999-11-01'::date + i FROM generate_series(0, 1000) i",
	},
	1114: {
		"VALUES ('infinity'), ('-infinity'), ('4713-01-01 00:00:00 BC'), ('0001-12-31 23:59:59.999999 BC'), ('0001-01-01'), ('294276-12-31 23:59:59.999999'), ('1999-12-31 23:59:59.9'), (NULL)",
		"SELECT '4713-01-01 BC'::timestamp + (random() * 2e6) * interval '1 day' FROM generate_series(1, 5000)",
		"SELECT '2000-01-01'::timestamp + i * interval '1 microsecond' FROM generate_series(-1000100, 1000100, 997) i",
	},
	oidTimestamptz: {
		"VALUES ('infinity'), ('-infinity'), ('0044-03-15 12:00:00+00 BC'), ('2026-02-03 04:05:06.7+08'), ('294276-12-31 23:59:59.999999+00'), (NULL)",
		"SELECT '4713-01-01 BC'::timestamptz + (random() * 2e6) * interval '1 day' FROM generate_series(1, 2000)",
	},
	oidNumeric: {
		"VALUES (0), (0.0), (0.000), (-0.5), ('NaN'), ('Infinity'), ('-Infinity'), (10000), (99999999), (100000000), (1e100), (1e-100), (-1.10), (12345.000100), (NULL)",
		"SELECT round((random() - 0.5)::numeric * 10::numeric ^ (i % 30), j) FROM generate_series(1, 120) i, generate_series(0, 20) j",
		"SELECT 10::numeric ^ i FROM generate_series(-40, 40) i",
		"VALUES (repeat('9', 5000)::numeric), (('0.' || repeat('0', 4000) || '1')::numeric), (('1' || repeat('0', 3000) || '.' || repeat('0', 3000))::numeric)",
	},
	2950:     {"VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), (NULL)", "SELECT md5(i::text)::uuid FROM generate_series(1, 100) i"},
	oidJSONB: {`VALUES ('{"a": "\\ \n \t", "b": [1.50, null]}'), ('"ä"'), ('{}'), (NULL)`},
}

// tuplesOf cuts what COPY gives in binary format into its messages.
func tuplesOf(t *testing.T, stream []byte, columns int) (messages [][]byte) {
	t.Helper()
	begin, at := 0, len(tuplesHead)
	for binary.BigEndian.Uint16(stream[at:]) != 0xffff {
		at += 2
		for range columns {
			at += 4 + max(0, int(int32(binary.BigEndian.Uint32(stream[at:])))) //nolint:gosec // two's complement
		}
		messages = append(messages, stream[begin:at])
		begin = at
	}
	require.Equal(t, tuplesEnd, stream[at:])
	return append(messages, stream[begin:])
}

func copyTo(t *testing.T, conn *pgconn.PgConn, sql string) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := conn.CopyTo(t.Context(), &out, sql)
	require.NoError(t, err, sql)
	return out.Bytes()
}

func TestTextsAreThoseOfTheServer(t *testing.T) {
	t.Parallel()
	conn := pgtest.Connect(t, pgtest.Server(t).SuperuserURL("postgres"))
	for oid := range textForms {
		name := pgtest.Must(t, conn, fmt.Sprintf("SELECT %d::regtype", oid))[0][0]
		if oid == oidChar {
			name = "char(7)[]"[:7] // with blanks behind
		}
		pgtest.Must(t, conn, fmt.Sprintf("CREATE TEMP TABLE typed (a int, v %s, b int)", name))
		require.NotEmpty(t, textSamples[oid], name)
		for _, sql := range textSamples[oid] {
			pgtest.Must(t, conn, fmt.Sprintf("INSERT INTO typed SELECT 1, column1::%s::%s FROM (%s) AS samples (column1)", strings.TrimSuffix(name, "(7)"), name, sql))
		}
		for _, zone := range []string{"UTC", "Etc/UTC", "GMT"} {
			pgtest.Must(t, conn, fmt.Sprintf("SET TimeZone = '%s'", zone))
			for _, style := range []string{"ISO, MDY", "ISO, DMY"} {
				pgtest.Must(t, conn, fmt.Sprintf("SET DateStyle = '%s'", style))
				u := &copyUnload{out: &rewrite.CopyOut{}, types: []uint32{23, oid, 23}}
				u.take("3 " + zone + " " + style)
				require.True(t, u.writes(), name)
				want := strings.SplitAfter(string(copyTo(t, conn, "COPY typed TO STDOUT")), "\n")
				messages := tuplesOf(t, copyTo(t, conn, "COPY typed TO STDOUT (FORMAT binary)"), 3)
				require.Len(t, messages, len(want))
				for i, message := range messages {
					got, err := u.appendRow(nil, message)
					require.NoError(t, err)
					if i < len(messages)-1 {
						require.Equal(t, byte('d'), got[0])
						require.Equal(t, len(got)-1, int(binary.BigEndian.Uint32(got[1:])))
						got = got[headSize:]
					}
					require.Equal(t, want[i], string(got), "%s, row %d", name, i)
				}
			}
		}
		pgtest.Must(t, conn, "DROP TABLE typed")
	}
}

func TestSettingsThatChangeTheTextLeaveItToTheServer(t *testing.T) {
	all := []uint32{23, 25}
	require.Len(t, textFormsOf(all, "Asia/Tokyo", "ISO, MDY"), 2)
	require.Nil(t, textFormsOf(all, "UTC", "SQL, MDY"))
	require.Nil(t, textFormsOf([]uint32{oidTimestamptz}, "Asia/Tokyo", "ISO, MDY"))
	require.Len(t, textFormsOf([]uint32{oidTimestamptz}, "UTC", "ISO, DMY"), 1)
	require.Nil(t, textFormsOf([]uint32{23, 701}, "UTC", "ISO, MDY"))
}

// ranInBinary reports whether the last statement in a database was COPY in binary
// format.
func ranInBinary(t *testing.T, watcher *pgconn.PgConn, database string) bool {
	t.Helper()
	last := pgtest.Must(t, watcher, fmt.Sprintf(
		"SELECT query FROM pg_stat_activity WHERE datname = '%s' AND usename = '%s' ORDER BY query_start DESC LIMIT 1", database, clinic.Role))[0][0]
	return strings.HasPrefix(strings.ToUpper(last), "COPY") && strings.Contains(last, "(FORMAT binary)")
}

// confineTable is the DDL that has policies confine a table.
func confineTable(table string) string {
	return fmt.Sprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY; ALTER TABLE %[1]s FORCE ROW LEVEL SECURITY; "+
		"CREATE POLICY p ON %[1]s USING (tenant_id::text = nullif(current_setting('%s', true), ''))", table, clinic.Setting)
}

// What a client gets of COPY is what its own database gives, by whomever the text
// is written.
func TestCopyOfATableIsThatOfTheServer(t *testing.T) {
	c := clinic.New(t, 2)
	const (
		columns = "id int PRIMARY KEY, gone int, n numeric(9,3), b bool, d date, ts timestamp, tz timestamptz, note text, u uuid, j jsonb, c char(5), twice int GENERATED ALWAYS AS (id * 2) STORED"
		rows    = `INSERT INTO kept (id, n, b, d, ts, tz, note, u, j, c)
			SELECT i, i / 7.0, i %% 2 = 0, date '2026-01-01' + i, timestamp '2026-01-01' + i * interval '1.1 s', timestamptz '2026-01-01 00:00:00+00' + i * interval '1 h',
			CASE WHEN i %% 5 > 0 THEN chr(i %% 40 + 1) || E'\t\\' || repeat('ä', i %% 300) END, md5(i::text)::uuid, jsonb_build_object('i', i), 'c' || i %% 100
			FROM generate_series(%d, %d) i;`
		more = "ALTER TABLE kept DROP gone; CREATE DOMAIN small AS int CHECK (VALUE < 5); CREATE TABLE empty (v small, tenant_id int NOT NULL DEFAULT 1); CREATE TABLE floats (f float8, tenant_id int NOT NULL DEFAULT 1); INSERT INTO floats VALUES (0.1), (1e23), ('NaN')"
	)
	setUp := func(database string, own bool) {
		conn := pgtest.Connect(t, c.OwnerURL(database))
		tenant := ", tenant_id int NOT NULL DEFAULT 1"
		pgtest.Must(t, conn, "CREATE TABLE kept ("+columns+tenant+");"+fmt.Sprintf(rows, 1, 3000)+more+"; GRANT ALL ON kept, empty, floats TO "+clinic.Role)
		if !own {
			pgtest.Must(t, conn, "ALTER TABLE kept ALTER tenant_id SET DEFAULT 2;"+fmt.Sprintf(rows, 3001, 3300)+"ALTER TABLE kept ALTER tenant_id SET DEFAULT 1")
		}
	}
	for _, database := range []string{c.Oracle(t, "1"), c.Plain(), c.Policies()} {
		setUp(database, database == c.Oracle(t, "1"))
	}
	policies := pgtest.Connect(t, c.OwnerURL(c.Policies()))
	for _, table := range []string{"kept", "empty", "floats"} {
		pgtest.Must(t, policies, confineTable(table))
	}
	watcher := pgtest.Connect(t, c.Server.SuperuserURL("postgres"))
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		oracle, conn := dialWire(t, c.URL(c.Oracle(t, "1"))), dialWire(t, g.url("tenant1"))
		same := func(sql string) {
			t.Helper()
			script := wireScript{lines: []string{"> Query " + strconv.Quote(sql)}}
			oracle.record, conn.record = nil, nil
			want, got := oracle.run(script), conn.run(script)
			for i := range min(len(want), len(got)) {
				require.Equal(t, want[i], got[i], "%s: %s, message %d", enforce, sql, i)
			}
			require.Len(t, got, len(want), "%s: %s", enforce, sql)
		}
		byProxy := func(sql string) {
			t.Helper()
			same(sql)
			require.True(t, ranInBinary(t, watcher, g.database), "%s: %s", enforce, sql)
		}
		byServer := func(sql string) {
			t.Helper()
			same(sql)
			require.False(t, ranInBinary(t, watcher, g.database), "%s: %s", enforce, sql)
		}
		same("SET TimeZone = 'UTC'")
		byProxy("COPY kept TO STDOUT")
		byProxy("COPY kept (note, id) TO STDOUT")
		byProxy("COPY public.kept(id)TO STDOUT -- all")
		byProxy("copy kept to stdin with")
		byProxy("COPY kept TO STDOUT;")
		byProxy("COPY kept TO STDOUT /* all */; -- of them")
		byProxy("COPY empty TO STDOUT")
		same("BEGIN")
		byProxy("COPY kept (id, d, ts) TO STDOUT")
		byProxy("COPY empty (v) TO STDOUT")
		same("COMMIT")
		byServer("COPY floats TO STDOUT")
		byServer("COPY kept TO STDOUT (FORMAT csv)")
		byServer("COPY kept TO STDOUT WITH NULL 'x'")
		byServer("COPY (SELECT id FROM kept ORDER BY id) TO STDOUT")
		byServer("COPY kept (nothing) TO STDOUT")
		byServer("COPY kept (twice) TO STDOUT")
		same("COPY kept (id) TO STDOUT (FORMAT binary)")
		byServer("COPY kept (id) TO STDOUT; SELECT 1")
		same("SET DateStyle = 'SQL, DMY'")
		byServer("COPY kept TO STDOUT")
		same("SET DateStyle = 'ISO'")
		same("SET TimeZone = 'America/St_Johns'")
		byServer("COPY kept TO STDOUT")
		byProxy("COPY kept (id, d, ts) TO STDOUT")
		same("BEGIN")
		same("SELECT 1/0")
		same("COPY kept TO STDOUT")
		same("ROLLBACK")
		byProxy("COPY kept (id) TO STDOUT")
	}
}

// Where a value may be larger than a page the proxy does not gather the row.
func TestRowsThatMayBeLargeAreWrittenByTheServer(t *testing.T) {
	c := clinic.New(t, 1)
	watcher := pgtest.Connect(t, c.Server.SuperuserURL("postgres"))
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		conn := g.tenant("1")
		copyTo(t, conn, "COPY log_lines TO STDOUT")
		require.True(t, ranInBinary(t, watcher, g.database))
		pgtest.Must(t, conn, "INSERT INTO log_lines (level, line) SELECT 'x', string_agg(md5(i::text), '') FROM generate_series(1, 1000) i")
		require.Contains(t, string(copyTo(t, conn, "COPY log_lines TO STDOUT")), "c4ca4238a0b923820dcc509a6f75849b")
		require.False(t, ranInBinary(t, watcher, g.database))
		pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(g.database)), "TRUNCATE log_lines")
	}
	large := &pool.Conn{Buffer: []byte{'d', 0x10, 0, 0, 0, 0}, End: 6}
	s := &session{conn: large}
	s.push(request{await: awaitExecute, unload: &copyUnload{forms: []textForm{textText}}})
	require.ErrorIs(t, s.relay(), errRowTooLarge)
}

// A number of a few bytes can have 131,072 digits.
func TestTextOfCopyDoesNotPileUp(t *testing.T) {
	c := clinic.New(t, 1)
	const columns, rows = 8, 150
	owner := pgtest.Connect(t, c.OwnerURL(c.Plain()))
	pgtest.Must(t, owner, fmt.Sprintf("CREATE TABLE long (tenant_id int DEFAULT 1%s); GRANT ALL ON long TO %s", numbered(", n%d numeric", columns), clinic.Role))
	pgtest.Must(t, owner, fmt.Sprintf("INSERT INTO long SELECT 1%s FROM generate_series(1, %d)", strings.Repeat(", 1e131071", columns), rows))
	conn := open(t, c, Rewrite, poolOf(1)).tenant("1")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var total byteCount
	_, err := conn.CopyTo(t.Context(), &total, "COPY long TO STDOUT")
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Equal(t, rows*(columns*(131_072+1)+2), int(total))
	require.True(t, ranInBinary(t, pgtest.Connect(t, c.Server.SuperuserURL("postgres")), c.Plain()))
	require.Less(t, after.HeapSys-min(before.HeapSys, after.HeapSys), uint64(32<<20))
}

// numbered is a text for each number up to n.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i+1)
	}
	return b.String()
}

type byteCount int

func (c *byteCount) Write(p []byte) (int, error) {
	*c += byteCount(len(p))
	return len(p), nil
}

// The catalog is that of a while ago, the server's is that of now.
func TestTableThatHasChangedIsCopiedOut(t *testing.T) {
	c := clinic.New(t, 1)
	watcher := pgtest.Connect(t, c.Server.SuperuserURL("postgres"))
	g := open(t, c, RLS, poolOf(1))
	conn := g.tenant("1")
	owner := pgtest.Connect(t, c.OwnerURL(g.database))
	pgtest.Must(t, owner, "TRUNCATE log_lines")
	pgtest.Must(t, conn, "INSERT INTO log_lines (level, line) VALUES ('2026', 'behind')")
	before := string(copyTo(t, conn, "COPY log_lines TO STDOUT"))
	for _, change := range []struct {
		sql, want string
		inBinary  bool
	}{
		{"ALTER TABLE log_lines ADD added int DEFAULT 7", strings.TrimSuffix(before, "\n") + "\t7\n", false},
		{"ALTER TABLE log_lines DROP added", before, true},
		{"ALTER TABLE log_lines RENAME line TO text", before, false},
		{"ALTER TABLE log_lines RENAME text TO line", before, true},
		{"ALTER TABLE log_lines ALTER level TYPE int USING level::int", before, true},
		{"ALTER TABLE log_lines ALTER level TYPE float8", before, false},
		{"ALTER TABLE log_lines ALTER level TYPE text", before, true},
	} {
		pgtest.Must(t, owner, change.sql)
		require.Equal(t, change.want, string(copyTo(t, conn, "COPY log_lines TO STDOUT")), change.sql)
		require.Equal(t, change.inBinary, ranInBinary(t, watcher, g.database), change.sql)
	}
	pgtest.Must(t, owner, "ALTER TABLE log_lines RENAME level TO other; ALTER TABLE log_lines RENAME line TO level; ALTER TABLE log_lines RENAME other TO line")
	require.Equal(t, before, string(copyTo(t, conn, "COPY log_lines TO STDOUT")), "in another order")
	require.False(t, ranInBinary(t, watcher, g.database))
	pgtest.Must(t, owner, "ALTER TABLE log_lines RENAME level TO other; ALTER TABLE log_lines RENAME line TO level; ALTER TABLE log_lines RENAME other TO line")
	pgtest.Must(t, owner, "ALTER TABLE log_lines DROP line")
	require.Equal(t, strings.Replace(before, "\tbehind", "", 1), string(copyTo(t, conn, "COPY log_lines TO STDOUT")))
	_, err := conn.CopyTo(t.Context(), io.Discard, "COPY log_lines (level, line) TO STDOUT")
	require.ErrorContains(t, err, `column "line" of relation "log_lines" does not exist`)
	pgtest.Must(t, owner, "DROP TABLE log_lines")
	_, err = conn.CopyTo(t.Context(), io.Discard, "COPY log_lines TO STDOUT")
	require.Equal(t, "42P01", sqlState(t, err))
	pgtest.Must(t, conn, "BEGIN")
	_, err = conn.CopyTo(t.Context(), io.Discard, "COPY log_lines TO STDOUT")
	require.Equal(t, "42P01", sqlState(t, err))
	_, err = conn.CopyTo(t.Context(), io.Discard, "COPY patients (id) TO STDOUT")
	require.Equal(t, "25P02", sqlState(t, err))
	pgtest.Must(t, conn, "ROLLBACK")
	require.NotEmpty(t, copyTo(t, conn, "COPY patients (id) TO STDOUT"))
}

// Between the question and the COPY nobody changes the table.
func TestTableThatChangesMeanwhileIsCopiedOut(t *testing.T) {
	c := clinic.New(t, 1)
	for _, database := range []string{c.Policies(), c.Plain()} {
		pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(database)),
			"CREATE TABLE changing (tenant_id int NOT NULL DEFAULT 1, v int); INSERT INTO changing VALUES (1, 7); GRANT ALL ON changing TO "+clinic.Role)
	}
	pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(c.Policies())), confineTable("changing"))
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(2))
		conn := g.tenant("1")
		owner := pgtest.Connect(t, c.OwnerURL(g.database))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				_, _ = owner.Exec(context.Background(), "ALTER TABLE changing ALTER v TYPE date USING date '2000-01-01' + v").ReadAll()
				_, _ = owner.Exec(context.Background(), "ALTER TABLE changing ALTER v TYPE int USING v - date '2000-01-01'").ReadAll()
			}
		}()
		seen := make(map[string]int)
		for ended := false; !ended; {
			select {
			case <-done:
				ended = true
			default:
			}
			seen[string(copyTo(t, conn, "COPY changing (v) TO STDOUT"))]++
		}
		require.Positive(t, seen["7\n"], enforce)
		require.Positive(t, seen["2000-01-08\n"], enforce)
		require.Len(t, seen, 2, enforce)
	}
}

// A role that may not ask how large a table is reads it as before.
func TestRoleWithoutSizesCopiesOut(t *testing.T) {
	c := clinic.New(t, 1)
	super := pgtest.Connect(t, c.Server.SuperuserURL(c.Policies()))
	pgtest.Must(t, super, "REVOKE EXECUTE ON FUNCTION pg_relation_size(regclass, text) FROM PUBLIC")
	conn := open(t, c, RLS, poolOf(1)).tenant("1")
	require.NotEmpty(t, copyTo(t, conn, "COPY log_lines TO STDOUT"))
	require.False(t, ranInBinary(t, super, c.Policies()))
}

// A COPY that fails on its way, or is canceled, fails as another does.
func TestCopyOfATableFailsAsTheServerDoes(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		conn := g.tenant("1")
		pgtest.Must(t, conn, "INSERT INTO log_lines (level, line) SELECT 'x', repeat('x', 1000) FROM generate_series(1, 30000)")
		reader, writer := io.Pipe()
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			_, err := conn.CopyTo(ctx, writer, "COPY log_lines TO STDOUT")
			writer.CloseWithError(err)
			done <- err
		}()
		_, err := io.CopyN(io.Discard, reader, 100_000)
		require.NoError(t, err)
		require.NoError(t, conn.CancelRequest(t.Context()))
		_, _ = io.Copy(io.Discard, reader) // it ends with the error
		require.Equal(t, "57014", sqlState(t, <-done), enforce)
		require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, "SELECT 1"))
		pgtest.Must(t, conn, "SET statement_timeout = 1")
		_, err = conn.CopyTo(t.Context(), io.Discard, "COPY log_lines TO STDOUT")
		require.Equal(t, "57014", sqlState(t, err), enforce)
		pgtest.Must(t, conn, "SET statement_timeout = 0")
		require.Len(t, copyTo(t, conn, "COPY log_lines (line) TO STDOUT"), len(copyTo(t, conn, "COPY (SELECT line FROM log_lines) TO STDOUT")))
	}
}

// No bytes of a server make the proxy fail, or write half a row.
func FuzzRowsOfCopyOut(f *testing.F) {
	types := []uint32{16, 23, 25, 1082, 1114, oidNumeric, 2950, oidJSONB}
	value := []byte{0, 0, 0, 4, 0, 0, 0, 1}
	f.Add(append([]byte{0, 8}, bytes.Repeat(value, 8)...))
	f.Add([]byte{0, 8, 0xff, 0xff, 0xff, 0xff})
	f.Add(tuplesEnd)
	f.Add(tuplesHead)
	f.Fuzz(func(t *testing.T, body []byte) {
		for oid, form := range textForms {
			got, _ := form([]byte("before"), body)
			require.True(t, bytes.HasPrefix(got, []byte("before")), oid)
		}
		u := &copyUnload{forms: textFormsOf(types, "UTC", "ISO, MDY"), begun: true}
		got, err := u.appendRow([]byte("before"), body)
		require.True(t, bytes.HasPrefix(got, []byte("before")))
		if err == nil && len(got) > 6 {
			require.Equal(t, len(got)-7, int(binary.BigEndian.Uint32(got[7:])))
			require.Equal(t, byte('\n'), got[len(got)-1])
		}
		u.begun = false
		_, _ = u.appendRow(nil, body)
	})
}

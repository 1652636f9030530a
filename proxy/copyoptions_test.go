package proxy

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// copyOptions are options of COPY FROM, each with every one of copyData.
var copyOptions = []string{
	"", "(FORMAT text)", "(FORMAT 'text', DELIMITER '|')", "(DELIMITER ',')", "(DELIMITER ' ', NULL '')", "(NULL 'x')", "(NULL '')", `(NULL '\x')`,
	"(NULL E'\\\\N')", "(HEADER)", "(HEADER true)", "(HEADER false)", "(HEADER on)", "(HEADER off)", "(HEADER 1)", "(HEADER 0)", "(HEADER match)", "(HEADER MATCH)",
	"(HEADER 'match', DELIMITER ',')", "DELIMITER '|'", "DELIMITERS '|'", "WITH DELIMITER AS ',' NULL AS 'x'", "(DELIMITER E'\\x01')", "(DELIMITER '''')", "(DELIMITER '\"')",
	"CSV", "CSV HEADER", "(FORMAT csv)", "(FORMAT CSV, HEADER match)", "(FORMAT csv, DELIMITER ';')", "(FORMAT csv, DELIMITER E'\\t')", "(FORMAT csv, NULL 'x')", "(FORMAT csv, NULL '\\N')",
	"(FORMAT csv, QUOTE '''')", "(FORMAT csv, QUOTE '|')", "(FORMAT csv, ESCAPE '\\')", "(FORMAT csv, QUOTE '|', ESCAPE '|')", "(FORMAT csv, QUOTE '\\', ESCAPE '\"')",
	"(FORMAT csv, FORCE_NULL (meaning))", "(FORMAT csv, FORCE_NOT_NULL (meaning))", "(FORMAT csv, FORCE_NOT_NULL (code, meaning))", "(FORMAT csv, FORCE_NULL (code, meaning), FORCE_NOT_NULL (meaning))",
	"(FORMAT csv, NULL 'x', FORCE_NULL (meaning))", "(FORMAT csv, NULL 'x', FORCE_NOT_NULL (meaning))", "CSV FORCE NOT NULL meaning", "CSV QUOTE AS '''' ESCAPE AS '\\'",
	"CSV NULL 'x' FORCE NULL meaning", "(ENCODING 'UTF8')", "(ENCODING 'utf-8')", "ENCODING 'UTF8'", "(FREEZE false)", "(FREEZE off)", "(FREEZE 0)", "(FORMAT csv, ESCAPE '''', QUOTE '\"')",
}

// copyFaults are options that PostgreSQL refuses.
var copyFaults = []string{
	"(FORMAT nosuch)", "(DELIMITER 'ab')", "(DELIMITER '')", "(DELIMITER E'\\n')", "(DELIMITER 'a')", "(DELIMITER '.')", "(DELIMITER '\\')", "(DELIMITER '0')", "(FORMAT csv, DELIMITER 'a')",
	"(FORMAT csv, DELIMITER '\"')", "(NULL E'a\\nb')", "(NULL E'a\\rb')", "(NULL E'a\\tb')", "(FORMAT csv, NULL ',')", "(FORMAT csv, NULL 'a\"')", "(QUOTE '\"')", "(ESCAPE '\"')",
	"(FORMAT csv, QUOTE 'ab')", "(FORMAT csv, QUOTE '')", "(FORMAT csv, ESCAPE 'ab')", "(FORMAT csv, ESCAPE '')", "(HEADER maybe)", "(HEADER 2)", "(FORCE_NULL (meaning))", "(FORCE_NOT_NULL (meaning))",
	"(FORMAT csv, FORCE_NULL (nosuch))", "(FORMAT csv, FORCE_NOT_NULL (value))", "(FORMAT csv, FORCE_QUOTE (meaning))", "(FORMAT csv, FORCE_QUOTE *)", "(FORCE_QUOTE (meaning))",
	"(NOSUCH)", "(FORMAT csv, FORMAT csv)", "(HEADER, HEADER)", "(DELIMITER ',', DELIMITER ',')", "(FORMAT binary, DELIMITER ',')", "(FORMAT binary, NULL 'x')", "(FORMAT binary, HEADER)",
	"(FORMAT binary, QUOTE 'x')", "(FORMAT)", "(DELIMITER)", "(NULL)", "(FORMAT csv, FORCE_NULL)", "(FORMAT csv, FORCE_NULL meaning)", "(FORMAT csv, FORCE_NULL *)",
	"(FREEZE maybe)", "(ENCODING)", "(FORMAT csv, QUOTE E'\\n')", "(FORMAT csv, DELIMITER E'\\r')", "(DEFAULT 'x')", "(ON_ERROR ignore)", "(FORMAT csv, FORCE_NOT_NULL (meaning, meaning))",
}

// copyData are streams for copyOptions.
var copyData = []string{
	"C70\tx\nC71\t\\N\n", "C70,x\nC71,\n", "C70|x\nC71|\\N\n", "code\tmeaning\nC70\ty\n", "code,meaning\nC70,y\n", "C70;\"x\"\nC71;'x'\n", "C70,\"x\"\nC71,\"\"\n", "C70,'x','y'\n",
	"C70,'x''y'\nC71,|a|\n", "C70,'x\\'y'\n", "C70,\\N\n", "C70\tx\rC71\ty\r", "C70\tx\r\nC71\ty\n", "C70,x\nC71,y\r\n", "C70,x\r\nC71,\"y\nz\"\r\n", "C70,\"x\ry\"\n", "C70,x\rC71,y\r",
	"C70 x\nC71 \n", "C70,\"a\"\"b\"\nC71,\"a\\\"b\"\n", "C70,a\"b\nC71,c\"\n", "", "\n", "\n\n", "C70,x\n\\.\nC71,y\n", "C70,\"x\n\\.\ny\"\n", "C70\tx\\\nC71\ty\n", "C70,\\.\n", "C70\t\\.\n", "C70\t\\.x\n",
	"C70\tend\\.\n", "C70\t\xff\n", "C70,\"\xc3\n", "C70\t\\xff\n", "C70\t\\303\\244\n", "C70\t\\000\n", "C70\ta\x00b\n", "C70,x", "C70,\"x", "C70\tx\\", "\"C70\",\"x\" \n", " C70 , x \n", "C70\x01x\n", "C70'x\n", "C70\"x\n",
	"C70,x,\n", "C70\tx\t\n", "C70\n", "C70,\"x\"y\"z\"\n", "\\.\nC70\tx\n", "\r\n\r\n", "C70\tx\ny", "C70,x\ny\n", "C70\t\\N\\N\n", "C70\t\\\\N\n", "C70,\"\\N\"\n", "C70\t\\x\n", "C70\t\\x4\n", "C70\t\\8\n", "C70,x\\\n",
}

func TestCopyFromTakesOptionsAsPostgreSQLDoes(t *testing.T) {
	c := clinic.New(t, 2)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	conn := open(t, c, Both, poolOf(1)).tenant("1") // rows are read the same way in each enforcement
	compare := func(options, data string) {
		sql := strings.TrimSpace("COPY legacy_codes (code, meaning) FROM STDIN " + options)
		want, wantRows := copyOutcome(t, oracle, sql, data, "legacy_codes")
		got, gotRows := copyOutcome(t, conn, sql, data, "legacy_codes")
		require.Equal(t, want, got, "%s\n%q", sql, data)
		require.Equal(t, wantRows, gotRows, "%s\n%q", sql, data)
	}
	for i, options := range copyOptions {
		for k, data := range copyData {
			if i < 2 || (i+k)%4 == 0 { // each stream with many options, each option with many streams
				compare(options, data)
			}
		}
	}
	for _, options := range copyFaults {
		sql := "COPY legacy_codes (code, meaning) FROM STDIN " + options
		_, err := conn.CopyFrom(t.Context(), strings.NewReader(copyData[0]), sql)
		got := pgError(t, err)
		if strings.Contains(got.Detail, "copy.option") { // newer than PostgreSQL 15
			continue
		}
		_, err = oracle.CopyFrom(t.Context(), strings.NewReader(copyData[0]), sql)
		want := pgError(t, err)
		require.Equal(t, want.Code+" "+want.Message, got.Code+" "+got.Message, sql)
	}
}

func TestBinaryCopyFromIsReadAsPostgreSQLReadsIt(t *testing.T) {
	c := clinic.New(t, 2)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	conn := open(t, c, Both, poolOf(1)).tenant("1")
	whole := binaryCopy("a", "b")
	flags := func(b ...byte) string { return whole[:11] + string(b) + whole[15:] }
	for _, data := range []string{
		whole, whole[:len(whole)-2], whole[:len(whole)-1], whole[:len(whole)-3], whole[:19], whole[:18], whole[:10], "", whole + "x", whole + whole,
		flags(0, 0, 0, 1), flags(0, 0, 0xff, 0xff), flags(0, 1, 0, 0), flags(0x80, 0, 0, 0), "PGCOPY\n\xff\r\n\x01" + whole[11:],
		whole[:15] + "\x00\x00\x00\x03xyz" + whole[19:], whole[:15] + "\xff\xff\xff\xff" + whole[19:], whole[:15] + "\x00\x00\x10\x00" + whole[19:],
		whole[:19] + "\x00\x01\x00\x00\x00\x04\x00\x00\x03\xe8", whole[:19] + "\xff\xfe", whole[:19] + "\x00\x02\xff\xff\xff\xfe",
		whole[:19] + "\x00\x02\x00\x00\x00\x04\x00\x00\x03\xe8\xff\xff\xff\xff", whole[:19] + "\x00\x02\x00\x00\x00\x03\x00\x00\x03\x00\x00\x00\x01a",
	} {
		const sql = "COPY patients (id, name) FROM STDIN (FORMAT binary)"
		want, wantRows := copyOutcome(t, oracle, sql, data, "patients")
		got, gotRows := copyOutcome(t, conn, sql, data, "patients")
		require.Equal(t, want, got, "%q", data)
		require.Equal(t, wantRows, gotRows, "%q", data)
	}
}

func TestCopyToTakesOptionsAsPostgreSQLDoes(t *testing.T) {
	c := clinic.New(t, 2)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	copied := func(conn *pgconn.PgConn, sql string) (result, data string) {
		var out bytes.Buffer
		tag, err := conn.CopyTo(t.Context(), &out, sql)
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) {
			return pgErr.Code, ""
		}
		require.NoError(t, err, sql)
		return tag.String(), out.String()
	}
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			conn := open(t, c, enforce, poolOf(1)).tenant("1")
			for _, options := range append([]string{
				"(FORMAT csv, FORCE_QUOTE (meaning))", "(FORMAT csv, FORCE_QUOTE *)", "CSV FORCE QUOTE code, meaning", "CSV FORCE QUOTE *", "(FORMAT csv, FORCE_QUOTE (nosuch))",
				"(FORMAT csv, HEADER, DELIMITER ';', QUOTE '|', ESCAPE '!', NULL 'nil', FORCE_QUOTE (code))", "(FORMAT binary)", "BINARY", "(ENCODING 'LATIN1')",
				"(FORMAT csv, FORCE_QUOTE)", "(FORCE_QUOTE (code))", "(FREEZE)", "(FORMAT csv, FORCE_QUOTE (code, code))",
			}, append(copyOptions, copyFaults...)...) {
				for _, what := range []string{"legacy_codes (code, meaning)", "legacy_codes", "(SELECT code, meaning FROM legacy_codes ORDER BY code DESC)"} {
					sql := "COPY " + what + " TO STDOUT " + options
					want, wantData := copied(oracle, sql)
					got, gotData := copied(conn, sql)
					require.Equal(t, want, got, sql)
					require.Equal(t, wantData, gotData, sql)
				}
			}
		})
	}
}

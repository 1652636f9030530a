package proxy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// formSamples are values as text, by type, with _ for a space: first those that
// have a form, behind | those that are for the server to read, or to refuse.
var formSamples = map[uint32]string{
	16:   "t f true false|T TRUE on off yes 1 0 tr",
	17:   `\x \x00ff \xDEADbeef09|\x0 \x_00 \x00_ abc \101 \X00 \`,
	20:   "0 -0 7 007 -123456789012345678 999999999999999999|9223372036854775807 9223372036854775808 +1 1_000 0x1F 1e3",
	21:   "0 -32768 32767|32768 -32769 99999",
	23:   "0 -2147483648 2147483647|2147483648 -2147483649 --1 -",
	700:  "0 -0 0.000 1 -1.5 .5 5. 1e10 1E-10 +2.25 0.1 16777217 16777216.999999999999 3.4028235e38 3.4028235677973366e38|NaN Infinity 1e39 3.5e38 1e-50 1e-38 1e-45 1e .",
	701:  "0 -0 0.000 1 -1.5 .5 5. 1e10 1E-10 +2.25 0.1 123456789.123456789 1.7976931348623157e308|NaN Infinity -inf 1e400 1e-400 1e-310 0e5 1e .",
	1082: "2026-02-03 0001-01-01 9999-12-31 2024-02-29|2023-02-29 0000-01-01 2026-13-01 2026-1-1 20260101 infinity epoch today 10000-01-01 2026-02-03BC 2026/02/03",
	1114: "2026-02-03_04:05:06 0001-01-01_00:00:00.1 9999-12-31_23:59:59.999999|2026-02-03 2026-02-03T04:05:06 2026-02-03_24:00:00 2026-02-03_04:05:60 2026-02-03_04:05 2026-02-03_04:05:06.1234567 2026-02-03_04:05:06. 2026-02-03_04:05:06+01 infinity",
	1184: "2026-02-03_04:05:06+00 2026-07-03_04:05:06.5-08 0001-01-01_00:00:00+05:30 9999-12-31_23:59:59.999999-14:59|2026-02-03_04:05:06 2026-02-03_04:05:06Z 2026-02-03_04:05:06_UTC 2026-02-03_04:05:06+0530 2026-02-03_04:05:06+5 2026-02-03_04:05:06+15:00 1900-01-01_00:00:00+00:53:28 -infinity",
	1700: "0 -0 0.000 -0.00 7 007.10 -12.50 9999 10000 12345.6789 1234567890123.000012345 0.00001 -100000000.0000|+1 .5 5. 1e3 -1E-3 NaN Infinity -inf 1_000 0x1F - . -.5 1.2.3",
	2950: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11|a0eebc999c0b4ef8bb6d6bb9bd380a11 {a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11} a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1-",
	3802: `{} [1,"a"] "x" {"b":1,"a":[true,null]}|`,
}

// A form and the text it was made of are the same value to the server, whatever
// a session writes and reads dates by. Texts are samples, and what small changes
// make of them.
func TestFormsAreTheValuesOfTheirTexts(t *testing.T) {
	t.Parallel()
	conn := pgtest.Connect(t, pgtest.Server(t).SuperuserURL("postgres"))
	read := func(oid uint32, value []byte, format int16) (string, error) {
		result := conn.ExecParams(t.Context(), "SELECT $1", [][]byte{value}, []uint32{oid}, []int16{format}, []int16{1}).Read()
		if result.Err != nil {
			return "", result.Err
		}
		return string(result.Rows[0][0]), nil
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	settings := []string{
		"SET DateStyle = ISO, MDY; SET TimeZone = UTC", "SET DateStyle = German, DMY; SET TimeZone = 'America/St_Johns'", "SET DateStyle = SQL, YMD; SET extra_float_digits = -5",
	}
	for oid, samples := range formSamples {
		formed, others, _ := strings.Cut(samples, "|")
		texts := strings.Fields(formed)
		first := len(texts)
		texts = append(texts, strings.Fields(others)...)
		for len(texts) < 700 {
			texts = append(texts, mutated(random, texts[random.IntN(len(texts))]))
		}
		forms := 0
		for i, text := range texts {
			text = strings.ReplaceAll(text, "_", " ")
			form, ok := binaryForms[oid](nil, []byte(text))
			require.False(t, i < first && !ok, "%d has no form of %q", oid, text)
			if !ok {
				continue
			}
			forms++
			pgtest.Must(t, conn, settings[i%len(settings)])
			want, err := read(oid, []byte(text), 0)
			if err != nil && oid == 3802 { // jsonb_recv says so, too
				_, formErr := read(oid, form, 1)
				require.Equal(t, sqlState(t, err), sqlState(t, formErr), text)
				continue
			}
			require.NoError(t, err, "%d %q", oid, text)
			got, err := read(oid, form, 1)
			require.NoError(t, err, "%d %q", oid, text)
			require.Equal(t, want, got, "%d %q", oid, text)
		}
		require.Greater(t, forms, first, "some changed texts of %d have forms", oid)
	}
}

// mutated changes a byte or two, or digits alone.
func mutated(random *rand.Rand, text string) string {
	const digits = 10
	const bytes = "0123456789-+:.e_tfT{}a/"
	b := []byte(text)
	if random.IntN(2) == 0 {
		for i, c := range b {
			if c >= '0' && c <= '9' && random.IntN(4) == 0 {
				b[i] = bytes[random.IntN(digits)]
			}
		}
		return string(b)
	}
	for range 1 + random.IntN(2) {
		at := random.IntN(len(b) + 1)
		c := bytes[random.IntN(len(bytes))]
		switch {
		case random.IntN(4) == 0:
			b = append(b[:at], append([]byte{c}, b[at:]...)...)
		case at == len(b):
		case random.IntN(4) == 0:
			b = append(b[:at], b[at+1:]...)
		default:
			b[at] = c
		}
	}
	return string(b)
}

func FuzzForms(f *testing.F) {
	for _, samples := range formSamples {
		for _, text := range strings.Fields(samples) {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for oid, form := range binaryForms {
			if form == nil {
				continue
			}
			const before = "before"
			got, _ := form([]byte(before), text)
			require.True(t, bytes.HasPrefix(got, []byte(before)), oid)
		}
	})
}

// Rows whose values have no form are among those that have one, in each column
// and at any place of a batch.
func TestValuesWithoutFormAreCopiedIn(t *testing.T) {
	c := clinic.New(t, 1)
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	conn := open(t, c, RLS, tempTables(1)).tenant("1")
	for _, conn := range []*pgconn.PgConn{oracle, conn} {
		pgtest.Must(t, conn, "CREATE TEMP TABLE typed (id int, d date, f float8, z timestamptz(0))")
	}
	for n, odd := range []int{0, 1, arrayRows - 1, arrayRows, arrayRows + 1, 2 * arrayRows, 3, arrayRows + 2} {
		every := 10 * arrayRows
		if n > 5 { // more than go one by one
			every = 97
		}
		var data strings.Builder
		for i := range 2*arrayRows + 3 {
			id, d, f, z := fmt.Sprint(i), "2026-02-03", "1.5", "2026-02-03 04:05:06.7+08"
			switch (i - odd + every) % every {
			case 0:
				d, f = "infinity", `\N`
			case 1:
				id, d = fmt.Sprintf(" %d ", i), `\N`
			case 2:
				f, z = "NaN", "2026-02-03 04:05:06.7 Asia/Tokyo"
			}
			fmt.Fprintf(&data, "%s\t%s\t%s\t%s\n", id, d, f, z)
		}
		want, wantRows := copied(t, oracle, "COPY typed FROM STDIN", data.String())
		got, gotRows := copied(t, conn, "COPY typed FROM STDIN", data.String())
		require.Equal(t, want, got, odd)
		require.Equal(t, wantRows, gotRows, odd)
	}
}

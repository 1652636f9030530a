package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// TestFunctionCallMessagesAreRefused: A17, I1.
func TestFunctionCallMessagesAreRefused(t *testing.T) {
	c := clinic.New(t, 2)
	setConfig := &pgproto3.FunctionCall{Function: 2078, Arguments: [][]byte{[]byte(clinic.Setting), []byte("2"), []byte("t")}}
	toXML := &pgproto3.FunctionCall{Function: 2924, Arguments: [][]byte{[]byte("SELECT name FROM patients"), []byte("t"), []byte("t"), []byte("")}}
	send := func(h *hostile, call *pgproto3.FunctionCall) transcript {
		var tr transcript
		h.forget()
		h.frontend.Send(call)
		h.converse(&tr, "simple", nil)
		return tr
	}
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		h := newHostile(t, g.url("tenant1"), nil)
		for _, call := range []*pgproto3.FunctionCall{setConfig, toXML} {
			require.Equal(t, []string{"0A000"}, send(h, call).codes)
			h.must("BEGIN")
			require.Equal(t, []string{"0A000"}, send(h, call).codes)
			h.must("ROLLBACK")
			h.must(theirNames)
			require.False(t, h.holds(marks...))
		}
	}
	direct := newHostile(t, c.URL(c.Plain()), nil)
	require.Empty(t, send(direct, toXML).codes)
	require.True(t, direct.holds(marks...), "it would show rows")
}

// TestMessagesOutOfOrderGetNothing: I6, I7, I8.
func TestMessagesOutOfOrderGetNothing(t *testing.T) {
	c := clinic.New(t, 2)
	message := func(typ byte, body ...byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(4+len(body))), body...)
	}
	query := func(sql string) []byte { return message('Q', append([]byte(sql), 0)...) }
	bind := append([]byte{0, 0}, make([]byte, 6)...)
	takeOver, err := (&pgproto3.Bind{PreparedStatement: setStatement, Parameters: [][]byte{[]byte(clinic.Setting), []byte("2")}}).Encode(nil)
	require.NoError(t, err)
	takeOver = append(takeOver, message('E', 0, 0, 0, 0, 0)...)
	takeOver, err = (&pgproto3.Parse{Query: theirNames}).Encode(takeOver)
	require.NoError(t, err)
	takeOver = append(append(takeOver, message('B', make([]byte, 8)...)...), message('E', 0, 0, 0, 0, 0)...)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			for what, sent := range map[string][]byte{
				"a NUL inside the text":              message('Q', append([]byte("SELECT 1\x00; SELECT name FROM patients"), 0)...),
				"no NUL at the end":                  message('Q', []byte("SELECT name FROM patients")...),
				"bytes behind the text":              message('Q', []byte("SELECT 1\x00payload")...),
				"text that is not UTF-8":             query("SELECT '\xff', name FROM patients"),
				"half a character before a quote":    query("SELECT '\x81' , name FROM patients --'"),
				"a length of three":                  {'Q', 0, 0, 0, 3},
				"a length below zero":                {'Q', 0xff, 0xff, 0xff, 0xff},
				"a length of two gigabytes":          {'Q', 0x7f, 0xff, 0xff, 0xff},
				"an unknown type":                    message('!', 'x'),
				"a type of the server's":             message('D', 0, 0),
				"a password after the login":         message('p', append([]byte("secret"), 0)...),
				"CopyData outside COPY":              message('d', []byte("2\t9\tplanted")...),
				"CopyDone outside COPY":              message('c'),
				"CopyFail outside COPY":              message('f', 0),
				"Bind of a statement that is not":    append(message('B', append([]byte("\x00nosuch\x00"), make([]byte, 6)...)...), message('S')...),
				"Execute of a portal that is not":    append(message('E', []byte("nosuch\x00\x00\x00\x00\x00")...), message('S')...),
				"Execute of the proxy's own portal":  append(message('E', append([]byte("tenantgate: refused"), 0, 0, 0, 0, 0)...), message('S')...),
				"Bind of the proxy's own statement":  append(takeOver, message('S')...),
				"Close of the proxy's own statement": append(message('C', append(append([]byte{'S'}, setStatement...), 0)...), message('S')...),
				"Bind with a count that is wrong":    append(message('B', append(bind[:2:2], 0xff, 0xff)...), message('S')...),
				"Describe of nothing":                append(message('D', 'X', 0), message('S')...),
				"a Parse with too few types":         append(message('P', append([]byte("\x00SELECT 1\x00"), 0, 9)...), message('S')...),
				"Terminate in mid-message":           append(query("BEGIN"), 'X', 0, 0),
			} {
				h := newHostile(t, g.url("tenant1"), nil)
				h.forget()
				_, err := h.conn.Write(sent)
				require.NoError(t, err)
				require.NoError(t, h.conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
				_, err = io.Copy(io.Discard, h.conn)
				require.True(t, err == nil || isTimeout(err), what)
				require.False(t, h.holds(marks...), what)
				_ = h.conn.Close()
			}
			again := newHostile(t, g.url("tenant2"), nil) // the next one
			again.must(sanity)
			again.must("DELETE FROM log_lines WHERE line = 'nobody''s'")
		})
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // io.Copy returns it as it is
	return ok && e.Timeout()
}

// TestAClientThatLeavesInMidTransactionLeavesNothing: H, what an attacker's
// unfinished work would do to whoever comes next.
func TestAClientThatLeavesInMidTransactionLeavesNothing(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		victim := g.tenant("2")
		sane := pgtest.Must(t, victim, sanity)
		for i, script := range [][]string{
			{"BEGIN", "UPDATE settings SET value = 'mine'"},
			{"BEGIN", "SELECT 1 / 0"},
			{"BEGIN", "SET LOCAL TimeZone = 'Asia/Tokyo'", "DECLARE c CURSOR FOR SELECT name FROM patients"},
			{"SET TimeZone = 'Asia/Tokyo'", "SET default_transaction_read_only = on"},
			{"PREPARE q AS SELECT name FROM patients", "EXECUTE q"},
			{"BEGIN", "SAVEPOINT a", "DELETE FROM log_lines", "ROLLBACK TO a"},
		} {
			h := newHostile(t, g.url("tenant1"), nil)
			h.run("simple", script, nil, nil)
			_ = h.conn.Close()
			require.Equal(t, sane, pgtest.Must(t, victim, sanity), fmt.Sprint(i))
			require.Equal(t, "34000", pgtest.Simple(t, victim, "FETCH 1 FROM c")[0].Code)
			require.Equal(t, "26000", pgtest.Simple(t, victim, "EXECUTE q")[0].Code)
		}
		h := newHostile(t, g.url("tenant1"), nil) // in the middle of COPY
		h.frontend.Send(&pgproto3.Query{String: "COPY log_lines (level, line) FROM STDIN"})
		h.frontend.Send(&pgproto3.CopyData{Data: []byte("x\ty\n")})
		require.NoError(t, h.frontend.Flush())
		time.Sleep(20 * time.Millisecond)
		_ = h.conn.Close()
		require.Equal(t, sane, pgtest.Must(t, victim, sanity))
	}
}

// TestParserSurvivesWhatTenantsSend: E18. A statement that would exhaust the
// parser's stack is refused, and the next one is answered.
func TestParserSurvivesWhatTenantsSend(t *testing.T) {
	t.Parallel()
	c := clinic.New(t, 2)
	g := open(t, c, Both, poolOf(1))
	repeat := func(s string, n int) string { return string(bytes.Repeat([]byte(s), n)) }
	for what, sql := range map[string]string{
		"a chain of additions": "SELECT 1" + repeat("+1", 50_000),
		"brackets":             "SELECT " + repeat("(", 50_000) + "1" + repeat(")", 50_000),
		"nested comments":      repeat("/*", 50_000) + repeat("*/", 50_000) + "SELECT 1",
		"joins":                "SELECT 1 FROM countries" + repeat(" CROSS JOIN countries", 20_000),
		"unions":               "SELECT 1" + repeat(" UNION SELECT 1", 40_000),
		"nots":                 "SELECT " + repeat("NOT ", 50_000) + "true",
		"casts":                "SELECT 1" + repeat("::int", 50_000),
		"array brackets":       "SELECT " + repeat("ARRAY[", 20_000) + "1" + repeat("]", 20_000),
		"sub-selects":          repeat("SELECT (", 20_000) + "SELECT 1" + repeat(")", 20_000),
		"minus signs":          "SELECT " + repeat("- ", 50_000) + "1",
		"cases":                "SELECT " + repeat("CASE WHEN true THEN ", 20_000) + "1" + repeat(" END", 20_000),
		"subscripts":           "SELECT (ARRAY[1])" + repeat("[1]", 50_000),
	} {
		conn := g.tenant("1")
		outcome := pgtest.Simple(t, conn, sql)
		require.Contains(t, []string{"54001", "42601", "54000"}, outcome[len(outcome)-1].Code, what)
		require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, conn, "SELECT 1"), what)
		require.NoError(t, conn.Close(t.Context()))
	}
}

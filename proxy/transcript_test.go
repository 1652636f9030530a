package proxy

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest/clinic"
)

// Scripts of messages, testdata/wire, run straight to PostgreSQL and through
// the proxy: what the server says must be the same, message for message.
//
//	== the script's name
//	> Parse "" "SELECT $1::int"; Bind "" "" "1"; Execute ""; Sync
//	>> Query "SELECT 1"
//	< 3
//	differs rls,both: reason
//
// ">" writes messages at once and waits for as many ReadyForQuery as they ask
// for, or for CopyInResponse; ">>" does not wait; "<" waits for so many messages.

// A wireScript is one script.
type wireScript struct {
	name    string
	lines   []string
	differs map[string]string // reasons by target
}

func readWireScripts(t *testing.T, file string) []wireScript {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var scripts []wireScript
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "== "):
			scripts = append(scripts, wireScript{name: line[3:], differs: make(map[string]string)})
		case strings.HasPrefix(line, "differs "):
			targets, reason, ok := strings.Cut(line[len("differs "):], ": ")
			require.True(t, ok, line)
			for _, target := range strings.Split(targets, ",") {
				scripts[len(scripts)-1].differs[target] = reason
			}
		default:
			require.NotEmpty(t, scripts, line)
			s := &scripts[len(scripts)-1]
			s.lines = append(s.lines, line)
		}
	}
	return scripts
}

// A wireClient speaks the messages of scripts.
type wireClient struct {
	t        *testing.T
	conn     net.Conn
	frontend *pgproto3.Frontend
	record   []string
	closed   bool
}

func dialWire(t *testing.T, url string) *wireClient {
	conn, err := pgconn.Connect(context.Background(), url)
	require.NoError(t, err)
	hijacked, err := conn.Hijack()
	require.NoError(t, err)
	t.Cleanup(func() { _ = hijacked.Conn.Close() })
	return &wireClient{t: t, conn: hijacked.Conn, frontend: hijacked.Frontend}
}

// run plays a script and returns what the server said.
func (c *wireClient) run(script wireScript) []string {
	for _, line := range script.lines {
		require.NoError(c.t, c.conn.SetDeadline(time.Now().Add(15*time.Second)))
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case ">", ">>":
			bytes, ready := encodeWire(c.t, rest)
			if _, err := c.conn.Write(bytes); err != nil {
				c.closed = true
			}
			if word == ">" {
				c.read(func(msg pgproto3.BackendMessage) bool {
					switch msg.(type) {
					case *pgproto3.ReadyForQuery:
						ready--
					case *pgproto3.CopyInResponse:
						ready = 0
					}
					return ready == 0
				}, ready)
			}
		case "<":
			n, err := strconv.Atoi(rest)
			require.NoError(c.t, err)
			c.read(func(pgproto3.BackendMessage) bool { n--; return n == 0 }, n)
		default:
			require.Fail(c.t, "no such line", line)
		}
	}
	return c.record
}

// read records messages until one is the last that is waited for.
func (c *wireClient) read(last func(pgproto3.BackendMessage) bool, wanted int) {
	for wanted > 0 && !c.closed {
		msg, err := c.frontend.Receive()
		if err != nil {
			c.record = append(c.record, "closed")
			var timeout net.Error
			if ok := asNetError(err, &timeout); ok && timeout.Timeout() {
				c.record[len(c.record)-1] = "nothing came"
			}
			c.closed = true
			return
		}
		c.record = append(c.record, wireText(msg))
		if last(msg) {
			return
		}
	}
}

func asNetError(err error, target *net.Error) bool {
	for err != nil {
		if n, ok := err.(net.Error); ok { //nolint:errorlint // walks the chain itself
			*target = n
			return true
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return false
		}
		err = u.Unwrap()
	}
	return false
}

// wireText is a message as a line. Of errors, file, line and routine are left
// out: what the proxy answers itself has none.
func wireText(msg pgproto3.BackendMessage) string {
	switch m := msg.(type) {
	case *pgproto3.RowDescription:
		var b strings.Builder
		b.WriteString("RowDescription")
		for _, f := range m.Fields {
			fmt.Fprintf(&b, " %s:table=%d.%d,type=%d,%d,%d,format=%d", f.Name, f.TableOID, f.TableAttributeNumber, f.DataTypeOID, f.DataTypeSize, f.TypeModifier, f.Format)
		}
		return b.String()
	case *pgproto3.DataRow:
		var b strings.Builder
		b.WriteString("DataRow")
		for _, v := range m.Values {
			switch {
			case v == nil:
				b.WriteString(" null")
			case len(v) > 200:
				fmt.Fprintf(&b, " %q of %d bytes", v[:20], len(v))
			default:
				fmt.Fprintf(&b, " %q", v)
			}
		}
		return b.String()
	case *pgproto3.ErrorResponse:
		return "ErrorResponse " + wireFields(m)
	case *pgproto3.NoticeResponse:
		return "NoticeResponse " + wireFields((*pgproto3.ErrorResponse)(m))
	case *pgproto3.CommandComplete:
		return "CommandComplete " + string(m.CommandTag)
	case *pgproto3.ReadyForQuery:
		return "ReadyForQuery " + string(m.TxStatus)
	case *pgproto3.ParameterStatus:
		return "ParameterStatus " + m.Name + "=" + m.Value
	case *pgproto3.CopyData:
		return fmt.Sprintf("CopyData %q", m.Data)
	case *pgproto3.NotificationResponse:
		return fmt.Sprintf("NotificationResponse %s %q", m.Channel, m.Payload)
	default:
		return strings.TrimSpace(strings.TrimPrefix(fmt.Sprintf("%T %+v", msg, msg), "*pgproto3."))
	}
}

func wireFields(e *pgproto3.ErrorResponse) string {
	return fmt.Sprintf("%s %s %q detail=%q hint=%q position=%d internal=%d %q where=%q schema=%q table=%q column=%q type=%q constraint=%q",
		e.Severity, e.Code, e.Message, e.Detail, e.Hint, e.Position, e.InternalPosition, e.InternalQuery, e.Where,
		e.SchemaName, e.TableName, e.ColumnName, e.DataTypeName, e.ConstraintName)
}

// wireTargets are where scripts run, besides PostgreSQL.
var wireTargets = []string{"rls", "rewrite", "both", "operator"}

func TestTranscriptsAreThoseOfPostgreSQL(t *testing.T) {
	t.Parallel() // with others that take long
	files, err := filepath.Glob(filepath.Join("..", "testdata", "wire", "*.txt"))
	require.NoError(t, err)
	var scripts []wireScript
	for _, file := range files {
		for _, s := range readWireScripts(t, file) {
			s.name = strings.TrimSuffix(filepath.Base(file), ".txt") + ": " + s.name
			scripts = append(scripts, s)
		}
	}
	require.GreaterOrEqual(t, len(scripts), 120)
	manual, err := os.ReadFile(filepath.Join("..", "docs", "protocol.md"))
	require.NoError(t, err)
	direct := make(map[string][]string)
	alone := clinic.New(t, 1)
	url := alone.URL(alone.Oracle(t, "1"))
	for _, s := range scripts {
		require.NotContains(t, direct, s.name)
		client := dialWire(t, url)
		direct[s.name] = client.run(s)
		_ = client.conn.Close()
		require.NotContains(t, direct[s.name], "nothing came", s.name)
		for _, reason := range s.differs {
			require.Contains(t, string(manual), reason, s.name)
		}
	}
	for _, target := range wireTargets {
		t.Run(target, func(t *testing.T) {
			c := clinic.New(t, 1)
			change := func(cfg *Config) { poolOf(1)(cfg); cfg.TempTables = true }
			var through string
			if target == "operator" {
				g := open(t, c, RLS, change)
				g.database = c.Oracle(t, "1")
				through = g.url("ops")
			} else {
				enforce, err := ParseEnforcement(target)
				require.NoError(t, err)
				through = open(t, c, enforce, change).url("tenant1")
			}
			for _, s := range scripts {
				client := dialWire(t, through)
				got := client.run(s)
				_ = client.conn.Close()
				if reason, known := s.differs[target]; known {
					if slices.Equal(direct[s.name], got) {
						t.Errorf("%s: no longer differs: %s", s.name, reason)
					}
					continue
				}
				if !slices.Equal(direct[s.name], got) {
					t.Errorf("%s\n\tPostgreSQL:\n\t\t%s\n\tthe proxy:\n\t\t%s", s.name, strings.Join(direct[s.name], "\n\t\t"), strings.Join(got, "\n\t\t"))
				}
			}
		})
	}
}

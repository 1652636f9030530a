package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// A recorder keeps the bytes that come from the server's side, whoever reads
// them: pgconn may do so in the background.
type recorder struct {
	net.Conn

	mu   sync.Mutex
	seen []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	r.seen = append(r.seen, p[:n]...)
	r.mu.Unlock()
	return n, err
}

// A hostile is a client that sends messages as it likes and keeps all it gets.
type hostile struct {
	t        *testing.T
	url      string
	conn     *recorder
	frontend *pgproto3.Frontend
	status   byte // of the last ReadyForQuery; 0 when the connection is gone
	tidy     bool // nothing has been run since it was cleaned
	opened   func(*hostile)
}

// firstUserOID is the first number that PostgreSQL does not give itself.
const firstUserOID = 16384

// A transcript is what came of a script.
type transcript struct {
	lines []string // one for each part of an answer; those of rows are sorted
	codes []string // SQLSTATEs
	rules []string // of refusals
	lost  bool     // the connection ended
}

func newHostile(t *testing.T, url string, opened func(*hostile)) *hostile {
	t.Helper()
	h := &hostile{t: t, url: url, opened: opened}
	h.open()
	t.Cleanup(func() { _ = h.conn.Close() })
	return h
}

// open connects, again if need be.
func (h *hostile) open() {
	h.t.Helper()
	config, err := pgconn.ParseConfig(h.url)
	require.NoError(h.t, err)
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		h.conn = &recorder{Conn: conn}
		return h.conn, err
	}
	pg, err := pgconn.ConnectConfig(h.t.Context(), config)
	require.NoError(h.t, err)
	hijacked, err := pg.Hijack()
	require.NoError(h.t, err)
	h.frontend, h.status = hijacked.Frontend, hijacked.TxStatus
	if h.opened != nil {
		h.opened(h)
	}
}

// reopen connects again if the connection has ended.
func (h *hostile) reopen() {
	h.t.Helper()
	if h.status == 0 {
		_ = h.conn.Close()
		h.open()
	}
}

// run sends a script in a protocol: simple, extended with a Sync after each
// message, or pipeline with one Sync at its end.
func (h *hostile) run(protocol string, script []string, args [][]byte, data []string) transcript {
	h.t.Helper()
	var tr transcript
	h.tidy = false
	for i, message := range script {
		if h.status == 0 {
			break
		}
		if protocol == "simple" {
			h.frontend.Send(&pgproto3.Query{String: message})
		} else {
			h.frontend.Send(&pgproto3.Parse{Query: message})
			h.frontend.Send(&pgproto3.Bind{Parameters: args})
			h.frontend.Send(&pgproto3.Describe{ObjectType: 'P'})
			h.frontend.Send(&pgproto3.Execute{})
			if protocol == "pipeline" && i < len(script)-1 {
				continue
			}
			h.frontend.Send(&pgproto3.Sync{})
		}
		h.converse(&tr, protocol, data)
	}
	return tr
}

// must runs one simple query that cannot fail.
func (h *hostile) must(sql string) transcript {
	h.t.Helper()
	tr := h.run("simple", []string{sql}, nil, nil)
	require.Empty(h.t, tr.codes, sql)
	return tr
}

// converse sends what is pending and reads up to ReadyForQuery.
func (h *hostile) converse(tr *transcript, protocol string, data []string) {
	h.t.Helper()
	require.NoError(h.t, h.conn.SetDeadline(time.Now().Add(30*time.Second)))
	first := len(tr.lines)
	if err := h.frontend.Flush(); err != nil {
		h.status, tr.lost = 0, true
		return
	}
	for {
		msg, err := h.frontend.Receive()
		if err != nil {
			var timeout net.Error
			require.False(h.t, errors.As(err, &timeout) && timeout.Timeout(), "no answer: %v", err)
			require.True(h.t, errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset"), err)
			h.status, tr.lost = 0, true
			return
		}
		switch m := msg.(type) {
		case *pgproto3.ReadyForQuery:
			h.status = m.TxStatus
			slices.SortFunc(tr.lines[first:], func(a, b string) int { return strings.Compare(a, b) })
			return
		case *pgproto3.CopyInResponse:
			for _, line := range data {
				h.frontend.Send(&pgproto3.CopyData{Data: []byte(line + "\n")})
			}
			h.frontend.Send(&pgproto3.CopyDone{})
			if protocol != "simple" {
				h.frontend.Send(&pgproto3.Sync{})
			}
			if err := h.frontend.Flush(); err != nil {
				h.status, tr.lost = 0, true
				return
			}
		default:
			tr.add(msg)
		}
	}
}

// add notes what a message says.
func (tr *transcript) add(msg pgproto3.BackendMessage) {
	switch m := msg.(type) {
	case *pgproto3.RowDescription:
		var columns []string
		for _, f := range m.Fields {
			oid := f.DataTypeOID
			if oid >= firstUserOID {
				oid = firstUserOID // another one in each database
			}
			columns = append(columns, fmt.Sprintf("%s %d", f.Name, oid))
		}
		tr.lines = append(tr.lines, "T "+strings.Join(columns, ", "))
	case *pgproto3.DataRow:
		tr.lines = append(tr.lines, fmt.Sprintf("D %q", m.Values))
	case *pgproto3.CopyData:
		tr.lines = append(tr.lines, fmt.Sprintf("d %q", m.Data))
	case *pgproto3.CommandComplete:
		tr.lines = append(tr.lines, "C "+string(m.CommandTag))
	case *pgproto3.ErrorResponse:
		tr.lines = append(tr.lines, "E "+m.Code)
		tr.codes = append(tr.codes, m.Code)
		if rule, ok := strings.CutPrefix(m.Detail, "Rule: "); ok {
			tr.rules = append(tr.rules, strings.TrimSuffix(rule, "."))
		}
	default: // says nothing of rows
	}
}

func (tr *transcript) equal(other transcript) bool { return slices.Equal(tr.lines, other.lines) }

// holds reports whether a mark of another tenant has come.
func (h *hostile) holds(marks ...string) bool {
	h.conn.mu.Lock()
	defer h.conn.mu.Unlock()
	return slices.ContainsFunc(marks, func(mark string) bool { return bytes.Contains(h.conn.seen, []byte(mark)) })
}

// forget drops the bytes that have been looked at.
func (h *hostile) forget() {
	h.conn.mu.Lock()
	defer h.conn.mu.Unlock()
	h.conn.seen = h.conn.seen[:0]
}

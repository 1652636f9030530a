package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// A player is a session of a duet: a script for several sessions, each line of
// which begins with the one that it is for.
//
//	a> SELECT 1        a statement and its answer
//	a& SELECT 1        the same, but the script goes on before the answer
//	a.                 the answer to that
//	a! channel ...     waits for notifications: channel, or channel=payload
//	a-                 the session ends
type player struct {
	conn    *pgconn.PgConn
	pending chan string

	mu      sync.Mutex
	notices []string
	notes   []*pgconn.Notification
}

func newPlayer(t *testing.T, url string) *player {
	t.Helper()
	p := &player{}
	config, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.notices = append(p.notices, n.Severity+" "+n.Code+" "+n.Message)
	}
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.notes = append(p.notes, n)
	}
	p.conn, err = pgconn.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.conn.Close(context.Background()) })
	return p
}

// ask runs a statement and writes down all that it brings.
func (p *player) ask(sql string, extended bool) string {
	var out []string
	note := func(fields []pgconn.FieldDescription, rows [][][]byte, tag string, err error) {
		for _, f := range fields {
			out = append(out, fmt.Sprintf("%s:%d", f.Name, f.DataTypeOID))
		}
		for _, row := range rows {
			out = append(out, fmt.Sprintf("%q", row))
		}
		var pg *pgconn.PgError
		switch {
		case errors.As(err, &pg):
			out = append(out, fmt.Sprintf("%s %s %s at %d", pg.Severity, pg.Code, pg.Message, pg.Position))
		case err != nil:
			out = append(out, err.Error())
		default:
			out = append(out, tag)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if extended {
		r := p.conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
		note(r.FieldDescriptions, r.Rows, r.CommandTag.String(), r.Err)
	} else {
		all := p.conn.Exec(ctx, sql)
		for all.NextResult() {
			r := all.ResultReader().Read()
			note(r.FieldDescriptions, r.Rows, r.CommandTag.String(), r.Err)
		}
		if err := all.Close(); err != nil {
			note(nil, nil, "", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out = append(out, p.notices...)
	p.notices = nil
	return strings.Join(append(out, string(p.conn.TxStatus())), "; ")
}

// play runs a script and returns what its sessions saw.
func play(t *testing.T, script []string, extended bool, connect func(name string) *player) []string {
	t.Helper()
	players := make(map[string]*player)
	player := func(name string) *player {
		if players[name] == nil {
			players[name] = connect(name)
		}
		return players[name]
	}
	var seen []string
	for _, line := range script {
		p, rest := player(line[:1]), strings.TrimSpace(line[2:])
		answer := ""
		switch line[1] {
		case '>':
			answer = p.ask(rest, extended)
		case '&':
			p.pending = make(chan string, 1)
			go func() { p.pending <- p.ask(rest, extended) }()
		case '.':
			answer = <-p.pending
		case '!':
			answer = p.await(t, strings.Fields(rest), players)
		case '-':
			require.NoError(t, p.conn.Close(context.Background()))
			delete(players, line[:1])
		default:
			require.Fail(t, "no line of a script", line)
		}
		seen = append(seen, line+" -> "+answer)
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range players {
			if !yield(name) {
				return
			}
		}
	}) {
		p := players[name]
		p.ask("SELECT 1", extended) // brings what has come meanwhile
		seen = append(seen, name+" has heard "+p.heard(players))
		require.NoError(t, p.conn.Close(context.Background()))
	}
	return seen
}

// await waits until as many notifications have come as it names.
func (p *player) await(t *testing.T, want []string, players map[string]*player) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		p.mu.Lock()
		n := len(p.notes)
		p.mu.Unlock()
		if n >= len(want) {
			break
		}
		require.NoError(t, p.conn.WaitForNotification(ctx), "%v", want)
	}
	return p.heard(players)
}

// heard takes the notifications that have come: channel, payload and the
// session that sent it.
func (p *player) heard(players map[string]*player) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, n := range p.notes {
		from := "another"
		for name, other := range players {
			if other.conn.PID() == n.PID {
				from = name
			}
		}
		out = append(out, fmt.Sprintf("%s=%q from %s", n.Channel, n.Payload, from))
	}
	p.notes = nil
	return strings.Join(out, ", ")
}

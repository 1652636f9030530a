package pool

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// A Querier runs the proxy's own statements on a connection of its own, opened
// when it is first needed and again after a failure. Calls take turns.
type Querier struct {
	server *pgconn.Config

	mu   sync.Mutex
	conn *pgconn.PgConn
}

// NewQuerier returns a Querier without a connection.
func NewQuerier(server *pgconn.Config) *Querier {
	server = server.Copy()
	if server.RuntimeParams == nil {
		server.RuntimeParams = make(map[string]string)
	}
	server.RuntimeParams["client_encoding"] = "UTF8" // whatever the role or database say
	return &Querier{server: server}
}

// Query runs one statement and returns its rows in text format; nil is NULL. A
// connection that broke since the last call is replaced once.
func (q *Querier) Query(ctx context.Context, sql string, args ...string) ([][]*string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	reused := q.conn != nil && !q.conn.IsClosed()
	rows, err := q.run(ctx, sql, args)
	if err != nil && reused && q.conn.IsClosed() && ctx.Err() == nil {
		rows, err = q.run(ctx, sql, args)
	}
	return rows, err
}

// Close closes the connection, if there is one.
func (q *Querier) Close(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.conn != nil {
		_ = q.conn.Close(ctx)
		q.conn = nil
	}
}

func (q *Querier) run(ctx context.Context, sql string, args []string) ([][]*string, error) {
	if q.conn == nil || q.conn.IsClosed() {
		conn, err := pgconn.ConnectConfig(ctx, q.server)
		if err != nil {
			return nil, fmt.Errorf("connect to server: %w", err)
		}
		q.conn = conn
	}
	params := make([][]byte, len(args))
	for i, arg := range args {
		params[i] = []byte(arg)
	}
	result := q.conn.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	rows := make([][]*string, len(result.Rows))
	for i, values := range result.Rows {
		rows[i] = make([]*string, len(values))
		for j, value := range values {
			if value != nil {
				text := string(value)
				rows[i][j] = &text
			}
		}
	}
	return rows, nil
}

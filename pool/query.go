package pool

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A Querier runs the proxy's own statements on a connection of its own, opened
// when it is first needed and again after a failure. Calls take turns.
type Querier struct {
	server *pgconn.Config
	turn   chan struct{} // holds one token: whoever has it uses conn
	conn   *pgconn.PgConn
}

// queryConnect bounds the time to connect, which a Query is part of.
const queryConnect = 10 * time.Second

// NewQuerier returns a Querier without a connection.
func NewQuerier(server *pgconn.Config) *Querier {
	server = server.Copy()
	if server.RuntimeParams == nil {
		server.RuntimeParams = make(map[string]string)
	}
	server.RuntimeParams["client_encoding"] = "UTF8" // whatever the role or database say
	return &Querier{server: server, turn: make(chan struct{}, 1)}
}

// Query runs one statement and returns its rows in text format; nil is NULL. A
// connection that broke since the last call is replaced once.
func (q *Querier) Query(ctx context.Context, sql string, args ...string) ([][]*string, error) {
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	reused := q.conn != nil && !q.conn.IsClosed()
	rows, err := q.run(ctx, sql, args)
	if err != nil && reused && q.conn.IsClosed() && ctx.Err() == nil {
		rows, err = q.run(ctx, sql, args)
	}
	return rows, err
}

// Close closes the connection, if there is one.
func (q *Querier) Close(ctx context.Context) {
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return // it is in use still
	}
	if q.conn != nil {
		_ = q.conn.Close(ctx)
		q.conn = nil
	}
}

func (q *Querier) run(ctx context.Context, sql string, args []string) ([][]*string, error) {
	if q.conn == nil || q.conn.IsClosed() {
		conn, err := Connect(ctx, q.server, queryConnect)
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

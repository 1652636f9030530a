package pgtest

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// Null stands for NULL in an Outcome's rows; no value of the tests' data is
// equal to it.
const Null = "\x00NULL"

// An Outcome is all that a client learns from one statement.
type Outcome struct {
	Columns []string
	Types   []uint32 // of the columns
	Rows    [][]string
	Tag     string // command tag
	Code    string // SQLSTATE, "" without an error
	Message string // of the error
}

// Connect returns a connection that is closed after the test.
func Connect(t testing.TB, url string) *pgconn.PgConn {
	t.Helper()
	ctx := context.Background()
	conn, err := pgconn.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(ctx) }) // the test may have ended it already
	return conn
}

// Simple runs SQL text in the simple protocol: an Outcome for each statement
// that ran.
func Simple(t testing.TB, conn *pgconn.PgConn, sql string) []Outcome {
	t.Helper()
	var outcomes []Outcome
	results := conn.Exec(context.Background(), sql)
	for results.NextResult() {
		outcomes = append(outcomes, read(t, results.ResultReader()))
	}
	var pgErr *pgconn.PgError
	if err := results.Close(); errors.As(err, &pgErr) {
		// A statement that fails before it has rows is no result of its own.
		if n := len(outcomes); n == 0 || outcomes[n-1].Code == "" {
			outcomes = append(outcomes, Outcome{Code: pgErr.Code, Message: pgErr.Message})
		}
	} else {
		require.NoError(t, err, sql)
	}
	return outcomes
}

// Extended runs one statement in the extended protocol, parameters and results
// in text format. A nil argument is NULL.
func Extended(t testing.TB, conn *pgconn.PgConn, sql string, args ...[]byte) Outcome {
	t.Helper()
	return read(t, conn.ExecParams(context.Background(), sql, args, nil, nil, nil))
}

// Formats is Extended with the formats of parameters and results.
func Formats(t testing.TB, conn *pgconn.PgConn, sql string, args [][]byte, params, results []int16) Outcome {
	t.Helper()
	return read(t, conn.ExecParams(context.Background(), sql, args, nil, params, results))
}

// Must returns the rows of one statement that must not fail.
func Must(t testing.TB, conn *pgconn.PgConn, sql string) [][]string {
	t.Helper()
	outcomes := Simple(t, conn, sql)
	require.NotEmpty(t, outcomes, sql)
	last := outcomes[len(outcomes)-1]
	require.Empty(t, last.Code, "%s: %s", sql, last.Message)
	return last.Rows
}

func read(t testing.TB, r *pgconn.ResultReader) Outcome {
	t.Helper()
	var o Outcome
	for _, field := range r.FieldDescriptions() {
		o.Columns = append(o.Columns, field.Name)
		o.Types = append(o.Types, field.DataTypeOID)
	}
	for r.NextRow() {
		var row []string
		for _, value := range r.Values() {
			if value == nil {
				row = append(row, Null)
			} else {
				row = append(row, string(value))
			}
		}
		o.Rows = append(o.Rows, row)
	}
	tag, err := r.Close()
	o.Tag = tag.String()
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		o.Code, o.Message = pgErr.Code, pgErr.Message
	} else {
		require.NoError(t, err)
	}
	return o
}

// A Querier runs statements for catalog.Load on a connection.
type Querier struct {
	Conn *pgconn.PgConn
}

// Query returns a statement's rows in text format; nil is NULL.
func (q Querier) Query(ctx context.Context, sql string, args ...string) ([][]*string, error) {
	params := make([][]byte, len(args))
	for i, arg := range args {
		params[i] = []byte(arg)
	}
	result := q.Conn.ExecParams(ctx, sql, params, nil, nil, nil).Read()
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

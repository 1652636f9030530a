package catalog

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A conn is a Querier over one connection.
type conn struct{ *pgconn.PgConn }

func (c conn) Query(ctx context.Context, sql string, args ...string) ([][]*string, error) {
	params := make([][]byte, len(args))
	for i, arg := range args {
		params[i] = []byte(arg)
	}
	result := c.ExecParams(ctx, sql, params, nil, nil, nil)
	var rows [][]*string
	for result.NextRow() {
		var row []*string
		for _, value := range result.Values() {
			if value == nil {
				row = append(row, nil)
				continue
			}
			s := string(value)
			row = append(row, &s)
		}
		rows = append(rows, row)
	}
	_, err := result.Close()
	return rows, err
}

// superuser connects to a database as the superuser.
func superuser(t testing.TB, database string) conn {
	return connect(t, pgtest.Server(t).SuperuserURL(database))
}

func connect(t testing.TB, url string) conn {
	t.Helper()
	c, err := pgconn.Connect(context.Background(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	return conn{c}
}

// role makes a role for one test and returns a URL to connect with. The role
// must be gone from all databases by the end.
func role(t testing.TB, database, name, attributes string) string {
	t.Helper()
	s := pgtest.Server(t)
	require.NoError(t, s.Exec(context.Background(), database, "CREATE ROLE "+quoteName(name)+" LOGIN PASSWORD 'secret' "+attributes))
	dropLater(t, database, name)
	return s.URL(name, "secret", database)
}

func dropLater(t testing.TB, database, name string) {
	t.Helper()
	t.Cleanup(func() {
		s := pgtest.Server(t)
		require.NoError(t, s.Exec(context.Background(), database,
			"DROP OWNED BY "+quoteName(name)+" CASCADE; DROP ROLE "+quoteName(name)))
	})
}

func load(t testing.TB, q Querier, cfg Config) *Snapshot {
	t.Helper()
	s, err := Load(context.Background(), q, cfg)
	require.NoError(t, err)
	return s
}

// exec runs statements and returns the rows of the last, columns between bars.
func (c conn) exec(t testing.TB, sql string) []string {
	t.Helper()
	rows, err := c.try(sql)
	require.NoError(t, err, sql)
	return rows
}

func (c conn) try(sql string) ([]string, error) {
	results, err := c.PgConn.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows []string
	for _, row := range results[len(results)-1].Rows {
		var values []string
		for _, value := range row {
			values = append(values, string(value))
		}
		rows = append(rows, strings.Join(values, "|"))
	}
	return rows, nil
}

// requireSQLState requires that a statement fails with a state.
func (c conn) requireSQLState(t testing.TB, state, sql string) {
	t.Helper()
	_, err := c.try(sql)
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr, sql)
	require.Equal(t, state, pgErr.Code, pgErr.Message)
}

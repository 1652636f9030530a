package pgtest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

func TestDatabasesOfATestAreItsOwn(t *testing.T) {
	NoLeaks(t)
	first := Database(t, "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (NULL)")
	second := Copy(t, first, "DELETE FROM t WHERE n IS NULL")
	require.Equal(t, [][]string{{"1"}, {Null}}, Must(t, Connect(t, Server(t).SuperuserURL(first)), "TABLE t ORDER BY n"))
	require.Equal(t, [][]string{{"1"}}, Must(t, Connect(t, Server(t).SuperuserURL(second)), "TABLE t"))
}

func TestOutcomeIsWhatTheClientLearns(t *testing.T) {
	conn := Connect(t, Server(t).SuperuserURL(Database(t, "CREATE TABLE t (n int UNIQUE)")))
	require.Equal(t, []Outcome{
		{Tag: "INSERT 0 1"},
		{Columns: []string{"n", "x"}, Types: []uint32{23, 25}, Rows: [][]string{{"1", Null}}, Tag: "SELECT 1"},
		{Code: "23505", Message: `duplicate key value violates unique constraint "t_n_key"`},
	}, Simple(t, conn, "INSERT INTO t VALUES (1); SELECT n, NULL AS x FROM t; INSERT INTO t VALUES (1); SELECT 2"))

	failedLate := Simple(t, conn, "SELECT 1/(2-n) FROM generate_series(1,2) n")
	require.Len(t, failedLate, 1)
	require.Equal(t, "22012", failedLate[0].Code)

	require.Equal(t, [][]string{{"7"}}, Extended(t, conn, "SELECT $1::int + 2", []byte("5")).Rows)
	require.Equal(t, "22P02", Extended(t, conn, "SELECT $1::int", []byte("x")).Code)
}

func TestQuerierReturnsText(t *testing.T) {
	conn := Connect(t, Server(t).SuperuserURL("postgres"))
	rows, err := Querier{conn}.Query(context.Background(), "SELECT $1 || 'b', NULL", "a")
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, "ab", *rows[0][0])
	require.Nil(t, rows[0][1])
}

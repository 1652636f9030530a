package proxy

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// pageFaults are those of a process without I/O so far (minflt in proc_pid_stat(5)).
func pageFaults(t *testing.T, pid string) int {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	require.NoError(t, err)
	_, fields, _ := strings.Cut(string(stat), ") ")
	faults, err := strconv.Atoi(strings.Fields(fields)[7])
	require.NoError(t, err)
	return faults
}

// The server's process has the memory for a large statement from the one before.
func TestMemoryOfLargeStatementsIsKept(t *testing.T) {
	c := clinic.New(t, 1)
	var values strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&values, ", (%d, 'a line of some length', 12.50)", i)
	}
	sql := "SELECT count(*) FROM (VALUES " + values.String()[1:] + ") AS v (id, line, amount) WHERE id > (SELECT count(*) FROM log_lines)"
	for _, enforce := range enforcements {
		for name, run := range map[string]func(*pgconn.PgConn){
			"simple": func(conn *pgconn.PgConn) { pgtest.Must(t, conn, sql) },
			"extended": func(conn *pgconn.PgConn) {
				require.NoError(t, conn.ExecParams(t.Context(), sql, nil, nil, nil, nil).Read().Err)
			},
			"in a block": func(conn *pgconn.PgConn) {
				pgtest.Must(t, conn, "BEGIN ISOLATION LEVEL SERIALIZABLE")
				pgtest.Must(t, conn, sql)
				pgtest.Must(t, conn, "COMMIT")
			},
		} {
			g := open(t, c, enforce, poolOf(1))
			conn := g.tenant("1")
			for range 3 {
				run(conn)
			}
			pid := pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL(g.database)),
				"SELECT pid FROM pg_stat_activity WHERE usename = '"+clinic.Role+"' AND datname = current_database() ORDER BY backend_start DESC LIMIT 1")[0][0]
			before := pageFaults(t, pid)
			const times = 10
			for range times {
				run(conn)
			}
			require.Less(t, (pageFaults(t, pid)-before)/times, 100, "%s %s", enforce, name) // 420 to 460 where it is given back
		}
	}
}

// What a message begins with may have to be the first of its transaction.
func TestLargeTransactionBeginsAsTheClientSays(t *testing.T) {
	c := clinic.New(t, 1)
	large := " /* " + strings.Repeat("x", largeStatement) + " */"
	for _, enforce := range enforcements {
		conn := open(t, c, enforce, poolOf(1)).tenant("1")
		for _, sql := range []string{
			"BEGIN ISOLATION LEVEL SERIALIZABLE" + large + "; SELECT count(*) FROM patients; COMMIT",
			"BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ" + large + "; SELECT count(*) FROM patients; COMMIT",
			"SET application_name = 'x'" + large,
			"SELECT count(*) FROM patients" + large + "; SELECT 1",
			"COMMIT" + large,
		} {
			pgtest.Must(t, conn, sql)
		}
		_, err := conn.Exec(t.Context(), "SELECT 1/0"+large).ReadAll()
		require.Equal(t, "22012", sqlState(t, err))
		_, err = conn.Exec(t.Context(), "SELECT nosuch FROM patients"+large).ReadAll()
		require.Equal(t, "42703", sqlState(t, err))
	}
}

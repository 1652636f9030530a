package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/pool"
)

func TestLoginDecidesTheTenant(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			one, two := g.tenant("1"), g.tenant("2")
			for range 3 { // over the same server connection
				require.Equal(t, [][]string{{"1"}}, pgtest.Must(t, one, "SELECT DISTINCT tenant_id FROM patients"))
				require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, two, "SELECT DISTINCT tenant_id FROM patients"))
				require.Equal(t, [][]string{{"1"}}, pgtest.Extended(t, one, "SELECT DISTINCT tenant_id FROM patients").Rows)
				require.Equal(t, [][]string{{"2"}}, pgtest.Extended(t, two, "SELECT DISTINCT tenant_id FROM patients").Rows)
			}
		})
	}
}

// leftover asks a server connection of the pool for the tenant it carries.
func leftover(t *testing.T, g *gate) string {
	t.Helper()
	c, err := g.pool().Acquire(t.Context(), pool.Group{Name: "test"})
	require.NoError(t, err)
	defer g.pool().Release(c)
	msg := appendBindText(nil, showStatement, clinic.Setting)
	msg = appendBare(appendExecute(msg, "", 0), 'S')
	_, err = c.Net.Write(msg)
	require.NoError(t, err)
	value := ""
	for {
		for c.End-c.Start < headSize {
			require.NoError(t, c.Fill())
		}
		size := 1 + int(c.Buffer[c.Start+3])<<8 + int(c.Buffer[c.Start+4])
		for c.End-c.Start < size {
			require.NoError(t, c.Fill())
		}
		typ, body := c.Buffer[c.Start], c.Buffer[c.Start+headSize:c.Start+size]
		c.Start += size
		switch typ {
		case 'D':
			column, err := onlyColumn(body)
			require.NoError(t, err)
			value = string(column)
		case 'E':
			value = string(body) // "unrecognized configuration parameter": never set
		case 'Z':
			return value
		}
	}
}

func TestNothingOfTheTenantIsLeftOnTheServerConnection(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, poolOf(1))
	conn := g.tenant("1")
	for _, sql := range []string{
		"SELECT 1", "BEGIN; SELECT count(*) FROM patients; COMMIT", "BEGIN; SELECT 1; ROLLBACK",
		"BEGIN; SELECT 1/0", "ROLLBACK", "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT; SELECT 2",
		"SELECT 1/0", "BEGIN; SAVEPOINT a; SELECT 1/0", "ROLLBACK TO a", "COMMIT",
	} {
		pgtest.Simple(t, conn, sql)
		if conn.TxStatus() == 'I' {
			require.Empty(t, leftover(t, g), sql)
		}
	}
}

func TestTransactionsKeepTheirTenantHoweverTheyBegin(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn := g.tenant("1")
			own := "SELECT DISTINCT tenant_id FROM patients"
			for _, script := range [][]string{
				{own},
				{"BEGIN", own, own, "COMMIT", own},
				{"BEGIN ISOLATION LEVEL SERIALIZABLE", own, "ROLLBACK"},
				{"BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SHOW transaction_isolation", own, "COMMIT"},
				{"BEGIN ISOLATION LEVEL SERIALIZABLE; " + own, own, "COMMIT; " + own},
				{"BEGIN; " + own + "; COMMIT; " + own},
				{"BEGIN; SAVEPOINT a", own, "ROLLBACK TO a", own, "COMMIT"},
				{"BEGIN", "SAVEPOINT a", "ROLLBACK TO SAVEPOINT a", own, "COMMIT"},
				{"BEGIN", own, "ROLLBACK; BEGIN", own, "COMMIT"},
				{own + "; COMMIT; " + own, own},
				{"BEGIN", own, "RESET ALL", own, "COMMIT", "RESET ALL", own},
				{"BEGIN; " + own + "; RESET ALL; " + own, own, "COMMIT"},
				{own + "; RESET ALL", own},
				{own + "; CLOSE ALL; UNLISTEN *; RESET ALL; SHOW TimeZone", own, "RESET ALL; COMMIT; " + own},
				{own + "; BEGIN; " + own, own, "COMMIT"},
				{"SELECT 1; ROLLBACK; " + own},
			} {
				for _, sql := range script {
					for _, o := range pgtest.Simple(t, conn, sql) {
						require.Empty(t, o.Code, "%v: %s: %s", script, sql, o.Message)
						if len(o.Columns) == 1 && o.Columns[0] == "tenant_id" {
							require.Equal(t, [][]string{{"1"}}, o.Rows, "%v: %s", script, sql)
						}
					}
				}
				require.EqualValues(t, 'I', conn.TxStatus(), script)
			}
			if enforce != Rewrite { // the tenant goes between the two, which are one transaction
				require.Equal(t, "0A000", pgtest.Simple(t, conn, "RESET ALL; "+own)[0].Code)
			}
		})
	}
}

func TestIsolationLevelOfATransactionHolds(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	conn := g.tenant("1")
	outcomes := pgtest.Simple(t, conn, "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM patients; SHOW transaction_isolation; COMMIT")
	require.Len(t, outcomes, 4)
	require.Equal(t, [][]string{{"serializable"}}, outcomes[2].Rows)
}

func TestRefusedStatementFailsItsTransaction(t *testing.T) {
	g := open(t, clinic.New(t, 1), Both, nil)
	conn := g.tenant("1")
	pgtest.Must(t, conn, "BEGIN")
	pgtest.Must(t, conn, "UPDATE patients SET balance = 5")
	refused := pgtest.Simple(t, conn, "SET ROLE clinic_owner")
	require.Equal(t, "42501", refused[0].Code)
	require.EqualValues(t, 'E', conn.TxStatus())
	require.Equal(t, "25P02", pgtest.Simple(t, conn, "SELECT 1")[0].Code)
	require.Equal(t, "ROLLBACK", pgtest.Simple(t, conn, "COMMIT")[0].Tag)
	require.EqualValues(t, 'I', conn.TxStatus())
}

func TestRefusalInAPipelineUndoesWhatCameBefore(t *testing.T) {
	g := open(t, clinic.New(t, 1), Both, nil)
	conn := g.tenant("1")
	before := pgtest.Must(t, conn, "SELECT sum(balance) FROM patients")
	pipeline := conn.StartPipeline(t.Context())
	pipeline.SendQueryParams("UPDATE patients SET balance = balance + 1", nil, nil, nil, nil)
	pipeline.SendQueryParams("SET ROLE clinic_owner", nil, nil, nil, nil)
	pipeline.SendQueryParams("SELECT 1", nil, nil, nil, nil)
	require.NoError(t, pipeline.Sync())
	var codes []string
	for range 2 {
		results, err := pipeline.GetResults()
		if err == nil {
			if rr, ok := results.(*pgconn.ResultReader); ok {
				_, err = rr.Close()
			}
		}
		code := ""
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) {
			code = pgErr.Code
		}
		codes = append(codes, code)
	}
	require.Equal(t, []string{"", "42501"}, codes)
	require.NoError(t, pipeline.Close())
	require.Equal(t, before, pgtest.Must(t, conn, "SELECT sum(balance) FROM patients"))
}

func TestRunTimeParametersFollowTheClient(t *testing.T) {
	g := open(t, clinic.New(t, 2), RLS, poolOf(1))
	one, two := g.tenant("1"), g.tenant("2")
	show := func(conn *pgconn.PgConn, name string) string {
		return pgtest.Must(t, conn, "SHOW "+name)[0][0]
	}
	standard := show(two, "TimeZone")
	pgtest.Must(t, one, "SET TimeZone TO 'Asia/Tokyo'")
	require.Equal(t, "Asia/Tokyo", one.ParameterStatus("TimeZone"))
	for range 2 {
		require.Equal(t, standard, show(two, "TimeZone"))
		require.Equal(t, "Asia/Tokyo", show(one, "TimeZone"))
	}
	pgtest.Must(t, one, "BEGIN")
	pgtest.Must(t, one, "SET statement_timeout TO '7s'")
	pgtest.Must(t, one, "ROLLBACK")
	require.NotEqual(t, "7s", show(one, "statement_timeout"))
	pgtest.Must(t, one, "SET statement_timeout TO '7s'")
	require.Equal(t, "0", show(two, "statement_timeout"))
	require.Equal(t, "7s", show(one, "statement_timeout"))
	pgtest.Must(t, one, "RESET ALL")
	require.Equal(t, "0", show(one, "statement_timeout"))
	require.Equal(t, standard, show(one, "TimeZone"))
}

func TestStartUpParametersHoldAndAreReported(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, poolOf(1))
	for range 2 { // learned by the first connection
		conn := g.tenant("1", "application_name=billing", "TimeZone=Asia/Tokyo", "options=-c%20statement_timeout%3D7s")
		require.Equal(t, "Asia/Tokyo", conn.ParameterStatus("TimeZone"))
		require.Equal(t, "billing", conn.ParameterStatus("application_name"))
		require.Equal(t, "7s", pgtest.Must(t, conn, "SHOW statement_timeout")[0][0])
		require.Equal(t, "Asia/Tokyo", pgtest.Must(t, conn, "SHOW TimeZone")[0][0])
	}
	_, err := pgconn.Connect(t.Context(), g.url("tenant1", "TimeZone=Atlantis"))
	require.Equal(t, "22023", sqlState(t, err))
	_, err = pgconn.Connect(t.Context(), g.url("tenant1", "options=-c%20app.tenant_id%3D2"))
	require.Equal(t, "42501", sqlState(t, err))
}

func TestStartUpParametersAreReportedWhateverOthersHaveSet(t *testing.T) {
	c := clinic.New(t, 2)
	for _, login := range []string{"tenant1", "ops"} {
		g := open(t, c, RLS, poolOf(1))
		pgtest.Must(t, pgtest.Connect(t, g.url(login)), "SET DateStyle = 'SQL'; SET IntervalStyle = 'iso_8601'")
		for range 2 { // learned by the first connection
			conn := pgtest.Connect(t, g.url(login, "DateStyle=ISO", "IntervalStyle=postgres"))
			require.Equal(t, "ISO, MDY", conn.ParameterStatus("DateStyle"), login)
			require.Equal(t, "postgres", conn.ParameterStatus("IntervalStyle"), login)
			require.Equal(t, [][]string{{"ISO, MDY"}}, pgtest.Must(t, conn, "SHOW DateStyle"), login)
		}
	}
}

func sqlState(t *testing.T, err error) string {
	t.Helper()
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	return pgErr.Code
}

func TestLoginsAreRefusedWithTheirReason(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	refused := func(url string) string {
		_, err := pgconn.Connect(t.Context(), url)
		return sqlState(t, err)
	}
	require.Equal(t, "28000", refused(g.url("gone")))
	require.Equal(t, "28P01", refused(g.url("nobody")))
	g.database = "postgres"
	require.Equal(t, "3D000", refused(g.url("tenant1")))
}

func TestPreparedStatementsLiveAcrossServerConnections(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(2))
			one, two := g.tenant("1"), g.tenant("2")
			const sql = "SELECT tenant_id FROM patients WHERE id >= $1 GROUP BY 1"
			for name, conn := range map[string]*pgconn.PgConn{"1": one, "2": two} {
				_, err := conn.Prepare(t.Context(), "same_name", sql, nil)
				require.NoError(t, err, name)
			}
			held, err := g.pool().Acquire(t.Context(), pool.Group{Name: "test"}) // so that either gets the other connection at times
			require.NoError(t, err)
			for i := range 6 {
				for key, conn := range map[string]*pgconn.PgConn{"1": one, "2": two} {
					result := conn.ExecPrepared(t.Context(), "same_name", [][]byte{[]byte("0")}, nil, nil).Read()
					require.NoError(t, result.Err)
					require.Equal(t, key, string(result.Rows[0][0]))
				}
				if i == 3 {
					g.pool().Release(held)
				}
			}
			_, err = one.Prepare(t.Context(), "same_name", "SELECT 1", nil)
			require.Equal(t, "42P05", sqlState(t, err))
			require.NoError(t, one.Deallocate(t.Context(), "same_name"))
			require.Equal(t, "26000", sqlState(t, one.ExecPrepared(t.Context(), "same_name", [][]byte{[]byte("0")}, nil, nil).Read().Err))
			require.NoError(t, two.ExecPrepared(t.Context(), "same_name", [][]byte{[]byte("0")}, nil, nil).Read().Err)
		})
	}
}

func TestDescriptionHidesTheProxysParameter(t *testing.T) {
	g := open(t, clinic.New(t, 1), Both, nil)
	d, err := g.tenant("1").Prepare(t.Context(), "s", "SELECT id, name FROM patients WHERE id = $1 AND born < $2", nil)
	require.NoError(t, err)
	require.Equal(t, []uint32{23, 1082}, d.ParamOIDs)
	require.Len(t, d.Fields, 2)
}

// cancelled runs a statement without end, asks for its cancellation until it
// has ended, and returns its SQLSTATE.
func cancelled(t *testing.T, conn *pgconn.PgConn, sql string) string {
	t.Helper()
	ended := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-time.After(200 * time.Millisecond):
				_ = conn.CancelRequest(context.Background())
			}
		}
	})
	outcomes := pgtest.Simple(t, conn, sql)
	close(ended)
	asking.Wait()
	return outcomes[0].Code
}

func TestCancelStopsTheRightStatement(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	conn := g.tenant("1")
	require.Equal(t, "57014", cancelled(t, conn, long))
	require.NoError(t, conn.CancelRequest(t.Context())) // hits nothing
	pgtest.Must(t, conn, "SELECT 1")
}

func TestServerConnectionThatDiesIsReportedAndTheSessionGoesOn(t *testing.T) {
	c := clinic.New(t, 1)
	g := open(t, c, RLS, poolOf(1))
	conn := g.tenant("1")
	pgtest.Must(t, conn, "BEGIN")
	pid := pgtest.Must(t, conn, "SELECT pg_backend_pid()")[0][0]
	require.NoError(t, c.Server.Exec(t.Context(), "postgres", fmt.Sprintf("SELECT pg_terminate_backend(%s, 5000)", pid)))
	require.Equal(t, "57P01", pgtest.Simple(t, conn, "SELECT 1")[0].Code)
	require.EqualValues(t, 'E', conn.TxStatus())
	require.Equal(t, "ROLLBACK", pgtest.Simple(t, conn, "COMMIT")[0].Tag)
	pgtest.Must(t, conn, "SELECT count(*) FROM patients")
}

func TestOperatorIsConfinedByNobody(t *testing.T) {
	c := clinic.New(t, 2)
	g := open(t, c, Rewrite, nil)
	conn := pgtest.Connect(t, g.url("ops"))
	require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, conn, "SELECT count(DISTINCT tenant_id) FROM patients"))
	pgtest.Must(t, conn, "SET work_mem TO '5MB'")
	require.Equal(t, "5MB", pgtest.Must(t, conn, "SHOW work_mem")[0][0])
}

func TestShutdownLetsTransactionsEnd(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	idle, busy := g.tenant("1"), g.tenant("1")
	pgtest.Must(t, busy, "BEGIN")
	pgtest.Must(t, busy, "SELECT count(*) FROM patients")
	done := make(chan error, 1)
	go func() { done <- g.server.Shutdown(context.Background()) }()
	require.Equal(t, "57P01", sqlState(t, waitForError(t, idle)))
	pgtest.Must(t, busy, "SELECT count(*) FROM patients")
	pgtest.Must(t, busy, "COMMIT")
	require.Equal(t, "57P01", sqlState(t, waitForError(t, busy)))
	require.NoError(t, <-done)
	_, err := pgconn.Connect(t.Context(), g.url("tenant1"))
	require.Error(t, err)
}

// waitForError runs statements until the connection is told to end.
func waitForError(t *testing.T, conn *pgconn.PgConn) error {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err := conn.Ping(t.Context()); err != nil {
			return err
		}
	}
	t.Fatal("the connection was not ended")
	return nil
}

func TestPanicEndsOneClientAndNoOther(t *testing.T) {
	g := open(t, clinic.New(t, 2), RLS, func(cfg *Config) {
		poolOf(1)(cfg)
		cfg.Log = cfg.Log.Level(zerolog.Disabled)
	})
	one, two := g.tenant("1"), g.tenant("2")
	pgtest.Must(t, one, "BEGIN")
	pgtest.Must(t, one, "SELECT 1")
	g.server.mu.Lock()
	for _, s := range g.server.sessions {
		if s.tenant.ID == "tenant1" {
			s.mu.Lock()
			s.statements = nil // what Parse will trip over
			s.mu.Unlock()
		}
	}
	g.server.mu.Unlock()
	_, err := one.Prepare(t.Context(), "s", "SELECT 1", nil)
	require.Error(t, err)
	require.True(t, one.IsClosed())
	require.Equal(t, [][]string{{"2"}}, pgtest.Must(t, two, "SELECT DISTINCT tenant_id FROM patients")) // over a new server connection
}

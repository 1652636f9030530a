package proxy

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// hosts makes a gate's backend one of several addresses, tried in that order.
func hosts(t testing.TB, c *clinic.Clinic, addresses ...string) func(*Config) {
	return func(cfg *Config) {
		url := strings.Replace(c.URL(c.Policies()), c.Server.Addr(), strings.Join(addresses, ","), 1)
		b := cfg.Backends["main"]
		var err error
		b.Pool.Server, err = pgconn.ParseConfig(url)
		require.NoError(t, err)
		cfg.Backends["main"] = b
	}
}

func TestStatementsGoToTheNextHostWhenAServerIsGone(t *testing.T) {
	nothingLeaks(t)
	var first, second *clinic.Clinic
	var starting sync.WaitGroup
	starting.Go(func() { first = ward(t, nil) })
	starting.Go(func() { second = ward(t, nil) })
	starting.Wait()
	g := open(t, first, RLS, hosts(t, first, first.Server.Addr(), second.Server.Addr()))
	conn, idle := g.tenant("1"), g.tenant("2")
	pgtest.Must(t, idle, "SELECT count(*) FROM done")
	pgtest.Must(t, conn, "PREPARE put AS INSERT INTO done (mark) VALUES ('prepared')")
	pgtest.Must(t, conn, "SET TimeZone = 'Asia/Tokyo'")
	pgtest.Must(t, conn, "EXECUTE put")
	pgtest.Must(t, conn, "BEGIN")
	pgtest.Must(t, conn, "INSERT INTO done (mark) VALUES ('undone')")
	require.Equal(t, "1", times(t, first, "ward", "prepared"))

	require.NoError(t, first.Server.Kill())
	require.Equal(t, "08006", ended(simple(conn, "INSERT INTO done (mark) VALUES ('undone')")))
	require.Equal(t, "25P02", ended(simple(conn, "EXECUTE put")))
	pgtest.Must(t, conn, "ROLLBACK")
	for range 3 {
		pgtest.Must(t, conn, "EXECUTE put")
		pgtest.Must(t, idle, "INSERT INTO done (mark) VALUES ('idle')")
	}
	require.Equal(t, "Asia/Tokyo", pgtest.Must(t, conn, "SHOW TimeZone")[0][0])
	require.Equal(t, "3", times(t, second, "ward", "prepared"))
	require.Equal(t, "3", times(t, second, "ward", "idle"))
	require.Equal(t, "0", times(t, second, "ward", "undone"))
	pgtest.Must(t, g.tenant("1"), "SELECT count(*) FROM done") // logins, too
	allBack(t, g.pool())
}

func TestHostThatIsSilentCostsNoMoreThanItsShareOfTheTime(t *testing.T) {
	nothingLeaks(t)
	c := clinic.New(t, 1)
	silent := pgtest.NewNetwork(t, c.Server.Addr())
	g := open(t, c, RLS, func(cfg *Config) {
		hosts(t, c, silent.Addr, c.Server.Addr())(cfg)
		b := cfg.Backends["main"]
		b.Pool.AcquireTimeout = 6 * time.Second
		b.Pool.Silence = time.Second
		cfg.Backends["main"] = b
	})
	conn := g.tenant("1")
	pgtest.Must(t, conn, "SELECT 1")
	require.NotZero(t, silent.Connections())
	eventually(t, func() bool { return g.pool().Stat().Idle > 0 }, "the server connection is given back after the client has its answer")
	silent.Stall()
	eventually(t, func() bool { return g.pool().Stat().Idle == 0 }, "the idle connection is not missed")
	pgtest.Must(t, conn, "SELECT 1") // half of the time for the first, the rest for the second
	allBack(t, g.pool())
}

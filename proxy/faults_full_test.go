package proxy

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

func TestServerWithoutConnectionsToGiveIsToldAsSuch(t *testing.T) {
	nothingLeaks(t)
	c := ward(t, map[string]string{"max_connections": "8", "superuser_reserved_connections": "3"})
	g := open(t, c, RLS, func(cfg *Config) {
		b := cfg.Backends["main"]
		b.Pool.AcquireTimeout = time.Second
		cfg.Backends["main"] = b
	})
	conn, other := g.tenant("1"), g.tenant("2")
	pgtest.Must(t, conn, "BEGIN")
	pgtest.Must(t, conn, "SELECT 1") // one server connection of the pool's, and one that reads the catalog
	var taken []*pgconn.PgConn
	for {
		more, err := pgconn.Connect(t.Context(), c.URL("ward"))
		if err != nil {
			require.Equal(t, "53300", ended(err))
			break
		}
		taken = append(taken, more)
	}
	require.Equal(t, "53300", ended(simple(other, "SELECT 1")))
	_, err := pgconn.Connect(t.Context(), g.url("tenant2", "application_name=new"))
	require.Equal(t, "53300", ended(err))

	waits := inBackground(other, "INSERT INTO done (mark) VALUES ('waited')")
	eventually(t, func() bool { return g.pool().Stat().Waiting == 1 }, "the statement waits")
	pgtest.Must(t, conn, "COMMIT") // whose connection is the next one's
	require.NoError(t, <-waits)
	require.Equal(t, "1", times(t, c, "ward", "waited"))

	for _, more := range taken {
		require.NoError(t, more.Close(t.Context()))
	}
	pgtest.Must(t, conn, "BEGIN")
	pgtest.Must(t, conn, "SELECT 1")
	eventually(t, func() bool { return simple(other, "SELECT 1") == nil }, "the pool does not grow again")
	pgtest.Must(t, conn, "COMMIT")
	allBack(t, g.pool())
}

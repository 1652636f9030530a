package proxy

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/rewrite"
)

// lockScripts are what sessions of one tenant do with advisory locks.
var lockScripts = [][]string{
	{
		"a> SELECT pg_advisory_lock(1)",
		"a> SELECT pg_try_advisory_lock(1) AS again, pg_try_advisory_lock(1, 0), pg_try_advisory_lock(0, 1)",
		"b> SELECT pg_try_advisory_lock(1), pg_try_advisory_lock(4294967296), pg_try_advisory_lock(0, 1), pg_try_advisory_lock(0, 2)",
		"b> SELECT pg_try_advisory_lock_shared(1)",
		"b> SELECT pg_advisory_unlock(1)",
		"a> SELECT pg_advisory_unlock(1)",
		"b> SELECT pg_try_advisory_lock(1)",
		"a> SELECT pg_advisory_unlock(1)",
		"b> SELECT pg_try_advisory_lock(1)",
		"a> SELECT pg_advisory_unlock(1)",
		"a> SELECT pg_advisory_unlock(0, 1), pg_advisory_unlock(1, 0), pg_advisory_unlock(1, 0)",
		"b> SELECT pg_advisory_unlock_all()",
		"a> SELECT pg_try_advisory_lock(1)",
		"a-",
	},
	{
		"a> SELECT pg_advisory_lock_shared(-5)",
		"b> SELECT pg_try_advisory_lock_shared(-5), pg_try_advisory_lock(-5)",
		"a> SELECT pg_advisory_unlock_shared(-5), pg_advisory_unlock(-5)",
		"b> SELECT pg_advisory_unlock_shared('-5')",
		"a> SELECT pg_advisory_lock('x')",
		"a> SELECT   pg_advisory_lock(NULL), pg_advisory_lock(NULL, 1), pg_advisory_unlock(1, NULL)",
		"a> SELECT pg_try_advisory_lock(9223372036854775807), pg_try_advisory_lock(-9223372036854775808), pg_try_advisory_lock(2147483647, -2147483648)",
		"b> SELECT pg_try_advisory_lock(9223372036854775807), pg_try_advisory_lock(-9223372036854775808), pg_try_advisory_lock(2147483647, -2147483648)",
		"a> SELECT pg_advisory_lock(1 / 0)",
		"a> SELECT x, pg_try_advisory_lock(x) FROM generate_series(1, 3) AS x WHERE x <> 2",
		"b> SELECT pg_try_advisory_lock(generate_series(1, 3)), pg_try_advisory_lock(1::smallint)",
		"a> SELECT id, pg_try_advisory_lock(id) FROM patients ORDER BY id LIMIT 3",
		"a> SELECT count(*), pg_advisory_unlock(count(*)) FROM patients",
		"a> SELECT * FROM pg_try_advisory_lock(77) AS l WHERE l",
		"a> SELECT CASE WHEN pg_try_advisory_lock(78) THEN 'mine' ELSE 'not mine' END",
		"b> SELECT 1 WHERE pg_try_advisory_lock(78) OR pg_try_advisory_lock(77)",
		"a> SELECT pg_advisory_unlock_all()",
		"b> SELECT pg_advisory_unlock_all(), pg_try_advisory_lock(77)",
		"b> SELECT pg_advisory_unlock_all()",
	},
	{
		"a> BEGIN",
		"a> SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock_shared(2), pg_try_advisory_xact_lock(3, 4), pg_advisory_xact_lock_shared(5, 6)",
		"b> SELECT pg_try_advisory_xact_lock(1), pg_try_advisory_xact_lock_shared(2), pg_try_advisory_xact_lock(3, 4), pg_try_advisory_xact_lock_shared(5, 6)",
		"b& SELECT pg_advisory_xact_lock(1)",
		"a> COMMIT",
		"b.",
		"a> SELECT pg_try_advisory_xact_lock(1)",
		"a> BEGIN",
		"a> SAVEPOINT s",
		"a> SELECT pg_try_advisory_xact_lock(9), pg_try_advisory_lock(10)",
		"a> ROLLBACK TO s",
		"b> SELECT pg_try_advisory_xact_lock(9), pg_try_advisory_lock(10)",
		"a> SELECT pg_try_advisory_lock(11), 1 / 0",
		"a> SELECT 1",
		"a> ROLLBACK",
		"b> SELECT pg_try_advisory_lock(10), pg_try_advisory_lock(11)",
		"a> SELECT pg_advisory_unlock(10), pg_advisory_unlock(11)",
		"b> SELECT pg_try_advisory_lock(10), pg_try_advisory_lock(11)",
		"b> DISCARD ALL",
		"a> SELECT pg_try_advisory_lock(10), pg_try_advisory_lock(11)",
		"a> SELECT pg_advisory_unlock_all()",
	},
}

func TestAdvisoryLocksAreAsForTheTenantAlone(t *testing.T) {
	c := clinic.New(t, 2)
	direct := c.URL(c.Oracle(t, "1"))
	for _, extended := range []bool{false, true} {
		for i, script := range lockScripts {
			want := play(t, script, extended, func(string) *player { return newPlayer(t, direct) })
			for _, enforce := range enforcements {
				g := open(t, c, enforce, poolOf(2))
				got := play(t, script, extended, func(string) *player { return newPlayer(t, g.url("tenant1")) })
				require.Equal(t, want, got, "script %d, %s", i, enforce)
				eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "a session is still pinned")
			}
		}
	}
}

func TestAdvisoryLocksOfTenantsDoNotMeet(t *testing.T) {
	c := clinic.New(t, 2)
	const all = "SELECT pg_try_advisory_lock(7), pg_try_advisory_lock(0, 7), pg_try_advisory_lock_shared(8), pg_try_advisory_xact_lock(9), pg_try_advisory_xact_lock(9, 9)"
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(5))
			one, same := g.tenant("1"), g.tenant("1")
			two := g.tenant("2")
			super := pgtest.Connect(t, c.Server.SuperuserURL(g.database))
			free := [][]string{{"t", "t", "t", "t", "t"}}
			require.Equal(t, free, pgtest.Must(t, one, all))
			require.Equal(t, [][]string{{"f", "f", "t", "t", "t"}}, pgtest.Must(t, same, all))
			require.Equal(t, free, pgtest.Must(t, super, all), "keys as they are written are nobody's")
			require.Equal(t, [][]string{{"f"}}, pgtest.Must(t, two, "SELECT pg_advisory_unlock(7)"))
			require.Equal(t, free, pgtest.Extended(t, two, all).Rows)
			pgtest.Must(t, two, "SELECT pg_advisory_unlock_all()")
			require.Equal(t, [][]string{{"f"}}, pgtest.Must(t, same, "SELECT pg_try_advisory_lock(7)"))
			_ = same.Close(context.Background())
		})
	}
}

func TestNumberOfTheWrongTypeIsNoKeyOfALock(t *testing.T) {
	c := clinic.New(t, 1)
	conn := open(t, c, Both, nil).tenant("1")
	for _, sql := range []string{"SELECT pg_advisory_lock(1.5)", "SELECT pg_advisory_lock(1, 2147483648)", "SELECT pg_advisory_lock('1'::text)"} {
		require.Equal(t, "42883", pgtest.Simple(t, conn, sql)[0].Code, sql)
	}
}

func TestOneServerSideStatementServesTheLocksOfAllTenants(t *testing.T) {
	c := clinic.New(t, 2)
	g := open(t, c, Both, poolOf(1))
	for _, key := range []string{"1", "2", "1", "2"} {
		conn := g.tenant(key)
		_, err := conn.Prepare(t.Context(), "lock", "SELECT pg_try_advisory_xact_lock($1), pg_try_advisory_xact_lock($2, 2)", nil)
		require.NoError(t, err)
		d, err := conn.Prepare(t.Context(), "described", "SELECT pg_try_advisory_xact_lock($1)", nil)
		require.NoError(t, err)
		require.Equal(t, []uint32{20}, d.ParamOIDs)
		r := conn.ExecPrepared(t.Context(), "lock", [][]byte{[]byte("5"), []byte("6")}, nil, nil).Read()
		require.NoError(t, r.Err)
		require.Equal(t, "t", string(r.Rows[0][0]))
		r = conn.ExecPrepared(t.Context(), "lock", [][]byte{{0, 0, 0, 0, 0, 0, 0, 5}, {0, 0, 0, 6}}, []int16{1}, []int16{1}).Read()
		require.NoError(t, r.Err)
		require.Equal(t, []byte{1}, r.Rows[0][1])
		pgtest.Must(t, conn, "PREPARE own (bigint) AS SELECT pg_try_advisory_xact_lock($1)")
		require.Equal(t, [][]string{{"t"}}, pgtest.Must(t, conn, "EXECUTE own (5)"))
		require.NoError(t, conn.Close(t.Context()))
	}
	require.EqualValues(t, 1, g.pool().Stat().Dialed)
}

func TestAdvisoryLockPinsUntilItIsReleased(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			super := pgtest.Connect(t, c.Server.SuperuserURL(g.database))
			conn := g.tenant("1")
			idle := func() { eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "pinned") }
			pgtest.Must(t, conn, "SELECT pg_advisory_xact_lock(1), pg_advisory_unlock(1)")
			idle()
			pgtest.Must(t, conn, "SELECT pg_advisory_lock(1), pg_advisory_unlock(1)")
			idle()
			pgtest.Must(t, conn, "SELECT pg_advisory_lock(1), pg_advisory_lock(2)")
			pgtest.Must(t, conn, "SELECT pg_advisory_unlock(1)")
			require.Equal(t, 1, g.pool().Stat().Leased)
			pgtest.Must(t, conn, "SELECT pg_advisory_unlock(2)")
			idle()
			pgtest.Must(t, conn, "SELECT pg_advisory_lock(3)")
			require.NoError(t, conn.Close(t.Context()))
			idle()
			require.Equal(t, [][]string{{"0"}}, pgtest.Must(t, super, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"))
			require.EqualValues(t, 1, g.pool().Stat().Dialed, "the connection was cleaned, not closed")
		})
	}
}

func TestProxiesWithOneSecretShareLocks(t *testing.T) {
	c := clinic.New(t, 1)
	with := func(secret byte) func(*Config) {
		return func(cfg *Config) {
			b := cfg.Backends["main"]
			b.Secret = &rewrite.Secret{secret}
			cfg.Backends["main"] = b
		}
	}
	first, second, other := open(t, c, Both, with(1)), open(t, c, RLS, with(1)), open(t, c, Both, with(2))
	pgtest.Must(t, first.tenant("1"), "SELECT pg_advisory_lock(5)")
	require.Equal(t, [][]string{{"f"}}, pgtest.Must(t, second.tenant("1"), "SELECT pg_try_advisory_xact_lock(5)"))
	require.Equal(t, [][]string{{"t"}}, pgtest.Must(t, other.tenant("1"), "SELECT pg_try_advisory_xact_lock(5)"))
}

func TestLocksAndChannelsAreGrantedInAHardenedDatabase(t *testing.T) {
	c := clinic.New(t, 1)
	harden(t, c, c.Policies())
	g := open(t, c, Both, poolOf(1))
	conn := g.tenant("1")
	require.Equal(t, [][]string{{"t", "t"}}, pgtest.Must(t, conn, "SELECT pg_try_advisory_lock(1), pg_try_advisory_xact_lock_shared(1, 2)"))
	require.Equal(t, 1, g.pool().Stat().Leased)
	require.Equal(t, [][]string{{"t"}}, pgtest.Must(t, conn, "SELECT pg_advisory_unlock(1)"))
	pgtest.Must(t, conn, "SELECT pg_notify('news', 'x')")
	eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "pinned")
	require.EqualValues(t, 1, g.pool().Stat().Dialed)
}

func TestLocksInADatabaseOfOneTenantAreAsTheyAreWritten(t *testing.T) {
	c := clinic.New(t, 1)
	g := openAlone(t, c)
	conn := pgtest.Connect(t, g.url("alone"))
	pgtest.Must(t, conn, "SELECT pg_advisory_lock(5)")
	super := pgtest.Connect(t, c.Server.SuperuserURL(g.database))
	require.Equal(t, [][]string{{"f"}}, pgtest.Must(t, super, "SELECT pg_try_advisory_lock(5)"))
	pgtest.Must(t, conn, "SELECT pg_advisory_unlock(5)")
	require.Equal(t, [][]string{{"t"}}, pgtest.Must(t, super, "SELECT pg_try_advisory_lock(5)"))
}

package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/pool"
)

// A lookupClient asks for one row again and again, in one of the ways in which
// drivers do.
type lookupClient struct {
	*wireClient
	way   string
	table string
	key   string
	want  []string // the answer when it asks alone
	deaf  bool     // it does not wait for the answer
}

var lookupWays = []string{"simple", "unnamed", "named", "named, described"}

// lookedUp are tables with the columns that are asked for; their keys are ids.
var lookedUp = map[string]string{
	"patients": "tenant_id, id, name, born",
	"notes":    "tenant_id, id, body",
}

func newLookupClient(t *testing.T, url, way, table, key string) *lookupClient {
	c := &lookupClient{wireClient: dialWire(t, url), way: way, table: table, key: key}
	if strings.HasPrefix(way, "named") {
		c.receiveAll(&pgproto3.Parse{Name: "mine", Query: c.sql("$1")}, &pgproto3.Describe{ObjectType: 'S', Name: "mine"}, &pgproto3.Sync{})
	}
	for _, c.key = range []string{"1", "2", key} { // now all sessions share the statement
		c.ask()
	}
	c.want = c.ask()
	return c
}

func (c *lookupClient) sql(key string) string {
	return "SELECT " + lookedUp[c.table] + " FROM " + c.table + " WHERE id = " + key
}

// ask returns all that the server says.
func (c *lookupClient) ask() []string {
	bind := &pgproto3.Bind{Parameters: [][]byte{[]byte(c.key)}}
	switch c.way {
	case "simple":
		return c.receive(c.sql("'" + c.key + "'"))
	case "unnamed":
		return c.receiveAll(&pgproto3.Parse{Query: c.sql("$1")}, bind, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
	case "named":
		bind.PreparedStatement = "mine"
		return c.receiveAll(bind, &pgproto3.Execute{}, &pgproto3.Sync{})
	default:
		bind.PreparedStatement = "mine"
		if c.deaf {
			c.frontend.Send(bind)
			c.frontend.Send(&pgproto3.Execute{})
			c.frontend.Send(&pgproto3.Sync{})
			require.NoError(c.t, c.frontend.Flush())
			return nil
		}
		return c.receiveAll(bind, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
	}
}

// A gathering has lookups wait for each other, for as long as it takes, on a
// gate with one server connection.
type gathering struct {
	*gate
	t *testing.T
	b *backend
}

func gather(t *testing.T, c *clinic.Clinic, enforce Enforcement) *gathering {
	g := open(t, c, enforce, poolOf(1))
	b := g.backend()
	b.batches.mu.Lock()
	b.batches.patience = time.Hour
	b.batches.mu.Unlock()
	return &gathering{gate: g, t: t, b: b}
}

// guests is how many lookups wait to be taken along.
func (g *gathering) guests() int {
	g.b.batches.mu.Lock()
	defer g.b.batches.mu.Unlock()
	n := 0
	for _, x := range g.b.batches.of {
		n += len(x.waiting)
	}
	return n
}

// ask has all ask, one after the other, as if others were under way. before is
// run when all wait. The batches then go.
func (g *gathering) ask(clients []*lookupClient, before func()) []<-chan []string {
	g.t.Helper()
	g.setAtOnce(0)
	g.server.mu.Lock()
	for _, tally := range g.server.tallies { // whatever has failed before
		tally.apart.Store(0)
	}
	g.server.mu.Unlock()
	answers := make([]<-chan []string, len(clients))
	for i, c := range clients {
		answer := make(chan []string, 1)
		answers[i] = answer
		go func() {
			defer close(answer)
			answer <- c.ask()
		}()
		eventually(g.t, func() bool { return g.guests() == i+1 }, "lookup %d waits", i)
	}
	if before != nil {
		before()
	}
	g.setAtOnce(1)
	b := g.b.batches
	b.mu.Lock()
	defer b.mu.Unlock()
	for st := range b.of {
		b.wake(st)
	}
	return answers
}

// askAsAlone has all ask, and be answered as when they ask alone.
func (g *gathering) askAsAlone(clients []*lookupClient) {
	g.t.Helper()
	for i, answer := range g.ask(clients, nil) {
		require.Equal(g.t, clients[i].want, <-answer, "%d, %s", i, clients[i].way)
	}
}

func (g *gathering) setAtOnce(n int) {
	g.b.batches.mu.Lock()
	defer g.b.batches.mu.Unlock()
	g.b.batches.atOnce = n
}

// lock has a superuser hold the table until the function is called.
func (g *gathering) lock(c *clinic.Clinic, table string) (unlock func()) {
	g.t.Helper()
	admin := pgtest.Connect(g.t, c.Server.SuperuserURL(g.database))
	pgtest.Must(g.t, admin, "BEGIN")
	pgtest.Must(g.t, admin, "LOCK TABLE "+table)
	return func() { pgtest.Must(g.t, admin, "ROLLBACK") }
}

// stuck waits until the one server connection waits for a lock, and returns its
// process id.
func (g *gathering) stuck(c *clinic.Clinic) (pid string) {
	g.t.Helper()
	admin := pgtest.Connect(g.t, c.Server.SuperuserURL(g.database))
	eventually(g.t, func() bool {
		rows := pgtest.Must(g.t, admin, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
		if len(rows) == 1 {
			pid = rows[0][0]
		}
		return len(rows) == 1
	}, "the batch is stuck")
	return pid
}

func (g *gathering) waiting(answers []<-chan []string) {
	g.t.Helper()
	for i, a := range answers {
		select {
		case got := <-a:
			require.Fail(g.t, "answered", "%d: %q", i, got)
		default:
		}
	}
}

func failsWith(t *testing.T, said []string, code string) {
	t.Helper()
	require.Len(t, said, 1)
	require.Equal(t, byte('E'), said[0][0])
	require.Contains(t, said[0], "C"+code+"\x00")
}

func TestLookupsGoTogetherAndAnswerAsAlone(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := gather(t, c, enforce)
			var clients []*lookupClient
			for i := range 4 * len(lookupWays) {
				tenant := fmt.Sprint(i%2 + 1)
				one := newLookupClient(t, g.url("tenant"+tenant), lookupWays[i/2%len(lookupWays)], "patients", fmt.Sprint(i/3%4+1))
				clients = append(clients, one)
				row := pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL(g.database)), one.sql(one.key)+" AND tenant_id = "+tenant)[0]
				for _, value := range row {
					require.Contains(t, strings.Join(one.want, ""), value)
				}
			}
			before := g.pool().Stat().Acquired
			g.askAsAlone(clients)
			// In rls a simple query's statement differs in its types.
			require.EqualValues(t, map[Enforcement]int{RLS: 2, Rewrite: 1, Both: 1}[enforce], g.pool().Stat().Acquired-before)
		})
	}
}

func TestLookupThatFailsFailsAlone(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := gather(t, c, enforce)
			const note = "00000000-0000-0000-0000-000000000001"
			for _, way := range lookupWays {
				for at := range 3 {
					var clients []*lookupClient
					for i := range 3 {
						key := note
						if i == at {
							key = "no uuid"
						}
						clients = append(clients, newLookupClient(t, g.url("tenant1"), way, "notes", key))
					}
					for range 2 {
						g.askAsAlone(clients)
					}
					for _, one := range clients {
						require.NoError(t, one.conn.Close())
					}
				}
			}
		})
	}
}

func TestCancelStopsNobodyElsesLookup(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := gather(t, c, enforce)
			var clients []*lookupClient
			for i := range 5 {
				clients = append(clients, newLookupClient(t, g.url(fmt.Sprintf("tenant%d", i%2+1)), "named, described", "patients", "3"))
			}
			clients[3].deaf = true
			sessions := g.sessions()
			require.Len(t, sessions, 5)
			var unlock func()
			answers := g.ask(clients, func() { unlock = g.lock(c, "patients") })
			g.stuck(c)
			sessions[2].cancelStatement(t.Context()) // one that goes along
			failsWith(t, <-answers[2], "57014")
			g.waiting([]<-chan []string{answers[0], answers[1], answers[4]})
			sessions[0].cancelStatement(t.Context()) // whose batch it is
			failsWith(t, <-answers[0], "57014")
			require.EqualValues(t, apartAfterwards, sessions[0].tally.apart.Load())
			eventually(t, func() bool { return g.pool().Stat().Waiting == 2 }, "the others try by themselves")
			require.NoError(t, clients[3].conn.Close()) // who waits no more
			eventually(t, func() bool { return g.pool().Stat().Waiting == 1 }, "one of them has left")
			unlock()
			for _, i := range []int{1, 4} {
				require.Equal(t, clients[i].want, <-answers[i])
			}
			for _, i := range []int{0, 2} {
				require.Equal(t, clients[i].want, clients[i].ask())
			}
		})
	}
}

// sessions are those of the gate, in the order of their logins.
func (g *gathering) sessions() (list []*session) {
	for _, stat := range g.server.sessionStats() {
		g.server.mu.Lock()
		list = append(list, g.server.sessions[stat.id])
		g.server.mu.Unlock()
	}
	return list
}

func TestLookupInABatchHasItsOwnTimeout(t *testing.T) {
	c := clinic.New(t, 1)
	g := gather(t, c, RLS)
	var clients []*lookupClient
	for range 3 {
		clients = append(clients, newLookupClient(t, g.url("tenant1"), "unnamed", "patients", "3"))
	}
	g.sessions()[1].setTimeouts(auth.Limits{StatementTimeout: 200 * time.Millisecond})
	var unlock func()
	answers := g.ask(clients, func() { unlock = g.lock(c, "patients") })
	g.stuck(c)
	said := <-answers[1]
	failsWith(t, said, "57014")
	require.Contains(t, said[0], "canceling statement due to statement timeout")
	g.waiting([]<-chan []string{answers[0], answers[2]})
	unlock()
	require.Equal(t, clients[0].want, <-answers[0])
	require.Equal(t, clients[2].want, <-answers[2])
}

func TestLookupsSurviveTheirBatchsServerConnection(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := gather(t, c, enforce)
			var clients []*lookupClient
			for i := range 4 {
				clients = append(clients, newLookupClient(t, g.url("tenant1"), lookupWays[1], "patients", fmt.Sprint(i+1)))
			}
			var unlock func()
			answers := g.ask(clients, func() { unlock = g.lock(c, "patients") })
			admin := pgtest.Connect(t, c.Server.SuperuserURL("postgres"))
			pgtest.Must(t, admin, "SELECT pg_terminate_backend("+g.stuck(c)+")")
			failsWith(t, <-answers[0], "57P01")
			g.waiting(answers[1:])
			unlock()
			for i := 1; i < 4; i++ {
				require.Equal(t, clients[i].want, <-answers[i])
			}
		})
	}
}

func TestLargeRowsDoNotGoAlong(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := gather(t, c, enforce)
			admin := pgtest.Connect(t, c.Server.SuperuserURL(g.database))
			sizes := []int{10, largestGuestAnswer - 100, largestGuestAnswer + 1, 1 << 20, 8 << 20}
			for i, size := range sizes {
				pgtest.Must(t, admin, fmt.Sprintf(
					"INSERT INTO notes (tenant_id, id, patient_id, body) VALUES (1, '00000000-0000-0000-0000-0000000001%02d', 1, repeat('x', %d)) ON CONFLICT DO NOTHING", i, size))
			}
			for at := range sizes {
				var clients []*lookupClient
				for _, i := range []int{0, at, 0} {
					clients = append(clients, newLookupClient(t, g.url("tenant1"), "unnamed", "notes", fmt.Sprintf("00000000-0000-0000-0000-0000000001%02d", i)))
				}
				g.askAsAlone(clients)
				for _, one := range clients {
					require.NoError(t, one.conn.Close())
				}
			}
		})
	}
}

func TestLookupsUnderOtherParametersDoNotGoAlong(t *testing.T) {
	c := clinic.New(t, 1)
	g := gather(t, c, RLS)
	var clients []*lookupClient
	for i := range 6 {
		one := newLookupClient(t, g.url("tenant1"), "named", "patients", "3")
		if i%2 == 1 {
			one.receive("SET DateStyle TO 'German'")
			one.want = one.ask()
		}
		clients = append(clients, one)
	}
	require.NotEqual(t, clients[0].want, clients[1].want)
	before := g.pool().Stat().Acquired
	g.askAsAlone(clients)
	require.EqualValues(t, 2, g.pool().Stat().Acquired-before)
}

// A policy that has seen one tenant in a transaction fails when it sees another.
func TestLookupsOfTwoTenantsAreTwoTransactions(t *testing.T) {
	c := clinic.New(t, 2)
	g := gather(t, c, RLS)
	pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(g.database)), `
		CREATE FUNCTION one_tenant() RETURNS bool LANGUAGE plpgsql AS $$
		DECLARE
			now text := current_setting('`+clinic.Setting+`');
			before text := nullif(current_setting('test.before', true), '');
		BEGIN
			IF before <> now THEN RAISE 'two tenants in one transaction'; END IF;
			PERFORM set_config('test.before', now, true);
			RETURN true;
		END $$;
		CREATE POLICY one_tenant ON patients AS RESTRICTIVE FOR SELECT USING (one_tenant())`)
	var clients []*lookupClient
	for i := range 8 {
		clients = append(clients, newLookupClient(t, g.url(fmt.Sprintf("tenant%d", i%2+1)), "named", "patients", "3"))
	}
	before := g.pool().Stat().Acquired
	g.askAsAlone(clients)
	require.EqualValues(t, 1, g.pool().Stat().Acquired-before, "all in one batch")
}

// A policy that writes has a transaction fail at its end, when all rows have
// been read.
func TestLookupsWhoseTransactionFailsAtItsEndFail(t *testing.T) {
	c := clinic.New(t, 2)
	g := gather(t, c, RLS)
	pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(g.database)), `
		CREATE TABLE looked (at timestamptz);
		CREATE FUNCTION looked() RETURNS bool LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO looked VALUES (now()) RETURNING true';
		CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not at all'; END $$;
		CREATE CONSTRAINT TRIGGER never AFTER INSERT ON looked DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION never();
		CREATE POLICY looked ON patients AS RESTRICTIVE FOR SELECT USING (looked())`)
	var clients []*lookupClient
	for i := range 5 {
		one := newLookupClient(t, g.url(fmt.Sprintf("tenant%d", i%2+1)), lookupWays[i%len(lookupWays)], "patients", "3")
		clients = append(clients, one)
		require.Contains(t, one.want[len(one.want)-1], "not at all")
	}
	g.askAsAlone(clients)
}

// What is said at the end of a transaction is for none of the other tenants.
func TestNoticesAtTheEndOfATransactionReachWhoTheyAreFor(t *testing.T) {
	c := clinic.New(t, 2)
	g := gather(t, c, RLS)
	pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(g.database)), `
		CREATE TABLE looked (tenant text);
		CREATE FUNCTION looked() RETURNS bool LANGUAGE sql SECURITY DEFINER AS
			$$ INSERT INTO looked VALUES (current_setting('`+clinic.Setting+`')) RETURNING true $$;
		CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'looked up by %', NEW.tenant; RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON looked DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();
		CREATE POLICY looked ON patients AS RESTRICTIVE FOR SELECT USING (looked())`)
	for _, way := range lookupWays {
		var clients []*lookupClient
		for _, tenant := range []string{"1", "2", "2"} {
			one := newLookupClient(t, g.url("tenant"+tenant), way, "patients", "3")
			require.Contains(t, one.want[len(one.want)-1], "looked up by "+tenant)
			clients = append(clients, one)
		}
		g.askAsAlone(clients)
	}
}

func TestLookupsDoNotWaitForAServerThatIsFarAway(t *testing.T) {
	var d trips
	now := time.Now()
	require.False(t, d.far(), "nothing is known")
	d.note(3*time.Millisecond, now)
	require.True(t, d.far())
	d.note(100*time.Microsecond, now) // a near one that is busy
	require.False(t, d.far())
	now = now.Add(tripWindow)
	d.note(3*time.Millisecond, now)
	require.False(t, d.far(), "it was near in the second before")
	now = now.Add(tripWindow)
	d.note(3*time.Millisecond, now)
	require.True(t, d.far())

	c := clinic.New(t, 1)
	g := open(t, c, RLS, poolOf(2))
	b := g.backend()
	st := pool.NewStatement("SELECT 1", nil)
	join := func(free bool) bool { return b.batches.join(st, new(guest), func() bool { return free }) }
	b.batches.atOnce = 0
	b.batches.trips = d
	require.True(t, join(true))
	require.False(t, join(false), "it waits where there is no connection")
	b.batches.trips = trips{}
	require.False(t, join(true))

	pgtest.Must(t, g.tenant("1"), "SELECT 1")
	eventually(t, func() bool { return g.pool().Stat().Idle > 0 }, "the connection is back")
	group := pool.Group{Name: "tenant1", Limit: 1}
	require.True(t, b.pool.Free(group))
	lease, err := b.pool.Acquire(t.Context(), group)
	require.NoError(t, err)
	require.False(t, b.pool.Free(group), "that is all it may have")
	b.pool.Release(lease)
}

// Many clients of two tenants look rows up in all ways, some in vain, some
// cancel, and each must have its own row.
func TestLookupsOfACrowdKeepApart(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			t.Parallel()
			g := open(t, c, enforce, poolOf(3))
			b := g.backend()
			b.batches.mu.Lock()
			b.batches.atOnce = 1
			b.batches.mu.Unlock()
			want := make(map[string][]string) // by tenant, way and key
			keys := []string{"1", "2", "3", "4", "77777", "none"}
			var clients []*lookupClient
			for i := range 24 {
				tenant := fmt.Sprint(i%2 + 1)
				one := newLookupClient(t, g.url("tenant"+tenant), lookupWays[i/2%len(lookupWays)], "patients", "1")
				clients = append(clients, one)
				for _, key := range keys {
					one.key = key
					want[tenant+one.way+key] = one.ask()
				}
			}
			sessions := (&gathering{gate: g}).sessions()
			until := time.Now().Add(2 * time.Second)
			var crowd sync.WaitGroup
			for i, one := range clients {
				crowd.Go(func() {
					random := rand.New(rand.NewPCG(uint64(i), 7))
					for time.Now().Before(until) && !t.Failed() {
						key := random.IntN(3 * len(keys))
						if key >= len(keys) {
							key %= 4 // most ask for what is there
						}
						one.key = keys[key]
						cancels := random.IntN(20) == 0
						if cancels {
							go sessions[i].cancelStatement(t.Context())
						}
						got := one.ask()
						if cancels && len(got) > 0 && strings.Contains(got[len(got)-1], "C57014\x00") {
							continue
						}
						if expected := want[fmt.Sprint(i%2+1)+one.way+one.key]; fmt.Sprint(got) != fmt.Sprint(expected) && !strings.Contains(fmt.Sprint(got), "C57014\x00") {
							t.Errorf("%s, %s: %q in place of %q", one.way, one.key, got, expected)
						}
					}
				})
			}
			crowd.Wait()
			eventually(t, func() bool { return g.pool().Stat().Leased == 0 }, "nothing is left")
			b.batches.mu.Lock()
			require.Empty(t, b.batches.of)
			b.batches.mu.Unlock()
			require.Zero(t, g.pool().Stat().Destroyed)
		})
	}
}

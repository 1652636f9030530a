package catalog

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// A slowServer takes a second for each answer and counts them.
type slowServer struct {
	mu      sync.Mutex
	queries int
	running int
	name    string // of the only schema
	err     error
}

func (s *slowServer) set(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name, s.err = name, err
}

func (s *slowServer) Query(ctx context.Context, sql string, args ...string) ([][]*string, error) {
	s.mu.Lock()
	s.queries++
	s.running++
	if s.running > 1 {
		panic("two statements at a time")
	}
	rows := answers{{"0", "0", `[150000, "UTF8", "UTF8", 63, "public", "app", false, false, true]`}, {"1", "1", `["` + s.name + `", true]`}}
	err := s.err
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return rows.Query(ctx, sql, args...)
}

func TestRefreshReplacesTheSnapshotOnlyWhenSomethingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{name: "a"}
		c, err := Open(t.Context(), server, Config{})
		require.NoError(t, err)
		first := c.Snapshot()
		require.NoError(t, c.Refresh(t.Context()))
		require.Same(t, first, c.Snapshot())

		server.set("b", nil)
		require.NoError(t, c.Refresh(t.Context()))
		second := c.Snapshot()
		require.Greater(t, second.Version, first.Version)

		server.set("c", errors.New("gone"))
		require.ErrorContains(t, c.Refresh(t.Context()), "gone")
		require.Same(t, second, c.Snapshot())

		other, err := Open(t.Context(), &slowServer{name: "b"}, Config{})
		require.NoError(t, err)
		require.NotEqual(t, second.Version, other.Snapshot().Version)
	})
}

func TestOpenFailsWhereTheServerCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := Open(t.Context(), &slowServer{err: errors.New("gone")}, Config{})
		require.ErrorContains(t, err, "read the catalog: gone")
	})
}

func TestCallsAtTheSameTimeShareALoadThatBeganAfterThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{name: "a"}
		c, err := Open(t.Context(), server, Config{})
		require.NoError(t, err)

		var calls sync.WaitGroup
		calls.Go(func() { require.NoError(t, c.Refresh(t.Context())) })
		synctest.Wait() // it is running now, so a change from here on may escape it
		server.set("b", nil)
		for range 100 {
			calls.Go(func() {
				before := c.Snapshot()
				require.NoError(t, c.Refresh(t.Context()))
				require.NotSame(t, before, c.Snapshot())
			})
		}
		calls.Wait()
		require.Equal(t, 3, server.queries)
	})
}

func TestCallersThatGiveUpDoNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{name: "a"}
		c, err := Open(t.Context(), server, Config{})
		require.NoError(t, err)
		server.set("b", nil)

		impatient, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var calls sync.WaitGroup
		calls.Go(func() { require.ErrorIs(t, c.Refresh(impatient), context.DeadlineExceeded) })
		synctest.Wait()
		calls.Go(func() { require.ErrorIs(t, c.Refresh(impatient), context.DeadlineExceeded) })
		calls.Go(func() { require.NoError(t, c.Refresh(t.Context())) })
		calls.Wait()
		require.Equal(t, 3, server.queries)
	})
}

func TestUnknownNamesRefreshNoMoreOftenThanTheAgeAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{name: "a"}
		c, err := Open(t.Context(), server, Config{})
		require.NoError(t, err)
		for range 10 {
			changed, err := c.RefreshOlderThan(t.Context(), time.Minute)
			require.NoError(t, err)
			require.False(t, changed)
		}
		require.Equal(t, 1, server.queries)

		time.Sleep(time.Minute)
		server.set("b", nil)
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() {
				changed, err := c.RefreshOlderThan(t.Context(), time.Minute)
				require.NoError(t, err)
				require.True(t, changed)
			})
			synctest.Wait()
		}
		calls.Wait()
		require.Equal(t, 2, server.queries)

		time.Sleep(time.Minute)
		server.set("b", errors.New("gone"))
		for range 10 {
			_, err := c.RefreshOlderThan(t.Context(), time.Minute)
			require.ErrorContains(t, err, "gone")
		}
		require.Equal(t, 3, server.queries)
	})
}

func TestSlowLoadsAreFurtherApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowServer{name: "a"}
		c, err := Open(t.Context(), server, Config{}) // takes a second
		require.NoError(t, err)
		end := time.Now().Add(time.Hour)
		for time.Now().Before(end) {
			_, err := c.RefreshOlderThan(t.Context(), 100*time.Millisecond)
			require.NoError(t, err)
			time.Sleep(10 * time.Millisecond)
		}
		require.InDelta(t, time.Hour/(4*time.Second), server.queries, 5)
	})
}

func TestRelationMadeAfterOpeningIsFound(t *testing.T) {
	database := pgtest.Database(t, shop)
	q := superuser(t, database)
	c, err := Open(t.Context(), q, shopConfig())
	require.NoError(t, err)
	version := c.Snapshot().Version
	require.NoError(t, c.Refresh(t.Context()))
	require.Equal(t, version, c.Snapshot().Version)
	for _, ddl := range []string{
		"CREATE TABLE invoices (tenant_id int)",
		"ALTER TABLE invoices RENAME tenant_id TO owner",
		"ALTER TABLE invoices ENABLE ROW LEVEL SECURITY",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"CREATE OPERATOR ==== (leftarg = int, rightarg = int, function = int4eq)",
		"CREATE TYPE colour AS ENUM ()",
		"CREATE SCHEMA postgres", // the role's own, so first on the search path
		"DROP TABLE invoices",
	} {
		q.exec(t, ddl)
		before := c.Snapshot()
		require.NoError(t, c.Refresh(t.Context()))
		require.NotSame(t, before, c.Snapshot(), ddl)
	}
	q.exec(t, "INSERT INTO countries VALUES ('nl'); ANALYZE countries")
	before := c.Snapshot()
	require.NoError(t, c.Refresh(t.Context()))
	require.Same(t, before, c.Snapshot())
}

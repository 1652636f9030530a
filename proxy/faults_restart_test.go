package proxy

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// A writer is a client that notes what it was told of each of its statements.
type writer struct {
	conn   *pgx.Conn
	told   map[string]string // by mark: how the statement ended
	begun  int
	writes atomic.Int64 // that have ended
}

// write runs one transaction, in one of the ways that there are.
func (w *writer) write(client int) error {
	w.begun++
	mark := fmt.Sprintf("%d-%d", client, w.begun)
	ctx := context.Background()
	mode := queryModes[w.begun%len(queryModes)]
	var err error
	if w.begun%3 == 0 {
		var tx pgx.Tx
		if tx, err = w.conn.Begin(ctx); err == nil {
			_, err = tx.Exec(ctx, "INSERT INTO done (mark) VALUES ($1)", mode, mark)
			if err == nil {
				err = tx.Commit(ctx)
			} else {
				_ = tx.Rollback(ctx)
			}
		}
	} else {
		_, err = w.conn.Exec(ctx, "INSERT INTO done (mark) VALUES ($1)", mode, mark)
	}
	w.told[mark] = ended(err)
	w.writes.Add(1)
	return err
}

func TestClientsStayWhenTheServerIsRestartedUnderLoad(t *testing.T) {
	nothingLeaks(t)
	c := ward(t, map[string]string{"synchronous_commit": "on"}) // what is committed is there after a crash
	g := open(t, c, RLS, poolOf(4))
	rounds, clients := 2*faults(t), 8*min(faults(t), 5)
	writers := make([]*writer, clients)
	stop := make(chan struct{})
	var running sync.WaitGroup
	for i := range writers {
		conn, err := pgx.Connect(t.Context(), g.url("tenant"+c.Keys[i%2]))
		require.NoError(t, err)
		w := &writer{conn: conn, told: make(map[string]string)}
		writers[i] = w
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := w.write(i); err != nil && conn.IsClosed() {
					t.Errorf("client %d lost its connection: %v", i, err)
					return
				}
			}
		})
	}
	// goOn waits until all clients have had answers again.
	goOn := func() {
		t.Helper()
		before := make([]int64, clients)
		for i, w := range writers {
			before[i] = w.writes.Load()
		}
		require.Eventually(t, func() bool {
			for i, w := range writers {
				if w.writes.Load() < before[i]+3 {
					return false
				}
			}
			return true
		}, 60*time.Second, 10*time.Millisecond)
	}
	goOn()
	for round := range rounds {
		if round%2 == 1 {
			require.NoError(t, c.Server.Kill())
		} else {
			require.NoError(t, c.Server.Stop())
		}
		time.Sleep(time.Duration(round%3) * 300 * time.Millisecond)
		require.NoError(t, c.Server.Restart(context.Background()))
		goOn()
	}
	close(stop)
	running.Wait()

	rows := make(map[string]string)
	for _, row := range pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL("ward")), "SELECT mark, count(*) FROM done GROUP BY mark") {
		rows[row[0]] = row[1]
	}
	codes := make(map[string]int)
	for _, w := range writers {
		for mark, told := range w.told {
			codes[told]++
			if told == "" {
				require.Equal(t, "1", rows[mark], mark)
				continue
			}
			require.Contains(t, lostCodes, told, "what waits for a server connection does not fail")
			require.Contains(t, []string{"", "1"}, rows[mark], mark)
		}
		require.NoError(t, w.conn.Close(t.Context()))
	}
	t.Logf("%d restarts, %d clients: %v", rounds, clients, codes)
	allBack(t, g.pool())
}

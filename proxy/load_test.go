package proxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// transaction runs one of many kinds of transaction at random as a tenant, and
// returns an error if it learned anything of another.
func transaction(ctx context.Context, conn *pgx.Conn, key string, random *rand.Rand) error {
	mine := func(rows pgx.Rows, err error) error {
		if err != nil {
			return err
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			if strings.Contains(text, "~") && !strings.Contains(text, clinic.Mark(key)) {
				return fmt.Errorf("tenant %s saw %q", key, text)
			}
			n++
		}
		if rows.Err() == nil && n == 0 {
			return fmt.Errorf("tenant %s saw nothing", key)
		}
		return rows.Err()
	}
	mode := queryModes[random.IntN(len(queryModes))]
	switch random.IntN(6) {
	case 0:
		return mine(conn.Query(ctx, "SELECT name FROM patients", mode))
	case 1:
		return mine(conn.Query(ctx, "SELECT p.name || a.id FROM patients p JOIN appointments a ON a.patient_id = p.id WHERE p.id < $1", mode, 4))
	case 2: // several statements in one transaction
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
		if err != nil {
			return err
		}
		err = mine(tx.Query(ctx, "SELECT line FROM log_lines", mode))
		if err == nil {
			err = mine(tx.Query(ctx, "SELECT name FROM practitioners", mode))
		}
		return errors.Join(err, tx.Rollback(ctx))
	case 3: // a write that is undone
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE settings SET value = value || '!'", mode)
		if err == nil {
			err = mine(tx.Query(ctx, "SELECT body FROM notes", mode))
		}
		return errors.Join(err, tx.Rollback(ctx))
	case 4: // a failure
		_, err := conn.Exec(ctx, "SELECT 1 / (id - id) FROM patients", mode)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "22012" {
			return fmt.Errorf("division by zero: %w", err)
		}
		return nil
	default: // a transaction that fails in the middle
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		_, _ = tx.Exec(ctx, "SELECT 1 / 0", mode)
		if err := tx.Rollback(ctx); err != nil {
			return err
		}
		return mine(conn.Query(ctx, "SELECT title FROM documents", mode))
	}
}

func TestTenantsInterleavedOverOneServerConnectionSeeNothingOfEachOther(t *testing.T) {
	t.Parallel() // with others that take long
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			const clients, each = 4, 2500
			var running sync.WaitGroup
			failures := make(chan error, clients)
			for i := range clients {
				key := c.Keys[i%2]
				conn, err := pgx.Connect(t.Context(), g.url("tenant"+key))
				require.NoError(t, err)
				running.Go(func() {
					defer func() { _ = conn.Close(context.Background()) }()
					random := rand.New(rand.NewPCG(7, uint64(i)))
					for range each {
						if err := transaction(context.Background(), conn, key, random); err != nil {
							failures <- err
							return
						}
					}
				})
			}
			running.Wait()
			close(failures)
			for err := range failures {
				t.Error(err)
			}
			if enforce != Rewrite {
				require.Empty(t, leftover(t, g))
			}
			require.EqualValues(t, 1, g.pool().Stat().Dialed, "no connection had to be destroyed")
		})
	}
}

// work is like pgbench's: some reads, a write and a read of it, committed.
func work(ctx context.Context, conn *pgx.Conn, key string, random *rand.Rand) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	id := 1 + random.IntN(10)
	var name string
	var balance float64
	err = tx.QueryRow(ctx, "SELECT name FROM patients WHERE id = $1", id).Scan(&name)
	if err == nil && !strings.Contains(name, clinic.Mark(key)) {
		err = fmt.Errorf("tenant %s saw %q", key, name)
	}
	if err == nil {
		err = tx.QueryRow(ctx, "UPDATE patients SET balance = balance + $1 WHERE id = $2 RETURNING balance", 1, id).Scan(&balance)
	}
	if err == nil {
		_, err = tx.Exec(ctx, "INSERT INTO log_lines (level, line) VALUES ('work', $1)", clinic.Mark(key))
	}
	return errors.Join(err, tx.Commit(ctx))
}

func TestFiveHundredClientsOfFiftyTenantsShareTenServerConnections(t *testing.T) {
	c := clinic.New(t, 50)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(10))
			const clients, each = 500, 10
			var running sync.WaitGroup
			failures := make(chan error, clients)
			logins := make(chan struct{}, 50) // at once
			for i := range clients {
				key := c.Keys[i%len(c.Keys)]
				running.Go(func() {
					ctx := context.Background()
					logins <- struct{}{}
					conn, err := pgx.Connect(ctx, g.url("tenant"+key))
					<-logins
					if err != nil {
						failures <- err
						return
					}
					defer func() { _ = conn.Close(ctx) }()
					random := rand.New(rand.NewPCG(11, uint64(i)))
					for range each {
						if err := work(ctx, conn, key, random); err != nil {
							failures <- err
							return
						}
					}
				})
			}
			running.Wait()
			close(failures)
			for err := range failures {
				t.Error(err)
			}
			owner := pgtest.Connect(t, c.Server.SuperuserURL(g.database))
			require.Equal(t, [][]string{{"50", "5000", "0"}}, pgtest.Must(t, owner,
				"SELECT count(DISTINCT tenant_id), count(*), count(*) FILTER (WHERE line <> '~' || tenant_id || '~') FROM log_lines WHERE level = 'work'"))
			pgtest.Must(t, owner, "DELETE FROM log_lines WHERE level = 'work'")
			require.LessOrEqual(t, g.pool().Stat().Dialed, int64(10))
		})
	}
}

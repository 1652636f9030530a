package proxy

import (
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest/clinic"
)

// queryModes are all of pgx.
var queryModes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
}

func TestPgxWorksInEveryQueryMode(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(2))
		for _, mode := range queryModes {
			t.Run(fmt.Sprintf("%s/%s", enforce, mode), func(t *testing.T) {
				cfg, err := pgx.ParseConfig(g.url("tenant2"))
				require.NoError(t, err)
				cfg.DefaultQueryExecMode = mode
				conn, err := pgx.ConnectConfig(t.Context(), cfg)
				require.NoError(t, err)
				defer func() { _ = conn.Close(t.Context()) }()
				var tenant, n int
				var born *time.Time
				for range 3 {
					require.NoError(t, conn.QueryRow(t.Context(), "SELECT tenant_id, count(*) FROM patients WHERE id <= $1 GROUP BY 1", 5).Scan(&tenant, &n))
					require.Equal(t, []int{2, 5}, []int{tenant, n})
				}
				require.ErrorIs(t, conn.QueryRow(t.Context(), "SELECT born FROM patients WHERE id = $1 AND name = ANY ($2)", 5, []string{"nobody"}).Scan(&born), pgx.ErrNoRows)
			})
		}
	}
}

func TestPgxBatchesAndTransactions(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn, err := pgx.Connect(t.Context(), g.url("tenant1"))
			require.NoError(t, err)
			defer func() { _ = conn.Close(t.Context()) }()
			batch := &pgx.Batch{}
			for i := range 200 {
				batch.Queue("INSERT INTO log_lines (level, line) VALUES ($1, $2)", "batch", fmt.Sprint(i))
				batch.Queue("SELECT count(*) FROM log_lines WHERE level = $1", "batch")
			}
			results := conn.SendBatch(t.Context(), batch)
			for i := range 200 {
				_, err := results.Exec()
				require.NoError(t, err)
				var n int
				require.NoError(t, results.QueryRow().Scan(&n))
				require.Equal(t, i+1, n)
			}
			require.NoError(t, results.Close())
			tag, err := conn.Exec(t.Context(), "DELETE FROM log_lines WHERE level = 'batch'")
			require.NoError(t, err)
			require.EqualValues(t, 200, tag.RowsAffected())
		})
	}
}

func TestLibPqWorksInItsDefaultMode(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		for _, params := range []string{"", "&binary_parameters=yes"} {
			t.Run(enforce.String()+params, func(t *testing.T) {
				g := open(t, c, enforce, poolOf(2))
				var running sync.WaitGroup
				for _, key := range c.Keys {
					db, err := sql.Open("postgres", g.url("tenant"+key)+params)
					require.NoError(t, err)
					t.Cleanup(func() { _ = db.Close() })
					db.SetMaxOpenConns(4)
					for worker := range 4 {
						running.Go(func() {
							for i := range 20 {
								var tenant string
								var n int
								err := db.QueryRow("SELECT tenant_id, $2 + count(*) FROM patients WHERE id <= $1 GROUP BY 1", 3, worker*100+i).Scan(&tenant, &n)
								if err != nil || tenant != key || n != worker*100+i+3 {
									t.Errorf("tenant %s: got tenant %s, %d: %v", key, tenant, n, err)
									return
								}
							}
						})
					}
				}
				running.Wait()
				db, err := sql.Open("postgres", g.url("tenant1")+params)
				require.NoError(t, err)
				defer func() { _ = db.Close() }()
				st, err := db.Prepare("SELECT name FROM patients WHERE id = $1")
				require.NoError(t, err)
				defer func() { _ = st.Close() }()
				tx, err := db.Begin()
				require.NoError(t, err)
				var name string
				require.NoError(t, tx.Stmt(st).QueryRow(1).Scan(&name))
				require.Contains(t, name, clinic.Mark("1"))
				_, err = tx.Exec("UPDATE patients SET name = $1 WHERE id = $2", "x", 1)
				require.NoError(t, err)
				require.NoError(t, tx.Rollback())
			})
		}
	}
}

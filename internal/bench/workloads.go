package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A workload is one kind of work with everything that is fixed about it.
type workload struct {
	name   string
	unit   string   // of the rate, a second
	among  []string // contenders, by name
	before string   // SQL that puts both databases back, run before each measurement
	once   bool     // in the first round alone
	turns  int      // in each second of a round, if not one in all: for runs that are shorter than what disturbs the machine
	run    func(context.Context, *bench, *contender) (sample, error)
	needs  bool // statements that stay prepared
	ratio  bool // the rate is a ratio already
}

func (w *workload) enters(c *contender) bool {
	return slices.Contains(w.among, c.name) && (!w.needs || c.prepares)
}

const (
	// One row of one tenant: pgbench's own select-only script, with the range
	// of the tenant's ids.
	selectOne = "\\set aid random(1, 5000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"

	// pgbench's TPC-B script, likewise.
	tpcb = `\set aid random(1, 5000)
\set bid random(1, 20)
\set tid random(1, 200)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
COMMIT;
`

	analytic = "\\set low random(1, 15)\n" + join + ";\n"

	join = `SELECT b.bid,
       count(*) AS accounts,
       count(DISTINCT t.tid) AS tellers,
       sum(a.abalance) AS balance,
       max(a.aid) AS last_account,
       avg(t.tbalance) AS teller_average
  FROM pgbench_branches b
  JOIN pgbench_tellers t ON t.bid = b.bid
  LEFT JOIN pgbench_accounts a ON a.bid = b.bid AND a.aid BETWEEN 1 AND 2000
 WHERE b.bid BETWEEN :low AND :low + 5
 GROUP BY b.bid
 ORDER BY balance DESC, b.bid`

	oneGiB = "SELECT l.id, note, note, note, note, note, note, note, note FROM lines l CROSS JOIN generate_series(1, 3) g WHERE l.id <= 438000"

	manyRows = "SELECT id, placed, amount, note FROM lines WHERE id BETWEEN 1001 AND 2000;\n"

	// As drivers send it that write parameters into the text.
	literals = `\set aid random(1, 5000)
\set bid random(1, 20)
\set low random(1, 1000)
SELECT aid, abalance FROM pgbench_accounts WHERE aid = :aid AND bid IN (:bid, :bid + 1, 7) AND abalance > -100000000 - :low AND filler <> 'x:low' LIMIT 10;
`
)

// repeated is the statement of literals with constants that do not change.
var repeated = strings.NewReplacer(":aid", "4711", ":bid", "11", ":low", "42").Replace(literals[strings.Index(literals, "SELECT"):])

// thousandRows is an INSERT of 1,000 rows, one of whose constants changes.
func thousandRows() string {
	var b strings.Builder
	b.WriteString("\\set id random(1, 1000000)\nINSERT INTO lines_in (id, placed, amount, note) VALUES (:id, '2026-01-31', 12.50, 'first')")
	for i := 1; i < 1000; i++ {
		fmt.Fprintf(&b, ", (%d, '2026-02-%02d', %d.25, 'note of line %[1]d')", i, i%28+1, i%977)
	}
	return b.String() + ";\n"
}

// besideOne is the work of many tenants in turns with that of one.
var besideOne = fmt.Sprintf("tenants %d in turns with 1", tenants)

const (
	truncate  = "TRUNCATE lines_in"
	copyTurns = 3
)

// workloads lists all, in the order of the report.
func workloads() []*workload {
	all := []string{"direct", "pgbouncer", "pgbouncer+", "rls", "rewrite", "both", "pgbouncer by hand", "pgbouncer+ by hand"}
	most := []string{"direct", "pgbouncer", "rls", "rewrite", "both"}
	proxies, gates := most[1:], most[2:]
	var list []*workload
	add := func(w workload) { list = append(list, &w) }
	// First, for what came before would show in the memory.
	add(workload{name: "slow reader", unit: "bytes", among: proxies, once: true, run: slowReader(oneGiB)})
	for _, mode := range []string{"simple", "extended", "prepared"} {
		for _, clients := range []int{1, 16, 64, 256} {
			among := all
			switch clients {
			case 1, 64:
				among = all[:6]
			case 256: // straight to the server their logins alone take seconds
				among = all[1:6]
			}
			add(workload{
				name: fmt.Sprintf("select %s %d", mode, clients), unit: "transactions", among: among, needs: mode == "prepared",
				run: script{text: selectOne, mode: mode, clients: clients}.run,
			})
		}
	}
	add(workload{name: "tpcb simple 16", unit: "transactions", among: all, run: script{text: tpcb, mode: "simple", clients: 16}.run})
	crowded := append([]string{"pgbouncer+"}, gates...)
	for _, n := range []int{1, 50, tenants} {
		add(workload{name: fmt.Sprintf("tenants %d", n), unit: "transactions", among: crowded, needs: true, run: crowd{tenants: n}.run})
	}
	add(workload{name: besideOne, unit: "times the rate of 1", among: crowded, needs: true, ratio: true, run: crowd{tenants: tenants}.besideOne})
	add(workload{name: "join extended 4", unit: "transactions", among: most, run: script{text: analytic, mode: "extended", clients: 4}.run})
	add(workload{name: "literals differ 16", unit: "transactions", among: most, run: script{text: literals, mode: "simple", clients: 16}.run})
	add(workload{name: "literals repeat 16", unit: "transactions", among: most, run: script{text: repeated, mode: "simple", clients: 16}.run})
	add(workload{name: "insert 1000 rows 4", unit: "transactions", among: most, before: truncate, run: script{text: thousandRows(), mode: "simple", clients: 4}.run})
	add(workload{name: "rows 1000 4", unit: "transactions", among: most, run: script{text: manyRows, mode: "extended", clients: 4}.run})
	add(workload{name: "result 1 GiB", unit: "MB", among: most, run: reading(oneGiB)})
	add(workload{name: "copy out", unit: "MB", among: most, turns: copyTurns, run: reading("COPY lines (id, placed, amount, note) TO STDOUT")})
	add(workload{name: "copy in", unit: "MB", among: most, before: truncate, turns: copyTurns, run: copyIn})
	add(workload{name: "connect 4", unit: "connections", among: most, run: script{text: selectOne, mode: "simple", clients: 4, reconnect: true}.run})
	add(workload{name: "idle clients", unit: "bytes", among: proxies, once: true, run: idle})
	add(workload{name: "cached statements", unit: "bytes", among: gates, once: true, run: cachedStatements})
	return list
}

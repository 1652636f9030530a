package main

import "fmt"

// A goal is a ratio that is to be reached.
type goal struct {
	what, against string
	least         float64 // 0: none
	most          float64 // 0: none
	measured      float64
	unit          string // of measured; empty: a ratio
}

func (g goal) reached() bool {
	return (g.least == 0 || g.measured >= g.least) && (g.most == 0 || g.measured <= g.most)
}

func (g goal) limit() string {
	if g.least > 0 {
		return "at least " + g.number(g.least)
	}
	return "at most " + g.number(g.most)
}

func (g goal) value() string { return g.number(g.measured) }

func (g goal) number(v float64) string {
	if g.unit != "" {
		return fmt.Sprintf("%.1f %s", v, g.unit)
	}
	return fmt.Sprintf("%.2f", v)
}

// goals are those whose workloads were run.
func (r *report) goals() []goal {
	var list []goal
	add := func(g goal) {
		if g.measured > 0 {
			list = append(list, g)
		}
	}
	for _, enforce := range []string{"rls", "rewrite"} {
		for _, mode := range []string{"simple", "prepared"} {
			for _, clients := range []int{16, 64} {
				w := fmt.Sprintf("select %s %d", mode, clients)
				add(goal{
					what: fmt.Sprintf("throughput, `%s`, %s, %d clients", enforce, mode, clients), against: r.bouncer(w, ""), least: 1,
					measured: r.against(rate, w, enforce, w, r.bouncer(w, "")),
				})
			}
		}
	}
	for _, mode := range []string{"simple", "extended", "prepared"} {
		w := fmt.Sprintf("select %s 16", mode)
		by := r.bouncer(w, " by hand")
		add(goal{
			what: fmt.Sprintf("throughput, `rls`, %s, 16 clients", mode), against: by, least: 3,
			measured: r.against(rate, w, "rls", w, by),
		})
	}
	for _, enforce := range []string{"rls", "rewrite"} {
		for _, mode := range []string{"simple", "prepared"} {
			w := fmt.Sprintf("select %s 1", mode)
			add(goal{
				what: fmt.Sprintf("p50 latency, `%s`, %s, 1 client", enforce, mode), against: r.bouncer(w, ""), most: 1.3,
				measured: r.against(p50, w, enforce, w, r.bouncer(w, "")),
			})
		}
	}
	add(goal{
		what: "statements that differ only in literals, `rewrite`", against: "the same statement repeated", least: 0.85,
		measured: r.against(rate, "literals differ 16", "rewrite", "literals repeat 16", "rewrite"),
	})
	for _, w := range []string{"result 1 GiB", "copy out", "copy in"} {
		for _, enforce := range []string{"rls", "rewrite"} {
			add(goal{what: fmt.Sprintf("%s, `%s`", w, enforce), against: "pgbouncer", least: 1, measured: r.against(rate, w, enforce, w, r.bouncer(w, ""))})
		}
	}
	for _, enforce := range []string{"rls", "rewrite"} {
		add(goal{
			what: fmt.Sprintf("%d tenants, `%s`", tenants, enforce), against: "1 tenant, in turns", least: 0.95,
			measured: median(r.results[besideOne][enforce], rate),
		})
	}
	for _, enforce := range []string{"rls", "rewrite"} {
		add(goal{
			what: fmt.Sprintf("memory for each of %d idle clients, `%s`", idleClients, enforce), against: "", most: 25, unit: "KiB",
			measured: median(r.results["idle clients"][enforce], rate) / 1024,
		})
		add(goal{
			what: fmt.Sprintf("memory for a cached statement, `%s`", enforce), against: "", most: 4, unit: "KiB",
			measured: median(r.results["cached statements"][enforce], rate) / 1024,
		})
		add(goal{
			what: fmt.Sprintf("memory of the proxy while 1 GiB is read slowly, `%s`", enforce), against: "", most: 64, unit: "MiB",
			measured: median(r.results["slow reader"][enforce], rate) / (1 << 20),
		})
	}
	return list
}

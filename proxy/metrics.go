package proxy

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tenantgate/pool"
	"tenantgate/rewrite"
)

// Nobody counts for Prometheus: what there is is read when it asks. Labels are
// bounded: tenants are those of the configuration that have had a session,
// rules and SQLSTATEs at most maxKinds for each.

// metrics is the handler that Prometheus scrapes.
func (s *Server) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{s},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// A metric is one name with what it means.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("tenantgate_"+name, help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("tenantgate_"+name, help, labels, nil), prometheus.GaugeValue}
}

var (
	metricInfo       = gauge("info", "1, with the version and how tenants are kept apart.", "version", "enforce")
	metricObserve    = gauge("observe", "1 while refusals are logged and not enforced (tenancy.observe): tenants are not kept apart.")
	metricLogins     = counter("logins_total", "Logins that were let in.")
	metricRefused    = counter("logins_refused_total", "Logins that were refused, by SQLSTATE.", "sqlstate")
	metricTurnedAway = counter("clients_turned_away_total", "Clients that came while too many had not authenticated.")
	metricGreeting   = gauge("clients_unauthenticated", "Clients that have not authenticated yet.")
	metricOperators  = gauge("operators", "Sessions of operators, whom no tenant confines.")

	metricAuthFailures  = counter("auth_failures_total", "Wrong passwords, and proofs for unknown logins.")
	metricAuthDelayed   = counter("auth_delayed_total", "Logins that had to wait because of failures before.")
	metricAuthDelay     = counter("auth_delay_seconds_total", "How long they had to wait.")
	metricAuthThrottled = counter("auth_throttled_total", "Logins that were not looked at because of failures before.")

	poolLabels         = []string{"backend", "database", "rows"}
	metricPoolSize     = gauge("pool_size", "Server connections at most. Label rows is of many tenants, or of one whose database it is.", poolLabels...)
	metricPoolIdle     = gauge("pool_idle", "Server connections that nobody has.", poolLabels...)
	metricPoolLeased   = gauge("pool_leased", "Server connections that sessions have.", poolLabels...)
	metricPoolDialing  = gauge("pool_dialing", "Server connections that are being opened.", poolLabels...)
	metricPoolWaiting  = gauge("pool_waiting", "Sessions that wait for a server connection.", poolLabels...)
	metricPoolAcquires = counter("pool_acquires_total", "Server connections leased to sessions.", poolLabels...)
	metricPoolWait     = counter("pool_wait_seconds_total", "How long sessions waited for server connections that they got.", poolLabels...)
	metricPoolTimeouts = counter("pool_timeouts_total", "Sessions that got no server connection in time.", poolLabels...)
	metricPoolDials    = counter("pool_dials_total", "Server connections opened.", poolLabels...)
	metricPoolFailures = counter("pool_dial_failures_total", "Server connections that could not be opened.", poolLabels...)
	metricPoolClosed   = counter("pool_closed_total", "Server connections closed.", poolLabels...)

	metricCacheEntries = gauge("rewrite_cache_entries", "Texts whose verdict is remembered.", "rows")
	metricCacheBytes   = gauge("rewrite_cache_bytes", "What remembering them takes.", "rows")
	metricCacheHits    = counter("rewrite_cache_hits_total", "Texts whose verdict was remembered.", "rows")
	metricCacheMisses  = counter("rewrite_cache_misses_total", "Texts that had to be read.", "rows")

	metricSessions     = gauge("sessions", "Sessions of a tenant by what they are doing. An empty tenant is of logins that have not chosen one.", "tenant", "state")
	metricPinned       = gauge("sessions_pinned", "Sessions that keep their server connection between transactions.", "tenant")
	metricPins         = counter("pins_total", "How often sessions began to keep their server connection, by reason.", "tenant", "reason")
	metricStatements   = counter("statements_total", "Statements that were let through, of simple queries and by Execute.", "tenant")
	metricReceived     = counter("received_bytes_total", "Bytes from clients.", "tenant")
	metricSent         = counter("sent_bytes_total", "Bytes to clients.", "tenant")
	metricQueries      = counter("query_seconds", "From a query, or the first message of a pipeline, to its end.", "tenant")
	metricTransactions = counter("transaction_seconds", "From the first message of a transaction to its end.", "tenant")
	metricRefusals     = counter("refusals_total", "Statements that were refused, by rule and SQLSTATE.", "tenant", "rule", "sqlstate")
	metricLetThrough   = counter("let_through_total", "Statements that observe let through although they should be refused.", "tenant", "rule", "sqlstate")
	metricErrors       = counter("server_errors_total", "Errors of database servers, by the class of their SQLSTATE.", "tenant", "class")
)

// A collector reads a server's counters for Prometheus.
type collector struct {
	server *Server
}

// Describe sends nothing: which series there are depends on tenants and pools.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the counters as they are now.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s, series := c.server, sink(to)
	series.put(metricInfo, 1, s.cfg.Version, s.cfg.Enforce.String())
	series.put(metricObserve, boolValue(s.cfg.Observe))
	series.put(metricLogins, float64(s.accepted.Load()))
	for kind, n := range s.refused.stat() {
		series.put(metricRefused, float64(n), kind.label())
	}
	series.put(metricTurnedAway, float64(s.turnedAway.Load()))
	series.put(metricGreeting, float64(len(s.logins)))
	series.put(metricOperators, float64(s.countOperators()))

	stat := s.cfg.Auth.Stat()
	series.put(metricAuthFailures, float64(stat.Failures))
	series.put(metricAuthDelayed, float64(stat.Delayed))
	series.put(metricAuthDelay, stat.Delay.Seconds())
	series.put(metricAuthThrottled, float64(stat.Throttled))

	series.putPools(s)
	series.putCache(s.rewriter, ofMany)
	series.putCache(s.guardOnly, ofOne)
	for id, t := range s.tenantStats() {
		series.putTenant(id, t)
	}
}

// A sink takes series.
type sink chan<- prometheus.Metric

func (to sink) put(m metric, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
}

// ofMany and ofOne tell databases that tenants share from those of one tenant,
// ofOperators the pools that no tenant's sessions use.
const (
	ofMany      = "many"
	ofOne       = "one"
	ofOperators = "operators"
)

// rows tells whose rows a backend's server connections see.
func (b *backend) rows() string {
	switch {
	case b.operator:
		return ofOperators
	case b.alone:
		return ofOne
	default:
		return ofMany
	}
}

func (to sink) putPools(s *Server) {
	sums := make(map[[3]string]pool.Stat) // operators may reach a database in several ways
	for _, b := range s.openBackends() {
		key := [3]string{b.name, b.database, b.rows()}
		sums[key] = sums[key].Plus(b.pool.Stat())
	}
	for key, stat := range sums {
		labels := key[:]
		to.put(metricPoolSize, float64(stat.Size), labels...)
		to.put(metricPoolIdle, float64(stat.Idle), labels...)
		to.put(metricPoolLeased, float64(stat.Leased), labels...)
		to.put(metricPoolDialing, float64(stat.Dialing), labels...)
		to.put(metricPoolWaiting, float64(stat.Waiting), labels...)
		to.put(metricPoolAcquires, float64(stat.Acquired), labels...)
		to.put(metricPoolWait, stat.WaitTime.Seconds(), labels...)
		to.put(metricPoolTimeouts, float64(stat.Timeouts), labels...)
		to.put(metricPoolDials, float64(stat.Dialed), labels...)
		to.put(metricPoolFailures, float64(stat.DialFailures), labels...)
		to.put(metricPoolClosed, float64(stat.Destroyed), labels...)
	}
}

func (to sink) putCache(r *rewrite.Rewriter, rows string) {
	stat := r.Stat()
	to.put(metricCacheEntries, float64(stat.Entries), rows)
	to.put(metricCacheBytes, float64(stat.Bytes), rows)
	to.put(metricCacheHits, float64(stat.Hits), rows)
	to.put(metricCacheMisses, float64(stat.Misses), rows)
}

func (to sink) putTenant(id string, t *tenantStat) {
	for i, n := range t.sessions {
		to.put(metricSessions, float64(n), id, states[i])
	}
	to.put(metricPinned, float64(t.pinned), id)
	for i, n := range t.pins {
		if n > 0 {
			to.put(metricPins, float64(n), id, pinReason(1<<i).String())
		}
	}
	to.put(metricStatements, float64(t.statements), id)
	to.put(metricReceived, float64(t.received), id)
	to.put(metricSent, float64(t.sent), id)
	to.putTiming(metricQueries, &t.queries, id)
	to.putTiming(metricTransactions, &t.transactions, id)
	for kind, n := range t.refusals {
		to.put(metricRefusals, float64(n), id, kind.rule, kind.code)
	}
	for kind, n := range t.letThrough {
		to.put(metricLetThrough, float64(n), id, kind.rule, kind.code)
	}
	for kind, n := range t.errors {
		to.put(metricErrors, float64(n), id, kind.label())
	}
}

// putTiming sends a histogram, whose steps each hold those below.
func (to sink) putTiming(m metric, t *timingStat, labels ...string) {
	steps := make(map[float64]uint64, len(durations))
	var below uint64
	for i, bound := range durations {
		below += uint64(t.steps[i])
		steps[bound.Seconds()] = below
	}
	to <- prometheus.MustNewConstHistogram(m.desc, uint64(t.count()), t.total.Seconds(), steps, labels...)
}

// label is the code, or other for all that are not told apart.
func (k refusalKind) label() string {
	if k.code == "" {
		return k.rule
	}
	return k.code
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

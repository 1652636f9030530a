package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// settled waits until sessions have done what they do behind a ReadyForQuery.
func (g *gate) settled() {
	g.t.Helper()
	require.Eventually(g.t, func() bool {
		return !slices.ContainsFunc(g.server.sessionStats(), func(s sessionStat) bool { return s.state == stateActive.String() && !s.operator })
	}, 10*time.Second, time.Millisecond)
}

// page is what the gate answers to a GET.
func (g *gate) page(path string) string {
	g.t.Helper()
	g.settled()
	answer := httptest.NewRecorder()
	g.server.HTTP().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	require.Equal(g.t, http.StatusOK, answer.Code, answer.Body.String())
	return answer.Body.String()
}

// scrape is what Prometheus would read, by the name of the series.
func (g *gate) scrape() map[string]float64 {
	g.t.Helper()
	series := make(map[string]float64)
	for line := range strings.Lines(g.page("/metrics")) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if name += "}"; !ok {
			name, value, ok = strings.Cut(strings.TrimSpace(line), " ")
		}
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		require.NoError(g.t, err, line)
		series[strings.TrimPrefix(name, "tenantgate_")] = number
	}
	return series
}

func TestMetricsTellWhatATenantsSessionsDo(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, func(cfg *Config) {
				poolOf(3)(cfg)
				cfg.Version = "1.2.3"
			})
			conn := g.tenant("1")
			pgtest.Must(t, conn, "SELECT count(*) FROM patients; SELECT 1")
			pgtest.Extended(t, conn, "SELECT count(*) FROM patients")
			pgtest.Must(t, conn, "BEGIN")
			require.Equal(t, "22012", pgtest.Simple(t, conn, "SELECT 1 / (count(*) - count(*)) FROM patients")[0].Code)
			inTransaction := g.scrape()
			pgtest.Must(t, conn, "ROLLBACK")
			require.Equal(t, "42501", pgtest.Simple(t, conn, "CREATE TABLE mine ()")[0].Code)
			require.Equal(t, "42501", pgtest.Extended(t, conn, "SELECT pg_sleep(0)").Code)
			require.Equal(t, "42601", pgtest.Simple(t, conn, "SELEC 1")[0].Code)
			pgtest.Must(t, conn, "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT 1; COMMIT")
			other := g.tenant("2")
			pgtest.Must(t, other, "SELECT repeat('x', 100000)")

			pool := `{backend="main",database="` + g.database + `",rows="many"}`
			got := g.scrape()
			for name, want := range map[string]float64{
				`info{enforce="` + enforce.String() + `",version="1.2.3"}`: 1,
				"observe":                                                 0,
				"logins_total":                                            2,
				"pool_size" + pool:                                        3,
				"pool_leased" + pool:                                      1, // pinned
				"pool_idle" + pool:                                        1,
				"pool_waiting" + pool:                                     0,
				"pool_timeouts_total" + pool:                              0,
				`sessions{state="idle",tenant="tenant1"}`:                 1,
				`sessions{state="active",tenant="tenant1"}`:               0,
				`sessions_pinned{tenant="tenant1"}`:                       1,
				`sessions_pinned{tenant="tenant2"}`:                       0,
				`pins_total{reason="cursors with hold",tenant="tenant1"}`: 1,
				`refusals_total{rule="statement.ddl",sqlstate="42501",tenant="tenant1"}`:  1,
				`refusals_total{rule="function.sleep",sqlstate="42501",tenant="tenant1"}`: 1,
				`refusals_total{rule="",sqlstate="42601",tenant="tenant1"}`:               1,
				`server_errors_total{class="22",tenant="tenant1"}`:                        1,
				`statements_total{tenant="tenant1"}`:                                      9,
				`statements_total{tenant="tenant2"}`:                                      1,
				`query_seconds_count{tenant="tenant2"}`:                                   1,
				`query_seconds_bucket{tenant="tenant2",le="+Inf"}`:                        1,
				`transaction_seconds_count{tenant="tenant2"}`:                             1,
			} {
				require.Contains(t, got, name)
				require.InDelta(t, want, got[name], 0, name)
			}
			require.InDelta(t, 1, inTransaction[`sessions{state="idle in transaction",tenant="tenant1"}`], 0)
			require.Greater(t, got[`sent_bytes_total{tenant="tenant2"}`], 100_000.)
			require.Less(t, got[`sent_bytes_total{tenant="tenant1"}`], 100_000.)
			require.Greater(t, got[`received_bytes_total{tenant="tenant1"}`], 300.)
			require.Positive(t, got[`rewrite_cache_misses_total{rows="many"}`])
			require.Positive(t, got[`rewrite_cache_bytes{rows="many"}`])
			require.Positive(t, got["go_goroutines"])

			require.NoError(t, conn.Close(context.Background()))
			require.Eventually(t, func() bool {
				now := g.scrape()
				return now[`sessions{state="idle",tenant="tenant1"}`]+now[`sessions{state="active",tenant="tenant1"}`] == 0
			}, 5*time.Second, 10*time.Millisecond)
			after := g.scrape()
			for _, name := range []string{`statements_total{tenant="tenant1"}`, `sent_bytes_total{tenant="tenant1"}`, `query_seconds_count{tenant="tenant1"}`} {
				require.GreaterOrEqual(t, after[name], got[name], "%s outlives the session", name)
			}
			require.Zero(t, after[`sessions_pinned{tenant="tenant1"}`])
		})
	}
}

func TestMetricsTellOfLoginsThatAreRefused(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	for _, url := range []string{
		strings.Replace(g.url("tenant1"), "correct", "wrong", 1), g.url("stranger"), g.url("gone"), strings.Replace(g.url("tenant1"), g.database, "other", 1),
	} {
		_, err := pgconn.Connect(t.Context(), url)
		require.Error(t, err)
	}
	got := g.scrape()
	require.InDelta(t, 2, got[`logins_refused_total{sqlstate="28P01"}`], 0)
	require.InDelta(t, 1, got[`logins_refused_total{sqlstate="28000"}`], 0)
	require.InDelta(t, 1, got[`logins_refused_total{sqlstate="3D000"}`], 0)
	require.InDelta(t, 2, got["auth_failures_total"], 0)
	require.Positive(t, got["auth_delayed_total"])
	require.Zero(t, got["logins_total"])
	require.NotContains(t, g.page("/metrics"), "stranger", "no series is made of what clients call themselves")
}

func TestMetricsCountForTheTenantThatIsChosen(t *testing.T) {
	g := open(t, clinic.New(t, 2), RLS, nil)
	conn := pgtest.Connect(t, g.url("both"))
	require.InDelta(t, 1, g.scrape()[`sessions{state="idle",tenant=""}`], 0)
	require.Equal(t, "42501", pgtest.Simple(t, conn, "SELECT 1")[0].Code)
	for _, tenant := range []string{"tenant1", "tenant2"} {
		pgtest.Must(t, conn, "SET tenantgate.tenant = '"+tenant+"'")
		pgtest.Must(t, conn, "SELECT count(*) FROM patients")
		require.InDelta(t, 1, g.scrape()[`sessions{state="idle",tenant="`+tenant+`"}`], 0)
	}
	got := g.scrape()
	require.InDelta(t, 1, got[`refusals_total{rule="",sqlstate="42501",tenant=""}`], 0)
	require.Zero(t, got[`sessions{state="idle",tenant="tenant1"}`])
	require.Positive(t, got[`statements_total{tenant="tenant1"}`])
	require.Positive(t, got[`statements_total{tenant="tenant2"}`])
}

func TestObservingIsLoudInMetrics(t *testing.T) {
	var log journal
	g := open(t, clinic.New(t, 1), RLS, observing(&log))
	conn := g.tenant("1")
	pgtest.Must(t, conn, "SELECT pg_sleep(0)")
	got := g.scrape()
	require.InDelta(t, 1, got["observe"], 0)
	require.InDelta(t, 1, got[`let_through_total{rule="function.sleep",sqlstate="42501",tenant="tenant1"}`], 0)
	require.NotContains(t, got, `refusals_total{rule="function.sleep",sqlstate="42501",tenant="tenant1"}`)
}

func TestMetricsAreNamedAsPrometheusWantsThem(t *testing.T) {
	g := open(t, clinic.New(t, 1), RLS, nil)
	pgtest.Must(t, g.tenant("1"), "SELECT 1")
	problems, err := promlint.New(strings.NewReader(g.page("/metrics"))).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestKindsOfRefusalsAreBounded(t *testing.T) {
	kinds := make(tallied)
	for i := range 2 * maxKinds {
		kinds.add(refusalKind{code: strconv.Itoa(i)})
	}
	require.Len(t, kinds, maxKinds+1)
	require.EqualValues(t, maxKinds, kinds[refusalKind{rule: "other"}])
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTenantIsSetByHandBehindBegin(t *testing.T) {
	require.Equal(t, "\\set aid random(1, 5000)\nBEGIN;\nSELECT set_config('app.tenant_id', '1', true);\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\nCOMMIT;\n", byHand(selectOne))
	script := byHand(tpcb)
	require.Equal(t, 1, strings.Count(script, "BEGIN;"))
	require.Equal(t, 1, strings.Count(script, "COMMIT;"))
	require.Less(t, strings.Index(script, "\\set delta"), strings.Index(script, "BEGIN;"))
	require.Less(t, strings.Index(script, "set_config"), strings.Index(script, "UPDATE"))
}

func TestRatioIsTheMedianOfTheRatiosWithinARound(t *testing.T) {
	r := &report{results: results{"w": {
		"rls":       {{rate: 10}, {rate: 200}, {rate: 33}},
		"pgbouncer": {{rate: 20}, {rate: 100}, {rate: 30}},
	}}}
	require.InDelta(t, 1.1, r.against(rate, "w", "rls", "w", "pgbouncer"), 1e-9)
	require.Zero(t, r.against(rate, "w", "rewrite", "w", "pgbouncer"))
}

func TestFasterBouncerIsTheOneToBeat(t *testing.T) {
	r := &report{results: results{"w": {"pgbouncer": {{rate: 2}}, "pgbouncer+": {{rate: 3}}}, "old": {"pgbouncer": {{rate: 2}}}}}
	require.Equal(t, "pgbouncer+", r.bouncer("w", ""))
	require.Equal(t, "pgbouncer", r.bouncer("old", ""))
}

func TestPercentilesAreOfTheSortedList(t *testing.T) {
	var s sample
	s.setLatencies([]time.Duration{5, 1, 4, 2, 3})
	require.EqualValues(t, 3, s.p50)
	require.EqualValues(t, 5, s.p99)
}

func TestPagesOwnWordsStay(t *testing.T) {
	page := filepath.Join(t.TempDir(), "performance.md")
	r := &report{stage: &stage{version: map[string]string{}}, results: results{}}
	require.NoError(t, os.WriteFile(page, []byte("before\n"), 0o600))
	require.Error(t, r.write(page), "nowhere to write")

	require.NoError(t, os.WriteFile(page, []byte("before\n"+pageBegin+"\nold\n"+pageEnd+"\nafter\n"), 0o600))
	require.NoError(t, r.write(page))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "before\n"+pageBegin))
	require.True(t, strings.HasSuffix(string(text), pageEnd+"\nafter\n"))
	require.NotContains(t, string(text), "old")
	require.FileExists(t, strings.TrimSuffix(page, ".md")+".svg")
}

func TestEveryWorkloadHasAContenderAndAName(t *testing.T) {
	seen := make(map[string]bool)
	for _, w := range workloads() {
		require.NotEmpty(t, w.among, w.name)
		require.False(t, seen[w.name], w.name)
		seen[w.name] = true
	}
}

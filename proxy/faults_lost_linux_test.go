package proxy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

func TestStatementsOnANetworkThatLosesAllFailAndTheNextOnesWait(t *testing.T) {
	nothingLeaks(t)
	c := clinic.New(t, 1)
	silence := 2 * time.Second
	if faults(t) > 1 {
		silence = 30 * time.Second // as everywhere but in tests
	}
	g, network := behind(t, c, auth.Limits{}, time.Minute, silence)
	runs, idles, rests := g.tenant("1"), g.tenant("1"), g.tenant("1")
	pgtest.Must(t, idles, "BEGIN")
	pgtest.Must(t, idles, "INSERT INTO log_lines (level, line) VALUES ('lost', 'never')")
	running := inBackground(runs, long)
	pgtest.Must(t, rests, "SELECT 1")
	eventually(t, func() bool { return g.pool().Stat().Leased == 2 }, "the statement runs")
	network.Lose(t)
	// One whose server is waited for, and one whose message nobody takes note of.
	sent := inBackground(idles, "INSERT INTO log_lines (level, line) VALUES ('lost', 'never')")
	require.Equal(t, "08006", ended(<-running))
	require.Equal(t, "08006", ended(<-sent))
	network.Resume() // for new connections
	pgtest.Must(t, rests, "SELECT 1")
	pgtest.Must(t, runs, "SELECT 1")
	require.Equal(t, "0", pgtest.Must(t, g.tenant("1"), "SELECT count(*) FROM log_lines WHERE level = 'lost'")[0][0])
	allBack(t, g.pool())
	network.Cut() // for the server, which does not know yet
}

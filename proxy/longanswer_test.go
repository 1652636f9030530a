package proxy

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest/clinic"
)

// Of a long answer much comes together, but no more than there is: what the
// server has sent before it pauses reaches the client meanwhile.
func TestLongAnswerThatPausesIsNotHeldBack(t *testing.T) {
	c := clinic.New(t, 2)
	g := open(t, c, Both, func(cfg *Config) { napping(t, c, cfg) })
	const rows, width, pause = 20_000, 1000, time.Second
	sql := fmt.Sprintf("SELECT repeat('x', %d) || coalesce(CASE WHEN n IN (%d, %d) THEN nap(%v)::text END, '') FROM generate_series(1, %[2]d) n",
		width, rows, rows/2, pause.Seconds())
	for _, statement := range []string{sql, "COPY (" + sql + ") TO STDOUT"} {
		f := g.tenant("1").Frontend()
		f.Send(&pgproto3.Query{String: statement})
		require.NoError(t, f.Flush())
		seen := 0
		var pauses []int // behind how many rows
		for ready := false; !ready; {
			waits := time.Now()
			msg, err := f.Receive()
			require.NoError(t, err)
			if seen > 0 && time.Since(waits) > pause/2 {
				pauses = append(pauses, seen)
			}
			switch msg := msg.(type) {
			case *pgproto3.DataRow:
				seen++
				require.Len(t, msg.Values[0], width)
			case *pgproto3.CopyData:
				seen++
				require.Len(t, msg.Data, width+len("\n"))
			case *pgproto3.ErrorResponse:
				require.Fail(t, msg.Message)
			case *pgproto3.ReadyForQuery:
				ready = true
			}
		}
		require.Equal(t, rows, seen)
		require.Len(t, pauses, 2)
		const held = 8<<10/width + 2 // by the server
		require.InDelta(t, rows/2-1, pauses[0], held)
		require.InDelta(t, rows-1, pauses[1], held)
	}
}

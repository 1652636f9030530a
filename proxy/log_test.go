package proxy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

func TestRefusalsAndPinsAreLoggedOnceWithSessionLoginAndTenant(t *testing.T) {
	var log journal
	g := open(t, clinic.New(t, 2), RLS, func(cfg *Config) { cfg.Log = zerolog.New(&log).Level(zerolog.InfoLevel) })
	conn := pgtest.Connect(t, g.url("both"))
	for _, tenant := range []string{"tenant1", "tenant2"} {
		pgtest.Must(t, conn, "SET tenantgate.tenant = '"+tenant+"'")
		g.settled()
		log.take()
		require.Equal(t, "42501", pgtest.Simple(t, conn, "TRUNCATE patients")[0].Code)
		require.Equal(t, "42501", pgtest.Extended(t, conn, "TRUNCATE patients").Code)
		pgtest.Must(t, conn, "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT 'a secret'; COMMIT")
		pgtest.Must(t, conn, "SELECT 1")
		g.settled()
		said := log.take()
		require.Equal(t, 2, strings.Count(said, `"message":"statement refused"`), said)
		require.Equal(t, 1, strings.Count(said, `"message":"session is pinned"`), said)
		for line := range strings.Lines(said) {
			var entry struct {
				Message, Login, Tenant, Rule, SQLState, Reason string
				Session, ServerPID                             uint32
			}
			require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(line, "server_pid", "serverPID")), &entry), line)
			require.Equal(t, 1, strings.Count(line, `"tenant":`), line)
			require.Equal(t, conn.PID(), entry.Session, line)
			require.Equal(t, "both", entry.Login, line)
			require.Equal(t, tenant, entry.Tenant, line)
			if entry.Message == "session is pinned" {
				require.Equal(t, "cursors with hold", entry.Reason)
				require.NotZero(t, entry.ServerPID)
			} else {
				require.Equal(t, "statement.truncate", entry.Rule)
				require.Equal(t, "42501", entry.SQLState)
			}
		}
		require.NotContains(t, said, "a secret")
		pgtest.Must(t, conn, "CLOSE held")
	}
}

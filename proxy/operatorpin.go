package proxy

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
)

// operatorHoldingQuery is holdingStatement on operators' server connections.
// After a statement of which nobody knows what it does to its session, it tells
// what that has there, run-time parameters too.
const operatorHoldingQuery = `SELECT pg_catalog.json_build_object(
'cursors', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_cursors AS h WHERE h.is_holdable),
'objects', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS o
	WHERE o.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
	OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc AS f
	WHERE f.pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
	OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM pg_catalog.pg_type AS y
	WHERE y.typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()),
'locks', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks AS l
	WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'::pg_catalog.text AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()),
'channels', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_listening_channels()),
'prepared', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements AS p WHERE p.from_sql),
'role', pg_catalog.current_setting('role'), 'user', SESSION_USER,
'settings', (SELECT pg_catalog.json_object_agg(pg_catalog.lower(g.name), pg_catalog.current_setting(g.name))
	FROM pg_catalog.pg_settings AS g WHERE g.source OPERATOR(pg_catalog.=) 'session'::pg_catalog.text
	AND g.name OPERATOR(pg_catalog.!~~) 'transaction%'::pg_catalog.text))::pg_catalog.text`

// lastLeftover numbers what sessions may leave on server connections.
var lastLeftover atomic.Uint64

// takeOperatorHolding reads what an operator's server connection has.
func (s *session) takeOperatorHolding(answer string) error {
	var found struct {
		Cursors, Objects, Locks, Channels, Prepared int
		Role, User                                  string
		Settings                                    map[string]string
	}
	if err := json.Unmarshal([]byte(answer), &found); err != nil {
		return fmt.Errorf("%w: what the session holds: %w", errServerProtocol, err)
	}
	home := "none"
	if role, ok := s.settings["role"]; ok { // of the start-up packet
		home = role
	}
	var reasons pinReason
	for reason, has := range map[pinReason]bool{
		pinCursor: found.Cursors > 0, pinTemporary: found.Objects > 0, pinAdvisory: found.Locks > 0,
		pinListen: found.Channels > 0, pinPrepared: found.Prepared > 0,
		pinRole: found.Role != home || found.User != s.backend.role,
	} {
		if has {
			reasons |= reason
		}
	}
	s.held.reasons = reasons
	if reasons != 0 {
		s.held.dirty = true
	}
	// What has a dot may be a parameter of nobody's, which is not listed.
	for name := range s.settings {
		if _, set := found.Settings[name]; !set && !strings.Contains(name, ".") && name != "role" {
			delete(s.settings, name)
		}
	}
	maps.Copy(s.settings, found.Settings)
	s.conn.Settings = maps.Clone(s.settings)
	return nil
}

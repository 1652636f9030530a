package proxy

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// observeWarning is what operators are told wherever they look.
const observeWarning = "observe is on: refusals are logged and NOT enforced, tenants are not kept apart"

// A column is of type int8 or text.
type column struct {
	name   string
	number bool
}

func texts(name string) column   { return column{name: name} }
func numbers(name string) column { return column{name: name, number: true} }

// A row has a string, an int64 or nil for each column.
type row []any

// A show is a table that SHOW shows.
type show struct {
	columns []column
	rows    func(*Server) []row
}

var showTables = map[string]show{
	"HELP":     {[]column{texts("command"), texts("description")}, func(*Server) []row { return help }},
	"TENANTS":  {[]column{texts("tenant"), texts("backend"), texts("database"), texts("suspended"), numbers("sessions"), numbers("active"), numbers("waiting"), numbers("pinned"), numbers("statements"), numbers("refused"), numbers("let_through")}, (*Server).showTenants},
	"CLIENTS":  {[]column{numbers("id"), texts("login"), texts("tenant"), texts("addr"), texts("tls"), texts("state"), texts("connect_time"), numbers("age"), texts("pinned"), texts("backend"), texts("database"), numbers("server_pid")}, (*Server).showClients},
	"SERVERS":  {[]column{numbers("pid"), texts("backend"), texts("database"), texts("state"), texts("tenant"), numbers("client_id"), texts("connect_time"), numbers("age"), texts("pinned")}, (*Server).showServers},
	"POOLS":    {[]column{texts("backend"), texts("database"), texts("rows"), numbers("pool_size"), numbers("sv_idle"), numbers("sv_active"), numbers("sv_login"), numbers("cl_waiting"), numbers("acquires"), numbers("wait_time"), numbers("timeouts"), numbers("dials"), numbers("dial_failures")}, (*Server).showPools},
	"PINS":     {[]column{numbers("id"), texts("login"), texts("tenant"), texts("reason"), texts("since"), numbers("seconds"), texts("state"), texts("backend"), texts("database"), numbers("server_pid")}, (*Server).showPins},
	"STATS":    {[]column{texts("tenant"), numbers("total_xact_count"), numbers("total_query_count"), numbers("total_statement_count"), numbers("total_received"), numbers("total_sent"), numbers("total_xact_time"), numbers("total_query_time"), numbers("total_server_errors")}, (*Server).showStats},
	"REFUSALS": {[]column{texts("tenant"), texts("rule"), texts("sqlstate"), numbers("refused"), numbers("let_through")}, (*Server).showRefusals},
	"CONFIG":   {[]column{texts("key"), texts("value")}, (*Server).showConfig},
	"VERSION":  {[]column{texts("version")}, func(s *Server) []row { return []row{{"tenantgate " + s.cfg.Version}} }},
	"OBSERVE":  {[]column{texts("observe"), texts("meaning"), numbers("let_through")}, (*Server).showObserve},
}

var help = []row{
	{"SHOW TENANTS", "tenants, and what their sessions do"},
	{"SHOW CLIENTS", "sessions: who, from where, for how long, doing what"},
	{"SHOW SERVERS", "server connections, and who has them"},
	{"SHOW POOLS", "server connections by database, in numbers"},
	{"SHOW PINS", "sessions that keep their server connection, and why"},
	{"SHOW STATS", "by tenant, since the start; times in microseconds"},
	{"SHOW REFUSALS", "statements that were refused, or let through by observe, by tenant and rule"},
	{"SHOW CONFIG", "the configuration, without secrets"},
	{"SHOW OBSERVE", "whether refusals are enforced"},
	{"SHOW VERSION", "the program's version"},
	{"SHOW HELP", "this"},
	{"KILL id", "end a session of SHOW CLIENTS"},
}

func (s *Server) showTenants() []row {
	stats := s.tenantStats()
	var rows []row
	for _, t := range s.cfg.Auth.Tenants() {
		stat := stats[t.ID]
		if stat == nil {
			stat = &tenantStat{}
		}
		at := s.placementOf(t)
		rows = append(rows, row{
			t.ID, at.backend, at.database, yes(t.Suspended), int64(stat.all()), int64(stat.sessions[stateActive] + stat.sessions[stateTransaction]),
			int64(stat.sessions[stateWaiting]), int64(stat.pinned), stat.statements, stat.refusals.total(), stat.letThrough.total(),
		})
	}
	return rows
}

func (s *Server) showClients() []row {
	now := time.Now()
	var rows []row
	for _, c := range s.sessionStats() {
		rows = append(rows, row{
			int64(c.id), c.login, c.tenant, c.address, yes(c.encrypted), c.state, moment(c.begun), seconds(now.Sub(c.begun)),
			c.pinned.String(), c.backend, c.database, orNull(int64(c.serverPID)),
		})
	}
	return rows
}

func (s *Server) showServers() []row {
	type place struct {
		backend, database string
		pid               uint32
	}
	holders := make(map[place]sessionStat)
	for _, c := range s.sessionStats() {
		if c.serverPID != 0 {
			holders[place{c.backend, c.database, c.serverPID}] = c
		}
	}
	now := time.Now()
	var rows []row
	for _, b := range s.openBackends() {
		for _, c := range b.pool.Conns() {
			state, holder := "idle", sessionStat{}
			if c.Leased {
				state, holder = "active", holders[place{b.name, b.database, c.PID}]
			}
			rows = append(rows, row{
				int64(c.PID), b.name, b.database, state, c.Group, orNull(int64(holder.id)), moment(c.Opened), seconds(now.Sub(c.Opened)), holder.pinned.String(),
			})
		}
	}
	return rows
}

func (s *Server) showPools() []row {
	var rows []row
	for _, b := range s.openBackends() {
		stat := b.pool.Stat()
		rows = append(rows, row{
			b.name, b.database, b.rows(), int64(stat.Size), int64(stat.Idle), int64(stat.Leased), int64(stat.Dialing), int64(stat.Waiting),
			stat.Acquired, stat.WaitTime.Microseconds(), stat.Timeouts, stat.Dialed, stat.DialFailures,
		})
	}
	return rows
}

func (s *Server) showPins() []row {
	now := time.Now()
	var rows []row
	for _, c := range s.sessionStats() {
		if c.pinned != 0 {
			rows = append(rows, row{
				int64(c.id), c.login, c.tenant, c.pinned.String(), moment(c.pinnedAt), seconds(now.Sub(c.pinnedAt)), c.state,
				c.backend, c.database, orNull(int64(c.serverPID)),
			})
		}
	}
	return rows
}

func (s *Server) showStats() []row {
	stats := s.tenantStats()
	var rows []row
	for _, id := range slices.Sorted(maps.Keys(stats)) {
		t := stats[id]
		rows = append(rows, row{
			id, t.transactions.count(), t.queries.count(), t.statements, t.received, t.sent,
			t.transactions.total.Microseconds(), t.queries.total.Microseconds(), t.errors.total(),
		})
	}
	return rows
}

func (s *Server) showRefusals() []row {
	stats := s.tenantStats()
	var rows []row
	for _, id := range slices.Sorted(maps.Keys(stats)) {
		t := stats[id]
		kinds := maps.Clone(t.refusals)
		maps.Copy(kinds, t.letThrough)
		for _, kind := range slices.SortedFunc(maps.Keys(kinds), func(a, b refusalKind) int {
			return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.code, b.code))
		}) {
			rows = append(rows, row{id, kind.rule, kind.code, t.refusals[kind], t.letThrough[kind]})
		}
	}
	return rows
}

func (s *Server) showConfig() []row {
	var rows []row
	for _, setting := range s.cfg.Shown {
		rows = append(rows, row{setting.Key, setting.Value})
	}
	return rows
}

func (s *Server) showObserve() []row {
	var letThrough int64
	for _, t := range s.tenantStats() {
		letThrough += t.letThrough.total()
	}
	if s.cfg.Observe {
		return []row{{"on", observeWarning, letThrough}}
	}
	return []row{{"off", "refusals are enforced", letThrough}}
}

// openBackends are the databases that are open, by name.
func (s *Server) openBackends() []*backend {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.backends), func(a, b *backend) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.database, b.database), cmp.Compare(a.rows(), b.rows()))
	})
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// orNull is NULL in place of 0.
func orNull(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

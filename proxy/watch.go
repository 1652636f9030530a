package proxy

import (
	"crypto/tls"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tenantgate/auth"
)

// What metrics, console and status page tell is read here, from outside the
// sessions: of each what its lock guards, and what it counts.

// A state is what a session is doing, as others may know.
type state uint8

const (
	stateIdle        state = iota
	stateActive            // a statement, or a group of messages, is under way
	stateTransaction       // it waits for its client in a transaction
	stateWaiting           // it waits for a server connection
)

var states = [...]string{"idle", "active", "idle in transaction", "waiting"}

func (s state) String() string { return states[s] }

// A clock times one session's queries and transactions. The zero clock stands.
type clock struct {
	query, transaction time.Time // when what is under way began
}

func (c *clock) start() {
	if !c.query.IsZero() {
		return
	}
	c.query = time.Now()
	if c.transaction.IsZero() {
		c.transaction = c.query
	}
}

// stop is for the end of a group, after which the status is that.
func (c *clock) stop(to *counts, status byte) {
	now := time.Now()
	to.queries.observe(now.Sub(c.query))
	c.query = time.Time{}
	if status == 'I' {
		to.transactions.observe(now.Sub(c.transaction))
		c.transaction = time.Time{}
	}
}

// resting is the state of a session that reads from its client.
func (s *session) resting() state {
	switch {
	case s.status != 'I' && s.idle() && !s.skipping:
		return stateTransaction
	case s.between():
		return stateIdle
	default:
		return stateActive
	}
}

// A shown is what others see of a session. No lock that is held for long
// guards it: a cancel request may hold the session's for seconds.
type shown struct {
	state, pinned, serverPID atomic.Uint32
	killed                   atomic.Bool  // an operator ends it
	pinnedAt                 atomic.Int64 // Unix time in nanoseconds
}

func (s *shown) enter(now state) { s.state.Store(uint32(now)) }

// release is for a session that gives its server connection up.
func (s *shown) release() {
	s.serverPID.Store(0)
	s.pinned.Store(0)
}

// pin makes known for what the session keeps its server connection.
func (s *session) pin(reasons pinReason) {
	before := pinReason(s.shown.pinned.Load())
	if reasons == before {
		return
	}
	if before == 0 {
		s.shown.pinnedAt.Store(time.Now().UnixNano())
	}
	s.shown.pinned.Store(uint32(reasons))
	if reasons&^before != 0 {
		s.tally.pinned(reasons &^ before)
		s.log.Info().Stringer("reason", reasons).Uint32("server_pid", s.conn.PID).Msg("session is pinned")
	}
}

// countFor makes the session one of that tenant, or of none, from now on.
func (s *session) countFor(t *auth.Tenant) {
	id := ""
	if t != nil {
		id = t.ID
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.tally != nil {
		s.tally.leave(s.counts)
	}
	tally := s.server.tallies[id]
	if tally == nil {
		tally = newTally()
		s.server.tallies[id] = tally
	}
	s.tenant, s.tally, s.counts = t, tally, &counts{}
	s.in.count = &s.counts.received
}

// A sessionStat is one client as it was at one moment.
type sessionStat struct {
	id            uint32
	login, tenant string
	operator      bool
	backend       string
	database      string
	address       string
	encrypted     bool
	state         string
	begun         time.Time
	pinned        pinReason
	pinnedAt      time.Time
	serverPID     uint32 // 0: it has no server connection
}

// stat is to be called with the server's lock held.
func (s *session) stat() sessionStat {
	_, encrypted := s.client.(*tls.Conn)
	stat := sessionStat{
		id: s.id, login: s.identity.Login, operator: s.identity.Operator, backend: s.backend.name, database: s.backend.database, address: s.client.RemoteAddr().String(), encrypted: encrypted,
		state: state(s.shown.state.Load()).String(), begun: s.begun,
		pinned: pinReason(s.shown.pinned.Load()), pinnedAt: time.Unix(0, s.shown.pinnedAt.Load()),
		serverPID: s.shown.serverPID.Load(),
	}
	if s.tenant != nil {
		stat.tenant = s.tenant.ID
	}
	return stat
}

// sessionStats tells of all clients that are logged in, by their ids.
func (s *Server) sessionStats() []sessionStat {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]sessionStat, 0, len(s.sessions)+len(s.consoles))
	for _, session := range s.sessions {
		all = append(all, session.stat())
	}
	for _, c := range s.consoles {
		all = append(all, c.stat())
	}
	slices.SortFunc(all, func(a, b sessionStat) int { return int(int64(a.id) - int64(b.id)) })
	return all
}

// countOperators counts the sessions that no tenant confines.
func (s *Server) countOperators() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, session := range s.sessions {
		if session.operator {
			n++
		}
	}
	return n
}

// A tenantStat is what a tenant's sessions do, and have done.
type tenantStat struct {
	countsStat
	sessions   [len(states)]int // by their state
	pinned     int
	refusals   tallied
	letThrough tallied
	errors     tallied
	pins       [8]int64
}

// tenantStats tells of all tenants that have had a session, by their ids.
func (s *Server) tenantStats() map[string]*tenantStat {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]*tenantStat, len(s.tallies))
	of := make(map[*tally]*tenantStat, len(s.tallies))
	for id, t := range s.tallies {
		all[id] = t.stat()
		of[t] = all[id]
	}
	for _, session := range s.sessions {
		stat := of[session.tally]
		stat.add(session.counts)
		stat.sessions[session.shown.state.Load()]++
		if session.shown.pinned.Load() != 0 {
			stat.pinned++
		}
	}
	return all
}

// all is how many sessions there are.
func (t *tenantStat) all() int {
	n := 0
	for _, sessions := range t.sessions {
		n += sessions
	}
	return n
}

func (t *tally) stat() *tenantStat {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &tenantStat{
		countsStat: t.gone,
		refusals:   maps.Clone(t.refusals), letThrough: maps.Clone(t.letThrough), errors: maps.Clone(t.errors), pins: t.pins,
	}
}

// A refusedLogins counts logins that were refused, by SQLSTATE.
type refusedLogins struct {
	mu    sync.Mutex
	codes tallied
}

func (r *refusedLogins) add(refusal error) {
	e, _ := Translate(refusal)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.codes.add(refusalKind{code: e.Code})
}

func (r *refusedLogins) stat() tallied {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.codes)
}

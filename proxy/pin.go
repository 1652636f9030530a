package proxy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

// What only its server connection has pins a session to it: the session keeps
// the connection between transactions, as part of the pool's and the tenant's
// limits, until the server says that nothing of the kind is left. Then the
// connection is cleaned, and the cleaning checked, before anybody else has it.

// A pinReason is a kind of state that pins. Several may hold a session.
type pinReason uint8

const (
	pinTemporary pinReason = 1 << iota // temporary objects
	pinCursor                          // cursors WITH HOLD
	pinAdvisory                        // advisory locks of the session
	pinListen                          // LISTEN
	pinPrepared                        // statements that SQL has prepared
	pinRole                            // another role
	pinUnknown                         // the server does not tell
)

// pinWords are the reasons in words, in order.
var pinWords = []string{
	"temporary tables", "cursors with hold", "advisory locks", "channels listened to", "prepared statements of SQL",
	"another role", "state that the server does not tell",
}

func (r pinReason) String() string {
	var words []string
	for i, word := range pinWords {
		if r&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

const (
	// cleanTimeout bounds the cleaning of a connection whose client has left.
	cleanTimeout = 5 * time.Second

	// holdingStatement is one of the proxy's own: what the session holds, as
	// JSON. Every name in it is qualified, operators too.
	holdingStatement = "tenantgate_holding"
	// locksStatement is another: whether the session holds advisory locks. It
	// looks at all locks of the server, and is asked only where there may be some.
	locksStatement = "tenantgate_locks"
	// holdingPortal is not the unnamed one, which may be the client's.
	holdingPortal = "tenantgate: holding"

	locksQuery = `SELECT pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_lock_status() AS l
WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.locktype OPERATOR(pg_catalog.=) 'advisory'::pg_catalog.text`

	holdingQuery = `SELECT pg_catalog.json_build_object(
'cursors', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_cursors AS h WHERE h.is_holdable),
'objects', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS o
	WHERE o.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()),
'tables', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
	'oid', c.oid::pg_catalog.int8, 'name', c.relname,
	'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
		'name', a.attname, 'oid', a.atttypid::pg_catalog.int8,
		'array', CASE WHEN t.typdelim OPERATOR(pg_catalog.=) ','::pg_catalog."char" THEN t.typarray::pg_catalog.int8 ELSE 0 END,
		'schema', n.nspname, 'type', t.typname, 'notNull', a.attnotnull,
		'default', a.atthasdef OR a.attidentity OPERATOR(pg_catalog.<>) ''::pg_catalog."char",
		'generated', a.attgenerated OPERATOR(pg_catalog.<>) ''::pg_catalog."char",
		'identity', a.attidentity OPERATOR(pg_catalog.<>) ''::pg_catalog."char") ORDER BY a.attnum)
		FROM pg_catalog.pg_attribute AS a
		JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
		JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
		WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped)))
	FROM pg_catalog.pg_class AS c
	WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
	AND c.relkind OPERATOR(pg_catalog.=) 'r'::pg_catalog."char"))::pg_catalog.text`
)

// A holding is what a session's server connection has of it, as the server
// told last, and whether that may have changed since.
type holding struct {
	reasons   pinReason
	tables    []catalog.Relation // temporary ones
	version   uint64             // of tables: two sets of one session never share one
	answer    string             // that tables were read from
	changed   bool               // ask before the next text is read
	unsettled bool               // ask when the transaction has ended
	unlocked  bool               // ask for locks when the transaction has ended
	dirty     bool               // the connection must be cleaned before it is anybody else's
	kept      bool               // no transaction is under way: the connection is a pinned one

	base, over *catalog.Snapshot // over is base with tables
}

// concerns reports whether a statement can change what is held.
func (h *holding) concerns(what rewrite.Hold) bool {
	return what&rewrite.HoldBegins != 0 || what != 0 && h.dirty
}

// forget is for a connection that the session has no more.
func (h *holding) forget() { *h = holding{version: h.version + 1} }

// take reads the server's answer.
func (h *holding) take(answer string) error {
	h.changed = false
	if answer == h.answer {
		return nil
	}
	var found struct {
		Cursors, Objects int
		Tables           []struct {
			OID     uint32
			Name    string
			Columns []struct {
				Name                                  string
				OID, Array                            uint32
				Schema, Type                          string
				NotNull, Default, Generated, Identity bool
			}
		}
	}
	if err := json.Unmarshal([]byte(answer), &found); err != nil {
		return fmt.Errorf("%w: what the session holds: %w", errServerProtocol, err)
	}
	h.answer, h.reasons, h.tables = answer, h.reasons&pinAdvisory, nil
	if found.Objects > 0 {
		h.reasons |= pinTemporary
	}
	if found.Cursors > 0 {
		h.reasons |= pinCursor
	}
	for _, t := range found.Tables {
		rel := catalog.Relation{OID: t.OID, Schema: catalog.SchemaTemporary, Name: t.Name, Kind: 'r', Class: catalog.Temporary}
		for _, c := range t.Columns {
			rel.Columns = append(rel.Columns, catalog.Column{
				Name: c.Name, Type: catalog.Type{OID: c.OID, Schema: c.Schema, Name: c.Type}, Array: c.Array,
				NotNull: c.NotNull, Default: c.Default, Generated: c.Generated, Identity: c.Identity,
			})
		}
		h.tables = append(h.tables, rel)
	}
	h.version++
	h.base, h.over = nil, nil
	return nil
}

// snapshot is the catalog as the session sees it: with its temporary tables.
func (h *holding) snapshot(base *catalog.Snapshot) *catalog.Snapshot {
	if len(h.tables) == 0 {
		return base
	}
	if h.base != base {
		h.base, h.over = base, base.WithTemporary(h.tables)
	}
	return h.over
}

// names reports whether a text could name one of the temporary tables. Nothing
// but time depends on it: a text that is refused without them is read with them.
func (h *holding) names(sql string) bool {
	if len(h.tables) > 20 {
		return true // looking for all would take longer than it saves
	}
	folded := strings.ToLower(sql)
	return slices.ContainsFunc(h.tables, func(t catalog.Relation) bool { return strings.Contains(folded, strings.ToLower(t.Name)) })
}

// takeLocks reads the server's answer.
func (h *holding) takeLocks(answer string) {
	h.reasons &^= pinAdvisory
	if answer != "0" {
		h.reasons |= pinAdvisory
	}
}

// noteHolding notes that a statement on its way may change what is held.
func (s *session) noteHolding(st *rewrite.Statement) {
	if s.operator {
		s.noteUnsure(st)
		return
	}
	h := &s.held
	if h.concerns(st.Hold &^ (rewrite.HoldLocks | rewrite.HoldUnlocks | rewrite.HoldNotifies)) {
		h.changed, h.unsettled, h.dirty = true, true, true
	}
	if st.Hold&rewrite.HoldLocks != 0 || st.Hold&rewrite.HoldUnlocks != 0 && h.reasons&pinAdvisory != 0 {
		h.unlocked = true
	}
}

// knowHolding learns what is held before a text is read, if that may have
// changed. It is false if the group under way has failed: then it is over, up
// to its Sync.
func (s *session) knowHolding() (bool, error) {
	if !s.held.changed || s.conn == nil || s.status == 'E' {
		return true, nil
	}
	if ok, err := s.caughtUp(); !ok {
		return false, err
	}
	s.askHolding(false)
	if err := s.flushGroup(); err != nil {
		return false, err
	}
	return !s.skipping, nil
}

// askHolding asks the server what it holds for the session.
func (s *session) askHolding(upkeep bool) {
	msg, at := beginMessage(s.send, 'B')
	msg = appendCString(appendCString(msg, holdingPortal), holdingStatement)
	s.send = finishMessage(append(msg, 0, 0, 0, 0, 0, 0), at)
	s.push(request{await: awaitBind, reply: replySkip, upkeep: upkeep})
	s.send = appendExecute(s.send, holdingPortal, 0)
	s.push(request{await: awaitHolding, reply: replySkip, upkeep: upkeep})
	s.send = appendTarget(s.send, 'C', 'P', holdingPortal)
	s.push(request{await: awaitClose, reply: replySkip, upkeep: upkeep})
}

// askLocks asks the server whether the session holds advisory locks. No
// transaction is under way, so no portal is the client's.
func (s *session) askLocks() {
	s.sendOwn(locksStatement, request{await: awaitLocks, upkeep: true})
}

// settleHolding decides at the end of a transaction whether the session keeps
// its connection. It is false if the connection may be released.
func (s *session) settleHolding() (kept bool, err error) {
	asked := s.held.unsettled
	if asked || s.held.unlocked {
		if asked {
			s.askHolding(true)
		}
		if s.held.unlocked {
			s.askLocks()
		}
		s.send = appendBare(s.send, 'S')
		s.push(request{await: awaitSync, reply: replySkip, upkeep: true})
		if err := s.exchange(); err != nil || s.conn == nil {
			return false, err
		}
		s.held.unsettled, s.held.unlocked = false, false
		s.pin(s.held.reasons)
	}
	if s.held.reasons != 0 {
		s.held.kept = true
		return true, nil
	}
	if s.held.dirty {
		return false, s.clean()
	}
	if asked && s.operator {
		s.conn.Left = s.leftover
	}
	return false, nil
}

// clean brings the connection back to what it was before the session had it.
// If it cannot be shown to be clean it is destroyed.
func (s *session) clean() error {
	s.cleaning = true
	defer func() { s.cleaning = false }()
	s.send = appendQuery(s.send, "DISCARD ALL")
	s.push(request{await: awaitQuery, reply: replySkip, upkeep: true})
	s.sendOwnStatements()
	s.askHolding(true)
	if s.held.reasons&pinAdvisory != 0 && !s.operator {
		s.askLocks()
	}
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync, reply: replySkip, upkeep: true})
	if err := s.exchange(); err != nil || s.conn == nil {
		return err
	}
	if s.held.reasons != 0 || !s.released() {
		s.log.Warn().Stringer("reason", s.held.reasons).Uint32("server_pid", s.conn.PID).Msg("server connection is not clean after DISCARD ALL")
		s.destroy()
		return nil
	}
	s.conn.Discarded()
	s.log.Debug().Uint32("server_pid", s.conn.PID).Msg("server connection cleaned")
	return nil
}

// sendOwnStatements has the server connection prepare the proxy's statements.
func (s *session) sendOwnStatements() {
	own := s.backend.ownStatements()
	for _, name := range slices.Sorted(maps.Keys(own)) {
		s.send = appendParse(s.send, name, own[name], nil)
		s.push(request{await: awaitParse, reply: replySkip, upkeep: true})
	}
}

// unpin gives a pinned connection back, whatever it holds.
func (s *session) unpin() error {
	err := s.clean()
	if s.conn != nil && err == nil {
		s.release()
	}
	return err
}

// leave gives back the pinned connection of a client that is gone. All others
// are destroyed, and with them unfinished transactions.
func (s *session) leave() {
	if !s.held.kept || !s.released() || s.server.ctx.Err() != nil {
		s.destroy()
		return
	}
	s.out = nil
	if err := s.conn.Net.SetDeadline(time.Now().Add(cleanTimeout)); err != nil {
		s.destroy()
		return
	}
	if err := s.clean(); err != nil || s.conn == nil {
		s.destroy()
		return
	}
	if err := s.conn.Net.SetDeadline(time.Time{}); err != nil {
		s.destroy()
		return
	}
	s.release()
}

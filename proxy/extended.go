package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"tenantgate/pool"
	"tenantgate/rewrite"
)

// A prepared is a statement as one client knows it. Server connections know it
// by the name of the pool's Statement, if the client named it at all.
type prepared struct {
	name      string // the client's
	unnamed   bool
	there     bool // operator: SQL may have prepared it, on the leased server connection, under the client's name
	lookup    bool // no client's
	parsed    bool // a server has accepted it
	statement *rewrite.Statement
	shared    *pool.Statement
	reading   string          // under which the server has read it
	values    *rewrite.Values // the tenant's, for positions
	described bool
	columns   string          // RowDescription as the client knows it, "" if it was not told; "n" of NoData
	changed   bool            // it has other columns than these now
	version   uint64          // of the definitions that it was last seen to hold under
	executes  *prepared       // operator: the statement that it runs by EXECUTE of SQL
	types     []uint32        // of the client's parameters, once described for EXECUTE
	request   rewrite.Request // what the client sent, if it names temporary tables
	tables    uint64          // the version of these that it was read with
}

var emptyStatement = &rewrite.Statement{Kind: rewrite.KindShow} // no text, needs no tenant

// original maps a character position in the text sent to the client's.
func (p *prepared) original(position int) int {
	if p.statement == emptyStatement || p.there {
		return position
	}
	return p.statement.Text.OriginalFor(position, p.values)
}

// serverName is the statement's name on server connections.
func (p *prepared) serverName() string {
	switch {
	case p.unnamed:
		return ""
	case p.there:
		return p.name
	}
	return p.shared.Name
}

// parse prepares a statement.
func (s *session) parse(ctx context.Context, body []byte) error {
	name, sql, oids, err := decodeParse(body)
	if err != nil {
		return err
	}
	if name != "" && s.statements[name] != nil {
		return s.refuse(newError("42P05", fmt.Sprintf("prepared statement %q already exists", name), ""))
	}
	if ok, err := s.knowHolding(); !ok {
		return err
	}
	result, err := s.confineText(ctx, rewrite.Request{SQL: sql, Extended: true, ParamOIDs: oids})
	if err != nil {
		return s.refuse(err)
	}
	p := &prepared{name: name, unnamed: name == "", statement: emptyStatement, values: s.values}
	text := ""
	if len(result.Statements) > 0 {
		p.statement = &result.Statements[0]
		text = p.statement.Text.SQLFor(p.values)
		if ownKind(p.statement) || channelKind(p.statement) {
			return s.parseOwn(p)
		}
		if translated(p.statement) {
			return s.refuse(&rewrite.UnsupportedError{
				Rule: "message.extended",
				Node: "this statement in the extended protocol",
				Hint: "Send it as a simple query.",
			})
		}
	}
	if p.unnamed && p.statement.ByKey {
		if done, err := s.lookUpGroup(ctx, p, text, oids); done {
			return err
		}
	}
	s.noteTables(p, rewrite.Request{SQL: sql, Extended: true, ParamOIDs: oids})
	if err := s.lease(ctx); err != nil {
		return s.refuse(err)
	}
	if q := s.executed(p.statement); q != nil {
		if renamed, ok := p.statement.Executing(q.serverName()); ok {
			p.executes, text = q, renamed.SQL("")
			s.ensure(q)
		}
	}
	s.share(p, text, withKeys(oids, p.statement))
	s.statements[name] = p
	if !p.unnamed && s.conn.Statements.Has(p.shared) {
		p.parsed = true
		s.push(request{await: awaitNothing, reply: replyFake, fake: parseComplete})
		return nil
	}
	s.sendParse(p, replyForward)
	return s.boundGroup()
}

func decodeParse(body []byte) (name, sql string, oids []uint32, err error) {
	name, rest, err := cstring(body)
	if err != nil {
		return "", "", nil, err
	}
	sql, rest, err = cstring(rest)
	if err != nil || len(rest) < 2 {
		return "", "", nil, errMalformed
	}
	n := int(binary.BigEndian.Uint16(rest))
	if rest = rest[2:]; len(rest) != 4*n {
		return "", "", nil, errMalformed
	}
	for i := range n {
		oids = append(oids, binary.BigEndian.Uint32(rest[4*i:]))
	}
	return name, sql, oids, nil
}

// withKeys adds the types of the proxy's parameters behind the client's.
func withKeys(oids []uint32, st *rewrite.Statement) []uint32 {
	if len(st.Keys) == 0 {
		return oids
	}
	all := make([]uint32, st.Params, st.Params+len(st.Keys))
	copy(all, oids)
	for _, k := range st.Keys {
		all = append(all, k.OID)
	}
	return all
}

// sendParse has the leased server connection prepare p.
func (s *session) sendParse(p *prepared, r reply) {
	s.send = appendParse(s.send, p.serverName(), p.shared.SQL, p.shared.ParamOIDs)
	s.push(request{await: awaitParse, reply: r, prepare: p, about: p, retry: p.lookup})
	if p.unnamed {
		s.conn.Unnamed = p.shared
		return
	}
	if evicted := s.conn.Statements.Add(p.shared); evicted != nil {
		s.send = appendTarget(s.send, 'C', 'S', evicted.Name)
		s.push(request{await: awaitClose, reply: replySkip, evicted: evicted})
	}
}

// ensure makes the leased server connection have p.
func (s *session) ensure(p *prepared) {
	if !s.has(p) {
		s.sendParse(p, replySkip)
	}
}

// ensureColumns makes sure that a statement whose columns the client knows has
// them still, where another server connection prepares it: definitions may have
// changed, and the server that prepared it first would refuse it. Changes that
// nobody has noticed are not looked for between Parse and Bind of an unnamed one.
func (s *session) ensureColumns(p *prepared) error {
	version := s.backend.definitionsVersion()
	if p.columns == "" || p.unnamed && p.version == version || s.status == 'E' || s.has(p) {
		return nil
	}
	s.sendParse(p, replySkip)
	s.send = appendTarget(s.send, 'D', 'S', p.serverName())
	s.push(request{await: awaitDescribe, reply: replySkip, hidden: len(p.statement.Keys), about: p, columns: p})
	p.changed = false
	if err := s.flushGroup(); err != nil {
		return err
	}
	if s.skipping {
		return errSkipped
	}
	if p.changed {
		s.dropStatement(p)
		return errPlanChanged
	}
	p.version = version
	return nil
}

// dropStatement takes a statement that has other columns than before from the
// server connection, for others know those before, too.
func (s *session) dropStatement(p *prepared) {
	if p.unnamed {
		s.conn.Unnamed = nil
		return
	}
	s.send = appendTarget(s.send, 'C', 'S', p.serverName())
	s.push(request{await: awaitClose, reply: replySkip})
	s.conn.Statements.Remove(p.shared)
	s.backend.statements.retire(p.shared)
}

// noteColumns holds the description of a statement's columns against what the
// client was told before, or keeps it.
func (p *prepared) noteColumns(typ byte, body []byte, version uint64) {
	columns := columnsOf(typ, body)
	if p.columns == "" {
		p.columns, p.version = columns, version
	}
	p.changed = p.columns != columns
}

// columnsOf is a RowDescription or NoData without the formats, which a portal
// has and a statement does not.
func columnsOf(typ byte, body []byte) string {
	const fixed = 18 // bytes of a column behind its name, the last two its format
	columns := append([]byte{typ}, body...)
	for rest := columns[min(3, len(columns)):]; ; {
		end := bytes.IndexByte(rest, 0)
		if end < 0 || len(rest) < end+1+fixed {
			return string(columns)
		}
		rest = rest[end+1+fixed:]
		clear(columns[len(columns)-len(rest)-2 : len(columns)-len(rest)])
	}
}

// has reports whether the leased server connection has p.
func (s *session) has(p *prepared) bool {
	return p.there || p.unnamed && s.conn.Unnamed == p.shared || !p.unnamed && s.conn.Statements.Has(p.shared)
}

// errSkipped tells that the group has failed meanwhile, and the client knows.
var errSkipped = errors.New("skipping up to Sync")

// lookup finds a client's statement and makes a server connection have it.
func (s *session) lookup(ctx context.Context, name string) (*prepared, error) {
	p := s.statements[name]
	switch {
	case p == nil && name == "":
		return nil, newError("26000", "unnamed prepared statement does not exist", "")
	case p == nil && s.mayBeThere(name):
		p = &prepared{name: name, there: true, statement: thereStatement}
	case p == nil:
		return nil, newError("26000", fmt.Sprintf("prepared statement %q does not exist", name), "")
	}
	if err := s.lease(ctx); err != nil {
		return nil, err
	}
	s.reread(p)
	if p.executes != nil {
		s.ensure(p.executes)
	}
	if err := s.ensureColumns(p); err != nil {
		return nil, err
	}
	s.ensure(p)
	return p, nil
}

// bind binds a statement to a portal. This is where the tenant is set, once in
// a transaction: planning may already look at rows.
func (s *session) bind(ctx context.Context, body []byte) error {
	portal, rest, err := cstring(body)
	if err != nil {
		return err
	}
	name, rest, err := s.statementName(rest)
	if err != nil {
		return err
	}
	args := &s.args
	if err := args.decode(rest); err != nil {
		return err
	}
	defer args.forget()
	if p := s.statements[name]; p != nil && (ownKind(p.statement) || channelKind(p.statement)) {
		return s.bindOwn(portal, p, args)
	}
	if portal != "" && s.ownPortals[portal] != nil {
		return s.refuse(portalExists(portal))
	}
	if p := s.statements[name]; p != nil && p.statement.Temporary {
		if ok, err := s.knowHolding(); !ok {
			return err
		}
		if err := s.renewTables(ctx, p); err != nil {
			return s.refuse(err)
		}
		if s.held.changed { // the transaction has failed, the server could not be asked
			return s.refuse(errAborted)
		}
	}
	if p := s.statements[name]; p != nil && p.statement.ByKey {
		if done, err := s.lookUpNamed(ctx, portal, p, rest); done {
			return err
		}
	}
	p, err := s.lookup(ctx, name)
	switch {
	case errors.Is(err, errSkipped):
		return nil
	case err != nil:
		return s.refuse(err)
	}
	if err := s.checkBind(p, args); err != nil {
		return s.refuse(err)
	}
	if len(s.portals) == 0 && s.wantsRoom(p.statement) {
		s.makeRoom()
	}
	s.confineFor(p.statement)
	s.forgetSequences(p.statement.Sequences.Draws)
	msg, at := beginMessage(s.send, 'B')
	msg = appendCString(appendCString(msg, portal), p.serverName())
	if len(p.statement.Keys) == 0 {
		msg = append(msg, rest...)
	} else {
		msg = args.appendWithKeys(msg, p.statement.Keys, s.values)
	}
	s.send = finishMessage(msg, at)
	s.push(request{await: awaitBind, about: p})
	s.taint(p.statement)
	s.portals[portal] = p
	delete(s.ownPortals, portal)
	return s.boundGroup()
}

// statementName is cstring for a name that the session most likely knows.
func (s *session) statementName(body []byte) (name string, rest []byte, err error) {
	if end := bytes.IndexByte(body, 0); end >= 0 {
		if p := s.statements[string(body[:end])]; p != nil {
			return p.name, body[end+1:], nil
		}
	}
	return cstring(body)
}

// checkBind holds what the client binds against the statement.
func (s *session) checkBind(p *prepared, args *bindArgs) error {
	if len(p.statement.Keys) > 0 && args.count() != p.statement.Params {
		return newError("08P01", fmt.Sprintf("bind message supplies %d parameters, but prepared statement %q requires %d",
			args.count(), p.name, p.statement.Params), "")
	}
	if err := p.statement.CheckKey(s.key()); err != nil && !s.observed(err) {
		return err
	}
	if err := s.checkSequences(p.statement); err != nil {
		return err
	}
	if err := p.statement.CheckBind(s.key(), args.param); err != nil && !s.observed(err) {
		return err
	}
	return nil
}

// describe asks for a statement's or portal's description.
func (s *session) describe(ctx context.Context, body []byte) error {
	what, name, err := decodeTarget(body)
	if err != nil {
		return err
	}
	if what != 'S' && what != 'P' {
		return s.refuse(newError("08P01", fmt.Sprintf("invalid DESCRIBE message subtype %d", what), ""))
	}
	if p := s.statements[name]; what == 'S' && p != nil && (ownKind(p.statement) || channelKind(p.statement)) {
		return s.describeOwn(p.statement, 0, true)
	}
	if o := s.ownPortals[name]; what == 'P' && o != nil {
		return s.describeOwn(o.statement, o.format, false)
	}
	if what == 'P' {
		if s.conn == nil {
			return s.refuse(noPortal(name))
		}
		s.send = appendTarget(s.send, 'D', 'P', name)
		req := request{await: awaitDescribePortal, about: s.portals[name]}
		if p := req.about; p != nil && !p.unnamed && p.columns == "" { // the client may rely on them from now on
			req.columns = p
		}
		s.push(req)
		return nil
	}
	p, err := s.lookup(ctx, name)
	switch {
	case errors.Is(err, errSkipped):
		return nil
	case err != nil:
		return s.refuse(err)
	}
	s.send = appendTarget(s.send, 'D', 'S', p.serverName())
	s.push(request{await: awaitDescribe, hidden: len(p.statement.Keys), about: p, columns: p})
	return nil
}

// execute runs a portal.
func (s *session) execute(ctx context.Context, body []byte) error {
	portal, rest, err := cstring(body)
	if err != nil {
		return err
	}
	if len(rest) != 4 {
		return errMalformed
	}
	s.counts.statements.Add(1)
	if o := s.ownPortals[portal]; o != nil {
		return s.executeOwn(ctx, portal, o)
	}
	if s.conn == nil {
		return s.refuse(noPortal(portal))
	}
	p := s.portals[portal]
	s.send = appendExecute(s.send, portal, binary.BigEndian.Uint32(rest))
	s.push(request{await: awaitExecute, about: p})
	if p != nil {
		s.noteEffect(p.statement)
	}
	return s.boundGroup()
}

// close forgets a statement, which server connections keep for others, or
// closes a portal.
func (s *session) close(_ context.Context, body []byte) error {
	what, name, err := decodeTarget(body)
	if err != nil {
		return err
	}
	if what != 'S' && what != 'P' {
		return s.refuse(newError("08P01", fmt.Sprintf("invalid CLOSE message subtype %d", what), ""))
	}
	if what == 'P' && s.ownPortals[name] != nil {
		delete(s.ownPortals, name)
		what = 0 // the server does not know it
	}
	if what == 'P' && s.conn != nil {
		delete(s.portals, name)
		s.send = appendTarget(s.send, 'C', 'P', name)
		s.push(request{await: awaitClose})
		return nil
	}
	if what == 'S' && s.statements[name] == nil && s.mayBeThere(name) {
		s.send = appendTarget(s.send, 'C', 'S', name)
		s.push(request{await: awaitClose})
		s.held.unsettled = true
		return nil
	}
	if what == 'S' {
		delete(s.statements, name)
	}
	s.push(request{await: awaitNothing, reply: replyFake, fake: appendBare(nil, '3')})
	return nil
}

func decodeTarget(body []byte) (what byte, name string, err error) {
	if len(body) == 0 {
		return 0, "", errMalformed
	}
	name, rest, err := cstring(body[1:])
	if err != nil || len(rest) > 0 {
		return 0, "", errMalformed
	}
	return body[0], name, nil
}

func noPortal(name string) error {
	return newError("34000", fmt.Sprintf("portal %q does not exist", name), "")
}

// flushGroup sends what there is of a group and relays all it brings.
func (s *session) flushGroup() error {
	if s.conn != nil {
		s.send = appendBare(s.send, 'H')
	}
	return s.exchange()
}

// boundGroup keeps a pipeline without end from being held in memory.
func (s *session) boundGroup() error {
	if len(s.send) < unfinishedGroup {
		return nil
	}
	return s.flushGroup()
}

// sync ends a group.
func (s *session) sync() error {
	s.skipping = false
	if s.conn == nil {
		s.out = appendReady(s.fakes(s.out), s.status)
		if err := s.flush(); err != nil {
			return err
		}
		return s.settled()
	}
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync})
	if err := s.exchange(); err != nil {
		return err
	}
	if s.swallowed {
		s.swallowed = false
		return nil // the group goes on to the next Sync
	}
	return s.settled()
}

// refuse answers a message of a group that must not reach the server. What the
// group holds before it is carried out, then the transaction fails.
func (s *session) refuse(refusal error) error {
	s.logRefusal(refusal)
	if s.conn == nil {
		s.out = s.fakes(s.out)
		s.emitError("ERROR", refusal)
		s.skipping = true
		return s.flush()
	}
	s.send = appendExecute(s.send, refusedPortal, 0)
	s.push(request{await: awaitRefusal, reply: replySkip, refusal: refusal})
	return s.flushGroup()
}

// forgetStatements drops all named statements of the client.
func (s *session) forgetStatements() {
	for name := range s.statements {
		if name != "" {
			delete(s.statements, name)
		}
	}
}

// keptArguments bounds what a session keeps room for between Bind messages.
const keptArguments = 64

// bindArgs are the parameters of a Bind message, not copied.
type bindArgs struct {
	formats []byte // codes, two bytes each
	values  [][]byte
	results []byte // from the number of result formats to the end
}

// decode reads what follows the names in a Bind message.
func (a *bindArgs) decode(rest []byte) error {
	if len(rest) < 2 {
		return errMalformed
	}
	n := int(binary.BigEndian.Uint16(rest))
	if rest = rest[2:]; len(rest) < 2*n+2 {
		return errMalformed
	}
	a.formats = rest[:2*n]
	if a.values = a.values[:0]; cap(a.values) > keptArguments {
		a.values = nil
	}
	rest = rest[2*n:]
	count := int(binary.BigEndian.Uint16(rest))
	rest = rest[2:]
	if n > 1 && n != count {
		return newError("08P01", fmt.Sprintf("bind message has %d parameter formats but %d parameters", n, count), "")
	}
	for range count {
		if len(rest) < 4 {
			return errMalformed
		}
		size := int32(binary.BigEndian.Uint32(rest))
		rest = rest[4:]
		if size == -1 {
			a.values = append(a.values, nil)
			continue
		}
		if size < 0 || int(size) > len(rest) {
			return errMalformed
		}
		a.values = append(a.values, rest[:size:size])
		rest = rest[size:]
	}
	if len(rest) < 2 || len(rest) != 2+2*int(binary.BigEndian.Uint16(rest)) {
		return errMalformed
	}
	a.results = rest
	return nil
}

// forget lets go of the message.
func (a *bindArgs) forget() {
	clear(a.values)
	a.formats, a.results = nil, nil
}

func (a *bindArgs) count() int { return len(a.values) }

// param returns the i-th value, counted from 0.
func (a *bindArgs) param(i int) (value []byte, binaryFormat, null bool) {
	if i < 0 || i >= len(a.values) {
		return nil, false, true
	}
	return a.values[i], a.format(i) == 1, a.values[i] == nil
}

func (a *bindArgs) format(i int) uint16 {
	switch len(a.formats) {
	case 0:
		return 0
	case 2:
		return binary.BigEndian.Uint16(a.formats)
	default:
		return binary.BigEndian.Uint16(a.formats[2*i:])
	}
}

// appendWithKeys appends the arguments and behind them the tenant's values, as
// text.
func (a *bindArgs) appendWithKeys(dst []byte, keys []rewrite.Key, values *rewrite.Values) []byte {
	total := uint16(min(a.count()+len(keys), math.MaxUint16))
	if len(a.formats) == 0 {
		dst = append(dst, 0, 0)
	} else {
		dst = binary.BigEndian.AppendUint16(dst, total)
		for i := range a.count() {
			dst = binary.BigEndian.AppendUint16(dst, a.format(i))
		}
		for range keys {
			dst = append(dst, 0, 0)
		}
	}
	dst = binary.BigEndian.AppendUint16(dst, total)
	for _, v := range a.values {
		if v == nil {
			dst = appendNull(dst)
			continue
		}
		dst = appendValue(dst, v)
	}
	for _, k := range keys {
		dst = appendValue(dst, values[k.Value])
	}
	return append(dst, a.results...)
}

package proxy

import (
	"errors"
	"fmt"

	"tenantgate/pool"
)

// errServerProtocol is a server that says what the protocol does not allow
// there. Its connection is in an unknown state.
var errServerProtocol = errors.New("server broke the protocol")

// A reply says what becomes of what the server answers to a message.
type reply uint8

const (
	replyForward reply = iota // relay it
	replySkip                 // drop it: the proxy asked, not the client
	replyFake                 // not sent at all: answered in the server's place
)

// await is the kind of answer a message that was sent has coming.
type await uint8

const (
	awaitQuery          await = iota // any results, then ReadyForQuery
	awaitSync                        // ReadyForQuery
	awaitParse                       // ParseComplete
	awaitBind                        // BindComplete
	awaitDescribe                    // ParameterDescription, then as a portal
	awaitDescribePortal              // RowDescription or NoData
	awaitExecute                     // rows, then CommandComplete and the like
	awaitClose                       // CloseComplete
	awaitTenant                      // one row: the tenant's key as it was set
	awaitSetting                     // one row: a run-time parameter's value
	awaitHolding                     // one row: what the session holds
	awaitLocks                       // one row: how many advisory locks it holds
	awaitFunction                    // FunctionCallResponse, then ReadyForQuery
	awaitMarks                       // one row: which changes of channels are left
	awaitUnload                      // one row, or none: how a table's rows can be written
	awaitRefusal                     // an error, in whose place goes the refusal
	awaitFailure                     // an error, which aborts the transaction block
	awaitNothing                     // replyFake: what to say is at hand
)

// A request is one message bound for the server and what becomes of its reply.
type request struct {
	await    await
	reply    reply
	prepare  *prepared       // awaitParse: what the server has then
	hidden   int             // awaitDescribe: parameters of ours, the last ones
	about    *prepared       // the statement an error's position refers to
	text     *sentText       // awaitQuery: the same
	value    string          // awaitTenant: what was set; awaitSetting: the name
	refusal  error           // awaitRefusal
	fake     []byte          // replyFake; awaitBind: its answer, and that of the Parse before it
	learn    *prepared       // awaitDescribe: whose parameters' types are wanted
	columns  *prepared       // awaitDescribe, awaitDescribePortal: whose columns are described
	reset    bool            // awaitSetting: the parameter was reset last
	rowsOnly bool            // awaitDescribePortal: NoData is not for the client
	nth      int             // awaitQuery: so many statements are complete
	cut      bool            // awaitQuery, awaitSync: more of the client's message follows if it succeeds
	forgets  bool            // awaitExecute: the server forgets sequences
	evicted  *pool.Statement // awaitClose: it made room for the one before
	load     *copyLoad       // the COPY that the rows of another go into
	unload   *copyUnload     // of COPY TO STDOUT: its text is the proxy's to write
	copied   *copiedRows     // awaitBind, awaitExecute: of an INSERT of a COPY, whose rows are counted
	tag      bool            // awaitSync: at success the tag of a COPY goes before ReadyForQuery
	retry    bool            // of a lookup: the query is sent as it came if this fails
	others   bool            // of lookups that go along: not the session's own
	guest    *guest          // of others: whose answer it is, while it is wanted
	upkeep   bool            // the session's own care for its connection: a failure is not the client's
}

// keptRequests bounds what a session keeps room for between transactions.
const keptRequests = 32

// A machine follows one session through the message flow. It does no I/O.
type machine struct {
	status      byte      // of the last ReadyForQuery: 'I', 'T' or 'E'
	outstanding []request // sent, not yet answered; oldest first
	ahead       int       // how many of them, the last ones, are not waited for
	queue       []request // what outstanding is a part of, to be used again
	skipping    bool      // an error came up in a group: ignore messages up to Sync
	erred       bool      // the query under way has failed
	copying     bool      // COPY OUT is under way
	copyingIn   bool      // COPY IN is under way: the client has the word
	takesCopy   bool      // the server may ask for COPY IN
}

func (m *machine) push(r request) {
	if len(m.outstanding) == 0 {
		m.outstanding = m.queue[:0]
	}
	m.outstanding = append(m.outstanding, r)
	if n := cap(m.outstanding); n > cap(m.queue) && n <= keptRequests {
		m.queue = m.outstanding
	}
}

func (m *machine) idle() bool { return len(m.outstanding) == 0 }

// heard reports whether all answers are in that are waited for.
func (m *machine) heard() bool { return len(m.outstanding) <= m.ahead }

// head is the request whose answer comes next. The machine must not be idle.
func (m *machine) head() *request { return &m.outstanding[0] }

func (m *machine) pop() {
	m.outstanding[0] = request{} // what it refers to may go
	m.outstanding = m.outstanding[1:]
}

// released reports whether the server connection may go to another session.
func (m *machine) released() bool {
	return m.status == 'I' && m.idle() && !m.skipping && !m.copying && !m.copyingIn
}

// fakes appends the answers that are due without the server.
func (m *machine) fakes(out []byte) []byte {
	for !m.idle() && m.head().reply == replyFake {
		out = append(out, m.head().fake...)
		m.pop()
	}
	return out
}

// fromServer takes note of a message and returns the request it answers, and
// whether that is answered in full now. An error means that the message has no
// place here. Errors, notices and ParameterStatus are not for this method.
func (m *machine) fromServer(typ byte) (done bool, err error) {
	if m.idle() {
		return false, fmt.Errorf("%w: message %q to no request", errServerProtocol, typ)
	}
	switch m.head().await {
	case awaitQuery:
		return m.duringQuery(typ)
	case awaitSync:
		return typ == 'Z', m.expect(typ, "Z")
	case awaitParse:
		return true, m.expect(typ, "1")
	case awaitBind:
		return true, m.expect(typ, "2")
	case awaitClose:
		return true, m.expect(typ, "3")
	case awaitDescribe:
		if typ == 't' {
			m.head().await = awaitDescribePortal
			return false, nil
		}
		return false, m.expect(typ, "t")
	case awaitDescribePortal:
		return true, m.expect(typ, "Tn")
	case awaitTenant, awaitSetting, awaitHolding, awaitLocks, awaitMarks, awaitUnload:
		return typ == 'C', m.expect(typ, "DC")
	case awaitExecute:
		return m.duringExecute(typ)
	case awaitFunction:
		return typ == 'Z', m.expect(typ, "VZ")
	case awaitRefusal, awaitFailure, awaitNothing:
		return false, fmt.Errorf("%w: message %q in place of an error", errServerProtocol, typ)
	default:
		return false, fmt.Errorf("%w: request of unknown kind %d", errServerProtocol, m.head().await)
	}
}

func (m *machine) expect(typ byte, allowed string) error {
	for i := range len(allowed) {
		if allowed[i] == typ {
			return nil
		}
	}
	return fmt.Errorf("%w: message %q where one of %q is due", errServerProtocol, typ, allowed)
}

func (m *machine) duringQuery(typ byte) (done bool, err error) {
	switch typ {
	case 'T', 'D', 'C', 'I', 'd':
		return false, nil
	case 'H':
		m.copying = true
		return false, nil
	case 'c':
		m.copying = false
		return false, nil
	case 'G':
		return false, m.beginCopyIn()
	case 'Z':
		m.copying, m.copyingIn = false, false
		return true, nil
	default:
		return false, fmt.Errorf("%w: message %q during a query", errServerProtocol, typ)
	}
}

func (m *machine) duringExecute(typ byte) (done bool, err error) {
	switch typ {
	case 'D', 'd':
		return false, nil
	case 'H':
		m.copying = true
		return false, nil
	case 'c':
		m.copying = false
		return false, nil
	case 'G':
		return false, m.beginCopyIn()
	case 'C', 'I', 's':
		m.copyingIn = false
		return true, nil
	default:
		return false, fmt.Errorf("%w: message %q during Execute", errServerProtocol, typ)
	}
}

// beginCopyIn gives the word to the client.
func (m *machine) beginCopyIn() error {
	if !m.takesCopy {
		return fmt.Errorf("%w: COPY IN that nobody asked for", errServerProtocol)
	}
	m.copyingIn = true
	return nil
}

// failed takes note of an ErrorResponse. It returns the request that failed
// and those that the server now passes over. What follows up to the next Sync
// is lost, unless a Query brings its own ReadyForQuery.
func (m *machine) failed() (failed request, lost []request, err error) {
	if m.idle() {
		return request{}, nil, fmt.Errorf("%w: error to no request", errServerProtocol)
	}
	failed = *m.head()
	m.copying, m.copyingIn = false, false
	switch failed.await {
	case awaitQuery, awaitFunction:
		m.erred = true
		return failed, nil, nil
	case awaitSync: // a deferred constraint, at the commit that Sync brings
		m.erred = true
		return failed, nil, nil
	default: // of the extended protocol: all up to Sync is lost
	}
	m.pop()
	for i := range m.outstanding {
		if m.outstanding[i].await == awaitSync {
			lost, m.outstanding = m.outstanding[:i], m.outstanding[i:]
			m.erred = m.erred || m.outstanding[0].cut
			m.outstanding[0].tag = false
			return failed, lost, nil
		}
	}
	lost, m.outstanding = m.outstanding, nil
	m.skipping = true
	return failed, lost, nil
}

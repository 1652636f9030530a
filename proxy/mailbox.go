package proxy

import (
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// maxMail is how many bytes of notifications may wait for a session. One that
// does not read them, or stays in a transaction, is ended beyond: none is lost
// in silence.
const maxMail = 4 << 20

var errTooMuchMail = newError("53400", "too many notifications are waiting for this session",
	"End transactions, and read what comes between them. UNLISTEN channels of no interest.")

// A mailbox holds a session's notifications until it may send them: outside a
// transaction, between two messages. Whoever delivers never writes to the
// client; a session that waits for its client is woken and does.
type mailbox struct {
	client net.Conn

	mu      sync.Mutex
	mail    []byte // messages for the client
	full    bool
	waiting bool // the session waits for its client, and may be woken
	woken   bool // its read deadline is in the past because of mail
}

// put adds a notification. It does not block.
func (m *mailbox) put(pid uint32, channel, payload string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full {
		return
	}
	mail, err := (&pgproto3.NotificationResponse{PID: pid, Channel: channel, Payload: payload}).Encode(m.mail)
	if err != nil || len(mail) > maxMail {
		m.full, m.mail = true, nil
	} else {
		m.mail = mail
	}
	m.call()
}

// overflow ends the session.
func (m *mailbox) overflow() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full, m.mail = true, nil
	m.call()
}

// call wakes a session that waits for its client. The lock is held.
func (m *mailbox) call() {
	if m.waiting && !m.woken {
		m.woken = true
		_ = m.client.SetReadDeadline(time.Unix(1, 0))
	}
}

// take empties the mailbox onto dst.
func (m *mailbox) take(dst []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full {
		return dst, errTooMuchMail
	}
	dst = append(dst, m.mail...)
	m.mail = nil
	return dst, nil
}

// wait tells that the session is about to wait for its client; it must not if
// there is mail.
func (m *mailbox) wait() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = len(m.mail) == 0 && !m.full
	return m.waiting
}

// waited tells that it no longer does, and whether it was woken.
func (m *mailbox) waited() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	woken := m.woken
	m.waiting, m.woken = false, false
	return woken
}

// An earmark is a subscription that takes effect when the transaction of its
// LISTEN commits. Until then it keeps what that transaction itself notifies.
type earmark struct {
	box     *mailbox
	name    string // the client's
	server  uint32 // the process that runs the transaction
	senders *senders

	mu    sync.Mutex
	early []*pgconn.Notification
	open  bool
}

func (e *earmark) deliver(n *pgconn.Notification) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.open:
		e.box.put(e.senders.of(n.PID), e.name, n.Payload)
	case n.PID != e.server:
	case len(e.early) >= maxEarly:
		e.box.overflow()
	default:
		e.early = append(e.early, &pgconn.Notification{PID: n.PID, Payload: n.Payload})
	}
}

// maxEarly bounds what a transaction can notify itself of before its LISTEN
// has taken effect.
const maxEarly = 1000

// take makes the subscription take effect.
func (e *earmark) take(early bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.early {
		if early {
			e.box.put(e.senders.of(n.PID), e.name, n.Payload)
		}
	}
	e.early, e.open = nil, true
}

// senders knows which session notifies on a server connection: clients know each
// other by the process ids that the proxy gave them.
type senders struct {
	mu       sync.Mutex
	sessions map[uint32]sender // by the server's process
}

// A sender is the last one, and when it took over from another.
type sender struct {
	session uint32
	since   time.Time
}

const (
	// maxSenders bounds the memory of server processes, most of which are gone.
	maxSenders = 10_000

	// onItsWay is how long a notification may take. Until then it may be that of
	// who had the connection before.
	onItsWay = 2 * time.Second
)

func newSenders() senders { return senders{sessions: make(map[uint32]sender)} }

func (s *senders) note(server, session uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.sessions[server]
	switch {
	case ok && was.session == session:
	case ok:
		s.sessions[server] = sender{session, time.Now()}
	case len(s.sessions) < maxSenders:
		s.sessions[server] = sender{session: session}
	default: // who comes next is certain of nobody
		clear(s.sessions)
		s.sessions[server] = sender{session, time.Now()}
	}
}

// of is the process id that a client should see: the session's if it is certain.
func (s *senders) of(server uint32) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.sessions[server]; ok && time.Since(last.since) > onItsWay {
		return last.session
	}
	return server
}

package pool

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// bufferSize is what one read takes from a server at most: four of the 8 KiB
// pieces in which PostgreSQL flushes.
const bufferSize = 32 << 10

// A Conn is one server connection. All of it belongs to the holder of the
// lease, who reads and writes Net and keeps the exported fields true.
type Conn struct {
	Net        net.Conn
	PID        uint32
	Reported   map[string]string // ParameterStatus, as the server last sent it
	Settings   map[string]string // run-time parameters set at session level, by lower-case name
	Statements *Statements       // prepared statements that the server has
	Left       uint64            // not 0: run-time parameters that nobody knows may be set, by whoever has this number
	User       uint64            // the number of whoever has had it last
	Drew       bool              // it may hold numbers of sequences, of that user's
	Unnamed    *Statement        // what the server's unnamed statement holds; nil if unknown
	Roomy      bool              // the server's process keeps memory for large statements
	Buffer     []byte            // bytes read from Net; Buffer[Start:End] are not consumed yet
	Start, End int

	secret    []byte
	server    *pgconn.Config
	silence   time.Duration
	holder    *group
	opened    time.Time
	idleSince time.Time
	heard     time.Time // when the server last answered, of an idle one
	dies      time.Time

	raw       syscall.RawConn // nil: nothing can be seen
	encrypted bool            // raw is below TLS
	peek      func(fd uintptr)
	peeked    [1]byte
	silent    bool
	request   []byte // not written yet
	bulk      bulk
	turn      func(fd uintptr) bool
	into      []byte // what the turn, or FillBulk, reads into
	got       int    // and has read
	turnErr   error
}

// Fill reads more bytes from the server behind those not yet consumed. The
// buffer grows only when one message needs it.
func (c *Conn) Fill() error {
	c.makeRoom(bufferSize)
	n, err := c.read(c.Buffer[c.End:])
	c.End += n
	if n > 0 {
		return nil
	}
	return err
}

// makeRoom has room behind the bytes not yet consumed, in a buffer of that size
// at least.
func (c *Conn) makeRoom(size int) {
	if c.Start == c.End {
		c.Start, c.End = 0, 0
		if len(c.Buffer) > 8*bufferSize { // one large message is no reason to keep it
			c.Buffer = nil
		}
	}
	into := c.Buffer
	switch {
	case len(into) < size:
		into = make([]byte, size)
	case c.End < len(into):
		return
	case c.Start == 0:
		into = make([]byte, 2*len(into))
	}
	c.End = copy(into, c.Buffer[c.Start:c.End])
	c.Start, c.Buffer = 0, into
}

// Deallocated notes that the server has no prepared statements any more.
func (c *Conn) Deallocated() {
	c.Statements = newStatements(c.Statements.limit)
	c.Unnamed = nil
}

// Discarded notes that DISCARD ALL has run: the server has neither prepared
// statements nor settings of anybody's now.
func (c *Conn) Discarded() {
	clear(c.Settings)
	c.Left = 0
	c.Deallocated()
}

// Quiet reports whether the server has said nothing that is not read yet, and
// has not closed the connection.
func (c *Conn) Quiet() bool { return !c.buffered() && c.quiet() }

// buffered reports whether the server sent something nobody has consumed, or is
// to be sent something that nobody has written.
func (c *Conn) buffered() bool { return c.Start != c.End || len(c.request) > 0 }

func (c *Conn) expired(now time.Time) bool { return now.After(c.dies) }

// terminate says goodbye, if that takes no time, and closes. The pool's lock is
// held: nothing may wait for a network that has stalled, as TLS would to say that
// it closes.
func (c *Conn) terminate() {
	_ = c.Net.SetDeadline(time.Now().Add(10 * time.Millisecond))
	_, _ = c.Net.Write([]byte{'X', 0, 0, 0, 4})
	if t, ok := c.Net.(*tls.Conn); ok {
		_ = t.NetConn().Close()
		return
	}
	_ = c.Net.Close()
}

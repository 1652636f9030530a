package pool

import (
	"errors"
	"io"
	"syscall"
	"time"

	"tenantgate/internal/socket"
)

const (
	bulkPiece    = 64 << 10         // bytes that FillBulk waits for
	bulkPatience = time.Millisecond // but no longer than this
)

// A bulk is a read of FillBulk under way, besides what it has in common with a
// turn.
type bulk struct {
	call    func(fd uintptr) (done bool)
	relent  *time.Timer // lets the reader have what there is
	waiting bool        // for bulkPiece
}

// FillBulk is Fill amidst a long answer. PostgreSQL writes it in pieces of 8 KiB,
// and to be woken up for each of them takes processor time from the server, the
// proxy and the client. So this waits until the socket holds bulkPiece bytes,
// which the kernel's SO_RCVLOWAT does, and takes twice as much. It reports
// whether that much came within bulkPatience: if not, the answer has ended or is
// slow, and each further FillBulk would be a delay.
func (c *Conn) FillBulk() (flows bool, err error) {
	if c.raw == nil || c.encrypted || len(c.request) > 0 || !canWaitForMuch() {
		return true, c.Fill()
	}
	c.makeRoom(2 * bulkPiece)
	b := &c.bulk
	if b.call == nil {
		b.call = c.tryBulk
		b.relent = time.AfterFunc(time.Hour, func() { waitForMuch(c.raw, 1) })
		b.relent.Stop()
	}
	c.into, c.got, c.turnErr = c.Buffer[c.End:], 0, nil
	err = c.raw.Read(b.call)
	c.into = nil
	flows = true
	if b.waiting {
		b.waiting = false
		flows = b.relent.Stop()
		waitForMuch(c.raw, 1) // whoever reads next, or asks the kernel whether there is something, waits for a byte
	}
	c.End += c.got
	switch {
	case c.got > 0:
		return flows, nil
	case err != nil:
		return flows, err
	case c.turnErr != nil:
		return flows, c.turnErr
	default:
		return flows, io.EOF
	}
}

// tryBulk reads what there is; if there is nothing, the poller is to wait for
// much. Setting that back tells the poller of what has come (Linux 4.18), so that
// the timer ends the wait whatever happens.
func (c *Conn) tryBulk(fd uintptr) (done bool) {
	c.got, c.turnErr = socket.Read(fd, c.into)
	if !errors.Is(c.turnErr, syscall.EAGAIN) {
		return true
	}
	if b := &c.bulk; !b.waiting {
		b.waiting = true
		waitForMuchOn(fd, bulkPiece)
		b.relent.Reset(bulkPatience)
	}
	return false
}

package pool

import (
	"errors"
	"io"
	"syscall"

	"tenantgate/internal/socket"
)

// A request and the wait for its answer are one turn: the poller is armed
// before the request is written, so the answer cannot come unnoticed and no
// read has to be tried before there is one. What the server has said before
// does not wake the reader, but lies before the answer.

// Request has msg written to the server by the next Fill, or by Flush. It must
// not be changed before.
func (c *Conn) Request(msg []byte) { c.request = msg }

// Flush writes a request that no Fill has written yet.
func (c *Conn) Flush() error {
	msg := c.request
	c.request = nil
	if len(msg) == 0 {
		return nil
	}
	_, err := c.Net.Write(msg)
	return err
}

// read reads from the server, after writing the request if there is one.
func (c *Conn) read(b []byte) (int, error) {
	if len(c.request) == 0 {
		return c.Net.Read(b)
	}
	if c.turn == nil || c.encrypted {
		return c.readAfter(c.Flush(), b)
	}
	c.into, c.got, c.turnErr = b, 0, nil
	err := c.raw.Read(c.turn)
	c.into = nil
	switch {
	case err != nil:
		c.request = nil
		return 0, err
	case len(c.request) > 0: // the socket did not take all of it
		return c.readAfter(c.Flush(), b)
	case c.turnErr != nil:
		return c.readAfter(c.turnErr, b)
	case c.got == 0:
		return 0, io.EOF
	default:
		return c.got, nil
	}
}

// readAfter reads even after a failed write: the server may have said why.
func (c *Conn) readAfter(writeErr error, b []byte) (int, error) {
	n, err := c.Net.Read(b)
	if n > 0 {
		return n, nil
	}
	return 0, errors.Join(err, writeErr)
}

// takeTurn writes the request, and reads once the poller says so. It reports
// whether the turn is over.
func (c *Conn) takeTurn(fd uintptr) (over bool) {
	if len(c.request) > 0 {
		n, err := socket.Write(fd, c.request)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return true
		case err != nil:
			c.request, c.turnErr = nil, err
			return true
		}
		c.request = c.request[n:]
		return len(c.request) > 0
	}
	n, err := socket.Read(fd, c.into)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return false
	case err != nil:
		c.turnErr = err
		return true
	}
	c.got = n
	return true
}

// TryWrite writes what the socket takes at once and returns how much that was.
// What went wrong, if anything, is told by the next Write.
func (c *Conn) TryWrite(msg []byte) (n int) {
	if c.raw == nil || c.encrypted {
		return 0
	}
	_ = c.raw.Control(func(fd uintptr) { n, _ = socket.Write(fd, msg) })
	return n
}

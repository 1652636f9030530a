package pool

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"

	"tenantgate/internal/socket"
)

// quiet reports whether an idle connection is open and silent. Whatever a
// server says unasked, an error or the end of the stream, makes it suspect.
func (c *Conn) quiet() bool {
	if c.raw == nil {
		return true
	}
	c.silent = false
	err := c.raw.Control(c.peek)
	return err == nil && c.silent
}

// watch makes quiet able to look at the socket, and leaves it to Unreachable
// whether the server is there.
func (c *Conn) watch() error {
	conn := c.Net
	if t, ok := conn.(*tls.Conn); ok {
		conn, c.encrypted = t.NetConn(), true
	}
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	var err error
	if c.raw, err = sys.SyscallConn(); err != nil {
		return fmt.Errorf("look at the socket: %w", err)
	}
	if err := endAfter(c.raw, 0); err != nil {
		return fmt.Errorf("socket of a new server connection: %w", err)
	}
	c.turn = c.takeTurn
	c.peek = func(fd uintptr) {
		c.silent = errors.Is(socket.Peek(fd, c.peeked[:]), syscall.EAGAIN)
	}
	return nil
}

var _ syscall.Conn = (*net.TCPConn)(nil)

package pool

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// quiet reports whether an idle connection is open and silent. Whatever a
// server says unasked, an error or the end of the stream, makes it suspect.
func (c *Conn) quiet() bool {
	conn := c.Net
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, peekErr := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = errors.Is(peekErr, syscall.EAGAIN)
	})
	return err == nil && silent
}

var _ syscall.Conn = (*net.TCPConn)(nil)

package proxy

import (
	"crypto/tls"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// gone reports whether a client has closed its side of the connection, even if
// bytes that it sent before have not been read.
func gone(conn net.Conn) bool {
	events, err := poll(conn, unix.POLLRDHUP)
	return err != nil || events&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// speaks reports whether something of a client is there to be read, as far as
// that can be told: TLS may have read it already.
func speaks(conn net.Conn) bool {
	events, err := poll(conn, unix.POLLIN)
	return err != nil || events != 0
}

// poll returns which of the events there are on a connection's socket. There are
// none on what has no socket.
func poll(conn net.Conn, events int16) (revents int16, err error) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if r, ok := conn.(*replayed); ok {
		conn = r.Conn
	}
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return 0, nil
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}} //nolint:gosec // a file descriptor
		if n, err := unix.Poll(fds, 0); err == nil && n > 0 {
			revents = fds[0].Revents
		}
	})
	return revents, err
}

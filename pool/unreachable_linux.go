package pool

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Unreachable reports whether the server's kernel has not taken note for
// Config.Silence of what was sent: the network has stalled, or the machine is
// gone. TCP_USER_TIMEOUT would find that out as well, but also ends connections
// to servers that are there and do not read for a while, as in a COPY that waits
// for a lock. Any goroutine may ask while the holder reads and writes.
func (c *Conn) Unreachable() bool {
	if c.raw == nil {
		return false
	}
	lost := false
	err := c.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) //nolint:gosec // a file descriptor
		if err != nil {
			return // not TCP
		}
		again := info.Unacked > 0 && info.Retransmits > 1 || info.Probes > 1
		lost = again && time.Duration(info.Last_ack_recv)*time.Millisecond >= c.silence
	})
	return err == nil && lost
}

// endAfter has the kernel end a connection when the other side's has not taken
// note for so long of what was sent; 0 leaves it to the system. It is for
// servers that read at once, as during a login: nothing else finds out in time.
func endAfter(raw syscall.RawConn, silence time.Duration) error {
	var setErr error
	err := raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds())) //nolint:gosec // a file descriptor
	})
	if errors.Is(setErr, unix.EOPNOTSUPP) || errors.Is(setErr, unix.ENOPROTOOPT) {
		setErr = nil // not TCP
	}
	return errors.Join(err, setErr)
}

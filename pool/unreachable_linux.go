package pool

import (
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

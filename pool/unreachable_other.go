//go:build !linux

package pool

import (
	"syscall"
	"time"
)

// Unreachable reports whether the network to the server has stalled; here nobody
// can tell.
func (c *Conn) Unreachable() bool { return false }

// endAfter does nothing: the login's own deadline ends it.
func endAfter(syscall.RawConn, time.Duration) error { return nil }

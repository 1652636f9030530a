//go:build !linux

package pool

// Unreachable reports whether the network to the server has stalled; here nobody
// can tell.
func (c *Conn) Unreachable() bool { return false }

//go:build !linux

package proxy

import "net"

// gone cannot tell here without reading: such a client is noticed when it is
// written to.
func gone(net.Conn) bool { return false }

// speaks cannot tell here without reading.
func speaks(net.Conn) bool { return false }

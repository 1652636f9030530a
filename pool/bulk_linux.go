package pool

import (
	"bytes"
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// canWaitForMuch reports whether the kernel lets a reader wait for many bytes and
// wakes it up when it is to wait for fewer, as Linux does since 4.18.
var canWaitForMuch = sync.OnceValue(func() bool {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false
	}
	release, _, _ := bytes.Cut(name.Release[:], []byte{0})
	var major, minor int
	_, err := fmt.Sscanf(string(release), "%d.%d", &major, &minor)
	return err == nil && (major > 4 || major == 4 && minor >= 18)
})

// waitForMuch has the poller find the socket readable from so many bytes on.
func waitForMuch(raw syscall.RawConn, n int) {
	_ = raw.Control(func(fd uintptr) { waitForMuchOn(fd, n) })
}

func waitForMuchOn(fd uintptr, n int) {
	_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) //nolint:gosec // a file descriptor
}

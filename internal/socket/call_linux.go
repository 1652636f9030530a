//go:build !race

package socket

import (
	"syscall"
	"unsafe"
)

// direct tells that Wrap has something to offer. With the race detector it has
// not: that takes what is written to a socket to happen before it is read, and
// learns it from the calls of the standard library.
const direct = true

// Read reads from a non-blocking socket: EAGAIN if there is nothing.
func Read(fd uintptr, b []byte) (int, error) { return call(syscall.SYS_READ, fd, b) }

// Write writes to a non-blocking socket what it takes: EAGAIN if that is nothing.
func Write(fd uintptr, b []byte) (int, error) { return call(syscall.SYS_WRITE, fd, b) }

// Peek reads without taking: EAGAIN if there is nothing, and no error at the end.
func Peek(fd uintptr, b []byte) error {
	for {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), //nolint:gosec // as the standard library does
			syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return nil
		case syscall.EINTR:
		default:
			return errno
		}
	}
}

func call(number, fd uintptr, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // as the standard library does
		switch errno {
		case 0:
			return int(n), nil //nolint:gosec // at most len(b)
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

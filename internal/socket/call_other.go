//go:build !linux || race

package socket

import (
	"errors"
	"syscall"
)

const direct = false

// Read reads from a non-blocking socket: EAGAIN if there is nothing.
func Read(fd uintptr, b []byte) (int, error) { return again(syscall.Read, fd, b) }

// Write writes to a non-blocking socket what it takes: EAGAIN if that is nothing.
func Write(fd uintptr, b []byte) (int, error) { return again(syscall.Write, fd, b) }

// Peek reads without taking: EAGAIN if there is nothing, and no error at the end.
func Peek(fd uintptr, b []byte) error {
	_, err := again(func(fd int, b []byte) (int, error) {
		n, _, err := syscall.Recvfrom(fd, b, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return n, err
	}, fd, b)
	return err
}

func again(call func(int, []byte) (int, error), fd uintptr, b []byte) (int, error) {
	for {
		n, err := call(int(fd), b) //nolint:gosec // a file descriptor
		if !errors.Is(err, syscall.EINTR) {
			return max(n, 0), err
		}
	}
}

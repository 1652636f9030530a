//go:build !linux

package pool

import "syscall"

// canWaitForMuch reports that nobody waits for more than a byte here.
func canWaitForMuch() bool { return false }

func waitForMuch(syscall.RawConn, int) {}

func waitForMuchOn(uintptr, int) {}

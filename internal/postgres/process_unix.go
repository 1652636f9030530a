//go:build unix && !linux

package postgres

import (
	"errors"
	"syscall"
)

// sysProcAttr runs a program as the owner, out of reach of the terminal's ^C.
func (o owner) sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: o.credential, Setpgid: true}
}

// children is not known here: backends find out by themselves that their
// server has gone, as soon as they are idle.
func children(int) []int { return nil }

// ended reports whether a process is gone.
func ended(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

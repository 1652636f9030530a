package postgres

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// sysProcAttr runs a program as the owner, out of reach of the terminal's ^C,
// and ends it when the thread that started it dies. SIGQUIT is PostgreSQL's
// immediate shutdown: it takes all backends along.
func (o owner) sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: o.credential, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}

// children lists the processes whose parent is pid.
func children(pid int) []int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil // not with a constant pattern
	}
	var found []int
	for _, path := range stats {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue // not with that pattern
		}
		if _, parent, ok := status(child); ok && parent == pid {
			found = append(found, child)
		}
	}
	return found
}

// ended reports whether a process has given back all it held, though perhaps
// nobody has asked yet how it ended.
func ended(pid int) bool {
	state, _, ok := status(pid)
	return !ok || state == 'Z'
}

// status reads a process's state and parent; ok is false if there is none.
func status(pid int) (state byte, parent int, ok bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, false
	}
	// pid (name) state ppid ...; the name may hold spaces and parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, 0, false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return fields[0][0], parent, err == nil
}

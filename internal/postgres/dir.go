package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

const (
	dirPattern = "tenantgate-pg-*"
	lockFile   = "lock"
)

// parentDir is where servers have their directories: in memory if there is
// plenty of it, for making and dropping a database is mostly a matter of files.
// TMPDIR, if set, decides.
func parentDir() string {
	if os.Getenv("TMPDIR") == "" && memoryHasRoom() {
		return memoryDir
	}
	return os.TempDir()
}

// makeDir makes the directory of a server, and a file in it that stays locked
// for as long as this process lives.
func makeDir() (dir string, lock *os.File, err error) {
	if dir, err = os.MkdirTemp(parentDir(), dirPattern); err != nil {
		return "", nil, err
	}
	// Under its name the file is seen locked, or not at all.
	path := filepath.Join(dir, lockFile)
	if lock, err = os.OpenFile(path+".new", os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err = tryLock(lock); err == nil {
		err = os.Rename(lock.Name(), path)
	}
	if err != nil {
		return "", nil, errors.Join(err, lock.Close(), os.RemoveAll(dir))
	}
	return dir, lock, nil
}

// removeAbandoned removes directories of servers whose process died without
// closing them. Those of other users stay.
func removeAbandoned() {
	dirs, err := filepath.Glob(filepath.Join(parentDir(), dirPattern))
	if err != nil {
		return // not with a constant pattern
	}
	for _, dir := range dirs {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
		if err != nil {
			continue // being made, or not ours
		}
		if tryLock(lock) == nil {
			_ = os.RemoveAll(dir) // what cannot be removed is tried again next time
		}
		_ = lock.Close()
	}
}

// tryLock fails if another process has the lock.
func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

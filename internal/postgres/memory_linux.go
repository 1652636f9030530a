package postgres

import "golang.org/x/sys/unix"

// memoryDir is a file system in memory, memoryRoom what has to be free of it.
const (
	memoryDir  = "/dev/shm"
	memoryRoom = 6 << 30
)

func memoryHasRoom() bool {
	var fs unix.Statfs_t
	return unix.Statfs(memoryDir, &fs) == nil && fs.Type == unix.TMPFS_MAGIC && fs.Bavail*uint64(fs.Bsize) >= memoryRoom //nolint:gosec // a size
}

//go:build !linux

package postgres

const memoryDir = ""

func memoryHasRoom() bool { return false }

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine describes what everything ran on.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		model = field(string(text), "model name", model)
	}
	memory := ""
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int
		if _, err := fmt.Sscanf(field(string(text), "MemTotal", ""), "%d kB", &kib); err == nil {
			memory = fmt.Sprintf(", %d GiB of memory", (kib+1<<19)>>20)
		}
	}
	kernel := ""
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = ", Linux " + strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("%d cores of %s%s%s; clients, proxies and server share them", runtime.NumCPU(), model, memory, kernel)
}

// field finds "name : value" in a file of /proc.
func field(text, name, otherwise string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}

func (s *stage) readVersions(ctx context.Context) error {
	conn, err := s.server.Connect(ctx, plain)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	s.version["PostgreSQL"] = conn.ParameterStatus("server_version")
	out, err := exec.CommandContext(ctx, s.binary, "version").Output()
	if err != nil {
		return fmt.Errorf("tenantgate version: %w", err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	s.version["tenantgate"] = first
	return nil
}

// versions names all programs.
func (s *stage) versions() string {
	text := fmt.Sprintf("%s (built with %s), PostgreSQL %s, %s", s.version["tenantgate"], runtime.Version(), s.version["PostgreSQL"], s.version["pgbouncer"])
	if v := s.version["pgbouncer+"]; v != "" {
		text += fmt.Sprintf(" and, as pgbouncer+, %s", v)
	}
	return text
}

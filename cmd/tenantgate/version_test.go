package main

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionComesFromTheLinkerOrTheModule(t *testing.T) {
	info := &debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.3"},
		Deps:     []*debug.Module{{Path: "example.com/other", Version: "v9"}, {Path: parserModule, Version: "v5.1.0"}},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}},
	}
	report := versionOf("v2.0.0", info)
	require.Equal(t, "v2.0.0", report.Version)
	require.Equal(t, "abc", report.Revision)
	require.Equal(t, "pg_query_go v5.1.0", report.Parser)
	require.Equal(t, "v1.2.3", versionOf("", info).Version)
	require.Equal(t, "unknown", versionOf("", nil).Version)
	require.Equal(t, "unknown", versionOf("", &debug.BuildInfo{}).Version)
}

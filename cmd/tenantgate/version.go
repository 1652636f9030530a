package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker; a build without it has that of its module.
var version string

// grammar is the PostgreSQL whose grammar the parser has.
const grammar = "16"

const (
	parserModule   = "github.com/pganalyze/pg_query_go/v5"
	versionExample = "tenantgate version\ntenantgate version --output json"
)

// A versionReport is what the version command prints.
type versionReport struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Grammar  string `json:"grammar"` // PostgreSQL's major version
	Parser   string `json:"parser"`
}

func runVersion(_ context.Context, env *environment, args []string) int {
	flags := env.flags()
	output := addOutputFlag(flags)
	if _, status, done := env.parse(flags, args, 0, 0); done {
		return status
	}
	info, _ := debug.ReadBuildInfo()
	report := versionOf(version, info)
	if *output == outputJSON {
		return env.printJSON(report)
	}
	fmt.Fprintf(env.stdout, "tenantgate %s\n", report.Version)
	if report.Revision != "" {
		fmt.Fprintf(env.stdout, "revision %s\n", report.Revision)
	}
	fmt.Fprintf(env.stdout, "%s %s\nparser of PostgreSQL %s (%s)\n", report.Go, report.Platform, report.Grammar, report.Parser)
	return exitOK
}

// versionOf describes a build; info may be nil.
func versionOf(linked string, info *debug.BuildInfo) versionReport {
	report := versionReport{
		Version:  linked,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Grammar:  grammar,
		Parser:   "pg_query_go",
	}
	if info != nil {
		if report.Version == "" {
			report.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				report.Revision = s.Value
			}
		}
		for _, dep := range info.Deps {
			if dep.Path == parserModule {
				report.Parser += " " + dep.Version
			}
		}
	}
	if report.Version == "" {
		report.Version = "unknown"
	}
	return report
}

// printJSON prints a value as one JSON document.
func (env *environment) printJSON(v any) int {
	encoder := json.NewEncoder(env.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return env.fail(fmt.Errorf("print JSON: %w", err))
	}
	return exitOK
}

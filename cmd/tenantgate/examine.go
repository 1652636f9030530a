package main

import (
	"context"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"tenantgate/internal/doctor"
	"tenantgate/proxy"
)

// An examiner lets the proxy use a database only if the doctor finds no error
// that nobody acknowledged.
type examiner struct {
	cfg *Config
	log zerolog.Logger

	mu        sync.Mutex
	unmatched []string // names in tenancy.acknowledge that no database had so far
	examined  bool
}

// examine is the proxy's question whether a database may be used.
func (e *examiner) examine(ctx context.Context, d proxy.Database) error {
	found, unmatched, err := e.cfg.examine(ctx, d, nil)
	if err != nil {
		return err
	}
	e.note(unmatched)
	log := e.log.With().Str("backend", d.Backend).Str("database", d.Server.Database).Logger()
	var refused []doctor.Finding
	for _, f := range found.Findings {
		switch {
		case f.Severity != doctor.Error:
		case f.Acknowledged:
			log.Warn().Str("finding", f.Name).Msg("the doctor's finding is acknowledged")
		default:
			refused = append(refused, f)
		}
	}
	if refused != nil {
		return &faultyDatabaseError{database: d.Server, findings: refused}
	}
	if n := doctor.Count(found.Findings, doctor.Warning); n > 0 {
		log.Info().Int("warnings", n).Msg("the doctor has warnings: tenantgate doctor shows them")
	}
	return nil
}

func (e *examiner) note(unmatched []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.examined {
		e.unmatched, e.examined = unmatched, true
		return
	}
	e.unmatched = slices.DeleteFunc(e.unmatched, func(name string) bool { return !slices.Contains(unmatched, name) })
}

// warnUnmatched tells which acknowledged names no finding has. Databases that
// the proxy has not used yet may have them.
func (e *examiner) warnUnmatched() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range e.unmatched {
		e.log.Warn().Str("finding", name).Msg("the acknowledged finding is not found")
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// A sample is one measurement.
type sample struct {
	rate         float64 // in the workload's unit, a second
	transactions int     // that the rate was made of
	p50, p99     time.Duration
	cpu          time.Duration // of the proxy, for each transaction; 0 without a proxy
	allocations  float64       // of tenantgate, for each transaction; -1 if unknown
}

// A bench runs workloads on a stage.
type bench struct {
	stage    *stage
	options  options
	pgbench  string
	patience int            // seconds more for clients to connect, after a failure
	expected map[string]int // transactions of a run, by contender and work
}

// results are all samples by workload and contender.
type results map[string]map[string][]sample

// measure runs every workload against each of its contenders, turn by turn:
// what disturbs the machine for a while disturbs all of them. What failed is
// left out, and returned beside the rest.
func measure(ctx context.Context, s *stage, o options) (_ results, failures []error, err error) {
	b := &bench{stage: s, options: o, expected: make(map[string]int)}
	if b.pgbench, err = exec.LookPath(filepath.Join(s.server.BinDir(), "pgbench")); err != nil {
		if b.pgbench, err = exec.LookPath("pgbench"); err != nil {
			return nil, nil, errors.New("pgbench is not installed: it comes with PostgreSQL's server or contrib package")
		}
	}
	all := make(results)
	for round := 1; round <= o.rounds; round++ {
		began := time.Now()
		for _, w := range workloads() {
			if !o.only.MatchString(w.name) || w.once && round > 1 {
				continue
			}
			if all[w.name] == nil {
				all[w.name] = make(map[string][]sample)
			}
			for turn := range max(1, w.turns*o.seconds) {
				failed, err := b.turn(ctx, w, round+turn, all[w.name])
				if err != nil {
					return nil, nil, err
				}
				failures = append(failures, failed...)
			}
		}
		for _, upkeep := range []string{"VACUUM", "CHECKPOINT"} {
			if err := s.execAll(ctx, upkeep); err != nil {
				return nil, nil, err
			}
		}
		progress("Round %d of %d took %s.", round, o.rounds, time.Since(began).Round(time.Second))
	}
	return all, failures, nil
}

// turn measures each contender of a workload once and adds to their samples. The
// nth turn has another order than the one before: nobody is always behind the
// same one.
func (b *bench) turn(ctx context.Context, w *workload, nth int, samples map[string][]sample) (failures []error, err error) {
	for i := range b.stage.contenders {
		c := b.stage.contenders[(i+nth)%len(b.stage.contenders)]
		if !w.enters(c) || !b.options.among.MatchString(c.name) {
			continue
		}
		got, err := b.one(ctx, w, c)
		if err != nil && ctx.Err() == nil {
			progress("%s, %s is tried again: %v", w.name, c.name, err)
			b.patience = 6
			got, err = b.one(ctx, w, c)
			b.patience = 0
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("turn %d of %s, %s: %w", nth, w.name, c.name, err))
			continue
		}
		samples[c.name] = append(samples[c.name], got)
	}
	return failures, nil
}

// one measures once.
func (b *bench) one(ctx context.Context, w *workload, c *contender) (got sample, err error) {
	if w.before != "" {
		if err := b.stage.execAll(ctx, w.before); err != nil {
			return got, err
		}
	}
	p := c.process
	if p == nil {
		return w.run(ctx, b, c)
	}
	var mallocs, own int
	if p.admin != 0 {
		if mallocs, err = p.allocations(ctx); err != nil {
			return got, err
		}
		again, err := p.allocations(ctx)
		if err != nil {
			return got, err
		}
		own = again - mallocs // of asking
		mallocs = again
	}
	ended := b.profile(ctx, w, p)
	before, err := p.cpu()
	if err != nil {
		return got, err
	}
	if got, err = w.run(ctx, b, c); err != nil {
		return got, err
	}
	after, err := p.cpu()
	if err != nil {
		return got, err
	}
	if err := ended(); err != nil {
		return got, err
	}
	got.allocations = -1
	if n := got.transactions; n > 0 {
		got.cpu = (after - before) / time.Duration(n)
		if p.admin != 0 {
			now, err := p.allocations(ctx)
			if err != nil {
				return got, err
			}
			got.allocations = float64(max(now-mallocs-own, 0)) / float64(n)
		}
	}
	return got, nil
}

// profile takes a CPU profile of a tenantgate during a measurement, if one is
// wanted. The function it returns waits for it.
func (b *bench) profile(ctx context.Context, w *workload, p *process) (ended func() error) {
	if b.options.profile == "" || p.admin == 0 {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		text, err := p.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", b.options.seconds))
		if err == nil {
			err = os.WriteFile(filepath.Join(b.options.profile, w.name+"-"+p.name+".pprof"), []byte(text), 0o600)
		}
		done <- err
	}()
	return func() error { return <-done }
}

// median of what is measured.
func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	switch n := len(values); {
	case n == 0:
		return 0
	case n%2 == 1:
		return values[n/2]
	default:
		return (values[n/2-1] + values[n/2]) / 2
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What the page's own text must not be overwritten by lies between these.
const (
	pageBegin = "<!-- make bench writes from here -->"
	pageEnd   = "<!-- to here -->"
)

// A report is what a run has to say.
type report struct {
	stage   *stage
	options options
	results results
	began   time.Time
	took    time.Duration
}

func newReport(s *stage, o options, r results, began time.Time) *report {
	return &report{stage: s, options: o, results: r, began: began, took: time.Since(began)}
}

// print writes everything as text.
func (r *report) print(w io.Writer) {
	fmt.Fprint(w, r.text())
}

// text is the part of the page that a run makes.
func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s in %s: %d rounds, %d s each measurement. %s.\n\n%s.\n",
		r.began.UTC().Format("2 January 2006"), r.took.Round(time.Second), r.options.rounds, r.options.seconds, machine(), r.stage.versions())
	if goals := r.goals(); len(goals) > 0 {
		b.WriteString("\n### Goals\n\n| what | against | goal | measured | |\n|---|---|---|---|---|\n")
		for _, g := range goals {
			reached := "reached"
			if !g.reached() {
				reached = "**not reached**"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", g.what, g.against, g.limit(), g.value(), reached)
		}
	}
	b.WriteString("\n### All figures\n\nThe ratio is to pgbouncer, the faster one where there are two; `by hand` is BEGIN, set_config, the statement and COMMIT.\n" +
		"CPU is that of the proxy's process for each transaction, logins included; allocations are tenantgate's.\n")
	for _, w := range workloads() {
		if len(r.results[w.name]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n**%s**\n\n| | %s | ratio | p50 | p99 | CPU | allocations |\n|---|--:|--:|--:|--:|--:|--:|\n", w.name, w.heading())
		for _, c := range r.stage.contenders {
			samples := r.results[w.name][c.name]
			if len(samples) == 0 {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", c.name, amount(median(samples, rate)),
				r.ratioText(w.name, c.name), latency(median(samples, p50)), latency(median(samples, p99)),
				latency(median(samples, cpu)), allocations(samples, c))
		}
	}
	return b.String()
}

func (w *workload) heading() string {
	if w.once || w.ratio {
		return w.unit
	}
	return w.unit + "/s"
}

// write puts the text and a plot into the page, whose own words stay.
func (r *report) write(page string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(old), pageBegin)
	_, after, ended := strings.Cut(rest, pageEnd)
	if !found || !ended {
		return fmt.Errorf("%s lacks the line %q or %q", page, pageBegin, pageEnd)
	}
	plot := strings.TrimSuffix(page, filepath.Ext(page)) + ".svg"
	if err := os.WriteFile(plot, []byte(r.plot()), 0o644); err != nil {
		return err
	}
	text := fmt.Sprintf("%s%s\n\n![Throughput against pgbouncer](%s)\n\n%s\n%s%s", before, pageBegin, filepath.Base(plot), r.text(), pageEnd, after)
	return os.WriteFile(page, []byte(text), 0o644)
}

func rate(s sample) float64 { return s.rate }
func p50(s sample) float64  { return float64(s.p50) }
func p99(s sample) float64  { return float64(s.p99) }
func cpu(s sample) float64  { return float64(s.cpu) }

// against is the median over the rounds of one contender's value by another's
// of the same round; 0 if there is none.
func (r *report) against(of func(sample) float64, workload, contender, otherWorkload, other string) float64 {
	mine, theirs := r.results[workload][contender], r.results[otherWorkload][other]
	var ratios []sample
	for i := range min(len(mine), len(theirs)) {
		if v := of(theirs[i]); v > 0 {
			ratios = append(ratios, sample{rate: of(mine[i]) / v})
		}
	}
	return median(ratios, rate)
}

// bouncer is the faster pgbouncer of a workload; with suffix, by hand.
func (r *report) bouncer(workload, suffix string) string {
	old, recent := "pgbouncer"+suffix, "pgbouncer+"+suffix
	if median(r.results[workload][recent], rate) > median(r.results[workload][old], rate) {
		return recent
	}
	return old
}

func (r *report) ratioText(workload, contender string) string {
	ratio := r.against(rate, workload, contender, workload, r.bouncer(workload, ""))
	if ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", ratio)
}

// amount writes a number with three digits that count.
func amount(v float64) string {
	switch {
	case v >= 100:
		text := fmt.Sprintf("%.0f", v)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func latency(ns float64) string {
	switch us := ns / 1e3; {
	case us == 0:
		return ""
	case us < 100:
		return fmt.Sprintf("%.1f µs", us)
	case us < 10_000:
		return fmt.Sprintf("%.0f µs", us)
	default:
		return fmt.Sprintf("%.0f ms", us/1e3)
	}
}

func allocations(samples []sample, c *contender) string {
	if c.process == nil || c.process.admin == 0 {
		return ""
	}
	n := median(samples, func(s sample) float64 { return s.allocations })
	if n < 0 {
		return ""
	}
	return amount(n)
}

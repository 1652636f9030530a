// Command bench measures what tenancy costs. On one PostgreSQL that it starts
// itself it runs the same work directly, through pgbouncer without tenancy, and
// through tenantgate in each enforcement, in turns, and writes medians and
// ratios to a table and to docs/performance.md.
//
//	make bench
//	BENCH_ONLY='select' BENCH_ROUNDS=3 BENCH_SECONDS=5 make bench
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// options are read from the environment.
type options struct {
	rounds  int
	seconds int            // of each measurement that lasts a given time
	only    *regexp.Regexp // names of workloads
	among   *regexp.Regexp // names of contenders
	page    string         // where the tables go; empty: to stdout alone
	hold    bool           // measure nothing: leave everything running until ^C
	profile string         // a directory for CPU profiles of tenantgate; empty: none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	o, err := readOptions(os.LookupEnv)
	if err != nil {
		return err
	}
	if err := raiseFiles(); err != nil {
		return err
	}
	began := time.Now()
	s, err := openStage(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	progress("The stage is set after %s: %s.", time.Since(began).Round(time.Second), s.versions())
	if o.hold {
		for _, c := range s.contenders {
			progress("%s: port %d, database %s, user %s, password %s", c.name, c.port, c.database, c.user(1), password)
		}
		<-ctx.Done()
		return nil
	}
	results, failures, err := measure(ctx, s, o)
	if err != nil {
		return err
	}
	r := newReport(s, o, results, began)
	r.print(os.Stdout)
	if o.page != "" {
		failures = append(failures, r.write(o.page))
	}
	return errors.Join(failures...)
}

func readOptions(lookup func(string) (string, bool)) (o options, err error) {
	text := func(name, otherwise string) string {
		if v, ok := lookup(name); ok {
			return v
		}
		return otherwise
	}
	number := func(name string, otherwise int) int {
		n, parseErr := strconv.Atoi(text(name, strconv.Itoa(otherwise)))
		if parseErr != nil || n < 1 {
			err = errors.Join(err, fmt.Errorf("%s is no positive number", name))
		}
		return n
	}
	expression := func(name string) *regexp.Regexp {
		re, parseErr := regexp.Compile(text(name, ""))
		err = errors.Join(err, parseErr)
		return re
	}
	o = options{
		rounds: number("BENCH_ROUNDS", 5), seconds: number("BENCH_SECONDS", 2),
		only: expression("BENCH_ONLY"), among: expression("BENCH_AMONG"),
		hold: text("BENCH_HOLD", "") != "",
		page: text("BENCH_PAGE", "docs/performance.md"), profile: text("BENCH_PROFILE", ""),
	}
	if text("BENCH_ONLY", "")+text("BENCH_AMONG", "") != "" && text("BENCH_PAGE", "") == "" {
		o.page = "" // a part is no page
	}
	return o, err
}

// progress tells on stderr what goes on.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

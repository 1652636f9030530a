package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A script is work for pgbench. It runs as the first tenant, who has all that
// it names.
type script struct {
	text      string
	mode      string // simple, extended, prepared
	clients   int
	reconnect bool // for each transaction
}

// logged is about how many transactions of a run have their latency written.
const logged = 20_000

var (
	pgbenchRate      = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)
	pgbenchProcessed = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	pgbenchFailed    = regexp.MustCompile(`(?m)^number of failed transactions: (\d+)`)
)

// run has pgbench do the work against one contender. A failed transaction is an
// error: a fast refusal must not count.
func (w script) run(ctx context.Context, b *bench, c *contender) (sample, error) {
	dir, err := os.MkdirTemp(b.stage.server.Dir(), "pgbench")
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "script")
	text := w.text
	if c.byHand {
		text = byHand(text)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return sample{}, err
	}
	args := []string{
		"-n", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port), "-U", c.user(1), "-M", w.mode,
		"-c", strconv.Itoa(w.clients), "-j", strconv.Itoa(min(w.clients, 2)), "-T", strconv.Itoa(b.options.seconds + connecting(w.clients) + b.patience),
		"-f", file, "-l", "--log-prefix=" + filepath.Join(dir, "log"), "--sampling-rate=" + b.sampling(w, c),
	}
	if w.reconnect {
		args = append(args, "-C")
	}
	cmd := exec.CommandContext(ctx, b.pgbench, append(args, c.database)...)
	cmd.Env = []string{"PGPASSWORD=" + password, "PGSSLMODE=disable", "LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return sample{}, fmt.Errorf("pgbench: %w\n%s%s", err, out, stderr.String())
	}
	failed := pgbenchFailed.FindSubmatch(out)
	rate, processed := pgbenchRate.FindSubmatch(out), pgbenchProcessed.FindSubmatch(out)
	if rate == nil || processed == nil || failed != nil && string(failed[1]) != "0" {
		return sample{}, fmt.Errorf("pgbench says\n%s%s", out, stderr.String())
	}
	var s sample
	if s.rate, err = strconv.ParseFloat(string(rate[1]), 64); err != nil {
		return sample{}, err
	}
	if s.transactions, err = strconv.Atoi(string(processed[1])); err != nil {
		return sample{}, err
	}
	latencies, err := readLatencies(dir)
	if err != nil {
		return sample{}, err
	}
	s.setLatencies(latencies)
	b.expect(w, c, s.transactions)
	return s, nil
}

// connecting is how many seconds are added for so many clients to connect and
// authenticate, which pgbench counts as part of the time but not of the rate.
func connecting(clients int) int { return (clients + 127) / 128 * min(clients/64, 1) }

// byHand is a script as an app writes it that keeps tenants apart by policies
// and a setting, and has no session of its own at the database.
func byHand(text string) string {
	const begin = "BEGIN;\nSELECT set_config('app.tenant_id', '1', true);\n"
	at := strings.LastIndex(text, "\\set")
	if at >= 0 {
		at += strings.IndexByte(text[at:], '\n') + 1
	} else {
		at = 0
	}
	statements := text[at:]
	if rest, ok := strings.CutPrefix(statements, "BEGIN;\n"); ok {
		return text[:at] + begin + rest
	}
	return text[:at] + begin + statements + "COMMIT;\n"
}

// readLatencies reads the logs of a run: the third field is in microseconds.
func readLatencies(dir string) ([]time.Duration, error) {
	files, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil {
		return nil, err
	}
	var all []time.Duration
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 3 {
				return nil, errors.Join(fmt.Errorf("line %q of pgbench's log", lines.Text()), f.Close())
			}
			us, err := strconv.Atoi(fields[2])
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			all = append(all, time.Duration(us)*time.Microsecond)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sampling is the share of transactions to be logged, by how many there were
// last time: writing costs time that is not the contender's.
func (b *bench) sampling(w script, c *contender) string {
	share := 1.0
	if n := b.expected[c.name+"\n"+w.key()]; n > logged {
		share = logged / float64(n)
	} else if n == 0 {
		share = 0.5
	}
	return strconv.FormatFloat(max(share, 0.05), 'f', 3, 64)
}

func (b *bench) expect(w script, c *contender, transactions int) {
	b.expected[c.name+"\n"+w.key()] = transactions
}

func (w script) key() string { return fmt.Sprint(w.mode, w.clients, w.reconnect, w.text) }

// percentile returns a share's latency of a sorted list.
func percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(float64(len(sorted))*share), len(sorted)-1)]
}

func (s *sample) setLatencies(all []time.Duration) {
	slices.Sort(all)
	s.p50, s.p99 = percentile(all, 0.5), percentile(all, 0.99)
}

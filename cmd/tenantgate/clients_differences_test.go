package main

import (
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A difference is a step that a program cannot do through the proxy.
type difference struct {
	program, target, step string // patterns
	reason                string
	used                  bool
}

// differences are those that are documented.
type differences []*difference

// readDifferences reads lines of program | target | step | reason.
func readDifferences(t *testing.T, file string) differences {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var all differences
	for _, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "|")
		require.Len(t, fields, 4, line)
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
			require.NotEmpty(t, fields[i], line)
		}
		all = append(all, &difference{program: fields[0], target: fields[1], step: fields[2], reason: fields[3]})
	}
	return all
}

// compare requires that what worked without the proxy works through it, unless
// a documented difference says why not.
func (d differences) compare(t *testing.T, program, target string, direct, got clientResults) {
	for step, why := range direct {
		through, ran := got[step]
		if why != "" || ran && through == "" {
			continue
		}
		if !ran {
			continue // not for this login; a program that ended early has said so
		}
		known := d.find(program, target, step)
		if known == nil {
			t.Errorf("%s: %s", step, through)
			continue
		}
		known.used = true
		t.Logf("differs as documented: %s: %s (%s)", step, known.reason, through)
	}
	for step, why := range got {
		if _, ran := direct[step]; !ran && why != "" {
			t.Errorf("%s: %s", step, why)
		}
	}
}

func (d differences) find(program, target, step string) *difference {
	for _, one := range d {
		matched := true
		for pattern, value := range map[string]string{one.program: program, one.target: target, one.step: step} {
			ok, err := path.Match(pattern, value)
			matched = matched && ok && err == nil
		}
		if matched {
			return one
		}
	}
	return nil
}

// requireUsed fails for differences that are there no more.
func (d differences) requireUsed(t *testing.T) {
	for _, one := range d {
		require.True(t, one.used, "no longer a difference: %s | %s | %s", one.program, one.target, one.step)
	}
}

package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A difference is a step that a program cannot do through the proxy.
type difference struct {
	program, target, step string // patterns
	reason                string
}

// differences are those that are documented.
type differences []difference

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
		all = append(all, difference{program: fields[0], target: fields[1], step: fields[2], reason: fields[3]})
	}
	return all
}

// compare says what is wrong with a program's steps through the proxy: each
// must do what it does without it, unless a difference says why not, and each
// difference for the program and the target must be one. known are those.
func (d differences) compare(program, target string, direct, got clientResults) (wrong, known []string) {
	used := make([]bool, len(d))
	for _, step := range slices.Sorted(maps.Keys(direct.with(got))) {
		through, ran := got[step]
		switch without, ranWithout := direct[step]; {
		case !ran:
			wrong = append(wrong, step+": has not been run")
			continue
		case through.passed, through.skipped && !without.skipped:
			continue
		case ranWithout && !without.passed:
			continue // which is told where it was run
		}
		i := slices.IndexFunc(d, func(one difference) bool { return one.of(program, target) && matches(one.step, step) })
		if i < 0 {
			wrong = append(wrong, step+": "+through.why)
			continue
		}
		used[i] = true
		known = append(known, fmt.Sprintf("%s: %s (%s)", step, d[i].reason, through.why))
	}
	for i, one := range d {
		if one.of(program, target) && !used[i] {
			wrong = append(wrong, fmt.Sprintf("no longer a difference: %s | %s | %s", one.program, one.target, one.step))
		}
	}
	return wrong, known
}

// of reports whether a difference is one of a program for a target.
func (one *difference) of(program, target string) bool {
	return matches(one.program, program) && matches(one.target, target)
}

func matches(pattern, value string) bool {
	ok, err := path.Match(pattern, value)
	return ok && err == nil
}

func TestDifferencesAreHeldAgainstWhatPrograms(t *testing.T) {
	file := filepath.Join(t.TempDir(), "differences.txt")
	require.NoError(t, os.WriteFile(file, []byte("# what differs\npsql | tenant* | \\\\d?+ | sizes\npsql | tenant*pool of 1 | locks | there is one\n"), 0o600))
	list := readDifferences(t, file)
	passed, failed, skipped := clientResult{passed: true}, clientResult{why: "failed: no"}, clientResult{skipped: true}
	direct := clientResults{`\dt+`: passed, "locks": passed, "makes": passed}
	for _, tc := range []struct {
		target string
		got    clientResults
		wrong  []string
	}{
		{"tenant, pool of 2", clientResults{`\dt+`: failed, "locks": passed, "makes": skipped}, nil},
		{"tenant, pool of 1", clientResults{`\dt+`: failed, "locks": failed, "makes": skipped}, nil},
		{"operator", clientResults{`\dt+`: passed, "locks": passed, "makes": passed}, nil},
		{"operator", clientResults{`\dt+`: passed, "locks": failed, "makes": passed}, []string{"locks: failed: no"}},
		{"tenant, pool of 2", clientResults{`\dt+`: failed, "locks": failed, "makes": passed}, []string{"locks: failed: no"}},
		{"tenant, pool of 2", clientResults{`\dt+`: failed, "makes": passed}, []string{"locks: has not been run"}},
		{"tenant, pool of 2", clientResults{`\dt+`: failed, "locks": passed, "makes": passed, "more": failed}, []string{"more: failed: no"}},
		{"tenant, pool of 2", clientResults{`\dt+`: passed, "locks": passed, "makes": passed}, []string{`no longer a difference: psql | tenant* | \\d?+`}},
	} {
		wrong, _ := list.compare("psql", tc.target, direct, tc.got)
		require.Equal(t, tc.wrong, wrong, "%s: %v", tc.target, tc.got)
	}
}

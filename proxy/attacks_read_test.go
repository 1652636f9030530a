package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An attack is one entry of testdata/attacks: what a hostile tenant sends.
type attack struct {
	id, title string // A1: the letter is the family
	file      string
	line      int      // of the title
	messages  []string // each is one Query message, or one Parse
	args      [][]byte // of every message: then there is no simple protocol for it
	data      []string // lines that COPY FROM STDIN is given
	alone     bool     // not inside a transaction that is rolled back
	extension string   // that the server has to have for the run without guard
	hit, miss string   // what PROBE stands for; it must make no difference

	want map[string]verdict // by enforcement; none: it is answered as if the tenant were alone
	bare map[string]effect  // by database without guard
}

// A verdict is what becomes of an attack that is not simply answered.
type verdict struct {
	code, rule string // it is refused
	open       string // why it is not closed there
	other      string // why the answer is not that of the tenant's own database
}

// An effect is what an attack does when no guard holds it.
type effect struct {
	kind   string
	reason string // why it is harmless, or what is not seen
}

// Kinds of effects.
const (
	shows    = "shows"    // another tenant's mark is in the bytes of the answer
	writes   = "writes"   // rows of others, or of nobody
	tells    = "tells"    // the answer depends on what others have
	leaves   = "leaves"   // something that outlives the statement: a setting, an object, a lock
	harmless = "harmless" // the server does not let it, or there is nothing to get
	unseen   = "unseen"   // the test does not look at its harm, or what it would get is not there
)

var effectKinds = []string{shows, writes, tells, leaves, harmless, unseen}

var attackTitle = regexp.MustCompile(`^-- ([A-J][0-9]+)\. (.+)$`)

// readAttacks reads a file of testdata/attacks; docs/threat-model.md describes
// the annotations.
func readAttacks(t *testing.T, file string) []*attack {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var attacks []*attack
	var a *attack
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if title := attackTitle.FindStringSubmatch(line); title != nil {
			a = &attack{
				id: title[1], title: title[2], file: filepath.Base(file), line: number,
				want: make(map[string]verdict), bare: make(map[string]effect),
			}
			attacks = append(attacks, a)
			continue
		}
		if a == nil || line == "" {
			continue // what the file says of itself
		}
		require.NoError(t, a.read(line), "%s:%d", file, number)
	}
	for _, a := range attacks {
		require.NotEmpty(t, a.messages, a.String())
	}
	return attacks
}

// read takes one line of an attack.
func (a *attack) read(line string) error {
	note, value := "", ""
	if len(line) > 4 && strings.HasPrefix(line, "--") && line[3] == ' ' {
		note, value = line[2:3], line[4:]
	}
	switch note {
	case "!":
		return a.readVerdict(value)
	case "=":
		return a.readEffect(value)
	case "?":
		a.hit, a.miss, _ = strings.Cut(value, " / ")
	case "$":
		a.args = readArgs(value)
	case "<":
		a.data = append(a.data, value)
	case "@":
		if extension, ok := strings.CutPrefix(value, "extension "); ok {
			a.extension = extension
		} else if a.alone = value == "alone"; !a.alone {
			return fmt.Errorf("%q is not known", value)
		}
	default:
		a.messages = append(a.messages, strings.TrimSuffix(line, ";"))
	}
	return nil
}

func (a *attack) readVerdict(note string) error {
	where, what, ok := strings.Cut(note, ": ")
	if !ok {
		return fmt.Errorf("%q has no verdict", note)
	}
	v := verdict{}
	if reason, open := strings.CutPrefix(what, "open, "); open {
		v.open = reason
	} else if reason, other := strings.CutPrefix(what, "other, "); other {
		v.other = reason
	} else {
		v.code, v.rule, _ = strings.Cut(what, " ")
	}
	for enforce := range strings.FieldsSeq(where) {
		a.want[enforce] = v
	}
	return nil
}

func (a *attack) readEffect(note string) error {
	where, what, ok := strings.Cut(note, ": ")
	if !ok {
		return fmt.Errorf("%q has no effect", note)
	}
	kind, reason, _ := strings.Cut(what, ", ")
	if !slices.Contains(effectKinds, kind) || (kind == harmless || kind == unseen) != (reason != "") {
		return fmt.Errorf("%q is no effect", what)
	}
	for database := range strings.FieldsSeq(where) {
		a.bare[database] = effect{kind, reason}
	}
	return nil
}

func (a *attack) String() string {
	return fmt.Sprintf("%s:%d: %s. %s", a.file, a.line, a.id, a.title)
}

// predicate is where a rewriter that does no more than add predicates would
// put one: {t}, or {a.t} with an alias.
var predicate = regexp.MustCompile(`\{(\w+\.)?t\}`)

// script is what is sent: with or without the predicates, PROBE filled in.
func (a *attack) script(predicates bool, probe string) []string {
	filled := ""
	if predicates {
		filled = "${1}tenant_id = 1 AND "
	}
	script := make([]string, len(a.messages))
	for i, message := range a.messages {
		script[i] = strings.ReplaceAll(predicate.ReplaceAllString(message, filled), "PROBE", probe)
	}
	return script
}

// probes are the values of PROBE to try.
func (a *attack) probes() []string {
	if a.hit == "" {
		return []string{""}
	}
	return []string{a.hit, a.miss}
}

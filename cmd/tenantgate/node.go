package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	maxConfigBytes = 16 << 20
	maxSecretBytes = 64 << 10
	maxAliases     = 1000 // each costs at most what its anchor holds
	maxProblems    = 50
)

// A ConfigError lists all that is wrong with a configuration. It holds no
// secrets.
type ConfigError struct {
	File     string
	Problems []Problem
}

// A Problem is one mistake in a configuration file. Line and Column count from
// 1; Line is 0 if the file as a whole is meant.
type Problem struct {
	Line, Column int
	Text         string
}

// Error has one line for each problem.
func (e *ConfigError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i == maxProblems {
			fmt.Fprintf(&b, "%s: %d more", e.File, len(e.Problems)-i)
			break
		}
		if p.Line == 0 {
			fmt.Fprintf(&b, "%s: %s", e.File, p.Text)
		} else {
			fmt.Fprintf(&b, "%s:%d:%d: %s", e.File, p.Line, p.Column, p.Text)
		}
	}
	return b.String()
}

// A document reads one YAML file strictly and gathers what is wrong with it.
type document struct {
	file      string
	lookupEnv func(string) (string, bool)
	problems  []Problem
	aliases   int
}

// A value is a node of the document. Its path has the keys that lead to it,
// with * for names that the user chose and [] for list items.
type value struct {
	doc  *document
	node *yaml.Node
	at   *yaml.Node // where problems are shown: the alias, if there is one
	path string
	what string // what it is, if not the path's last key
}

// parse returns the root of a file's only document.
func (d *document) parse(content []byte) (root value, ok bool) {
	if len(content) > maxConfigBytes {
		d.add(0, 0, fmt.Sprintf("the file is larger than %d bytes", maxConfigBytes))
		return value{}, false
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	node, err := decodeNode(decoder)
	if errors.Is(err, io.EOF) || err == nil && len(node.Content) == 0 {
		d.add(1, 1, "the file is empty")
		return value{}, false
	}
	if err != nil {
		d.syntax(err)
		return value{}, false
	}
	if second, err := decodeNode(decoder); err == nil {
		d.add(second.Line, second.Column, "a second document; the file must hold one")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return value{}, false
	}
	return d.value(node.Content[0], ""), true
}

// decodeNode reads one document. The library panics on some malformed texts.
func decodeNode(decoder *yaml.Decoder) (node yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("yaml: cannot be parsed")
		}
	}()
	err = decoder.Decode(&node)
	return node, err
}

var (
	yamlLine      = regexp.MustCompile(`^line (\d+): `)
	unknownAnchor = regexp.MustCompile(`unknown anchor '.*' referenced`)
)

// syntax reports an error of the YAML library, which tells the line in its
// text and may repeat a secret there.
func (d *document) syntax(err error) {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits; were there too many, line 0 says the file
		text = text[len(m[0]):]
	}
	text = unknownAnchor.ReplaceAllString(text, "an alias without its anchor; text that starts with * or & must be in quotes")
	d.add(line, 1, "not YAML: "+text)
}

func (d *document) add(line, column int, text string) {
	d.problems = append(d.problems, Problem{Line: line, Column: column, Text: text})
}

// err returns the problems in the order of the file, or nil.
func (d *document) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return &ConfigError{File: d.file, Problems: slices.Compact(d.problems)}
}

// value wraps a node and follows an alias. Aliases can form cycles and grow
// exponentially; their number is bounded, and the configuration is not deep.
func (d *document) value(node *yaml.Node, path string) value {
	v := value{doc: d, node: node, at: node, path: path}
	if node.Kind == yaml.AliasNode {
		d.aliases++
		if d.aliases == maxAliases+1 {
			v.problem("more than %d aliases", maxAliases)
		}
		v.node = node.Alias
		if d.aliases > maxAliases {
			v.node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
		}
	}
	return v
}

func (v value) problem(format string, args ...any) {
	v.doc.add(v.at.Line, v.at.Column, fmt.Sprintf(format, args...))
}

// as gives the value a name to speak of it.
func (v value) as(format string, args ...any) value {
	v.what = fmt.Sprintf(format, args...)
	return v
}

// key speaks of the value: by default it is the last key of the path.
func (v value) key() string {
	if v.what != "" {
		return v.what
	}
	path := strings.TrimRight(v.path, "[].*")
	if path == "" {
		return "the configuration"
	}
	return path[strings.LastIndexByte(path, '.')+1:]
}

// A field is one key of a mapping.
type field struct {
	key      string
	required bool
	read     func(value)
}

// mapping reads a mapping with fixed keys and refuses all others.
func (v value) mapping(fields ...field) {
	if !v.is(yaml.MappingNode) {
		return
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
	}
	seen := make(map[string]bool)
	for key, child := range v.pairs() {
		i := slices.Index(names, key.Value)
		switch {
		case key.Kind != yaml.ScalarNode:
			v.doc.add(key.Line, key.Column, "a key must be a word; allowed: "+strings.Join(names, ", "))
			continue
		case key.Tag == "!!merge":
			v.doc.add(key.Line, key.Column, "merge keys (<<) are not supported")
			continue
		case i < 0:
			v.doc.add(key.Line, key.Column, unknown("key", key.Value, names))
			continue
		case seen[key.Value]:
			v.doc.add(key.Line, key.Column, fmt.Sprintf("key %q is there twice", key.Value))
			continue
		}
		seen[key.Value] = true
		path := key.Value
		if v.path != "" {
			path = v.path + "." + key.Value
		}
		c := v.doc.value(child, path)
		c.refuseUnavailable()
		fields[i].read(c)
	}
	for _, f := range fields {
		if f.required && !seen[f.key] {
			v.problem("%s needs the key %q", v.key(), f.key)
		}
	}
}

// entries reads a mapping whose keys are names that the user chooses.
func (v value) entries(read func(name, val value)) {
	if !v.is(yaml.MappingNode) {
		return
	}
	seen := make(map[string]bool)
	for key, child := range v.pairs() {
		name := v.doc.value(key, v.path)
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || key.Value == "" {
			name.problem("a name is expected here")
			continue
		}
		if seen[key.Value] {
			name.problem("%q is there twice", key.Value)
			continue
		}
		seen[key.Value] = true
		read(name, v.doc.value(child, v.path+".*"))
	}
}

// pairs yields keys and their nodes.
func (v value) pairs() func(yield func(key, child *yaml.Node) bool) {
	return func(yield func(key, child *yaml.Node) bool) {
		for i := 0; i+1 < len(v.node.Content); i += 2 {
			if !yield(v.node.Content[i], v.node.Content[i+1]) {
				return
			}
		}
	}
}

// list reads a list, each item in turn.
func (v value) list(read func(value)) {
	if !v.is(yaml.SequenceNode) {
		return
	}
	for _, item := range v.node.Content {
		read(v.doc.value(item, v.path+"[]"))
	}
}

// is reports whether the node is of a kind, and adds a problem if not.
func (v value) is(kind yaml.Kind) bool {
	words := map[yaml.Kind]string{
		yaml.MappingNode:  "keys with values, as {key: value}",
		yaml.SequenceNode: "a list, as [a, b]",
		yaml.ScalarNode:   "a single value",
	}
	switch {
	case v.node.Style&yaml.TaggedStyle != 0:
		v.problem("%s has a tag, which is not supported; text that starts with ! must be in quotes", v.key())
	case v.node.Kind == kind && v.node.Tag != "!!null":
		return true
	case v.node.Tag == "!!null":
		v.problem("%s is empty; allowed: %s", v.key(), words[kind])
	default:
		v.problem("%s is of the wrong type; allowed: %s", v.key(), words[kind])
	}
	return false
}

// scalar returns a single value's text with environment variables put in, and
// its YAML type, which is "" if variables make it up.
func (v value) scalar() (text, tag string, ok bool) {
	if !v.is(yaml.ScalarNode) {
		return "", "", false
	}
	text, expanded, err := expand(v.node.Value, v.doc.lookupEnv)
	if err != nil {
		v.problem("%s: %s", v.key(), err)
		return "", "", false
	}
	if expanded {
		return text, "", true
	}
	return text, v.node.Tag, true
}

var (
	variable     = regexp.MustCompile(`\$?\$\{([^}]*)(\}?)`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// expand replaces ${NAME} by the environment's value and $${ by ${. What comes
// in is not looked at again.
func expand(text string, lookup func(string) (string, bool)) (result string, expanded bool, err error) {
	result = variable.ReplaceAllStringFunc(text, func(match string) string {
		if strings.HasPrefix(match, "$${") {
			return match[1:]
		}
		name, closed := strings.CutSuffix(match[2:], "}")
		if !closed || !variableName.MatchString(name) {
			err = errors.New("${ is not followed by a name and }; write $${ for the characters themselves")
			return ""
		}
		val, ok := lookup(name)
		if !ok {
			err = fmt.Errorf("environment variable %s is not set", name)
		}
		expanded = true
		return val
	})
	return result, expanded, err
}

// text reads text that may not be empty. Numbers and the like need quotes.
func (v value) text() (string, bool) {
	text, tag, ok := v.scalar()
	switch {
	case !ok:
		return "", false
	case tag != "" && tag != "!!str":
		v.problem("%s must be text: put it in quotes", v.key())
		return "", false
	case text == "":
		v.problem("%s is empty", v.key())
		return "", false
	case strings.ContainsRune(text, 0):
		v.problem("%s holds a zero byte", v.key())
		return "", false
	}
	return text, true
}

// name reads text, or a whole number as it is written.
func (v value) name() (string, bool) {
	if v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!int" && v.node.Style&yaml.TaggedStyle == 0 {
		if n, err := strconv.ParseInt(v.node.Value, 10, 64); err == nil && strconv.FormatInt(n, 10) == v.node.Value {
			return v.node.Value, true
		}
	}
	return v.text()
}

// secret reads text that is never shown. Written as @path it is the content of
// that file, without the line break at its end.
func (v value) secret() (Secret, bool) {
	text, ok := v.text()
	if !ok || !strings.HasPrefix(v.node.Value, "@") {
		return Secret(text), ok
	}
	path := v.doc.resolve(text[1:])
	content, err := readSecret(path)
	if err != nil {
		v.problem("%s: %s", v.key(), err)
		return "", false
	}
	content = strings.TrimSuffix(strings.TrimSuffix(content, "\n"), "\r")
	if content == "" || strings.ContainsRune(content, 0) {
		v.problem("%s: %s is empty or holds a zero byte", v.key(), path)
		return "", false
	}
	return Secret(content), true
}

func readSecret(path string) (string, error) {
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxSecretBytes {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecretBytes)
	}
	return string(content), nil
}

// file reads a path, relative to the configuration file's directory.
func (v value) file() (string, bool) {
	text, ok := v.text()
	if !ok {
		return "", false
	}
	return v.doc.resolve(text), true
}

func (d *document) resolve(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(filepath.Dir(d.file), path)
}

// boolean reads true or false.
func (v value) boolean() (result, ok bool) {
	text, tag, ok := v.scalar()
	if !ok {
		return false, false
	}
	if (tag == "!!bool" || tag == "") && (text == "true" || text == "false") {
		return text == "true", true
	}
	v.problem("%s is of the wrong type; allowed: true, false", v.key())
	return false, false
}

// integer reads a whole number from low on.
func (v value) integer(low int) (int, bool) {
	const high = 1_000_000
	text, tag, ok := v.scalar()
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || tag != "!!int" && tag != "" || n < low || n > high {
		v.problem("%s is no number that can be used; allowed: whole numbers from %d to %d", v.key(), low, high)
		return 0, false
	}
	return n, true
}

// duration reads a time longer than none.
func (v value) duration() (time.Duration, bool) {
	text, tag, ok := v.scalar()
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	if err != nil || tag != "!!str" && tag != "" || d <= 0 {
		v.problem("%s is no duration that can be used; allowed: a number with a unit, as 500ms, 30s, 5m, 1h30m", v.key())
		return 0, false
	}
	return d, true
}

// A choice is one word of an enumeration.
type choice[T any] struct {
	word  string
	value T
}

// choose reads one word of several.
func choose[T any](v value, choices ...choice[T]) (result T, ok bool) {
	text, _, ok := v.scalar()
	if !ok {
		return result, false
	}
	words := make([]string, len(choices))
	for i, c := range choices {
		if c.word == text {
			return c.value, true
		}
		words[i] = c.word
	}
	v.problem("%s", unknown(v.key(), v.node.Value, words))
	return result, false
}

// none adds a problem if a list or mapping has nothing in it.
func (v value) none(allowed string) {
	if (v.node.Kind == yaml.SequenceNode || v.node.Kind == yaml.MappingNode) && len(v.node.Content) == 0 {
		v.problem("%s is empty; allowed: %s", v.key(), allowed)
	}
}

// unknown says that a word is not among those allowed, and which was meant.
func unknown(what, word string, allowed []string) string {
	meant := ""
	if near, ok := nearest(word, allowed); ok {
		meant = fmt.Sprintf("did you mean %q? ", near)
	}
	return fmt.Sprintf("unknown %s %q; %sallowed: %s", what, word, meant, strings.Join(allowed, ", "))
}

// nearest returns the word with the fewest edits to it, if those are few. To
// leave off the end is one edit.
func nearest(word string, among []string) (string, bool) {
	best, found := len(word)/3+2, ""
	if len(word) > 100 {
		return "", false
	}
	for _, candidate := range among {
		d := distance(strings.ToLower(word), strings.ToLower(candidate))
		if len(word) > 1 && strings.HasPrefix(candidate, word) {
			d = min(d, 1)
		}
		if d < best {
			best, found = d, candidate
		}
	}
	return found, found != ""
}

// distance is Levenshtein's: insertions, deletions and replacements.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

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

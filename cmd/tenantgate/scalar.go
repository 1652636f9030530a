package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

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
	f, err := os.Open(path) // #nosec G304 G703 -- the operator names the file
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

package proxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Commands have PgBouncer's words: a word, and for some an argument.

// A command is one that the console understands.
type command struct {
	word     string // upper case
	argument string // of SHOW: upper case
	session  uint32 // of KILL
}

// sessionParameters are what drivers set at the beginning. None of them
// concerns the console, so setting them is taken note of and no more.
var sessionParameters = []string{"APPLICATION_NAME", "CLIENT_ENCODING", "CLIENT_MIN_MESSAGES", "DATESTYLE", "EXTRA_FLOAT_DIGITS", "TIMEZONE"}

// notThere are PgBouncer's commands that this console does not have, and what
// to do instead.
var notThere = map[string]string{
	"PAUSE": "Pool sizes and timeouts keep clients waiting while a server restarts.", "RESUME": "Nothing is ever paused.",
	"RELOAD": "Restart the proxy with the changed file.", "SUSPEND": "Send SIGTERM: transactions may end.", "SHUTDOWN": "Send SIGTERM: transactions may end.",
	"DISABLE": "Set suspended: true for tenants.", "ENABLE": "Set suspended: false for tenants.",
	"RECONNECT": "Server connections end with the pool's max_lifetime.", "WAIT_CLOSE": "Server connections end with the pool's max_lifetime.",
}

// parseCommand reads one command. It is nil for a text without any.
func parseCommand(text string) (*command, error) {
	words, err := consoleWords(text)
	if err != nil || len(words) == 0 {
		return nil, err
	}
	cmd := &command{word: strings.ToUpper(words[0])}
	rest := words[1:]
	switch cmd.word {
	case "SHOW":
		if len(rest) != 1 {
			return nil, unknownCommand("SHOW takes one word")
		}
		cmd.argument = strings.ToUpper(rest[0])
		if _, ok := showTables[cmd.argument]; !ok && !isReported(rest[0]) {
			return nil, unknownCommand(fmt.Sprintf("nothing to show is called %q", rest[0]))
		}
	case "KILL":
		if len(rest) == 1 {
			if n, err := strconv.ParseUint(rest[0], 10, 32); err == nil {
				cmd.session = uint32(n)
				return cmd, nil
			}
		}
		return nil, newError("42601", "KILL takes the number of a session", "SHOW CLIENTS lists them.")
	case "BEGIN", "COMMIT", "ROLLBACK":
	case "START":
		cmd.word = "BEGIN"
	case "END", "ABORT":
		cmd.word = map[string]string{"END": "COMMIT", "ABORT": "ROLLBACK"}[cmd.word]
	case "SET":
		if len(rest) > 0 && strings.EqualFold(rest[0], "SESSION") {
			rest = rest[1:]
		}
		name, _, _ := strings.Cut(strings.Join(rest, " "), "=")
		name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
		if !slices.Contains(sessionParameters, strings.ToUpper(name)) {
			return nil, newError("0A000", fmt.Sprintf("the console sets no parameter %q", name), "Change the configuration file.")
		}
	default:
		if instead, known := notThere[cmd.word]; known {
			return nil, newError("0A000", cmd.word+" is not supported", instead)
		}
		return nil, unknownCommand(fmt.Sprintf("the console has no command %q", words[0]))
	}
	return cmd, nil
}

func isReported(name string) bool {
	return slices.ContainsFunc(reportedParameters, func(known string) bool {
		return strings.EqualFold(known, name) && known != "search_path" && known != "scram_iterations"
	})
}

func unknownCommand(message string) error {
	return newError("42601", message, "SHOW HELP lists the commands.")
}

// consoleWords cuts a text at blanks, without comments and semicolons at its
// end. Several commands in one text are refused.
func consoleWords(text string) ([]string, error) {
	var plain strings.Builder
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, "--"):
			_, text, _ = strings.Cut(text, "\n")
			plain.WriteByte(' ')
		case strings.HasPrefix(text, "/*"):
			_, rest, closed := strings.Cut(text, "*/")
			if !closed {
				return nil, newError("42601", "unterminated comment", "")
			}
			text = rest
			plain.WriteByte(' ')
		default:
			plain.WriteByte(text[0])
			text = text[1:]
		}
	}
	one := strings.TrimRight(plain.String(), "; \t\r\n\f\v")
	if strings.Contains(one, ";") {
		return nil, newError("42601", "the console takes one command at a time", "Send each in a message of its own.")
	}
	words := strings.Fields(one)
	if len(words) == 0 {
		return nil, nil
	}
	return words, nil
}

package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest/clinic"
)

// An encounter is two sessions on one server connection.
type encounter struct {
	clients map[string]*wireClient // by the prefix of their lines
	before  func(who string)       // each line
	after   func()                 // all lines; may be nil
	own     func() string          // what the victim's statement is called
}

// play sends those lines of an attack that are one of these clients', and
// returns what each has heard.
func (e *encounter) play(a *attack, predicates bool, who ...string) map[string][]string {
	heard := make(map[string][]string)
	for _, line := range a.script(predicates, "") {
		from, line, _ := strings.Cut(line, "> ")
		if !slices.Contains(who, from) {
			continue
		}
		e.before(from)
		if strings.Contains(line, "{own}") {
			line = strings.ReplaceAll(line, "{own}", e.own())
		}
		heard[from] = append(heard[from], e.clients[from].say(line)...)
	}
	if e.after != nil {
		e.after()
	}
	for _, name := range who { // for the next ones
		e.clients[name].say(`Query "ROLLBACK"; Query "DISCARD ALL"`)
		require.False(e.clients[name].t, e.clients[name].closed, a.String())
	}
	return heard
}

// say sends messages and returns what is answered.
func (c *wireClient) say(messages string) []string {
	c.record = nil
	return c.run(wireScript{lines: []string{"> " + messages}})
}

// TestNamesOfStatementsAndPortalsAreASessionsOwn: testdata/attacks/i_names.txt.
func TestNamesOfStatementsAndPortalsAreASessionsOwn(t *testing.T) {
	c := clinic.New(t, 2)
	attacks := readAttacks(t, "../testdata/attacks/i_names.txt")
	require.GreaterOrEqual(t, len(attacks), 40)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			e := &encounter{
				clients: map[string]*wireClient{"1": dialWire(t, g.url("tenant1")), "2": dialWire(t, g.url("tenant2"))},
				before:  func(string) {},
				own:     g.lastStatement,
			}
			for _, a := range attacks {
				attacker, victim := e.play(a, false, "1")["1"], e.play(a, false, "2")["2"]
				together := e.play(a, false, "1", "2")
				require.NotContains(t, strings.Join(together["1"], "\n"), clinic.Mark("2"), a.String())
				require.Empty(t, errorOf(together["2"]), a.String())
				if code := errorOf(together["1"]); code != a.want[enforce.String()].code {
					t.Errorf("%s\nwant %q, got %q: %s", a, a.want[enforce.String()].code, code, strings.Join(together["1"], "\n"))
				}
				if !slices.Equal(victim, together["2"]) {
					t.Errorf("%s\nthe victim notices it: %s\ninstead of\n%s", a, strings.Join(together["2"], "\n"), strings.Join(victim, "\n"))
				}
				if !slices.Equal(attacker, together["1"]) && !strings.Contains(strings.Join(a.messages, ""), "{own}") { // which has no name then
					t.Errorf("%s\nthe attacker notices the victim: %s\ninstead of\n%s", a, strings.Join(together["1"], "\n"), strings.Join(attacker, "\n"))
				}
			}
		})
	}
	for name, database := range map[string]string{"rls": c.Policies(), "rewrite": c.Plain()} {
		t.Run("without guard, "+name, func(t *testing.T) {
			client := dialWire(t, c.URL(database))
			for _, a := range attacks {
				if want, got := a.bare[name].kind, namesEffect(client, name, a); got != want {
					t.Errorf("%s\nwithout guard, %s: want %q, but it is %q", a, name, want, got)
				}
			}
		})
	}
}

// namesEffect tells what comes of an attack on one connection to PostgreSQL.
func namesEffect(client *wireClient, name string, a *attack) string {
	var left []string
	play := func(who ...string) map[string][]string {
		for _, own := range []string{tenantStatement, setStatement, showStatement} {
			client.say(`Parse "` + own + `" "` + ownStatements[own] + `"; Sync`)
		}
		last := ""
		e := &encounter{
			clients: map[string]*wireClient{"1": client, "2": client},
			own:     func() string { return "s" },
			before: func(who string) {
				if name == "rls" && who != last {
					client.say(`Query "SET ` + clinic.Setting + ` = '` + who + `'"`)
				}
				last = who
			},
			after: func() {
				left = client.say(`Query "SELECT count(*), min(statement) FROM pg_prepared_statements WHERE name = '` + tenantStatement + `'"`)
			},
		}
		return e.play(a, name == "rewrite", who...)
	}
	victim := play("2")["2"]
	usual := left
	attacker, together := play("1")["1"], play("1", "2")
	switch {
	case strings.Contains(strings.Join(together["1"], "\n"), clinic.Mark("2")):
		return shows
	case !slices.Equal(victim, together["2"]) || !slices.Equal(usual, left):
		return leaves
	case !slices.Equal(attacker, together["1"]):
		return tells
	default:
		return harmless
	}
}

// errorOf is the first error's SQLSTATE.
func errorOf(record []string) string {
	for _, line := range record {
		if words := strings.Fields(line); words[0] == "ErrorResponse" {
			return words[2]
		}
	}
	return ""
}

// lastStatement is the name of the statement that a session has prepared last.
func (g *gate) lastStatement() string {
	b, err := g.server.backendAt(g.t.Context(), placement{backend: "main", database: g.database})
	require.NoError(g.t, err)
	b.statements.mu.Lock()
	defer b.statements.mu.Unlock()
	all := b.statements.lru.Values()
	return all[len(all)-1].Name
}

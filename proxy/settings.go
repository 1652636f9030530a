package proxy

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"tenantgate/auth"
	"tenantgate/rewrite"
)

// Run-time parameters that a client sets hold for it on every server
// connection: settle puts them there when a transaction begins, readBack
// learns what they have become when one ends that changed any.

const (
	textOID    = 25
	searchPath = "search_path"
)

// settle makes the leased connection's parameters those of the client, in a
// group of its own, so that no rollback undoes it.
func (s *session) settle() {
	c := s.conn
	left := c.Left != 0 && c.Left != s.leftover // by others: parameters that nobody knows
	drawn := c.Drew && c.User != s.leftover     // by others: currval and lastval would tell
	c.User = s.leftover
	if maps.Equal(c.Settings, s.settings) && !left && !drawn {
		return
	}
	if drawn {
		s.sendUpkeep("DISCARD SEQUENCES")
		c.Drew = false
	}
	if left {
		s.sendUpkeep("RESET ALL")
		clear(c.Settings)
		c.Left = 0
	}
	for name := range c.Settings {
		if _, ok := s.settings[name]; ok {
			continue
		}
		s.sendUpkeep("RESET " + quoteName(name))
		delete(c.Settings, name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.settings)) {
		value := s.settings[name]
		if have, ok := c.Settings[name]; ok && have == value {
			continue
		}
		s.askSetting(setStatement, name, value)
		c.Settings[name] = value
	}
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync, reply: replySkip, upkeep: true})
}

// sendUpkeep runs a statement of the proxy's that answers with nothing.
func (s *session) sendUpkeep(sql string) {
	s.send = appendParse(s.send, "", sql, nil)
	s.send = appendBindText(s.send, "")
	s.send = appendExecute(s.send, "", 0)
	s.push(request{await: awaitParse, reply: replySkip, upkeep: true})
	s.push(request{await: awaitBind, reply: replySkip, upkeep: true})
	s.push(request{await: awaitExecute, reply: replySkip, upkeep: true})
	s.conn.Unnamed = nil
}

// readBack asks the server for the parameters that the transaction touched: a
// rollback may have undone them, and the server writes values its own way.
func (s *session) readBack() error {
	for name, reset := range s.touched {
		s.askSetting(showStatement, name)
		s.outstanding[len(s.outstanding)-1].reset = reset
	}
	clear(s.touched)
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync, reply: replySkip, upkeep: true})
	if err := s.exchange(); err != nil || s.conn == nil || maps.Equal(s.conn.Settings, s.settings) {
		return err
	}
	s.settle() // what was reset is what the client asked for when it connected
	return s.exchange()
}

// takeSetting takes note of the value that a parameter has on the server
// connection. reset says that it was reset last: if that has come to pass, the
// client's value is that of its start-up packet.
func (s *session) takeSetting(name, value string, reset bool) {
	s.conn.Settings[name] = value
	if initial, ok := s.initial[name]; ok && reset && value != s.settings[name] {
		value = initial
	}
	s.settings[name] = value
	if name == searchPath {
		s.path = value
	}
}

// askSetting runs one of the proxy's statements that answers with the value of
// the named parameter.
func (s *session) askSetting(statement, name string, value ...string) {
	s.sendOwn(statement, request{await: awaitSetting, value: name, upkeep: true}, append([]string{name}, value...)...)
}

// touch notes that a statement may change a parameter, or reset it; "" is all
// that are set.
func (s *session) touch(name string, reset bool) {
	switch {
	case name == "":
		for known := range s.settings {
			s.touched[known] = reset
		}
	case strings.HasPrefix(name, "transaction_"):
		// of one transaction: nothing to remember
	default:
		s.touched[name] = reset
	}
}

// resetSettings goes back to what the client asked for when it connected.
func (s *session) resetSettings() {
	clear(s.settings)
	maps.Copy(s.settings, s.initial)
	s.path = s.initial[searchPath]
	s.leftover = lastLeftover.Add(1)
}

// reportInitial appends what the server would report when parameters go back
// to what they were when the session began.
func (s *session) reportInitial(out []byte) []byte {
	for _, name := range slices.Sorted(maps.Keys(s.greeted)) {
		if value := s.greeted[name]; s.reported[name] != value {
			var at int
			out, at = beginMessage(out, 'S')
			out = finishMessage(appendCString(appendCString(out, name), value), at)
			s.reported[name] = value
		}
	}
	return out
}

// noteSetting follows what a statement does to parameters.
func (s *session) noteSetting(st *rewrite.Statement) {
	s.touch(st.Name, st.Kind == rewrite.KindReset)
	if resetsAll(st) {
		s.confined, s.path = false, ""
	}
	if st.Name == searchPath {
		s.path = st.Value // "" of RESET
	}
}

func quoteName(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// chooseTenant switches between the tenants of a login, between transactions.
func (s *session) chooseTenant(id string) error {
	if s.held.kept {
		return newError("55006", "the tenant cannot be changed while the session has "+s.held.reasons.String(), "Send DISCARD ALL first.")
	}
	if len(s.listening) > 0 {
		return newError("55006", "the tenant cannot be changed while the session listens", "Send UNLISTEN * first.")
	}
	if s.status != 'I' || s.conn != nil {
		return newError("25001", "SET "+tenantParameter+" cannot run inside a transaction block", "")
	}
	t, err := s.identity.Choose(id)
	if err != nil {
		return tenantError(err)
	}
	if t == s.tenant {
		return nil
	}
	b, err := s.server.backendOf(t)
	if err != nil {
		return err
	}
	if b != s.backend {
		return &rewrite.UnsupportedError{
			Rule: "tenant.elsewhere",
			Node: "a change to a tenant that lives in another database",
			Hint: "Connect again with options='-c " + tenantParameter + "=" + id + "'.",
		}
	}
	if err := s.place.move(t); err != nil {
		return err
	}
	s.setTenant(t)
	s.forgetStatements()
	delete(s.statements, "")
	return nil
}

// tenantError says why a tenant cannot be had. That it exists for others is
// not told.
func tenantError(err error) error {
	var suspended *auth.SuspendedError
	if errors.As(err, &suspended) {
		return err
	}
	return newError("42501", err.Error(), "")
}

// setTenant makes the session a tenant's.
func (s *session) setTenant(t *auth.Tenant) {
	s.countFor(t)
	s.values = s.backend.secret.Values(t.Key)
	s.setTimeouts(t.Limits)
	s.log = s.untenanted.With().Str("tenant", t.ID).Logger()
}

package main

import (
	"slices"
	"strings"
	"unicode"

	"tenantgate/auth"
)

func (r *configReader) tenant(v value) {
	before := len(v.doc.problems)
	t := tenantAt{Tenant: &Tenant{}, at: v, id: v, backend: v, key: v}
	text := func(dst *string, at *value) func(value) {
		return func(v value) {
			*dst, _ = v.text()
			if at != nil {
				*at = v
			}
		}
	}
	v.mapping(
		field{"id", true, func(v value) {
			t.id = v
			t.ID = readIdentifier(v)
		}},
		field{"key", false, func(v value) {
			t.key, t.hasKey = v, true
			t.Key, _ = v.name()
		}},
		field{"backend", false, text(&t.Backend, &t.backend)},
		field{"database", false, text(&t.Database, nil)},
		field{"schema", false, func(v value) {
			v.text()
			t.hasKey = true // what is wrong is told already
		}},
		field{"suspended", false, func(v value) { t.Suspended, _ = v.boolean() }},
		field{"limits", false, func(v value) {
			v.mapping(
				field{"connections", false, setCount(&t.Limits.Connections)},
				field{"clients", false, setCount(&t.Limits.Clients)},
				field{"weight", false, setCount(&t.Limits.Weight)},
				field{"wait", false, setDuration(&t.Limits.Wait)},
				field{"statement_timeout", false, setDuration(&t.Limits.StatementTimeout)},
				field{"idle_in_transaction_timeout", false, setDuration(&t.Limits.IdleInTransactionTimeout)},
			)
		}},
	)
	t.broken = len(v.doc.problems) > before
	r.tenants = append(r.tenants, t)
}

// readIdentifier reads the id of a tenant or the name of a login.
func readIdentifier(v value) string {
	text, ok := v.name()
	if !ok {
		return ""
	}
	if len(text) > maxNameBytes || text == "*" || strings.ContainsFunc(text, unicode.IsControl) {
		v.problem("%s cannot be used; allowed: up to %d bytes, no control characters, not *", v.key(), maxNameBytes)
		return ""
	}
	return text
}

func (r *configReader) readLogins(v value) {
	v.list(func(v value) { r.login(v.as("a login")) })
	v.none("at least one login")
}

func (r *configReader) login(v value) {
	before := len(v.doc.problems)
	l := loginAt{Login: &Login{}, at: v, user: v, backend: v, url: v, console: v}
	addTenant := func(v value) {
		text, ok := v.name()
		if !ok {
			return
		}
		if slices.Contains(l.Tenants, text) {
			v.problem("tenant %q is there twice", text)
			return
		}
		l.Tenants, l.tenants = append(l.Tenants, text), append(l.tenants, v)
	}
	v.mapping(
		field{"user", true, func(v value) {
			l.user = v
			l.User = readIdentifier(v)
		}},
		field{"password", false, func(v value) {
			var ok bool
			l.hasPassword = true
			if l.Password, ok = v.secret(); !ok {
				return
			}
			if err := auth.CheckPassword(l.Password.Reveal()); err != nil {
				v.problem("password cannot be used: %s", err)
			}
		}},
		field{"tenant", false, func(v value) {
			l.hasTenants = true
			addTenant(v)
		}},
		field{"tenants", false, func(v value) {
			if l.hasTenants {
				v.problem("a login has tenant or tenants, not both")
				return
			}
			l.hasTenants = true
			v.list(addTenant)
			v.none("at least one tenant")
		}},
		field{"operator", false, func(v value) { l.Operator, _ = v.boolean() }},
		field{"backend", false, func(v value) {
			l.backend = v
			l.Backend, _ = v.text()
		}},
		field{"url", false, func(v value) {
			l.url = v
			l.URL, _ = readURL(v)
		}},
		field{"console", false, func(v value) {
			l.console = v
			l.Console, _ = v.boolean()
		}},
		field{"limits", false, clientsLimit(&l.Clients)},
	)
	l.broken = len(v.doc.problems) > before
	r.logins = append(r.logins, l)
}

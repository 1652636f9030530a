package main

import (
	"maps"
	"slices"
	"strings"
)

// mainBackend is the backend of those who name none, where there are several.
const mainBackend = "main"

// home is a database that tenants live in.
type home struct {
	backend, database string
}

// checkTenants finds what is wrong with the tenants together.
func (r *configReader) checkTenants() {
	seen := make(map[string]bool)
	keys := make(map[home]map[string]string) // key -> tenant
	alone := make(map[home]tenantAt)         // tenants without a key
	for _, t := range r.tenants {
		if t.ID != "" && seen[t.ID] {
			t.id.problem("tenant %q is there twice", t.ID)
		}
		seen[t.ID] = true
		t.Backend = r.checkBackend(t.backend, t.Backend)
		if !t.hasKey && t.Database == "" {
			if !t.broken {
				t.at.problem("tenant %q needs the key \"key\", or \"database\" with a database of its own", t.ID)
			}
			continue
		}
		b, ok := r.cfg.Backends[t.Backend]
		if !ok {
			continue
		}
		at := home{t.Backend, t.Database}
		if at.database == "" {
			at.database = b.server.Database
		}
		if !t.hasKey {
			if other, ok := alone[at]; ok {
				t.at.problem("tenant %q has no key, and tenant %q has the same database", t.ID, other.ID)
			}
			alone[at] = t
			continue
		}
		if keys[at] == nil {
			keys[at] = make(map[string]string)
		}
		if other, ok := keys[at][t.Key]; ok && t.Key != "" {
			t.key.problem("key %q is that of tenant %q already, in the same database", t.Key, other)
			continue
		}
		keys[at][t.Key] = t.ID
	}
	for at, t := range alone {
		if len(keys[at]) > 0 {
			t.at.problem("tenant %q has no key, but its database has other tenants", t.ID)
		}
	}
}

// checkLogins finds what is wrong with the logins together.
func (r *configReader) checkLogins() {
	seen := make(map[string]bool)
	ids := make([]string, len(r.tenants))
	for i, t := range r.tenants {
		ids[i] = t.ID
	}
	for _, l := range r.logins {
		if l.User != "" && seen[l.User] {
			l.user.problem("login %q is there twice", l.User)
		}
		seen[l.User] = true
		if !l.broken && !l.hasPassword && r.cfg.TLS.Mode != TLSVerifyFull {
			l.at.problem("login %q needs the key \"password\", or tls mode verify-full to go by its certificate", l.User)
		}
		for i, id := range l.Tenants {
			if !slices.Contains(ids, id) {
				l.tenants[i].problem("%s", dangling("tenant", id, ids))
			}
		}
		if l.Operator {
			r.checkOperator(l)
			continue
		}
		if !l.broken && !l.hasTenants {
			l.at.problem("login %q needs the key \"tenant\", \"tenants\" or \"operator\"", l.User)
		}
		if l.Console {
			l.console.problem("login %q may not have the console; allowed: with operator: true", l.User)
		}
		if l.backend != l.at || l.url != l.at {
			l.at.problem("login %q has a backend or url of its own; allowed: with operator: true", l.User)
		}
	}
}

func (r *configReader) checkOperator(l loginAt) {
	if l.hasTenants {
		l.at.problem("login %q is an operator and has tenants; allowed: one of both", l.User)
	}
	if l.url != l.at {
		if l.backend != l.at {
			l.at.problem("login %q has a backend and a url; allowed: one of both", l.User)
		}
		return
	}
	l.Backend = r.checkBackend(l.backend, l.Backend)
}

// checkBackend returns the backend of that name, or the one meant by none.
func (r *configReader) checkBackend(v value, name string) string {
	names := slices.Sorted(maps.Keys(r.backends))
	_, ok := r.backends[name]
	switch {
	case ok:
	case name != "":
		v.problem("%s", dangling("backend", name, names))
	case len(names) == 1:
		return names[0]
	case slices.Contains(names, mainBackend):
		return mainBackend
	case len(names) > 1:
		v.problem("a backend must be named, for there are several and none is called %q; allowed: %s", mainBackend, strings.Join(names, ", "))
	}
	return name
}

// dangling says that a name refers to nothing.
func dangling(what, name string, existing []string) string {
	const shown = 20
	if len(existing) == 0 {
		return what + " " + name + " does not exist: there are none"
	}
	near, ok := nearest(name, existing)
	if len(existing) > shown {
		existing = append(slices.Clone(existing[:shown]), "…")
	}
	text := what + " " + name + " does not exist; "
	if ok {
		text += "did you mean " + near + "? "
	}
	return text + "allowed: " + strings.Join(existing, ", ")
}

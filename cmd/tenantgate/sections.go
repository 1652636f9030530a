package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5/pgconn"
	"go.yaml.in/yaml/v3"

	"tenantgate/auth"
	"tenantgate/proxy"
	"tenantgate/rewrite/catalog"
)

const (
	maxNameBytes   = 63 // as PostgreSQL's own names
	maxSocketBytes = 107 - len("/.s.PGSQL.65535")
)

// A configReader reads the sections, then checks what they say of each other.
type configReader struct {
	cfg Config

	backends map[string]value // where each was read, known even if it was wrong
	tenants  []tenantAt
	logins   []loginAt
}

// tenantAt and loginAt remember where things were said, for later problems.
type tenantAt struct {
	*Tenant
	at, id, backend, key value
	hasKey               bool
	broken               bool // problems were found: none is added for what is missing
}

type loginAt struct {
	*Login
	at, user, backend, url  value
	tenants                 []value // of Login.Tenants, each
	hasTenants, hasPassword bool
	broken                  bool // as a tenant's
}

// parseConfig reads and checks a file's content. The error is a *ConfigError.
func parseConfig(file string, content []byte, lookupEnv func(string) (string, bool)) (*Config, error) {
	d := &document{file: file, lookupEnv: lookupEnv}
	root, ok := d.parse(content)
	if !ok {
		return nil, d.err()
	}
	r := &configReader{backends: make(map[string]value), cfg: Config{
		File:     file,
		Listen:   []Address{{"tcp", "127.0.0.1:6432"}},
		Backends: make(map[string]Backend),
		Tenancy:  Tenancy{Enforce: proxy.RLS, Setting: "app.tenant_id", Column: "tenant_id"},
	}}
	root.mapping(
		field{"listen", false, r.listen},
		field{"admin", false, r.admin},
		field{"tls", false, r.tls},
		field{"backends", true, r.readBackends},
		field{"tenancy", false, r.tenancy},
		field{"tenants", false, func(v value) { v.list(func(v value) { r.tenant(v.as("a tenant")) }) }},
		field{"logins", true, r.readLogins},
		field{"registry", false, func(v value) {
			v.mapping(
				field{"backend", true, func(v value) { v.text() }},
				field{"schema", false, func(v value) { v.text() }},
			)
		}},
	)
	r.checkTenants()
	r.checkLogins()
	if err := d.err(); err != nil {
		return nil, err
	}
	for _, t := range r.tenants {
		r.cfg.Tenants = append(r.cfg.Tenants, *t.Tenant)
	}
	for _, l := range r.logins {
		r.cfg.Logins = append(r.cfg.Logins, *l.Login)
	}
	return &r.cfg, nil
}

func (r *configReader) listen(v value) {
	r.cfg.Listen = nil
	v.list(func(item value) {
		text, ok := item.text()
		if !ok {
			return
		}
		a, err := parseAddress(text)
		switch {
		case err != nil:
			item.problem("%q is %s", item.node.Value, err)
		case slices.Contains(r.cfg.Listen, a):
			item.problem("%q is there twice", item.node.Value)
		default:
			r.cfg.Listen = append(r.cfg.Listen, a)
		}
	})
	v.none("a list of host:port and absolute paths of unix socket directories")
}

// parseAddress reads an address to listen on. The error tells what the text is
// instead, and does not repeat it.
func parseAddress(text string) (Address, error) {
	if filepath.IsAbs(text) {
		if len(text) > maxSocketBytes {
			return Address{}, fmt.Errorf("too long for a unix socket; allowed: %d bytes", maxSocketBytes)
		}
		return Address{"unix", filepath.Clean(text)}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsFunc(host, func(r rune) bool { return unicode.IsSpace(r) || r == '/' }) {
		return Address{}, errors.New("no address; allowed: host:port, or the absolute path of a unix socket directory")
	}
	return Address{"tcp", text}, nil
}

func (r *configReader) admin(v value) {
	v.mapping(field{"listen", true, func(v value) {
		text, ok := v.text()
		if !ok {
			return
		}
		a, err := parseAddress(text)
		if err != nil || a.Network != "tcp" {
			v.problem("%q is no address; allowed: host:port", v.node.Value)
			return
		}
		r.cfg.Admin.Listen = a.Address
	}})
}

func (r *configReader) tls(v value) {
	t := &r.cfg.TLS
	t.Mode = TLSPrefer
	path := func(dst *string) func(value) {
		return func(v value) { *dst, _ = v.file() }
	}
	before := len(v.doc.problems)
	v.mapping(
		field{"mode", false, func(v value) {
			if mode, ok := choose(v, tlsModes...); ok {
				t.Mode = mode
			}
		}},
		field{"cert", false, path(&t.Cert)},
		field{"key", false, path(&t.Key)},
		field{"client_ca", false, path(&t.ClientCA)},
	)
	if len(v.doc.problems) > before || t.Mode == TLSDisable {
		return
	}
	if t.Cert == "" || t.Key == "" {
		v.problem("tls mode %s needs the keys \"cert\" and \"key\"", t.Mode)
	}
	if t.Mode == TLSVerifyFull && t.ClientCA == "" {
		v.problem("tls mode verify-full needs the key \"client_ca\"")
	}
	if t.Mode != TLSVerifyFull && t.ClientCA != "" {
		v.problem("client_ca has no effect in tls mode %s; allowed: in mode verify-full", t.Mode)
	}
}

func (r *configReader) readBackends(v value) {
	v.entries(func(name, val value) {
		r.backends[name.node.Value] = name
		if b, ok := readBackend(name.node.Value, val.as("backend %q", name.node.Value)); ok {
			r.cfg.Backends[b.Name] = b
		}
	})
	v.none("at least one backend")
}

func readBackend(name string, v value) (Backend, bool) {
	b := Backend{Name: name, Pool: defaultPool}
	v.mapping(
		field{"url", true, func(v value) { b.URL, b.server = readURL(v) }},
		field{"pool", false, func(v value) { readPool(v, &b.Pool) }},
	)
	return b, b.server != nil
}

// readURL reads a connection string. What is wrong with it is told without a
// word of it, for it holds a password.
func readURL(v value) (Secret, *pgconn.Config) {
	secret, ok := v.secret()
	if !ok {
		return "", nil
	}
	server, err := pgconn.ParseConfig(secret.Reveal())
	if err != nil {
		detail := ""
		var path *os.PathError
		if errors.As(err, &path) {
			detail = " (" + path.Error() + ")"
		}
		v.problem("%s is no connection string that can be used%s; allowed: postgres://user:password@host:port/database, or host=… user=… dbname=…, with libpq's parameters", v.key(), detail)
		return "", nil
	}
	if server.Database == "" {
		v.problem("%s names no database", v.key())
		return "", nil
	}
	return secret, server
}

func readPool(v value, p *Pool) {
	given := make(map[*int]value)
	count := func(dst *int, low int) func(value) {
		return func(v value) {
			if n, ok := v.integer(low); ok {
				*dst, given[dst] = n, v
			}
		}
	}
	v.mapping(
		field{"size", false, count(&p.Size, 1)},
		field{"per_tenant", false, count(&p.PerTenant, 1)},
		field{"min_idle", false, count(&p.MinIdle, 0)},
		field{"idle_timeout", false, setDuration(&p.IdleTimeout)},
		field{"max_lifetime", false, setDuration(&p.MaxLifetime)},
		field{"acquire_timeout", false, setDuration(&p.AcquireTimeout)},
	)
	for _, n := range []*int{&p.PerTenant, &p.MinIdle} {
		if v, ok := given[n]; ok && *n > p.Size {
			v.problem("%s is %d, more than size, which is %d", v.key(), *n, p.Size)
		}
		*n = min(*n, p.Size)
	}
}

func setDuration(dst *time.Duration) func(value) {
	return func(v value) {
		if d, ok := v.duration(); ok {
			*dst = d
		}
	}
}

var (
	settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+$`)
	tableWords  = []choice[catalog.Class]{
		{"shared", catalog.Shared},
		{"shared-rw", catalog.SharedReadWrite},
		{"denied", catalog.Denied},
		{"{column: name}", catalog.Tenanted}, // a mapping, which is read apart
	}
)

func (r *configReader) tenancy(v value) {
	t := &r.cfg.Tenancy
	flag := func(v value) { v.boolean() }
	v.mapping(
		field{"enforce", false, func(v value) {
			if e, ok := choose(v, enforcements()...); ok {
				t.Enforce = e
			}
		}},
		field{"setting", false, func(v value) {
			text, ok := v.text()
			if !ok {
				return
			}
			if !settingName.MatchString(text) || len(text) > maxNameBytes || strings.HasPrefix(strings.ToLower(text), "tenantgate.") {
				v.problem("%q is no name for the setting; allowed: prefix.name of letters, digits and _, with another prefix than tenantgate", v.node.Value)
				return
			}
			t.Setting = strings.ToLower(text)
		}},
		field{"column", false, func(v value) { readColumn(v, &t.Column) }},
		field{"tables", false, func(v value) { t.Tables = readTables(v) }},
		field{"unlisted", false, func(v value) {
			t.UnlistedShared, _ = choose(v, choice[bool]{"denied", false}, choice[bool]{"shared", true})
		}},
		field{"functions", false, func(v value) {
			v.mapping(
				field{"allow", false, func(v value) { t.AllowFunctions = readNames(v) }},
				field{"deny", false, func(v value) { t.DenyFunctions = readNames(v) }},
			)
			for _, name := range t.DenyFunctions {
				if slices.Contains(t.AllowFunctions, name) {
					v.problem("function %s is allowed and denied", name)
				}
			}
		}},
		field{"seal", false, flag},
		field{"temp_tables", false, flag},
		field{"explain", false, flag},
		field{"acknowledge", false, func(v value) { v.list(func(v value) { v.text() }) }},
		field{"observe", false, flag},
	)
}

func enforcements() []choice[proxy.Enforcement] {
	var all []choice[proxy.Enforcement]
	for _, e := range []proxy.Enforcement{proxy.RLS, proxy.Rewrite, proxy.Both} {
		all = append(all, choice[proxy.Enforcement]{e.String(), e})
	}
	return all
}

// readName reads [schema.]name as SQL has it.
func readName(v value) (catalog.Name, bool) {
	text, ok := v.text()
	if !ok {
		return catalog.Name{}, false
	}
	return parseName(v, text)
}

// parseName reads text that v gave.
func parseName(v value, text string) (catalog.Name, bool) {
	name, err := catalog.ParseName(text)
	if err == nil {
		return name, true
	}
	if text == v.node.Value {
		v.problem("%s", err)
	} else {
		v.problem("%q is no name", v.node.Value)
	}
	return catalog.Name{}, false
}

func readColumn(v value, dst *string) {
	name, ok := readName(v)
	if !ok {
		return
	}
	if name.Schema != "" {
		v.problem("%s is a column's name alone, without dots", v.key())
		return
	}
	*dst = name.Name
}

func readTables(v value) (rules []catalog.TableRule) {
	v.entries(func(key, val value) {
		name, ok := parseName(key, key.node.Value)
		if !ok {
			return
		}
		if slices.ContainsFunc(rules, func(other catalog.TableRule) bool { return other.Name == name }) {
			key.problem("table %s is there twice", name)
			return
		}
		rule := catalog.TableRule{Name: name, Class: catalog.Tenanted}
		if val.node.Kind == yaml.MappingNode {
			val.as("table %s", name).mapping(field{"column", true, func(v value) { readColumn(v, &rule.Column) }})
		} else if rule.Class, ok = choose(val.as("class of table %s", name), tableWords...); !ok {
			return
		}
		rules = append(rules, rule)
	})
	return rules
}

// readNames reads a list of functions, none twice.
func readNames(v value) (names []catalog.Name) {
	v.list(func(item value) {
		name, ok := readName(item)
		switch {
		case !ok:
		case slices.Contains(names, name):
			item.problem("function %s is there twice", name)
		default:
			names = append(names, name)
		}
	})
	return names
}

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
				field{"connections", false, func(v value) { v.integer(1) }},
				field{"statement_timeout", false, func(v value) { v.duration() }},
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
	l := loginAt{Login: &Login{}, at: v, user: v, backend: v, url: v}
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
		field{"console", false, func(v value) { v.boolean() }},
	)
	l.broken = len(v.doc.problems) > before
	r.logins = append(r.logins, l)
}

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/proxy"
)

const (
	maxNameBytes   = 63 // as PostgreSQL's own names
	maxSocketBytes = 107 - len("/.s.PGSQL.65535")
)

// A configReader reads the sections, then checks what they say of each other.
type configReader struct {
	cfg Config

	backends map[string]value // where each was read, known even if it was wrong
	seal     value            // tenancy.seal; without a node if it is not there
	sealKey  value            // likewise
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
	at, user, backend, url, console value
	tenants                         []value // of Login.Tenants, each
	hasTenants, hasPassword         bool
	broken                          bool // as a tenant's
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
		field{"limits", false, clientsLimit(&r.cfg.Clients)},
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
	r.checkSeal()
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
	v.mapping(
		field{"listen", true, func(v value) {
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
		}},
		field{"profile", false, func(v value) { r.cfg.Admin.Profile, _ = v.boolean() }},
	)
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

// clientsLimit reads limits of which clients are the only ones.
func clientsLimit(dst *int) func(value) {
	return func(v value) { v.mapping(field{"clients", false, setCount(dst)}) }
}

func setCount(dst *int) func(value) {
	return func(v value) {
		if n, ok := v.integer(1); ok {
			*dst = n
		}
	}
}

func setDuration(dst *time.Duration) func(value) {
	return func(v value) {
		if d, ok := v.duration(); ok {
			*dst = d
		}
	}
}

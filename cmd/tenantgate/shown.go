package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tenantgate/proxy"
	"tenantgate/rewrite/catalog"
)

// shown is the configuration as the console shows it, defaults included: by
// the file's keys, and without passwords, keys of tenants and of the seal.
func (c *Config) shown() []proxy.Setting {
	var all []proxy.Setting
	add := func(key string, value any) {
		all = append(all, proxy.Setting{Key: key, Value: fmt.Sprint(value)})
	}
	add("config", c.File)
	add("listen", words(c.Listen, Address.String))
	add("admin.listen", c.Admin.Listen)
	add("admin.profile", c.Admin.Profile)
	add("log-level", c.LogLevel)
	add("tls.mode", c.TLS.Mode)
	add("tls.cert", c.TLS.Cert)
	add("tls.client_ca", c.TLS.ClientCA)
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		b, prefix := c.Backends[name], "backends."+name+"."
		add(prefix+"host", b.server.Host)
		add(prefix+"port", b.server.Port)
		add(prefix+"database", b.server.Database)
		add(prefix+"user", b.server.User)
		add(prefix+"tls", b.server.TLSConfig != nil)
		add(prefix+"pool.size", b.Pool.Size)
		add(prefix+"pool.per_tenant", b.Pool.PerTenant)
		add(prefix+"pool.min_idle", b.Pool.MinIdle)
		add(prefix+"pool.idle_timeout", b.Pool.IdleTimeout)
		add(prefix+"pool.max_lifetime", b.Pool.MaxLifetime)
		add(prefix+"pool.acquire_timeout", b.Pool.AcquireTimeout)
	}
	t := c.Tenancy
	add("tenancy.enforce", t.Enforce)
	add("tenancy.setting", t.Setting)
	add("tenancy.column", t.Column)
	for _, rule := range t.Tables {
		class := rule.Class.String()
		if rule.Class == catalog.Tenanted {
			class = "{column: " + rule.Column + "}"
		}
		add("tenancy.tables."+rule.Name.String(), class)
	}
	add("tenancy.unlisted", map[bool]string{false: "denied", true: "shared"}[t.UnlistedShared])
	add("tenancy.functions.allow", words(t.AllowFunctions, catalog.Name.String))
	add("tenancy.functions.deny", words(t.DenyFunctions, catalog.Name.String))
	add("tenancy.seal", t.Seal)
	add("tenancy.temp_tables", t.TempTables)
	add("tenancy.explain", t.Explain)
	add("tenancy.observe", t.Observe)
	add("tenancy.acknowledge", strings.Join(t.Acknowledge, ", "))
	add("tenants", strconv.Itoa(len(c.Tenants)))
	for _, l := range c.Logins {
		add("logins."+l.User, l.describe())
	}
	return all
}

// describe tells what a login may do.
func (l Login) describe() string {
	if !l.Operator {
		return "tenants: " + strings.Join(l.Tenants, ", ")
	}
	what := "operator"
	switch {
	case l.URL != "":
		what += ", with a url of its own"
	case l.Backend != "":
		what += ", backend: " + l.Backend
	}
	if l.Console {
		what += ", console"
	}
	return what
}

func words[T any](all []T, word func(T) string) string {
	var list []string
	for _, one := range all {
		list = append(list, word(one))
	}
	return strings.Join(list, ", ")
}

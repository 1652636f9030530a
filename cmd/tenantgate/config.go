package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"tenantgate/auth"
	"tenantgate/pool"
	"tenantgate/proxy"
	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

// defaultConfigFile is read unless --config names another.
const defaultConfigFile = "tenantgate.yaml"

// A Config is one configuration file with the flags over it, checked.
type Config struct {
	File     string
	Listen   []Address
	Admin    Admin
	TLS      TLS
	Clients  int // of tenants, at once; 0 is no limit
	Backends map[string]Backend
	Tenancy  Tenancy
	Tenants  []Tenant
	Logins   []Login
	LogLevel zerolog.Level
}

// An Address is where clients connect: network "tcp" and host:port, or "unix"
// and the directory of the socket.
type Address struct {
	Network, Address string
}

// String is the address as the file has it.
func (a Address) String() string { return a.Address }

// Admin is what the HTTP side needs to know. Without an address there is none.
type Admin struct {
	Listen  string // host:port
	Profile bool   // profiles of the running process are served too
}

// TLS is how clients' connections are encrypted. Paths are complete.
type TLS struct {
	Mode      TLSMode
	Cert, Key string
	ClientCA  string // of TLSVerifyFull
}

// TLSMode says what clients may or must do.
type TLSMode uint8

// The modes, by the words of the configuration.
const (
	TLSDisable    TLSMode = iota // "disable": SSLRequest is answered N
	TLSPrefer                    // "prefer": the client chooses
	TLSRequire                   // "require": no client without TLS
	TLSVerifyFull                // "verify-full": a client certificate that bears the login's name
)

var tlsModes = []choice[TLSMode]{
	{"disable", TLSDisable}, {"prefer", TLSPrefer}, {"require", TLSRequire}, {"verify-full", TLSVerifyFull},
}

// String is the configuration's word.
func (m TLSMode) String() string {
	for _, c := range tlsModes {
		if c.value == m {
			return c.word
		}
	}
	return fmt.Sprintf("TLS mode %d", uint8(m))
}

// A Backend is a database server, reached as one role.
type Backend struct {
	Name string
	URL  Secret
	Pool Pool

	server  *pgconn.Config
	sealKey *catalog.SealKey // nil without a seal
}

// Server is where and as whom to connect. Each call returns a copy.
func (b Backend) Server() *pgconn.Config { return b.server.Copy() }

// A Pool bounds the server connections to one database of a backend.
type Pool struct {
	Size, PerTenant, MinIdle                 int
	IdleTimeout, MaxLifetime, AcquireTimeout time.Duration
}

var defaultPool = Pool{
	Size: 20, PerTenant: 10, MinIdle: 2,
	IdleTimeout: 5 * time.Minute, MaxLifetime: time.Hour, AcquireTimeout: 10 * time.Second,
}

// Tenancy is how tenants are kept apart.
type Tenancy struct {
	Enforce        proxy.Enforcement
	Setting        string // run-time parameter, lower case
	Column         string
	Tables         []catalog.TableRule
	UnlistedShared bool
	AllowFunctions []catalog.Name
	DenyFunctions  []catalog.Name
	Explain        bool             // plain EXPLAIN for tenants
	Observe        bool             // refusals are logged, and not enforced
	Seal           bool             // the setting holds a token, which policies verify
	SealKey        *catalog.SealKey // nil: each backend's password makes one
	Acknowledge    []string         // findings of the doctor that are accepted, by name
	TempTables     bool             // temporary tables for tenants
}

// A Tenant is an id, a key and a placement.
type Tenant struct {
	ID        string
	Key       string // empty: the database is its own, no rows are told apart there
	Backend   string
	Database  string // empty: the backend's
	Suspended bool
	Limits    auth.Limits
}

// A Login is a name that clients authenticate as.
type Login struct {
	User     string
	Password Secret // a verifier or plain text; empty: by certificate alone
	Tenants  []string
	Operator bool
	Backend  string // of an operator without URL
	URL      Secret // of an operator with a server role of its own
	Console  bool   // of an operator: the proxy's console, as database tenantgate
	Clients  int    // at once; 0 is no limit
}

// Auth returns what auth.New needs.
func (c *Config) Auth() auth.Config {
	cfg := auth.Config{RequireClientCert: c.TLS.Mode == TLSVerifyFull}
	for _, t := range c.Tenants {
		cfg.Tenants = append(cfg.Tenants, auth.Tenant(t))
	}
	for _, l := range c.Logins {
		cfg.Logins = append(cfg.Logins, auth.Login{
			User: l.User, Password: l.Password.Reveal(), Tenants: l.Tenants,
			Operator: l.Operator, Backend: l.Backend, URL: l.URL.Reveal(), Console: l.Console, Clients: l.Clients,
		})
	}
	return cfg
}

// Catalog returns what catalog.Load needs.
func (c *Config) Catalog() catalog.Config {
	return catalog.Config{
		Setting:        c.Tenancy.Setting,
		Column:         c.Tenancy.Column,
		Tables:         c.Tenancy.Tables,
		UnlistedShared: c.Tenancy.UnlistedShared,
		AllowFunctions: c.Tenancy.AllowFunctions,
		DenyFunctions:  c.Tenancy.DenyFunctions,
	}
}

// Rewrite returns what rewrite.New needs.
func (c *Config) Rewrite() rewrite.Config {
	return rewrite.Config{
		Setting:            c.Tenancy.Setting,
		Confine:            c.Tenancy.Enforce != proxy.RLS,
		RequireRowSecurity: c.Tenancy.Enforce != proxy.Rewrite,
		Explain:            c.Tenancy.Explain,
		TempTables:         c.Tenancy.TempTables,
	}
}

// Pools returns what the proxy needs to know of each backend.
func (c *Config) Pools() map[string]proxy.BackendConfig {
	backends := make(map[string]proxy.BackendConfig, len(c.Backends))
	for name, b := range c.Backends {
		backends[name] = proxy.BackendConfig{SealKey: b.sealKey, Pool: pool.Config{
			Server:         b.Server(),
			Size:           b.Pool.Size,
			PerGroup:       b.Pool.PerTenant,
			MinIdle:        b.Pool.MinIdle,
			IdleTimeout:    b.Pool.IdleTimeout,
			MaxLifetime:    b.Pool.MaxLifetime,
			AcquireTimeout: b.Pool.AcquireTimeout,
		}}
	}
	return backends
}

// Login returns a login by its name.
func (c *Config) Login(user string) (Login, bool) {
	for _, l := range c.Logins {
		if l.User == user {
			return l, true
		}
	}
	return Login{}, false
}

// Tenant returns a tenant by its id.
func (c *Config) Tenant(id string) (Tenant, bool) {
	for _, t := range c.Tenants {
		if t.ID == id {
			return t, true
		}
	}
	return Tenant{}, false
}

// Home is the server configuration of the database where a tenant lives.
func (c *Config) Home(t Tenant) *pgconn.Config {
	server := c.Backends[t.Backend].Server()
	if t.Database != "" {
		server.Database = t.Database
	}
	return server
}

// configFlags are the flags that every command with a configuration has.
type configFlags struct {
	file     string
	listen   []string
	logLevel string
}

// addConfigFlag adds --config.
func addConfigFlag(flags *pflag.FlagSet) *configFlags {
	f := &configFlags{}
	flags.StringVarP(&f.file, "config", "c", defaultConfigFile, "configuration file")
	return f
}

// addConfigFlags adds all flags that go over the file.
func addConfigFlags(flags *pflag.FlagSet) *configFlags {
	f := addConfigFlag(flags)
	flags.StringArrayVar(&f.listen, "listen", nil, "address instead of the file's: host:port or the absolute path of a\nunix socket directory; may be repeated")
	flags.StringVar(&f.logLevel, "log-level", "info", "log this and what is worse: "+strings.Join(logLevels, ", "))
	return f
}

var logLevels = []string{"trace", "debug", "info", "warn", "error"}

// load reads the file and applies the flags. Each call reads it anew. The
// error is a *ConfigError.
func (f *configFlags) load(lookupEnv func(string) (string, bool)) (*Config, error) {
	cfg, err := readConfig(f.file, lookupEnv)
	if err != nil {
		return nil, err
	}
	flagError := func(name, text string) error {
		return &ConfigError{File: "--" + name, Problems: []Problem{{Text: text}}}
	}
	if len(f.listen) > 0 {
		cfg.Listen = nil
	}
	for _, text := range f.listen {
		a, err := parseAddress(text)
		if err != nil {
			return nil, flagError("listen", fmt.Sprintf("%q is %s", text, err))
		}
		cfg.Listen = append(cfg.Listen, a)
	}
	cfg.LogLevel = zerolog.InfoLevel
	if f.logLevel != "" {
		var level choice[zerolog.Level]
		for _, word := range logLevels {
			if word == f.logLevel {
				level.word = word
				level.value, err = zerolog.ParseLevel(word)
			}
		}
		if level.word == "" || err != nil {
			return nil, flagError("log-level", unknown("level", f.logLevel, logLevels))
		}
		cfg.LogLevel = level.value
	}
	return cfg, nil
}

// readConfig reads and checks a file. The error is a *ConfigError.
func readConfig(file string, lookupEnv func(string) (string, bool)) (*Config, error) {
	content, err := os.ReadFile(file) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, &ConfigError{File: file, Problems: []Problem{{Text: err.Error()}}}
	}
	return parseConfig(file, content, lookupEnv)
}

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/proxy"
)

func TestConfigurationIsShownWithoutSecrets(t *testing.T) {
	cfg, err := parseConfig("/etc/tenantgate/t.yaml", []byte(fullConfig), noEnv)
	require.NoError(t, err)
	shown := cfg.shown()
	for _, want := range []proxy.Setting{
		{Key: "config", Value: "/etc/tenantgate/t.yaml"},
		{Key: "listen", Value: "127.0.0.1:6432, [::1]:6432, /run/tenantgate"},
		{Key: "tls.mode", Value: "require"},
		{Key: "backends.main.pool.acquire_timeout", Value: "1.5s"},
		{Key: "logins.bi", Value: "tenants: acme, globex, 7"},
		{Key: "logins.migrator", Value: "operator, with a url of its own"},
	} {
		require.Contains(t, shown, want)
	}
	seen := make(map[string]bool)
	for _, s := range shown {
		require.NotContains(t, s.Value, "hush")
		require.NotContains(t, s.Value, "SCRAM")
		require.NotContains(t, s.Value, "postgres://")
		require.False(t, seen[s.Key], "%s is there twice", s.Key)
		seen[s.Key] = true
	}
}

func TestConsoleIsForOperators(t *testing.T) {
	const text = "backends: {only: {url: \"postgres://app@localhost/app\"}}\ntenants: [{id: acme, key: \"1\"}]\nlogins: "
	cfg, err := parseText(t, text+"[{user: ops, password: p, operator: true, console: true}]")
	require.NoError(t, err)
	require.True(t, cfg.Auth().Logins[0].Console)
	_, err = parseText(t, text+"[{user: app, password: p, tenant: acme, console: true}]")
	require.ErrorContains(t, err, `login "app" may not have the console; allowed: with operator: true`)
}

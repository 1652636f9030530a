package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

// sealStage is bootstrapStage with a seal. keyFile is where the configuration
// reads the key from; "" derives it from the password.
func sealStage(t *testing.T, role, keyFile string) (database, config string) {
	t.Helper()
	database, config = bootstrapStage(t, role)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	seal := "tenancy: {seal: true, "
	if keyFile != "" {
		seal += fmt.Sprintf("seal_key: %q, ", "@"+keyFile)
	}
	require.NoError(t, os.WriteFile(config, []byte(strings.Replace(string(text), "tenancy: {", seal, 1)), 0o600))
	return database, config
}

func TestBootstrapSealsADatabaseThatWasPreparedWithout(t *testing.T) {
	database, plain := bootstrapStage(t, "resealed")
	url := pgtest.Server(t).SuperuserURL(database)
	bootstrap := func(config string) string {
		status, stdout, stderr := runCommand(t, "bootstrap", "--config", config, "--url", url, "--apply")
		require.Equal(t, exitOK, status, stderr)
		return stdout
	}
	require.NotEmpty(t, bootstrap(plain))

	keyFile := filepath.Join(t.TempDir(), "seal")
	require.NoError(t, os.WriteFile(keyFile, []byte(strings.Repeat("5a", 32)+"\n"), 0o600))
	text, err := os.ReadFile(plain)
	require.NoError(t, err)
	sealed := filepath.Join(t.TempDir(), "sealed.yaml")
	require.NoError(t, os.WriteFile(sealed, []byte(strings.Replace(string(text), "tenancy: {", fmt.Sprintf("tenancy: {seal: true, seal_key: %q, ", "@"+keyFile), 1)), 0o600))
	status, _, _ := runCommand(t, "doctor", "--config", sealed)
	require.Equal(t, exitFailure, status, "the policies do not verify anything yet")
	require.NotEmpty(t, bootstrap(sealed))
	require.Empty(t, bootstrap(sealed), "nothing is missing the second time")
	status, stdout, _ := runCommand(t, "doctor", "--config", sealed)
	require.Equal(t, exitOK, status, stdout)

	require.NoError(t, os.WriteFile(keyFile, []byte(strings.Repeat("a5", 32)), 0o600))
	status, stdout, _ = runCommand(t, "doctor", "--config", sealed)
	require.Equal(t, exitFailure, status)
	require.Contains(t, stdout, "error seal-key:tenantgate.tenant()")
	require.Contains(t, bootstrap(sealed), "the key that the configuration has")
	status, _, _ = runCommand(t, "doctor", "--config", sealed)
	require.Equal(t, exitOK, status)
	status, stdout, _ = runCommand(t, "doctor", "--config", plain)
	require.Equal(t, exitFailure, status)
	require.Contains(t, stdout, "error policy-sealed:public.orders.tenantgate")
}

func TestSealNeedsNoKeyWhereTheBackendHasAPassword(t *testing.T) {
	database, config := sealStage(t, "derived", "")
	url := pgtest.Server(t).SuperuserURL(database)
	status, script, stderr := runCommand(t, "bootstrap", "--config", config, "--url", url)
	require.Equal(t, exitOK, status, stderr)
	require.NotContains(t, script, "its secret")
	for range 2 {
		status, _, stderr = runCommand(t, "bootstrap", "--config", config, "--url", url, "--apply")
		require.Equal(t, exitOK, status, stderr)
	}
	require.Contains(t, stderr, "nothing is missing")
	status, stdout, _ := runCommand(t, "doctor", "--config", config)
	require.Equal(t, exitOK, status, stdout)
}

func TestProxiesAgreeOnASecretByKeyOrPassword(t *testing.T) {
	secrets := func(tenancy string) map[string]*rewrite.Secret {
		cfg, err := parseText(t, `
backends: {a: {url: "postgres://app:one@localhost/a"}, b: {url: "postgres://app:two@localhost/b"}, open: {url: "postgres://app@localhost/c"}}
tenancy: {enforce: rewrite`+tenancy+`}
logins: [{user: ops, password: p, operator: true, backend: a}]
`)
		require.NoError(t, err)
		found := make(map[string]*rewrite.Secret)
		for name, b := range cfg.Backends {
			found[name], err = b.secret(cfg.Tenancy.SealKey)
			require.NoError(t, err)
		}
		return found
	}
	byPassword := secrets("")
	require.Equal(t, byPassword, secrets(""))
	require.NotEqual(t, byPassword["a"], byPassword["b"])
	require.Nil(t, byPassword["open"])
	byKey := secrets(`, seal_key: "` + strings.Repeat("01", 32) + `"`)
	require.Equal(t, byKey["a"], byKey["open"])
	require.NotEqual(t, byKey["a"], byPassword["a"])
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", byKey["a"], *byKey["a"], *byKey["a"]), "0x")
}

func TestEveryBackendHasItsKey(t *testing.T) {
	const text = `
backends: {a: {url: "postgres://app:one@localhost/a"}, b: {url: "postgres://app:two@localhost/b"}}
tenancy: {seal: true%s}
logins: [{user: ops, password: p, operator: true, backend: a}]
`
	cfg, err := parseText(t, fmt.Sprintf(text, ""))
	require.NoError(t, err)
	pools := cfg.Pools()
	require.NotEqual(t, *pools["a"].SealKey, *pools["b"].SealKey)
	again, err := parseText(t, fmt.Sprintf(text, ""))
	require.NoError(t, err)
	require.Equal(t, *pools["a"].SealKey, *again.Pools()["a"].SealKey)
	_, err = parseText(t, fmt.Sprintf(text, ", seal_key: "+strings.Repeat("01", 32)))
	require.Error(t, err, "a number has lost its digits")
	cfg, err = parseText(t, fmt.Sprintf(text, `, seal_key: "`+strings.Repeat("01", 32)+`"`))
	require.NoError(t, err)
	for _, name := range []string{"a", "b"} {
		require.Equal(t, catalog.SealKey([]byte(strings.Repeat("\x01", 32))), *cfg.Pools()[name].SealKey)
	}
	require.NotContains(t, fmt.Sprintf("%v %+v", cfg.Tenancy, *cfg.Tenancy.SealKey), "1 1")
}

package sqlgen

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAStatementIsMadeAgainFromItsSeedAndNumber(t *testing.T) {
	kinds := make(map[string]int)
	for n := range uint64(2000) {
		o := Options{Tenant: 1, Params: n%2 == 0}
		s, again := Generate(5, n, o), Generate(5, n, o)
		sql, args := s.SQL()
		sqlAgain, argsAgain := again.SQL()
		require.Equal(t, sql, sqlAgain)
		require.Equal(t, args, argsAgain)
		require.NotContains(t, sql, "\x01")
		require.Equal(t, o.Params && len(args) > 0, strings.Contains(sql, "$1"), sql)
		kinds[s.Kind]++
	}
	for _, kind := range []string{"select", "lock", "copy", "insert", "update", "delete", "merge", "error"} {
		require.NotZero(t, kinds[kind], kind)
	}
}

func TestEverySimplerStatementIsShorter(t *testing.T) {
	for n := range uint64(200) {
		s := Generate(5, n, Options{Tenant: 1, Params: true})
		for simpler := range s.Simpler() {
			require.Less(t, len(simpler.text), len(s.text))
			_, args := simpler.SQL()
			require.LessOrEqual(t, len(args), len(s.args))
		}
	}
}

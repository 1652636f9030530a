package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite"
)

func TestEveryDefinitionProblemHasItsCode(t *testing.T) {
	for p := rewrite.UndefinedColumn; p <= rewrite.UnsupportedParameter; p++ {
		e, internal := Translate(&rewrite.DefinitionError{Problem: p, Message: "m", Detail: "d", Hint: "h"})
		require.False(t, internal)
		require.Regexp(t, "^42|^2202[35]$|^0A000$", e.Code)
		require.Equal(t, []string{"m", "d", "h"}, []string{e.Message, e.Detail, e.Hint})
	}
	_, internal := Translate(&rewrite.DefinitionError{})
	require.True(t, internal)
}

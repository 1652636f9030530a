package rewrite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPreparedStatementIsConfinedAsByParse(t *testing.T) {
	r := newRewriter(t, Config{Confine: true})
	result, err := r.Rewrite(Request{SQL: "prepare \"as\" (int, tenant_key, pg_catalog.text[]) /* é */ as SELECT id FROM orders WHERE id = $1 -- end"}, shop())
	require.NoError(t, err)
	require.Len(t, result.Statements, 1)
	s := result.Statements[0]
	require.Equal(t, KindPrepare, s.Kind)
	require.Equal(t, "as", s.Name)
	require.Equal(t, []uint32{23, tenantKeyOID, 1009}, s.Prepare.ParamOIDs)
	inner := s.Prepare.Statement
	require.Equal(t, 3, inner.Params)
	require.Equal(t, []Key{{OID: 23}}, inner.Keys)
	require.Regexp(t, `^ +SELECT id FROM public.orders WHERE orders.tenant_id = \$4 AND \(id = \$1\)$`, inner.Text.SQL(""))

	_, err = r.Rewrite(Request{SQL: "PREPARE é AS SELECT * FROM secrets"}, shop())
	var forbidden *ForbiddenError
	require.ErrorAs(t, err, &forbidden)
	require.Equal(t, 28, forbidden.Position)
	require.Equal(t, ruleRelationDenied, forbidden.Rule)
}

func TestArgumentOfExecuteIsTakenOnlyWhereNothingIsConverted(t *testing.T) {
	r := newRewriter(t, Config{})
	for _, c := range []struct {
		sql    string
		oid    uint32
		text   string
		null   bool
		accept bool
	}{
		{"'x'", 23, "x", false, true},
		{"NULL", 23, "", true, true},
		{"42", 23, "42", false, true},
		{"-42", 20, "-42", false, true},
		{"42", 25, "42", false, true},
		{"42", 16, "", false, false},
		{"42", 1082, "", false, false},
		{"4.2", 1700, "4.2", false, true},
		{"4.2", 23, "", false, false},
		{"4.2", 25, "", false, false},
		{"99999999999", 701, "99999999999", false, true},
		{"true", 16, "true", false, true},
		{"true", 25, "", false, false},
		{"'1'::int", 23, "1", false, true},
		{"'1'::int", 20, "", false, false},
		{"date '2024-01-01'", 1082, "2024-01-01", false, true},
		{"1::bigint", 20, "1", false, true},
		{"1::text", 25, "", false, false},
	} {
		result, err := r.Rewrite(Request{SQL: "EXECUTE p (" + c.sql + ")"}, shop())
		require.NoError(t, err, c.sql)
		s := result.Statements[0]
		require.Equal(t, KindExecute, s.Kind)
		text, null, ok := s.Arguments[0].For(c.oid)
		require.Equal(t, c.accept, ok, c)
		if ok {
			require.Equal(t, c.text, text, c)
			require.Equal(t, c.null, null, c)
		}
	}
}

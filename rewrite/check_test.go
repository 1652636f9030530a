package rewrite

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

func rewriteOne(t *testing.T, req Request) *Statement {
	t.Helper()
	result, err := newRewriter(t, Config{Confine: true}).Rewrite(req, shop())
	require.NoError(t, err)
	require.Len(t, result.Statements, 1)
	return &result.Statements[0]
}

func TestConstantsInTheTenantColumnEqualTheKey(t *testing.T) {
	for _, c := range []struct {
		sql, key string
		ok       bool
	}{
		{"INSERT INTO orders (id, tenant_id) VALUES (1, 1)", "1", true},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, 1)", "2", false},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, 1), (2, 2)", "1", false},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, '1')", " 1", true},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, '+1 ')", "1", true},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, '0x1')", "1", false},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, -1)", "-1", true},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, - 1)", "1", false},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, NULL)", "1", false},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, NULL::int)", "", false},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, 'a')", "a", false},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, 99999999999)", "99999999999", true},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, 18446744073709551617)", "1", false},
		{"INSERT INTO notes (id, tenant_id) VALUES (1, '1')", "1", true},
		{"INSERT INTO notes (id, tenant_id) VALUES (1, 1)", "1", true},
		{"INSERT INTO notes (id, tenant_id) VALUES (1, '01')", "1", false},
		{"INSERT INTO notes (id, tenant_id) VALUES (1, 'a ')", "a", false},
		{"INSERT INTO notes (id, tenant_id) VALUES (1, 'A')", "a", false},
		{`INSERT INTO notes (id, tenant_id) VALUES (1, E'\x61')`, "a", true},
		{`INSERT INTO notes (id, tenant_id) VALUES (1, U&'\0061')`, "a", true},
		{"INSERT INTO visits (id, tenant_id) VALUES (1, 1)", "1", true},
		{"INSERT INTO visits (id, tenant_id) VALUES (1, 2)", "1", false},
		{"INSERT INTO devices (id, tenant_id) VALUES (1, '6ECD8C99-4036-403d-bf84-cf8400f67836')", "{6ecd8c994036403dbf84cf8400f67836}", true},
		{"INSERT INTO devices (id, tenant_id) VALUES (1, '6ecd8c99-4036-403d-bf84-cf8400f67837')", "6ecd8c99-4036-403d-bf84-cf8400f67836", false},
		{"INSERT INTO devices (id, tenant_id) VALUES (1, '6ecd')", "6ecd", false},
		{"UPDATE orders SET tenant_id = 2", "1", false},
		{"UPDATE orders SET (state, tenant_id) = ('x', 2)", "1", false},
		{"UPDATE orders SET (state, tenant_id) = ('x', 1)", "1", true},
		{"INSERT INTO orders (id) VALUES (1) ON CONFLICT (tenant_id, id) DO UPDATE SET tenant_id = 2", "1", false},
		{"WITH a AS (INSERT INTO orders (id, tenant_id) VALUES (1, 2)) SELECT 1", "1", false},
		{"INSERT INTO archive (id, tenant_id) SELECT 1, 1 UNION SELECT 2, 2", "1", false},
		{"INSERT INTO orders VALUES (1, 2)", "1", false},
		{"SELECT id FROM orders", "1", true},
	} {
		err := rewriteOne(t, Request{SQL: c.sql}).CheckKey(c.key)
		if c.ok {
			require.NoError(t, err, "%s as %q", c.sql, c.key)
			continue
		}
		var wrong *WrongTenantError
		require.ErrorAs(t, err, &wrong, "%s as %q", c.sql, c.key)
	}
}

func TestParametersInTheTenantColumnEqualTheKey(t *testing.T) {
	const (
		orders  = "INSERT INTO orders (id, tenant_id) VALUES (1, $1)"
		notes   = "INSERT INTO notes (id, tenant_id) VALUES (1, $1)"
		devices = "INSERT INTO devices (id, tenant_id) VALUES (1, $1)"
		visits  = "INSERT INTO visits (id, tenant_id) VALUES (1, $1)"
		id      = "6ecd8c99-4036-403d-bf84-cf8400f67836"
	)
	bytes := "\x6e\xcd\x8c\x99\x40\x36\x40\x3d\xbf\x84\xcf\x84\x00\xf6\x78\x36"
	for _, c := range []struct {
		sql, key string
		declared []uint32
		value    string
		binary   bool
		ok       bool
	}{
		{orders, "1", nil, "1", false, true},
		{orders, "1", nil, "2", false, false},
		{orders, "1", nil, "", false, false},
		{orders, "258", nil, "\x01\x02", true, true},
		{orders, "258", nil, "\x00\x00\x01\x02", true, true},
		{orders, "258", nil, "\x00\x00\x00\x00\x00\x00\x01\x02", true, true},
		{orders, "-2", nil, "\xff\xff\xff\xfe", true, true},
		{orders, "258", nil, "\x01\x03", true, false},
		{orders, "258", nil, "\x00\x01\x02", true, false},
		{orders, "258", nil, "258", true, false},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, $1::int)", "1234", []uint32{oidText}, "1234", true, true},
		{"INSERT INTO orders (id, tenant_id) VALUES (1, $1::int)", "825373492", []uint32{oidText}, "1234", true, false},
		{notes, "a", nil, "a", false, true},
		{notes, "a", nil, "a", true, true},
		{notes, "a", []uint32{oidVarchar}, "a", true, true},
		{notes, "a", nil, "A", false, false},
		{devices, id, nil, id, false, true},
		{devices, id, nil, bytes, true, true},
		{devices, id, nil, bytes[:15] + "\x37", true, false},
		{devices, id, nil, bytes[:15], true, false},
		{"UPDATE devices SET tenant_id = $1::uuid", id, []uint32{oidVarchar}, id, false, true},
		{visits, "1", nil, "1", false, true},
		{visits, "1", nil, "\x00\x00\x00\x01", true, false}, // a type that is not known well
	} {
		s := rewriteOne(t, Request{SQL: c.sql, Extended: true, ParamOIDs: c.declared})
		require.NoError(t, s.CheckKey(c.key))
		err := s.CheckBind(c.key, func(i int) ([]byte, bool, bool) {
			require.Zero(t, i)
			return []byte(c.value), c.binary, false
		})
		if c.ok {
			require.NoError(t, err, "%s, %q as %q", c.sql, c.value, c.key)
			continue
		}
		var wrong *WrongTenantError
		require.ErrorAs(t, err, &wrong, "%s, %q as %q", c.sql, c.value, c.key)
	}
	err := rewriteOne(t, Request{SQL: orders, Extended: true}).CheckBind("1", func(int) ([]byte, bool, bool) { return nil, false, true })
	require.EqualError(t, err, `new row violates row-level security policy for table "orders"`)
}

// A parameter of a type that the check would read otherwise than the server
// does not reach the tenant column.
func TestParametersOfOtherUsesAreReplacedByTheKey(t *testing.T) {
	s := rewriteOne(t, Request{
		SQL:      "WITH a AS (SELECT * FROM metrics WHERE value = $1) UPDATE notes SET tenant_id = $1 WHERE id = 1",
		Extended: true,
	})
	require.Contains(t, s.Text.SQL("1"), "SET tenant_id = $3 ")
	s = rewriteOne(t, Request{
		SQL:      "WITH a AS (INSERT INTO orders (id, tenant_id) VALUES (1, $1)) INSERT INTO notes (id, tenant_id) VALUES (1, $1)",
		Extended: true,
	})
	require.Equal(t, "WITH a AS (INSERT INTO public.orders (id, tenant_id) VALUES (1, $2)) INSERT INTO public.notes (id, tenant_id) VALUES (1, $3)",
		s.Text.SQL("1"))
	require.Len(t, s.Checks, 2)
}

func TestTypesThatCutKeysAreNoTenantColumns(t *testing.T) {
	for _, typ := range []catalog.Type{{OID: oidChar, Schema: "pg_catalog", Name: "char"}, {OID: oidName, Schema: "pg_catalog", Name: "name"}} {
		cat := catalog.New(catalog.Data{SearchPath: []string{"public"}, Relations: []catalog.Relation{{
			Schema: "public", Name: "t", Kind: 'r', Class: catalog.Tenanted, TenantColumn: "k",
			Columns: []catalog.Column{{Name: "k", Type: typ}},
		}}})
		for _, sql := range []string{"SELECT 1 FROM t", "INSERT INTO t VALUES (DEFAULT)", "DELETE FROM t"} {
			_, err := newRewriter(t, Config{Confine: true}).Rewrite(Request{SQL: sql}, cat)
			var unsupported *UnsupportedError
			require.ErrorAs(t, err, &unsupported)
			require.Equal(t, ruleTenantType, unsupported.Rule)
		}
	}
}

package proxy

import (
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// plainKeys are types whose values hold no comma and no bracket: where such a
// key ends in a message is certain.
var plainKeys = []string{"int2", "int4", "int8", "uuid"}

// ownKey reports whether the DETAIL of a unique violation names a key of the
// tenant's own: it begins with the tenant column, and with the tenant's key. Of
// other violations the row may be another's that a foreign key led to, or that
// an exclusion constraint found.
func (s *session) ownKey(msg *pgproto3.ErrorResponse) bool {
	if msg.Code != "23505" || s.tenant == nil {
		return false
	}
	table, known := s.backend.catalog.Snapshot().Lookup(msg.SchemaName, msg.TableName)
	if !known || table.TenantColumn == "" {
		return false
	}
	for _, c := range table.Columns {
		if c.Name == table.TenantColumn && (c.Type.Schema != "pg_catalog" || !slices.Contains(plainKeys, c.Type.Name)) {
			return false
		}
	}
	columns, values, ok := strings.Cut(msg.Detail, ")=(")
	if !ok {
		return false
	}
	column, ok := cutFirst(columns, "Key (")
	if !ok || column != table.TenantColumn && column != quoteName(table.TenantColumn) {
		return false
	}
	value, ok := cutFirst(strings.TrimSuffix(values, ") already exists."), "")
	return ok && value == s.tenant.Key
}

// cutFirst is the first of a list, behind a prefix.
func cutFirst(list, prefix string) (first string, ok bool) {
	list, ok = strings.CutPrefix(list, prefix)
	first, _, _ = strings.Cut(list, ", ")
	return first, ok
}

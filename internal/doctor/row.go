package doctor

import (
	"encoding/json"
	"fmt"
	"strings"

	"tenantgate/rewrite/catalog"
)

// A row is one of a check's query: a JSON array.
type row string

// scan reads the row into pointers; null leaves a value as it is.
func (r row) scan(fields ...any) error {
	want := len(fields)
	if err := json.Unmarshal([]byte(r), &fields); err != nil {
		return fmt.Errorf("read row: %w", err)
	}
	if len(fields) != want {
		return fmt.Errorf("read row: %d values where %d were asked for", len(fields), want)
	}
	return nil
}

// plain is a query without arguments.
func plain(sql string) func(*patient) (string, []string) {
	return func(*patient) (string, []string) { return sql, nil }
}

// quote writes an identifier where it has to be in double quotes so.
func quote(name string) string { return catalog.Name{Name: name}.String() }

// qualified is a relation's name as SQL writes it.
func qualified(r *catalog.Relation) string {
	return catalog.Name{Schema: r.Schema, Name: r.Name}.String()
}

// columns writes a list of columns.
func columns(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}

// fromRole takes a privilege from the role and from anybody.
func (p *patient) fromRole(privileges, on string) string {
	return "REVOKE " + privileges + " ON " + on + " FROM PUBLIC, " + p.role
}

package rewrite

import (
	"slices"
	"strconv"
	"strings"

	"tenantgate/rewrite/catalog"
)

// A CopyFormat is the format of a COPY stream.
type CopyFormat uint8

// The formats.
const (
	CopyText CopyFormat = iota
	CopyCSV
	CopyBinary
)

// A CopyHeader says whether a stream begins with a line of column names.
type CopyHeader uint8

// The settings of HEADER.
const (
	HeaderNone CopyHeader = iota
	HeaderSkip
	HeaderMatch // the names must be those of the columns
)

// A CopyIn says how to read the rows of COPY FROM STDIN, and what to do with
// them: each becomes the parameters of an INSERT, which is confined like any
// other. So it works on tables with policies too, where COPY itself does not.
type CopyIn struct {
	Format                   CopyFormat
	Delimiter, Quote, Escape byte
	Null                     string
	Header                   CopyHeader
	EndMarker                bool         // \. on a line of its own ends CSV, too, and text within a line: up to PostgreSQL 17
	Columns                  []CopyColumn // of the stream
	KeyColumn                int          // which of them has to be the tenant's key; -1 if none has
	schema, table            string
	key                      *CopyColumn // the tenant column, if it is not among them and the proxy writes it

	// Load is a COPY that the rows can go into as they are, for a table without
	// policies; nil where there is none.
	Load *CopyLoad
}

// A CopyColumn is one column of a COPY stream.
type CopyColumn struct {
	Name                string
	Type, Array         uint32 // OIDs, as catalog.Column has them
	place               int    // among the table's columns
	forceNull, forceNot bool
}

// ForceNull reports whether column i is NULL for the null string in quotes, too.
func (in *CopyIn) ForceNull(i int) bool { return i < len(in.Columns) && in.Columns[i].forceNull }

// ForceNotNull reports whether column i is never NULL.
func (in *CopyIn) ForceNotNull(i int) bool { return i < len(in.Columns) && in.Columns[i].forceNot }

// A CopyLoad is COPY FROM STDIN of a table by the proxy. It is not confined: what
// Insert says of a row has to hold.
type CopyLoad struct {
	// Key tells that the tenant's key is a column besides those of the stream, the
	// last one.
	Key bool

	// Divisible tells that nothing would see it if there were two for the rows.
	Divisible bool

	// Types are those of the columns, as the catalog has them.
	Types []uint32

	table   string
	columns string
}

// setLoad makes Load, if it can be.
func (in *CopyIn) setLoad(rel *catalog.Relation) {
	if rel.Kind != 'r' && rel.Kind != 'p' || rel.RowSecurity || len(in.Columns) == 0 {
		return
	}
	l := &CopyLoad{Key: rel.Class == catalog.Tenanted, Divisible: rel.Divisible, table: quoteName(in.schema, in.table)}
	var names []string
	for _, c := range in.Columns {
		names = append(names, quoteIdent(c.Name))
		l.Types = append(l.Types, c.Type)
		l.Key = l.Key && c.Name != rel.TenantColumn
	}
	if l.Key {
		names = append(names, quoteIdent(rel.TenantColumn))
		l.Types = append(l.Types, rel.Columns[columnIndex(rel, rel.TenantColumn)].Type.OID)
	}
	l.columns = strings.Join(names, ", ")
	in.Load = l
}

// Copy is the statement, for rows in text or binary format.
func (l *CopyLoad) Copy(format CopyFormat) string {
	sql := "COPY " + l.table + " (" + l.columns + ") FROM STDIN"
	if format == CopyBinary {
		sql += " (FORMAT binary)"
	}
	return sql
}

// Select has the same columns: its description tells their types, and from then on
// nobody changes them up to the end of the transaction.
func (l *CopyLoad) Select() string { return "SELECT " + l.columns + " FROM " + l.table }

// setKey has the rows get the key from the proxy, where the tenant column's
// default is the same: the server would compute it for each row.
func (in *CopyIn) setKey(rel *catalog.Relation) {
	i := columnIndex(rel, rel.TenantColumn)
	if i < 0 || !rel.Columns[i].KeyDefault || rel.Columns[i].Type.OID >= firstUserOID {
		return
	}
	in.key = &CopyColumn{Name: rel.TenantColumn, Type: rel.Columns[i].Type.OID, place: i}
}

// Insert is the INSERT of that many rows, whose values are parameters in the
// order of the stream. It has to be confined before it is sent.
func (in *CopyIn) Insert(rows int) string {
	var names []string
	for _, c := range in.Columns {
		names = append(names, c.Name)
	}
	var sql strings.Builder
	sql.WriteString(in.into(names) + "VALUES ")
	n := 0
	for row := range rows {
		if row > 0 {
			sql.WriteString(", ")
		}
		sql.WriteByte('(')
		for i := range in.Columns {
			if i > 0 {
				sql.WriteString(", ")
			}
			n++
			sql.WriteString("$" + strconv.Itoa(n))
		}
		sql.WriteByte(')')
	}
	return sql.String()
}

// Table is the name of the table, without its schema.
func (in *CopyIn) Table() string { return in.table }

// HasColumn reports whether the stream has a column of that name.
func (in *CopyIn) HasColumn(name string) bool {
	return slices.ContainsFunc(in.Columns, func(c CopyColumn) bool { return c.Name == name })
}

// InsertArrays is the INSERT of any number of rows, which the server takes faster
// than their values: its parameters are arrays, one for each column, all as long,
// and behind them, if key is true, the tenant's key. It has no KeyColumn: that has
// been found to be the key, which whoever confines the INSERT adds. values are the
// types of Insert's parameters, as the server has them; types those of its own. It
// has to be confined before it is sent. sql is "" if it cannot be: for types without
// arrays, as arrays are, or for others than the catalog has.
func (in *CopyIn) InsertArrays(values []uint32) (sql string, types []uint32, key bool) {
	if len(values) != len(in.Columns) || len(values) == 0 {
		return "", nil, false
	}
	type item struct {
		name, value string
		place       int
	}
	var items []item
	for i, c := range in.Columns {
		switch {
		case i == in.KeyColumn:
			continue
		case c.Array == 0 || c.Type != values[i]:
			return "", nil, false
		}
		types = append(types, c.Array)
		items = append(items, item{c.Name, "pg_catalog.unnest($" + strconv.Itoa(len(types)) + ")", c.place})
	}
	if key = in.key != nil; key {
		types = append(types, in.key.Type)
		items = append(items, item{in.key.Name, "$" + strconv.Itoa(len(types)), in.key.place})
	}
	if len(items) == 0 {
		return "", nil, false
	}
	// What is in the order of the table's columns the server need not put in order.
	slices.SortFunc(items, func(a, b item) int { return a.place - b.place })
	var names, selected []string
	for _, it := range items {
		names, selected = append(names, it.name), append(selected, it.value)
	}
	return in.into(names) + "SELECT " + strings.Join(selected, ", "), types, key
}

// into begins the INSERT.
func (in *CopyIn) into(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quoteIdent(name)
	}
	// COPY writes identity columns whatever they are generated.
	return "INSERT INTO " + quoteName(in.schema, in.table) + " (" + strings.Join(quoted, ", ") + ") OVERRIDING SYSTEM VALUE "
}

package rewrite

import (
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
	schema, table            string
	keyed                    bool // the tenant column is among them, and has to be the key

	// Load is COPY FROM STDIN of the same rows, in text format, for a table
	// without policies; "" where there is none. With LoadKey the tenant column
	// comes behind the columns. It is not confined: what Insert says of a row has
	// to hold.
	Load    string
	LoadKey bool
}

// A CopyColumn is one column of a COPY stream.
type CopyColumn struct {
	Name                string
	Type, Array         uint32 // OIDs, as catalog.Column has them
	forceNull, forceNot bool
}

// ForceNull reports whether column i is NULL for the null string in quotes, too.
func (in *CopyIn) ForceNull(i int) bool { return i < len(in.Columns) && in.Columns[i].forceNull }

// ForceNotNull reports whether column i is never NULL.
func (in *CopyIn) ForceNotNull(i int) bool { return i < len(in.Columns) && in.Columns[i].forceNot }

// Binary reports whether the values of column i are such as the binary format has:
// all are in that format, and text is the same in both.
func (in *CopyIn) Binary(i int) bool {
	t := in.Columns[i].Type
	return in.Format == CopyBinary || t == oidText || t == oidVarchar
}

// setLoad makes Load, if it can be.
func (in *CopyIn) setLoad(rel *catalog.Relation) {
	if rel.Kind != 'r' && rel.Kind != 'p' || rel.RowSecurity || in.Format == CopyBinary || len(in.Columns) == 0 {
		return
	}
	var columns []string
	for _, c := range in.Columns {
		columns = append(columns, quoteIdent(c.Name))
		in.LoadKey = in.LoadKey || c.Name == rel.TenantColumn
	}
	if in.LoadKey = rel.Class == catalog.Tenanted && !in.LoadKey; in.LoadKey {
		columns = append(columns, quoteIdent(rel.TenantColumn))
	}
	in.Load = "COPY " + quoteName(in.schema, in.table) + " (" + strings.Join(columns, ", ") + ") FROM STDIN"
}

// Insert is the INSERT of that many rows, whose values are parameters in the
// order of the stream. It has to be confined before it is sent.
func (in *CopyIn) Insert(rows int) string {
	var sql strings.Builder
	in.into(&sql)
	sql.WriteString("VALUES ")
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

// InsertArrays is the INSERT of any number of rows, which the server takes faster
// than their values: its parameters are arrays, one for each column, all as long.
// values are the types of Insert's parameters, as the server has them; arrays
// those of its own. It has to be confined before it is sent. sql is "" if it
// cannot be: for types without arrays, as arrays are, for others than the catalog
// has, or if values have to be the key.
func (in *CopyIn) InsertArrays(values []uint32) (sql string, arrays []uint32) {
	if len(values) != len(in.Columns) || len(values) == 0 || in.keyed {
		return "", nil
	}
	var b strings.Builder
	in.into(&b)
	b.WriteString("SELECT ")
	for i, c := range in.Columns {
		if c.Array == 0 || c.Type != values[i] {
			return "", nil
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("pg_catalog.unnest($" + strconv.Itoa(i+1) + ")")
		arrays = append(arrays, c.Array)
	}
	return b.String(), arrays
}

// into begins the INSERT.
func (in *CopyIn) into(sql *strings.Builder) {
	sql.WriteString("INSERT INTO " + quoteName(in.schema, in.table) + " (")
	for i, c := range in.Columns {
		if i > 0 {
			sql.WriteString(", ")
		}
		sql.WriteString(quoteIdent(c.Name))
	}
	// COPY writes identity columns whatever they are generated.
	sql.WriteString(") OVERRIDING SYSTEM VALUE ")
}

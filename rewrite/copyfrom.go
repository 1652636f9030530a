package rewrite

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// Ids of the rules for COPY FROM.
const (
	ruleCopyOption = "copy.option"
	ruleCopyWhere  = "copy.where"
)

// csvWithoutMarker is the first version to which \. is a value in CSV.
const csvWithoutMarker = 180000

// copyFrom reads COPY t FROM STDIN: which table, which columns, which format.
func (c *confiner) copyFrom(s *pg_query.CopyStmt) (*CopyIn, error) {
	rel, err := c.target(s.Relation)
	if err != nil {
		return nil, err
	}
	if s.WhereClause != nil {
		return nil, c.refusal(ruleCopyWhere, "COPY FROM with WHERE", "Leave out the rows before they are sent.", s.Relation.Location)
	}
	names, err := c.copyColumns(s, rel)
	if err != nil {
		return nil, err
	}
	in := &CopyIn{schema: rel.Schema, table: rel.Name, EndMarker: c.catalog.ServerVersion < csvWithoutMarker, KeyColumn: -1}
	for _, name := range names {
		place := columnIndex(rel, name)
		column := &rel.Columns[place]
		if c.confines(rel) && name == rel.TenantColumn {
			in.KeyColumn = len(in.Columns)
		}
		in.Columns = append(in.Columns, CopyColumn{Name: name, Type: column.Type.OID, Array: column.Array, place: place})
	}
	if !c.config.Confine && !slices.Contains(names, rel.TenantColumn) {
		in.setKey(rel)
	}
	r := &copyReader{c: c, in: in, table: rel.Name, at: s.Relation.Location}
	for i := range rel.Columns {
		r.all = append(r.all, rel.Columns[i].Name)
	}
	if err := r.collect(s.Options); err != nil {
		return nil, err
	}
	if err := r.read(); err != nil {
		return nil, err
	}
	if c.config.Confine {
		in.setLoad(rel)
	}
	return in, nil
}

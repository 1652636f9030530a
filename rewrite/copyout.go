package rewrite

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// binaryOption behind COPY with no options has the server write binary format.
const binaryOption = " (FORMAT binary)"

// A CopyOut is COPY of a table TO STDOUT, in text format with no other options:
// who knows the types of its columns can write the text of its rows.
type CopyOut struct {
	Table   uint32   // its OID
	Columns []string // of the stream
	All     bool     // they are all that the catalog has, for the statement names none
	Binary  Template // the statement in binary format
	table   string
}

// Select reads the table: its description tells the columns that there are, and from
// then on nobody changes them up to the end of the transaction.
func (o *CopyOut) Select() string { return "SELECT * FROM ONLY " + o.table }

// size is about how many bytes it takes.
func (o *CopyOut) size() int64 { return 64 + int64(len(o.table)+16*len(o.Columns)) + o.Binary.size() }

// setCopyOut notes what is read, if there is nothing more to it.
func (c *confiner) setCopyOut(s *pg_query.CopyStmt, rel *catalog.Relation) {
	switch rel.Class {
	case catalog.Tenanted, catalog.Shared, catalog.SharedReadWrite:
	default:
		return
	}
	if rel.Kind != 'r' || len(s.Options) > 0 {
		return
	}
	names, err := c.copyColumns(s, rel)
	if err != nil || len(names) == 0 {
		return // the server says what is wrong
	}
	c.copyOut = &CopyOut{Table: rel.OID, Columns: names, All: len(s.Attlist) == 0, table: quoteName(rel.Schema, rel.Name)}
}

// inBinary is the text of a COPY with binaryOption. It is false if that is not what
// the text means.
func (r *Rewriter) inBinary(c *confiner, part statementText, stmt *pg_query.Node) (Template, bool) {
	src := c.source
	last := len(src.tokens) - 1
	for last >= 0 && (src.tokens[last].end > part.end || src.punct(last, ";")) {
		last--
	}
	if last < 0 || c.unspliced {
		return Template{}, false
	}
	end := src.tokens[last].end
	text, ok := spliced(src.sql, part, append(slices.Clone(c.splices), splice{start: end, end: end, rank: rankAppend, text: binaryOption}))
	if !ok {
		return Template{}, false
	}
	in := stmt.GetCopyStmt()
	in.Options = one(&pg_query.Node{Node: &pg_query.Node_DefElem{DefElem: &pg_query.DefElem{
		Defname: "format", Arg: stringNode("binary"), Defaction: pg_query.DefElemAction_DEFELEM_UNSPEC,
	}}})
	_, ok = r.same(text, stmt)
	in.Options = nil
	return text, ok
}

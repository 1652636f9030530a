package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// copyStmt confines COPY. To STDOUT a table becomes the query that reads the
// tenant's rows of it; from STDIN each row becomes an INSERT.
func (c *confiner) copyStmt(s *pg_query.CopyStmt) error {
	at := s.Relation.GetLocation()
	if s.IsProgram || s.Filename != "" {
		return &ForbiddenError{
			Rule:     ruleCopyTarget,
			Message:  "COPY to or from a file or program of the server is not allowed",
			Hint:     "Use COPY TO STDOUT, or psql's \\copy.",
			Position: c.position(at),
		}
	}
	if err := c.nodes(nil, s.Attlist, s.Options, one(s.WhereClause)); err != nil {
		return err
	}
	if s.Relation == nil {
		return c.nodes(nil, one(s.Query))
	}
	if s.IsFrom {
		in, err := c.copyFrom(s)
		c.copyIn = in
		return err
	}
	before := len(c.splices)
	rel, err := c.relation(s.Relation, nil)
	if err != nil {
		return err
	}
	if rel.Kind == 'p' { // with policies the server would answer no rows
		return &DefinitionError{
			Problem: WrongObjectType,
			Message: fmt.Sprintf("cannot copy from partitioned table %q", rel.Name),
			Hint:    "Try the COPY (SELECT ...) TO variant.",
		}
	}
	c.setCopyOut(s, rel)
	if !c.confines(rel) {
		c.nameColumns(s, rel)
		return nil
	}
	c.splices = c.splices[:before] // the name is replaced as a whole
	return c.copyTable(s, rel)
}

// copyTable turns COPY t (columns) into COPY (SELECT columns FROM ONLY t WHERE
// ...). COPY, too, leaves out the rows of tables that inherit from t.
func (c *confiner) copyTable(s *pg_query.CopyStmt, rel *catalog.Relation) error {
	if rel.Kind != 'r' {
		return c.refusal(kindRule(rel.Kind), fmt.Sprintf("COPY of %s %q", kindWord(rel.Kind), rel.Name),
			"Try the COPY (SELECT ...) TO variant.", s.Relation.Location)
	}
	columns, err := c.copyColumns(s, rel)
	if err != nil {
		return err
	}
	rv := &pg_query.RangeVar{Schemaname: rel.Schema, Relname: rel.Name, Relpersistence: "p"}
	p, err := c.predicate(rv, rel, true)
	if err != nil {
		return err
	}
	query := emptySelect()
	var quoted []string
	for _, name := range columns {
		query.TargetList = append(query.TargetList, resTarget("", columnRef(name)))
		quoted = append(quoted, quoteIdent(name))
	}
	query.FromClause = one(&pg_query.Node{Node: &pg_query.Node_RangeVar{RangeVar: rv}})
	query.WhereClause = p.node

	src := c.source
	first := src.find(s.Relation.Location)
	last := src.nameEnd(first) - 1
	if len(s.Attlist) > 0 {
		last = src.closing(last + 1)
	}
	c.replace(first, last, fmt.Sprintf("(SELECT %s FROM ONLY %s WHERE %s)",
		strings.Join(quoted, ", "), quoteName(rel.Schema, rel.Name), p.text))

	s.Relation, s.Attlist = nil, nil
	s.Query = &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: query}}
	return nil
}

// nameColumns names the columns where policies make a query of COPY t: the server
// takes * for it, with generated columns, which COPY leaves out.
func (c *confiner) nameColumns(s *pg_query.CopyStmt, rel *catalog.Relation) {
	generated := slices.ContainsFunc(rel.Columns, func(column catalog.Column) bool { return column.Generated })
	if len(s.Attlist) > 0 || !rel.RowSecurity || !generated {
		return
	}
	names, _ := c.copyColumns(s, rel) // which says what is wrong with names alone
	var quoted []string
	for _, name := range names {
		quoted = append(quoted, quoteIdent(name))
		s.Attlist = append(s.Attlist, stringNode(name))
	}
	src := c.source
	c.after(src.nameEnd(src.find(s.Relation.Location))-1, rankAppend, " ("+strings.Join(quoted, ", ")+")")
}

// copyColumns are the columns that COPY of a table writes: those it names, or
// all that are not generated.
func (c *confiner) copyColumns(s *pg_query.CopyStmt, rel *catalog.Relation) ([]string, error) {
	var names []string
	if len(s.Attlist) == 0 {
		for i := range rel.Columns {
			if !rel.Columns[i].Generated {
				names = append(names, rel.Columns[i].Name)
			}
		}
		return names, nil
	}
	seen := make(map[string]bool)
	for _, n := range s.Attlist {
		name := n.GetString_().GetSval()
		switch i := columnIndex(rel, name); {
		case i < 0:
			return nil, &DefinitionError{
				Problem: UndefinedColumn,
				Message: fmt.Sprintf("column %q of relation %q does not exist", name, rel.Name),
			}
		case rel.Columns[i].Generated:
			return nil, &DefinitionError{
				Problem: InvalidColumn,
				Message: fmt.Sprintf("column %q is a generated column", name),
				Detail:  "Generated columns cannot be used in COPY.",
			}
		case seen[name]:
			return nil, &DefinitionError{
				Problem: DuplicateColumn,
				Message: fmt.Sprintf("column %q specified more than once", name),
			}
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, nil
}

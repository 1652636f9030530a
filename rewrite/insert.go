package rewrite

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// insertStmt confines INSERT: the tenant column of every row is the key, and a
// row that ON CONFLICT updates must have been the tenant's.
func (c *confiner) insertStmt(s *pg_query.InsertStmt, outer *scope) error {
	sc, err := c.with(s.WithClause, outer)
	if err != nil {
		return err
	}
	rel, err := c.target(s.Relation)
	if err != nil {
		return err
	}
	if err := c.nodes(sc, s.Cols, one(s.SelectStmt), s.ReturningList); err != nil {
		return err
	}
	if conflict := s.OnConflictClause; conflict != nil {
		if err := c.nodes(sc, conflict.TargetList, one(conflict.WhereClause)); err != nil {
			return err
		}
		if infer := conflict.Infer; infer != nil {
			if err := c.nodes(sc, infer.IndexElems, one(infer.WhereClause)); err != nil {
				return err
			}
		}
	}
	if !c.confines(rel) {
		return nil
	}
	if err := c.insertTenant(s, rel); err != nil {
		return err
	}
	return c.onConflict(s, rel)
}

// An insertion is an INSERT with what is known of its text.
type insertion struct {
	stmt    *pg_query.InsertStmt
	rel     *catalog.Relation
	tenant  catalog.Type // of the tenant column
	target  int          // last token of the table's name and alias
	columns int          // last token before the bracket that closes the column list
	source  int          // first token of the rows
	leaves  []leaf
}

// insertTenant sees to it that each row has the key in its tenant column.
func (c *confiner) insertTenant(s *pg_query.InsertStmt, rel *catalog.Relation) error {
	t, err := c.tenantType(rel, s.Relation)
	if err != nil {
		return err
	}
	in := &insertion{stmt: s, rel: rel, tenant: t}
	c.locate(in)
	if s.SelectStmt == nil {
		c.defaultValues(in)
		return nil
	}
	source := s.SelectStmt.GetSelectStmt()
	if source == nil {
		return unsupportedNode(nodeName(s.SelectStmt), s.Relation.Location)
	}
	in.leaves = c.leavesOf(source, in.source)
	if len(s.Cols) == 0 {
		return c.insertAll(in)
	}
	listed := false
	for i, n := range s.Cols {
		if n.GetResTarget().GetName() != rel.TenantColumn {
			continue
		}
		if listed || len(n.GetResTarget().Indirection) > 0 {
			return c.unprovable(in.written(), n.GetResTarget().Location)
		}
		listed = true
		if err := c.checkRows(in, i); err != nil {
			return err
		}
	}
	if !listed {
		s.Cols = append(s.Cols, resTarget(rel.TenantColumn, nil))
		c.after(in.columns, rankAppend, ", "+quoteIdent(rel.TenantColumn))
		c.appendKey(in)
	}
	return nil
}

// written describes the tenant column of the insertion.
func (in *insertion) written() written {
	return written{rel: in.rel, rv: in.stmt.Relation, rule: ruleInsertTenantExpression}
}

// locate finds the parts of the text.
func (c *confiner) locate(in *insertion) {
	s := c.source
	e, ok := c.extent(in.stmt.Relation, false)
	if !ok {
		c.fail()
	}
	in.target = e.last
	i := e.last + 1
	if len(in.stmt.Cols) > 0 {
		last := s.closing(i)
		if last < 0 {
			c.fail()
		}
		in.columns = last - 1
		i = last + 1
	}
	if s.is(i, "overriding") {
		i += 3
	}
	in.source = i
}

// defaultValues turns DEFAULT VALUES into a row of the key alone.
func (c *confiner) defaultValues(in *insertion) {
	key := c.keys.form(in.tenant)
	rows := emptySelect()
	rows.ValuesLists = one(&pg_query.Node{Node: &pg_query.Node_List{List: &pg_query.List{Items: one(key.node())}}})
	in.stmt.Cols = one(resTarget(in.rel.TenantColumn, nil))
	in.stmt.SelectStmt = &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: rows}}
	if !c.source.is(in.source, "default") || !c.source.is(in.source+1, "values") {
		c.fail()
		return
	}
	c.replace(in.source, in.source+1, "("+quoteIdent(in.rel.TenantColumn)+") VALUES ("+key.text+")")
}

// appendKey adds the key as the last value of each row. The column list, which
// the statement has by now, ends with the tenant column, and the server wants
// as many values as columns: so they belong together, however many columns a
// star turns out to be.
func (c *confiner) appendKey(in *insertion) {
	key := c.keys.form(in.tenant)
	for _, l := range in.leaves {
		if l.stmt.ValuesLists == nil {
			c.appendTarget(l, key)
			continue
		}
		rows := c.rowTexts(l)
		for i, n := range l.stmt.ValuesLists {
			row := n.GetList()
			row.Items = append(row.Items, key.node())
			if rows != nil {
				c.after(rows[i].last-1, rankAppend, ", "+key.text)
			}
		}
	}
}

// rowTexts finds the rows of VALUES in the text; nil if it cannot.
func (c *confiner) rowTexts(l leaf) []extent {
	if l.text < 0 {
		return nil
	}
	rows := c.source.rows(l.text)
	if len(rows) != len(l.stmt.ValuesLists) {
		c.fail()
		return nil
	}
	return rows
}

// appendTarget adds the key to a SELECT's target list.
func (c *confiner) appendTarget(l leaf, key keyForm) {
	text := ", " + key.text
	switch {
	case tableForm(l.stmt):
		c.star(l.stmt)
		c.after(l.text, rankAppend, text)
	case len(l.stmt.TargetList) == 0:
		c.after(l.text, rankAppend, " "+key.text)
	default:
		c.after(c.source.skip(l.text+1, listEnd)-1, rankAppend, text)
	}
	l.stmt.TargetList = append(l.stmt.TargetList, resTarget("", key.node()))
}

// checkRows sees to the values at place p of each row, which go into the
// tenant column.
func (c *confiner) checkRows(in *insertion, p int) error {
	for _, l := range in.leaves {
		w := in.written()
		if l.stmt.ValuesLists == nil {
			if starBefore(l.stmt.TargetList, p) {
				if err := c.expandStars(in, l); err != nil {
					return err
				}
			}
			if p >= len(l.stmt.TargetList) {
				return c.tooFewValues(in, len(l.stmt.TargetList))
			}
			w.own = c.ownInFrom(l.stmt, in)
			if err := c.tenantValue(l.stmt.TargetList[p].GetResTarget().GetVal(), w); err != nil {
				return err
			}
			continue
		}
		for _, n := range l.stmt.ValuesLists {
			items := n.GetList().GetItems()
			if starBefore(items, p) {
				return c.unknownWidth(in)
			}
			if p >= len(items) {
				return c.tooFewValues(in, len(items))
			}
			if err := c.tenantValue(items[p], w); err != nil {
				return err
			}
		}
	}
	return nil
}

// insertAll sees to an INSERT without a column list, which names the first
// columns of the table by their order. They are written out.
func (c *confiner) insertAll(in *insertion) error {
	width, err := c.sourceWidth(in)
	if err != nil {
		return err
	}
	if width > len(in.rel.Columns) {
		return &SyntaxError{Message: "INSERT has more expressions than target columns"}
	}
	var names []string
	for i := range width {
		names = append(names, in.rel.Columns[i].Name)
	}
	p := columnIndex(in.rel, in.rel.TenantColumn)
	if p >= width {
		names = append(names, in.rel.TenantColumn)
	}
	var quoted []string
	for _, name := range names {
		in.stmt.Cols = append(in.stmt.Cols, resTarget(name, nil))
		quoted = append(quoted, quoteIdent(name))
	}
	c.after(in.target, rankAppend, " ("+strings.Join(quoted, ", ")+")")
	if p >= width {
		c.appendKey(in)
		return nil
	}
	return c.checkRows(in, p)
}

// onConflict confines ON CONFLICT DO UPDATE to rows of the tenant's: the
// conflict may be with another's.
func (c *confiner) onConflict(s *pg_query.InsertStmt, rel *catalog.Relation) error {
	conflict := s.OnConflictClause
	if conflict == nil || conflict.Action != pg_query.OnConflictAction_ONCONFLICT_UPDATE {
		return nil
	}
	if referenceName(s.Relation) == "excluded" {
		return c.refusal(ruleAliasAmbiguous, `ON CONFLICT on a table that is called "excluded"`,
			"Give the table another alias.", s.Relation.Location)
	}
	own := ownColumn(s.Relation, rel, true)
	if err := c.assignments(conflict.TargetList, rel, s.Relation, own); err != nil {
		return err
	}
	p, err := c.predicate(s.Relation, rel, false)
	if err != nil {
		return err
	}
	conditions := []condition{p}
	if i := c.source.find(conflict.Location); i >= 0 {
		do := c.source.skip(i+2, func(s *source, i int) bool { return s.is(i, "do") })
		c.where(do+1, conditions, conflict.WhereClause != nil)
	} else {
		c.fail()
	}
	conflict.WhereClause = conjunction(conditions, conflict.WhereClause)
	return nil
}

// tooFewValues is the server's error for rows shorter than the column list.
func (c *confiner) tooFewValues(in *insertion, n int) error {
	pos := 0
	if n < len(in.stmt.Cols) {
		if at := in.stmt.Cols[n].GetResTarget().GetLocation(); at > 0 {
			pos = c.position(at)
		}
	}
	return &SyntaxError{Message: "INSERT has more target columns than expressions", Position: pos}
}

func (c *confiner) unknownWidth(in *insertion) error {
	return c.refusal(ruleInsertUnknownWidth, "INSERT of rows whose columns cannot be counted",
		"Write a column list, and the columns instead of *.", in.stmt.Relation.Location)
}

package rewrite

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// maxTargets is how many columns a query can have: MaxTupleAttributeNumber.
const maxTargets = 1664

// sourceWidth counts the values of the rows of an INSERT without column list.
func (c *confiner) sourceWidth(in *insertion) (int, error) {
	width := -1
	count := func(n int, ok bool) error {
		switch {
		case !ok:
			return c.unknownWidth(in)
		case width >= 0 && n != width && len(in.leaves) > 1:
			return &SyntaxError{Message: "each UNION query must have the same number of columns"}
		case width >= 0 && n != width:
			return &SyntaxError{Message: "VALUES lists must all be the same length"}
		}
		width = n
		return nil
	}
	for _, l := range in.leaves {
		if l.stmt.ValuesLists == nil {
			if err := count(c.listWidth(l.stmt)); err != nil {
				return 0, err
			}
			continue
		}
		for _, n := range l.stmt.ValuesLists {
			items := n.GetList().GetItems()
			if err := count(len(items), !starBefore(items, len(items))); err != nil {
				return 0, err
			}
		}
	}
	return width, nil
}

// listWidth counts the columns of a SELECT, if the catalog knows them all.
func (c *confiner) listWidth(s *pg_query.SelectStmt) (int, bool) {
	width := 0
	for _, n := range s.TargetList {
		if !isStar(n.GetResTarget().GetVal()) {
			width++
			continue
		}
		columns, ok := c.starColumns(s, n.GetResTarget().Val)
		if !ok {
			return 0, false
		}
		if width += len(columns); width > maxTargets {
			return 0, false
		}
	}
	return width, true
}

// isStar reports whether a value stands for any number of columns.
func isStar(n *pg_query.Node) bool {
	var path []*pg_query.Node
	switch v := n.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		path = v.ColumnRef.Fields
	case *pg_query.Node_AIndirection:
		path = v.AIndirection.Indirection
	}
	return len(path) > 0 && path[len(path)-1].GetAStar() != nil
}

// starBefore reports whether a star is among the first items, up to place p,
// so that it is not known which value has that place.
func starBefore(items []*pg_query.Node, p int) bool {
	for i, n := range items {
		if i > p {
			return false
		}
		if rt := n.GetResTarget(); rt != nil {
			n = rt.Val
		}
		if isStar(n) {
			return true
		}
	}
	return false
}

// A fromTable is a table in a FROM clause.
type fromTable struct {
	rv  *pg_query.RangeVar
	rel *catalog.Relation
}

// fromTables lists the items of a FROM clause. known is false if some of the
// columns that a star stands for are not those of tables; inner is false if a
// join can make rows of NULLs. What is no table has a nil relation.
func (c *confiner) fromTables(from []*pg_query.Node) (tables []fromTable, known, inner bool) {
	known, inner = true, true
	var walk func(n *pg_query.Node)
	walk = func(n *pg_query.Node) {
		switch v := n.GetNode().(type) {
		case *pg_query.Node_RangeVar:
			rel := c.resolved[v.RangeVar]
			tables = append(tables, fromTable{rv: v.RangeVar, rel: rel})
			known = known && rel != nil && rel.Class != catalog.System && len(v.RangeVar.Alias.GetColnames()) == 0
		case *pg_query.Node_RangeTableSample:
			walk(v.RangeTableSample.Relation)
		case *pg_query.Node_JoinExpr:
			j := v.JoinExpr
			inner = inner && j.Jointype == pg_query.JoinType_JOIN_INNER
			known = known && !j.IsNatural && len(j.UsingClause) == 0 && j.Alias == nil
			if j.Alias != nil { // it hides the names within
				tables = append(tables, fromTable{})
				return
			}
			walk(j.Larg)
			if !isFilter(j) {
				walk(j.Rarg)
			}
		default:
			tables = append(tables, fromTable{})
			known = false
		}
	}
	for _, n := range from {
		walk(n)
	}
	return tables, known, inner
}

// isFilter reports whether a join is a filter join: its right side is empty.
func isFilter(j *pg_query.JoinExpr) bool {
	return equalTrees(j.Rarg.GetRangeSubselect().GetSubquery(),
		&pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: emptySelect()}})
}

// starColumns lists what * or table.* stands for, as references to columns. It
// is false if the catalog does not know for sure.
func (c *confiner) starColumns(s *pg_query.SelectStmt, star *pg_query.Node) ([][]string, bool) {
	tables, known, _ := c.fromTables(s.FromClause)
	ref := star.GetColumnRef()
	if ref == nil || !known || len(ref.Fields) > 2 {
		return nil, false
	}
	names := bareNames(s.FromClause, nil)
	var columns [][]string
	matched := 0
	for _, t := range tables {
		if len(ref.Fields) == 2 && referenceName(t.rv) != ref.Fields[0].GetString_().GetSval() {
			continue
		}
		matched++
		path := []string{referenceName(t.rv)}
		if t.rv.Alias == nil && (!c.unqualified[t.rv] || names[t.rv.Relname] > 1) {
			path = []string{t.rel.Schema, t.rel.Name}
		}
		for i := range t.rel.Columns {
			columns = append(columns, append(path[:len(path):len(path)], t.rel.Columns[i].Name))
		}
	}
	if len(ref.Fields) == 2 && matched != 1 {
		return nil, false
	}
	return columns, true
}

// expandStars writes out the columns that the stars of a target list stand
// for, so that each value's place is certain.
func (c *confiner) expandStars(in *insertion, l leaf) error {
	var list []*pg_query.Node
	for _, n := range l.stmt.TargetList {
		target := n.GetResTarget()
		if !isStar(target.GetVal()) {
			list = append(list, n)
			continue
		}
		columns, ok := c.starColumns(l.stmt, target.Val)
		if !ok || len(columns) == 0 || len(list)+len(columns) > maxTargets {
			return c.unknownWidth(in)
		}
		var texts []string
		for _, path := range columns {
			list = append(list, resTarget("", columnRef(path...)))
			texts = append(texts, quotePath(path))
		}
		c.expandStar(l, target, strings.Join(texts, ", "))
	}
	l.stmt.TargetList = list
	return nil
}

// expandStar notes the splice of one star.
func (c *confiner) expandStar(l leaf, target *pg_query.ResTarget, text string) {
	if target.Location < 0 { // TABLE t
		c.starredAs(l.stmt, text)
		return
	}
	i := c.source.find(target.Location)
	last := i
	for c.source.name(last) || c.source.punct(last, ".") {
		last++
	}
	c.replace(i, last, text)
}

// ownInFrom reports whether a column reference in a SELECT is the tenant column
// of a table in its FROM clause that is confined there, so that its value is
// the key.
func (c *confiner) ownInFrom(s *pg_query.SelectStmt, in *insertion) func(*pg_query.ColumnRef) bool {
	return func(ref *pg_query.ColumnRef) bool {
		tables, _, inner := c.fromTables(s.FromClause)
		if !inner || hasGroupingSets(s) || len(ref.Fields) == 0 {
			return false
		}
		var path []string
		for _, f := range ref.Fields {
			path = append(path, f.GetString_().GetSval())
		}
		qualifier, column := path[:len(path)-1], path[len(path)-1]
		var found *fromTable
		for i := range tables {
			if !tables[i].named(qualifier) {
				continue
			}
			if found != nil {
				return false
			}
			found = &tables[i]
		}
		if found == nil || found.rel == nil || found.rel.Class != catalog.Tenanted {
			return false
		}
		exposed, err := c.exposedColumn(found.rv, found.rel)
		if err != nil || exposed != column {
			return false
		}
		from, err := c.tenantType(found.rel, found.rv)
		to, _ := c.tenantType(in.rel, in.stmt.Relation)
		return err == nil && from.OID == to.OID
	}
}

// named reports whether a qualifier, perhaps empty, means the table.
func (t *fromTable) named(qualifier []string) bool {
	switch {
	case len(qualifier) == 0:
		return true
	case t.rv == nil:
		return false
	case len(qualifier) == 1:
		return referenceName(t.rv) == qualifier[0]
	default:
		return len(qualifier) == 2 && t.rv.Alias == nil && t.rel != nil &&
			t.rel.Schema == qualifier[0] && t.rel.Name == qualifier[1]
	}
}

func hasGroupingSets(s *pg_query.SelectStmt) bool {
	for _, n := range s.GroupClause {
		if n.GetGroupingSet() != nil {
			return true
		}
	}
	return false
}

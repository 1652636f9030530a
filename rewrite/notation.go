package rewrite

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tenantgate/rewrite/catalog"
)

// Where there is no column f, the server takes t.f for f(t), and (x).f for
// f(x). So a name behind a dot that is also the name of a function that must
// not be called has to be proven to be a column. The proof wants every FROM
// item of that name to have the column, in whatever scope it is.

// A notation is a name behind a dot that is a function's name too.
type notation struct {
	item     string // the FROM item before the dot; "" for an expression
	name     string
	location int32
}

// An origin is what a FROM item stands for: whether it has a column of this
// name for certain.
type origin func(column string) bool

// A proof remembers what is proven of the columns of a name, so that many
// references to many items of one name take linear time.
type proof map[[2]string]bool

// all reports whether there are origins and each has the column.
func (p *proof) all(name, column string, origins []origin) bool {
	key := [2]string{name, column}
	proven, ok := (*p)[key]
	if !ok {
		proven = len(origins) > 0 && !slices.ContainsFunc(origins, func(o origin) bool { return !o(column) })
		if *p == nil {
			*p = make(proof)
		}
		(*p)[key] = proven
	}
	return proven
}

// reference notes what the name of a FROM item stands for.
func (w *walk) reference(item string, o origin) {
	if w.items == nil {
		w.items = make(map[string][]origin)
	}
	w.items[item] = append(w.items[item], o)
}

func (w *walk) columnRef(c *pg_query.ColumnRef) error {
	if len(c.Fields) < 2 {
		return nil
	}
	item := c.Fields[len(c.Fields)-2].GetString_().GetSval()
	if name := c.Fields[len(c.Fields)-1].GetString_(); name != nil {
		w.dotted(item, name.Sval, c.Location)
	}
	return nil
}

func (w *walk) indirection(a *pg_query.A_Indirection) error {
	item, location := "", int32(-1)
	if c := a.Arg.GetColumnRef(); c != nil {
		location = c.Location
		if len(c.Fields) == 1 {
			item = c.Fields[0].GetString_().GetSval()
		}
	}
	for _, n := range a.Indirection {
		if name := n.GetString_(); name != nil {
			w.dotted(item, name.Sval, location)
		}
		item = ""
	}
	return nil
}

// dotted notes a name that could be a call of a function that is refused.
func (w *walk) dotted(item, name string, location int32) {
	rule, known := builtins.find(name, 1)
	harmless := rule.allowed && !rule.catalogOnly && !w.cat.FunctionDenied(schemaCatalog, name)
	if known && !harmless || w.shadowed(&call{name: name, args: 1}) {
		w.notations = append(w.notations, notation{item: item, name: name, location: location})
	}
}

// notation refuses a name behind a dot that is not proven to be a column.
func (w *walk) notation(n *notation) error {
	if n.item != "" && w.proven.all(n.item, n.name, w.items[n.item]) {
		return nil
	}
	return w.forbid(ruleFunctionNotation, "permission denied for function "+n.name,
		"The name behind the dot may be a function, which is not permitted. Give the column another name with AS in the sub-select.",
		n.location)
}

// rangeVar notes a relation or common table expression.
func (w *walk) rangeVar(rv *pg_query.RangeVar) error {
	rel, found := w.cat.Lookup(rv.Schemaname, rv.Relname)
	if found && rel.Class != catalog.System {
		w.tables = true
	}
	if found {
		w.reference(referenceName(rv), renamed(rv.Alias, w.columnsOf(rel)))
		if err := w.castsOfColumns(rel, rv); err != nil {
			return err
		}
	}
	if rv.Schemaname == "" { // it may be a common table expression, which may come later
		w.reference(referenceName(rv), renamed(rv.Alias, func(column string) bool {
			ctes := w.ctes[rv.Relname]
			return found && len(ctes) == 0 || w.provenCTEs.all(rv.Relname, column, ctes)
		}))
	}
	return nil
}

// columnsOf is the origin of a relation. A snapshot has no columns of system
// catalogs, whose names are those of no function.
func (w *walk) columnsOf(rel *catalog.Relation) origin {
	if rel.Class == catalog.System {
		return w.cat.HasColumn
	}
	return func(column string) bool {
		return slices.ContainsFunc(rel.Columns, func(c catalog.Column) bool { return c.Name == column })
	}
}

// renamed is an origin below an alias. With a list of columns it is not known
// which of the old ones are left.
func renamed(a *pg_query.Alias, o origin) origin {
	if len(a.GetColnames()) == 0 {
		return o
	}
	return named(a.Colnames)
}

// named is the origin with columns of these names.
func named(names []*pg_query.Node) origin {
	columns := make(map[string]bool, len(names))
	for _, n := range names {
		columns[n.GetString_().GetSval()] = true
	}
	return func(column string) bool { return columns[column] }
}

// insertStmt notes what excluded stands for.
func (w *walk) insertStmt(s *pg_query.InsertStmt) error {
	w.uses.Draws, w.writes = true, true
	if rel, ok := w.cat.Lookup(s.Relation.GetSchemaname(), s.Relation.GetRelname()); ok && s.OnConflictClause != nil {
		w.reference("excluded", w.columnsOf(rel))
	}
	return nil
}

func (w *walk) rangeSubselect(s *pg_query.RangeSubselect) error {
	w.reference(s.Alias.GetAliasname(), renamed(s.Alias, w.outputs(s.Subquery)))
	return nil
}

func (w *walk) commonTableExpr(c *pg_query.CommonTableExpr) error {
	o := w.outputs(c.Ctequery)
	if len(c.Aliascolnames) > 0 {
		o = named(c.Aliascolnames)
	}
	if w.ctes == nil {
		w.ctes = make(map[string][]origin)
	}
	w.ctes[c.Ctename] = append(w.ctes[c.Ctename], o)
	return nil
}

// outputs is the origin that a statement within the statement makes.
func (w *walk) outputs(n *pg_query.Node) origin {
	var targets []*pg_query.Node
	switch v := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		s := v.SelectStmt
		for s.GetLarg() != nil {
			s = s.Larg
		}
		targets = s.TargetList
	case *pg_query.Node_InsertStmt:
		targets = v.InsertStmt.ReturningList
	case *pg_query.Node_UpdateStmt:
		targets = v.UpdateStmt.ReturningList
	case *pg_query.Node_DeleteStmt:
		targets = v.DeleteStmt.ReturningList
	}
	columns, star := make(map[string]bool, len(targets)), false
	for _, n := range targets {
		t := n.GetResTarget()
		fields := t.GetVal().GetColumnRef().GetFields()
		switch {
		case t.GetName() != "":
			columns[t.Name] = true
		case len(fields) == 0:
		case fields[len(fields)-1].GetAStar() != nil:
			star = true
		default:
			columns[fields[len(fields)-1].GetString_().GetSval()] = true
		}
	}
	return func(column string) bool { return columns[column] || star && w.cat.HasColumn(column) }
}

// rangeFunction notes what a function in FROM returns: it can be a row of any
// type, so only columns that are written here are certain.
func (w *walk) rangeFunction(f *pg_query.RangeFunction) error {
	w.namesItem(f)
	if f.Alias.GetAliasname() == "" {
		// The item has the function's name, which is not worth finding out.
		return nil
	}
	var names []*pg_query.Node
	names = append(names, f.Alias.Colnames...)
	for _, n := range f.Coldeflist {
		names = append(names, stringNode(n.GetColumnDef().GetColname()))
	}
	w.reference(f.Alias.Aliasname, named(names))
	return nil
}

func (w *walk) rangeTableFunc(f *pg_query.RangeTableFunc) error {
	var names []*pg_query.Node
	for _, n := range f.Columns {
		names = append(names, stringNode(n.GetRangeTableFuncCol().GetColname()))
	}
	w.reference(f.Alias.GetAliasname(), renamed(f.Alias, named(names)))
	return nil
}

// joinExpr notes the alias of a join, and decides about the operator that
// compares the columns of USING.
func (w *walk) joinExpr(j *pg_query.JoinExpr) error {
	if j.Alias != nil {
		w.reference(j.Alias.Aliasname, named(j.Alias.Colnames))
	}
	if j.JoinUsingAlias != nil {
		w.reference(j.JoinUsingAlias.Aliasname, named(j.UsingClause))
	}
	if j.IsNatural || len(j.UsingClause) > 0 {
		return w.implied(-1, "=")
	}
	return nil
}

// rangeTableSample lets PostgreSQL's own methods through. The server looks the
// name up as a function.
func (w *walk) rangeTableSample(s *pg_query.RangeTableSample) error {
	names, _ := nameParts(s.Method)
	own := len(names) == 1 || len(names) == 2 && names[0] == schemaCatalog
	if own {
		method := names[len(names)-1]
		if (method == "bernoulli" || method == "system") && !w.shadowed(&call{name: method, args: 1}) {
			return nil
		}
	}
	return w.forbid(ruleSampleMethod, "permission denied for this method of TABLESAMPLE", "Use BERNOULLI or SYSTEM.", s.Location)
}

// lockingClause leaves out the names of FOR UPDATE OF: they are those of FROM
// items.
func lockingClause(*walk, protoreflect.ProtoMessage) (bool, error) { return true, nil }

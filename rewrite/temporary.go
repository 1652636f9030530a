package rewrite

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// With Config.TempTables tenants may make temporary tables and do with them
// what they like. The guard decides about the form of the statements: nothing
// that is stored may call what a tenant may not call. pg_temp is last in the
// search path, and PostgreSQL looks for functions and operators there never.

const hintTemporary = "Tenants may create temporary tables alone: write CREATE TEMP TABLE."

// temporary decides about a statement that concerns temporary tables alone.
func (w *walk) temporary(n *pg_query.Node) error {
	if !w.g.tempTables {
		return refuseStatement(n, w.place)
	}
	switch v := n.GetNode().(type) {
	case *pg_query.Node_CreateStmt:
		return w.createTable(v.CreateStmt)
	case *pg_query.Node_CreateTableAsStmt:
		return w.createTableAs(v.CreateTableAsStmt)
	case *pg_query.Node_IndexStmt:
		return w.createIndex(v.IndexStmt)
	case *pg_query.Node_DropStmt:
		if v.DropStmt.RemoveType != pg_query.ObjectType_OBJECT_TABLE || v.DropStmt.Concurrent {
			return refuseStatement(n, w.place)
		}
	case *pg_query.Node_VacuumStmt:
		if v.VacuumStmt.IsVacuumcmd || len(v.VacuumStmt.Options) > 0 || len(v.VacuumStmt.Rels) == 0 {
			return refuseStatement(n, w.place)
		}
	case *pg_query.Node_TruncateStmt: // which tables is for the confiner
	default:
		return refuseStatement(n, w.place)
	}
	return nil
}

// isTemporaryName reports whether a new relation of that name is temporary.
func isTemporaryName(rv *pg_query.RangeVar) bool {
	if rv.GetCatalogname() != "" {
		return false
	}
	switch rv.GetRelpersistence() {
	case "t":
		return rv.Schemaname == "" || rv.Schemaname == catalog.SchemaTemporary
	case "p":
		return rv.Schemaname == catalog.SchemaTemporary
	default:
		return false
	}
}

// temporaryName refuses names of types of PostgreSQL's own. A table is a type
// as well, and a function with a search path of its own could take it for them.
func (w *walk) temporaryName(rv *pg_query.RangeVar) error {
	if !w.cat.BuiltinType(rv.Relname) {
		return nil
	}
	return &UnsupportedError{
		Rule: ruleTemporaryName, Node: fmt.Sprintf("a temporary table with the name of PostgreSQL's type %q", rv.Relname),
		Hint: "Choose another name.", Position: w.at(rv.Location).position(),
	}
}

// formless refuses a part of a definition that is not covered.
func (w *walk) formless(what string, location int32) error {
	return &UnsupportedError{Rule: ruleTemporaryForm, Node: "a temporary table with " + what, Position: w.at(location).position()}
}

func (w *walk) createTable(s *pg_query.CreateStmt) error {
	if !isTemporaryName(s.Relation) {
		return &ForbiddenError{
			Rule: ruleStatementDDL, Message: "CREATE TABLE is not permitted for tenants",
			Hint: hintTemporary, Position: w.position(),
		}
	}
	at := s.Relation.Location
	switch {
	case len(s.InhRelations) > 0 || s.Partbound != nil:
		return w.formless("INHERITS or PARTITION OF", at)
	case s.Partspec != nil:
		return w.formless("PARTITION BY", at)
	case s.OfTypename != nil:
		return w.formless("OF a type", at)
	case len(s.Options) > 0 || s.AccessMethod != "" || s.Tablespacename != "":
		return w.formless("storage options", at)
	case len(s.Constraints) > 0: // of a parser later than the raw one
		return w.formless("constraints in this place", at)
	}
	if err := w.temporaryName(s.Relation); err != nil {
		return err
	}
	for _, n := range s.TableElts {
		if err := w.tableElement(n, at); err != nil {
			return err
		}
	}
	return w.finish()
}

// tableElement decides about a column, a constraint or LIKE.
func (w *walk) tableElement(n *pg_query.Node, at int32) error {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_ColumnDef:
		return w.column(v.ColumnDef)
	case *pg_query.Node_Constraint:
		return w.constraint(v.Constraint)
	case *pg_query.Node_TableLikeClause: // of what is for the confiner
		return nil
	default:
		return w.formless(wordsOf(nodeName(n)), at)
	}
}

func (w *walk) column(d *pg_query.ColumnDef) error {
	if d.RawDefault != nil || d.CookedDefault != nil || d.IdentitySequence != nil || len(d.Fdwoptions) > 0 ||
		d.TypeName == nil || d.TypeName.Setof {
		return w.formless("this column definition", d.Location)
	}
	if err := w.message(d.TypeName.ProtoReflect()); err != nil {
		return err
	}
	if d.CollClause != nil {
		if err := w.message(d.CollClause.ProtoReflect()); err != nil {
			return err
		}
	}
	for _, n := range d.Constraints {
		if err := w.constraint(n.GetConstraint()); err != nil {
			return err
		}
	}
	return nil
}

// constraint decides about a constraint. Its expressions are stored, and run
// on rows of the session's own.
func (w *walk) constraint(k *pg_query.Constraint) error {
	switch k.GetContype() {
	case pg_query.ConstrType_CONSTR_NULL, pg_query.ConstrType_CONSTR_NOTNULL, pg_query.ConstrType_CONSTR_DEFAULT,
		pg_query.ConstrType_CONSTR_GENERATED, pg_query.ConstrType_CONSTR_CHECK, pg_query.ConstrType_CONSTR_PRIMARY,
		pg_query.ConstrType_CONSTR_UNIQUE, pg_query.ConstrType_CONSTR_ATTR_DEFERRABLE,
		pg_query.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE, pg_query.ConstrType_CONSTR_ATTR_DEFERRED,
		pg_query.ConstrType_CONSTR_ATTR_IMMEDIATE:
		if len(k.Options) > 0 {
			return w.formless("storage options", k.Location)
		}
	case pg_query.ConstrType_CONSTR_IDENTITY:
		if err := w.sequenceOptions(k); err != nil {
			return err
		}
	default: // FOREIGN KEY, EXCLUDE and whatever comes
		return w.formless("this constraint", k.GetLocation())
	}
	if k.Indexspace != "" || k.Indexname != "" || k.AccessMethod != "" || k.Pktable != nil || len(k.Exclusions) > 0 || k.WhereClause != nil {
		return w.formless("this form of a constraint", k.Location)
	}
	return w.node(k.RawExpr)
}

func (w *walk) sequenceOptions(k *pg_query.Constraint) error {
	known := []string{"increment", "minvalue", "maxvalue", "start", "cycle", "cache"}
	for _, n := range k.Options {
		d := n.GetDefElem()
		if d == nil || !slices.Contains(known, d.Defname) {
			return w.formless("this option of an identity column", k.Location)
		}
		if err := w.node(d.Arg); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) createTableAs(s *pg_query.CreateTableAsStmt) error {
	if s.Objtype != pg_query.ObjectType_OBJECT_TABLE || !isTemporaryName(s.Into.GetRel()) {
		return &UnsupportedError{
			Rule: ruleStatementCreateTableAs, Node: "CREATE TABLE AS", Hint: hintTemporary, Position: w.position(),
		}
	}
	if err := w.into(s.Into); err != nil {
		return err
	}
	if s.Query.GetSelectStmt() == nil {
		return w.formless("rows of EXECUTE", s.Into.Rel.Location)
	}
	return w.statement(s.Query)
}

// into decides about the table that a query's rows go into.
func (w *walk) into(i *pg_query.IntoClause) error {
	if len(i.Options) > 0 || i.AccessMethod != "" || i.TableSpaceName != "" || i.ViewQuery != nil {
		return w.formless("storage options", i.Rel.GetLocation())
	}
	return w.temporaryName(i.Rel)
}

// selectInto decides about SELECT INTO. One that is not temporary is for the
// confiner to refuse, as is one within a statement.
func (w *walk) selectInto(s *pg_query.SelectStmt) error {
	if s.IntoClause == nil || !w.g.tempTables || !isTemporaryName(s.IntoClause.Rel) {
		return nil
	}
	return w.into(s.IntoClause)
}

// indexMethods are PostgreSQL's own.
var indexMethods = []string{"btree", "hash", "gist", "spgist", "gin", "brin"}

func (w *walk) createIndex(s *pg_query.IndexStmt) error {
	at := s.Relation.GetLocation()
	switch {
	case s.Concurrent:
		return w.formless("CREATE INDEX CONCURRENTLY", at)
	case len(s.Options) > 0 || s.TableSpace != "" || !slices.Contains(indexMethods, s.AccessMethod):
		return w.formless("storage options of an index", at)
	case len(s.ExcludeOpNames) > 0 || s.Isconstraint:
		return w.formless("this form of an index", at)
	}
	for _, list := range [][]*pg_query.Node{s.IndexParams, s.IndexIncludingParams, one(s.WhereClause)} {
		for _, n := range list {
			if err := w.node(n); err != nil {
				return err
			}
		}
	}
	return w.finish()
}

// temporaryStatement finds out which tables such a statement means.
func (c *confiner) temporaryStatement(n *pg_query.Node) error {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_CreateStmt:
		return c.createTable(v.CreateStmt)
	case *pg_query.Node_CreateTableAsStmt:
		return c.node(v.CreateTableAsStmt.Query, nil)
	case *pg_query.Node_IndexStmt:
		if err := c.ownTable(n, v.IndexStmt.Relation); err != nil {
			return err
		}
		return c.nodes(nil, v.IndexStmt.IndexParams, v.IndexStmt.IndexIncludingParams, one(v.IndexStmt.WhereClause))
	case *pg_query.Node_DropStmt:
		return c.dropTables(n, v.DropStmt)
	case *pg_query.Node_TruncateStmt:
		for _, table := range v.TruncateStmt.Relations {
			if err := c.ownTable(n, table.GetRangeVar()); err != nil {
				return err
			}
		}
		return nil
	case *pg_query.Node_VacuumStmt:
		for _, table := range v.VacuumStmt.Rels {
			if err := c.ownTable(n, table.GetVacuumRelation().GetRelation()); err != nil {
				return err
			}
		}
		return nil
	}
	return unsupportedNode(nodeName(n), -1)
}

// createTable resolves what LIKE names and confines expressions.
func (c *confiner) createTable(s *pg_query.CreateStmt) error {
	for _, n := range s.TableElts {
		var err error
		switch v := n.GetNode().(type) {
		case *pg_query.Node_ColumnDef:
			for _, k := range v.ColumnDef.Constraints {
				if err = c.nodes(nil, one(k.GetConstraint().GetRawExpr())); err != nil {
					break
				}
			}
		case *pg_query.Node_Constraint:
			err = c.nodes(nil, one(v.Constraint.RawExpr))
		case *pg_query.Node_TableLikeClause:
			err = c.like(v.TableLikeClause)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// like decides about LIKE. What INCLUDING takes along are expressions that run
// when a row is written: a tenant may take those that it can run anyway.
func (c *confiner) like(l *pg_query.TableLikeClause) error {
	rel, err := c.relation(l.Relation, nil)
	if err != nil {
		return err
	}
	writable := rel.Class == catalog.Tenanted || rel.Class == catalog.SharedReadWrite || rel.Class == catalog.Temporary
	if rel.Kind != 'r' && rel.Kind != 'p' || !writable && (l.Options != 0 || rel.Class != catalog.Shared) {
		return c.refusal(ruleTemporaryForm, fmt.Sprintf("a temporary table LIKE %s %q", kindWord(rel.Kind), rel.Name),
			"Write its columns, or CREATE TEMP TABLE AS SELECT.", l.Relation.Location)
	}
	return nil
}

// ownTable resolves the name of a table that has to be one of the session's.
func (c *confiner) ownTable(stmt *pg_query.Node, rv *pg_query.RangeVar) error {
	if rv == nil {
		return unsupportedNode(nodeName(stmt), -1)
	}
	rel, ok := c.catalog.Lookup(rv.Schemaname, rv.Relname)
	switch {
	case !ok || rv.Catalogname != "":
		return &UndefinedTableError{Name: writtenName(rv), Position: c.position(rv.Location)}
	case rel.Class != catalog.Temporary:
		return refuseStatement(stmt, place{sql: c.source.sql, offset: int(max(rv.Location, 0))})
	}
	c.temporary = true
	if rv.Schemaname == "" {
		c.qualify(rv, rel)
	}
	return nil
}

// dropTables resolves the names of DROP TABLE. The tree has no places of them:
// the text is made from the tree.
func (c *confiner) dropTables(stmt *pg_query.Node, s *pg_query.DropStmt) error {
	for _, n := range s.Objects {
		names, ok := nameParts(n.GetList().GetItems())
		if !ok || len(names) > 2 {
			return unsupportedNode(nodeName(n), -1)
		}
		rv := &pg_query.RangeVar{Relname: names[len(names)-1]}
		if len(names) == 2 {
			rv.Schemaname = names[0]
		}
		rel, found := c.catalog.Lookup(rv.Schemaname, rv.Relname)
		unknown := !found && s.MissingOk && (rv.Schemaname == "" || rv.Schemaname == catalog.SchemaTemporary)
		switch {
		case unknown:
		case !found:
			return &UndefinedTableError{Name: writtenName(rv)}
		case rel.Class != catalog.Temporary:
			return refuseStatement(stmt, place{sql: c.source.sql})
		}
		if rv.Schemaname == "" {
			n.GetList().Items = []*pg_query.Node{stringNode(catalog.SchemaTemporary), stringNode(rv.Relname)}
			c.fail()
		}
	}
	return nil
}

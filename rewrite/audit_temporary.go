package rewrite

import (
	"reflect"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// Temporary tables hold what the session put there: the audit takes them for
// confined, if the name cannot be that of anything else.

// isTemporary reports whether a name is that of a temporary table, whatever
// else there is.
func isTemporary(rv *pg_query.RangeVar, rel *catalog.Relation) bool {
	return rel.Class == catalog.Temporary && rv.Schemaname == catalog.SchemaTemporary
}

// creates fails unless a new table is temporary.
func (a *auditor) creates(rv *pg_query.RangeVar) error {
	if !isTemporaryName(rv) {
		return auditFailure("table %s is created", writtenName(rv))
	}
	return nil
}

// createTable goes over CREATE TABLE: nothing in it may read another relation.
func (a *auditor) createTable(s *pg_query.CreateStmt, env *visible) error {
	if err := a.creates(s.Relation); err != nil {
		return err
	}
	if len(s.InhRelations) > 0 || s.Partbound != nil || s.Partspec != nil || s.OfTypename != nil || len(s.Options) > 0 {
		return auditFailure("form of CREATE TABLE")
	}
	return a.fields(reflect.ValueOf(s).Elem(), env, "Relation")
}

// like goes over LIKE, which takes no rows.
func (a *auditor) like(l *pg_query.TableLikeClause, env *visible) error {
	rel, err := a.lookup(l.Relation, env)
	if err != nil {
		return err
	}
	switch rel.Class {
	case catalog.Tenanted, catalog.Shared, catalog.SharedReadWrite, catalog.Temporary:
		return nil
	default:
		return auditFailure("LIKE of %s", writtenName(l.Relation))
	}
}

// own fails unless a statement concerns a temporary table.
func (a *auditor) own(rv *pg_query.RangeVar) error {
	if rv == nil {
		return auditFailure("statement without a table")
	}
	rel, err := a.lookup(rv, nil)
	if err != nil {
		return err
	}
	if !isTemporary(rv, rel) {
		return auditFailure("definition or content of %s is changed", writtenName(rv))
	}
	return nil
}

// dropTables goes over DROP: all names must be of temporary tables.
func (a *auditor) dropTables(s *pg_query.DropStmt) error {
	if s.RemoveType != pg_query.ObjectType_OBJECT_TABLE {
		return auditFailure("DROP of something else than a table")
	}
	for _, n := range s.Objects {
		if names, ok := nameParts(n.GetList().GetItems()); !ok || len(names) != 2 || names[0] != catalog.SchemaTemporary {
			return auditFailure("DROP of a table that is not temporary")
		}
	}
	return nil
}

// truncate and analyze name tables alone.

func (a *auditor) truncate(s *pg_query.TruncateStmt) error {
	for _, n := range s.Relations {
		if err := a.own(n.GetRangeVar()); err != nil {
			return err
		}
	}
	return nil
}

func (a *auditor) analyze(s *pg_query.VacuumStmt) error {
	if s.IsVacuumcmd || len(s.Options) > 0 || len(s.Rels) == 0 {
		return auditFailure("VACUUM, or ANALYZE of everything")
	}
	for _, n := range s.Rels {
		if err := a.own(n.GetVacuumRelation().GetRelation()); err != nil {
			return err
		}
	}
	return nil
}

// temporary goes over a statement that concerns temporary tables alone. done
// is false for all others.
func (a *auditor) temporary(node any, env *visible) (done bool, err error) {
	switch n := node.(type) {
	case *pg_query.CreateStmt:
		return true, a.createTable(n, env)
	case *pg_query.TableLikeClause:
		return true, a.like(n, env)
	case *pg_query.CreateTableAsStmt:
		if n.Query.GetSelectStmt() == nil || n.Objtype != pg_query.ObjectType_OBJECT_TABLE {
			return true, auditFailure("form of CREATE TABLE AS")
		}
		return false, nil
	case *pg_query.IntoClause:
		if err := a.creates(n.Rel); err != nil {
			return true, err
		}
		return true, a.fields(reflect.ValueOf(n).Elem(), env, "Rel")
	case *pg_query.IndexStmt:
		if err := a.own(n.Relation); err != nil {
			return true, err
		}
		return true, a.fields(reflect.ValueOf(n).Elem(), env, "Relation")
	case *pg_query.DropStmt:
		return true, a.dropTables(n)
	case *pg_query.TruncateStmt:
		return true, a.truncate(n)
	case *pg_query.VacuumStmt:
		return true, a.analyze(n)
	default:
		return false, nil
	}
}

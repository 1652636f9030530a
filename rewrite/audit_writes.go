package rewrite

import (
	"reflect"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// assignments goes over a SET list: what the tenant column gets must be the
// key.
func (a *auditor) assignments(list []*pg_query.Node, rv *pg_query.RangeVar, rel *catalog.Relation, excluded bool) error {
	for _, n := range list {
		target := n.GetResTarget()
		if target == nil || target.Name == rel.TenantColumn && len(target.Indirection) > 0 {
			return auditFailure("assignment to part of the tenant column of %s", rel.Name)
		}
		if target.Name != rel.TenantColumn {
			continue
		}
		value := target.Val
		if multi := value.GetMultiAssignRef(); multi != nil {
			args := multi.Source.GetRowExpr().GetArgs()
			if len(args) != int(multi.Ncolumns) || multi.Colno < 1 || int(multi.Colno) > len(args) {
				return auditFailure("tenant column of %s is assigned from a row", rel.Name)
			}
			value = args[multi.Colno-1]
		}
		if path, ok := columnPath(value); ok && path[len(path)-1] == rel.TenantColumn {
			qualifier := path[:len(path)-1]
			if len(qualifier) == 0 || refersTo(qualifier, rv) || excluded && len(qualifier) == 1 && qualifier[0] == "excluded" {
				continue
			}
		}
		if !a.isOwn(value, rel) {
			return auditFailure("tenant column of %s is assigned", rel.Name)
		}
	}
	return nil
}

// isOwn reports whether a value is the key, or a constant or parameter that
// is compared with it.
func (a *auditor) isOwn(n *pg_query.Node, rel *catalog.Relation) bool {
	t := tenantColumnType(rel)
	if a.isKey(n, t) {
		return true
	}
	f := familyOf(t)
	if tc := n.GetTypeCast(); tc != nil {
		if !a.isFaithful(tc.TypeName, f) {
			return false
		}
		n = tc.Arg
	}
	return a.isKey(n, t) || a.isChecked(n, rel, f)
}

// isFaithful reports whether a cast to a type changes no value of a family.
func (a *auditor) isFaithful(name *pg_query.TypeName, f family) bool {
	if len(name.GetTypmods()) > 0 || len(name.GetArrayBounds()) > 0 || name.GetSetof() || name.GetPctType() {
		return false
	}
	var names []string
	for _, n := range name.GetNames() {
		names = append(names, n.GetString_().GetSval())
	}
	if len(names) == 2 && names[0] == "pg_catalog" {
		names = names[1:]
	}
	if len(names) != 1 {
		return false
	}
	if _, user := a.catalog.Type("", names[0]); user && len(name.GetNames()) == 1 {
		return false
	}
	faithful := map[string]family{
		"int2": familyInteger, "int4": familyInteger, "int8": familyInteger,
		"text": familyText, "varchar": familyText, "uuid": familyUUID,
	}
	is, ok := faithful[names[0]]
	return ok && is == f
}

func (a *auditor) insertStmt(s *pg_query.InsertStmt, env *visible) error {
	env, err := a.with(s.WithClause, env)
	if err != nil {
		return err
	}
	rel, err := a.target(s.Relation)
	if err != nil {
		return err
	}
	if rel.Class == catalog.Tenanted {
		if err := a.rows(s, rel); err != nil {
			return err
		}
		if oc := s.OnConflictClause; oc != nil && oc.Action != pg_query.OnConflictAction_ONCONFLICT_NOTHING {
			if referenceName(s.Relation) == "excluded" || !a.hasPredicate(conjunctsOf(oc.WhereClause), s.Relation, rel) {
				return auditFailure("ON CONFLICT on %s is not confined", writtenName(s.Relation))
			}
			if err := a.assignments(oc.TargetList, s.Relation, rel, true); err != nil {
				return err
			}
		}
	}
	return a.fields(reflect.ValueOf(s).Elem(), env, "WithClause", "Relation")
}

// rows goes over what an INSERT writes into the tenant column.
func (a *auditor) rows(s *pg_query.InsertStmt, rel *catalog.Relation) error {
	place, count := -1, 0
	for i, n := range s.Cols {
		if target := n.GetResTarget(); target.GetName() == rel.TenantColumn && len(target.GetIndirection()) == 0 {
			place = i
			count++
		} else if target.GetName() == rel.TenantColumn {
			return auditFailure("INSERT into a part of the tenant column of %s", rel.Name)
		}
	}
	if count != 1 {
		return auditFailure("INSERT into %s names the tenant column %d times", rel.Name, count)
	}
	return a.arm(s.SelectStmt.GetSelectStmt(), rel, place, place == len(s.Cols)-1)
}

// arm goes over one arm of the rows' source. last tells that the tenant column
// is the last of the list; as the server wants as many values as columns, the
// last value is then the one that it gets.
func (a *auditor) arm(s *pg_query.SelectStmt, rel *catalog.Relation, place int, last bool) error {
	if s == nil {
		return auditFailure("INSERT into %s without rows", rel.Name)
	}
	if s.Larg != nil || s.Rarg != nil {
		if err := a.arm(s.Larg, rel, place, last); err != nil {
			return err
		}
		return a.arm(s.Rarg, rel, place, last)
	}
	if len(s.ValuesLists) == 0 {
		var values []*pg_query.Node
		for _, n := range s.TargetList {
			values = append(values, n.GetResTarget().GetVal())
		}
		return a.row(values, s, rel, place, last)
	}
	for _, n := range s.ValuesLists {
		if err := a.row(n.GetList().GetItems(), s, rel, place, last); err != nil {
			return err
		}
	}
	return nil
}

func (a *auditor) row(values []*pg_query.Node, s *pg_query.SelectStmt, rel *catalog.Relation, place int, last bool) error {
	if last && len(values) > 0 && a.isKey(values[len(values)-1], tenantColumnType(rel)) {
		return nil
	}
	for i, n := range values {
		path := n.GetColumnRef().GetFields()
		if in := n.GetAIndirection(); in != nil {
			path = in.Indirection
		}
		if len(path) > 0 && path[len(path)-1].GetAStar() != nil {
			break // from here on the places are not known
		}
		if i < place {
			continue
		}
		if a.isOwn(n, rel) || a.isTenantColumnOf(n, s, rel) {
			return nil
		}
		break
	}
	return auditFailure("INSERT into %s does not write the tenant's key", rel.Name)
}

// isTenantColumnOf recognizes the tenant column of a table in the FROM clause
// of a SELECT. That the table is confined there is seen to by selectStmt.
func (a *auditor) isTenantColumnOf(n *pg_query.Node, s *pg_query.SelectStmt, rel *catalog.Relation) bool {
	path, ok := columnPath(n)
	if !ok {
		return false
	}
	for _, g := range s.GroupClause {
		if g.GetGroupingSet() != nil {
			return false
		}
	}
	items, ok := innerItems(s.FromClause)
	if !ok {
		return false
	}
	matches := 0
	for _, item := range items {
		rv := itemRelation(item)
		qualifier := path[:len(path)-1]
		switch {
		case len(qualifier) == 0 && (rv == nil || len(items) != 1):
			return false
		case len(qualifier) > 0 && (rv == nil || !refersTo(qualifier, rv)):
			continue
		}
		matches++
		source, found := a.catalog.Lookup(rv.Schemaname, rv.Relname)
		exposed, unique := "", false
		if found && rv.Schemaname != "" && source.Class == catalog.Tenanted {
			exposed, unique = exposedTenantColumn(rv, source)
		}
		if !unique || exposed != path[len(path)-1] || tenantColumnType(source).OID != tenantColumnType(rel).OID {
			return false
		}
	}
	return matches == 1
}

// innerItems are the items of a FROM clause that no outer join can replace by
// NULLs. Empty sub-selects are left out.
func innerItems(from []*pg_query.Node) ([]*pg_query.Node, bool) {
	var items []*pg_query.Node
	for _, n := range from {
		j := n.GetJoinExpr()
		switch {
		case j == nil && isEmptySelect(n.GetRangeSubselect().GetSubquery().GetSelectStmt()):
		case j == nil:
			items = append(items, n)
		case j.Jointype != pg_query.JoinType_JOIN_INNER || j.Alias != nil:
			return nil, false
		default:
			inner, ok := innerItems(one(j.Larg, j.Rarg))
			if !ok {
				return nil, false
			}
			items = append(items, inner...)
		}
	}
	return items, true
}

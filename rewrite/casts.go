package rewrite

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tenantgate/rewrite/catalog"
)

// The server calls the function of a cast without being told to: in an
// assignment to a column, and if the cast is implicit wherever an argument or
// operand is to have another type. Which type a value has there the guard does
// not know. So it looks at where values of such types come from: columns,
// parameters, and functions that the configuration allows.

// permitted reports whether tenants may call a function of a cast.
func permitted(cat *catalog.Snapshot, f catalog.Name) bool {
	return slices.ContainsFunc(cat.Functions(f.Name), func(known catalog.Function) bool {
		return known.Schema == f.Schema && known.Allowed
	})
}

// unlistedCast returns a cast from or to a type, of that context or one that
// takes less, whose function tenants may not call.
func unlistedCast(cat *catalog.Snapshot, oid uint32, contexts ...catalog.CastContext) (catalog.Cast, bool) {
	for _, c := range cat.Casts(oid) {
		if slices.Contains(contexts, c.Context) && !permitted(cat, c.Function) {
			return c, true
		}
	}
	return catalog.Cast{}, false
}

// refuseCast makes the error of a cast that the server could make by itself.
func refuseCast(c catalog.Cast, what string, at place) error {
	return &ForbiddenError{
		Rule:     ruleTypeUnlisted,
		Message:  fmt.Sprintf("permission denied for type %s.%s of %s", c.Type.Schema, c.Type.Name, what),
		Hint:     fmt.Sprintf("A cast that need not be written calls %s; the operator can list it under tenancy.functions.allow.", c.Function),
		Position: at.position(),
	}
}

// castsOfColumns decides about the casts that naming a relation can bring
// about; those that only a write makes wait for one.
func (w *walk) castsOfColumns(rel *catalog.Relation, rv *pg_query.RangeVar) error {
	for i := range rel.Columns {
		oid := rel.Columns[i].Type.OID
		if c, found := unlistedCast(w.cat, oid, catalog.CastImplicit); found {
			return refuseCast(c, "column "+rel.Columns[i].Name, w.at(rv.Location))
		}
		if c, found := unlistedCast(w.cat, oid, catalog.CastAssignment); found && w.assigned == nil {
			w.assigned = refuseCast(c, "column "+rel.Columns[i].Name, w.at(rv.Location))
		}
	}
	return nil
}

// castsOfFunction decides about the casts of what an allowed function takes
// and returns.
func (w *walk) castsOfFunction(f *catalog.Function, c *call) error {
	for _, oid := range f.Types {
		if k, found := unlistedCast(w.cat, oid, catalog.CastImplicit); found {
			return refuseCast(k, "function "+f.Name, w.at(c.location))
		}
		if k, found := unlistedCast(w.cat, oid, catalog.CastAssignment); found && w.assigned == nil {
			w.assigned = refuseCast(k, "function "+f.Name, w.at(c.location))
		}
	}
	return nil
}

// castsOfParameters decides about the types that a client declares for
// parameters, as if it had written them.
func castsOfParameters(oids []uint32, cat *catalog.Snapshot) error {
	for i, oid := range oids {
		if c, found := unlistedCast(cat, oid, catalog.CastExplicit, catalog.CastAssignment, catalog.CastImplicit); found {
			return refuseCast(c, fmt.Sprintf("parameter $%d", i+1), place{offset: -1})
		}
	}
	return nil
}

// writes notes a statement that assigns to columns.
func writes(w *walk, m protoreflect.ProtoMessage) (bool, error) {
	w.writes = true
	return draws(w, m)
}

func (w *walk) copyStmt(s *pg_query.CopyStmt) error {
	w.writes = w.writes || s.IsFrom
	return nil
}

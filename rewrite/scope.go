package rewrite

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A scope holds the names of the common table expressions that a part of a
// statement sees. nil is the scope with none.
type scope struct {
	names  map[string]bool
	parent *scope
}

func (sc *scope) has(name string) bool {
	for ; sc != nil; sc = sc.parent {
		if sc.names[name] {
			return true
		}
	}
	return false
}

// with confines the bodies of a WITH clause and returns the scope of the
// statement that has it. A body sees the names before its own, and with
// RECURSIVE all of the list.
func (c *confiner) with(w *pg_query.WithClause, outer *scope) (*scope, error) {
	if w == nil {
		return outer, nil
	}
	inner := &scope{names: make(map[string]bool, len(w.Ctes)), parent: outer}
	bodies := make([]*pg_query.CommonTableExpr, 0, len(w.Ctes))
	for _, n := range w.Ctes {
		cte := n.GetCommonTableExpr()
		if cte == nil {
			return nil, unsupportedNode(nodeName(n), w.Location)
		}
		bodies = append(bodies, cte)
		if w.Recursive {
			inner.names[cte.Ctename] = true
		}
	}
	for _, cte := range bodies {
		if err := c.commonTable(cte, inner); err != nil {
			return nil, err
		}
		inner.names[cte.Ctename] = true
	}
	return inner, nil
}

// commonTable confines the body of one common table expression.
func (c *confiner) commonTable(cte *pg_query.CommonTableExpr, sc *scope) error {
	if err := c.nodes(sc, cte.Aliascolnames, one(cte.Ctequery)); err != nil {
		return err
	}
	if s := cte.SearchClause; s != nil {
		if err := c.nodes(sc, s.SearchColList); err != nil {
			return err
		}
	}
	if cycle := cte.CycleClause; cycle != nil {
		return c.nodes(sc, cycle.CycleColList, one(cycle.CycleMarkValue, cycle.CycleMarkDefault))
	}
	return nil
}

// A use is what a statement does with a relation.
type use uint8

const (
	useRead  use = iota
	useItem      // as a FROM item, which can be something else than a name
	useWrite     // the target of INSERT, UPDATE, DELETE, MERGE
)

// relation finds what a name means that must stay one: nil for a common table
// expression. Names of the catalog get their schema, so that the server finds
// the same relation whatever else it knows.
func (c *confiner) relation(rv *pg_query.RangeVar, sc *scope) (*catalog.Relation, error) {
	return c.read(rv, sc, useRead)
}

// item does the same for a FROM item. The caller has to expand views.
func (c *confiner) item(rv *pg_query.RangeVar, sc *scope) (*catalog.Relation, error) {
	return c.read(rv, sc, useItem)
}

func (c *confiner) read(rv *pg_query.RangeVar, sc *scope, u use) (*catalog.Relation, error) {
	if rv.Schemaname == "" && rv.Catalogname == "" && sc.has(rv.Relname) {
		return nil, nil
	}
	return c.resolve(rv, u)
}

// target finds the relation that a statement writes to. It is never a common
// table expression.
func (c *confiner) target(rv *pg_query.RangeVar) (*catalog.Relation, error) {
	if rv == nil {
		return nil, unsupportedNode("statement without a table", -1)
	}
	return c.resolve(rv, useWrite)
}

func (c *confiner) resolve(rv *pg_query.RangeVar, u use) (*catalog.Relation, error) {
	if rv.Catalogname != "" {
		return nil, c.refusal(ruleRelationDatabase, "a table name with the name of a database",
			"Write schema.table.", rv.Location)
	}
	rel, ok := c.catalog.Lookup(rv.Schemaname, rv.Relname)
	if !ok {
		return nil, &UndefinedTableError{Name: writtenName(rv), Position: c.position(rv.Location)}
	}
	if err := c.permit(rel, rv, u); err != nil {
		return nil, err
	}
	c.resolved[rv] = rel
	// A view is replaced as a whole. In a view, a system catalog's name must
	// not become that of a common table expression of the client's.
	if rv.Schemaname == "" && (rel.Class == catalog.Temporary || c.config.Confine && rel.Class != catalog.Derived &&
		(rel.Class != catalog.System || len(c.within) > 0)) {
		c.qualify(rv, rel)
	}
	c.temporary = c.temporary || rel.Class == catalog.Temporary
	return rel, nil
}

// qualify writes the schema before a name. References to the relation's
// columns go on to work: it keeps its name.
func (c *confiner) qualify(rv *pg_query.RangeVar, rel *catalog.Relation) {
	if i := c.source.find(rv.Location); i >= 0 {
		at := c.source.tokens[i].start
		c.splice(splice{start: at, end: at, rank: rankSchema, text: quoteIdent(rel.Schema) + "."})
	} else {
		c.fail()
	}
	rv.Schemaname = rel.Schema
	c.unqualified[rv] = true
}

// permit refuses relations by class and kind.
func (c *confiner) permit(rel *catalog.Relation, rv *pg_query.RangeVar, u use) error {
	table := rel.Kind == 'r' || rel.Kind == 'p'
	switch rel.Class {
	case catalog.Tenanted:
		if !table {
			return c.permitKind(rel, rv, u)
		}
		if !c.config.Confine && len(c.within) > 0 {
			return c.permitBelow(rel)
		}
		if c.config.RequireRowSecurity && !rel.RowSecurity {
			return &ForbiddenError{
				Rule:     ruleRelationNoRowSecurity,
				Message:  fmt.Sprintf("permission denied for table %s", rel.Name),
				Hint:     "The table has no row-level security; the operator can add it with tenantgate bootstrap.",
				Position: c.position(rv.Location),
			}
		}
		return nil
	case catalog.Shared:
		if rel.Kind == 'S' || !table && !queryable(rel.Kind) {
			return c.refusalOfKind(rel, rv)
		}
		if u == useWrite {
			return c.readOnly(rel, rv.Location)
		}
		return nil
	case catalog.SharedReadWrite:
		if u == useWrite && rel.Kind == 'v' {
			return c.viewWrite(rel, rv)
		}
		if !table && (u == useWrite || !queryable(rel.Kind)) {
			return c.refusalOfKind(rel, rv)
		}
		return nil
	case catalog.System:
		if u == useWrite {
			return c.denied(rel, rv.Location)
		}
		return c.system(rel, rv, u)
	case catalog.Derived:
		return c.permitView(rel, rv, u)
	case catalog.Temporary:
		if !c.config.TempTables || len(c.within) > 0 { // what a view names is permanent
			return c.denied(rel, rv.Location)
		}
		return nil
	default: // Denied, and whatever nobody classified
		return c.denied(rel, rv.Location)
	}
}

// permitKind decides about relations with the tenant column that are no
// tables. They have no policies: predicates alone can confine them. A
// materialized view can only be read; what comes from a foreign table is
// another server's, and is not trusted where row-level security is asked for.
func (c *confiner) permitKind(rel *catalog.Relation, rv *pg_query.RangeVar, u use) error {
	switch {
	case c.config.Confine && rel.Kind == 'm' && u == useItem,
		c.config.Confine && rel.Kind == 'f' && !c.config.RequireRowSecurity:
		return nil
	}
	return c.refusalOfKind(rel, rv)
}

// permitView decides about a view that stands for its definition.
func (c *confiner) permitView(rel *catalog.Relation, rv *pg_query.RangeVar, u use) error {
	switch {
	case u == useWrite:
		return c.viewWrite(rel, rv)
	case !c.config.Confine:
		return c.checkView(rv, rel)
	case u == useItem:
		return nil
	default:
		return c.refusalOfKind(rel, rv)
	}
}

// viewWrite refuses writes through a view, whoever it is for.
func (c *confiner) viewWrite(rel *catalog.Relation, rv *pg_query.RangeVar) error {
	return c.refusal(ruleRelationViewWrite, fmt.Sprintf("writing through view %q", rel.Name),
		"Write to the tables themselves.", rv.Location)
}

// queryable reports whether a relation that is no table can be read once the
// configuration says that its rows are for all.
func queryable(kind byte) bool { return kind == 'v' || kind == 'm' || kind == 'f' }

func (c *confiner) refusalOfKind(rel *catalog.Relation, rv *pg_query.RangeVar) error {
	return c.refusal(kindRule(rel.Kind), fmt.Sprintf("%s %q", kindWord(rel.Kind), rel.Name),
		"Name the tables themselves; the operator can list the relation as shared if its rows are for all tenants.", rv.Location)
}

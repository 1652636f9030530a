package rewrite

import (
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// Some system catalogs show a tenant less than there is, in every enforcement:
// those of the "empty" sections of relations.txt no rows, and to pg_dump
// pg_class and what refers to it none of the relations that are not the
// tenant's to dump.

// dumpColumns are the columns by which pg_dump gets to know relations, by the
// system catalog that has them.
var dumpColumns = map[string]string{
	"pg_class":             "oid",
	"pg_inherits":          "inhparent",
	"pg_partitioned_table": "partrelid",
	"pg_rewrite":           "ev_class",
	"pg_sequence":          "seqrelid",
}

// narrow leaves rows of system catalogs out that are items of a FROM clause,
// whose relations are resolved. Plain items take a condition in WHERE, others a
// filter join. plain is nil where there is no WHERE.
func (c *confiner) narrow(from []*pg_query.Node, plain *plainItems) error {
	for _, n := range from {
		if j := n.GetJoinExpr(); j != nil {
			if err := c.narrow(one(j.Larg, j.Rarg), nil); err != nil {
				return err
			}
			continue
		}
		rv := itemRelation(n)
		rel := c.resolved[rv]
		if rv == nil || rel == nil || rel.Class != catalog.System {
			continue
		}
		p, ok, err := c.narrowing(rv, rel)
		switch {
		case err != nil:
			return err
		case ok && plain != nil:
			c.addPlain(plain, rv, p, n.GetRangeTableSample() != nil)
		case ok:
			c.joinFilter(n, rv, rel, p)
		}
	}
	return nil
}

// narrowing is the condition on a system catalog's rows; ok is false if there
// is none.
func (c *confiner) narrowing(rv *pg_query.RangeVar, rel *catalog.Relation) (p condition, ok bool, err error) {
	if vacant(rel) {
		c.vacant--
		return condition{
			node: &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
				Val: &pg_query.A_Const_Boolval{Boolval: &pg_query.Boolean{}},
			}}},
			text: "false",
		}, true, nil
	}
	column := dumpColumns[rel.Name]
	if !c.dump || rel.Schema != schemaCatalog || column == "" {
		return condition{}, false, nil
	}
	if len(rv.Alias.GetColnames()) > 0 {
		return condition{}, false, c.refusal(ruleAliasAmbiguous, "an alias with columns for "+rel.Name, "Leave the columns out.", rv.Location)
	}
	path := []string{referenceName(rv), column}
	hidden := c.undumped()
	list := catalog.Type{Schema: schemaCatalog, Name: "oid"}
	array := cast(stringConst(hidden), list)
	array.GetTypeCast().TypeName.ArrayBounds = one(&pg_query.Node{Node: &pg_query.Node_Integer{Integer: &pg_query.Integer{Ival: -1}}})
	return condition{
		node: &pg_query.Node{Node: &pg_query.Node_AExpr{AExpr: &pg_query.A_Expr{
			Kind: pg_query.A_Expr_Kind_AEXPR_OP_ALL, Name: one(stringNode("<>")), Lexpr: columnRef(path...), Rexpr: array,
		}}},
		text: quotePath(path) + " <> ALL (" + quoteLiteral(hidden) + "::pg_catalog.oid[])",
	}, true, nil
}

// undumped are the relations that are no part of a tenant's dump, as an array
// of object ids: all but tables of its own. Views stay, for they hold no rows.
func (c *confiner) undumped() string {
	var ids strings.Builder
	for i, relations := 0, c.catalog.Relations(); i < len(relations); i++ {
		rel := &relations[i]
		table := rel.Kind == 'r' || rel.Kind == 'p'
		own := rel.Class == catalog.Tenanted || c.config.OneTenant && rel.Class == catalog.SharedReadWrite
		if rel.Class == catalog.System || rel.Kind == 'v' || table && own {
			continue
		}
		if ids.Len() > 0 {
			ids.WriteByte(',')
		}
		ids.WriteString(strconv.FormatUint(uint64(rel.OID), 10))
	}
	return "{" + ids.String() + "}"
}

// vacant reports whether a system relation shows tenants no rows.
func vacant(rel *catalog.Relation) bool {
	return systemRelations[catalog.Name{Schema: rel.Schema, Name: rel.Name}].empty
}

package rewrite

import (
	_ "embed"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

//go:embed relations.txt
var relationList string

// systemRelations are relations.txt: the reason for each name, and whether
// tenants may read it.
var systemRelations = parseRelations(relationList)

// A relationRule is what relations.txt says about a relation.
type relationRule struct {
	readable bool
	empty    bool // it can be read, but shows no rows
	reason   string
}

func parseRelations(list string) map[catalog.Name]relationRule {
	rules := make(map[catalog.Name]relationRule)
	for _, s := range parseSections(list) {
		var rule relationRule
		switch s.header[0] {
		case "allow":
			rule.readable = true
		case "empty":
			rule.empty = true
		case "refuse":
		default:
			panic("rewrite: relations.txt has a section " + s.header[0])
		}
		rule.reason = s.reason
		for _, name := range s.names {
			rules[catalog.Name{Schema: s.header[1], Name: name}] = rule
		}
	}
	return rules
}

// readableCatalog reports whether tenants may read a relation of pg_catalog or
// information_schema.
func readableCatalog(name, schema string) bool {
	return systemRelations[catalog.Name{Schema: schema, Name: name}].readable
}

// system refuses system relations that tenants may not read. Those that show
// no rows have to be FROM items, and below a view the view's owner reads them.
func (c *confiner) system(rel *catalog.Relation, rv *pg_query.RangeVar, u use) error {
	if c.dump && rel.Name == "pg_attrdef" { // needed for definitions alone
		return c.refusal(ruleDumpDefinitions, "pg_dump of definitions", "Use pg_dump --data-only, or a login of an operator.", rv.Location)
	}
	if readableCatalog(rel.Name, rel.Schema) {
		return nil
	}
	if vacant(rel) && u == useItem && len(c.within) == 0 {
		c.vacant++
		return nil
	}
	hint := "The relation is not on the list of system catalogs that tenants may read."
	if rule, ok := systemRelations[catalog.Name{Schema: rel.Schema, Name: rel.Name}]; ok {
		hint = "Not for tenants: " + rule.reason + "."
	}
	return &ForbiddenError{
		Rule:     ruleRelationSystem,
		Message:  "permission denied for " + kindWord(rel.Kind) + " " + rel.Name,
		Hint:     hint,
		Position: c.position(rv.Location),
	}
}

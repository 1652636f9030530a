package doctor

import (
	"slices"
	"strings"

	"tenantgate/rewrite/catalog"
)

var accessChecks = []check{
	{
		name: "privileges-on-relations",
		when: manyTenants,
		sql: func(p *patient) (string, []string) {
			whole := []string{"DELETE", "TRUNCATE", "TRIGGER"}
			if p.snapshot.ServerVersion >= 170000 {
				whole = append(whole, "MAINTAIN")
			}
			return `
				SELECT json_build_array(c.oid::int8,
					(SELECT json_agg(x.privilege) FROM (
						SELECT privilege FROM unnest($1::text[]) AS privilege WHERE has_table_privilege(c.oid, privilege)
						UNION ALL
						SELECT privilege FROM unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS privilege WHERE has_any_column_privilege(c.oid, privilege)
					) AS x))
				FROM pg_class AS c
				JOIN pg_namespace AS n ON n.oid = c.relnamespace
				WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
					AND n.nspname !~ '^pg_(toast_)?temp' AND has_schema_privilege(n.oid, 'USAGE')
					AND NOT pg_has_role(c.relowner, 'USAGE') -- role-owns and role-member say so
				ORDER BY n.nspname, c.relname`, []string{"{" + strings.Join(whole, ",") + "}"}
		},
		find: findAccess,
	},
	{
		name: "sequences",
		when: manyTenants,
		sql: plain(`
			SELECT json_build_array(c.oid::int8, has_sequence_privilege(c.oid, 'SELECT'), has_sequence_privilege(c.oid, 'UPDATE'))
			FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
			WHERE c.relkind = 'S' AND n.nspname !~ '^pg_(toast_)?temp' AND has_schema_privilege(n.oid, 'USAGE')
			ORDER BY n.nspname, c.relname`),
		find: findSequences,
	},
}

func manyTenants(p *patient) bool { return !p.cfg.OneTenant }

func findAccess(p *patient, rows []row) error {
	for _, r := range rows {
		var oid uint32
		var have []string
		if err := r.scan(&oid, &have); err != nil {
			return err
		}
		if relation, ok := p.byOID[oid]; ok {
			p.judgeAccess(relation, have)
		}
	}
	return nil
}

// judgeAccess finds what the role may do to a relation and should not.
func (p *patient) judgeAccess(r *catalog.Relation, have []string) {
	among := func(privileges ...string) []string {
		return slices.DeleteFunc(slices.Clone(have), func(one string) bool { return !slices.Contains(privileges, one) })
	}
	object, on := qualified(r), "TABLE "+qualified(r)
	if past := among("TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"); len(past) > 0 {
		list := strings.Join(past, ", ")
		p.add(Error, "privilege-past-policies", object, "the role has "+list+", for which no policy and no predicate holds", p.fromRole(list, on))
	}
	data := among("SELECT", "INSERT", "UPDATE", "DELETE")
	writes := among("INSERT", "UPDATE", "DELETE")
	switch {
	case r.Class == catalog.Denied && len(data) > 0:
		list := strings.Join(data, ", ")
		p.add(Error, "denied-accessible", object, "tenants must not touch it, for "+r.Reason+", and the role has "+list, p.fromRole(list, on))
	case r.Class == catalog.Shared && len(writes) > 0:
		list := strings.Join(writes, ", ")
		p.add(Error, "shared-writable", object, "it is shared and for reading alone, and the role has "+list, p.fromRole(list, on))
	case r.Class == catalog.Tenanted && !tenantedTable(r) && len(data) > 0 && reliesOnPolicies(p) && !p.cfg.Rewriting:
		list := strings.Join(data, ", ")
		p.add(Warning, "relation-without-policies", object, "it is no table: no policy can hold its rows, and the role has "+list, p.fromRole(list, on))
	}
}

func findSequences(p *patient, rows []row) error {
	for _, r := range rows {
		var oid uint32
		var reads, sets bool
		if err := r.scan(&oid, &reads, &sets); err != nil {
			return err
		}
		sequence, ok := p.byOID[oid]
		if !ok || !reads && !sets {
			continue
		}
		p.add(Warning, "sequence-privilege", qualified(sequence),
			"a sequence counts for all tenants: who reads it learns how much they do, who sets it disturbs them; defaults need USAGE alone",
			p.fromRole("SELECT, UPDATE", "SEQUENCE "+qualified(sequence)))
	}
	return nil
}

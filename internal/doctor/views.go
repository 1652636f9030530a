package doctor

import (
	"slices"
	"strings"

	"tenantgate/rewrite/catalog"
)

// invokerVersion is the first PostgreSQL whose views can be read with the
// rights of the reader.
const invokerVersion = 150000

var viewChecks = []check{{
	name: "views",
	when: manyTenants,
	sql: plain(`
		WITH RECURSIVE below (view, relation) AS (
			SELECT r.ev_class, d.refobjid
			FROM pg_rewrite AS r
			JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'v'
			JOIN pg_namespace AS n ON n.oid = v.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema')
			JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
			WHERE r.rulename = '_RETURN' AND d.refobjid <> r.ev_class
		), reached (view, relation) AS (
			SELECT view, relation FROM below
			UNION
			SELECT a.view, b.relation FROM reached AS a JOIN below AS b ON b.view = a.relation
		)
		SELECT json_build_array(v.oid::int8, o.rolsuper OR o.rolbypassrls, quote_ident(o.rolname), v.reloptions::text ~ 'security_invoker=(true|on|1|yes)',
			(SELECT json_agg(DISTINCT x.relation::int8) FROM reached AS x WHERE x.view = v.oid))
		FROM pg_class AS v
		JOIN pg_namespace AS n ON n.oid = v.relnamespace
		JOIN pg_roles AS o ON o.oid = v.relowner
		WHERE v.relkind = 'v' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast_)?temp'
			AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(v.oid, 'SELECT')
		ORDER BY n.nspname, v.relname`),
	find: findViews,
}}

func findViews(p *patient, rows []row) error {
	for _, r := range rows {
		var oid uint32
		var exempt, invoker bool
		var owner string
		var below []uint32
		if err := r.scan(&oid, &exempt, &owner, &invoker, &below); err != nil {
			return err
		}
		view, ok := p.byOID[oid]
		if !ok {
			continue
		}
		tenanted, denied := p.below(below)
		switch {
		case invoker || tenanted == nil || !p.cfg.RowSecurity:
		case exempt:
			p.add(Error, "view-owner-exempt", qualified(view),
				"the view reads "+names(tenanted)+" as "+owner+", whom policies do not hold: it shows all tenants' rows", p.invoke(view)...)
		case p.snapshot.ServerVersion >= invokerVersion:
			p.add(Warning, "view-not-invoker", qualified(view),
				"the view reads "+names(tenanted)+" as "+owner+", whom policies hold only as long as they are forced on owners", p.invoke(view)...)
		}
		if denied != nil {
			p.add(Warning, "view-over-denied", qualified(view), "the view shows "+names(denied)+", which tenants must not read",
				p.fromRole("ALL", "TABLE "+qualified(view)))
		}
	}
	return nil
}

// below sorts relations below a view.
func (p *patient) below(oids []uint32) (tenanted, denied []*catalog.Relation) {
	for _, oid := range oids {
		r, ok := p.byOID[oid]
		switch {
		case !ok:
		case r.Class == catalog.Tenanted:
			tenanted = append(tenanted, r)
		case r.Class == catalog.Denied && r.Kind != 'S':
			denied = append(denied, r)
		}
	}
	return tenanted, denied
}

// invoke makes a view read with the rights of the reader, or takes it away
// where the server cannot do that.
func (p *patient) invoke(view *catalog.Relation) []string {
	if p.snapshot.ServerVersion < invokerVersion {
		return []string{p.fromRole("ALL", "TABLE "+qualified(view))}
	}
	return []string{"ALTER VIEW " + qualified(view) + " SET (security_invoker = true)"}
}

func names(relations []*catalog.Relation) string {
	all := make([]string, len(relations))
	for i, r := range relations {
		all[i] = qualified(r)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

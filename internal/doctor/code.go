package doctor

import "fmt"

// Objects that run users' functions where the statement does not show it.
// Those that belong to an extension are left out.
var codeChecks = []check{
	{
		name: "user-operator",
		sql: plain(`
			SELECT json_build_array(o.oid::regoperator::text, o.oprcode::regprocedure::text)
			FROM pg_operator AS o
			JOIN pg_namespace AS n ON n.oid = o.oprnamespace
			WHERE o.oid >= 16384 AND o.oprcode <> 0 AND n.nspname !~ '^pg_(toast_)?temp' AND has_schema_privilege(n.oid, 'USAGE')
				AND has_function_privilege(o.oprcode, 'EXECUTE')
				AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e')
			ORDER BY o.oid`),
		find: findOperators,
	},
	{
		name: "user-cast",
		sql: plain(`
			SELECT json_build_array(format_type(c.castsource, NULL) || ' AS ' || format_type(c.casttarget, NULL), c.castfunc::regprocedure::text,
				c.castsource < 16384 AND c.casttarget < 16384, n.nspname, f.proname)
			FROM pg_cast AS c JOIN pg_proc AS f ON f.oid = c.castfunc JOIN pg_namespace AS n ON n.oid = f.pronamespace
			WHERE c.oid >= 16384 AND c.castfunc <> 0 AND has_function_privilege(c.castfunc, 'EXECUTE')
				AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'e')`),
		find: findCasts,
	},
	{
		name: "domain-function",
		sql: plain(`
			SELECT json_build_array(k.contypid::regtype::text, quote_ident(k.conname), f.oid::regprocedure::text)
			FROM pg_constraint AS k
			JOIN pg_depend AS d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass
			JOIN pg_proc AS f ON f.oid = d.refobjid
			WHERE k.contypid <> 0 AND f.oid >= 16384
			ORDER BY k.contypid::regtype::text, k.conname`),
		find: findDomains,
	},
	{
		name: "table-function",
		sql: plain(`
			WITH functions AS (
				SELECT f.oid, f.oid::regprocedure::text AS identity FROM pg_proc AS f
				WHERE f.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend AS d
					WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e')
			)
			SELECT json_build_array(t.tgrelid::int8, t.tgname, f.identity, 'DISABLE TRIGGER ' || quote_ident(t.tgname))
			FROM pg_trigger AS t JOIN functions AS f ON f.oid = t.tgfoid
			WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
			UNION ALL
			SELECT json_build_array(a.adrelid::int8, c.attname, f.identity, 'ALTER COLUMN ' || quote_ident(c.attname)
				|| CASE WHEN c.attgenerated = '' THEN ' DROP DEFAULT' ELSE ' DROP EXPRESSION' END)
			FROM pg_attrdef AS a
			JOIN pg_attribute AS c ON c.attrelid = a.adrelid AND c.attnum = a.adnum
			JOIN pg_depend AS d ON d.refclassid = 'pg_proc'::regclass AND (d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
				OR d.classid = 'pg_class'::regclass AND d.objid = a.adrelid AND d.objsubid = a.adnum) -- generated ones in PostgreSQL 14
			JOIN functions AS f ON f.oid = d.refobjid
			UNION ALL
			SELECT json_build_array(k.conrelid::int8, k.conname, f.identity, 'DROP CONSTRAINT ' || quote_ident(k.conname))
			FROM pg_constraint AS k
			JOIN pg_depend AS d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass
			JOIN functions AS f ON f.oid = d.refobjid
			WHERE k.conrelid <> 0 AND k.contype = 'c'
			UNION ALL
			SELECT json_build_array(i.indrelid::int8, c.relname, f.identity, 'DROP INDEX ' || c.oid::regclass::text)
			FROM pg_index AS i
			JOIN pg_class AS c ON c.oid = i.indexrelid
			JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_proc'::regclass
			JOIN functions AS f ON f.oid = d.refobjid`),
		find: findTableFunctions,
	},
	{
		name: "table-rule",
		sql: plain(`
			SELECT json_build_array(r.ev_class::int8, r.rulename)
			FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
			WHERE c.relkind IN ('r', 'p', 'v') AND r.rulename <> '_RETURN' AND c.oid >= 16384 AND r.ev_enabled <> 'D'
			ORDER BY r.ev_class, r.rulename`),
		find: findRules,
	},
}

func findOperators(p *patient, rows []row) error {
	for _, r := range rows {
		var operator, f string
		if err := r.scan(&operator, &f); err != nil {
			return err
		}
		p.add(Warning, "user-operator", operator, "what looks like an operator of PostgreSQL's calls "+f, p.fromRole("EXECUTE", "ROUTINE "+f))
	}
	return nil
}

func findCasts(p *patient, rows []row) error {
	for _, r := range rows {
		var types, f string
		var builtin bool
		var called function
		if err := r.scan(&types, &f, &builtin, &called.schema, &called.name); err != nil {
			return err
		}
		severity, why := Warning, "the cast calls "+f
		if builtin && !p.allows(called) {
			severity, why = Error, why+", and both types are PostgreSQL's own: the guard does not look for it"
		}
		p.add(severity, "user-cast", types, why, p.fromRole("EXECUTE", "ROUTINE "+f))
	}
	return nil
}

func findDomains(p *patient, rows []row) error {
	for _, r := range rows {
		var domain, constraint, f string
		if err := r.scan(&domain, &constraint, &f); err != nil {
			return err
		}
		p.add(Warning, "domain-function", domain, "a conversion to the domain calls "+f, "ALTER DOMAIN "+domain+" DROP CONSTRAINT "+constraint)
	}
	return nil
}

func findTableFunctions(p *patient, rows []row) error {
	for _, r := range rows {
		var oid uint32
		var part, f, action string
		if err := r.scan(&oid, &part, &f, &action); err != nil {
			return err
		}
		table, ok := p.byOID[oid]
		if !ok || p.isSeal(f) {
			continue
		}
		sql := "ALTER TABLE " + qualified(table) + " " + action
		if len(action) > 10 && action[:10] == "DROP INDEX" {
			sql = action
		}
		p.add(Warning, "table-function", qualified(table)+"."+quote(part),
			"whoever reads or writes the table calls "+f+", which no statement shows and no guard sees", sql)
	}
	return nil
}

func findRules(p *patient, rows []row) error {
	for _, r := range rows {
		var oid uint32
		var name string
		if err := r.scan(&oid, &name); err != nil {
			return err
		}
		if table, ok := p.byOID[oid]; ok {
			p.add(Warning, "table-rule", qualified(table)+"."+quote(name), "statements on it do something else than they say, or more",
				fmt.Sprintf("DROP RULE %s ON %s", quote(name), qualified(table)))
		}
	}
	return nil
}

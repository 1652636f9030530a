package doctor

import "strings"

var privilegeChecks = []check{
	{
		name: "create",
		sql: plain(`
			SELECT json_build_array('SCHEMA', quote_ident(n.nspname),
				EXISTS (SELECT FROM aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) AS x WHERE x.grantee = 0 AND x.privilege_type = 'CREATE'))
			FROM pg_namespace AS n
			WHERE n.nspname !~ '^pg_(toast_)?temp' AND has_schema_privilege(n.oid, 'CREATE')
			UNION ALL
			SELECT json_build_array('DATABASE', quote_ident(d.datname),
				EXISTS (SELECT FROM aclexplode(COALESCE(d.datacl, acldefault('d', d.datdba))) AS x WHERE x.grantee = 0 AND x.privilege_type = 'CREATE'))
			FROM pg_database AS d
			WHERE d.datname = current_database() AND has_database_privilege(d.oid, 'CREATE')`),
		find: findCreate,
	},
	{
		name: "temp-on-database",
		when: func(p *patient) bool { return !p.cfg.TempTables },
		sql:  plain(`SELECT json_build_array(quote_ident(current_database())) WHERE has_database_privilege(current_database(), 'TEMPORARY')`),
		find: func(p *patient, rows []row) error {
			return eachName(rows, func(name string) {
				p.add(Warning, "temp-on-database", name, "temporary objects of one tenant could stand in for what the next one's statements mean",
					p.fromRole("TEMPORARY", "DATABASE "+name))
			})
		},
	},
	{
		name: "language-usage",
		sql: plain(`SELECT json_build_array(quote_ident(l.lanname)) FROM pg_language AS l
			WHERE l.lanpltrusted AND has_language_privilege(l.oid, 'USAGE') ORDER BY l.lanname`),
		find: func(p *patient, rows []row) error {
			return eachName(rows, func(name string) {
				p.add(Warning, "language-usage", name, "whoever may use a language can write functions, and with plpgsql run DO",
					p.fromRole("USAGE", "LANGUAGE "+name))
			})
		},
	},
	{
		name: "default-privileges",
		sql: plain(`
			SELECT json_build_array(quote_ident(r.rolname), quote_ident(n.nspname), d.defaclobjtype, string_agg(DISTINCT x.privilege_type, ', '))
			FROM pg_default_acl AS d
			JOIN pg_roles AS r ON r.oid = d.defaclrole
			LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
			CROSS JOIN aclexplode(d.defaclacl) AS x
			WHERE x.grantee IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
			GROUP BY r.rolname, n.nspname, d.defaclobjtype ORDER BY r.rolname, n.nspname, d.defaclobjtype`),
		find: findDefaultPrivileges,
	},
	{
		name: "parameter-privilege",
		when: func(p *patient) bool { return p.snapshot.ServerVersion >= 150000 },
		sql: plain(`
			SELECT json_build_array(a.parname, string_agg(DISTINCT x.privilege_type, ', '))
			FROM pg_parameter_acl AS a CROSS JOIN aclexplode(a.paracl) AS x
			WHERE x.grantee IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
			GROUP BY a.parname ORDER BY a.parname`),
		find: func(p *patient, rows []row) error {
			for _, r := range rows {
				var name, list string
				if err := r.scan(&name, &list); err != nil {
					return err
				}
				p.add(Warning, "parameter-privilege", name, "the role may change a run-time parameter that takes a superuser otherwise",
					p.fromRole(list, "PARAMETER "+name))
			}
			return nil
		},
	},
}

// eachName calls f with the only value of each row.
func eachName(rows []row, f func(name string)) error {
	for _, r := range rows {
		var name string
		if err := r.scan(&name); err != nil {
			return err
		}
		f(name)
	}
	return nil
}

func findCreate(p *patient, rows []row) error {
	for _, r := range rows {
		var kind, name string
		var public bool
		if err := r.scan(&kind, &name, &public); err != nil {
			return err
		}
		severity, who := Error, "the role"
		if public {
			severity, who = Warning, "anybody" // as PostgreSQL 14 has it for the schema public
		}
		why := who + " may make tables, functions and operators in it, which can stand in for those that statements mean"
		if kind == "DATABASE" {
			why = who + " may make schemas in it"
		}
		p.add(severity, "create-on-"+strings.ToLower(kind), name, why, p.fromRole("CREATE", kind+" "+name))
	}
	return nil
}

// defaultObjects are the kinds of pg_default_acl, as GRANT names them.
var defaultObjects = map[string]string{
	"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS", "L": "LARGE OBJECTS",
}

func findDefaultPrivileges(p *patient, rows []row) error {
	for _, r := range rows {
		var owner, schema, kind, list string
		if err := r.scan(&owner, &schema, &kind, &list); err != nil {
			return err
		}
		objects, known := defaultObjects[kind]
		if !known || objects == "TYPES" || objects == "SCHEMAS" {
			continue // no rows to be seen by these
		}
		object, in := owner+"."+strings.ToLower(objects), ""
		if schema != "" {
			object, in = owner+"."+schema+"."+strings.ToLower(objects), " IN SCHEMA "+schema
		}
		p.add(Warning, "default-privileges", object, "whatever "+owner+" makes is within the role's reach before anybody looked at it: "+list,
			"ALTER DEFAULT PRIVILEGES FOR ROLE "+owner+in+" REVOKE "+list+" ON "+objects+" FROM PUBLIC, "+p.role)
	}
	return nil
}

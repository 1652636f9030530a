package doctor

import "strings"

var roleAttributes = check{
	name: "role-attributes",
	sql: plain(`SELECT json_build_array(rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication)
		FROM pg_roles WHERE rolname = current_user`),
	find: findRoleAttributes,
}

var roleChecks = []check{
	roleAttributes,
	{
		name: "role-member",
		sql: plain(`
			WITH RECURSIVE granted (role, direct) AS (
				SELECT m.roleid, m.roleid FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member WHERE r.rolname = current_user
				UNION
				SELECT m.roleid, g.direct FROM granted AS g JOIN pg_auth_members AS m ON m.member = g.role
			)
			SELECT json_build_array(r.rolname, json_agg(DISTINCT quote_ident(d.rolname)), r.rolsuper OR r.rolbypassrls)
			FROM granted AS g JOIN pg_roles AS r ON r.oid = g.role JOIN pg_roles AS d ON d.oid = g.direct
			GROUP BY r.rolname, r.rolsuper, r.rolbypassrls ORDER BY r.rolname`),
		find: findMemberships,
	},
	{
		name: "role-owns",
		sql: plain(`
			SELECT json_build_array(o.type, o.identity)
			FROM pg_shdepend AS d
			JOIN pg_roles AS r ON d.refclassid = 'pg_authid'::regclass AND r.oid = d.refobjid
			CROSS JOIN pg_identify_object(d.classid, d.objid, d.objsubid) AS o
			WHERE r.rolname = current_user AND d.deptype = 'o'
				AND d.dbid IN (0, (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database()))
				AND d.classid <> 'pg_user_mapping'::regclass -- user-mapping finds those
				AND (o.schema IS NULL OR o.schema !~ '^pg_(toast_)?temp')
			ORDER BY o.identity, o.type`),
		find: findOwned,
	},
}

func findRoleAttributes(p *patient, rows []row) error {
	for _, r := range rows {
		var super, bypass, createRole, createDB, replication bool
		if err := r.scan(&super, &bypass, &createRole, &createDB, &replication); err != nil {
			return err
		}
		for _, a := range []struct {
			has             bool
			check, sql, why string
		}{
			{super, "role-superuser", "NOSUPERUSER", "the role is a superuser, whom nothing confines"},
			{bypass, "role-bypassrls", "NOBYPASSRLS", "policies do not hold a role with BYPASSRLS"},
			{createRole, "role-createrole", "NOCREATEROLE", "the role can make itself a member of other roles, or change their passwords"},
			{createDB, "role-createdb", "NOCREATEDB", "the role can copy databases and owns what it makes"},
			{replication, "role-replication", "NOREPLICATION", "the role can read the changes of all tenants as a replica"},
		} {
			if a.has {
				p.add(Error, a.check, p.role, a.why, "ALTER ROLE "+p.role+" "+a.sql)
			}
		}
	}
	return nil
}

func findMemberships(p *patient, rows []row) error {
	for _, r := range rows {
		var name string
		var direct []string
		var exempt bool
		if err := r.scan(&name, &direct, &exempt); err != nil {
			return err
		}
		why := "the role is a member of " + quote(name) + " and can do what that one can"
		if exempt {
			why += ", whom policies do not hold"
		}
		p.add(Error, "role-member", quote(name), why, "REVOKE "+strings.Join(direct, ", ")+" FROM "+p.role)
	}
	return nil
}

func findOwned(p *patient, rows []row) error {
	for _, r := range rows {
		var kind, identity string
		if err := r.scan(&kind, &identity); err != nil {
			return err
		}
		p.add(Error, "role-owns", identity, "the role owns this "+kind+" and can change, drop and grant it",
			"REASSIGN OWNED BY "+p.role+" TO CURRENT_USER")
	}
	return nil
}

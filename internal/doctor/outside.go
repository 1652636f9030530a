package doctor

import (
	"slices"

	"tenantgate/rewrite/catalog"
)

// Ways by which rows leave the database, or code comes in, other than by
// tenants' statements.
var outsideChecks = []check{
	{
		name: "user-mapping",
		sql: plain(`
			SELECT json_build_array(quote_ident(m.srvname), m.umuser = 0)
			FROM pg_user_mappings AS m
			WHERE m.umuser IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user)) ORDER BY m.srvname, m.umuser`),
		find: func(p *patient, rows []row) error {
			for _, r := range rows {
				var server string
				var public bool
				if err := r.scan(&server, &public); err != nil {
					return err
				}
				user := p.role
				if public {
					user = "PUBLIC"
				}
				p.add(Error, "user-mapping", server, "the role reaches another server, as a user whose password pg_user_mappings shows it",
					"DROP USER MAPPING FOR "+user+" SERVER "+server)
			}
			return nil
		},
	},
	{
		name: "foreign-server",
		sql: plain(`SELECT json_build_array(quote_ident(srvname)) FROM pg_foreign_server
			WHERE has_server_privilege(oid, 'USAGE') ORDER BY srvname`),
		find: func(p *patient, rows []row) error {
			return eachName(rows, func(name string) {
				p.add(Error, "foreign-server", name, "the role may make foreign tables and user mappings for that server",
					p.fromRole("USAGE", "FOREIGN SERVER "+name))
			})
		},
	},
	{
		name: "statistics-visible",
		sql: plain(`
			SELECT json_build_array(c.oid::regclass::text)
			FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
			WHERE c.relname IN ('pg_stat_statements', 'pg_stat_statements_info') AND c.relkind = 'v' AND c.oid >= 16384
				AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
			UNION ALL
			SELECT json_build_array('pg_catalog.' || c.relname)
			FROM pg_class AS c
			WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname IN ('pg_stats_ext', 'pg_stats_ext_exprs')
				AND has_table_privilege(c.oid, 'SELECT') AND pg_get_viewdef(c.oid) !~ 'pg_has_role'`),
		find: func(p *patient, rows []row) error {
			return eachName(rows, func(name string) {
				p.add(Warning, "statistics-visible", name, "it shows all tenants' statements, or values of their rows",
					p.fromRole("SELECT", "TABLE "+name))
			})
		},
	},
	{
		name: "publication",
		sql: plain(`
			SELECT json_build_array(p.pubname, p.puballtables, p.schemaname, p.tablename)
			FROM (SELECT t.pubname, t.schemaname, t.tablename, b.puballtables
				FROM pg_publication_tables AS t JOIN pg_publication AS b ON b.pubname = t.pubname) AS p
			ORDER BY p.pubname, p.schemaname, p.tablename`),
		find: findPublications,
	},
	{
		name: "event-trigger",
		sql:  plain(`SELECT json_build_array(quote_ident(evtname)) FROM pg_event_trigger WHERE evtenabled <> 'D' ORDER BY evtname`),
		find: func(p *patient, rows []row) error {
			return eachName(rows, func(name string) {
				p.add(Warning, "event-trigger", name, "it runs in whatever session defines something, migrations' too", "ALTER EVENT TRIGGER "+name+" DISABLE")
			})
		},
	},
}

func findPublications(p *patient, rows []row) error {
	byName := make(map[catalog.Name]*catalog.Relation)
	for _, r := range p.tables() {
		byName[catalog.Name{Schema: r.Schema, Name: r.Name}] = r
	}
	var seen []string
	for _, r := range rows {
		var name, schema, table string
		var all bool
		if err := r.scan(&name, &all, &schema, &table); err != nil {
			return err
		}
		relation, tenanted := byName[catalog.Name{Schema: schema, Name: table}]
		if !tenanted || all && slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		sql := "ALTER PUBLICATION " + quote(name) + " DROP TABLE " + qualified(relation)
		if all {
			sql = "DROP PUBLICATION " + quote(name)
		}
		p.add(Warning, "publication", quote(name), "subscribers get all tenants' rows of tenanted tables", sql)
	}
	return nil
}

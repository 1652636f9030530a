package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// lastFixes are minor releases with a fix of what lets roles see rows, or
// statistics of rows, that policies hide: the oldest that has them all.
var lastFixes = map[int]int{14: 19, 15: 14, 16: 10, 17: 6}

// oldestMajor is the oldest one that still gets fixes.
const oldestMajor = 14

var settingChecks = []check{
	{
		name: "stored-settings",
		sql: plain(`
			SELECT json_build_array(s.setrole <> 0, quote_ident(d.datname), lower(split_part(c.item, '=', 1)))
			FROM pg_db_role_setting AS s
			LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
			CROSS JOIN unnest(s.setconfig) AS c (item)
			WHERE s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
				AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
			ORDER BY s.setrole, s.setdatabase, c.item`),
		find: findStoredSettings,
	},
	{
		name: "settings",
		sql: plain(`SELECT json_build_array(current_setting('server_encoding'), current_setting('row_security'),
			current_setting('max_prepared_transactions'), current_setting('track_commit_timestamp'), current_setting('lo_compat_privileges'),
			current_setting('session_replication_role'))`),
		find: findSettings,
	},
	{name: "server-version", look: lookAtVersion},
}

func findStoredSettings(p *patient, rows []row) error {
	// By these a session would be another tenant's, or read statements and
	// policies otherwise, before the proxy has said anything.
	dangerous := []string{
		strings.ToLower(p.cfg.Catalog.Setting), "role", "session_authorization", "session_replication_role", "row_security",
		"session_preload_libraries", "local_preload_libraries",
	}
	for _, r := range rows {
		var ofRole bool
		var database, name string
		if err := r.scan(&ofRole, &database, &name); err != nil {
			return err
		}
		severity := Error
		switch {
		case slices.Contains(dangerous, name):
		case slices.Contains([]string{"search_path", "standard_conforming_strings", "client_encoding", "backslash_quote"}, name):
			severity = Warning // the proxy says otherwise, or reads it when it starts
		default:
			continue
		}
		check, sql := "stored-database-setting", "ALTER DATABASE "+database+" RESET "+name
		if ofRole {
			check, sql = "stored-role-setting", "ALTER ROLE "+p.role+" RESET "+name
			if database != "" {
				sql = "ALTER ROLE " + p.role + " IN DATABASE " + database + " RESET " + name
			}
		} else if database == "" {
			sql = "ALTER ROLE ALL RESET " + name
		}
		p.add(severity, check, name, "every new server connection begins with this parameter as somebody stored it", sql)
	}
	return nil
}

func findSettings(p *patient, rows []row) error {
	for _, r := range rows {
		var encoding, rowSecurity, prepared, commits, largeObjects, replication string
		if err := r.scan(&encoding, &rowSecurity, &prepared, &commits, &largeObjects, &replication); err != nil {
			return err
		}
		if encoding != "UTF8" {
			p.add(Warning, "server-encoding", encoding, "the server cuts and compares names by another encoding than the proxy reads statements in")
		}
		for _, s := range []struct {
			severity              Severity
			name, have, good, why string
		}{
			{Error, "session_replication_role", replication, "origin", "triggers and foreign keys do not hold"},
			{Warning, "row_security", rowSecurity, "on", "statements that policies hold fail for whoever does not set it"},
			{Warning, "max_prepared_transactions", prepared, "0", "prepared transactions belong to the role: they outlive sessions and hold locks for all tenants"},
			{Warning, "track_commit_timestamp", commits, "off", "pg_xact_commit_timestamp tells when rows were written, other tenants' too"},
			{Warning, "lo_compat_privileges", largeObjects, "off", "large objects are open to anybody"},
		} {
			if s.have != s.good {
				p.add(s.severity, "setting", s.name, "it is "+s.have+": "+s.why, "ALTER SYSTEM SET "+s.name+" = "+s.good)
			}
		}
	}
	return nil
}

func lookAtVersion(_ context.Context, p *patient) error {
	major, minor := p.snapshot.ServerVersion/10000, p.snapshot.ServerVersion%10000
	if p.cfg.Grammar > 0 && major > p.cfg.Grammar {
		p.add(Warning, "server-version", fmt.Sprint(major), fmt.Sprintf("the parser has the grammar of PostgreSQL %d: what is newer is refused", p.cfg.Grammar))
	}
	if fixed, known := lastFixes[major]; known && minor < fixed {
		p.add(Warning, "server-outdated", fmt.Sprint(major), fmt.Sprintf("release %d.%d lacks fixes of faults by which roles see what policies hide: %d.%d has them",
			major, minor, major, fixed))
	}
	if major < oldestMajor {
		p.add(Warning, "server-outdated", fmt.Sprint(major), "its faults are not mended any more")
	}
	return nil
}

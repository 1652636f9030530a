package doctor

import (
	"context"
	"slices"
	"strings"

	"tenantgate/rewrite/catalog"
)

// hardeningChecks compare PostgreSQL's own objects with what bootstrap
// --harden leaves to PUBLIC.
var hardeningChecks = []check{
	{name: "not-hardened", look: lookAtHardening},
	{
		name: "large-objects",
		sql: plain(`SELECT json_build_array(quote_ident(current_database()), count(*)) FROM pg_largeobject_metadata
			HAVING count(*) > 0 AND has_function_privilege('lo_get(oid)', 'EXECUTE')`),
		find: findLargeObjects,
	},
}

func lookAtHardening(_ context.Context, p *patient) error {
	exposures, err := catalog.Exposures(p.snapshot, p.snapshot.Role.Name)
	if err != nil {
		return err
	}
	for _, e := range exposures {
		taken := slices.ContainsFunc(e.SQL, func(sql string) bool { return strings.HasPrefix(sql, "REVOKE ") })
		if taken && e.Group != "languages" { // language-usage finds these
			p.add(Warning, "not-hardened", e.Group, "anybody may use what tenants have no need of: "+e.Why, e.SQL...)
		}
	}
	return nil
}

func findLargeObjects(p *patient, rows []row) error {
	for _, r := range rows {
		var database string
		var count int64
		if err := r.scan(&database, &count); err != nil {
			return err
		}
		exposures, err := catalog.Exposures(p.snapshot, p.snapshot.Role.Name)
		if err != nil {
			return err
		}
		var sql []string
		for _, e := range exposures {
			if e.Group == "large-objects" {
				sql = e.SQL
			}
		}
		p.add(Warning, "large-objects", database, "there are large objects, which have no tenant, and the role may call the functions that read them", sql...)
	}
	return nil
}

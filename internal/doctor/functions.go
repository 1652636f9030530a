package doctor

import (
	"regexp"
	"slices"
	"strings"
)

// risky are extensions whose functions run text as SQL, reach other servers or
// files, or show what all tenants do.
var risky = []string{
	"adminpack", "dblink", "file_fdw", "lo", "pageinspect", "pg_stat_statements", "pg_visibility", "pgrowlocks", "pgstattuple",
	"postgres_fdw", "tablefunc", "xml2",
}

var functionChecks = []check{{
	name: "functions",
	sql: func(p *patient) (string, []string) {
		set := `\mset\s+(local\s+|session\s+)?"?` + regexp.QuoteMeta(p.cfg.Catalog.Setting)
		return `
			SELECT json_build_array(n.nspname, f.proname, f.oid::regprocedure::text,
				f.prosecdef, o.rolsuper OR o.rolbypassrls, quote_ident(o.rolname),
				EXISTS (SELECT FROM unnest(f.proconfig) AS s WHERE starts_with(lower(s), $1 || '=')) OR body.text ~* '\mset_config\M' OR body.text ~* $2,
				l.lanname <> 'sql' AND body.text ~* '\mexecute\M',
				f.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype), f.provolatile,
				f.pronargs = 1 AND a.typtype = 'c', f.prokind = 'a',
				EXISTS (SELECT FROM pg_proc AS b WHERE b.proname = f.proname AND b.oid < 16384 AND b.pronamespace = 'pg_catalog'::regnamespace),
				e.extname)
			FROM pg_proc AS f
			JOIN pg_namespace AS n ON n.oid = f.pronamespace
			JOIN pg_roles AS o ON o.oid = f.proowner
			JOIN pg_language AS l ON l.oid = f.prolang
			LEFT JOIN pg_type AS a ON a.oid = f.proargtypes[0]
			LEFT JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e'
			LEFT JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
			CROSS JOIN LATERAL (SELECT CASE WHEN l.lanname IN ('c', 'internal') THEN '' ELSE COALESCE(pg_get_function_sqlbody(f.oid), f.prosrc) END AS text) AS body
			WHERE f.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp'
				AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(f.oid, 'EXECUTE')
			ORDER BY n.nspname, f.proname, f.oid`, []string{strings.ToLower(p.cfg.Catalog.Setting), set}
	},
	find: findFunctions,
}}

// A function is one that the role may execute.
type function struct {
	schema, name, identity, owner, extension, volatility string
	definer, exempt, sets, executes, trigger             bool
	notation, aggregate, overloads                       bool
}

func findFunctions(p *patient, rows []row) error {
	extensions := make(map[string]*extension)
	for _, r := range rows {
		var f function
		if err := r.scan(&f.schema, &f.name, &f.identity, &f.definer, &f.exempt, &f.owner, &f.sets, &f.executes, &f.trigger,
			&f.volatility, &f.notation, &f.aggregate, &f.overloads, &f.extension); err != nil {
			return err
		}
		switch {
		case f.extension != "":
			if slices.Contains(risky, f.extension) {
				x, ok := extensions[f.extension]
				if !ok {
					x = &extension{}
					extensions[f.extension] = x
				}
				x.functions = append(x.functions, f.identity)
				x.allowed = x.allowed || p.allows(f)
			}
		case !f.trigger && !p.isSeal(f.identity): // the server calls those, and nobody else can
			p.judgeFunction(f)
		}
	}
	for _, name := range risky {
		if x, ok := extensions[name]; ok {
			p.add(x.severity(), "extension-functions", quote(name), x.why(), p.fromRole("EXECUTE", "ROUTINE "+strings.Join(x.functions, ", ")))
		}
	}
	return nil
}

// An extension is one whose functions the role may execute.
type extension struct {
	functions []string
	allowed   bool // the configuration lets tenants call one
}

func (x *extension) severity() Severity {
	if x.allowed {
		return Error
	}
	return Warning
}

func (x *extension) why() string {
	const what = "its functions run text as SQL, reach other servers or files, or show what all tenants do; the role may execute them"
	if x.allowed {
		return what + ", and the configuration allows tenants to call one"
	}
	return what
}

// allows reports whether the configuration lets tenants call a function.
func (p *patient) allows(f function) bool {
	for _, known := range p.snapshot.Functions(f.name) {
		if known.Schema == f.schema && known.Allowed {
			return true
		}
	}
	return false
}

// judgeFunction finds what a function of the users' could do in a tenant's
// session. Those that the configuration allows were looked at by name: what
// overloads and column notation could bring in unseen, they do not.
func (p *patient) judgeFunction(f function) {
	revoke := p.fromRole("EXECUTE", "ROUTINE "+f.identity)
	allowed := p.allows(f)
	severity := Warning
	if allowed {
		severity = Error
	}
	if f.definer {
		why, level := "it runs with the rights of "+f.owner, Warning
		if f.exempt {
			why, level = why+", whom policies do not hold", severity
		}
		p.add(level, "function-definer", f.identity, why, revoke)
	}
	if f.sets {
		p.add(severity, "function-sets-parameter", f.identity, "it sets run-time parameters, and could set the tenant's", revoke)
	}
	if f.executes {
		p.add(Warning, "function-runs-text", f.identity, "it runs text as SQL, past the guard and past rewriting", revoke)
	}
	if allowed && p.cfg.Rewriting && !p.cfg.RowSecurity && f.volatility != "i" && !p.cfg.OneTenant {
		p.add(Warning, "function-not-rewritten", f.identity,
			"tenants may call it, and its own statements get no predicate: what it reads of tenanted tables is all tenants'", revoke)
	}
	if allowed {
		return
	}
	if f.notation {
		p.add(Warning, "column-notation", f.identity, "t.f of a row t calls it: what looks like a column is a function", revoke)
	}
	if f.overloads {
		p.add(Warning, "overload", f.identity, "it has the name of one of PostgreSQL's own, and can be taken for it", revoke)
	}
	if f.aggregate {
		p.add(Warning, "user-aggregate", f.identity, "it runs users' functions on the rows that it is given", revoke)
	}
}

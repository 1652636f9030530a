package catalog

import (
	"slices"
	"strings"
)

// An Exposure is a group of PostgreSQL's own objects that PUBLIC may use, that
// tenants' statements have no need of, and that a gap in the proxy's guard
// would open.
type Exposure struct {
	Group string   // a stable name
	Why   string   // what tenants could do, one clause
	SQL   []string // what ends it; only a superuser can run it
}

// A hardening says who keeps what once it is taken from PUBLIC.
type hardening struct {
	group, why string
	functions  []string // of pg_catalog; * at the end stands for any rest
	relations  []string // of pg_catalog, likewise
	languages  []string
	keep       string // the role of PostgreSQL's whose members go on; "" is nobody
	app        bool   // the role of server connections goes on: the proxy needs it
}

const setConfig = "set_config"

// hardenings are what --harden takes from PUBLIC. Nothing in it is on the
// guard's lists of what tenants may use as it is.
var hardenings = []hardening{
	{
		group: setConfig, why: "set_config changes the tenant setting in the middle of a statement",
		functions: []string{setConfig}, keep: "pg_database_owner", app: true,
	},
	{
		group: "sql-from-text", why: "these functions run text as SQL or read the relations that their arguments name",
		functions: []string{
			"cursor_to_xml", "cursor_to_xmlschema", "database_to_xml*", "query_to_xml*", "schema_to_xml*", "table_to_xml*", "ts_stat",
		},
	},
	{
		group: "large-objects", why: "large objects have no tenant",
		functions: []string{"lo_*", "loread", "lowrite"},
	},
	{
		group: "notify", why: "channels are common to all tenants, whose own names for them only the proxy knows",
		functions: []string{"pg_notify"}, app: true,
	},
	{
		group: "advisory-locks", why: "the keys of advisory locks are common to all tenants, whose own keys only the proxy knows",
		functions: []string{
			"pg_advisory_lock", "pg_advisory_lock_shared", "pg_advisory_unlock", "pg_advisory_unlock_shared", "pg_advisory_xact_lock*",
			"pg_try_advisory_lock*", "pg_try_advisory_xact_lock*",
		}, app: true,
	},
	{
		group: "locks", why: "it shows the locks of all sessions; the proxy asks whether one holds advisory locks",
		functions: []string{"pg_lock_status"}, keep: "pg_monitor", app: true,
	},
	{
		group: "signals", why: "all tenants' sessions are one role's, which may end its own sessions",
		functions: []string{"pg_cancel_backend", "pg_terminate_backend"}, keep: "pg_signal_backend",
	},
	{
		group: "activity", why: "all tenants' sessions are one role's, which sees its own statements with their constants, and its locks",
		functions: []string{"pg_stat_get_*", "pg_prepared_xact"},
		relations: []string{"pg_stat_*", "pg_statio_*", "pg_locks", "pg_prepared_xacts"}, keep: "pg_monitor",
	},
	{
		group: "column-statistics", why: "they hold values of all tenants' rows, unless policies are on the table",
		relations: []string{"pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"},
	},
	{
		group: "settings", why: "an UPDATE of pg_settings sets run-time parameters",
		functions: []string{"pg_show_all_settings"}, relations: []string{"pg_settings"}, keep: "pg_read_all_settings",
	},
	{
		group: "languages", why: "whoever may use a language can write functions that run in other sessions",
		languages: []string{"plpgsql", "sql"}, keep: "pg_database_owner",
	},
}

// Kinds of built-in objects, as GRANT names them.
const (
	kindFunction = "FUNCTION"
	kindRelation = "TABLE"
	kindLanguage = "LANGUAGE"
)

// A builtin is one of PostgreSQL's own objects and who may use it.
type builtin struct {
	kind   string
	name   string
	shown  string // as GRANT takes it
	grants grants
}

// Exposures tells what --harden would take from PUBLIC, for a role of server
// connections of that name. s must be loaded with Config.Inspect.
func Exposures(s *Snapshot, role string) ([]Exposure, error) {
	if s.data.inspection == nil {
		return nil, ErrNotInspected
	}
	in := s.data.inspection
	oid := uint32(public)
	if state, ok := in.roles[role]; ok {
		oid = state.oid
	}
	var found []Exposure
	for _, h := range hardenings {
		if sql := h.sql(in, role, oid); sql != nil {
			found = append(found, Exposure{Group: h.group, Why: h.why, SQL: sql})
		}
	}
	return found, nil
}

// sql takes the group from PUBLIC, after others have been given what they keep.
func (h *hardening) sql(in *inspection, role string, oid uint32) []string {
	var grant, revoke []string
	for _, kind := range []string{kindFunction, kindRelation, kindLanguage} {
		open := map[string][]string{} // objects by privileges that PUBLIC has
		for _, b := range in.builtins {
			if b.kind != kind || !h.covers(b) {
				continue
			}
			if privileges := b.grants.of(public); privileges != nil {
				key := strings.Join(privileges, ", ")
				open[key] = append(open[key], b.shown)
			}
			if h.app && (oid == public || !b.grants[grantOf(oid, kind)]) {
				grant = append(grant, "GRANT EXECUTE ON FUNCTION "+b.shown+" TO "+quoteName(role))
			}
		}
		for _, privileges := range sortedKeys(open) {
			objects := privileges + " ON " + kind + " " + strings.Join(open[privileges], ", ")
			if h.keep != "" {
				grant = append(grant, "GRANT "+objects+" TO "+h.keep)
			}
			revoke = append(revoke, "REVOKE "+objects+" FROM PUBLIC")
		}
	}
	return append(grant, revoke...)
}

// grantOf is the grant of what an object of the kind is there for.
func grantOf(grantee uint32, kind string) grant {
	privileges := map[string]string{kindFunction: "EXECUTE", kindRelation: "SELECT", kindLanguage: "USAGE"}
	return grant{grantee, privileges[kind]}
}

func (h *hardening) covers(b builtin) bool {
	names := map[string][]string{kindFunction: h.functions, kindRelation: h.relations, kindLanguage: h.languages}
	return slices.ContainsFunc(names[b.kind], func(name string) bool {
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			return strings.HasPrefix(b.name, prefix)
		}
		return b.name == name
	})
}

// of lists a grantee's privileges in order.
func (g grants) of(grantee uint32) []string {
	var privileges []string
	for one := range g {
		if one.grantee == grantee {
			privileges = append(privileges, one.privilege)
		}
	}
	slices.Sort(privileges)
	return privileges
}

// builtinGrants gives the role what the proxy needs of PostgreSQL's own, and
// with Harden takes from PUBLIC what nobody needs.
func (p *planner) builtinGrants() {
	for _, h := range hardenings {
		if p.cfg.Harden {
			for _, sql := range h.sql(p.in, p.cfg.Role, p.roleOID) {
				p.plan = append(p.plan, DDL{Why: h.why, SQL: sql, Superuser: true})
			}
			continue
		}
		for _, b := range p.in.builtins {
			if h.app && h.covers(b) && !b.grants.has(p.roleOID, "EXECUTE") {
				p.plan = append(p.plan, DDL{
					Why: "the proxy, or what it lets tenants do, needs it", SQL: "GRANT EXECUTE ON FUNCTION " + b.shown + " TO " + quoteName(p.cfg.Role), Superuser: true,
				})
			}
		}
	}
}

// builtinQuery lists the objects of the hardenings, whoever may use them.
func builtinQuery() string {
	var functions, relations, languages []string
	for _, h := range hardenings {
		functions = append(functions, h.functions...)
		relations = append(relations, h.relations...)
		languages = append(languages, h.languages...)
	}
	return strings.NewReplacer("FUNCTIONS", anyName("p.proname", functions), "RELATIONS", anyName("c.relname", relations),
		"LANGUAGES", anyName("l.lanname", languages)).Replace(builtinTemplate)
}

// anyName is the condition that a column of type name is one of the names.
func anyName(column string, names []string) string {
	var exact, terms []string
	for _, name := range names {
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			terms = append(terms, "pg_catalog.starts_with("+column+"::pg_catalog.text, '"+prefix+"'::pg_catalog.text)")
		} else {
			exact = append(exact, name)
		}
	}
	terms = append(terms, column+" OPERATOR(pg_catalog.=) ANY ('{"+strings.Join(exact, ",")+"}'::pg_catalog.name[])")
	return "(" + strings.Join(terms, " OR ") + ")"
}

const builtinTemplate = `
UNION ALL
SELECT 18, p.oid::pg_catalog.int8, pg_catalog.json_build_array('FUNCTION', p.proname,
		pg_catalog.format('pg_catalog.%I(%s)', p.proname, (
			SELECT pg_catalog.string_agg(pg_catalog.format('pg_catalog.%I', t.typname), ', ' ORDER BY a.position)
			FROM pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]) WITH ORDINALITY AS a(type, position)
			JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.type)), (
		SELECT pg_catalog.json_agg(pg_catalog.json_build_array(x.grantee::pg_catalog.int8, x.privilege_type) ORDER BY x.grantee, x.privilege_type)
		FROM pg_catalog.aclexplode(COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS x))::pg_catalog.text
	FROM pg_catalog.pg_proc AS p
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) p.pronamespace
	WHERE s.nspname OPERATOR(pg_catalog.=) 'pg_catalog' AND p.oid OPERATOR(pg_catalog.<) 16384::pg_catalog.oid AND FUNCTIONS
UNION ALL
SELECT 18, c.oid::pg_catalog.int8, pg_catalog.json_build_array('TABLE', c.relname, pg_catalog.format('pg_catalog.%I', c.relname), (
		SELECT pg_catalog.json_agg(pg_catalog.json_build_array(x.grantee::pg_catalog.int8, x.privilege_type) ORDER BY x.grantee, x.privilege_type)
		FROM pg_catalog.aclexplode(COALESCE(c.relacl, pg_catalog.acldefault('r', c.relowner))) AS x))::pg_catalog.text
	FROM pg_catalog.pg_class AS c
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	WHERE s.nspname OPERATOR(pg_catalog.=) 'pg_catalog' AND c.relkind OPERATOR(pg_catalog.=) 'v'
		AND c.oid OPERATOR(pg_catalog.<) 16384::pg_catalog.oid AND RELATIONS
UNION ALL
SELECT 18, l.oid::pg_catalog.int8, pg_catalog.json_build_array('LANGUAGE', l.lanname, pg_catalog.quote_ident(l.lanname), (
		SELECT pg_catalog.json_agg(pg_catalog.json_build_array(x.grantee::pg_catalog.int8, x.privilege_type) ORDER BY x.grantee, x.privilege_type)
		FROM pg_catalog.aclexplode(COALESCE(l.lanacl, pg_catalog.acldefault('l', l.lanowner))) AS x))::pg_catalog.text
	FROM pg_catalog.pg_language AS l
	WHERE LANGUAGES`

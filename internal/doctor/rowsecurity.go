package doctor

import (
	"context"
	"slices"

	"tenantgate/rewrite/catalog"
)

var rowSecurityChecks = []check{
	{name: "row-security", when: reliesOnPolicies, look: lookAtRowSecurity},
	{name: "seal", when: func(p *patient) bool { return reliesOnPolicies(p) && p.cfg.Seal != nil }, look: lookAtSeal},
	{name: "tenant-nullable", look: lookAtTenantColumns},
	{
		name: "policies", when: reliesOnPolicies,
		sql: plain(`
			SELECT json_build_array(p.polrelid::int8, p.polname, p.polpermissive, p.polcmd,
				pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
				(SELECT json_agg(f.oid::regprocedure::text ORDER BY f.oid::regprocedure::text)
					FROM pg_depend AS d JOIN pg_proc AS f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid
					WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND f.provolatile = 'i' AND f.oid >= 16384))
			FROM pg_policy AS p
			WHERE EXISTS (SELECT FROM unnest(p.polroles) AS role WHERE CASE WHEN role = 0 THEN true ELSE pg_has_role(role, 'USAGE') END)
			ORDER BY p.polrelid, p.polname`),
		find: findPolicies,
	},
}

func reliesOnPolicies(p *patient) bool { return p.cfg.RowSecurity && !p.cfg.OneTenant }

// A policyPlan is one of catalog's.
type policyPlan func(*catalog.Snapshot, catalog.BootstrapConfig, *catalog.Relation) ([]catalog.DDL, error)

// policySQL is what bootstrap would do for a table. Where the tenant column
// can hold no key it is nothing; bootstrap tells why.
func (p *patient) policySQL(plan policyPlan, r *catalog.Relation) []string {
	ddl, err := plan(p.snapshot, p.bootstrap(), r)
	if err != nil {
		return nil
	}
	var sql []string
	for _, d := range ddl {
		sql = append(sql, d.SQL)
	}
	return sql
}

// bootstrap is what bootstrap prepares the database for, but for the seal's
// key, which no finding shows.
func (p *patient) bootstrap() catalog.BootstrapConfig {
	return catalog.BootstrapConfig{Setting: p.cfg.Catalog.Setting, Role: p.snapshot.Role.Name, Sealed: p.cfg.Seal != nil}
}

func lookAtRowSecurity(_ context.Context, p *patient) error {
	for _, r := range p.tables() {
		switch {
		case !r.RowSecurity:
			p.add(Error, "rls-off", qualified(r), "row-level security is off: every tenant's rows are there for every tenant", p.policySQL(catalog.RowSecurity, r)...)
		case !r.ForceRLS:
			p.add(Error, "rls-not-forced", qualified(r), "policies do not hold the table's owner, nor its views and functions",
				"ALTER TABLE "+qualified(r)+" FORCE ROW LEVEL SECURITY")
		}
	}
	return nil
}

func lookAtTenantColumns(_ context.Context, p *patient) error {
	for _, r := range p.tables() {
		for _, c := range r.Columns {
			if c.Name == r.TenantColumn && !c.NotNull {
				p.add(Warning, "tenant-nullable", qualified(r), "rows without a tenant are seen by nobody, and keys with the tenant column do not hold for them",
					"ALTER TABLE "+qualified(r)+" ALTER COLUMN "+quote(c.Name)+" SET NOT NULL")
			}
		}
	}
	return nil
}

// A policy is one that applies to the role.
type policy struct {
	name         string
	permissive   bool
	command      string // pg_policy.polcmd: *, r, a, w, d
	using, check string // "" for none
	immutable    []string
}

func findPolicies(p *patient, rows []row) error {
	byTable := make(map[uint32][]policy)
	for _, r := range rows {
		var relation uint32
		var x policy
		if err := r.scan(&relation, &x.name, &x.permissive, &x.command, &x.using, &x.check, &x.immutable); err != nil {
			return err
		}
		byTable[relation] = append(byTable[relation], x)
	}
	for _, r := range p.tables() {
		if r.RowSecurity {
			p.judge(r, byTable[r.OID])
		}
	}
	return nil
}

// judge finds what is wrong with the policies of one table.
func (p *patient) judge(r *catalog.Relation, policies []policy) {
	if !slices.ContainsFunc(policies, func(x policy) bool { return x.permissive && (x.command == "*" || x.command == "r") }) {
		p.add(Warning, "policy-missing", qualified(r), "no policy lets tenants see rows of it: it looks empty to them", p.policySQL(catalog.RowSecurity, r)...)
	}
	for _, x := range policies {
		for _, f := range x.immutable {
			p.add(Error, "policy-immutable", qualified(r)+"."+quote(x.name),
				"the policy calls "+f+", which is IMMUTABLE: a plan that is kept has the result of the tenant that came first",
				"ALTER FUNCTION "+f+" STABLE")
		}
	}
	policies = p.withoutSeal(r, policies)
	verdicts := make(map[string]hold) // by policy, the worst
	for _, part := range policyParts {
		for name, h := range part.judge(r, policies, p.cfg.Catalog.Setting) {
			verdicts[name] = min(h, soFar(verdicts, name))
		}
	}
	for _, x := range policies {
		object := qualified(r) + "." + quote(x.name)
		switch h, judged := verdicts[x.name]; {
		case !judged || h == holds:
		case h == opaque:
			p.add(Warning, "policy-opaque", object, "whether the policy compares "+quote(r.TenantColumn)+" with the tenant cannot be seen from its text",
				p.policySQL(catalog.Restriction, r)...)
		default:
			p.add(Error, "policy-too-wide", object,
				"the policy lets rows through for which "+quote(r.TenantColumn)+" need not equal the setting "+p.cfg.Catalog.Setting, p.policySQL(catalog.Restriction, r)...)
		}
	}
}

// soFar is the verdict so far, the best one if there is none.
func soFar(verdicts map[string]hold, name string) hold {
	if h, ok := verdicts[name]; ok {
		return h
	}
	return holds
}

// A policyPart is one of the conditions that the server makes of policies.
type policyPart struct {
	commands string // of the policies that count
	check    bool   // for rows written, instead of rows read
}

var policyParts = []policyPart{
	{commands: "*r"},
	{commands: "*a", check: true},
	{commands: "*w"},
	{commands: "*w", check: true},
	{commands: "*d"},
}

// judge tells for each permissive policy how far the condition holds the
// tenant. A restrictive one that does holds for all.
func (part policyPart) judge(r *catalog.Relation, policies []policy, setting string) map[string]hold {
	verdicts := make(map[string]hold)
	restricted := wide
	for _, x := range policies {
		if !containsCommand(part.commands, x.command) {
			continue
		}
		expression := x.using
		if part.check && x.check != "" {
			expression = x.check
		}
		if expression == "" {
			continue // the server leaves it out
		}
		h := judgeExpression(expression, r.TenantColumn, setting)
		if x.permissive {
			verdicts[x.name] = h
		} else {
			restricted = max(restricted, h)
		}
	}
	for name, h := range verdicts {
		verdicts[name] = max(h, restricted)
	}
	return verdicts
}

func containsCommand(commands, command string) bool {
	return command != "" && slices.Contains([]byte(commands), command[0])
}

package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// classes are a snapshot's classes by name, the tenant column in parentheses.
func classes(s *Snapshot) map[string]string {
	m := map[string]string{}
	for _, r := range s.Relations() {
		if r.Class == System || r.Kind == 'S' {
			continue
		}
		word := r.Class.String()
		if r.Class == Tenanted {
			word += "(" + r.TenantColumn + ")"
		}
		m[Name{r.Schema, r.Name}.String()] = word
	}
	return m
}

func TestRelationsAreClassifiedByRuleThenParentThenColumn(t *testing.T) {
	c := superuser(t, pgtest.Database(t, shop))
	want := map[string]string{
		"public.tenants":      "tenanted(id)",
		"public.orders":       "tenanted(tenant_id)",
		`"Sales"."Order"`:     "tenanted(tenant_id)",
		"public.events":       "tenanted(tenant_id)",
		"public.events_2025":  "tenanted(tenant_id)",
		"archive.old_orders":  "tenanted(tenant_id)",
		"public.order_notes":  "derived",
		"public.order_counts": "tenanted(tenant_id)",
		"public.countries":    "shared",
		"public.flags":        "shared-rw",
		"public.audit_log":    "denied",
		"public.totals":       "derived",
	}
	cfg := shopConfig()
	s := load(t, c, cfg)
	require.Equal(t, want, classes(s))
	require.Empty(t, s.DanglingRules())
	numbers, ok := s.Lookup("", "orders_id_seq")
	require.True(t, ok)
	require.Equal(t, Denied, numbers.Class)

	cfg.UnlistedShared = true // tables alone: a view may show anybody's rows
	want["public.audit_log"] = "shared"
	require.Equal(t, want, classes(load(t, c, cfg)))

	cfg.Tables = append(cfg.Tables,
		TableRule{Name: Name{Name: "totals"}, Class: Shared},
		TableRule{Name: Name{Name: "audit_log"}, Class: Denied},
		TableRule{Name: Name{Name: "order_notes"}, Class: Denied},
		TableRule{Name: Name{Schema: "public", Name: "Order"}, Class: Denied},
		TableRule{Name: Name{Name: "Order"}, Class: Denied})
	want["public.totals"], want["public.audit_log"], want["public.order_notes"] = "shared", "denied", "denied"
	s = load(t, c, cfg)
	require.Equal(t, want, classes(s))
	require.Equal(t, []Name{{"public", "Order"}, {"", "Order"}}, s.DanglingRules())
}

func TestChildrenHoldRowsOfTheirParents(t *testing.T) {
	c := superuser(t, pgtest.Database(t, `
		CREATE TABLE keyed (id int, tenant_id int) PARTITION BY LIST (id);
		CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES IN (1) PARTITION BY LIST (id);
		CREATE TABLE keyed_1a PARTITION OF keyed_1 FOR VALUES IN (1);
		CREATE TABLE keyed_2 PARTITION OF keyed FOR VALUES IN (2);
		CREATE TABLE keyed_3 PARTITION OF keyed FOR VALUES IN (3) PARTITION BY LIST (id);
		CREATE TABLE keyed_3a PARTITION OF keyed_3 FOR VALUES IN (3);
		CREATE TABLE listed (x int) PARTITION BY LIST (x);
		CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN (1);
		CREATE TABLE exempt (tenant_id int) PARTITION BY LIST (tenant_id);
		CREATE TABLE exempt_1 PARTITION OF exempt FOR VALUES IN (1);
		CREATE TABLE secret (x int); CREATE TABLE secret_1 (tenant_id int) INHERITS (secret);
		CREATE TABLE top (x int); CREATE TABLE middle () INHERITS (top); CREATE TABLE leaf (tenant_id int) INHERITS (middle);
		CREATE TABLE free (x int); CREATE TABLE free_1 (tenant_id int) INHERITS (free);
		CREATE TABLE one (tenant_id int); CREATE TABLE two (owner_id int); CREATE TABLE mixed () INHERITS (one, two); CREATE TABLE below () INHERITS (mixed);
		CREATE TABLE writable (x int); CREATE TABLE writable_1 () INHERITS (writable);
	`))
	s := load(t, c, Config{
		Column:         "tenant_id",
		UnlistedShared: true,
		Tables: []TableRule{
			{Name: Name{Name: "keyed_2"}, Class: Denied},
			{Name: Name{Name: "keyed_3"}, Class: Shared},
			{Name: Name{Name: "listed"}, Class: SharedReadWrite},
			{Name: Name{Name: "exempt"}, Class: Shared},
			{Name: Name{Name: "secret"}, Class: Denied},
			{Name: Name{Name: "top"}, Class: Shared},
			{Name: Name{Name: "two"}, Class: Tenanted, Column: "owner_id"},
			{Name: Name{Name: "writable"}, Class: SharedReadWrite},
			{Name: Name{Name: "writable_1"}, Class: Shared},
		},
	})
	require.Equal(t, map[string]string{
		"public.keyed":    "tenanted(tenant_id)",
		"public.keyed_1":  "tenanted(tenant_id)",
		"public.keyed_1a": "tenanted(tenant_id)",
		"public.keyed_2":  "denied",
		"public.keyed_3":  "denied", // not shared: it holds tenants' rows
		"public.keyed_3a": "denied",
		"public.listed":   "shared-rw",
		"public.listed_1": "shared-rw",
		"public.exempt":   "shared",
		"public.exempt_1": "shared",
		"public.secret":   "denied",
		"public.secret_1": "denied",
		"public.top":      "denied", // it would show the leaf's rows
		"public.middle":   "denied",
		"public.leaf":     "tenanted(tenant_id)",
		"public.free":     "denied",
		"public.free_1":   "tenanted(tenant_id)",
		"public.one":      "tenanted(tenant_id)",
		"public.two":      "tenanted(owner_id)",
		"public.mixed":    "denied",
		"public.below":    "denied",

		"public.writable":   "denied",
		"public.writable_1": "shared",
	}, classes(s))
	for _, r := range s.Relations() {
		require.Equal(t, r.Class == Denied, r.Reason != "", r.Name)
	}
	middle, _ := s.Lookup("", "middle")
	require.Equal(t, "its child public.leaf is not shared", middle.Reason)
}

func TestRulesThatCannotHoldAreErrors(t *testing.T) {
	c := superuser(t, pgtest.Database(t, shop))
	for want, rules := range map[string][]TableRule{
		"table audit_log: it has no column tenant_id":                        {{Name: Name{Name: "audit_log"}, Class: Tenanted}},
		`table orders: it has no column "Tenant"`:                            {{Name: Name{Name: "orders"}, Class: Tenanted, Column: "Tenant"}},
		"table public.orders: listed twice, also as orders":                  {{Name: Name{Name: "orders"}}, {Name: Name{Schema: "public", Name: "orders"}}},
		"table pg_class: PostgreSQL's own relations have rules of their own": {{Name: Name{Name: "pg_class"}, Class: Shared}},
		"table orders: no rule can make it one of PostgreSQL's own":          {{Name: Name{Name: "orders"}, Class: System}},
		"table orders_id_seq: a sequence can only be denied or shared-rw":    {{Name: Name{Name: "orders_id_seq"}, Class: Shared}},
		"table orders: class 77 is unknown":                                  {{Name: Name{Name: "orders"}, Class: 77}},
	} {
		_, err := Load(t.Context(), c, Config{Column: "tenant_id", Tables: rules})
		var rule *RuleError
		require.ErrorAs(t, err, &rule)
		require.EqualError(t, err, want)
	}
}

func TestFunctionsAreAllowedByName(t *testing.T) {
	c := superuser(t, pgtest.Database(t, shop+"CREATE FUNCTION archive.slugify(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"))
	s := load(t, c, Config{
		AllowFunctions: []Name{{"", "slugify"}, {"archive", "restore"}, {"", "tidy"}},
		DenyFunctions:  []Name{{"public", "tidy"}, {"pg_catalog", "upper"}, {"", "lower"}},
	})
	allowed := map[string]bool{}
	for _, name := range []string{"slugify", "restore", "tidy", "longest"} {
		for _, f := range s.Functions(name) {
			allowed[Name{f.Schema, f.Name}.String()] = f.Allowed
		}
	}
	require.Equal(t, map[string]bool{
		"public.slugify":  true,
		"archive.slugify": false, // the search path does not lead there
		"archive.restore": true,
		"public.tidy":     false,
		"public.longest":  false,
	}, allowed)
	require.True(t, s.FunctionDenied("pg_catalog", "upper"))
	require.True(t, s.FunctionDenied("pg_catalog", "lower"))
	require.False(t, s.FunctionDenied("", "upper"))
	require.False(t, s.FunctionDenied("pg_catalog", "length"))
}

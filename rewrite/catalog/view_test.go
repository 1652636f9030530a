package catalog

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

func TestViewsAreLoadedWithWhatTheirReadersNeedToKnow(t *testing.T) {
	database := pgtest.Database(t, shop+`
		ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
		ALTER TABLE tenants ENABLE ROW LEVEL SECURITY; ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
		CREATE VIEW archive.fenced WITH (security_barrier = on) AS SELECT id FROM archive.old_orders WHERE total > 1.5;
		CREATE VIEW invoked AS SELECT name AS "Name" FROM tenants;
		DO $$BEGIN
			IF current_setting('server_version_num')::int >= 150000 THEN ALTER VIEW invoked SET (security_invoker = 1); END IF;
		END$$;`)
	c := superuser(t, database)
	role(t, database, "plain_owner", "")
	role(t, database, "free_owner", "BYPASSRLS")
	c.exec(t, "GRANT ALL ON orders, tenants TO plain_owner; ALTER VIEW order_notes OWNER TO plain_owner; ALTER VIEW totals OWNER TO free_owner")
	view := func(schema, name string) View {
		s := load(t, c, shopConfig())
		rel, ok := s.Lookup(schema, name)
		require.True(t, ok)
		require.Equal(t, Derived, rel.Class)
		v := *rel.View
		v.Definition = strings.Join(strings.Fields(v.Definition), " ")
		return v
	}
	notes, totals := view("", "order_notes"), view("", "totals")
	require.Regexp(t, `^SELECT (orders\.)?tenant_id, (orders\.)?note FROM orders;$`, notes.Definition)
	require.False(t, notes.OwnerExempt || notes.Barrier || notes.Invoker)
	require.Empty(t, notes.Owned)
	require.True(t, totals.OwnerExempt)

	c.exec(t, "ALTER TABLE orders OWNER TO plain_owner; ALTER TABLE tenants OWNER TO plain_owner")
	notes = view("", "order_notes")
	require.Len(t, notes.Owned, 1, "of two tables, one has FORCE")

	fenced, invoked := view("archive", "fenced"), view("", "invoked")
	require.True(t, fenced.Barrier)
	require.Contains(t, fenced.Definition, "FROM archive.old_orders", "archive is not on the search path")
	require.True(t, fenced.OwnerExempt)
	require.Equal(t, load(t, c, shopConfig()).ServerVersion >= 150000, invoked.Invoker)
	require.Contains(t, invoked.Definition, `AS "Name" FROM tenants`)

	for _, setting := range []string{
		"DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'", "extra_float_digits = 0",
		"standard_conforming_strings = off", "search_path = public, pg_catalog",
	} {
		c.exec(t, "SET "+setting)
		require.Empty(t, view("public", "totals").Definition, setting)
		c.exec(t, "RESET ALL")
	}
	require.NotEmpty(t, view("", "totals").Definition)
}

func TestOnlyViewsThatNobodyListedAreDerived(t *testing.T) {
	c := superuser(t, pgtest.Database(t, shop))
	cfg := shopConfig()
	cfg.Tables = append(cfg.Tables,
		TableRule{Name: Name{Name: "totals"}, Class: Shared},
		TableRule{Name: Name{Name: "order_notes"}, Class: Tenanted, Column: "tenant_id"})
	s := load(t, c, cfg)
	totals, _ := s.Lookup("", "totals")
	require.Equal(t, Shared, totals.Class)
	require.Nil(t, totals.View)
	notes, _ := s.Lookup("", "order_notes")
	require.Equal(t, Derived, notes.Class)
	require.NotNil(t, notes.View)
	counts, _ := s.Lookup("", "order_counts")
	require.Equal(t, Tenanted, counts.Class)
}

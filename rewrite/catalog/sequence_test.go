package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

func TestTenantsDrawFromSequencesThatFillColumnsTheyWrite(t *testing.T) {
	c := superuser(t, pgtest.Database(t, `
CREATE TABLE orders (id serial, tenant_id int NOT NULL, line int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE denied (id serial);
CREATE TABLE flags (id bigserial);
CREATE TABLE countries (id serial);
CREATE SEQUENCE both_seq;
ALTER TABLE denied ADD number int DEFAULT nextval('both_seq');
ALTER TABLE orders ADD number int DEFAULT nextval('both_seq');
CREATE SEQUENCE owned_seq OWNED BY orders.number;
CREATE SEQUENCE alone_seq;
CREATE SEQUENCE hibernate_sequence;
CREATE TABLE kept (id serial, tenant_id int NOT NULL);
`))
	rules := []TableRule{
		{Name: Name{Name: "flags"}, Class: SharedReadWrite},
		{Name: Name{Name: "countries"}, Class: Shared},
		{Name: Name{Name: "hibernate_sequence"}, Class: SharedReadWrite},
		{Name: Name{Name: "kept_id_seq"}, Class: Denied},
	}
	drawable := func(cfg Config) []string {
		var names []string
		for _, r := range load(t, c, cfg).Relations() {
			if r.Kind == 'S' {
				require.Equal(t, Denied, r.Class, "none is read as a table")
			}
			if r.Drawable {
				names = append(names, r.Name)
			}
		}
		return names
	}
	require.Equal(t, []string{"both_seq", "flags_id_seq", "hibernate_sequence", "orders_id_seq", "orders_line_seq", "owned_seq"},
		drawable(Config{Column: "tenant_id", Tables: rules}))
	require.Contains(t, drawable(Config{Column: "tenant_id", Tables: rules, OneTenant: true}), "alone_seq")
	require.NotContains(t, drawable(Config{Column: "tenant_id", Tables: rules, OneTenant: true}), "kept_id_seq")
}

package rewrite

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

// tenantKeyOID stands for a domain's object id.
const tenantKeyOID = 17000

// typeOIDs are the types of the shop's columns.
var typeOIDs = map[string]uint32{
	"bool": 16, "int8": 20, "int4": 23, "text": 25, "float8": 701, "_text": 1009, "date": 1082, "name": 19, "numeric": 1700,
	"uuid": 2950, "jsonb": 3802,
}

// shopTables is testdata/schema/shop.sql as the catalog sees it: class, kind,
// name, and columns; the tenant column has a star.
const shopTables = `
tenanted r public.customers *tenant_id:int4 id:int8 name:text note:text meta:jsonb
tenanted r public.orders id:int8 *tenant_id:int4 customer_id:int8 total:numeric state:text tags:_text placed:date
tenanted r public.order_lines order_id:int8 line:int4 *tenant_id:int4 sku:text qty:int4 price:numeric amount:numeric:generated
tenanted r public.archive id:int8 *tenant_id:int4 customer_id:int8 total:numeric state:text tags:_text placed:date
tenanted r audit.orders id:int4 what:text *tenant_id:int4
tenanted r public.labels id:int4 *tenant_id:int4 name:text
tenanted r public.notes id:int4 body:text *tenant_id:text
tenanted r public.metrics *tenant_id:int8 at:int4 value:float8
tenanted r public.visits id:int4 *tenant_id:tenant_key page:text
tenanted r public.Mixed_Case Id:int4 *tenant_id:int4 select:text
tenanted r public.select *tenant_id:int4 from:int4
tenanted r public.special_orders id:int8 *tenant_id:int4 customer_id:int8 total:numeric state:text tags:_text placed:date extra:text
tenanted p public.events *tenant_id:int4 id:int4 day:date kind:text
tenanted r public.events_2024 *tenant_id:int4 id:int4 day:date kind:text
tenanted r public.events_2025 *tenant_id:int4 id:int4 day:date kind:text
tenanted r public.tenants *id:int4 name:text
tenanted r public.devices id:int4 *tenant_id:uuid
derived v public.open_orders id:int8 tenant_id:int4 customer_id:int8 total:numeric state:text tags:_text placed:date
derived v public.open_totals customer_id:int8 orders:int8 total:numeric
derived v public.order_states state:text
derived v public.all_orders id:int8 tenant_id:int4 total:numeric
derived v public.label_countries id:int4 name:text country:text
derived v public.big_orders id:int8 tenant_id:int4 customer_id:int8 total:numeric state:text tags:_text placed:date
derived v public.Mixed_View Id:int4 Upper:text
derived v public.class_names relname:name
derived v public.secret_orders id:int8
derived v public.password_hashes rolpassword:text
tenanted f public.remote_orders id:int8 *tenant_id:int4 note:text
tenanted m public.order_totals *tenant_id:int4 total:numeric
shared r public.countries code:text name:text
shared-rw r public.feature_flags name:text enabled:bool
shared v public.country_names name:text
denied r public.secrets id:int4 token:text
denied S public.ticket_seq
system r pg_catalog.pg_class
system r pg_catalog.pg_namespace
system r pg_catalog.pg_authid
system v information_schema.tables
`

// shopViews are the definitions of the derived views, as pg_get_viewdef writes
// them but for line breaks.
const shopViews = `
open_orders SELECT orders.id, orders.tenant_id, orders.customer_id, orders.total, orders.state, orders.tags, orders.placed FROM orders WHERE (orders.state = 'open'::text);
open_totals SELECT open_orders.customer_id, count(*) AS orders, sum(open_orders.total) AS total FROM open_orders GROUP BY open_orders.customer_id;
order_states SELECT DISTINCT orders.state FROM orders ORDER BY orders.state;
all_orders WITH o AS ( SELECT orders.id, orders.tenant_id, orders.customer_id, orders.total, orders.state, orders.tags, orders.placed FROM orders ) SELECT o.id, o.tenant_id, o.total FROM o UNION ALL SELECT archive.id, archive.tenant_id, archive.total FROM archive;
label_countries SELECT l.id, l.name, c.name AS country FROM (labels l LEFT JOIN countries c ON ((c.code = l.name)));
big_orders SELECT orders.id, orders.tenant_id, orders.customer_id, orders.total, orders.state, orders.tags, orders.placed FROM orders WHERE (orders.total > (10)::numeric);
Mixed_View SELECT "Mixed Case"."Id", upper("Mixed Case"."select") AS "Upper" FROM "Mixed Case";
class_names SELECT pg_class.relname FROM pg_class WHERE (pg_class.relname = 'orders'::name);
secret_orders SELECT o.id FROM (orders o JOIN secrets s ON ((s.id = o.id)));
password_hashes SELECT pg_authid.rolpassword FROM pg_authid;
`

// shopConfig classifies the shop as shopTables says.
func shopConfig() catalog.Config {
	return catalog.Config{
		Setting: "app.tenant_id",
		Column:  "tenant_id",
		Tables: []catalog.TableRule{
			{Name: catalog.Name{Name: "tenants"}, Class: catalog.Tenanted, Column: "id"},
			{Name: catalog.Name{Name: "countries"}, Class: catalog.Shared},
			{Name: catalog.Name{Name: "country_names"}, Class: catalog.Shared},
			{Name: catalog.Name{Name: "feature_flags"}, Class: catalog.SharedReadWrite},
		},
	}
}

// shop is the snapshot that golden cases are rewritten with.
func shop() *catalog.Snapshot {
	classes := map[string]catalog.Class{
		"tenanted": catalog.Tenanted, "shared": catalog.Shared, "shared-rw": catalog.SharedReadWrite,
		"denied": catalog.Denied, "system": catalog.System, "derived": catalog.Derived,
	}
	views := make(map[string]*catalog.View)
	for line := range strings.Lines(strings.TrimSpace(shopViews)) {
		name, definition, _ := strings.Cut(line, " ")
		views[name] = &catalog.View{Definition: definition, Barrier: name == "big_orders"}
	}
	data := catalog.Data{
		SearchPath: []string{"public"},
		Types: []catalog.TypeInfo{{
			OID: tenantKeyOID, Schema: "public", Name: "tenant_key", Kind: 'd',
			Base: catalog.Type{OID: 23, Schema: "pg_catalog", Name: "int4"},
		}},
		BuiltinTypes: []string{"text", "int4", "int8", "int2", "uuid", "varchar"},
	}
	for i, line := range strings.Split(strings.TrimSpace(shopTables), "\n") {
		fields := strings.Fields(line)
		schema, name, _ := strings.Cut(strings.NewReplacer("_Case", " Case", "_View", " View").Replace(fields[2]), ".")
		rel := catalog.Relation{
			OID: uint32(20000 + i), Schema: schema, Name: name, //nolint:gosec // small
			Class: classes[fields[0]], Kind: fields[1][0],
		}
		for _, column := range fields[3:] {
			tenant := strings.HasPrefix(column, "*")
			parts := strings.Split(strings.TrimPrefix(column, "*"), ":")
			c := catalog.Column{
				Name:      parts[0],
				Type:      catalog.Type{OID: typeOIDs[parts[1]], Schema: "pg_catalog", Name: parts[1]},
				NotNull:   tenant,
				Generated: len(parts) > 2,
			}
			if parts[1] == "tenant_key" {
				c.Type = catalog.Type{OID: tenantKeyOID, Schema: "public", Name: "tenant_key"}
			}
			if tenant {
				rel.TenantColumn = c.Name
			}
			rel.Columns = append(rel.Columns, c)
		}
		if rel.Class == catalog.Derived {
			rel.View = views[strings.ReplaceAll(rel.Name, " ", "_")]
		}
		data.Relations = append(data.Relations, rel)
	}
	return catalog.New(data)
}

func newRewriter(t testing.TB, config Config) *Rewriter {
	t.Helper()
	config.Setting = "app.tenant_id"
	r, err := New(config)
	require.NoError(t, err)
	return r
}

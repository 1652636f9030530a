package catalog

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// shop is a schema with something of everything.
const shop = `
CREATE SCHEMA "Sales"; CREATE SCHEMA archive;
CREATE TYPE mood AS ENUM ('calm', 'busy');
CREATE TYPE address AS (street text, "Town" text);
CREATE DOMAIN tenant_key AS int NOT NULL;
CREATE DOMAIN tenant_key2 AS tenant_key CHECK (VALUE > 0);
CREATE TYPE floats AS RANGE (subtype = float8);
CREATE TABLE tenants (id int PRIMARY KEY, name text);
CREATE TABLE orders (id bigserial PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, note text, total numeric GENERATED ALWAYS AS (1) STORED, gone int);
ALTER TABLE orders DROP COLUMN gone;
CREATE TABLE "Sales"."Order" ("Id" int GENERATED ALWAYS AS IDENTITY, tenant_id uuid NOT NULL);
CREATE TABLE events (tenant_id tenant_key2, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE archive.old_orders (reason text) INHERITS (orders);
CREATE TABLE countries (code text PRIMARY KEY, mood mood);
CREATE TABLE flags (id serial, name text);
CREATE TABLE audit_log (at timestamptz);
CREATE VIEW order_notes AS SELECT tenant_id, note FROM orders;
CREATE VIEW totals AS SELECT sum(total) FROM orders;
CREATE MATERIALIZED VIEW order_counts AS SELECT tenant_id, count(*) FROM orders GROUP BY 1;
CREATE FUNCTION slugify(text, max int DEFAULT 3) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION slugify(VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT $1[1]';
CREATE FUNCTION archive.restore() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE tidy() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE longest (text) (sfunc = textcat, stype = text);
CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
`

// shopConfig lists what no column tells.
func shopConfig() Config {
	return Config{
		Column: "tenant_id",
		Tables: []TableRule{
			{Name: Name{Name: "tenants"}, Class: Tenanted, Column: "id"},
			{Name: Name{Name: "countries"}, Class: Shared},
			{Name: Name{Schema: "public", Name: "flags"}, Class: SharedReadWrite},
		},
	}
}

func TestLoadReadsAllThatStatementsCanName(t *testing.T) {
	s := load(t, superuser(t, pgtest.Database(t, shop)), shopConfig())

	orders, ok := s.Lookup("", "orders")
	require.True(t, ok)
	int8, int4 := Type{20, "pg_catalog", "int8"}, Type{23, "pg_catalog", "int4"}
	require.Equal(t, []Column{
		{Name: "id", Type: int8, Array: 1016, NotNull: true, Default: true},
		{Name: "tenant_id", Type: int4, Array: 1007, NotNull: true},
		{Name: "note", Type: Type{25, "pg_catalog", "text"}, Array: 1009},
		{Name: "total", Type: Type{1700, "pg_catalog", "numeric"}, Array: 1231, Generated: true},
	}, orders.Columns)
	require.Equal(t, byte('r'), orders.Kind)
	mixed, ok := s.Lookup("Sales", "Order")
	require.True(t, ok)
	require.Equal(t, Column{Name: "Id", Type: int4, Array: 1007, NotNull: true, Default: true, Identity: true}, mixed.Columns[0])
	_, ok = s.Lookup("", "Order")
	require.False(t, ok)

	class, ok := s.Lookup("", "pg_class")
	require.True(t, ok)
	require.Equal(t, System, class.Class)
	require.Empty(t, class.Columns)
	tables, ok := s.Lookup("information_schema", "tables")
	require.True(t, ok)
	require.Equal(t, System, tables.Class)

	for _, name := range []string{"note", "reason", "relname", "table_name", "Town"} {
		require.True(t, s.HasColumn(name), name)
	}
	for _, name := range []string{"Note", "gone", "ctid", "........pg.dropped.5........", "slugify"} {
		require.False(t, s.HasColumn(name), name)
	}

	require.ElementsMatch(t, []Function{
		{Schema: "public", Name: "slugify", Args: 2, Defaults: 1, Kind: 'f', Volatility: 'i'},
		{Schema: "public", Name: "slugify", Args: 1, Variadic: true, Kind: 'f', Volatility: 'v'},
	}, s.Functions("slugify"))
	require.Equal(t, byte('p'), s.Functions("tidy")[0].Kind)
	require.Equal(t, byte('a'), s.Functions("longest")[0].Kind)
	require.Empty(t, s.Functions("lower"))
	require.True(t, s.UserOperator("==="))
	require.False(t, s.UserOperator("="))

	for name, want := range map[string]TypeInfo{
		"mood":        {Kind: 'e'},
		"address":     {Kind: 'c'},
		"orders":      {Kind: 'c'},
		"tenant_key2": {Kind: 'd', Base: int4},
		"floats":      {Kind: 'r'},
	} {
		got, ok := s.Type("", name)
		require.True(t, ok, name)
		require.NotZero(t, got.OID)
		want.OID, want.Schema, want.Name = got.OID, "public", name
		require.Equal(t, want, got)
	}
	for _, name := range []string{"_mood", "text", "record", "trigger"} {
		_, ok := s.Type("", name)
		require.False(t, ok, name)
	}
}

func TestFunctionsOfCastsAreThoseOfAllTypesThatHoldTheType(t *testing.T) {
	database := pgtest.Database(t, `
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION paired(int) RETURNS pair LANGUAGE sql AS 'SELECT $1, $1';
CREATE CAST (int AS pair) WITH FUNCTION paired(int) AS ASSIGNMENT;
CREATE TYPE pairs_range AS RANGE (subtype = pair);
CREATE FUNCTION of_pairs(VARIADIC pair[], OUT a int, OUT b pairs_range) RETURNS record LANGUAGE sql AS 'SELECT 1, NULL::pairs_range';
CREATE DOMAIN even AS pair;
CREATE TABLE pairs (p even[]);
CREATE TYPE plain AS (a int);
CREATE CAST (plain AS text) WITH INOUT;`)
	conn := pgtest.Connect(t, pgtest.Server(t).SuperuserURL(database))
	s, err := Load(t.Context(), pgtest.Querier{Conn: conn}, Config{Setting: "app.tenant_id"})
	require.NoError(t, err)
	oids := make(map[string]uint32)
	for _, name := range []string{"pair", "_pair", "even", "_even", "pairs", "_pairs", "pairs_range", "pairs_multirange"} {
		require.Equal(t, []Name{{Schema: "public", Name: "paired"}}, s.CastFunctions(name), name)
		rows := pgtest.Must(t, conn, "SELECT oid FROM pg_type WHERE typname = '"+name+"'")
		oid, err := strconv.ParseUint(rows[0][0], 10, 32)
		require.NoError(t, err)
		oids[name] = uint32(oid)
		require.Equal(t, []Cast{{
			OID: uint32(oid), Type: Name{Schema: "public", Name: name}, Function: Name{Schema: "public", Name: "paired"}, Context: CastAssignment,
		}}, s.Casts(uint32(oid)), name)
	}
	require.Empty(t, s.Casts(23))
	require.ElementsMatch(t, []uint32{oids["_pair"], oids["pairs_range"]}, s.Functions("of_pairs")[0].Types)
	require.Equal(t, []uint32{oids["pair"]}, s.Functions("paired")[0].Types)
	require.Empty(t, s.CastFunctions("plain"))
	require.Empty(t, s.CastFunctions("int4"))
}

func TestPlainRoleReadsWhatTheOwnerReads(t *testing.T) {
	database := pgtest.Database(t, shop)
	owner := superuser(t, database)
	url := role(t, database, "plain", "")
	owner.exec(t, `GRANT USAGE ON SCHEMA "Sales" TO plain`)
	for _, inspect := range []bool{false, true} {
		cfg := shopConfig()
		cfg.Inspect = inspect
		want, got := load(t, owner, cfg).data, load(t, connect(t, url), cfg).data
		require.Equal(t, Role{Name: "plain", Sizes: true}, got.Role)
		require.True(t, want.Role.Superuser)
		require.NotEmpty(t, want.Role.OwnsTables)
		want.Role, got.Role = Role{}, Role{}
		require.Equal(t, want, got)
	}
}

func TestRoleTellsWhichTenantedTablesItOwns(t *testing.T) {
	database := pgtest.Database(t, shop)
	url := role(t, database, "builder", "BYPASSRLS")
	superuser(t, database).exec(t, `CREATE ROLE makers; GRANT makers TO builder; ALTER TABLE "Sales"."Order" OWNER TO makers; ALTER TABLE countries OWNER TO builder`)
	dropLater(t, database, "makers")
	s := load(t, connect(t, url), shopConfig())
	require.Equal(t, Role{Name: "builder", BypassRLS: true, Sizes: true, OwnsTables: []string{`"Sales"."Order"`}}, s.Role)
}

// hostile has operators, functions, casts and types that would come before
// pg_catalog's for whoever does not qualify names.
func hostile() string {
	var b strings.Builder
	b.WriteString(`
CREATE SCHEMA evil;
SET search_path = evil, pg_catalog;
CREATE FUNCTION evil.no(anyelement) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (pg_catalog.length(VALUE) = 0);
CREATE DOMAIN evil.oid AS pg_catalog.oid CHECK (false);
CREATE DOMAIN evil.int8 AS pg_catalog.int8 CHECK (false);
CREATE DOMAIN evil.name AS pg_catalog.name CHECK (false);
CREATE TABLE evil.pg_class (oid pg_catalog.oid); CREATE TABLE evil.pg_roles (rolname pg_catalog.name);
CREATE FUNCTION evil.current_setting(pg_catalog.text) RETURNS pg_catalog.text LANGUAGE sql AS $$SELECT 'evil'::pg_catalog.text$$;
CREATE FUNCTION evil.starts_with(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.json_build_array(VARIADIC "any") RETURNS json LANGUAGE internal AS 'json_build_array_noargs';
CREATE FUNCTION evil.pg_has_role(pg_catalog.oid, pg_catalog.text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
`)
	for _, operator := range []string{"=", "<>", ">", "<", ">=", "<="} {
		for i, types := range []string{"oid,oid", "name,name", `"char","char"`, "int8,int8", "int2,int2", "int2,int4", "int4,int4", "text,text", "bool,bool", "name,text"} {
			left, right, _ := strings.Cut(types, ",")
			f := fmt.Sprintf("f%d", i)
			fmt.Fprintf(&b, "CREATE OR REPLACE FUNCTION evil.%s(pg_catalog.%s, pg_catalog.%s) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;\n", f, left, right)
			fmt.Fprintf(&b, "CREATE OPERATOR evil.%s (leftarg = pg_catalog.%s, rightarg = pg_catalog.%s, function = evil.%s);\n", operator, left, right, f)
		}
	}
	return b.String()
}

func TestNothingThatUsersDefineInterferesWithLoading(t *testing.T) {
	database := pgtest.Database(t, shop)
	c := superuser(t, database)
	cfg := shopConfig()
	cfg.Inspect = true
	c.exec(t, hostile())
	_, err := c.try("SELECT count(*) FROM pg_catalog.pg_class WHERE oid = oid")
	require.ErrorContains(t, err, "called")
	c.exec(t, "SET search_path = public")
	want := load(t, c, cfg).data
	c.exec(t, "SET search_path = public, evil, pg_catalog")
	got := load(t, c, cfg).data

	require.Equal(t, []string{"public", "evil", "pg_catalog"}, got.SearchPath)
	want.SearchPath, want.SearchPathSetting = got.SearchPath, got.SearchPathSetting
	for i := range want.Relations { // the server itself would call their operators
		if view := want.Relations[i].View; view != nil {
			require.NotEmpty(t, view.Definition)
			view.Definition = ""
		}
	}
	for _, d := range got.inspection.details { // the one thing that is written for a search path
		for column, def := range d.defaults {
			def.expression = unqualified(def.expression)
			d.defaults[column] = def
		}
	}
	require.Equal(t, want, got)
}

func TestObjectsThatAreAddedToSystemSchemasAreUsers(t *testing.T) {
	c := superuser(t, pgtest.Database(t, `
		CREATE FUNCTION pg_catalog.lower(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE DOMAIN information_schema.own AS int;`))
	s := load(t, c, Config{})
	require.Len(t, s.Functions("lower"), 1)
	_, ok := s.Type("information_schema", "own")
	require.True(t, ok)
}

func TestTemporaryRelationsAreLeftOut(t *testing.T) {
	c := superuser(t, pgtest.Database(t, ""))
	c.exec(t, "CREATE TEMP TABLE t (only_here int); CREATE TEMP VIEW v AS SELECT 1; CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE pg_temp.e AS ENUM ()")
	s := load(t, c, Config{})
	_, ok := s.Lookup("", "t")
	require.False(t, ok)
	_, ok = s.Lookup("pg_temp", "v")
	require.False(t, ok)
	require.Empty(t, s.Functions("f"))
	_, ok = s.Type("", "e")
	require.False(t, ok)
	require.False(t, s.HasColumn("only_here"))
}

func TestSearchPathIsTheRolesOwnWithTemporaryObjectsLast(t *testing.T) {
	database := pgtest.Database(t, `CREATE SCHEMA "My App"; CREATE SCHEMA open; CREATE SCHEMA closed; REVOKE ALL ON SCHEMA closed FROM PUBLIC`)
	url := role(t, database, "My App", "")
	admin := superuser(t, database)
	admin.exec(t, `GRANT USAGE ON SCHEMA "My App", open TO "My App"`)
	for setting, want := range map[string]struct {
		path   []string
		pinned string
	}{
		`"$user", public`:                 {[]string{"My App", "public"}, `"$user", public, pg_temp`},
		`pg_temp, closed, open, nowhere`:  {[]string{"open"}, `closed, open, nowhere, pg_temp`},
		`open, pg_catalog, "Missing One"`: {[]string{"open", "pg_catalog"}, `open, pg_catalog, "Missing One", pg_temp`},
		`''`:                              {nil, `"", pg_temp`},
	} {
		admin.exec(t, `ALTER ROLE "My App" SET search_path = `+setting)
		c := connect(t, url)
		s := load(t, c, Config{})
		require.Equal(t, want.path, s.data.SearchPath, setting)
		require.Equal(t, want.pinned, s.SearchPathSetting)
		c.exec(t, "SELECT set_config('search_path', "+quoteLiteral(s.SearchPathSetting)+", false)")
		require.Equal(t, want.pinned, load(t, c, Config{}).SearchPathSetting, "pinning changes nothing")
	}
}

func TestRelationsAreFoundAsTheServerFindsThem(t *testing.T) {
	long := strings.Repeat("é", 31)
	c := superuser(t, pgtest.Database(t, `
		CREATE SCHEMA a; CREATE SCHEMA b; CREATE SCHEMA "C";
		CREATE TABLE a.both (); CREATE TABLE b.both (); CREATE TABLE b.only_b (); CREATE TABLE public.pg_class ();
		CREATE TABLE a."Upper" (); CREATE TABLE "C".upper (); CREATE VIEW "C".seen AS SELECT 1;
		CREATE TABLE b."`+long+`" (); CREATE TABLE public.t`+strings.Repeat("x", 62)+` ();
		CREATE SEQUENCE a.numbers; CREATE TABLE pg_catalog_not ()`))
	names := []string{
		"both", "only_b", "pg_class", "Upper", "upper", "seen", "numbers", "tables", "nothing",
		long + "é", long + "x", long + "xx", "t" + strings.Repeat("x", 62) + "tail", "pg_catalog_not",
	}
	schemas := []string{"", "a", "b", "C", "c", "public", "pg_catalog", "information_schema", "nowhere"}
	for _, path := range []string{`"$user", public`, `a, b`, `b, a, public`, `public, pg_catalog`, `"C", information_schema`, `c`, `''`} {
		c.exec(t, "SET search_path = "+path)
		s := load(t, c, Config{})
		for _, schema := range schemas {
			for _, name := range names {
				written := Name{schema, name}
				rows, err := c.Query(t.Context(), "SELECT c.oid FROM pg_class AS c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'v', 'S')", written.String())
				if path == "public, pg_catalog" {
					rows, err = c.Query(t.Context(), "SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'v', 'S')", written.String())
				}
				require.NoError(t, err)
				r, ok := s.Lookup(schema, name)
				require.Equal(t, len(rows) == 1, ok, "%s with search_path %s", written, path)
				if ok {
					require.Equal(t, *rows[0][0], fmt.Sprint(r.OID), "%s with search_path %s", written, path)
				}
			}
		}
	}
}

func TestNamesAreNotCutWhereTheServersEncodingIsUnknown(t *testing.T) {
	cut := strings.Repeat("é", 31)
	data := Data{SearchPath: []string{"public"}, Relations: []Relation{{Schema: "public", Name: cut}}}
	_, ok := New(data).Lookup("", cut+"é")
	require.True(t, ok)
	data.ServerEncoding = "LATIN1" // there, the longer name has 32 bytes and is another one
	_, ok = New(data).Lookup("", cut+"é")
	require.False(t, ok)
}

func TestUserTypesHideTypesOnlyWhereTheSearchPathSaysSo(t *testing.T) {
	data := Data{
		SearchPath:   []string{"public"},
		BuiltinTypes: []string{"text"},
		Types:        []TypeInfo{{OID: 1, Schema: "public", Name: "text", Kind: 'd'}, {OID: 2, Schema: "other", Name: "mood", Kind: 'e'}},
	}
	_, ok := New(data).Type("", "text")
	require.False(t, ok)
	_, ok = New(data).Type("public", "text")
	require.True(t, ok)
	_, ok = New(data).Type("", "mood")
	require.False(t, ok)
	data.SearchPath = []string{"public", "pg_catalog"}
	_, ok = New(data).Type("", "text")
	require.True(t, ok)
}

func TestServersThatAreNotUnderstoodAreRefused(t *testing.T) {
	server := func(version, nameBytes int) Querier {
		return answers{{"0", "0", fmt.Sprintf(`[%d, "UTF8", "UTF8", %d, "public", "app", false, false, true]`, version, nameBytes)}}
	}
	c := superuser(t, pgtest.Database(t, ""))
	c.exec(t, "SET client_encoding = LATIN1")
	_, err := Load(t.Context(), c, Config{})
	require.ErrorContains(t, err, "names arrive in LATIN1")
	_, err = Load(t.Context(), server(130012, 63), Config{})
	require.ErrorContains(t, err, "PostgreSQL 13 is not supported")
	_, err = Load(t.Context(), server(150000, 127), Config{})
	require.ErrorContains(t, err, "127 bytes")
	_, err = Load(t.Context(), answers{}, Config{})
	require.ErrorContains(t, err, "did not describe itself")
	for _, broken := range []answers{
		{{"0", "0"}},
		{{"0", "0", `[1]`}},
		{{"0", "0", `{}`}},
		{{"0", "0", ``}},
		{{"99", "0", `[]`}},
		{{"8", "0", `[]`}},
		{{"2", "0", `[1, "public", "t", "r", false, false, false, false, null, ["a"], [23], [], ["int4"], [""]]`}},
	} {
		_, err = Load(t.Context(), broken, Config{})
		require.ErrorContains(t, err, "read the catalog", broken)
	}
	_, err = Load(t.Context(), server(150000, 63), Config{})
	require.NoError(t, err)
}

// answers is a Querier that always gives the same rows.
type answers [][]string

func (a answers) Query(context.Context, string, ...string) ([][]*string, error) {
	var rows [][]*string
	for _, row := range a {
		var values []*string
		for _, value := range slices.Clone(row) {
			values = append(values, &value)
		}
		rows = append(rows, values)
	}
	return rows, nil
}

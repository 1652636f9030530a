package doctor

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/rewrite/catalog"
)

// examine is Examine of a database that a URL leads to.
func examine(t testing.TB, url string, cfg Config) []Finding {
	t.Helper()
	server, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	findings, err := Examine(context.Background(), server, cfg)
	require.NoError(t, err)
	return findings
}

// named are the names of the findings of a severity.
func named(findings []Finding, severity Severity) []string {
	all := []string{}
	for _, f := range findings {
		if f.Severity == severity {
			all = append(all, f.Name)
		}
	}
	return all
}

// healthySchema is one without faults, once it has been hardened.
const healthySchema = `
CREATE TABLE countries (code text PRIMARY KEY);
CREATE TABLE orders (tenant_id int NOT NULL, id int, country text REFERENCES countries, PRIMARY KEY (tenant_id, id));
CREATE TABLE lines (tenant_id int NOT NULL, order_id int NOT NULL, n int GENERATED ALWAYS AS IDENTITY,
	FOREIGN KEY (tenant_id, order_id) REFERENCES orders ON DELETE CASCADE);
CREATE TABLE events (tenant_id int NOT NULL, at date NOT NULL, UNIQUE (tenant_id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_new PARTITION OF events DEFAULT;
CREATE TABLE "Order" (tenant_id text NOT NULL);
CREATE TABLE jobs (id serial PRIMARY KEY);
CREATE FUNCTION slugify(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN replace($1, ' ', '-');
INSERT INTO orders VALUES (1, 1), (2, 1);
`

// healthy makes a database that bootstrap --harden has prepared.
func healthy(t *testing.T, role string, rowSecurity bool) (database string, cfg Config) {
	t.Helper()
	return healthyWith(t, role, rowSecurity, nil)
}

// healthyWith is healthy with a seal, if there is a key for it.
func healthyWith(t *testing.T, role string, rowSecurity bool, seal *catalog.SealKey) (database string, cfg Config) {
	t.Helper()
	database = pgtest.Database(t, healthySchema)
	cfg = Config{RowSecurity: rowSecurity, Seal: seal, Rewriting: true, Catalog: catalog.Config{
		Setting: "app.tenant_id", Column: "tenant_id",
		Tables:         []catalog.TableRule{{Name: catalog.Name{Name: "countries"}, Class: catalog.Shared}},
		AllowFunctions: []catalog.Name{{Name: "slugify"}},
	}}
	owner := pgtest.Connect(t, pgtest.Server(t).SuperuserURL(database))
	inspect := cfg.Catalog
	inspect.Inspect = true
	s, err := catalog.Load(context.Background(), pgtest.Querier{Conn: owner}, inspect)
	require.NoError(t, err)
	plan, err := catalog.Bootstrap(s, catalog.BootstrapConfig{
		Setting: "app.tenant_id", Role: role, Password: "secret", Harden: true, NoRowSecurity: !rowSecurity,
		Sealed: seal != nil, SealKey: seal,
	})
	require.NoError(t, err)
	for _, ddl := range plan {
		pgtest.Must(t, owner, ddl.SQL)
	}
	t.Cleanup(func() {
		require.NoError(t, pgtest.Server(t).Exec(context.Background(), database, "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role))
	})
	return database, cfg
}

func TestHardenedDatabaseHasNoFindings(t *testing.T) {
	for role, rowSecurity := range map[string]bool{"healthy": true, "healthy_rewritten": false} {
		database, cfg := healthy(t, role, rowSecurity)
		require.Empty(t, examine(t, pgtest.Server(t).URL(role, "secret", database), cfg))
	}
}

func TestWhatBootstrapPreparesHasNoErrorsButThoseOfItsSchema(t *testing.T) {
	c := clinic.New(t, 2)
	for database, cfg := range map[string]Config{
		c.Policies(): {Catalog: clinic.Config(), RowSecurity: true},
		c.Plain():    {Catalog: clinic.Config(), Rewriting: true},
	} {
		findings := examine(t, c.URL(database), cfg)
		require.Equal(t, []string{"fk-cascade-without-tenant:public.invoice_lines"}, named(findings, Error))
	}
}

func TestPoliciesAreAskedForOnlyWhereTheyAreReliedOn(t *testing.T) {
	c := clinic.New(t, 1)
	require.Contains(t, named(examine(t, c.URL(c.Plain()), Config{Catalog: clinic.Config(), RowSecurity: true}), Error), "rls-off:public.patients")
	// A tenant's own database has nobody to be kept apart from.
	alone := examine(t, c.URL(c.Plain()), Config{Catalog: clinic.Config(), RowSecurity: true, OneTenant: true})
	require.Empty(t, named(alone, Error))
	require.Contains(t, named(alone, Warning), "not-hardened:signals")
}

func TestSuperuserIsTheOnlyFindingOfASuperuser(t *testing.T) {
	findings := examine(t, pgtest.Server(t).SuperuserURL(pgtest.Database(t, "CREATE TABLE t (tenant_id int)")), Config{
		RowSecurity: true, Catalog: catalog.Config{Column: "tenant_id"},
	})
	require.Contains(t, named(findings, Error), "role-superuser:postgres")
	for _, f := range findings {
		require.Equal(t, "postgres", f.Object)
	}
}

func TestServerEncodingThatIsNotTheProxysIsFound(t *testing.T) {
	s := pgtest.Server(t)
	require.NoError(t, s.Exec(t.Context(), "postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"))
	require.NoError(t, s.Exec(t.Context(), "postgres", "CREATE ROLE latin LOGIN PASSWORD 'secret'"))
	t.Cleanup(func() {
		require.NoError(t, s.Exec(context.Background(), "postgres", "DROP DATABASE latin WITH (FORCE)"))
		require.NoError(t, s.Exec(context.Background(), "postgres", "DROP ROLE latin"))
	})
	require.Contains(t, named(examine(t, s.URL("latin", "secret", "latin"), Config{}), Warning), "server-encoding:LATIN1")
}

func TestFunctionsThatRewritingDoesNotReachAreNamed(t *testing.T) {
	c := clinic.New(t, 1)
	cfg := Config{Catalog: clinic.Config(), Rewriting: true}
	cfg.Catalog.AllowFunctions = append(cfg.Catalog.AllowFunctions, catalog.Name{Name: "patient_total"})
	require.Contains(t, named(examine(t, c.URL(c.Plain()), cfg), Warning), "function-not-rewritten:public.patient_total()")
	cfg.RowSecurity = true // the function's statements are held by policies
	require.NotContains(t, named(examine(t, c.URL(c.Policies()), cfg), Warning), "function-not-rewritten:public.patient_total()")
}

func TestServerVersionsAreJudged(t *testing.T) {
	for version, want := range map[int][]string{
		140018: {"server-outdated:14"}, 140019: {}, 150013: {"server-outdated:15"}, 160010: {},
		170005: {"server-version:17", "server-outdated:17"}, 180000: {"server-version:18"},
	} {
		p := newPatient(Config{Grammar: 16}, catalog.New(catalog.Data{ServerVersion: version}), nil)
		require.NoError(t, lookAtVersion(t.Context(), p))
		require.Equal(t, want, named(p.findings, Warning), version)
	}
}

func TestForeignKeyIsMendedByTheUniqueKeyThatIsThere(t *testing.T) {
	database := pgtest.Database(t, `
		CREATE TABLE p (tenant_id int NOT NULL, id int UNIQUE, PRIMARY KEY (tenant_id, id));
		CREATE TABLE c (tenant_id int NOT NULL, p int, CONSTRAINT "To p" FOREIGN KEY (p) REFERENCES p (id) ON UPDATE RESTRICT DEFERRABLE INITIALLY DEFERRED);
		CREATE TABLE odd (tenant_id int NOT NULL REFERENCES p (id));
		CREATE ROLE mender LOGIN PASSWORD 'secret'`)
	t.Cleanup(func() {
		require.NoError(t, pgtest.Server(t).Exec(context.Background(), "postgres", "DROP ROLE mender"))
	})
	sql := make(map[string][]string)
	for _, f := range examine(t, pgtest.Server(t).URL("mender", "secret", database), Config{Catalog: catalog.Config{Column: "tenant_id"}}) {
		sql[f.Name] = f.SQL
	}
	require.Equal(t, []string{`ALTER TABLE public.c DROP CONSTRAINT "To p", ADD CONSTRAINT "To p" ` +
		`FOREIGN KEY (tenant_id, p) REFERENCES public.p (tenant_id, id) ON UPDATE RESTRICT DEFERRABLE INITIALLY DEFERRED`}, sql["fk-without-tenant:public.c"])
	require.Empty(t, sql["fk-without-tenant:public.odd"], "a machine cannot tell what is meant")
	require.Contains(t, sql, "fk-without-tenant:public.odd")
}

// A failing is a Querier that always fails.
type failing struct{ err error }

func (f failing) Query(context.Context, string, ...string) ([][]*string, error) { return nil, f.err }

func TestProbeThatFailsTellsWhatItsFailureMeans(t *testing.T) {
	table := catalog.Relation{Schema: "public", Name: "t", Kind: 'r', Class: catalog.Tenanted, RowSecurity: true}
	for code, want := range map[string][]string{
		"42501": {}, "22P02": {}, "P0001": {}, "57014": {"probe-too-slow:public.t"},
	} {
		p := newPatient(Config{RowSecurity: true}, catalog.New(catalog.Data{}), failing{&pgconn.PgError{Code: code}})
		require.NoError(t, p.probe(t.Context(), &table))
		require.Equal(t, want, named(p.findings, Warning), code)
	}
	for _, code := range []string{"57P01", "53300", "XX000"} {
		p := newPatient(Config{RowSecurity: true}, catalog.New(catalog.Data{}), failing{&pgconn.PgError{Code: code}})
		require.Error(t, p.probe(t.Context(), &table), code)
	}
}

func TestFindingsOfOneNameAreOne(t *testing.T) {
	p := newPatient(Config{}, catalog.New(catalog.Data{}), nil)
	p.add(Warning, "fk", "t", "first", "A")
	p.add(Warning, "other", "t", "why")
	p.add(Error, "fk", "t", "second", "A", "B")
	require.Equal(t, []Finding{
		{Name: "fk:t", Check: "fk", Object: "t", Severity: Error, Why: "first; second", SQL: []string{"A", "B"}},
		{Name: "other:t", Check: "other", Object: "t", Severity: Warning, Why: "why", SQL: []string{}},
	}, merged(p.findings))
}

func TestAcknowledgedFindingsDoNotCount(t *testing.T) {
	findings := []Finding{{Name: "a:x", Severity: Error}, {Name: "b:x", Severity: Error}, {Name: "c:x", Severity: Warning}}
	require.Equal(t, []string{"a:y"}, Acknowledge(findings, []string{"a:x", "a:y"}))
	require.Equal(t, 1, Count(findings, Error))
	require.Equal(t, 1, Count(findings, Warning))
	require.True(t, findings[0].Acknowledged)
}

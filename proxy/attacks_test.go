package proxy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// attackTables are the tenanted tables of testdata/attacks/schema.sql.
var attackTables = []string{"members", "visits", "handles", "stays", "attic.countries", "sights", "glances"}

var protocols = []string{"simple", "extended", "pipeline"}

// A battlefield is the clinic with what a careless operator adds.
type battlefield struct {
	*clinic.Clinic
	oracle  string
	attacks []*attack
	without map[string]string // databases for runs without guard, by name of their enforcement
}

func newBattlefield(t *testing.T) *battlefield {
	t.Helper()
	f := &battlefield{Clinic: clinic.New(t, 2), without: make(map[string]string)}
	files, err := filepath.Glob("../testdata/attacks/[a-z]_*.sql")
	require.NoError(t, err)
	for _, file := range files {
		f.attacks = append(f.attacks, readAttacks(t, file)...)
	}
	text, err := os.ReadFile("../testdata/attacks/schema.sql")
	require.NoError(t, err)
	f.oracle = f.Oracle(t, "1")
	for _, database := range []string{f.Policies(), f.Plain(), f.oracle} {
		require.NoError(t, f.Server.Exec(t.Context(), database, "GRANT TEMPORARY ON DATABASE "+database+" TO "+clinic.Role))
		require.NoError(t, f.Server.Exec(t.Context(), database, string(text)))
	}
	t.Cleanup(func() {
		require.NoError(t, f.Server.Exec(context.Background(), f.Policies(), "REVOKE clinic_admin FROM "+clinic.Role))
	})
	var policies, alone, trespass strings.Builder
	for _, table := range attackTables {
		fmt.Fprintf(&policies, `ALTER TABLE %[1]s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
			CREATE POLICY tenant ON %[1]s USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::int));`, table)
		fmt.Fprintf(&alone, "DELETE FROM %[1]s WHERE tenant_id <> 1; ALTER TABLE %[1]s ALTER COLUMN tenant_id SET DEFAULT 1;", table)
		fmt.Fprintf(&trespass, "CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION watch('tenant_id');", table)
	}
	fmt.Fprintf(&trespass, `CREATE FUNCTION trespass() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'a table of all tenants' USING ERRCODE = '%s'; END $$;`, codeTrespass)
	for _, table := range []string{"countries", "jobs", "audit_log", "backup"} {
		fmt.Fprintf(&trespass, "CREATE TRIGGER trespass BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION trespass();", table)
	}
	for _, table := range []string{"members", "patients", "notes", "log_lines", "events"} {
		fmt.Fprintf(&trespass, "CREATE TRIGGER trespass BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION trespass();", table)
	}
	require.NoError(t, f.Server.Exec(t.Context(), f.Policies(), policies.String()))
	require.NoError(t, f.Server.Exec(t.Context(), f.oracle, alone.String()+"DELETE FROM invoice_lines WHERE tenant_id <> 1; DELETE FROM jobs; DELETE FROM audit_log; DELETE FROM backup; SELECT lo_unlink(4242);"+
		"REFRESH MATERIALIZED VIEW patient_names; REFRESH MATERIALIZED VIEW patient_counts"))
	for _, database := range []string{f.Policies(), f.Plain()} {
		watch(t, f.Clinic, database, "1")
		require.NoError(t, f.Server.Exec(t.Context(), database, trespass.String()+"ANALYZE"))
	}
	f.without["rls"] = f.copyOf(t, f.Policies())
	f.without["rewrite"] = f.copyOf(t, f.Plain())
	return f
}

// copyOf copies a database; CREATE DATABASE does not copy its privileges.
func (f *battlefield) copyOf(t *testing.T, database string) string {
	t.Helper()
	name := pgtest.Copy(t, database, "")
	require.NoError(t, f.Server.Exec(t.Context(), name, "GRANT TEMPORARY ON DATABASE "+name+" TO "+clinic.Role))
	return name
}

// answers are what the tenant's own database says to an attack, by protocol.
type answers struct {
	conn  *hostile
	known map[string]transcript
}

func (o *answers) to(a *attack, protocol, probe string) transcript {
	key := a.String() + protocol + probe
	tr, ok := o.known[key]
	if !ok {
		o.conn.reopen()
		tr = o.conn.assail(a, protocol, probe, false)
		o.conn.clean()
		o.known[key] = tr
	}
	return tr
}

// assail runs an attack, inside a transaction unless it makes its own.
func (h *hostile) assail(a *attack, protocol, probe string, predicates bool) transcript {
	h.t.Helper()
	h.reopen()
	if !a.alone {
		h.must("BEGIN")
	}
	h.forget()
	return h.run(protocol, a.script(predicates, probe), a.args, a.data)
}

// clean ends what an attack has begun.
func (h *hostile) clean() {
	h.t.Helper()
	if h.reopen(); h.tidy {
		return
	}
	h.must("ROLLBACK")
	h.must("DISCARD ALL")
	h.tidy = true
}

var marks = []string{clinic.Mark("2")}

func TestAttacksGetNothing(t *testing.T) {
	f := newBattlefield(t)
	require.Greater(t, len(f.attacks), 700)
	t.Log(f.figures())
	oracle := &answers{newHostile(t, f.URL(f.oracle), nil), make(map[string]transcript)}
	t.Run("without guard", func(t *testing.T) {
		for _, name := range []string{"rls", "rewrite"} {
			t.Run(name, func(t *testing.T) { f.runBare(t, name, oracle) })
		}
	})
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) { f.runGuarded(t, enforce, oracle) })
	}
}

// figures counts what the files say.
func (f *battlefield) figures() string {
	ends, effects := make(map[string]int), make(map[string]int)
	for _, a := range f.attacks {
		for _, enforce := range enforcements {
			switch want := a.want[enforce.String()]; {
			case want.open != "":
				ends[enforce.String()+" open"]++
			case want.code != "":
				ends[enforce.String()+" refused"]++
			default:
				ends[enforce.String()+" answered"]++
			}
		}
		for database, effect := range a.bare {
			effects[database+" "+effect.kind]++
		}
	}
	return fmt.Sprintf("%d attacks: %v; without guard: %v", len(f.attacks), ends, effects)
}

// runGuarded runs all attacks through a proxy.
func (f *battlefield) runGuarded(t *testing.T, enforce Enforcement, oracle *answers) {
	g := open(t, f.Clinic, enforce, poolOf(1))
	super := pgtest.Connect(t, f.Server.SuperuserURL(g.database))
	victim := g.tenant("2")
	attacker := newHostile(t, g.url("tenant1"), nil)
	before, sane := fingerprint(t, super), pgtest.Must(t, victim, sanity)
	own := attacker.must(sanity)
	for i, a := range f.attacks {
		for _, protocol := range protocols {
			if a.args != nil && protocol == "simple" {
				continue
			}
			what := f.guarded(attacker, a, protocol, enforce, oracle)
			if what != "" {
				t.Errorf("%s\n%s, %s: %s", a, enforce, protocol, what)
			}
			require.Equal(t, sane, pgtest.Must(t, victim, sanity), "%s, %s: the next session", a, protocol)
			again := attacker.must(sanity)
			require.Equal(t, own.lines, again.lines, "%s, %s: the session afterwards", a, protocol)
			if enforce != Rewrite {
				require.NotContains(t, []string{"1", "2"}, leftover(t, g), a.String())
			}
		}
		if i%10 == 0 || i == len(f.attacks)-1 {
			require.Equal(t, before, fingerprint(t, super), "the database after %s and those before", a)
		}
	}
}

// guarded runs one attack through a proxy and says what is wrong.
func (f *battlefield) guarded(h *hostile, a *attack, protocol string, enforce Enforcement, oracle *answers) string {
	want := a.want[enforce.String()]
	var first transcript
	for i, probe := range a.probes() {
		got := h.assail(a, protocol, probe, false)
		leaked := h.holds(marks...)
		h.clean()
		switch {
		case leaked:
			return "a mark of another tenant in the answer: " + strings.Join(got.lines, "\n")
		case slices.Contains(got.codes, codeTrespass) && want.open == "":
			return "a write to another tenant's row"
		case i == 0:
			first = got
		case !got.equal(first) && want.open == "":
			return fmt.Sprintf("%v for %s, but\n%v for %s", first.lines, a.hit, got.lines, a.miss)
		case got.equal(first) && want.open != "":
			return "it is no longer open: " + want.open
		}
		if what := judge(want, got, a, protocol, probe, oracle); what != "" {
			return what
		}
	}
	return ""
}

// judge compares an answer with what it should be.
func judge(want verdict, got transcript, a *attack, protocol, probe string, oracle *answers) string {
	told := fmt.Sprintf("got %v\n%s", got.rules, strings.Join(got.lines, "\n"))
	if want.code != "" {
		if slices.Contains(got.codes, want.code) && (want.rule == "" || slices.Contains(got.rules, want.rule)) {
			return ""
		}
		if protocol == "simple" {
			return fmt.Sprintf("want %s %s, %s", want.code, want.rule, told)
		}
	}
	if protocol != "simple" && (slices.Contains(got.rules, "message.extended") || slices.Contains(got.codes, "42601")) {
		return "" // there it is no statement at all
	}
	if want.open != "" && a.hit != "" {
		return "" // its two answers are compared
	}
	alone := oracle.to(a, protocol, probe)
	switch same := got.equal(alone); {
	case same && want.open != "":
		return "it is no longer open: " + want.open
	case !same && want.open == "" && want.other == "":
		return "the answer is not that of the tenant's own database: " + told + "\ninstead of\n" + strings.Join(alone.lines, "\n")
	}
	return ""
}

// sanity asks for what a session and its server connection must be.
const sanity = `SELECT count(*), min(tenant_id), max(tenant_id), current_user, session_user, pg_my_temp_schema(),
	current_setting('TimeZone'), current_setting('DateStyle'), current_setting('statement_timeout'), current_setting('lock_timeout'),
	current_setting('search_path'), current_setting('application_name'), current_setting('client_encoding'),
	current_setting('transaction_read_only'), current_setting('transaction_isolation'), current_setting('row_security') FROM patients`

// fingerprint digests what no attack may change.
func fingerprint(t *testing.T, super *pgconn.PgConn) [][]string {
	t.Helper()
	return pgtest.Must(t, super, fingerprintQuery)
}

// ofOthers leaves the attacker's rows out of a fingerprint.
const ofOthers = " WHERE tenant_id::text <> '1'"

var fingerprintQuery = func() string {
	var parts []string
	for _, table := range append([]string{
		"patients", "practitioners", "appointments", "invoices", "invoice_lines", "notes", "documents", "events",
		"legacy_codes", "settings", "log_lines", `"Order"`, "billing.payments",
	}, attackTables...) {
		parts = append(parts, fmt.Sprintf("SELECT '%s', count(*)::text || md5(string_agg(x::text, '' ORDER BY x::text)) FROM %s x%s", table, table, ofOthers))
	}
	for _, table := range []string{"tenants", "countries", "audit_log", "jobs", "backup", "patient_names", "patient_counts"} {
		parts = append(parts, fmt.Sprintf("SELECT '%s', count(*)::text || md5(string_agg(x::text, '' ORDER BY x::text)) FROM %s x", table, table))
	}
	for _, catalog := range []string{
		"pg_class", "pg_proc", "pg_type", "pg_trigger", "pg_rewrite", "pg_policy", "pg_namespace", "pg_largeobject_metadata", "pg_description",
		"pg_prepared_xacts", "pg_db_role_setting", "pg_auth_members", "pg_roles",
	} {
		parts = append(parts, fmt.Sprintf("SELECT '%[1]s', count(*)::text FROM %[1]s", catalog))
	}
	parts = append(parts,
		"SELECT 'tickets', last_value::text FROM tickets",
		"SELECT 'object', md5(string_agg(data, '')) FROM pg_largeobject",
		"SELECT 'grants', md5(string_agg(relacl::text, ',' ORDER BY oid)) FROM pg_class",
		"SELECT 'locks', count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
	return strings.Join(parts, " UNION ALL ")
}()

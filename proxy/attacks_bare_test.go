package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/internal/postgres"
)

// What an attack may leave behind, as its session sees it: in the session, and
// in the database, which takes a transaction that writes.
const (
	sessionState = `SELECT current_user, current_setting('app.tenant_id', true),
	(SELECT md5(string_agg(name || '=' || setting, ',' ORDER BY name)) FROM pg_catalog.pg_settings WHERE name NOT IN ('transaction_deferrable', 'transaction_isolation', 'transaction_read_only')),
	(SELECT count(*) FROM pg_catalog.pg_prepared_statements WHERE from_sql), (SELECT count(*) FROM pg_catalog.pg_cursors),
	(SELECT count(*) FROM pg_catalog.pg_listening_channels()),
	(SELECT count(*) FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND (locktype = 'advisory' OR locktype = 'relation' AND mode ~ '^(Share|Exclusive|Access|ShareRow)Exclusive')),
	(SELECT md5(string_agg(last_value::text, ',' ORDER BY sequencename)) FROM pg_catalog.pg_sequences)`

	databaseState = `SELECT (SELECT count(*) FROM pg_catalog.pg_class), (SELECT count(*) FROM pg_catalog.pg_proc), (SELECT count(*) FROM pg_catalog.pg_type), (SELECT count(*) FROM pg_catalog.pg_trigger),
	(SELECT md5(string_agg(relacl::text, ',' ORDER BY oid)) FROM pg_catalog.pg_class), (SELECT count(*) FROM pg_catalog.pg_description),
	(SELECT count(*) FROM pg_catalog.pg_db_role_setting), (SELECT md5(string_agg(lomowner::text || lomacl::text, ',')) FROM pg_catalog.pg_largeobject_metadata),
	(SELECT count(*) FROM pg_catalog.pg_default_acl)`

	hasWritten = "SELECT 'written' FROM pg_catalog.pg_current_xact_id_if_assigned() AS x WHERE x IS NOT NULL"
)

// scratch is the database of attacks that make their own transactions.
const scratch = "attacks_scratch"

// A bareRun runs attacks where no guard holds them.
type bareRun struct {
	*battlefield
	name     string // rls or rewrite
	template string // what scratch is made from
	super    *pgconn.PgConn
	watcher  *pgconn.PgConn // of scratch; nil before it is made
	made     [][]string     // all that scratch held then
	kept     []string       // what a session holds before an attack; nil if not known
	defined  []string       // what the database holds when it was made
	oracle   *answers
}

// runBare runs all attacks without guard, and requires that they do what their
// file says: a check that cannot fail would be none.
func (f *battlefield) runBare(t *testing.T, name string, oracle *answers) {
	database := f.without[name]
	r := &bareRun{
		battlefield: f, name: name, template: pgtest.Copy(t, database, ""),
		super: pgtest.Connect(t, f.Server.SuperuserURL(postgres.Superuser)), oracle: oracle,
	}
	installed := make(map[string]bool)
	admin := pgtest.Connect(t, f.Server.SuperuserURL(database))
	for _, row := range pgtest.Must(t, admin, "SELECT extname FROM pg_extension") {
		installed[row[0]] = true
	}
	victim := pgtest.Connect(t, f.URL(database))
	pgtest.Must(t, victim, "SELECT '"+clinic.Mark("2")+"', pg_advisory_lock(42)")
	usual := r.connect(t, database)
	r.defined = usual.must(databaseState).lines
	expected, missed := 0, 0
	for _, a := range f.attacks {
		if a.extension != "" && !installed[a.extension] {
			continue
		}
		h := usual
		if a.alone {
			r.makeScratch(t)
			h = r.connect(t, scratch)
		}
		want, got := a.bare[name], r.effect(t, h, a)
		h.clean()
		if a.alone {
			_ = h.conn.Close()
			r.kept = nil
		}
		if want.kind == tells {
			expected++
		}
		switch {
		case want.kind == got:
		case soft(want.kind) && soft(got):
			if want.kind == tells {
				missed++
			}
		default:
			t.Errorf("%s\nwithout guard, %s: want %q, but it is %q", a, name, want.kind, got)
		}
	}
	pgtest.Must(t, r.super, "DROP DATABASE IF EXISTS "+scratch+" WITH (FORCE)")
	require.Less(t, missed*10, expected, "attacks that should tell something without guard")
}

// makeScratch makes the scratch database, again if an attack has changed
// anything in it.
func (r *bareRun) makeScratch(t *testing.T) {
	t.Helper()
	if r.watcher != nil && slices.EqualFunc(r.made, r.holds(t), slices.Equal) {
		return
	}
	pgtest.Must(t, r.super, "DROP DATABASE IF EXISTS "+scratch+" WITH (FORCE)")
	require.NoError(t, r.Server.CreateDatabase(t.Context(), scratch, r.template))
	r.watcher = pgtest.Connect(t, r.Server.SuperuserURL(scratch))
	r.made = r.holds(t)
}

// holds digests all that scratch holds.
func (r *bareRun) holds(t *testing.T) [][]string {
	t.Helper()
	return slices.Concat(pgtest.Must(t, r.watcher, sessionState), pgtest.Must(t, r.watcher, databaseState), r.print(t, strings.ReplaceAll(fingerprintQuery, ofOthers, "")))
}

// soft are effects that change from run to run: what activity views show, say,
// may once be the same as in the tenant's own database.
func soft(effect string) bool { return effect == tells || effect == harmless || effect == unseen }

// connect opens a session of tenant 1 without proxy.
func (r *bareRun) connect(t *testing.T, database string) *hostile {
	return newHostile(t, r.URL(database), func(h *hostile) { r.confine(h) })
}

func (r *bareRun) confine(h *hostile) {
	if r.name == "rls" {
		h.must("SET " + clinic.Setting + " = '1'")
	}
}

// effect runs one attack and tells what it did.
func (r *bareRun) effect(t *testing.T, h *hostile, a *attack) string {
	t.Helper()
	protocol := "simple"
	if a.args != nil {
		protocol = "extended"
	}
	var first transcript
	var kept []string
	var before [][]string
	if a.alone {
		before = r.print(t, fingerprintQuery)
	}
	for i, probe := range a.probes() {
		h.clean()
		r.confine(h)
		if kept = r.kept; kept == nil || a.alone {
			kept = h.must(sessionState).lines
		}
		r.kept = nil // sequences go on even if a transaction does not
		got := h.assail(a, protocol, probe, r.name == "rewrite")
		switch {
		case h.holds(marks...):
			return shows
		case slices.Contains(got.codes, codeTrespass):
			return writes
		case i == 1 && !got.equal(first):
			return tells
		}
		first = got
	}
	if a.alone && !slices.EqualFunc(before, r.print(t, fingerprintQuery), slices.Equal) {
		return writes
	}
	if h.status == 'I' || h.status == 'T' {
		if !slices.Equal(kept, h.must(sessionState).lines) {
			return leaves
		}
		if (a.alone || len(h.must(hasWritten).lines) > 2) && !slices.Equal(r.defined, h.must(databaseState).lines) {
			return leaves
		}
		r.kept = kept
	}
	h.clean() // what it has locked, the oracle may need
	if a.hit == "" && !first.equal(r.oracle.to(a, protocol, "")) {
		return tells
	}
	return harmless
}

// print is what a fingerprint tells of scratch, without what its sessions hold.
func (r *bareRun) print(t *testing.T, query string) [][]string {
	t.Helper()
	rows := pgtest.Must(t, r.watcher, query)
	slices.SortFunc(rows, slices.Compare)
	return slices.DeleteFunc(rows, func(row []string) bool { return row[0] == "locks" })
}

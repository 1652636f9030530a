package doctor

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/postgres"
	"tenantgate/rewrite/catalog"
)

// systemFaults are settings that only a restart changes, or that are the whole
// server's.
const systemFaults = `ALTER SYSTEM SET max_prepared_transactions = 5; ALTER SYSTEM SET track_commit_timestamp = on;
ALTER SYSTEM SET lo_compat_privileges = on; ALTER SYSTEM SET session_replication_role = replica; ALTER SYSTEM SET row_security = off`

// faulty starts a server whose database clinic has all the faults of
// testdata/faulty.sql and systemFaults.
func faulty(t *testing.T) (server *postgres.Server, cfg Config) {
	t.Helper()
	ctx := context.Background()
	schema, err := os.ReadFile("testdata/faulty.sql")
	require.NoError(t, err)
	server = pgtest.Start(t, postgres.Options{})
	require.NoError(t, server.CreateDatabase(ctx, "clinic", ""))
	require.NoError(t, server.Exec(ctx, "clinic", string(schema)))
	for sql := range strings.SplitSeq(systemFaults, ";") {
		require.NoError(t, server.Exec(ctx, "clinic", sql))
	}
	require.NoError(t, server.Restart(ctx))
	return server, Config{RowSecurity: true, Catalog: catalog.Config{
		Setting: "app.tenant_id", Column: "tenant_id",
		Tables:         []catalog.TableRule{{Name: catalog.Name{Name: "countries"}, Class: catalog.Shared}},
		AllowFunctions: []catalog.Name{{Name: "definer_allowed"}, {Name: "setter"}, {Name: "dblink"}},
	}}
}

// errorsOfFaulty and warningsOfFaulty are what has been planted.
var errorsOfFaulty = []string{
	"role-bypassrls:sick", "role-createrole:sick", "role-createdb:sick", "role-replication:sick",
	"role-member:landlord", "role-owns:public.owned_by_role",
	"rls-off:public.rls_off", "rls-not-forced:public.not_forced",
	"policy-too-wide:public.wide.everybody", "policy-too-wide:public.wide_update.whatever",
	"policy-immutable:public.unclear.by_function",
	"fk-cascade-without-tenant:public.cascading",
	"view-owner-exempt:public.exempt",
	"privilege-past-policies:public.too_much", "denied-accessible:public.denied", "shared-writable:public.countries",
	"create-on-schema:public", "create-on-database:clinic",
	"function-definer:public.definer_allowed()", "function-sets-parameter:public.setter(integer)", "extension-functions:dblink", "user-cast:date AS bigint",
	"stored-role-setting:app.tenant_id", "setting:session_replication_role",
	"user-mapping:elsewhere", "foreign-server:elsewhere",
	"visible-without-tenant:public.wide", "visible-without-tenant:public.unclear",
}

var warningsOfFaulty = []string{
	"tenant-nullable:public.nullable", "policy-missing:public.no_policy", "policy-opaque:public.unclear.by_function",
	"fk-without-tenant:public.children",
	"unique-without-tenant:public.parents_pkey", "unique-without-tenant:public.parents_code", "unique-without-tenant:public.bookings_during_excl",
	"index-without-tenant:public.no_index",
	"view-not-invoker:public.not_invoker", "view-over-denied:public.over_denied",
	"relation-without-policies:public.counts", "sequence-privilege:public.counter",
	"temp-on-database:clinic", "language-usage:plpgsql", "language-usage:sql",
	"default-privileges:landlord.public.tables", "parameter-privilege:log_statement",
	"function-definer:public.definer()", "function-sets-parameter:public.set_clause()", "function-runs-text:public.runs_text(text)",
	"column-notation:public.peers(public.parents)", "overload:public.lower(character varying)", "user-aggregate:public.total(integer)",
	"extension-functions:pg_stat_statements", "extension-functions:postgres_fdw",
	"user-operator:public.===(integer,integer)", "user-cast:integer AS public.note_ref", "domain-function:public.checked",
	"table-function:public.calling.on_row", "table-function:public.calling.a", "table-function:public.calling.c",
	"table-function:public.calling.b_good", "table-function:public.calling.calling_good", "table-rule:public.calling.also",
	"not-hardened:set_config", "not-hardened:sql-from-text", "not-hardened:large-objects", "not-hardened:notify",
	"not-hardened:advisory-locks", "not-hardened:locks", "not-hardened:signals", "not-hardened:activity", "not-hardened:column-statistics", "not-hardened:settings",
	"large-objects:clinic", "stored-database-setting:search_path",
	"setting:row_security", "setting:max_prepared_transactions", "setting:track_commit_timestamp", "setting:lo_compat_privileges",
	"statistics-visible:public.pg_stat_statements", "statistics-visible:public.pg_stat_statements_info", "statistics-visible:pg_catalog.pg_stats_ext",
	"publication:one", "publication:everything", "event-trigger:on_ddl",
}

// since15 are findings that PostgreSQL 14 has no object for.
var since15 = []string{"view-not-invoker:public.not_invoker", "parameter-privilege:log_statement"}

func versionOf(t *testing.T, server *postgres.Server) int {
	t.Helper()
	rows := pgtest.Must(t, pgtest.Connect(t, server.SuperuserURL("clinic")), "SHOW server_version_num")
	version, err := strconv.Atoi(rows[0][0])
	require.NoError(t, err)
	return version
}

func TestEveryPlantedFaultIsFoundAndMended(t *testing.T) {
	server, cfg := faulty(t)
	url := server.URL("sick", "secret", "clinic")
	findings := examine(t, url, cfg)
	require.ElementsMatch(t, errorsOfFaulty, named(findings, Error))
	require.ElementsMatch(t, slices.DeleteFunc(slices.Clone(warningsOfFaulty), func(name string) bool {
		return slices.Contains(since15, name) && versionOf(t, server) < 150000
	}), named(findings, Warning))
	for _, f := range findings {
		require.Equal(t, f.Check+":"+f.Object, f.Name)
		require.NotEmpty(t, f.Why)
		require.NotEmpty(t, f.SQL, f.Name)
	}

	owner := pgtest.Connect(t, server.SuperuserURL("clinic"))
	mended := 0
	for len(findings) > 0 {
		check, names := findings[0].Check, []string{}
		for _, f := range findings {
			if f.Check != check || f.Severity != findings[0].Severity {
				break
			}
			names = append(names, f.Name)
			for _, sql := range f.SQL {
				_, err := owner.Exec(t.Context(), sql).ReadAll()
				require.NoError(t, err, "%s: %s", f.Name, sql)
			}
		}
		if check == "setting" {
			require.NoError(t, owner.Close(t.Context()))
			require.NoError(t, server.Restart(t.Context()))
			owner = pgtest.Connect(t, server.SuperuserURL("clinic"))
		}
		findings = examine(t, url, cfg)
		for _, name := range names {
			require.NotContains(t, append(named(findings, Error), named(findings, Warning)...), name, "it is there after its SQL has been run")
		}
		mended += len(names)
	}
	require.Greater(t, mended, 60, "each by its own statements, but for a few that go with others")
}

package rewrite

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

func TestSettingsAreRefusedInEverySpelling(t *testing.T) {
	for rule, statements := range map[string][]string{
		ruleSettingTenant: {
			"SET app.tenant_id = '2'", "SET app.tenant_id TO 2", "SET SESSION app.tenant_id = '2'", "SET LOCAL app.tenant_id = '2'",
			`SET "app.tenant_id" = '2'`, `SET "APP"."TENANT_ID" = '2'`, "SET App.Tenant_ID = DEFAULT", `SET app."tenant_id" = '2'`,
			`SET "app".tenant_id TO DEFAULT`, "RESET app.tenant_id", `RESET "App.Tenant_Id"`, "SET LOCAL app.tenant_id TO DEFAULT",
			"SET /* x */ app /* y */ . -- z\n tenant_id = '2'", "BEGIN; SET LOCAL app.tenant_id = '2'; SELECT 1; COMMIT", "set app.tenant_id = E'2'",
			"SHOW app.tenant_id", `SHOW "APP.TENANT_ID"`, "SHOW App.Tenant_Id", "SELECT set_config('app.tenant_id', '', false)",
			`SET U&"app\002Etenant_id" = '2'`, `SET U&"app!002Etenant_id" UESCAPE '!' = '2'`, "SET app.tenant_id = $1",
		},
		ruleSettingRole: {
			"SET ROLE admin", "SET LOCAL ROLE admin", "SET SESSION ROLE admin", `SET "role" = 'admin'`, "SET role TO 'admin'", "SET ROLE NONE",
			"RESET ROLE", "SET SESSION AUTHORIZATION admin", "SET SESSION AUTHORIZATION DEFAULT", "RESET SESSION AUTHORIZATION",
			"SET session_authorization = 'admin'", "SELECT set_config('role', 'admin', false)", "SELECT set_config('ROLE', 'admin', true)",
			"SET is_superuser = on",
		},
		ruleSettingRowSecurity:     {"SET row_security = maybe", "SET row_security = of", "SELECT set_config('row_security', '', false)", "SELECT set_config('row_security', $1, false)"},
		ruleSettingReplicationRole: {"SET session_replication_role = replica"},
		ruleSettingSearchPath: {
			"SET search_path = audit", "SET search_path TO pg_temp, public", "SET SCHEMA 'audit'", "SET LOCAL SCHEMA 'audit'",
			"SET search_path TO public, audit", "SET search_path TO 'public, audit'", "SELECT set_config('search_path', 'audit', false)",
			"SELECT set_config('search_path', 'public, pg_catalog', false)", "SET search_path TO pg_toast",
		},
		ruleSettingUnlisted: {
			"SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan", "SET work_mem = '1GB'", "SET transform_null_equals = on",
			"SET array_nulls = off", "SET backslash_quote = on", "SET my.own = 1", "SET app.tenant_id2 = 1",
			"SET seed = 0.5", "SET lc_messages = 'C'", "SET temp_buffers = 100", "SET log_statement = 'all'", "SET default_tablespace = x",
			"SET lo_compat_privileges = on", "SET idle_session_timeout = 1", "RESET my.own", "SET nothing_known = 1", "SET \"Time Zone\" = 'UTC'",
			"SET default_table_access_method = heap", "SELECT set_config('work_mem', '1GB', false)", "SET synchronous_commit = off", "SET xmlbinary = hex",
		},
		ruleSettingValue: {
			"SET client_encoding = 'SJIS'", "SET NAMES 'BIG5'", "SET client_encoding TO LATIN1", "SET client_encoding = SQL_ASCII",
			"SELECT set_config('client_encoding', 'GBK', false)", "SET standard_conforming_strings = off", "SET standard_conforming_strings TO false",
			"SET standard_conforming_strings = 0", "SET client_min_messages = debug1", "SET client_min_messages TO DEBUG5",
			"SET LOCAL client_encoding = 'GB18030'", "SELECT set_config('standard_conforming_strings', 'off', true)",
		},
		ruleSettingForm: {
			"SET client_encoding = 'UTF8', 'SJIS'", "SET client_min_messages = notice, warning", "SET LOCAL tenantgate.tenant = 'a'",
			"SET tenantgate.tenant = 'a', 'b'", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE",
		},
		ruleTransactionSnapshot: {"SET TRANSACTION SNAPSHOT '00000003-0000001B-1'"},
		ruleTransactionChain:    {"COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "ABORT AND CHAIN", "END AND CHAIN", "COMMIT; BEGIN; COMMIT WORK AND CHAIN"},
		ruleTransactionPrepared: {"PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"},
	} {
		for _, sql := range statements {
			if sql == "SET app.tenant_id = $1" {
				continue // a syntax error
			}
			requireRefused(t, rule, sql)
		}
	}
}

func TestSessionStatementsHaveTheirKindAndName(t *testing.T) {
	r := newRewriter(t, Config{Confine: true})
	for _, tc := range []struct {
		sql   string
		kind  Kind
		name  string
		value string
	}{
		{"SET application_name = 'x'", KindSet, "application_name", "x"},
		{"SET LOCAL Application_Name TO x", KindSet, "application_name", "x"},
		{"SET DateStyle = ISO, DMY", KindSet, "datestyle", ""},
		{"SET TIME ZONE 'UTC'", KindSet, "timezone", "UTC"},
		{"SET TIME ZONE -7", KindSet, "timezone", "-7"},
		{"SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", KindSet, "timezone", ""},
		{"SET TIME ZONE LOCAL", KindReset, "timezone", ""},
		{"SET timezone TO DEFAULT", KindReset, "timezone", ""},
		{"SET LOCAL timezone TO DEFAULT", KindSet, "timezone", ""},
		{"SET NAMES 'utf-8'", KindSet, "client_encoding", "utf-8"},
		{"SET client_encoding = UNICODE", KindSet, "client_encoding", "unicode"},
		{"SET standard_conforming_strings = on", KindSet, "standard_conforming_strings", "on"},
		{"SET client_min_messages = WARNING", KindSet, "client_min_messages", "warning"},
		{"SET extra_float_digits = 3", KindSet, "extra_float_digits", "3"},
		{"SET statement_timeout = 1.5", KindSet, "statement_timeout", "1.5"},
		{"SET XML OPTION DOCUMENT", KindSet, "xmloption", "DOCUMENT"},
		{"SET jit = off", KindSet, "jit", "off"},
		{"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", KindSet, "default_transaction_isolation", ""},
		{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", KindSet, "default_transaction_read_only", ""},
		{"SET tenantgate.tenant = 'globex'", KindSet, "tenantgate.tenant", "globex"},
		{"SET TenantGate.Tenant = '*'", KindSet, "tenantgate.tenant", "*"},
		{"SET tenantgate.tenant TO DEFAULT", KindReset, "tenantgate.tenant", ""},
		{"RESET tenantgate.tenant", KindReset, "tenantgate.tenant", ""},
		{"SHOW tenantgate.tenant", KindShow, "tenantgate.tenant", ""},
		{"SELECT set_config('TimeZone', 'UTC', false)", KindSet, "timezone", ""},
		{"SELECT pg_catalog.set_config('datestyle'::text, 'ISO', true) AS x", KindSet, "datestyle", ""},
		{"SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new", KindSet, "jit", ""},
		{"SELECT set_config('jit', $1, false)", KindSet, "jit", ""},
		{"RESET ALL", KindReset, "", ""},
		{"RESET timezone", KindReset, "timezone", ""},
		{"RESET TIME ZONE", KindReset, "timezone", ""},
		{"SHOW ALL", KindShow, "all", ""},
		{"RESET search_path", KindReset, "search_path", ""},
		{"SET search_path TO DEFAULT", KindReset, "search_path", ""},
		{"SET row_security = on", KindSet, "row_security", "on"},
		{"RESET row_security", KindReset, "row_security", ""},
		{"SHOW TIME ZONE", KindShow, "timezone", ""},
		{"SHOW search_path", KindShow, "search_path", ""},
		{"SHOW TRANSACTION ISOLATION LEVEL", KindShow, "transaction_isolation", ""},
		{"SHOW Server_Version", KindShow, "server_version", ""},
		{"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", KindSetTransaction, "", ""},
		{"SET transaction_isolation = 'serializable'", KindSet, "transaction_isolation", "serializable"},
		{"BEGIN", KindBegin, "", ""},
		{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", KindBegin, "", ""},
		{"START TRANSACTION READ WRITE", KindBegin, "", ""},
		{"COMMIT", KindCommit, "", ""},
		{"END WORK", KindCommit, "", ""},
		{"COMMIT AND NO CHAIN", KindCommit, "", ""},
		{"ROLLBACK", KindRollback, "", ""},
		{"ABORT", KindRollback, "", ""},
		{"SAVEPOINT a", KindSavepoint, "", ""},
		{"RELEASE a", KindSavepoint, "", ""},
		{"ROLLBACK TO SAVEPOINT a", KindRollbackTo, "", ""},
		{"DEALLOCATE ALL", KindDeallocate, "", ""},
		{`DEALLOCATE PREPARE "A b"`, KindDeallocate, "A b", ""},
		{"DISCARD ALL", KindDiscard, "all", ""},
		{"DISCARD PLANS", KindDiscard, "plans", ""},
		{"DISCARD SEQUENCES", KindDiscard, "sequences", ""},
		{"DISCARD TEMPORARY", KindDiscard, "temp", ""},
		{"SET CONSTRAINTS ALL DEFERRED", KindQuery, "", ""},
		{"UNLISTEN *", KindUnlisten, "", ""},
		{"CLOSE ALL", KindQuery, "", ""},
		{"FETCH FORWARD 10 FROM c", KindQuery, "", ""},
		{"MOVE c", KindQuery, "", ""},
		{"DECLARE c CURSOR FOR SELECT 1", KindInBlock, "", ""},
	} {
		result, err := r.Rewrite(Request{SQL: tc.sql}, guardCatalog())
		require.NoError(t, err, tc.sql)
		s := &result.Statements[0]
		require.Equal(t, tc.kind, s.Kind, tc.sql)
		require.Equal(t, tc.name, s.Name, tc.sql)
		require.Equal(t, tc.value, s.Value, tc.sql)
	}
}

func TestSettableDecidesAboutStartUpParameters(t *testing.T) {
	for _, p := range [][2]string{
		{"application_name", "x"},
		{"Client_Encoding", "'utf-8'"},
		{"client_encoding", "UTF8"},
		{"DateStyle", "ISO"},
		{"TimeZone", "UTC"},
		{"standard_conforming_strings", "ON"},
		{"extra_float_digits", "2"},
		{"statement_timeout", "0"},
		{"client_min_messages", "Warning"},
		{"default_transaction_read_only", "on"},
	} {
		require.NoError(t, Settable(p[0], p[1]), p)
	}
	for _, tc := range []struct{ name, value, rule string }{
		{"app.tenant_id", "2", ruleSettingUnlisted},
		{"ROLE", "admin", ruleSettingRole},
		{"session_authorization", "x", ruleSettingRole},
		{"row_security", "off", ruleSettingRowSecurity},
		{"session_replication_role", "replica", ruleSettingReplicationRole},
		{"search_path", "public", ruleSettingSearchPath},
		{"client_encoding", "SJIS", ruleSettingValue},
		{"client_encoding", "", ruleSettingValue},
		{"standard_conforming_strings", "off", ruleSettingValue},
		{"client_min_messages", "debug", ruleSettingValue},
		{"enable_hashjoin", "off", ruleSettingUnlisted},
		{"", "x", ruleSettingUnlisted},
		{"tenantgate.tenant", "x", ruleSettingUnlisted},
		{"application_name ", "x", ruleSettingUnlisted},
		{"applicatıon_name", "x", ruleSettingUnlisted},
	} {
		var forbidden *ForbiddenError
		require.ErrorAs(t, Settable(tc.name, tc.value), &forbidden, tc.name)
		require.Equal(t, tc.rule, forbidden.Rule, tc.name)
	}
	require.Contains(t, SettableNames(), "timezone")
	require.IsIncreasing(t, SettableNames())
}

func TestRowSecurityIsNotTurnedOffWherePoliciesAreReliedOn(t *testing.T) {
	for _, sql := range []string{
		"SET row_security = off", "SET LOCAL Row_Security TO off", "SET row_security = 'OFF'", "SELECT set_config('row_security', 'off', false)",
	} {
		for _, policies := range []bool{false, true} {
			_, err := newRewriter(t, Config{Confine: true, RequireRowSecurity: policies}).Rewrite(Request{SQL: sql}, guardCatalog())
			if !policies {
				require.NoError(t, err, sql)
				continue
			}
			rule, _ := refusedBy(t, err, sql)
			require.Equal(t, ruleSettingRowSecurity, rule, sql)
		}
	}
}

func TestSearchPathIsTheRolesOwnOrEmpty(t *testing.T) {
	cat := catalog.New(catalog.Data{SearchPath: []string{"public"}, SearchPathSetting: `"$user", public, pg_temp`, ServerVersion: 150004})
	const own, empty = `"$user", public, pg_temp`, "pg_catalog, pg_temp"
	for _, tc := range []struct{ sql, value, sent string }{
		{"SET search_path = ''", empty, "SET search_path TO " + empty},
		{"SET LOCAL search_path TO pg_catalog", empty, "SET LOCAL search_path TO " + empty},
		{"SELECT pg_catalog.set_config('search_path', '', false);", empty, "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false) AS set_config"},
		{"SELECT set_config('Search_Path', 'pg_catalog, pg_temp_7', true)", empty, "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true) AS set_config"},
		{"SET search_path TO public", own, "SET search_path TO " + own},
		{`SET search_path TO "$user", public`, own, "SET search_path TO " + own},
		{"SET SCHEMA 'public'", own, "SET search_path TO " + own},
		{`SELECT set_config('search_path', '"$user",public', false)`, own, `SELECT pg_catalog.set_config('search_path', '"$user", public, pg_temp', false) AS set_config`},
	} {
		result, err := newRewriter(t, Config{Confine: true}).Rewrite(Request{SQL: tc.sql}, cat)
		require.NoError(t, err, tc.sql)
		s := result.Statements[0]
		require.Equal(t, []any{KindSet, "search_path", tc.value, tc.sent}, []any{s.Kind, s.Name, s.Value, s.Text.SQL("1")}, tc.sql)
	}
}

func TestStatementsOfPgDumpThatAreSentInOtherWords(t *testing.T) {
	const sql = "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'"
	for version, kind := range map[int]Kind{150007: KindQuery, 150008: KindSet, 140012: KindQuery, 170000: KindSet} {
		cat := catalog.New(catalog.Data{ServerVersion: version})
		result, err := newRewriter(t, Config{Confine: true}).Rewrite(Request{SQL: sql}, cat)
		require.NoError(t, err)
		require.Equal(t, kind, result.Statements[0].Kind, version)
	}
	const sequences = "SELECT seqrelid, format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle, " +
		"last_value, is_called FROM pg_catalog.pg_sequence, pg_get_sequence_data(seqrelid) ORDER BY seqrelid;"
	requireRefused(t, "function.sequence", strings.TrimSuffix(sequences, ";"))
	result, err := newRewriter(t, Config{Confine: true}).Rewrite(Request{SQL: sequences, Dump: true}, guardCatalog())
	require.NoError(t, err)
	require.NotContains(t, result.Statements[0].Text.SQL("1"), "pg_get_sequence_data")
	_, err = newRewriter(t, Config{}).Rewrite(Request{SQL: "SELECT pg_get_sequence_data('s')", Dump: true}, guardCatalog())
	require.Error(t, err)
	for _, other := range []string{
		"SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'row_security'",
		"SELECT set_config(name, 'view', false) FROM pg_settings",
		"SELECT set_config(name, 'view', true) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
		"SELECT set_config(name, 'view', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind' OR true",
		"SELECT set_config(setting, 'view', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
		"SELECT set_config(name, 'view', false), 1 FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
	} {
		requireRefused(t, "function.set_config", other)
	}
}

func TestPresetsCanBeReadFromPgSettings(t *testing.T) {
	r := newRewriter(t, Config{Confine: true})
	for range 3 { // read, shared, shared
		result, err := r.Rewrite(Request{SQL: "SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'"}, guardCatalog())
		require.NoError(t, err)
		require.Equal(t, "SELECT pg_catalog.current_setting('max_index_keys') AS setting", result.Statements[0].Text.SQL("1"))
		_, err = r.Rewrite(Request{SQL: "SELECT setting FROM pg_catalog.pg_settings WHERE name='app.tenant_id'"}, guardCatalog())
		require.Error(t, err)
	}
	for _, other := range []string{
		"SELECT setting FROM pg_catalog.pg_settings WHERE name = 'work_mem'", "SELECT setting FROM pg_catalog.pg_settings",
		"SELECT setting FROM pg_catalog.pg_settings WHERE name <> 'max_index_keys'", "SELECT setting, name FROM pg_catalog.pg_settings WHERE name = 'max_index_keys'",
		"SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_index_keys' OR true", "SELECT * FROM pg_catalog.pg_settings WHERE name = 'max_index_keys'",
		"SELECT setting FROM pg_catalog.pg_settings WHERE setting = 'max_index_keys'", "SELECT setting FROM pg_settings WHERE name = 'max_index_keys' FOR UPDATE",
	} {
		requireRefused(t, "relation.system", other)
	}
}

package doctor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

// policyConditions are as people write them; the server's own spelling of them
// is what is judged.
var policyConditions = map[string]hold{
	"tenant_id = current_setting('app.tenant_id')::int":                                                   holds,
	"current_setting('app.tenant_id', true)::int = tenant_id":                                             holds,
	"tenant_id = nullif(current_setting('APP.tenant_id', true), '')::int":                                 holds,
	"tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::int AS key)":                 holds,
	"tenant_id::text = current_setting('app.tenant_id')":                                                  holds,
	"name::text = current_setting('app.tenant_id') AND tenant_id = current_setting('app.tenant_id')::int": holds,
	"(NOT deleted AND tenant_id = current_setting('app.tenant_id')::int) AND (name = 'a' OR name = 'b')":  holds,
	"tenant_id = current_tenant()":                                                                        opaque,
	"tenant_id = decode_key(current_setting('app.tenant_id'))":                                            opaque,
	"tenant_id = ANY (string_to_array(current_setting('app.tenant_id'), ',')::int[])":                     opaque,
	"tenant_id IN (SELECT id FROM mine)":                                                                  opaque,
	"tenant_id = current_setting('app.tenant_id')::int + 1":                                               opaque,
	"true":                  wide,
	"tenant_id = 1":         wide,
	"tenant_id = tenant_id": wide,
	"tenant_id > current_setting('app.tenant_id')::int":                                                      opaque,
	"tenant_id = current_setting('other.setting')::int":                                                      wide,
	"name::text = current_setting('app.tenant_id')":                                                          wide,
	"tenant_id = current_setting('app.tenant_id')::int OR name = 'all'":                                      wide,
	"NOT tenant_id = current_setting('app.tenant_id')::int":                                                  wide,
	"tenant_id = coalesce(nullif(current_setting('app.tenant_id', true), '')::int, tenant_id)":               wide,
	"tenant_id = coalesce(nullif(current_setting('app.tenant_id', true), '')::int, 1)":                       wide,
	"current_setting('app.tenant_id', true) IS NULL OR tenant_id = current_setting('app.tenant_id')::int":    wide,
	"CASE WHEN current_setting('app.tenant_id', true) = '' THEN true ELSE tenant_id = 1 END":                 wide,
	"tenant_id IS NOT DISTINCT FROM nullif(current_setting('app.tenant_id', true), '')::int":                 wide,
	"(tenant_id = current_setting('app.tenant_id')::int) IS NOT FALSE":                                       wide,
	"tenant_id = (CASE WHEN deleted THEN tenant_id ELSE current_setting('app.tenant_id')::int END)":          wide,
	"name = ' = current_setting(''app.tenant_id'') AND tenant_id = current_setting(''app.tenant_id'')::int'": wide,
}

func TestPolicyConditionsAreJudgedAsTheServerWritesThem(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Server(t).SuperuserURL(pgtest.Database(t, `
		CREATE TABLE t (tenant_id int, name varchar(10), deleted bool); CREATE TABLE mine (id int);
		CREATE FUNCTION current_tenant() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
		CREATE FUNCTION decode_key(text) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'`)))
	for condition, want := range policyConditions {
		pgtest.Must(t, conn, "CREATE POLICY p ON t USING ("+condition+")")
		shown := pgtest.Must(t, conn, "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy")[0][0]
		require.Equal(t, want, judgeExpression(shown, "tenant_id", "app.tenant_id"), shown)
		pgtest.Must(t, conn, "DROP POLICY p ON t")
	}
}

func TestColumnsWithQuotesAreKnown(t *testing.T) {
	for expression, column := range map[string]string{
		`("Tenant" = (current_setting('a.b'::text))::integer)`:                      "Tenant",
		`("a""b" = (current_setting('a.b'::text))::integer)`:                        `a"b`,
		`((mandant)::text = current_setting('a.b'::text))`:                          "mandant",
		`((t)::character varying(10) = (current_setting('a.b'::text))::"S"."Mood")`: "t",
	} {
		require.Equal(t, holds, judgeExpression(expression, column, "a.b"), expression)
		require.Equal(t, wide, judgeExpression(expression, "other", "a.b"), expression)
	}
}

func FuzzJudgeExpression(f *testing.F) {
	for condition := range policyConditions {
		f.Add(condition)
	}
	f.Fuzz(func(t *testing.T, condition string) {
		require.NotEqual(t, holds, judgeExpression(condition+" OR true", "tenant_id", "app.tenant_id"))
	})
}

package rewrite

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite/catalog"
)

// ticketOffice has a sequence of which tenants may take numbers, and one of
// which they may not.
func ticketOffice() *catalog.Snapshot {
	int4 := catalog.Type{OID: 23, Schema: "pg_catalog", Name: "int4"}
	table := catalog.Relation{
		OID: 20001, Schema: "public", Name: "tickets", Kind: 'r', Class: catalog.Tenanted, TenantColumn: "tenant_id", RowSecurity: true,
		Columns: []catalog.Column{{Name: "id", Type: int4}, {Name: "tenant_id", Type: int4}, {Name: "price", Type: int4}},
	}
	return catalog.New(catalog.Data{
		SearchPath: []string{"public"}, BuiltinTypes: []string{"regclass", "text", "int4", "int8"},
		Relations: []catalog.Relation{
			table,
			{OID: 20002, Schema: "public", Name: "ticket_seq", Kind: 'S', Class: catalog.Denied, Drawable: true},
			{OID: 20003, Schema: "public", Name: "Ticket Seq", Kind: 'S', Class: catalog.Denied, Drawable: true},
			{OID: 20004, Schema: "public", Name: "audit_seq", Kind: 'S', Class: catalog.Denied},
		},
	})
}

func TestNextvalIsCalledWhereItRunsForRowsOfTheResult(t *testing.T) {
	const call = "nextval('ticket_seq')"
	allowed := []string{
		"SELECT nextval('ticket_seq')", "SELECT pg_catalog.nextval('public.ticket_seq'::regclass) AS id", `SELECT nextval('"Ticket Seq"')`,
		"SELECT nextval(CAST('Ticket_SEQ' AS pg_catalog.regclass))", "SELECT nextval('ticket_seq'::text)", "SELECT nextval('ticket_seq'::text::regclass)",
		"SELECT nextval('ticket_seq') FROM generate_series(1, 3)", "SELECT id, 1 + nextval('ticket_seq')::int4 FROM tickets WHERE price > 3 ORDER BY 1 LIMIT 2",
		"VALUES (nextval('ticket_seq'))", "INSERT INTO tickets (id) VALUES (nextval('ticket_seq')), (1) RETURNING id",
		"INSERT INTO tickets (id, price) SELECT nextval('ticket_seq'), price FROM tickets", "UPDATE tickets SET id = nextval('ticket_seq') WHERE price = 1",
		"SELECT currval('ticket_seq')", "SELECT lastval()", "INSERT INTO tickets (id) VALUES (currval('ticket_seq'))",
		"WITH t AS (INSERT INTO tickets (id) VALUES (nextval('ticket_seq')) RETURNING id) SELECT * FROM t",
		"WITH t AS (UPDATE tickets SET id = nextval('ticket_seq') RETURNING id) DELETE FROM tickets WHERE id IN (SELECT id FROM t)",
	}
	refused := []string{
		"SELECT nextval('audit_seq')", "SELECT nextval('nosuch')", "SELECT nextval('tickets')", "SELECT nextval('20002')", "SELECT nextval($1)",
		"SELECT nextval('ticket_' || 'seq')", "SELECT nextval(20002)", "SELECT nextval('a.b.ticket_seq')", "SELECT nextval((SELECT 'ticket_seq'))",
		"SELECT nextval('ticket_seq'::regclass[])", "SELECT nextval('ticket_seq', 1)", "SELECT nextval()", "SELECT nextval('ticket_seq') OVER ()",
		"SELECT 1 WHERE @ > 0", "SELECT (SELECT @)", "SELECT * FROM tickets WHERE price > @", "SELECT * FROM (SELECT @) x", "SELECT * FROM nextval('ticket_seq')",
		"SELECT 1 FROM tickets GROUP BY @", "SELECT 1 FROM tickets HAVING @ > 0", "SELECT 1 ORDER BY @", "SELECT 1 LIMIT @", "SELECT 1 UNION SELECT @", "SELECT @ UNION SELECT 1",
		"WITH x AS (SELECT @) SELECT 1", "SELECT 1 FROM tickets t JOIN tickets u ON @ > 0", "SELECT CASE WHEN EXISTS (SELECT @) THEN 1 END", "SELECT DISTINCT ON (@) 1 FROM tickets",
		"DELETE FROM tickets WHERE id = @", "DELETE FROM tickets RETURNING @", "UPDATE tickets SET id = 1 WHERE price = @", "UPDATE tickets SET id = 1 RETURNING @",
		"UPDATE tickets SET id = (SELECT @)", "INSERT INTO tickets (id) VALUES (1) RETURNING @", "INSERT INTO tickets (id) SELECT 1 WHERE @ > 0",
		"INSERT INTO tickets (id) SELECT @ UNION ALL SELECT 1", "INSERT INTO tickets (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = @",
		"MERGE INTO tickets t USING (VALUES (1)) v (a) ON true WHEN NOT MATCHED THEN INSERT (id) VALUES (@)", "DECLARE c CURSOR FOR SELECT @",
		"COPY (SELECT @) TO STDOUT", "SELECT 1 WHERE lastval() > 0", "SELECT currval('audit_seq')", "SELECT lastval(1)", "SELECT setval('ticket_seq', 1)", "SELECT ('ticket_seq'::regclass).nextval",
	}
	for _, config := range []Config{{RequireRowSecurity: true}, {Confine: true}} {
		r := newRewriter(t, config)
		for _, sql := range allowed {
			for _, extended := range []bool{false, true} {
				result, err := r.Rewrite(Request{SQL: sql, Extended: extended}, ticketOffice())
				require.NoError(t, err, sql)
				require.Len(t, result.Statements, 1)
			}
		}
		for _, sql := range refused {
			sql = strings.ReplaceAll(sql, "@", call)
			_, err := r.Rewrite(Request{SQL: sql}, ticketOffice())
			rule, _ := refusedBy(t, err, sql)
			require.Contains(t, []string{"function.sequence", "function.column_notation"}, rule, sql)
		}
	}
}

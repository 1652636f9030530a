package proxy

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/pool"
	"tenantgate/rewrite"
)

// lookups are simple queries that read by a unique key.
var lookups = []string{
	"SELECT name FROM patients WHERE id = 3",
	"SELECT * FROM patients WHERE id = 3",
	"SELECT p.* FROM public.patients AS p WHERE p.id = 3 AND p.country IS NOT NULL",
	"SELECT name FROM patients WHERE id='3'AND name<>'O''Neill' -- mine",
	"SELECT name FROM patients WHERE tenant_id = 1 AND id = 2",
	"SELECT name FROM patients WHERE tenant_id = 2 AND id = 2",
	"SELECT name FROM patients WHERE id = 9999999999",
	"SELECT name FROM patients WHERE id = 3 AND balance >= 9223372036854775807",
	"SELECT name, born FROM patients WHERE id = 3 AND born < '2020-01-01' ORDER BY name LIMIT 1",
	"SELECT name FROM patients WHERE id = 3 LIMIT 2 OFFSET 0",
	"SELECT name FROM patients WHERE id = 3 OFFSET 1",
	"SELECT name FROM patients WHERE id = 3 AND born < 'today' AND born > 'epoch'",
	`SELECT "user" FROM "Order" WHERE "Id" = 2`,
	"SELECT value FROM settings WHERE name = 'language'",
	"SELECT meaning FROM legacy_codes WHERE code = 'A1'",
	"SELECT name FROM countries WHERE code = 'DE'",
	"SELECT vat FROM countries WHERE name = 'Austria' AND vat > 1",
	"SELECT body FROM notes WHERE id = '00000000-0000-0000-0000-000000000001'",
	"SELECT status, room FROM appointments WHERE id = 1 AND minutes < 100 AND status <> 'cancelled'",
	"SELECT title, pages FROM documents WHERE id = 1 AND pages <> '{7}' AND content IS NULL",
	"SELECT method FROM billing.payments WHERE id = 1 AND method = 'card';",
	"SELECT name AS \"Ä\" FROM patients WHERE id = 3 AND name <> 'Zoë'",
}

// refusedLookups are such queries, but the server does not take them.
var refusedLookups = []string{
	"SELECT body FROM notes WHERE id = 'no uuid'",
	"SELECT nosuch FROM patients WHERE id = 3",
	"SELECT name FROM patients WHERE id = 3 AND nosuch = 1",
	"SELECT name FROM patients WHERE id = 3 AND name = 7",
	"SELECT name FROM patients WHERE id = 3 AND born > 'yesteryear'",
	"SELECT name FROM patients WHERE id = '99999999999'",
	"SELECT status FROM appointments WHERE id = 1 AND status <> 'nosuch'",
}

// varied is a statement with other literals of the same classes: what has come
// with two is shared by all.
func varied(sql string) string {
	return regexp.MustCompile(`'(?:[^'\\]|'')*'|\b\d+\b`).ReplaceAllStringFunc(sql, func(literal string) string {
		if literal[0] == '\'' {
			return "'q" + literal[1:]
		}
		last := byte('1')
		if literal[len(literal)-1] != '0' {
			last = literal[len(literal)-1] - 1
		}
		return literal[:len(literal)-1] + string(last)
	})
}

// receive returns what the server says up to ReadyForQuery, which is left out.
func (c *wireClient) receive(sql string) []string { return c.receiveAll(&pgproto3.Query{String: sql}) }

func (c *wireClient) receiveAll(messages ...pgproto3.FrontendMessage) []string {
	for _, msg := range messages {
		c.frontend.Send(msg)
	}
	require.NoError(c.t, c.frontend.Flush())
	var said []string
	for {
		msg, err := c.frontend.Receive()
		require.NoError(c.t, err)
		if _, ok := msg.(*pgproto3.ReadyForQuery); ok {
			return said
		}
		if e, ok := msg.(*pgproto3.ErrorResponse); ok {
			e.Line = 0 // of the server's source: another place may have found the same
			e.File, e.Routine = "", ""
		}
		bytes, err := msg.Encode(nil)
		require.NoError(c.t, err)
		said = append(said, string(bytes))
	}
}

func TestLookupsAnswerAsTheQueryDoes(t *testing.T) {
	c := clinic.New(t, 2)
	statements := slices.Concat(lookups, refusedLookups)
	for _, file := range []string{"select", "orms", "errors", "expressions", "joins"} {
		for _, oc := range readOracle(t, filepath.Join("..", "testdata", "oracle", file+".sql")) {
			if q := oc.question(); !oc.params && !q.writes && !q.copies && strings.HasPrefix(oc.sql, "SELECT") {
				statements = append(statements, oc.sql)
			}
		}
	}
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn := dialWire(t, g.url("tenant1"))
			lastText := func() string {
				return pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL(g.database)),
					"SELECT query FROM pg_stat_activity WHERE usename = '"+clinic.Role+"' AND datname = current_database() ORDER BY query_start DESC LIMIT 1")[0][0]
			}
			for i, sql := range statements {
				conn.receive("BEGIN") // where every query is sent as it is
				want := conn.receive(sql)
				conn.receive("ROLLBACK; BEGIN")
				conn.receive(varied(sql))
				conn.receive("ROLLBACK")
				require.Equal(t, want, conn.receive(sql), sql)
				if i < len(lookups) {
					require.Contains(t, lastText(), "$1", sql)
				}
				require.Equal(t, want, conn.receive(sql), sql) // now that the server knows it
			}
		})
	}
}

// A parameterized is a statement with the values of its parameters; ~ is NULL.
type parameterized struct {
	sql    string
	oids   []uint32
	values []string
	binary bool
}

// group is what a driver sends of it.
func (p *parameterized) group(describes bool) []pgproto3.FrontendMessage {
	bind := &pgproto3.Bind{}
	if p.binary {
		bind.ParameterFormatCodes = []int16{1}
	}
	for _, v := range p.values {
		if v == "~" {
			bind.Parameters = append(bind.Parameters, nil)
		} else {
			bind.Parameters = append(bind.Parameters, []byte(v))
		}
	}
	list := []pgproto3.FrontendMessage{&pgproto3.Parse{Query: p.sql, ParameterOIDs: p.oids}, bind}
	if describes {
		list = append(list, &pgproto3.Describe{ObjectType: 'P'})
	}
	return append(list, &pgproto3.Execute{}, &pgproto3.Sync{})
}

// groups are statements that drivers send with parameters, and whether the server
// connection is to have them prepared then: they
// read by a unique key.
var groups = map[*parameterized]bool{
	{sql: "SELECT name FROM patients WHERE id = $1", values: []string{"3"}}:                                                                  true,
	{sql: "SELECT name FROM patients WHERE id = $1 -- unknown", values: []string{"77777"}}:                                                   true,
	{sql: "SELECT name FROM patients WHERE id = $1 -- NULL", values: []string{"~"}}:                                                          true,
	{sql: "SELECT * FROM patients WHERE id = $1 -- bigint", oids: []uint32{20}, values: []string{"3"}}:                                       true,
	{sql: "SELECT * FROM patients WHERE id = $1::int AND name <> $2 LIMIT $3", values: []string{"3", "x", "1"}}:                              true,
	{sql: "SELECT name FROM patients WHERE tenant_id = $1 AND id = $2", values: []string{"1", "2"}}:                                          true,
	{sql: "SELECT name FROM patients WHERE tenant_id = $1 AND id = $2 -- another's", values: []string{"2", "2"}}:                             true,
	{sql: "SELECT body FROM notes WHERE id = $1", values: []string{"00000000-0000-0000-0000-000000000001"}}:                                  true,
	{sql: "SELECT name FROM countries WHERE code = 'DE'"}:                                                                                    true,
	{sql: "SELECT name FROM patients WHERE id = $1 -- binary", oids: []uint32{23}, values: []string{"\x00\x00\x00\x03"}, binary: true}:       true,
	{sql: "SELECT name FROM patients WHERE id = $1 -- too short", oids: []uint32{23}, values: []string{"\x03"}, binary: true}:                true,
	{sql: "SELECT name FROM patients WHERE id = $1 -- too long", oids: []uint32{23}, values: []string{"\x00\x00\x00\x03\x00"}, binary: true}: true,
	{sql: "SELECT body FROM notes WHERE id = $1 -- what is none", values: []string{"no uuid"}}:                                               true,
	{sql: "SELECT name FROM patients WHERE id = $1 -- too few", values: []string{}}:                                                          false,
	{sql: "SELECT name FROM patients WHERE id = $1 -- too many", values: []string{"1", "2"}}:                                                 false,
	{sql: "SELECT nosuch FROM patients WHERE id = $1", values: []string{"3"}}:                                                                false,
	{sql: "SELECT name FROM patients WHERE id > $1 ORDER BY id", values: []string{"3"}}:                                                      false,
	{sql: "SELECT count(*) FROM patients WHERE id = $1", values: []string{"3"}}:                                                              false,
	{sql: "SELECT name FROM patients WHERE id = $1 FOR UPDATE", values: []string{"3"}}:                                                       false,
	{sql: "SELECT name FROM patients WHERE id = $1 OR name = $2", values: []string{"3", "x"}}:                                                false,
	{sql: "UPDATE patients SET name = name WHERE id = $1 RETURNING id", values: []string{"3"}}:                                               false,
}

func TestUnnamedLookupsAnswerAsWhenTheyCameInPieces(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn := dialWire(t, g.url("tenant1"))
			b := g.backend()
			prepared := func(st *rewrite.Statement, oids []uint32) bool { // by the one server connection
				lease, err := b.pool.Acquire(t.Context(), pool.Group{Name: "tenant1"})
				require.NoError(t, err)
				defer b.pool.Release(lease)
				return lease.Statements.Has(b.shared(st.Text.SQLFor(b.secret.Values("1")), withKeys(oids, st), ""))
			}
			for p, byKey := range groups {
				for _, describes := range []bool{true, false} {
					conn.receive("BEGIN") // where nothing is shared
					want := conn.receiveAll(p.group(describes)...)
					conn.receive("ROLLBACK")
					for range 3 {
						require.Equal(t, want, conn.receiveAll(p.group(describes)...), p.sql)
					}
				}
				result, err := b.rewriter.Rewrite(rewrite.Request{SQL: p.sql, Extended: true, ParamOIDs: p.oids}, b.catalog.Snapshot())
				require.NoError(t, err, p.sql)
				require.Equal(t, byKey, prepared(&result.Statements[0], p.oids), p.sql)
			}
		})
	}
}

func TestUnnamedLookupSurvivesNewDefinitions(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn := g.tenant("1")
			ask := func() pgtest.Outcome {
				return pgtest.Extended(t, conn, "SELECT * FROM settings WHERE name = $1", []byte("language"))
			}
			before := ask()
			for range 3 {
				require.Equal(t, before, ask())
			}
			owner := pgtest.Connect(t, c.OwnerURL(g.database))
			for _, change := range []string{"ADD COLUMN added int", "ALTER COLUMN added TYPE text", "RENAME added TO renamed"} {
				pgtest.Must(t, owner, "ALTER TABLE settings "+change)
				for range 3 {
					outcome := ask()
					require.Empty(t, outcome.Code, outcome.Message)
					require.Len(t, outcome.Columns, len(before.Columns)+1)
				}
			}
			pgtest.Must(t, owner, "ALTER TABLE settings DROP COLUMN renamed")
			for range 3 {
				require.Equal(t, before, ask())
			}
		})
	}
}

func TestLookupSurvivesNewDefinitions(t *testing.T) {
	c := clinic.New(t, 1)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			conn := g.tenant("1")
			asked := 0
			ask := func() pgtest.Outcome {
				asked++
				return pgtest.Simple(t, conn, fmt.Sprintf("SELECT * FROM settings WHERE name = 'number %d'", asked))[0]
			}
			columns := func() []string { return ask().Columns }
			before := columns()
			require.Equal(t, before, columns())
			require.Equal(t, before, columns())
			owner := pgtest.Connect(t, c.OwnerURL(g.database))
			pgtest.Must(t, owner, "ALTER TABLE settings ADD COLUMN added int")
			require.Equal(t, append(before, "added"), columns())
			require.Equal(t, append(before, "added"), columns())
			pgtest.Must(t, owner, "ALTER TABLE settings ALTER COLUMN added TYPE text")
			outcome := ask()
			require.Empty(t, outcome.Code, outcome.Message)
			require.EqualValues(t, 25, outcome.Types[len(outcome.Types)-1])
			pgtest.Must(t, owner, "ALTER TABLE settings DROP COLUMN added")
			require.Equal(t, before, columns())
		})
	}
}

func TestLookupsAreSharedByTenants(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			for _, key := range []string{"1", "2", "1"} {
				conn := g.tenant(key)
				for _, id := range []string{"1", "2", "3"} {
					sql := "SELECT tenant_id, name FROM patients WHERE id = " + id
					want := pgtest.Must(t, pgtest.Connect(t, c.Server.SuperuserURL(g.database)), sql+" AND tenant_id = "+key)
					require.Equal(t, want, pgtest.Must(t, conn, sql))
					outcome := pgtest.Extended(t, conn, "SELECT tenant_id, name FROM patients WHERE id = $1", []byte(id))
					require.Equal(t, want, outcome.Rows)
				}
			}
		})
	}
}

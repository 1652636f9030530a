package rewrite

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/rewrite/catalog"
)

// An oracle runs statements on a database that many tenants share, rewritten,
// and as they are on one that holds the rows of tenant 1 alone.
type oracle struct {
	catalog  *catalog.Snapshot
	rewriter *Rewriter
	shared   *pgconn.PgConn
	alone    *pgconn.PgConn
	contents string // a query for what all tables hold, by table
	limit    string // statement_timeout of what is run
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	schema, rows := readFile(t, "testdata/schema/shop.sql"), readFile(t, "testdata/schema/rows.sql")
	server := pgtest.Server(t)
	sharedName := pgtest.Database(t, schema+rows)
	aloneName := pgtest.Copy(t, sharedName, "") // types of rows have the same object ids
	o := &oracle{
		rewriter: newRewriter(t, Config{Confine: true}),
		shared:   pgtest.Connect(t, server.SuperuserURL(sharedName)),
		alone:    pgtest.Connect(t, server.SuperuserURL(aloneName)),
	}
	cat, err := catalog.Load(context.Background(), pgtest.Querier{Conn: o.shared}, shopConfig())
	require.NoError(t, err)
	o.catalog = cat

	var parts []string
	for _, rel := range cat.Relations() {
		if rel.Class != catalog.Tenanted || rel.Kind != 'r' && rel.Kind != 'p' {
			continue
		}
		name := quoteName(rel.Schema, rel.Name)
		column := quoteIdent(rel.TenantColumn)
		if rel.Name != "devices" {
			pgtest.Must(t, o.alone, fmt.Sprintf("DELETE FROM ONLY %s WHERE %s <> '1'", name, column))
		}
		pgtest.Must(t, o.alone, fmt.Sprintf("ALTER TABLE %s ALTER %s SET DEFAULT %s", name, column, aloneKey(rel)))
		if rel.Kind == 'p' {
			continue // its partitions are tables
		}
		parts = append(parts, fmt.Sprintf(
			"SELECT '%s', %s::text = %s::text AS own, count(*), md5(string_agg(x::text, E'\\n' ORDER BY x::text)) FROM ONLY %s x GROUP BY 2",
			name, column, aloneKey(rel), name))
	}
	pgtest.Must(t, o.alone, "REFRESH MATERIALIZED VIEW order_totals")
	parts = append(parts,
		"SELECT 'feature_flags', true, count(*), md5(string_agg(x::text, E'\\n' ORDER BY x::text)) FROM feature_flags x")
	o.contents = strings.Join(parts, " UNION ALL ") + " ORDER BY 1, 2"
	return o
}

// aloneKey is tenant 1's key as a value of a table's tenant column.
func aloneKey(rel catalog.Relation) string {
	if rel.Columns[columnIndex(&rel, rel.TenantColumn)].Type.OID == oidUUID {
		return "'00000000-0000-0000-0000-000000000001'"
	}
	return "'1'"
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

// A run is what one case left behind: outcomes, and the rows of the tables
// that are tenant 1's and that are not.
type run struct {
	outcomes []pgtest.Outcome
	own      [][]string
	others   [][]string
}

// run runs statements in a transaction that is rolled back.
func (o *oracle) run(t *testing.T, conn *pgconn.PgConn, exec func() []pgtest.Outcome) run {
	t.Helper()
	pgtest.Must(t, conn, "BEGIN")
	defer pgtest.Must(t, conn, "ROLLBACK")
	if o.limit != "" {
		pgtest.Must(t, conn, "SET LOCAL statement_timeout = '"+o.limit+"'")
	}
	r := run{outcomes: exec()}
	if last := len(r.outcomes) - 1; last >= 0 && r.outcomes[last].Code != "" {
		return r // the transaction has failed: there is nothing to look at
	}
	if o.limit != "" {
		if reset := pgtest.Simple(t, conn, "SET LOCAL statement_timeout = 0"); reset[0].Code != "" {
			return run{outcomes: reset} // the machine is busy: even this took too long
		}
	}
	for _, row := range pgtest.Must(t, conn, o.contents) {
		if row[1] == "t" {
			r.own = append(r.own, row)
		} else {
			r.others = append(r.others, row)
		}
	}
	return r
}

// sorted puts rows in an order, unless the case is about their order.
func sorted(outcomes []pgtest.Outcome, ordered bool) []pgtest.Outcome {
	for i := range outcomes {
		if !ordered {
			slices.SortFunc(outcomes[i].Rows, slices.Compare)
		}
		outcomes[i].Message = "" // names of relations have their schema in some
	}
	return outcomes
}

func TestGoldenCasesAnswerAsForOneTenant(t *testing.T) {
	o := newOracle(t)
	untouched := o.run(t, o.shared, func() []pgtest.Outcome { return nil }).others
	require.NotEmpty(t, untouched)
	cases, different := 0, 0
	datadriven.Walk(t, "testdata/rewrite", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "rls" || d.Cmd == "plans" || d.HasArg("norun") {
				return d.Expected
			}
			ordered := d.HasArg("ordered")
			protocols := []bool{true}
			if d.Cmd == "simple" {
				protocols = []bool{false, true}
				if strings.Contains(strings.TrimRight(d.Input, "; \n"), ";") {
					protocols = protocols[:1] // several statements, or signs that look so
				}
			}
			for _, extended := range protocols {
				args := caseArgs(d)
				want := o.run(t, o.alone, func() []pgtest.Outcome { return send(t, o.alone, d.Input, extended, args) })
				got := o.run(t, o.shared, func() []pgtest.Outcome { return o.confined(t, d.Input, extended, args) })
				require.Equal(t, sorted(want.outcomes, ordered), sorted(got.outcomes, ordered), "%s extended=%v\n%s", d.Pos, extended, d.Expected)
				for _, outcome := range want.outcomes {
					require.Empty(t, outcome.Code, "%s: %s", d.Pos, outcome.Message)
				}
				require.Equal(t, want.own, got.own, "%s: rows of the tenant", d.Pos)
				require.Equal(t, untouched, got.others, "%s: rows of other tenants", d.Pos)

				bare := o.run(t, o.shared, func() []pgtest.Outcome { return send(t, o.shared, d.Input, extended, args) })
				cases++
				if !slices.EqualFunc(sorted(bare.outcomes, ordered), want.outcomes, equalOutcomes) || !slices.EqualFunc(bare.own, want.own, slices.Equal) {
					different++
				}
			}
			return d.Expected
		})
	})
	t.Logf("%d cases; %d would differ if they were sent as they are", cases, different)
	require.Greater(t, different*10, cases*7, "the rows should tell a confined statement from one that is not")
}

func equalOutcomes(a, b pgtest.Outcome) bool {
	return a.Tag == b.Tag && a.Code == b.Code && slices.EqualFunc(a.Rows, b.Rows, slices.Equal)
}

func caseArgs(d *datadriven.TestData) [][]byte {
	var args [][]byte
	for _, arg := range d.CmdArgs {
		if arg.Key == "args" {
			for _, v := range arg.Vals {
				args = append(args, []byte(v))
			}
		}
	}
	return args
}

// send runs a text as it is.
func send(t *testing.T, conn *pgconn.PgConn, sql string, extended bool, args [][]byte) []pgtest.Outcome {
	t.Helper()
	if !extended {
		return simple(t, conn, sql)
	}
	return []pgtest.Outcome{pgtest.Extended(t, conn, sql, args...)}
}

// confined runs what a text becomes for tenant 1, as a session would.
func (o *oracle) confined(t *testing.T, sql string, extended bool, args [][]byte) []pgtest.Outcome {
	t.Helper()
	result, err := o.rewriter.Rewrite(Request{SQL: sql, Extended: extended}, o.catalog)
	require.NoError(t, err, sql)
	var outcomes []pgtest.Outcome
	for i := range result.Statements {
		s := &result.Statements[i]
		require.NoError(t, s.CheckKey(goldenKey), sql)
		text := s.Text.SQL(goldenKey)
		if !extended {
			outcomes = append(outcomes, simple(t, o.shared, text)...)
			continue
		}
		require.Len(t, args, s.Params, sql)
		require.NoError(t, s.CheckBind(goldenKey, func(i int) ([]byte, bool, bool) { return args[i], false, args[i] == nil }), sql)
		all, oids := slices.Clone(args), make([]uint32, len(args))
		for _, k := range s.Keys {
			all = append(all, []byte(goldenKey))
			oids = append(oids, k.OID)
		}
		outcomes = append(outcomes, withTypes(t, o.shared, text, all, oids))
	}
	return outcomes
}

// simple is pgtest.Simple, with what COPY sends as rows.
func simple(t *testing.T, conn *pgconn.PgConn, sql string) []pgtest.Outcome {
	t.Helper()
	if !strings.HasPrefix(sql, "COPY") {
		return pgtest.Simple(t, conn, sql)
	}
	var data bytes.Buffer
	tag, err := conn.CopyTo(context.Background(), &data, sql)
	require.NoError(t, err, sql)
	o := pgtest.Outcome{Tag: tag.String()}
	for _, line := range strings.SplitAfter(data.String(), "\n") {
		o.Rows = append(o.Rows, []string{line})
	}
	return []pgtest.Outcome{o}
}

// withTypes is pgtest.Extended with the types of the parameters.
func withTypes(t *testing.T, conn *pgconn.PgConn, sql string, args [][]byte, oids []uint32) pgtest.Outcome {
	t.Helper()
	reader := conn.ExecParams(context.Background(), sql, args, oids, nil, nil)
	var o pgtest.Outcome
	for _, field := range reader.FieldDescriptions() {
		o.Columns = append(o.Columns, field.Name)
		o.Types = append(o.Types, field.DataTypeOID)
	}
	for reader.NextRow() {
		var row []string
		for _, value := range reader.Values() {
			if value == nil {
				row = append(row, pgtest.Null)
			} else {
				row = append(row, string(value))
			}
		}
		o.Rows = append(o.Rows, row)
	}
	tag, err := reader.Close()
	o.Tag = tag.String()
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		o.Code, o.Message = pgErr.Code, pgErr.Message
		return o
	}
	require.NoError(t, err, sql)
	return o
}

// queryCanceled is the SQLSTATE of what takes too long.
const queryCanceled = "57014"

// generated is how many statements the next test makes.
var generated = flag.Int("generated", 80, "statements to generate")

func TestGeneratedStatementsAnswerAsForOneTenant(t *testing.T) {
	o := newOracle(t)
	for _, conn := range []*pgconn.PgConn{o.shared, o.alone} {
		pgtest.Must(t, conn, "SET jit = off")
	}
	o.limit = "1s"
	untouched := o.run(t, o.shared, func() []pgtest.Outcome { return nil }).others
	g := &generator{Rand: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // the same statements every time
	different, failed, refused, apart, deparsed := 0, 0, 0, 0, 0
	for n := range *generated {
		sql := g.statement()
		want := o.run(t, o.alone, func() []pgtest.Outcome { return send(t, o.alone, sql, false, nil) })
		if want.outcomes[0].Code == queryCanceled {
			continue
		}
		if want.outcomes[0].Code != "" {
			failed++ // a subquery of several rows, a name that is ambiguous
			if _, err := o.rewriter.Rewrite(Request{SQL: sql}, o.catalog); err != nil {
				refused++
				continue
			}
			got := o.run(t, o.shared, func() []pgtest.Outcome { return o.confined(t, sql, false, nil) })
			require.NotEmpty(t, got.outcomes[0].Code, "%d: %s\nfails for one tenant alone: %s", n, sql, want.outcomes[0].Message)
			continue
		}
		for _, extended := range []bool{false, true} {
			result, err := o.rewriter.Rewrite(Request{SQL: sql, Extended: extended}, o.catalog)
			var unsupported *UnsupportedError
			if errors.As(err, &unsupported) && strings.HasPrefix(unsupported.Rule, "barrier.") {
				apart++ // a FULL JOIN by columns of types that are not known
				continue
			}
			require.NoError(t, err, "%d: %s", n, sql)
			text := result.Statements[0].Text.SQL(goldenKey)
			if result.Statements[0].Text.unknown {
				deparsed++
			}
			got := o.run(t, o.shared, func() []pgtest.Outcome { return o.confined(t, sql, extended, nil) })
			if got.outcomes[0].Code == queryCanceled {
				continue
			}
			require.Equal(t, sorted(want.outcomes, false), sorted(got.outcomes, false), "%d: %s\n\n%s", n, sql, text)
			require.Equal(t, want.own, got.own, "%d: %s\n\n%s", n, sql, text)
			require.Equal(t, untouched, got.others, "%d: %s\n\n%s", n, sql, text)
		}
		bare := o.run(t, o.shared, func() []pgtest.Outcome { return send(t, o.shared, sql, false, nil) })
		if !slices.EqualFunc(sorted(bare.outcomes, false), want.outcomes, equalOutcomes) {
			different++
		}
	}
	t.Logf("%d statements: %d would answer otherwise if they were sent as they are; %d failed for one tenant alone (%d of them refused); %d texts refused by the barrier; %d deparsed",
		*generated, different, failed, refused, apart, deparsed)
	require.Less(t, apart*20, 2**generated, "the barrier should refuse next to nothing")
	require.Less(t, failed*3, *generated, "most statements should have an answer")
	require.Greater(t, different*3, *generated, "the rows should tell a confined statement from one that is not")
}

func TestCursorReadsTheTenantsRows(t *testing.T) {
	o := newOracle(t)
	for _, extended := range []bool{false, true} {
		var args [][]byte
		condition := "id > 2"
		if extended {
			args, condition = [][]byte{[]byte("2")}, "id > $1"
		}
		declare := "DECLARE c SCROLL CURSOR FOR SELECT id, state FROM orders WHERE " + condition + " ORDER BY id"
		rest := []string{"FETCH 2 FROM c", "MOVE LAST IN c", "FETCH BACKWARD ALL FROM c", "CLOSE c"}
		want := o.run(t, o.alone, func() []pgtest.Outcome {
			outcomes := send(t, o.alone, declare, extended, args)
			for _, sql := range rest {
				outcomes = append(outcomes, send(t, o.alone, sql, extended, nil)...)
			}
			return outcomes
		})
		got := o.run(t, o.shared, func() []pgtest.Outcome {
			outcomes := o.confined(t, declare, extended, args)
			for _, sql := range rest {
				outcomes = append(outcomes, o.confined(t, sql, extended, nil)...)
			}
			return outcomes
		})
		require.Empty(t, want.outcomes[0].Code, want.outcomes[0].Message)
		require.Equal(t, want.outcomes, got.outcomes)
		require.Equal(t, want.own, got.own)
	}
}

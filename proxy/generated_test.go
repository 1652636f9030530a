package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
	"tenantgate/internal/pgtest/sqlgen"
)

// What the environment says of the generated statements.
const (
	envStatements = "ORACLE_STATEMENTS" // how many
	envSeed       = "ORACLE_SEED"       // of which series
	envFirst      = "ORACLE_FIRST"      // from which number on
)

// SQLSTATEs after which two answers are not compared, and that of the trigger
// that notices writes to other tenants' rows.
const (
	codeCanceled = "57014"
	codeTrespass = "TG001"
)

// vacuumAfter is how many statements may leave dead rows.
const vacuumAfter = 1000

// maxFailures ends a run that has gone wrong enough.
const maxFailures = 12

// contents is a query for a digest of what a tenant sees of each table.
var contents = func() string {
	var parts []string
	for _, table := range []string{
		"tenants", "patients", "practitioners", "appointments", "invoices", "invoice_lines", "notes", "documents", "events",
		"legacy_codes", "settings", "log_lines", `"Order"`, "billing.payments", "feature_flags",
	} {
		parts = append(parts, fmt.Sprintf(
			"SELECT '%s', count(*), md5(string_agg(x::text, E'\\n' ORDER BY x::text)) FROM %s x", table, table))
	}
	return strings.Join(parts, " UNION ALL ")
}()

// watch installs triggers that refuse writes to rows of any tenant but one.
func watch(t *testing.T, c *clinic.Clinic, database, key string) {
	t.Helper()
	sql := `CREATE OR REPLACE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(OLD) ->> TG_ARGV[0] <> '` + key + `' OR to_jsonb(NEW) ->> TG_ARGV[0] <> '` + key + `' THEN
        RAISE EXCEPTION 'a row of another tenant' USING ERRCODE = '` + codeTrespass + `';
    END IF;
    RETURN NULL;
END
$$;`
	for _, table := range []string{
		"patients", "practitioners", "appointments", "invoices", "invoice_lines", "notes", "documents", "events",
		"legacy_codes", "settings", "log_lines", `"Order"`, "billing.payments", "tenants",
	} {
		column := "tenant_id"
		if table == "tenants" {
			column = "id"
		}
		sql += fmt.Sprintf("CREATE OR REPLACE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION watch('%s');", table, column)
	}
	require.NoError(t, c.Server.Exec(context.Background(), database, sql))
}

// fromEnv is a number the environment gives, or else what is usual.
func fromEnv(t *testing.T, name string, usual uint64) uint64 {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return usual
	}
	n, err := strconv.ParseUint(value, 10, 64)
	require.NoError(t, err, name)
	return n
}

// An answer is all that can be seen of a statement: its outcome, and what the
// tables hold after it if it writes.
type answer struct {
	pgtest.Outcome
	tables [][]string
}

// A question is a statement and how it is to be asked.
type question struct {
	sql             string
	args            [][]byte
	params, results []int16 // formats
	ordered         bool    // the order of rows is part of the answer
	copies          bool    // it is COPY TO STDOUT
	writes          bool    // look at the tables after it
}

// asked is a generated statement as it is sent.
func asked(s sqlgen.Statement) question {
	sql, args := s.SQL()
	q := question{sql: sql, ordered: s.Ordered, copies: s.Kind == "copy", writes: s.Writes}
	for _, arg := range args {
		var format int16
		if arg.Binary {
			format = 1
		}
		q.args, q.params = append(q.args, arg.Value), append(q.params, format)
	}
	if s.Binary {
		q.results = []int16{1}
	}
	return q
}

// ask runs a statement in a transaction that is rolled back.
func ask(t *testing.T, conn *pgconn.PgConn, q question, extended bool) answer {
	t.Helper()
	pgtest.Must(t, conn, "BEGIN")
	defer rollBack(t, conn)
	var a answer
	switch {
	case q.copies:
		var data bytes.Buffer
		tag, err := conn.CopyTo(t.Context(), &data, q.sql)
		a.Tag = tag.String()
		for line := range strings.Lines(data.String()) {
			a.Rows = append(a.Rows, []string{line})
		}
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) {
			a.Code, a.Message = pgErr.Code, pgErr.Message
		} else {
			require.NoError(t, err, q.sql)
		}
	case extended:
		a.Outcome = pgtest.Formats(t, conn, q.sql, q.args, q.params, q.results)
	default:
		outcomes := pgtest.Simple(t, conn, q.sql)
		require.Len(t, outcomes, 1, q.sql)
		a.Outcome = outcomes[0]
	}
	if !q.ordered {
		slices.SortFunc(a.Rows, slices.Compare)
	}
	if a.Code == "" && q.writes {
		a.tables = pgtest.Must(t, conn, contents)
		slices.SortFunc(a.tables, slices.Compare)
	}
	return a
}

// rollBack ends a transaction. On a busy machine the statement timeout may
// cancel this, too: then the transaction has failed, and is still there.
func rollBack(t *testing.T, conn *pgconn.PgConn) {
	t.Helper()
	for range 10 {
		outcomes := pgtest.Simple(t, conn, "ROLLBACK")
		if outcomes[0].Code != codeCanceled {
			require.Empty(t, outcomes[0].Code, outcomes[0].Message)
			return
		}
	}
	require.Fail(t, "ROLLBACK was cancelled again and again")
}

// missing reports whether an answer is that the relation is not there which the
// statement names for that. Names are resolved before all else is looked at.
func missing(sql string, a answer) bool {
	return a.Code == "42P01" && a.Message == `relation "nosuch" does not exist` && strings.Contains(sql, "JOIN nosuch ON")
}

func sameAnswer(a, b answer) bool {
	return equalOutcome(a.Outcome, b.Outcome) && slices.EqualFunc(a.tables, b.tables, slices.Equal)
}

// differing drops the tables that hold the same in both answers.
func differing(a, b answer) (answer, answer) {
	if len(a.tables) != len(b.tables) {
		a.tables, b.tables = nil, nil
		return a, b
	}
	var left, right [][]string
	for i := range a.tables {
		if !slices.Equal(a.tables[i], b.tables[i]) {
			left, right = append(left, a.tables[i]), append(right, b.tables[i])
		}
	}
	a.tables, b.tables = left, right
	return a, b
}

// simplest is the statement that remains of one that fails when all is gone
// without which it still does.
func simplest(s sqlgen.Statement, fails func(sqlgen.Statement) bool) sqlgen.Statement {
	for tries := 0; tries < 400; {
		smaller := false
		for simpler := range s.Simpler() {
			if tries++; tries >= 400 {
				break
			}
			if fails(simpler) {
				s, smaller = simpler, true
				break
			}
		}
		if !smaller {
			break
		}
	}
	return s
}

// A comparison runs generated statements of one tenant.
type comparison struct {
	seed     uint64
	key      string
	options  sqlgen.Options
	oracle   *pgconn.PgConn
	failures int
	kinds    map[string]int // statements that were compared
	failed   map[string]int // statements that have no answer on the oracle either, by SQLSTATE
	skipped  int            // took too long

	bare          *pgconn.PgConn // the shared database without a proxy
	sent, exposed int            // statements sent to it, and how many of them told the difference
}

// run compares statement n through a proxy with the oracle.
func (c *comparison) run(t *testing.T, enforce Enforcement, conn *pgconn.PgConn, n uint64) {
	t.Helper()
	o := c.options
	extended := n%2 == 0
	o.Params, o.Views = extended, enforce != RLS
	s := sqlgen.Generate(c.seed, n, o)
	want, got := ask(t, c.oracle, asked(s), extended), ask(t, conn, asked(s), extended)
	switch {
	case want.Code == codeCanceled || got.Code == codeCanceled:
		c.skipped++
		return
	case want.Code != "":
		c.failed[want.Code]++
	default:
		c.kinds[s.Kind]++
	}
	if want.Code == "" && n%10 == 0 {
		c.sent++
		if !sameAnswer(want, ask(t, c.bare, asked(s), extended)) {
			c.exposed++
		}
	}
	if sameAnswer(want, got) || want.Code != "" && (got.Code == "42501" || got.Code == "0A000" || missing(asked(s).sql, got)) {
		return // what fails anyway may be refused before
	}
	c.failures++
	fails := func(s sqlgen.Statement) bool {
		want, got := ask(t, c.oracle, asked(s), extended), ask(t, conn, asked(s), extended)
		return (want.Code == "" || want.Code == got.Code) && !sameAnswer(want, got) && want.Code != codeCanceled && got.Code != codeCanceled
	}
	small := s
	if fails(s) {
		small = simplest(s, fails)
		want, got = ask(t, c.oracle, asked(small), extended), ask(t, conn, asked(small), extended)
	}
	sql, _ := s.SQL()
	smallSQL, args := small.SQL()
	values := make([]string, len(args))
	for i, arg := range args {
		values[i] = string(arg.Value)
	}
	want, got = differing(want, got)
	t.Errorf("seed %d, statement %d, tenant %s, %s, extended %v\n%s\n\nsmaller: %s\nparameters: %q\n want %+v\n  got %+v",
		c.seed, n, c.key, enforce, extended, sql, smallSQL, values, want, got)
}

// TestGeneratedStatementsAnswerAsForTheTenantAlone compares random statements
// with the tenant's own database. Halfway another tenant's rows are added: no
// answer may change.
func TestGeneratedStatementsAnswerAsForTheTenantAlone(t *testing.T) {
	t.Parallel() // with others that take long
	total := fromEnv(t, envStatements, 2000)
	seed := fromEnv(t, envSeed, 1)
	first := fromEnv(t, envFirst, 0)
	t.Logf("seed %d, %d statements", seed, total)
	c := clinic.New(t, 3)
	gates := make(map[Enforcement]*gate)
	for _, enforce := range enforcements {
		gates[enforce] = open(t, c, enforce, nil)
	}
	for _, key := range []string{"1", "2"} {
		t.Run("tenant"+key, func(t *testing.T) {
			for _, database := range []string{c.Policies(), c.Plain()} {
				watch(t, c, database, key)
			}
			tenant, err := strconv.Atoi(key)
			require.NoError(t, err)
			cmp := &comparison{
				seed: seed, key: key, options: sqlgen.Options{Tenant: tenant, Referenced: key != "1"},
				oracle: pgtest.Connect(t, c.URL(c.Oracle(t, key))), kinds: make(map[string]int), failed: make(map[string]int),
			}
			cmp.bare = pgtest.Connect(t, c.URL(c.Plain()))
			for _, conn := range []*pgconn.PgConn{cmp.oracle, cmp.bare} {
				pgtest.Must(t, conn, "SET statement_timeout = '2s'")
			}
			var conns []*pgconn.PgConn
			for _, enforce := range enforcements {
				conn := gates[enforce].tenant(key)
				pgtest.Must(t, conn, "SET statement_timeout = '2s'")
				conns = append(conns, conn)
			}
			share, from := total*3/4, first
			if key == "2" {
				share, from = total-share, first+share
			}
			for i := range share {
				if i == share/2 && key == "1" {
					for _, database := range []string{c.Policies(), c.Plain()} {
						c.AddTenant(t, database, "4")
					}
				}
				if i%vacuumAfter == vacuumAfter-1 { // what was rolled back slows the servers down
					for _, database := range []string{c.Policies(), c.Plain(), c.Oracle(t, key)} {
						require.NoError(t, c.Server.Exec(context.Background(), database, "VACUUM"))
					}
				}
				// Three statements in turn, so that both protocols meet each enforcement.
				at := int(i % uint64(len(conns)))
				cmp.run(t, enforcements[at], conns[at], from+i)
				if cmp.failures >= maxFailures {
					t.Fatalf("%d differences: enough", cmp.failures)
				}
			}
			t.Logf("compared %v; failed on both sides %v; took too long %d", cmp.kinds, cmp.failed, cmp.skipped)
			answered, errored := 0, 0
			for _, n := range cmp.kinds {
				answered += n
			}
			for _, n := range cmp.failed {
				errored += n
			}
			require.Less(t, errored*3, answered, "most statements should have an answer")
			t.Logf("%d of %d would differ without the proxy", cmp.exposed, cmp.sent)
			require.Greater(t, cmp.exposed*3, cmp.sent, "the rows should tell a confined statement from one that is not")
		})
	}
}

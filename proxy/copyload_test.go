package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// loaded is what copyAndRollBack brings of data: the tag or the error, with its
// context.
func loaded(t *testing.T, conn *pgconn.PgConn, sql, data, query string) (outcome, where string, rows [][]string) {
	t.Helper()
	outcome, fault, rows := copyAndRollBack(t, conn, sql, strings.NewReader(data), query)
	if fault != nil {
		outcome, where = fault.Code+" "+fault.Message, fault.Where
	}
	return outcome, where, rows
}

// sameLoad runs a COPY of its own tenant and by a proxy, which puts the rows into a
// COPY of its own.
func sameLoad(t *testing.T, oracle, conn *pgconn.PgConn, sql, data, query string) {
	t.Helper()
	want, wantWhere, wantRows := loaded(t, oracle, sql, data, query)
	got, where, rows := loaded(t, conn, sql, data, query)
	what := fmt.Sprintf("%s\n%.1000s\n%s", sql, data, wantWhere)
	require.Equal(t, want, got, what)
	require.Equal(t, wantRows, rows, what)
	if strings.Contains(wantWhere, ", column ") && !strings.HasPrefix(want, "22P04") { // else the proxy finds it
		require.Equal(t, wantWhere, where, what)
	} else {
		require.True(t, strings.HasPrefix(wantWhere, where), "%s\n%s", what, where)
		require.Equal(t, wantWhere == "", where == "", what)
	}
}

func TestColumnsOfAnyTypeAreLoaded(t *testing.T) {
	c := clinic.New(t, 1)
	var tables strings.Builder
	tables.WriteString(copyTypes)
	for i, typ := range copiedTypes {
		fmt.Fprintf(&tables, "; CREATE TABLE typed_%d (id int, v %s, tenant_id int NOT NULL DEFAULT 1, w %s)", i, typ.name, typ.name)
		fmt.Fprintf(&tables, "; GRANT ALL ON typed_%d TO %s", i, clinic.Role)
	}
	for _, database := range []string{c.Oracle(t, "1"), c.Plain()} {
		pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(database)), tables.String())
	}
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	conn := open(t, c, Rewrite, poolOf(1)).tenant("1")
	for i, typ := range copiedTypes {
		into, all := fmt.Sprintf("COPY typed_%d (id, v, w) FROM STDIN", i), fmt.Sprintf("SELECT id, v, w FROM typed_%d ORDER BY id", i)
		var data strings.Builder
		for i, v := range typ.values {
			fmt.Fprintf(&data, "%d\t%s\t%s\n", i, v, typ.values[len(typ.values)-1-i])
		}
		sameLoad(t, oracle, conn, into, data.String(), all)
		for _, v := range slices.Concat(typ.faults, typ.values) {
			sameLoad(t, oracle, conn, into, data.String()+"1000\t"+v+"\t\\N\n", all)
			sameLoad(t, oracle, conn, into, "1000\t\\N\t"+v+"\n"+data.String(), all)
		}
		for _, options := range []string{" (FORMAT csv, NULL 'nil')", " (FORMAT binary)"} {
			pgtest.Must(t, oracle, "BEGIN")
			for i, v := range typ.values { // those that are none by themselves are left out
				pgtest.Must(t, oracle, "SAVEPOINT value")
				if _, err := oracle.CopyFrom(t.Context(), strings.NewReader(fmt.Sprintf("%d\t%s\t\\N\n", i, v)), into); err != nil {
					pgtest.Must(t, oracle, "ROLLBACK TO value")
				}
			}
			out := string(copyTo(t, oracle, fmt.Sprintf("COPY typed_%d (id, v, w) TO STDOUT", i)+options))
			pgtest.Must(t, oracle, "ROLLBACK")
			sameLoad(t, oracle, conn, into+options, out, all)
			if options == " (FORMAT binary)" { // cut
				sameLoad(t, oracle, conn, into+options, out[:len(out)-5], all)
			}
		}
	}
}

// Rows with values that have no form, and some with faults, are among those that
// have one. So there are two COPYs, whose rows, lines and tag are one's.
func TestRowsWithoutFormAreLoaded(t *testing.T) {
	c := clinic.New(t, 1)
	const table = "CREATE TABLE typed (id int PRIMARY KEY, d date, n numeric(6,2) CHECK (n < 2000), c varchar(4), tenant_id int NOT NULL DEFAULT 1, CONSTRAINT later UNIQUE (n) DEFERRABLE INITIALLY DEFERRED); GRANT ALL ON typed TO " + clinic.Role
	for _, database := range []string{c.Oracle(t, "1"), c.Plain()} {
		pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(database)), table)
	}
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	g := open(t, c, Rewrite, poolOf(1))
	conn := g.tenant("1")
	const rows = 5000
	row := func(i int) string { return fmt.Sprintf("%d\t2026-02-03\t%d.%02d\tabcd\n", i, i/100, i%100) }
	for _, changed := range []string{
		"%d\tinfinity\t-1\t\\N\n", " %d \t\\N\t\\N\t\\N\n", "%d\t2026-02-03\t999.995\tx\n", "%d\t2026-02-03\t1e2\täöüß\n", "%d\t2026-02-03\t7\tab     \n", // no form
		"%d\t2026-02-30\t1\tx\n", "%d\t2026-02-03\t2345.5\tx\n", "%d\t2026-02-03\t12345.5\tx\n", "%d\t2026-02-03\t5\tabcde\n", "x%d\t\\N\t\\N\t\\N\n", "1%d\n", "%d\t\\N\t\\N\t\\N\t\\N\n", "\\\\N%d\t\\N\t\\N\t\\N\n", // faults
	} {
		for _, at := range []int{0, 1, 2, 700, rows - 1} {
			for _, then := range []string{"", "%d\t2026-02-30\t1\tx\n", "1\t\\N\t\\N\t\\N\n", "%d\t2026-02-03\t2345.5\tx\n", "%d\n"} {
				var data strings.Builder
				for i := range rows {
					switch {
					case i == at:
						fmt.Fprintf(&data, changed, i)
					case i == at+900 && strings.Contains(then, "%d"):
						fmt.Fprintf(&data, then, i)
					case i == at+900 && then != "":
						data.WriteString(then)
					default:
						data.WriteString(row(i))
					}
				}
				sameLoad(t, oracle, conn, "COPY typed (id, d, n, c) FROM STDIN", data.String(), "SELECT count(*), sum(id), sum(n), min(d), max(d), string_agg(DISTINCT c, ',') FROM typed")
			}
		}
	}

	// Outside a transaction block: what fails at its end, and what is not to be seen of the first.
	for _, tc := range []struct{ data, outcome string }{
		{"1\t2026-02-03\t1\tx\n2\tinfinity\t2\tx\n3\t2026-02-03\t3\tx\n", "COPY 3"},
		{"4\t2026-02-03\t1\tx\n", "23505"},
		{"4\t2026-02-03\t4\tx\n5\tinfinity\t1\tx\n", "23505"},
		{"4\t2026-02-03\t4\tx\n5\tinfinity\t5\tx\n1\t2026-02-03\t5\tx\n", "23505"},
		{"4\t2026-02-03\t4\tx\n5\tinfinity\t5\tx\n5\n", "22P04"},
		{"", "COPY 0"},
		{"6\tinfinity\t6\tx\n", "COPY 1"},
	} {
		for _, conn := range []*pgconn.PgConn{oracle, conn} {
			outcome, _ := copiedWhole(t, conn, "COPY typed (id, d, n, c) FROM STDIN", []byte(tc.data))
			require.Equal(t, tc.outcome, outcome, tc.data)
		}
	}
	require.Equal(t, [][]string{{"{1,2,3,6}"}}, pgtest.Must(t, conn, "SELECT array_agg(id ORDER BY id) FROM typed"))
	require.Zero(t, g.pool().Stat().Destroyed)
}

// A statement's triggers see all rows of a COPY, and a row may refer to one that
// comes behind it.
func TestCopyIsOneStatement(t *testing.T) {
	c := clinic.New(t, 1)
	ddl := `
		CREATE TABLE told (rows bigint, tenant_id int NOT NULL DEFAULT 1);
		CREATE TABLE watched (id int, d date, tenant_id int NOT NULL DEFAULT 1);
		CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO told SELECT count(*) FROM new; RETURN NULL; END$$;
		CREATE TRIGGER tell AFTER INSERT ON watched REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION tell();
		CREATE TABLE tree (id int, parent int, d date, tenant_id int NOT NULL DEFAULT 1, PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, parent) REFERENCES tree);
		CREATE TABLE parts (id int, parent int, d date, tenant_id int NOT NULL DEFAULT 1, PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, parent) REFERENCES parts) PARTITION BY LIST (tenant_id);
		CREATE TABLE part PARTITION OF parts DEFAULT;
		GRANT ALL ON told, watched, tree, parts, part TO ` + clinic.Role
	for _, database := range []string{c.Oracle(t, "1"), c.Plain()} {
		pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(database)), ddl)
	}
	oracle := pgtest.Connect(t, c.URL(c.Oracle(t, "1")))
	conn := open(t, c, Rewrite, poolOf(1)).tenant("1")
	sameLoad(t, oracle, conn, "COPY watched (id, d) FROM STDIN", "1\t2026-02-03\n2\tinfinity\n3\t2026-02-03\n", "SELECT rows FROM told")
	for _, table := range []string{"tree", "parts", "part"} {
		sameLoad(t, oracle, conn, "COPY "+table+" (id, parent, d) FROM STDIN", "1\t3\t2026-02-03\n2\t\\N\tinfinity\n3\t2\t2026-02-03\n", "SELECT id, d FROM "+table+" ORDER BY id")
	}
}

// The types of columns are looked at without reading any row.
func TestCopyNeedsInsertAlone(t *testing.T) {
	c := clinic.New(t, 1)
	g := open(t, c, Rewrite, poolOf(1))
	pgtest.Must(t, pgtest.Connect(t, c.OwnerURL(g.database)), "REVOKE ALL ON log_lines FROM "+clinic.Role+"; GRANT INSERT ON log_lines TO "+clinic.Role)
	outcome, _ := copiedWhole(t, g.tenant("1"), "COPY log_lines (level, line) FROM STDIN", []byte("info\tx\n"))
	require.Equal(t, "COPY 1", outcome)
	require.Equal(t, "COPY public.log_lines (level, line, tenant_id) FROM STDIN (FORMAT binary)", lastQuery(t, c, g))
}

// A transaction that holds the lock of a look at the types gets the COPY's, whoever
// waits for the table meanwhile.
func TestCopyDoesNotWaitForThoseBehindIt(t *testing.T) {
	c := clinic.New(t, 1)
	g := open(t, c, Rewrite, poolOf(2))
	owner := pgtest.Connect(t, c.OwnerURL(g.database))
	stop, changed := make(chan struct{}), make(chan error, 1)
	go func() {
		for turn := 0; ; turn++ {
			select {
			case <-stop:
				changed <- nil
				return
			default:
			}
			typ := []string{"text", "varchar(200)", "varchar(100)"}[turn%3]
			if _, err := owner.Exec(t.Context(), "ALTER TABLE log_lines ALTER line TYPE "+typ).ReadAll(); err != nil {
				changed <- err
				return
			}
		}
	}()
	copied := make(chan error, 2)
	for range cap(copied) {
		conn := g.tenant("1")
		go func() {
			var err error
			for turn := 0; turn < 150 && err == nil; turn++ {
				_, err = conn.CopyFrom(t.Context(), strings.NewReader("bulk\tx\nbulk\ty\n"), "COPY log_lines (level, line) FROM STDIN")
			}
			copied <- err
		}()
	}
	for range cap(copied) {
		require.NoError(t, <-copied)
	}
	close(stop)
	require.NoError(t, <-changed)
	require.Equal(t, [][]string{{"600"}}, pgtest.Must(t, owner, "SELECT count(*) FROM log_lines WHERE level = 'bulk'"))
}

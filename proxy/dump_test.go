package proxy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// tenantTables are the clinic's tables that hold tenants' rows, in an order in
// which they can be emptied.
var tenantTables = []string{
	"billing.payments", "appointments", "notes", "invoice_lines", "invoices", "practitioners", "patients", "documents",
	"events", "legacy_codes", "settings", "log_lines", `"Order"`, "tenants",
}

// program runs one of PostgreSQL's client programs.
func program(t *testing.T, c *clinic.Clinic, name, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(c.Server.BinDir(), name), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// pgDump dumps a tenant's rows through a gate.
func pgDump(t *testing.T, c *clinic.Clinic, g *gate, login string, args ...string) string {
	t.Helper()
	dump, errs, err := program(t, c, "pg_dump", "", append(args, "--data-only", "--dbname="+g.url(login))...)
	require.NoError(t, err, errs)
	return dump
}

// dumpedRows are the rows of a dump in text format by the head of what loads
// them: COPY with its data lines, or INSERTs.
func dumpedRows(dump string) map[string][]string {
	rows := make(map[string][]string)
	copying := ""
	var statement strings.Builder
	for line := range strings.Lines(dump) {
		switch {
		case copying != "" && line == "\\.\n":
			copying = ""
		case copying != "":
			rows[copying] = append(rows[copying], line)
		case strings.HasPrefix(line, "COPY "):
			copying = line
		case strings.HasPrefix(line, "INSERT INTO ") || statement.Len() > 0:
			if statement.WriteString(line); strings.HasSuffix(line, ");\n") {
				table := strings.Fields(statement.String())[2]
				rows[table] = append(rows[table], statement.String())
				statement.Reset()
			}
		}
	}
	for _, list := range rows {
		slices.Sort(list)
	}
	return rows
}

// allRows are the rows of all tenants' tables, whoever they belong to.
func allRows(t *testing.T, c *clinic.Clinic, database string) map[string][][]string {
	t.Helper()
	conn := pgtest.Connect(t, c.Server.SuperuserURL(database))
	rows := make(map[string][][]string)
	for _, table := range append([]string{"countries", "feature_flags"}, tenantTables...) {
		rows[table] = pgtest.Must(t, conn, "SELECT t::text FROM "+table+" AS t ORDER BY 1")
	}
	return rows
}

func TestPgDumpHoldsTheRowsThatADumpOfTheTenantsOwnDatabaseHolds(t *testing.T) {
	t.Parallel()
	c := clinic.New(t, 2)
	oracle := c.OwnerURL(c.Oracle(t, "1"))
	forms := map[string][]string{
		"copy": nil, "inserts": {"--inserts"}, "column-inserts": {"--column-inserts", "--rows-per-insert=1"},
		"quoted": {"--quote-all-identifiers"}, "one table": {"--table=public.invoices"},
	}
	want := make(map[string]map[string][]string)
	for name, args := range forms {
		dump, errs, err := program(t, c, "pg_dump", "", append(args, "--data-only", "--dbname="+oracle, "--exclude-table-data=*_seq",
			"--exclude-table=countries", "--exclude-table=feature_flags", "--exclude-table=audit_log", "--exclude-table=jobs")...)
		require.NoError(t, err, errs)
		want[name] = dumpedRows(dump)
		require.NotEmpty(t, want[name])
	}
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		for name, args := range forms {
			t.Run(enforce.String()+"/"+name, func(t *testing.T) {
				got := pgDump(t, c, g, "tenant1", append(args, "--enable-row-security")...)
				require.Equal(t, want[name], dumpedRows(got))
				require.NotContains(t, got, clinic.Mark("2"))
				require.NotContains(t, got, "setval")
			})
		}
	}
}

func TestARestoredDumpBringsBackTheTenantsRowsAndTouchesNoOthers(t *testing.T) {
	t.Parallel()
	forms := map[string][]string{"text": nil, "inserts": {"--inserts"}, "column-inserts": {"--column-inserts"}, "custom": {"--format=custom"}, "directory": {"--format=directory"}}
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		g := open(t, c, enforce, poolOf(1))
		before := allRows(t, c, g.database)
		for name, args := range forms {
			t.Run(enforce.String()+"/"+name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "dump")
				if name == "custom" || name == "directory" {
					args = append(args, "--file="+file)
				}
				dump := pgDump(t, c, g, "tenant1", append(args, "--enable-row-security")...)
				conn := g.tenant("1")
				for _, table := range tenantTables {
					pgtest.Must(t, conn, "DELETE FROM "+table)
				}
				require.NotEqual(t, before, allRows(t, c, g.database))
				var errs string
				var err error
				if dump == "" {
					_, errs, err = program(t, c, "pg_restore", "", "--data-only", "--enable-row-security", "--exit-on-error", "--dbname="+g.url("tenant1"), file)
				} else {
					_, errs, err = program(t, c, "psql", dump, "-X", "-v", "ON_ERROR_STOP=1", g.url("tenant1"))
				}
				require.NoError(t, err, errs)
				require.Empty(t, errs)
				require.Equal(t, before, allRows(t, c, g.database))
			})
		}
	}
}

func TestPgDumpIsToldWhatItNeeds(t *testing.T) {
	c := clinic.New(t, 2)
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			_, errs, err := program(t, c, "pg_dump", "", "--enable-row-security", "--dbname="+g.url("tenant1"))
			require.Error(t, err)
			require.Contains(t, errs, "Rule: dump.definitions.")

			_, errs, err = program(t, c, "pg_dump", "", "--data-only", "--dbname="+g.url("tenant1"))
			if enforce == Rewrite { // no policies, which could leave rows out
				require.NoError(t, err, errs)
				return
			}
			require.Error(t, err)
			require.Contains(t, errs, "Rule: setting.row_security.")
			require.Contains(t, errs, "--enable-row-security")
		})
	}
}

func TestCatalogsThatShowTenantsNothingShowThemNothing(t *testing.T) {
	t.Parallel() // with others that take long
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			c := clinic.New(t, 2)
			g := open(t, c, enforce, poolOf(1))
			owner := pgtest.Connect(t, c.Server.SuperuserURL(g.database))
			pgtest.Must(t, owner, "CREATE FOREIGN DATA WRAPPER secret OPTIONS (token 'hush')")
			pgtest.Must(t, owner, "SELECT lo_create(4711)")
			conn := g.tenant("1")
			for _, sql := range []string{
				"SELECT * FROM pg_foreign_data_wrapper",
				"TABLE pg_catalog.pg_foreign_data_wrapper",
				"SELECT w.fdwname FROM pg_class c JOIN pg_foreign_data_wrapper w ON true",
				"SELECT w FROM pg_foreign_data_wrapper w TABLESAMPLE SYSTEM (100)",
				"SELECT 1 WHERE EXISTS (SELECT FROM pg_foreign_data_wrapper WHERE fdwname = 'secret' OR true)",
				"WITH w AS (SELECT * FROM pg_foreign_data_wrapper) SELECT * FROM w",
				"SELECT oid FROM pg_largeobject_metadata ORDER BY tableoid",
				"DELETE FROM log_lines USING pg_foreign_data_wrapper RETURNING 1",
				"UPDATE log_lines SET level = fdwname FROM pg_foreign_data_wrapper RETURNING 1",
			} {
				require.Empty(t, pgtest.Must(t, conn, sql), sql)
			}
			require.Equal(t, [][]string{{"0"}}, pgtest.Must(t, conn, "SELECT count(*) FROM pg_foreign_data_wrapper"))
			for _, sql := range []string{
				"COPY pg_foreign_data_wrapper TO STDOUT", "DELETE FROM pg_largeobject_metadata", "SELECT * FROM pg_largeobject",
				"LOCK pg_foreign_data_wrapper IN ACCESS SHARE MODE",
			} {
				_, err := conn.Exec(t.Context(), sql).ReadAll()
				require.Equal(t, "42501", sqlState(t, err), sql)
			}
		})
	}
}

package proxy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// psql runs a script in psql and returns what it prints.
func psql(t *testing.T, bin, url, script string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "psql"), "-X", "-v", "VERBOSITY=verbose", url)
	cmd.Env = append(os.Environ(), "PAGER=", "LC_ALL=C")
	cmd.Stdin = strings.NewReader(script)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), out.String())
	return out.String()
}

func TestPsqlShowsWhatItWouldShowDirectly(t *testing.T) {
	c := clinic.New(t, 2)
	bin := c.Server.BinDir()
	const script = `\pset null '(null)'
\d
\dt
\dt billing.*
\dn
\d patients
\d appointments
\d billing.payments
\d events
\d "Order"
\d countries
\di patients*
\dv
\dT
\df slugify
\dv open_invoices
\l postgres
\conninfo
SELECT id, name, country FROM patients ORDER BY id;
\x
SELECT * FROM invoices ORDER BY id LIMIT 2;
\x
\copy patients (id, name) TO STDOUT
\copy (SELECT id, name FROM patients ORDER BY id DESC LIMIT 3) TO STDOUT CSV HEADER
SELECT id FROM patients WHERE id = 1 \gdesc
SELECT name FROM patients WHERE id = 2 \gset
\echo :name
BEGIN;
UPDATE patients SET balance = 1;
ROLLBACK;
SELECT 1 / 0;
\bind 3
SELECT name FROM patients WHERE id = $1 \g
`
	for _, enforce := range enforcements {
		t.Run(enforce.String(), func(t *testing.T) {
			g := open(t, c, enforce, poolOf(1))
			// As the same role on the same schema, but with tenant 1's rows alone.
			direct := psql(t, bin, pgtestOracle(t, c, enforce), script)
			through := psql(t, bin, g.url("tenant1"), script)
			require.Equal(t, comparable(direct), comparable(through))
		})
	}
}

// pgtestOracle is the URL of a database with tenant 1's rows alone whose schema
// is that of the database behind a gate.
func pgtestOracle(t *testing.T, c *clinic.Clinic, enforce Enforcement) string {
	t.Helper()
	alone := clinic.New(t, 1)
	database := alone.Policies()
	if enforce == Rewrite {
		database = alone.Plain()
	} else {
		owner := pgtest.Connect(t, c.Server.SuperuserURL(database))
		pgtest.Must(t, owner, "ALTER ROLE "+clinic.Role+" IN DATABASE "+database+" SET "+clinic.Setting+" = '1'")
	}
	return c.URL(database)
}

// comparable leaves out where psql is connected, and to which database.
func comparable(out string) []string {
	var lines []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "You are connected") || strings.HasPrefix(line, "LOCATION:") {
			continue
		}
		lines = append(lines, strings.TrimRight(line, "\n"))
	}
	return lines
}

func TestPsqlWithoutALocaleMayLogIn(t *testing.T) {
	c := clinic.New(t, 1)
	url := open(t, c, Both, nil).url("tenant1", "client_encoding=SQL_ASCII")
	require.Equal(t, "Zoë\nUTF8\n", psql(t, c.Server.BinDir(), url, "\\pset tuples_only\n\\pset format unaligned\nSELECT 'Zoë';\nSHOW client_encoding;\n")[len("Tuples only is on.\nOutput format is unaligned.\n"):])
}

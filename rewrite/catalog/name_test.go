package catalog

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
)

func TestNamesAreReadAsInSQL(t *testing.T) {
	for in, want := range map[string]Name{
		`orders`:                {Name: "orders"},
		`Orders`:                {Name: "orders"},
		`"Orders"`:              {Name: "Orders"},
		`Sales.Orders`:          {Schema: "sales", Name: "orders"},
		`"Sales".orders`:        {Schema: "Sales", Name: "orders"},
		` a . "b.c" `:           {Schema: "a", Name: "b.c"},
		`"say ""hi"""`:          {Name: `say "hi"`},
		`_x$1`:                  {Name: "_x$1"},
		`ÄRGER`:                 {Name: "Ärger"},
		`"order"."select"`:      {Schema: "order", Name: "select"},
		`order`:                 {Name: "order"},
		`u`:                     {Name: "u"},
		strings.Repeat("é", 40): {Name: strings.Repeat("é", 31)},
	} {
		got, err := ParseName(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
}

func TestNamesThatSQLDoesNotTakeAreExplained(t *testing.T) {
	for in, want := range map[string]string{
		``:               "a name is missing",
		`.a`:             "cannot start with '.'",
		`a.`:             "a name is missing",
		`a.b.c`:          "3 parts",
		`1a`:             "cannot start with '1'",
		`my-table`:       "unexpected '-'",
		`"a`:             "double quote is missing",
		`""`:             `"" is not a name`,
		`a "b"`:          `unexpected '"'`,
		`U&"\0061"`:      `U&""`,
		`u&"x"`:          `U&""`,
		"a\x00":          "unexpected",
		"\"a\x00\"":      "NUL",
		"\xff":           "UTF-8",
		`a, b`:           "unexpected ','",
		`public.orders;`: "unexpected ';'",
	} {
		_, err := ParseName(in)
		require.ErrorContains(t, err, want, in)
	}
}

func TestNamesAreWrittenAsTheServerWritesThem(t *testing.T) {
	c := superuser(t, "postgres")
	names := []string{"orders", "Orders", "order", "_a1", "1a", "a$b", `a"b`, "a.b", "ä", "", "name", "text", "int", "user", "x y"}
	for _, name := range append(names, strings.Fields("all between coalesce left merge_action overlaps setof xmltable")...) {
		rows, err := c.Query(t.Context(), "SELECT quote_ident($1)", name)
		require.NoError(t, err)
		if strings.Trim(quoteName(name), `"`) == strings.Trim(*rows[0][0], `"`) && keywords[name] {
			continue // a keyword of another version may be quoted without need
		}
		require.Equal(t, *rows[0][0], quoteName(name))
	}
}

func TestLiteralsReadTheSameWhateverTheServerTakesBackslashesFor(t *testing.T) {
	c := superuser(t, "postgres")
	for _, standard := range []string{"on", "off"} {
		c.exec(t, "SET standard_conforming_strings = "+standard+"; SET escape_string_warning = off")
		for _, s := range []string{"", "app.tenant_id", "it's", `\`, `\'; DROP`, `'\''`, "a\nb", "é"} {
			require.Equal(t, []string{s}, c.exec(t, "SELECT "+quoteLiteral(s)))
		}
	}
}

func TestBodiesAreQuotedByDollarsTheyDoNotHold(t *testing.T) {
	c := superuser(t, "postgres")
	for _, s := range []string{"", "x", "$", "a$", "$$", "$x$ $$", "a$x", "$x", "$xx$ $x$ $$"} {
		require.Equal(t, []string{s}, c.exec(t, "SELECT "+quoteBody(s)), s)
	}
}

func TestSearchPathIsReadAsTheServerReadsIt(t *testing.T) {
	pgtest.Server(t)
	c := superuser(t, "postgres")
	for _, path := range []string{
		``, `public`, `"$user", public`, `"$user",public`, `Public`, ` a ,	b `, `"a""b", c`, `1-x, y.z`, `""`, `"a", "A"`,
		`a,`, `,a`, `"a`, `a b`, strings.Repeat("x", 70), `"` + strings.Repeat("é", 40) + `"`,
	} {
		names, ok := splitIdentifiers(path)
		rows, err := c.try("BEGIN; SELECT set_config('search_path', " + quoteLiteral(path) + ", true); ROLLBACK; SELECT 1")
		require.Equal(t, err == nil, ok, "%q: %v %v", path, err, rows)
		if err != nil {
			c.exec(t, "ROLLBACK")
			continue
		}
		for _, name := range names { // each is found under the name that was read
			if name == "" || strings.HasPrefix(name, "$") {
				continue
			}
			require.Equal(t, []string{"1"}, c.exec(t, "BEGIN; CREATE SCHEMA IF NOT EXISTS "+quoteName(name)+
				"; SELECT set_config('search_path', "+quoteLiteral(path)+", true); CREATE TEMP TABLE found AS SELECT count(*) AS n FROM unnest(current_schemas(false)) AS s WHERE s = "+
				quoteLiteral(name)+"; SELECT n FROM found"), "%q in %q", name, path)
			c.exec(t, "ROLLBACK")
		}
	}
}

func FuzzNamesSurviveBeingWrittenAndRead(f *testing.F) {
	for _, seed := range []string{`a`, `"A".b`, `"a""b"."c.d"`, `ÄÖ.x$`, strings.Repeat("é", 40), `a.b.c`, `U&"x"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		require.NotEmpty(t, n.Name)
		require.LessOrEqual(t, len(n.Name), maxNameBytes)
		again, err := ParseName(n.String())
		require.NoError(t, err, n.String())
		require.Equal(t, n, again)
	})
}

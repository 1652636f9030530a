package auth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/postgres"
)

// passwords are such that SASLprep changes, refuses or leaves alone.
var passwords = map[string]string{
	"ascii":                     "wonder",
	"ascii punctuation":         `a'b"c\d $e`,
	"control character":         "a\tb\x7f",
	"umlaut":                    "geheim\u00e4",
	"decomposed umlaut":         "geheima\u0308",
	"ligature":                  "\ufb01sh",
	"full width":                "\uff41\uff11",
	"no-break space":            "two\u00a0words",
	"ideographic space":         "two\u3000words",
	"zero width space":          "zero\u200bwidth",
	"soft hyphen":               "soft\u00adhyphen",
	"nothing but soft hyphens":  "\u00ad\u00ad",
	"mapped to nothing":         "a\ufe00b\u2060c",
	"roman numeral":             "\u2168",
	"right to left":             "\u05d0\u05d1",
	"both directions":           "\u05d0a\u05d1",
	"right to left, then digit": "\u06271",
	"prohibited":                "a\u00a0\u2028b",
	"private use":               "a\ue000\u00aa",
	"newer than Unicode 3.2":    "\U0001F511\u00aa",
	"noncharacter":              "a\ufdd0\u00aa",
	"tag":                       "a\U000E0001\u00aa",
	"long":                      strings.Repeat("\u00e4 ", 300),
}

// literal quotes text for SQL.
func literal(text string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

func TestVerifierIsTheOnePostgreSQLMakes(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Server(t).SuperuserURL(postgres.Superuser))
	pgtest.Must(t, conn, "CREATE ROLE verified LOGIN")
	defer pgtest.Must(t, conn, "DROP ROLE verified")
	for name, password := range passwords {
		t.Run(name, func(t *testing.T) {
			pgtest.Must(t, conn, "ALTER ROLE verified PASSWORD "+literal(password))
			stored := pgtest.Must(t, conn, "SELECT rolpassword FROM pg_authid WHERE rolname = 'verified'")[0][0]
			theirs, err := ParseVerifier(stored)
			require.NoError(t, err)
			require.Equal(t, stored, theirs.Encode())
			ours, err := deriveVerifier(password, theirs.Salt, theirs.Iterations)
			require.NoError(t, err)
			require.Equal(t, stored, ours.Encode())
		})
	}
}

func TestPostgreSQLAcceptsTheVerifier(t *testing.T) {
	server := pgtest.Server(t)
	conn := pgtest.Connect(t, server.SuperuserURL(postgres.Superuser))
	for _, iterations := range []int{1, DefaultIterations, 6000} {
		v, err := NewVerifier("wonder", iterations)
		require.NoError(t, err)
		pgtest.Must(t, conn, fmt.Sprintf("CREATE ROLE accepted LOGIN PASSWORD '%s'", v.Encode()))
		stored := pgtest.Must(t, conn, "SELECT rolpassword FROM pg_authid WHERE rolname = 'accepted'")[0][0]
		require.Equal(t, v.Encode(), stored)
		if iterations >= DefaultIterations {
			pgtest.Connect(t, server.URL("accepted", "wonder", postgres.Superuser))
		}
		_, err = pgconn.Connect(t.Context(), server.URL("accepted", "wander", postgres.Superuser))
		require.ErrorContains(t, err, "28P01")
		pgtest.Must(t, conn, "DROP ROLE accepted")
	}
}

func TestInvalidUTF8IsHashedAsItIs(t *testing.T) {
	require.Equal(t, "\xff\u00aa", prepare("\xff\u00aa"))
	require.Equal(t, "a", prepare("\u00aa"))
}

func TestMalformedVerifierIsRefused(t *testing.T) {
	v, err := NewVerifier("x", DefaultIterations)
	require.NoError(t, err)
	good := v.Encode()
	parsed, err := ParseVerifier(good)
	require.NoError(t, err)
	require.Equal(t, v, parsed)
	for _, text := range []string{
		"", "x", "SCRAM-SHA-1$" + good[14:], "SCRAM-SHA-256$", "SCRAM-SHA-256$4096", "SCRAM-SHA-256$4096:c2FsdA==",
		"SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:c2FsdA==",
		strings.Replace(good, "4096", "0", 1), strings.Replace(good, "4096", "-1", 1), strings.Replace(good, "4096", "x", 1),
		strings.Replace(good, "4096", "99999999999999999999", 1),
		good + "=", good + "\n", good + ":x", good[:len(good)-1], strings.Replace(good, ":", "", 1),
	} {
		_, err := ParseVerifier(text)
		require.Error(t, err, text)
		if len(text) > 40 {
			require.NotContains(t, err.Error(), text[30:40])
		}
	}
}

func TestVerifierNeedsAPassword(t *testing.T) {
	for _, password := range []string{"", "a\x00b"} {
		_, err := NewVerifier(password, DefaultIterations)
		require.Error(t, err)
	}
	for _, iterations := range []int{0, -1, maxIterations + 1} {
		_, err := NewVerifier("x", iterations)
		require.Error(t, err)
	}
}

func FuzzParseVerifier(f *testing.F) {
	v, err := NewVerifier("x", DefaultIterations)
	require.NoError(f, err)
	f.Add(v.Encode())
	f.Add("SCRAM-SHA-256$1:AAAA$:")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVerifier(text)
		if err != nil {
			return
		}
		again, err := ParseVerifier(v.Encode())
		require.NoError(t, err)
		require.Equal(t, v, again)
	})
}

package rewrite

import (
	"errors"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"github.com/stretchr/testify/require"
)

// lexed renders the tokens of a text as kind:text, one each.
func lexed(t *testing.T, sql string) []string {
	t.Helper()
	tokens, err := lex(sql)
	require.NoError(t, err, sql)
	var out []string
	for _, tok := range tokens {
		out = append(out, "_wqsnpo."[tok.kind:tok.kind+1]+":"+tok.text(sql))
	}
	return out
}

func TestLexCutsTextAsTheServerDoes(t *testing.T) {
	for _, tc := range []struct {
		sql  string
		want []string
	}{
		{"", nil},
		{" \t\r\n\f", nil},
		{"SELECT a", []string{"w:SELECT", "w:a"}},
		{"a$1b $1b", []string{"w:a$1b", "p:$1", "w:b"}},
		{"ärger größe", []string{"w:ärger", "w:größe"}},
		{`"a""b" "c"`, []string{`q:"a""b"`, `q:"c"`}},
		{`U&"d\0061t" UESCAPE '!'`, []string{`q:U&"d\0061t"`, "w:UESCAPE", "s:'!'"}},
		{`u & "x" u&x`, []string{"w:u", "o:&", `q:"x"`, "w:u", "o:&", "w:x"}},
		{`u&'a\'b`, []string{`s:u&'a\'`, "w:b"}},
		{`'a''b'`, []string{`s:'a''b'`}},
		{`'a\' b`, []string{`s:'a\'`, "w:b"}},
		{`E'a\'b' c`, []string{`s:E'a\'b'`, "w:c"}},
		{`e'\\' c`, []string{`s:e'\\'`, "w:c"}},
		{`B'01' x'1F' N'n'`, []string{"s:B'01'", "s:x'1F'", "w:N", "s:'n'"}},
		{"B''''", []string{"s:B''", "s:''"}},
		{"0B02 0o18", []string{"n:0B0", "n:2", "n:0o1", "n:8"}},
		{"'a' 'b'", []string{"s:'a'", "s:'b'"}},
		{"'a'\n'b'", []string{"s:'a'\n'b'"}},
		{"'a' \f\r\n 'b' c", []string{"s:'a' \f\r\n 'b'", "w:c"}},
		{"'a' -- x\n -- y", []string{"s:'a'"}},
		{"'a' /* x\n */ 'b'", []string{"s:'a'", "s:'b'"}},
		{"E'a'\n'\\'b'", []string{"s:E'a'\n'\\'b'"}},
		{"'a'\n'\\'", []string{"s:'a'\n'\\'"}},
		{"\"a\"\n\"b\"", []string{`q:"a"`, `q:"b"`}},
		{"$$a$b$$ c", []string{"s:$$a$b$$", "w:c"}},
		{"$a$ $b$ $$ $a $a$b", []string{"s:$a$ $b$ $$ $a $a$", "w:b"}},
		{"$ä_1$'$ä_1$", []string{"s:$ä_1$'$ä_1$"}},
		{"$a$x$aa$a$", []string{"s:$a$x$aa$a$"}},
		{
			"1 1.5 .5 1. 1e10 1.e-5 .5E+3 1_000 0x1F 0o17 0B101 0x_f",
			strings.Split("n:1 n:1.5 n:.5 n:1. n:1e10 n:1.e-5 n:.5E+3 n:1_000 n:0x1F n:0o17 n:0B101 n:0x_f", " "),
		},
		{"1..10", []string{"n:1", ".:..", "n:10"}},
		{"1.5.5", []string{"n:1.5", "n:.5"}},
		{"t.1", []string{"w:t", "n:.1"}},
		{"a::b:c:=d", []string{"w:a", ".:::", "w:b", ".::", "w:c", ".::=", "w:d"}},
		{"f(a=>1)", []string{"w:f", ".:(", "w:a", ".:=>", "n:1", ".:)"}},
		{"a=>=b", []string{"w:a", "o:=>=", "w:b"}},
		{"a<=-1", []string{"w:a", "o:<=", "o:-", "n:1"}},
		{"a*-+-b", []string{"w:a", "o:*", "o:-", "o:+", "o:-", "w:b"}},
		{"a@-b", []string{"w:a", "o:@-", "w:b"}},
		{"a-@-b", []string{"w:a", "o:-@-", "w:b"}},
		{"+-+", []string{"o:+", "o:-", "o:+"}},
		{"a->>'x'", []string{"w:a", "o:->>", "s:'x'"}},
		{"a<--x\nb", []string{"w:a", "o:<", "w:b"}},
		{"a</*x*/b", []string{"w:a", "o:<", "w:b"}},
		{"a*/**/b", []string{"w:a", "o:*", "w:b"}},
		{"a /* /* */ ' */ b", []string{"w:a", "w:b"}},
		{"a /*/**/*/ b", []string{"w:a", "w:b"}},
		{"a /***/ b", []string{"w:a", "w:b"}},
		{"a--b\rc", []string{"w:a", "w:c"}},
		{"t[1:2];", []string{"w:t", ".:[", "n:1", ".::", "n:2", ".:]", ".:;"}},
	} {
		require.Equal(t, tc.want, lexed(t, tc.sql), tc.sql)
	}
}

func TestLexNamesWhatIsNotAToken(t *testing.T) {
	for _, tc := range []struct {
		sql, message string
		position     int
	}{
		{"SELECT 'a", `unterminated quoted string at or near "'a"`, 8},
		{"SELECT E'a\\'", `unterminated quoted string at or near "E'a\'"`, 8},
		{"SELECT 'a'\n'b", "unterminated quoted string at or near \"'a'\n'b\"", 8},
		{`SELECT "a`, `unterminated quoted identifier at or near ""a"`, 8},
		{`SELECT ""`, `zero-length delimited identifier at or near """"`, 8},
		{"SELECT ä, $a$ $b$", `unterminated dollar-quoted string at or near "$a$ $b$"`, 11},
		{"SELECT /* /* */", `unterminated /* comment at or near "/* /* */"`, 8},
		{"SELECT 1a", `trailing junk after numeric literal at or near "1a"`, 8},
		{"SELECT 1_", `trailing junk after numeric literal at or near "1_"`, 8},
		{"SELECT 0x", `invalid hexadecimal integer at or near "0x"`, 8},
		{"SELECT 0xg", `invalid hexadecimal integer at or near "0xg"`, 8},
		{"SELECT \\d", `syntax error at or near "\d"`, 8},
		{"SELECT {", `syntax error at or near "{"`, 8},
		{"SELECT $a", `syntax error at or near "$a"`, 8},
	} {
		_, err := lex(tc.sql)
		var syntax *SyntaxError
		require.ErrorAs(t, err, &syntax, tc.sql)
		require.Equal(t, tc.message, syntax.Message)
		require.Equal(t, tc.position, syntax.Position, tc.sql)
	}
}

func TestLexRefusesACommentInsideAContinuedLiteral(t *testing.T) {
	for _, sql := range []string{"SELECT 'a' -- x\n'b'", "SELECT E'a'\n-- x\n -- y\r'b\\''"} {
		_, err := lex(sql)
		var unsupported *UnsupportedError
		require.ErrorAs(t, err, &unsupported, sql)
		require.Equal(t, ruleLiteralContinued, unsupported.Rule)
		require.NotZero(t, unsupported.Position)
	}
}

func TestTokenHelpersCompareByKind(t *testing.T) {
	const sql = `WHERE "where" = (`
	tokens, err := lex(sql)
	require.NoError(t, err)
	require.True(t, tokens[0].is(sql, "where"))
	require.False(t, tokens[0].is(sql, "wher"))
	require.False(t, tokens[1].is(sql, "where"))
	require.True(t, tokens[2].op(sql, "="))
	require.False(t, tokens[2].punct(sql, "="))
	require.True(t, tokens[3].punct(sql, "("))
	require.Equal(t, `"where"`, tokens[1].text(sql))
}

// scanBounds returns the tokens that libpg_query's lexer finds, comments left
// out. ok is false when it refuses the text.
func scanBounds(sql string) (bounds [][2]int, ok bool) {
	result, err := pg_query.Scan(sql)
	if err != nil {
		return nil, false
	}
	for _, tok := range result.Tokens {
		if tok.Token != pg_query.Token_SQL_COMMENT && tok.Token != pg_query.Token_C_COMMENT {
			bounds = append(bounds, [2]int{int(tok.Start), int(tok.End)})
		}
	}
	return bounds, true
}

// requireScanned holds lex against libpg_query, which has two known errors:
// the end of a U& token, and that of one after which the C lexer looked ahead.
func requireScanned(t *testing.T, sql string) {
	t.Helper()
	want, ok := scanBounds(sql)
	tokens, err := lex(sql)
	if !ok || errors.As(err, new(*UnsupportedError)) {
		return
	}
	if err != nil {
		_, parseErr := pg_query.Parse(sql)
		require.Error(t, parseErr, "%q: %s", sql, err)
		return
	}
	require.Len(t, tokens, len(want), "%q", sql)
	for i, tok := range tokens {
		require.Equal(t, want[i][0], tok.start, "start of token %d of %q", i, sql)
		if tok.kind != tokenQuoted && tok.kind != tokenString {
			require.Equal(t, want[i][1], tok.end, "end of token %d of %q", i, sql)
		}
	}
}

var lexSeeds = []string{
	"SELECT a FROM t WHERE b = 'x' AND c <> $1",
	"INSERT INTO t VALUES (1, 'a''b', E'\\n', B'01', X'1F', N'n', U&'\\0061', $$x$$, $t$y$t$)",
	`SELECT U&"d\0061t\+000061" UESCAPE '!', "a""b" FROM "T"`,
	"SELECT 1, 1.5, .5, 1., 1e10, 1.e5, 0x1F, 0b1, 0o7, 1_000, 1..2",
	"SELECT -1 - -1, +-+-1, a@-b, a <= -1, @-1, a/**/+/**/b, a<--x\nb",
	"SELECT a::int[1:2], f(a => 1, b := 2), t.*, (t).c FROM t; ;",
	"SELECT 'a'\n'b' -- c\n, 'd', /* /* ' */ \" */ 1",
	"SELECT 'a' --x\n--y\n'b'",
	"SELECT $1::int, $2x, $a1$ $a$ $a1$",
	"a$b äö_1 \"ä\" 'ö'",
}

func TestLexHasTheBoundariesOfThePgQueryLexer(t *testing.T) {
	for _, sql := range lexSeeds {
		requireScanned(t, sql)
	}
}

func FuzzLexHasTheBoundariesOfThePgQueryLexer(f *testing.F) {
	for _, sql := range lexSeeds {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		if strings.ContainsRune(sql, 0) || strings.ToValidUTF8(sql, "") != sql {
			_, _ = lex(sql) // must not panic
			return
		}
		requireScanned(t, sql)
	})
}

package rewrite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	pg_query "github.com/pganalyze/pg_query_go/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tenantgate/internal/pgtest"
)

// FuzzServerReadsTheSameText gives any text to the parser and to PostgreSQL,
// which shows the tree it has made of it. Where both take the text they must
// see one statement of the same kind at the same place, the same strings, the
// same names of relations, and begin expressions where our lexer has a token.
func FuzzServerReadsTheSameText(f *testing.F) {
	for _, list := range [][]string{ordinary, lexSeeds, everywhere, goldenInputs(f), corpusLines(f), misreadings} {
		for _, sql := range list {
			f.Add(strings.ReplaceAll(sql, "%s", "upper('x')"))
		}
	}
	server := newReadingServer(f)
	f.Fuzz(func(t *testing.T, sql string) {
		if checkEncoding(sql) != nil {
			return
		}
		tokens, err := lexBounded(sql)
		if err != nil || checkExpansion(newSource(sql, tokens)) != nil {
			return
		}
		stmts, err := parse(sql)
		if err != nil {
			return // nothing of it is sent
		}
		tree, code, message := server.read(t, sql)
		switch {
		case code == "42601" && strings.HasPrefix(message, "cannot insert multiple commands"):
			require.Greater(t, len(stmts), 1, "%q", sql)
			return
		case code != "":
			return // nothing runs
		}
		require.LessOrEqual(t, len(stmts), 1, "%q", sql)
		if len(stmts) == 0 {
			require.Empty(t, tree, "%q", sql)
			return
		}
		server.compare(t, sql, tokens, stmts[0], tree)
	})
}

// misreadings are texts that two lexers may read differently.
var misreadings = []string{
	`SELECT 'a\' , note FROM orders --'`, `SELECT E'a\' , note FROM orders --' , 1`, `SELECT U&'\0027' || '''' || U&'!0027' UESCAPE '!'`,
	"SELECT 'a'\n'b', 'c' -- x\n'd'", "SELECT 'a' /* x */\n'b'", "SELECT E'a'\n'b\\n', N'x', B'1'::text, X'1F'::text, b'0'\n'1'",
	"SELECT $$a$b$c$$, $a$ $b$ $a$, $a$$$$a$", "SELECT '1'::text AS \"a\"\"b\", U&\"d\\0061t\" FROM (SELECT 1 AS dat) x", "SELECT 1 /* /* */ , 2 */ , 3",
	"SELECT 1 --\r, 2", "SELECT 1\v, 2\f, 3", "SELECT 'é' , 'ü' || 'x', \"é\" FROM (SELECT '1' AS \"é\") x", "SELECT E'\\u0061\\U00000062\\x63\\144'",
	"SELECT 'a' 'b'", "SELECT 1;;", ";", "/* */", "SELECT 1; SELECT 2", "SELECT 1.e, 1.5e10, .5, 1..2", "SELECT 'x' COLLATE \"C\" < 'y'",
	"SELECT U&'\\D83D\\DE00', U&'\\+01F600'", "SELECT interval '1' day, date '2024-01-01', int4 '5', \"char\" 'x'",
	"SELECT 'x' IN ('y', 'z'), 'a' LIKE 'b' ESCAPE 'c', position('x' IN 'y'), substring('abc' FROM 'b' FOR '#'), extract(epoch FROM now())",
	"SELECT E'\\'' , 'b' , E'\\\\' , 'c'", "SELECT state FROM orders WHERE state = '\x7f' OR state = '\u2028' OR state = '\u00a0'",
	"SELECT 1 AS \u00a0, 2 AS a\u00a0b", "SELECT id FROM orders\u00a0", "UPDATE orders SET state = 'x' WHERE id = 1", "SELECT 'a'\n\n  --b\n'c'",
	"SELECT xmlelement(name x, 'y'), xmlparse(content '<a/>')", "SELECT id FROM ORDERS", `SELECT "Id" FROM "Mixed Case"`, `SELECT 1 FROM U&"ord\0065rs"`,
	"SELECT 1 FROM " + strings.Repeat("o", 70), "SELECT 'a' AS " + strings.Repeat("é", 40),
}

func TestServerShowsHowItReadsAText(t *testing.T) {
	server := newReadingServer(t)
	sql := "SELECT E'a\\'b', U&'\\0061', $x$y$x$ FROM orders WHERE state = 'ä' AND state = ANY (ARRAY['q'])"
	tree, code, message := server.read(t, sql)
	require.Empty(t, code, message)
	var shown []string
	for _, m := range treeStrings.FindAllStringSubmatch(tree, -1) {
		shown = append(shown, datum(t, m[2], strings.HasPrefix(m[0], "{CONST :consttype 705")))
	}
	require.ElementsMatch(t, []string{"a'b", "a", "y", "ä", "q"}, shown)
	require.Greater(t, len(treeLocation.FindAllString(tree, -1)), 10)
	relation := treeRelation.FindStringSubmatch(tree)
	require.Equal(t, "orders", server.names[relation[1]])
	require.NotNil(t, treeExtent.FindStringSubmatch(tree))
}

// corpusLines are the statements of testdata/attacks and testdata/oracle.
func corpusLines(t testing.TB) []string {
	t.Helper()
	var lines []string
	for _, pattern := range []string{"../testdata/attacks/[a-z]_*.sql", "../testdata/oracle/*.sql"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "--") {
					lines = append(lines, line)
				}
			}
		}
	}
	return lines
}

// A readingServer is a PostgreSQL that shows how it reads a text.
type readingServer struct {
	conn   *pgconn.PgConn
	detail string            // of the last LOG message
	names  map[string]string // of relations, by object id
}

func newReadingServer(f testing.TB) *readingServer {
	s := &readingServer{names: make(map[string]string)}
	server := pgtest.Server(f)
	schema, err := os.ReadFile("testdata/schema/shop.sql")
	require.NoError(f, err)
	cfg, err := pgconn.ParseConfig(server.SuperuserURL(pgtest.Database(f, string(schema))))
	require.NoError(f, err)
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Severity == "LOG" && s.detail == "" {
			s.detail = strings.Join(strings.Fields(n.Detail), " ") // it comes in lines
		}
	}
	for name, value := range map[string]string{
		"debug_print_parse": "on", "debug_pretty_print": "off", "client_min_messages": "log", "log_min_messages": "panic",
	} {
		cfg.RuntimeParams[name] = value
	}
	s.conn, err = pgconn.ConnectConfig(f.Context(), cfg)
	require.NoError(f, err)
	f.Cleanup(func() { _ = s.conn.Close(context.Background()) })
	for _, row := range pgtest.Must(f, s.conn, "SELECT oid, relname FROM pg_class") {
		s.names[row[0]] = row[1]
	}
	return s
}

// read has the server prepare a text, which runs nothing.
func (s *readingServer) read(t *testing.T, sql string) (tree, code, message string) {
	t.Helper()
	s.detail = ""
	_, err := s.conn.Prepare(t.Context(), "", sql, nil)
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return "", refused.Code, refused.Message
	}
	require.NoError(t, err, "%q", sql)
	return s.detail, "", ""
}

var (
	treeHead     = regexp.MustCompile(`^\{QUERY :commandType (\d+) `)
	treeLocation = regexp.MustCompile(` :location (\d+)`)
	treeStrings  = regexp.MustCompile(`\{CONST :consttype (?:25|705) [^{}]*? :constisnull false :location (\d+) :constvalue \d+ \[ ([-0-9 ]*) \]`)
	treeRelation = regexp.MustCompile(` :rtekind 0 :relid (\d+) `)
	treeExtent   = regexp.MustCompile(` :stmt_location (\d+) :stmt_len (\d+)\}$`)
)

// commandTypes are PostgreSQL 15's numbers of what is no utility statement.
var commandTypes = map[string]string{"1": "SelectStmt", "2": "UpdateStmt", "3": "InsertStmt", "4": "DeleteStmt", "5": "MergeStmt"}

// compare holds the server's tree against ours. The server's is the one before
// views are expanded.
func (s *readingServer) compare(t *testing.T, sql string, tokens []token, raw *pg_query.RawStmt, tree string) {
	t.Helper()
	head := treeHead.FindStringSubmatch(tree)
	require.NotNil(t, head, "%q: %s", sql, tree)
	ours := nodeName(raw.Stmt)
	if kind := commandTypes[head[1]]; kind != "" {
		require.Equal(t, kind, ours, "%q", sql)
	} else if ours == "SelectStmt" {
		require.NotNil(t, raw.Stmt.GetSelectStmt().IntoClause, "%q", sql)
	} else {
		require.NotContains(t, []string{"UpdateStmt", "InsertStmt", "DeleteStmt", "MergeStmt"}, ours, "%q", sql)
	}
	if extent := treeExtent.FindStringSubmatch(tree); extent != nil && s.conn.ParameterStatus("server_version") < "18" { // which leaves comments out
		require.Equal(t, strconv.Itoa(int(raw.StmtLocation)), extent[1], "%q", sql)
		require.Equal(t, strconv.Itoa(int(raw.StmtLen)), extent[2], "%q", sql)
	}
	starts := make(map[int]bool)
	for _, tok := range tokens {
		starts[tok.start] = true
	}
	strs, relations := stringsAndRelations(raw.Stmt)
	for _, m := range treeLocation.FindAllStringSubmatch(tree, -1) {
		at, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		require.True(t, starts[at], "%q: the server sees an expression at %d", sql, at)
	}
	for _, m := range treeStrings.FindAllStringSubmatch(tree, -1) {
		at, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		if want, ok := strs[at]; ok {
			require.Equal(t, want, datum(t, m[2], strings.HasPrefix(m[0], "{CONST :consttype 705")), "%q: the string at %d", sql, at)
		}
	}
	for _, m := range treeRelation.FindAllStringSubmatch(tree, -1) {
		if name := s.names[m[1]]; name != "" {
			require.True(t, relations[name], "%q: the server finds %s", sql, name)
		}
	}
}

// stringsAndRelations are the strings of a statement, by their place, and the
// names of its relations.
func stringsAndRelations(n *pg_query.Node) (strs map[int]string, relations map[string]bool) {
	strs, relations = make(map[int]string), make(map[string]bool)
	var visit func(protoreflect.Message)
	visit = func(m protoreflect.Message) {
		switch v := m.Interface().(type) {
		case *pg_query.A_Const:
			if s, ok := v.Val.(*pg_query.A_Const_Sval); ok {
				strs[int(v.Location)] = s.Sval.Sval
			}
		case *pg_query.RangeVar:
			relations[v.Relname] = true
		}
		m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case field.Kind() != protoreflect.MessageKind:
			case field.IsList():
				for i := range v.List().Len() {
					visit(v.List().Get(i).Message())
				}
			default:
				visit(v.Message())
			}
			return true
		})
	}
	visit(n.ProtoReflect())
	return strs, relations
}

// datum reads the bytes of a string as the server prints them: with four of
// its length before, or for a literal without a type a zero behind.
func datum(t *testing.T, printed string, literal bool) string {
	t.Helper()
	var value []byte
	for _, number := range strings.Fields(printed) {
		n, err := strconv.Atoi(number)
		require.NoError(t, err)
		value = append(value, byte(n))
	}
	if literal {
		return strings.TrimSuffix(string(value), "\x00")
	}
	require.GreaterOrEqual(t, len(value), 4)
	return string(value[4:])
}

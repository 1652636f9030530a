package rewrite

import (
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"sort"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// largest returns how often a shape can be repeated before it is refused.
func largest(t *testing.T, name string, s shape) int {
	t.Helper()
	n := sort.Search(4*maxDepth, func(n int) bool { return checkComplexity(s(n+1)) != nil })
	require.Less(t, n, 4*maxDepth, name)
	require.Positive(t, n, name)
	return n
}

func TestCheckComplexityRefusesEveryShapeThatNestsTooDeeply(t *testing.T) {
	for name, s := range deepShapes {
		n := largest(t, name, s)
		for _, deeper := range []int{n + 1, n + 2, 2 * n, 10 * maxDepth} {
			var complex *TooComplexError
			require.ErrorAs(t, checkComplexity(s(deeper)), &complex, "%s × %d", name, deeper)
		}
	}
}

// childEnv tells TestChildParsesWhatCheckComplexityLetsThrough that it is the
// child, and what to do.
const childEnv = "TENANTGATE_TEST_PARSE"

// TestChildParsesWhatCheckComplexityLetsThrough is the child process of the
// tests below: a stack overflow in C ends it.
func TestChildParsesWhatCheckComplexityLetsThrough(t *testing.T) {
	what := os.Getenv(childEnv)
	if what == "" {
		return
	}
	for name, s := range deepShapes {
		n := largest(t, name, s)
		fmt.Printf("%s × %d\n", name, n)
		tree, err := pg_query.Parse(s(n))
		require.NoError(t, err, "%s × %d", name, n)
		if what == "deparse" {
			_, err = pg_query.Deparse(tree)
			require.NoError(t, err, "%s × %d", name, n)
		}
	}
	fmt.Println("survived")
}

// runChild runs the child with a stack of so many kB.
func runChild(t *testing.T, what string, stack int) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -s %d && exec "$0" "$@"`, stack), self,
		"-test.run=^TestChildParsesWhatCheckComplexityLetsThrough$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	out, err := cmd.CombinedOutput()
	text := string(out)
	if len(text) > 4000 {
		text = text[:4000]
	}
	require.NoError(t, err, text)
	return text
}

func TestParserSurvivesEveryShapeAtTheLimitWithASmallStack(t *testing.T) {
	require.Contains(t, runChild(t, "parse", 1024), "survived")
}

func TestDeparserSurvivesEveryShapeAtTheLimit(t *testing.T) {
	require.Contains(t, runChild(t, "deparse", 2048), "survived")
}

func TestCheckComplexityLetsFlatStatementsThroughHoweverLong(t *testing.T) {
	for name, s := range flatShapes {
		require.NoError(t, checkComplexity(s(100_000)), name)
		sql := s(3000)
		_, err := pg_query.Parse(sql)
		require.NoError(t, err, name)
	}
}

func TestAHundredThousandRowsOfTwentyColumnsPass(t *testing.T) {
	row := "(" + strings.TrimSuffix(strings.Repeat("'abc',", 20), ",") + ")"
	require.NoError(t, checkComplexity("INSERT INTO t VALUES "+row+strings.Repeat(","+row, 99_999)))
}

func TestCheckComplexityRefusesWhatIsTooLong(t *testing.T) {
	var complex *TooComplexError
	require.NoError(t, checkComplexity("SELECT '"+strings.Repeat("x", maxTextBytes-9)+"'"))
	require.ErrorAs(t, checkComplexity("SELECT '"+strings.Repeat("x", maxTextBytes-8)+"'"), &complex)
	require.ErrorAs(t, checkComplexity("SELECT 1"+strings.Repeat(",1", maxTokens/2)), &complex)
}

func TestCheckComplexityBoundsComments(t *testing.T) {
	var complex *TooComplexError
	nested := func(n int) string { return "SELECT " + times("/* ", n) + times("*/ ", n) + "1" }
	require.NoError(t, checkComplexity(nested(maxCommentDepth)))
	require.ErrorAs(t, checkComplexity(nested(maxCommentDepth+1)), &complex)
	require.ErrorAs(t, checkComplexity(nested(100_000)), &complex)
	require.ErrorAs(t, checkComplexity("SELECT 1 "+times("/**/", 100_000)), &complex)
	require.ErrorAs(t, checkComplexity("SELECT 1 "+times("+/**/", 100_000)), &complex)
	require.ErrorAs(t, checkComplexity("SELECT 1 /*"+times("/**/", 100_000)+"*/"), &complex)
	require.NoError(t, checkComplexity("SELECT 1 "+times("/**/ ", 100_000)))
	require.NoError(t, checkComplexity("SELECT 1 /"+times("*", 100_000)+"/ -- "+times("/*", 100_000)))
}

func TestCheckComplexityBoundsWhatMultipleAssignmentCopies(t *testing.T) {
	nested := func(n int) string {
		return times("WITH x AS (UPDATE t SET (a, b, c) = (", n) + "SELECT 1, 2, 3" + times(") RETURNING 1) SELECT 1, 2, 3", n)
	}
	require.NoError(t, checkComplexity(nested(5)))
	tree, err := pg_query.Parse(nested(5))
	require.NoError(t, err)
	depth, size := measure(tree.ProtoReflect())
	boundDepth, boundSize := boundsOf(t, nested(5))
	require.LessOrEqual(t, depth, 2*boundDepth+8)
	require.LessOrEqual(t, size, 5*boundSize+20)

	var complex *TooComplexError
	require.ErrorAs(t, checkComplexity(nested(13)), &complex)
	require.ErrorAs(t, checkComplexity("UPDATE t SET (a"+times(", b", 1599)+") = (SELECT f(1"+times(", 1", 10_000)+"))"), &complex)
	require.NoError(t, checkComplexity("UPDATE t SET (a, b) = (SELECT 1, 2), (c, d) = ROW(1, 2) WHERE (a, b) = (1, 2) AND id IN (1"+times(", 1", 100_000)+")"))
}

func boundsOf(t *testing.T, sql string) (depth, size int) {
	t.Helper()
	tokens, err := lex(sql)
	require.NoError(t, err)
	return treeBounds(sql, tokens)
}

// measure counts the messages of a tree that are no mere wrapper: how many lie
// below each other, and how many there are.
func measure(m protoreflect.Message) (depth, size int) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Kind() != protoreflect.MessageKind {
			return true
		}
		visit := func(child protoreflect.Message) {
			d, s := measure(child)
			depth, size = max(depth, d), size+s
		}
		if f.IsList() {
			for i := range v.List().Len() {
				visit(v.List().Get(i).Message())
			}
		} else {
			visit(v.Message())
		}
		return true
	})
	if m.Descriptor().Name() == "Node" {
		return depth, size
	}
	return depth + 1, size + 1
}

// Pieces of statements: most sequences of them are no SQL, but all nesting
// that the grammar knows can come of them.
var (
	operandPieces = []string{
		"a", "1", "b.and", "t.end", "(%s)", "f(%s, %s)", "CASE WHEN %s THEN %s ELSE %s END", "CASE %s WHEN %s THEN %s END", "(SELECT %s)",
		"ARRAY[%s, %s]", "EXISTS (%q)", "ARRAY(%q)", "(%q)", "a[%s]", "(%s)[%s]", "(%s).b", "CAST(%s AS int)", "ROW(%s, %s)",
		"count(*) FILTER (WHERE %s) OVER (PARTITION BY %s ORDER BY %s)", "COALESCE(%s, %s)", "EXTRACT(year FROM %s)", "JSON_ARRAY(%s)",
		"JSON_OBJECT(%s : %s)", "XMLELEMENT(NAME a, %s)", "array_agg(%s ORDER BY %s)", "f(x => %s)", "JSON_ARRAYAGG(%s)",
	}
	suffixPieces = []string{
		" + %s", " AND %s", " OR %s", " = %s", "::int", " IS NULL", " ISNULL", " IS TRUE", ` COLLATE "C"`, " || %s", " BETWEEN 1 AND %s",
		" NOT BETWEEN (%s) AND NOT %s", " IN (%s, %s)", " IN (%q)", " LIKE %s", " LIKE %s ESCAPE %s", " AT TIME ZONE %s", " SIMILAR TO %s",
		" IS DISTINCT FROM %s", " OPERATOR(pg_catalog.+) %s", " = ANY (%q)", " = ANY (%s)", "", "", "",
	}
	prefixPieces = []string{"NOT ", "- ", "@ ", "", "", "", ""}
	queryPieces  = []string{
		"SELECT %s", "SELECT %s, %s FROM %f WHERE %s", "VALUES (%s, %s), (%s, %s)", "%q UNION %q", "(%q) INTERSECT (%q)", "%q EXCEPT ALL %q",
		"WITH x AS (%q) SELECT %s", "WITH x AS (%q), y AS (%q) SELECT %s FROM %f", "SELECT %s FROM %f, %f", "SELECT %s AS and, %s AS end FROM %f",
		"SELECT %s GROUP BY ROLLUP (%s, %s) HAVING %s", "SELECT %s ORDER BY %s LIMIT (%s)",
		"WITH x AS (INSERT INTO t %q ON CONFLICT (a) DO UPDATE SET (a, b) = (%q) WHERE %s RETURNING %s) SELECT %s",
		"WITH x AS (UPDATE t SET a = %s, (b, c) = (%q) FROM %f WHERE %s RETURNING %s) SELECT %s", "WITH x AS (DELETE FROM t USING %f WHERE %s) SELECT %s",
	}
	itemPieces = []string{
		"t", "t x", "%f JOIN %f ON %s", "%f CROSS JOIN t", "t LEFT JOIN %f USING (a)", "(%f JOIN %f ON %s) y", "(%q) z", "LATERAL (%q) z",
		"f(%s) g", "ROWS FROM (f(%s), g(%s)) h", "XMLTABLE('x' PASSING %s COLUMNS a int DEFAULT %s)", "t TABLESAMPLE s (%s)",
	}
)

// generate expands pieces at random; budget bounds how many are used.
func generate(r *rand.Rand, pattern string, budget *int) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' {
			b.WriteByte(pattern[i])
			continue
		}
		i++
		*budget--
		spent := *budget < 0
		pick := func(list []string) string {
			if spent {
				return list[0]
			}
			return list[r.Intn(len(list))]
		}
		switch pattern[i] {
		case 's':
			if spent {
				b.WriteString("1")
				continue
			}
			b.WriteString(generate(r, pick(prefixPieces)+pick(operandPieces)+pick(suffixPieces)+pick(suffixPieces), budget))
		case 'q':
			if spent {
				b.WriteString("SELECT 1")
				continue
			}
			b.WriteString(generate(r, pick(queryPieces), budget))
		case 'f':
			b.WriteString(generate(r, pick(itemPieces), budget))
		}
	}
	return b.String()
}

func TestTreeBoundsHoldForGeneratedStatements(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	parsed := 0
	for range 10_000 {
		budget := 1 + r.Intn(120)
		sql := generate(r, "%q", &budget)
		if checkComplexity(sql) != nil {
			continue
		}
		tree, err := pg_query.Parse(sql)
		if err != nil {
			continue
		}
		parsed++
		depth, size := measure(tree.ProtoReflect())
		boundDepth, boundSize := boundsOf(t, sql)
		require.LessOrEqual(t, depth, 2*boundDepth+8, sql)
		require.LessOrEqual(t, size, 5*boundSize+20, sql)
	}
	require.Greater(t, parsed, 1000)
}

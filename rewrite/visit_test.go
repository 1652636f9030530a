package rewrite

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"github.com/stretchr/testify/require"
)

// visitAll calls f for every node of a tree, by reflection.
func visitAll(n *pg_query.Node, f func(*pg_query.Node)) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if v.IsNil() {
				return
			}
			if n, ok := v.Interface().(*pg_query.Node); ok {
				f(n)
			}
			walk(v.Elem())
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for _, i := range comparedFields(v.Type()) {
				walk(v.Field(i))
			}
		default:
		}
	}
	walk(reflect.ValueOf(n))
}

// analysisOnly are fields that the parser never sets: analysis does.
var analysisOnly = map[string]bool{"Xpr": true}

// nodeTypes are the wrappers of all nodes, from the zero Node's reflection.
func nodeTypes() map[string]*pg_query.Node {
	nodes := make(map[string]*pg_query.Node)
	fields := (&pg_query.Node{}).ProtoReflect().Descriptor().Oneofs().ByName("node").Fields()
	for i := range fields.Len() {
		n := &pg_query.Node{}
		m := n.ProtoReflect()
		m.Set(fields.Get(i), m.NewField(fields.Get(i)))
		nodes[string(fields.Get(i).Message().Name())] = n
	}
	return nodes
}

// inner is the struct that a node wraps.
func inner(n *pg_query.Node) reflect.Value {
	return reflect.ValueOf(n.Node).Elem().Field(0).Elem()
}

// marker is a node that a visitor has to come to.
func marker() *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_ParamRef{ParamRef: &pg_query.ParamRef{Number: 4711}}}
}

// places are the fields of a struct that can hold nodes, however deep in
// structs of its own: each is a function that puts one there.
func places(t *testing.T, typ reflect.Type, path string) map[string]func(v reflect.Value, n *pg_query.Node) {
	t.Helper()
	found := make(map[string]func(reflect.Value, *pg_query.Node))
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() || analysisOnly[f.Name] {
			continue
		}
		name := path + "." + f.Name
		switch {
		case f.Type == reflect.TypeFor[*pg_query.Node]():
			found[name] = func(v reflect.Value, n *pg_query.Node) { v.Field(i).Set(reflect.ValueOf(n)) }
		case f.Type == reflect.TypeFor[[]*pg_query.Node]():
			found[name] = func(v reflect.Value, n *pg_query.Node) { v.Field(i).Set(reflect.ValueOf([]*pg_query.Node{nil, n})) }
		case f.Type.Kind() == reflect.Pointer && strings.Count(path, ".") < 3 && f.Type.Elem().Kind() == reflect.Struct:
			for sub, put := range places(t, f.Type.Elem(), name) {
				found[sub] = func(v reflect.Value, n *pg_query.Node) {
					v.Field(i).Set(reflect.New(f.Type.Elem()))
					put(v.Field(i).Elem(), n)
				}
			}
		}
	}
	return found
}

// The nodes of expressions are visited by a list of their fields. This holds
// the list against the fields that there are.
func TestChildrenLeavesNoFieldOut(t *testing.T) {
	known, fields := 0, 0
	for name, n := range nodeTypes() {
		if children(n, func(*pg_query.Node) error { return nil }) != nil {
			continue // refused as a whole
		}
		known++
		for place, put := range places(t, inner(n).Type(), name) {
			if strings.HasPrefix(place, "ColumnDef.") && place != "ColumnDef.CollClause" {
				continue // what only tables have is an error
			}
			fresh := nodeTypes()[name]
			put(inner(fresh), marker())
			if holds(fresh, func(n *pg_query.Node) bool { return n.GetParamRef().GetNumber() == 4711 }) {
				fields++
				continue
			}
			t.Errorf("%s is not visited", place)
		}
	}
	require.Greater(t, known, 50)
	require.Greater(t, fields, 100)
}

// holds reports whether children, and theirs, come to a node.
func holds(n *pg_query.Node, is func(*pg_query.Node) bool) bool {
	found := errors.New("found")
	var walk func(n *pg_query.Node) error
	walk = func(n *pg_query.Node) error {
		if is(n) {
			return found
		}
		return children(n, walk)
	}
	return errors.Is(walk(n), found)
}

// subSelectPlaces are statements with a place for a sub-select.
var subSelectPlaces = []string{
	"SELECT %s", "SELECT 1 + %s", "SELECT coalesce(%s, 1)", "SELECT (%s)::text", "SELECT -%s",
	"SELECT CASE WHEN %s = 1 THEN 1 END", "SELECT CASE %s WHEN 1 THEN 1 END", "SELECT CASE WHEN true THEN %s END", "SELECT CASE WHEN true THEN 1 ELSE %s END",
	"SELECT greatest(%s, 1)", "SELECT nullif(%s, 1)", "SELECT ARRAY[%s]", "SELECT ROW(%s, 1)", "SELECT (ARRAY[1,2])[%s]", "SELECT (ARRAY[1,2])[1:%s]",
	"SELECT %s BETWEEN 1 AND 2", "SELECT 1 BETWEEN 0 AND %s", "SELECT %s IS NULL", "SELECT (%s = 1) IS TRUE", "SELECT %s IN (1, 2)", "SELECT 1 IN (1, %s)",
	"SELECT 1 = ANY (ARRAY[%s])", "SELECT NOT %s = 1", "SELECT %s = 1 OR true", "SELECT %s::text LIKE 'a'", "SELECT 'a' LIKE %s::text ESCAPE 'b'",
	"SELECT %s::text COLLATE \"C\"", "SELECT count(*) FILTER (WHERE %s = 1)", "SELECT max(%s)", "SELECT array_agg(1 ORDER BY %s)",
	"SELECT percentile_cont(%s) WITHIN GROUP (ORDER BY 1.0)", "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY %s)",
	"SELECT row_number() OVER (PARTITION BY %s)", "SELECT row_number() OVER (ORDER BY %s)", "SELECT sum(1) OVER (ROWS BETWEEN %s PRECEDING AND CURRENT ROW)",
	"SELECT sum(1) OVER (ROWS BETWEEN CURRENT ROW AND %s FOLLOWING)", "SELECT sum(1) OVER w WINDOW w AS (ORDER BY %s)",
	"SELECT DISTINCT ON (%s) 1", "SELECT 1 WHERE %s = 1", "SELECT 1 GROUP BY %s", "SELECT 1 GROUP BY GROUPING SETS ((%s))", "SELECT 1 GROUP BY CUBE (%s)",
	"SELECT 1 HAVING %s = 1", "SELECT 1 ORDER BY %s", "SELECT 1 ORDER BY 1 + %s USING <", "SELECT 1 LIMIT %s", "SELECT 1 OFFSET %s", "SELECT 1 FETCH FIRST (%s) ROWS ONLY",
	"VALUES (%s)", "SELECT 1 UNION SELECT %s", "(SELECT %s) EXCEPT SELECT 1", "SELECT 1 UNION SELECT 2 ORDER BY 1 LIMIT %s",
	"SELECT 1 FROM (SELECT %s) s", "SELECT 1 FROM countries, LATERAL (SELECT %s) s", "SELECT 1 FROM generate_series(1, %s) g", "SELECT 1 FROM ROWS FROM (generate_series(1, 2), generate_series(1, %s)) g",
	"SELECT 1 FROM countries TABLESAMPLE bernoulli (%s)", "SELECT 1 FROM countries TABLESAMPLE bernoulli (1) REPEATABLE (%s)",
	"SELECT 1 FROM countries a JOIN countries b ON %s = 1", "SELECT 1 FROM (countries a LEFT JOIN countries b ON %s = 1) AS j",
	"SELECT 1 FROM XMLTABLE('/a' PASSING xmlparse(CONTENT %s::text) COLUMNS a int PATH 'a')", "SELECT 1 FROM XMLTABLE('/a' PASSING xmlparse(CONTENT 'a') COLUMNS a int PATH 'a' DEFAULT %s)",
	"SELECT xmlelement(name a, %s)", "SELECT xmlelement(name a, xmlattributes(%s AS b))", "SELECT xmlforest(%s AS a)", "SELECT xmlserialize(CONTENT xmlconcat(xmlelement(name a, %s)) AS text)",
	"SELECT EXISTS (SELECT %s)", "SELECT ARRAY(SELECT %s)", "SELECT 1 IN (SELECT %s)", "SELECT %s > ALL (SELECT 1)", "SELECT (1, %s) = (SELECT 1, 2)", "SELECT (1, 2) IN (SELECT 1, %s)",
	"WITH a AS (SELECT %s) SELECT 1", "WITH a AS MATERIALIZED (SELECT %s) SELECT 1 FROM a", "WITH RECURSIVE a (n) AS (SELECT %s UNION ALL SELECT n FROM a WHERE false) SELECT 1",
	"SELECT (WITH a AS (SELECT %s) SELECT 1 FROM a)", "WITH a AS (UPDATE feature_flags SET enabled = %s = 1 RETURNING 1) SELECT 1",
	"INSERT INTO feature_flags (name) VALUES (%s)", "INSERT INTO feature_flags (name) SELECT %s", "INSERT INTO feature_flags (name) VALUES ('a') ON CONFLICT (name) DO UPDATE SET name = %s",
	"INSERT INTO feature_flags (name) VALUES ('a') ON CONFLICT (name) DO UPDATE SET name = 'b' WHERE %s = 1", "INSERT INTO feature_flags (name) VALUES ('a') ON CONFLICT (name) WHERE %s = 1 DO NOTHING",
	"INSERT INTO feature_flags (name) VALUES ('a') ON CONFLICT (lower(name || %s)) DO NOTHING", "INSERT INTO feature_flags (name) VALUES ('a') ON CONFLICT (name) DO UPDATE SET (name, enabled) = (%s, true)",
	"INSERT INTO feature_flags (name) VALUES ('a') RETURNING %s", "INSERT INTO orders (id, tags[%s]) VALUES (1, 2)",
	"UPDATE feature_flags SET name = %s", "UPDATE feature_flags SET (name, enabled) = (%s, true)", "UPDATE feature_flags SET (name, enabled) = (SELECT 'a', %s = 1)", "UPDATE orders SET tags[%s] = 'a'",
	"UPDATE feature_flags SET name = 'a' FROM (SELECT %s) s", "UPDATE feature_flags SET name = 'a' WHERE %s = 1", "UPDATE feature_flags SET name = 'a' RETURNING %s",
	"DELETE FROM feature_flags USING (SELECT %s) s", "DELETE FROM feature_flags WHERE %s = 1", "DELETE FROM feature_flags RETURNING %s",
	"COPY (SELECT %s) TO STDOUT", "DECLARE c CURSOR FOR SELECT %s",
	"SELECT JSON_ARRAY(SELECT %s)", "SELECT JSON_ARRAY(%s, 1)", "SELECT JSON_OBJECT('a': %s)", "SELECT JSON_OBJECT(%s: 1)", "SELECT JSON_ARRAYAGG(%s ORDER BY 1)", "SELECT JSON_ARRAYAGG(1 ORDER BY %s)",
	"SELECT JSON_OBJECTAGG('a': %s)", "SELECT JSON_OBJECTAGG('a': 1) FILTER (WHERE %s = 1)", "SELECT JSON_ARRAYAGG(1) OVER (PARTITION BY %s)", "SELECT %s::text IS JSON",
	"SELECT 1 FROM XMLTABLE(XMLNAMESPACES(%s AS x), '/a' PASSING xmlparse(CONTENT 'a') COLUMNS a int PATH 'a')", "SELECT xmlexists('/a' PASSING xmlparse(CONTENT %s::text))",
	"SELECT xmlroot(xmlparse(CONTENT 'a'), VERSION %s::text)", "SELECT xmlpi(name a, %s::text)", "SELECT 1 GROUP BY 1 HAVING GROUPING(%s) = 1", "SELECT (a.b).c[%s] FROM countries a",
	"SELECT 1 FROM jsonb_to_record('{}') AS r (a int, b numeric(1, 1)) WHERE a = %s", "SELECT 1 FROM countries a (x, y) JOIN countries USING (code) WHERE %s = 1",
	"SELECT lower(VARIADIC ARRAY[%s])", "SELECT make_interval(days => %s)", "SELECT extract(day FROM make_date(2024, 1, %s))", "SELECT substring('abc' FROM %s FOR 1)", "SELECT overlay('a' PLACING 'b' FROM %s)",
	"SELECT trim(BOTH %s::text FROM 'a')", "SELECT position('a' IN %s::text)", "SELECT (make_date(1, 1, 1), make_date(1, 1, %s)) OVERLAPS (make_date(1, 1, 1), make_date(1, 1, 2))", "SELECT timestamp '2024-01-01' AT TIME ZONE %s::text",
}

func TestSubSelectIsFoundWhereverItCanStand(t *testing.T) {
	cat, r := shop(), newRewriter(t, Config{Confine: true})
	for _, place := range subSelectPlaces {
		// The guard goes over the statement as well; this is about the confiner.
		for _, from := range []string{"secrets", "orders"} {
			sql := fmt.Sprintf(place, "(SELECT 1 FROM "+from+" LIMIT 1)")
			stmts, err := parse(sql)
			require.NoError(t, err, sql)
			tokens, err := lex(sql)
			require.NoError(t, err, sql)
			c := newConfiner(&r.config, cat, newSource(sql, tokens), &keys{sample: r.samples})
			err = c.dispatch(stmts[0].Stmt)
			if from == "secrets" {
				var forbidden *ForbiddenError
				require.ErrorAs(t, err, &forbidden, sql)
				require.Equal(t, ruleRelationDenied, forbidden.Rule, sql)
				require.Error(t, r.auditor(cat, c.keys, nil).audit(stmts[0].Stmt), sql)
				continue
			}
			require.NoError(t, err, sql)
			text, tree, err := r.prove(c, statementText{end: len(sql), position: 1}, stmts[0].Stmt)
			require.NoError(t, err, sql)
			require.False(t, text.unknown, "deparsed: %s", sql)
			require.Equal(t, 1+strings.Count(place, "orders"), text.holes(), sql)
			require.NoError(t, r.auditor(cat, c.keys, c.checks).audit(tree), sql)
		}
	}
}

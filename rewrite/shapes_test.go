package rewrite

import "strings"

// A shape is a way to make a tree deeper, n times.
type shape func(n int) string

func times(s string, n int) string { return strings.Repeat(s, n) }

// deepShapes are the constructs of the grammar that nest. What the others do
// is in flatShapes.
var deepShapes = map[string]shape{
	"plus":       func(n int) string { return "SELECT 1" + times("+1", n) },
	"concat":     func(n int) string { return "SELECT 'a'" + times("||'a'", n) },
	"cast":       func(n int) string { return "SELECT 1" + times("::int", n) },
	"castnum":    func(n int) string { return "SELECT 1" + times("::numeric(10,2)", n) },
	"not":        func(n int) string { return "SELECT " + times("NOT ", n) + "true" },
	"minus":      func(n int) string { return "SELECT " + times("- ", n) + "a" },
	"opprefix":   func(n int) string { return "SELECT " + times("@ ", n) + "a" },
	"union":      func(n int) string { return "SELECT 1" + times(" UNION SELECT 1", n) },
	"unionparen": func(n int) string { return times("(", n) + "SELECT 1" + times(") UNION SELECT 1", n) },
	"join":       func(n int) string { return "SELECT 1 FROM a" + times(" JOIN a ON true", n) },
	"crossjoin":  func(n int) string { return "SELECT 1 FROM a" + times(" CROSS JOIN a", n) },
	"natjoin":    func(n int) string { return "SELECT 1 FROM a" + times(" NATURAL JOIN a", n) },
	"joinright":  func(n int) string { return "SELECT 1 FROM a" + times(" JOIN a", n) + times(" ON true", n) },
	"joinparen":  func(n int) string { return "SELECT 1 FROM " + times("(", n) + "a" + times(" JOIN a ON true)", n) },
	"parens":     func(n int) string { return "SELECT " + times("(", n) + "1" + times(")", n) },
	"parensplus": func(n int) string { return "SELECT " + times("(1+", n) + "1" + times(")", n) },
	"func":       func(n int) string { return "SELECT " + times("f(", n) + "1" + times(")", n) },
	"case":       func(n int) string { return "SELECT " + times("CASE WHEN true THEN ", n) + "1" + times(" END", n) },
	"casearg":    func(n int) string { return "SELECT " + times("CASE ", n) + "1" + times(" WHEN 1 THEN 2 END", n) },
	"casecond":   func(n int) string { return "SELECT " + times("CASE WHEN ", n) + "true" + times(" THEN true END", n) },
	"collate":    func(n int) string { return "SELECT a" + times(` COLLATE "C"`, n) },
	"isnull":     func(n int) string { return "SELECT a" + times(" IS NULL", n) },
	"isnull2":    func(n int) string { return "SELECT a" + times(" ISNULL", n) },
	"istrue":     func(n int) string { return "SELECT a" + times(" IS TRUE", n) },
	"isnorm":     func(n int) string { return "SELECT a" + times(" IS NORMALIZED", n) },
	"isjson":     func(n int) string { return "SELECT a" + times(" IS JSON", n) },
	"isdoc":      func(n int) string { return "SELECT a" + times(" IS DOCUMENT", n) },
	"subselect":  func(n int) string { return "SELECT " + times("(SELECT ", n) + "1" + times(")", n) },
	"exists":     func(n int) string { return "SELECT " + times("EXISTS (SELECT ", n) + "1" + times(")", n) },
	"insub":      func(n int) string { return "SELECT " + times("1 IN (SELECT ", n) + "1" + times(")", n) },
	"anysub":     func(n int) string { return "SELECT " + times("1 = ANY (SELECT ", n) + "1" + times(")", n) },
	"arraysub":   func(n int) string { return "SELECT " + times("ARRAY(SELECT ", n) + "1" + times(")", n) },
	"fromsub":    func(n int) string { return times("SELECT * FROM (", n) + "SELECT 1" + times(") x", n) },
	"wheresub":   func(n int) string { return times("SELECT 1 FROM a WHERE x IN (", n) + "SELECT 1" + times(")", n) },
	"lateral": func(n int) string {
		return times("SELECT * FROM a JOIN LATERAL (", n) + "SELECT 1" + times(") x ON true", n)
	},
	"with": func(n int) string { return times("WITH x AS (", n) + "SELECT 1" + times(") SELECT 1", n) },
	"withins": func(n int) string {
		return times("WITH x AS (", n) + "SELECT 1" + times(") INSERT INTO t SELECT 1 RETURNING 1", n)
	},
	"withdel": func(n int) string {
		return times("WITH x AS (", n) + "SELECT 1" + times(") DELETE FROM t RETURNING 1", n)
	},
	"withupd": func(n int) string {
		return times("WITH x AS (", n) + "SELECT 1" + times(") UPDATE t SET a=1 RETURNING 1", n)
	},
	"between":    func(n int) string { return "SELECT " + times("x BETWEEN 1 AND NOT ", n) + "true" },
	"arraylit":   func(n int) string { return "SELECT ARRAY" + times("[", n) + "1" + times("]", n) },
	"arraylit2":  func(n int) string { return "SELECT " + times("ARRAY[", n) + "1" + times("]", n) },
	"subscript":  func(n int) string { return "SELECT " + times("a[", n) + "1" + times("]", n) },
	"parensub":   func(n int) string { return "SELECT " + times("(", n) + "a" + times(")[1]", n) },
	"parenfield": func(n int) string { return "SELECT " + times("(", n) + "a" + times(").b", n) },
	"attz":       func(n int) string { return "SELECT a" + times(" AT TIME ZONE 'x'", n) },
	"attzright":  func(n int) string { return "SELECT " + times("a AT TIME ZONE ", n) + "'x'" },
	"like":       func(n int) string { return "SELECT " + times("NOT a LIKE ", n) + "'x'" },
	"likeesc":    func(n int) string { return "SELECT " + times("NOT a LIKE 'x' ESCAPE ", n) + "'x'" },
	"likeescpar": func(n int) string { return "SELECT " + times("(", n) + "a" + times(" LIKE 'x' ESCAPE 'x')", n) },
	"similar":    func(n int) string { return "SELECT " + times("(", n) + "a" + times(" SIMILAR TO 'x' ESCAPE 'x')", n) },
	"in":         func(n int) string { return "SELECT " + times("a IN (", n) + "1" + times(")", n) },
	"row":        func(n int) string { return "SELECT " + times("ROW(", n) + "1" + times(")", n) },
	"row2":       func(n int) string { return "SELECT " + times("(1,", n) + "1" + times(")", n) },
	"coalesce":   func(n int) string { return "SELECT " + times("COALESCE(", n) + "1" + times(")", n) },
	"greatest":   func(n int) string { return "SELECT " + times("GREATEST(", n) + "1" + times(")", n) },
	"nullif":     func(n int) string { return "SELECT " + times("NULLIF(", n) + "1" + times(",1)", n) },
	"castfn":     func(n int) string { return "SELECT " + times("CAST(", n) + "1" + times(" AS int)", n) },
	"extract":    func(n int) string { return "SELECT " + times("EXTRACT(year FROM ", n) + "a" + times(")", n) },
	"overlay":    func(n int) string { return "SELECT " + times("OVERLAY(", n) + "a" + times(" PLACING 'b' FROM 1)", n) },
	"trim":       func(n int) string { return "SELECT " + times("TRIM(BOTH FROM ", n) + "a" + times(")", n) },
	"xmlelement": func(n int) string { return "SELECT " + times("XMLELEMENT(NAME a,", n) + "1" + times(")", n) },
	"xmlforest":  func(n int) string { return "SELECT " + times("XMLFOREST(", n) + "1" + times(" AS a)", n) },
	"xmlser": func(n int) string {
		return "SELECT " + times("XMLSERIALIZE(DOCUMENT ", n) + "1" + times(" AS text)", n)
	},
	"xmlroot":    func(n int) string { return "SELECT " + times("XMLROOT(", n) + "1" + times(",VERSION '1')", n) },
	"jsonobj":    func(n int) string { return "SELECT " + times("JSON_OBJECT('a':", n) + "1" + times(")", n) },
	"jsonarr":    func(n int) string { return "SELECT " + times("JSON_ARRAY(", n) + "1" + times(")", n) },
	"jsonarrq":   func(n int) string { return "SELECT " + times("JSON_ARRAY(SELECT ", n) + "1" + times(")", n) },
	"jsonagg":    func(n int) string { return "SELECT " + times("JSON_ARRAYAGG(", n) + "1" + times(")", n) },
	"jsonobjagg": func(n int) string { return "SELECT " + times("JSON_OBJECTAGG('a':", n) + "1" + times(")", n) },
	"filter":     func(n int) string { return "SELECT " + times("count(*) FILTER (WHERE ", n) + "true" + times(")", n) },
	"over": func(n int) string {
		return "SELECT " + times("count(*) OVER (PARTITION BY ", n) + "true" + times(")", n)
	},
	"within": func(n int) string {
		return "SELECT " + times("mode() WITHIN GROUP (ORDER BY ", n) + "true" + times(")", n)
	},
	"aggorder":    func(n int) string { return "SELECT " + times("array_agg(1 ORDER BY ", n) + "1" + times(")", n) },
	"named":       func(n int) string { return "SELECT " + times("f(a=>", n) + "1" + times(")", n) },
	"opparen":     func(n int) string { return "SELECT 1" + times(" OPERATOR(pg_catalog.+) 1", n) },
	"grouping":    func(n int) string { return "SELECT 1 GROUP BY " + times("GROUPING SETS (", n) + "a" + times(")", n) },
	"groupingrow": func(n int) string { return "SELECT 1 GROUP BY " + times("ROLLUP (", n) + "a" + times(")", n) },
	"xmltable": func(n int) string {
		return times("SELECT * FROM XMLTABLE('x' PASSING (", n) + "SELECT 1" + times(") COLUMNS a int) x", n)
	},
	"rowsfrom":    func(n int) string { return times("SELECT * FROM ROWS FROM (f((", n) + "SELECT 1" + times("))) x", n) },
	"tablesample": func(n int) string { return times("SELECT * FROM a TABLESAMPLE b ((", n) + "SELECT 1" + times("))", n) },
	"values":      func(n int) string { return "SELECT " + times("(VALUES (", n) + "1" + times("))", n) },
	"limit":       func(n int) string { return times("SELECT 1 LIMIT (", n) + "SELECT 1" + times(")", n) },
	"orderby":     func(n int) string { return times("SELECT 1 ORDER BY (", n) + "SELECT 1" + times(")", n) },
	"having":      func(n int) string { return times("SELECT 1 HAVING (", n) + "SELECT 1" + times(")", n) },
	"window":      func(n int) string { return times("SELECT 1 WINDOW w AS (ORDER BY (", n) + "SELECT 1" + times("))", n) },
	"frame": func(n int) string {
		return times("SELECT sum(1) OVER (ROWS (", n) + "SELECT 1" + times(") PRECEDING)", n)
	},
	"conflict": func(n int) string {
		return times("WITH x AS (INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a=(", n) + "SELECT 1" + times(") RETURNING 1) SELECT 1", n)
	},
	"andor":  func(n int) string { return "SELECT " + times("(a AND ", n) + "b" + times(")", n) },
	"andorb": func(n int) string { return "SELECT " + times("(a OR b AND ", n) + "b" + times(")", n) },
	"merge": func(n int) string {
		return "MERGE INTO t USING " + times("(SELECT * FROM ", n) + "b" + times(") s", n) + " ON true WHEN MATCHED THEN DELETE"
	},
	"copy": func(n int) string {
		return "COPY (SELECT " + times("(SELECT ", n) + "1" + times(")", n) + ") TO STDOUT"
	},
	"groupbyparen": func(n int) string { return "SELECT 1 GROUP BY " + times("(", n) + "a" + times(",b)", n) },
	"treat":        func(n int) string { return "SELECT " + times("TREAT(", n) + "1" + times(" AS int)", n) },
	"ops3":         func(n int) string { return "SELECT " + times("a = NOT ", n) + "a" },
	"is distinct":  func(n int) string { return "SELECT " + times("(", n) + "a" + times(" IS DISTINCT FROM 1)", n) },
	"not distinct": func(n int) string { return "SELECT " + times("a IS NOT DISTINCT FROM NOT ", n) + "a" },
	"symmetric":    func(n int) string { return "SELECT " + times("x NOT BETWEEN SYMMETRIC 1 AND NOT ", n) + "a" },
	"label":        func(n int) string { return "SELECT 1" + times("+a.and+b.or+c.end+d.when", n) },
	"label as":     func(n int) string { return "SELECT " + times("(SELECT 1+", n) + "1" + times(" AS and)", n) },
	"label case":   func(n int) string { return "SELECT " + times("CASE WHEN a.end THEN ", n) + "1" + times(" END", n) },
	"bracketed chains": func(n int) string {
		return "SELECT " + times("(", n) + "1" + times("+1+1+1+1)", n)
	},
	"unions of joins": func(n int) string {
		return "SELECT 1 FROM a JOIN b ON 1=1, c" + times(" UNION SELECT 1, 2 FROM a JOIN b ON x AND y", n)
	},
	"joins on lists": func(n int) string {
		return "SELECT 1 FROM a" + times(" JOIN b ON x = 1 AND y IN (1, 2) OR z", n)
	},
	"case and between": func(n int) string {
		return "SELECT " + times("x BETWEEN CASE WHEN a AND b THEN 1 END AND NOT ", n) + "a"
	},
	"name between": func(n int) string { return "SELECT " + times("between BETWEEN 1 AND NOT ", n) + "a" },
	"quoted words": func(n int) string { return `SELECT 1` + times(`+"and"+"or"`, n) },
	"update from":  func(n int) string { return "UPDATE t SET a=1 FROM b" + times(" JOIN c ON true", n) },
	"create view":  func(n int) string { return "CREATE VIEW v AS SELECT 1" + times(" UNION ALL SELECT 1", n) },
	"default":      func(n int) string { return "CREATE TABLE t (a int DEFAULT 1" + times("+1", n) + ")" },
	"prepare":      func(n int) string { return "PREPARE p AS SELECT 1" + times("+1", n) },
}

// flatShapes grow in width alone, and must pass however long they are.
var flatShapes = map[string]shape{
	"values": func(n int) string {
		return "INSERT INTO t VALUES (1, 'x', $1, now())" + times(", (1, 'x', -2, NULL)", n)
	},
	"in list":      func(n int) string { return "SELECT 1 FROM t WHERE a IN (1" + times(", 2", n) + ")" },
	"in negatives": func(n int) string { return "SELECT 1 FROM t WHERE a IN (1" + times(", -2::int + 1", n) + ")" },
	"and":          func(n int) string { return "SELECT 1 FROM t WHERE a = 1" + times(" AND NOT b = 2", n) },
	"or":           func(n int) string { return "SELECT 1 FROM t WHERE a = 1" + times(" OR b = 2 AND c IS NOT NULL", n) },
	"betweens":     func(n int) string { return "SELECT 1 FROM t WHERE a = 1" + times(" OR b BETWEEN 1 AND 2 AND c", n) },
	"targets":      func(n int) string { return "SELECT a.b + 1" + times(", a.b + 1 AS c", n) },
	"whens": func(n int) string {
		return "UPDATE t SET a = CASE" + times(" WHEN (id = 1) THEN 'x'::text", n) + " END"
	},
	"simple whens": func(n int) string {
		return "UPDATE t SET a = CASE id" + times(" WHEN 1 THEN 1 + 1", n) + " ELSE 2 + 3 END"
	},
	"assignments": func(n int) string { return "UPDATE t SET a = 1" + times(", b = c + 1", n) },
	"from list":   func(n int) string { return "SELECT 1 FROM a" + times(", b JOIN c ON true", n) },
	"with list": func(n int) string {
		return "WITH a AS (SELECT 1)" + times(", b AS (SELECT 1 + 1 FROM c JOIN d USING (e))", n) + " SELECT 1"
	},
	"statements": func(n int) string { return times("SELECT 1 + 1 FROM a JOIN b ON true UNION SELECT 2;", n) },
	"array":      func(n int) string { return "SELECT ARRAY[1" + times(", 1 + 1", n) + "]" },
	"subscripts": func(n int) string { return "SELECT a" + times("[1]", n) },
	"fields":     func(n int) string { return "SELECT a" + times(".b", n) },
	"rows":       func(n int) string { return "SELECT 1 WHERE (a, b) IN ((1, 2)" + times(", (1, 2)", n) + ")" },
	"calls":      func(n int) string { return "SELECT f(1" + times(", f(1, 2)", n) + ")" },
	"comments":   func(n int) string { return "SELECT 1" + times(" /* a */ -- b\n", n) },
	"pg_dump":    func(n int) string { return times("INSERT INTO t VALUES (1, 'a');\n", n) },
}

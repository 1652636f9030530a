package sqlgen

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// A scope is what an expression can see.
type scope struct {
	local []item // of this query's FROM
	outer []item // of the queries around it
	ctes  []item
	plain bool // no sub-selects
	full  bool // columns are qualified, for there are more items than are known
}

// An item is something with columns that FROM names.
type item struct {
	ref     string
	columns []column
	base    bool // a table by itself, whose rows can be locked
}

func (sc scope) within() scope {
	return scope{outer: append(slices.Clone(sc.outer), sc.local...), ctes: slices.Clone(sc.ctes)}
}

var comparable = []kind{integer, number, text, date, timestamp, status}

// simplest is the expression that can take the place of any of its kind.
var simplest = map[kind]string{
	integer: "1", number: "1.5", text: "'x'", boolean: "true", date: "date '2026-01-10'",
	timestamp: "timestamptz '2026-01-10 08:00+00'", document: `'{"a": 1}'::jsonb`, texts: "ARRAY['vip']",
	integers: "ARRAY[1, 2]", uuid: "'00000000-0000-0000-0000-000000000001'::uuid", status: "'booked'::appointment_status",
}

// kinds are random ones for a query's columns.
func (g *generator) kinds(n int) []kind {
	list := make([]kind, n)
	for i := range list {
		list[i] = pick(g, integer, integer, integer, text, text, text, number, boolean, date, timestamp, document, texts, integers, uuid, status)
	}
	return list
}

// expr makes an expression of a kind, with depth more levels.
func (g *generator) expr(sc scope, k kind, depth int) string {
	return may(simplest[k], g.bare(sc, k, depth))
}

func (g *generator) bare(sc scope, k kind, depth int) string {
	if depth <= 0 || g.chance(40) {
		if c := g.column(sc, k); c != "" && g.chance(92) {
			return c
		}
		return g.literal(k)
	}
	e := func(k kind) string { return g.expr(sc, k, depth-1) }
	if g.chance(12) {
		switch g.IntN(4) {
		case 0:
			return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", e(boolean), e(k), e(k))
		case 1:
			return "coalesce(" + e(k) + ", " + e(k) + ")"
		case 2:
			return "nullif(" + e(k) + ", " + e(k) + ")"
		}
		if s := g.scalar(sc, k); s != "" {
			return s
		}
	}
	switch k {
	case integer:
		switch g.IntN(8) {
		case 0:
			return fmt.Sprintf("(%s %s %s)", e(k), pick(g, "+", "-"), e(k))
		case 1:
			return fmt.Sprintf("(%s %% %d)", e(k), 2+g.IntN(5))
		case 2:
			return "length(" + e(text) + ")"
		case 3:
			return "cardinality(" + e(pick(g, texts, integers)) + ")"
		case 4:
			return "extract(" + pick(g, "year", "month", "dow") + " FROM " + e(date) + ")::int"
		case 5:
			return "greatest(" + e(k) + ", " + e(k) + ")"
		case 6:
			return "-(" + e(k) + ")"
		default:
			return "(" + e(boolean) + ")::int"
		}
	case number:
		switch g.IntN(5) {
		case 0:
			return fmt.Sprintf("(%s %s %s)", e(k), pick(g, "+", "-"), e(k))
		case 1:
			return "round(" + e(k) + ", 1)"
		case 2:
			return "(" + e(integer) + ")::numeric"
		case 3:
			return "abs(" + e(k) + ")"
		default:
			return "least(" + e(k) + ", " + e(k) + ")"
		}
	case text:
		switch g.IntN(11) {
		case 0:
			return pick(g, "upper", "lower", "md5", "slugify", "initcap") + "(" + e(k) + ")"
		case 1:
			return "(" + e(k) + " || " + e(k) + ")"
		case 2:
			return fmt.Sprintf("left(%s, %d)", e(k), 1+g.IntN(6))
		case 3:
			return "(" + e(pick(g, integer, date, boolean, status, number)) + ")::text"
		case 4:
			return "cast(" + e(integer) + " AS varchar)"
		case 5:
			return "concat_ws('-', " + e(k) + ", " + e(integer) + ")"
		case 6:
			return "(" + e(document) + " ->> 'lang')"
		case 7:
			return "(" + e(texts) + ")[1]"
		case 8:
			return "array_to_string(" + e(texts) + ", ',')"
		case 9:
			return "to_char(" + e(date) + ", 'YYYY-MM')"
		default:
			return "substring(" + e(k) + " FROM 2 FOR 3)"
		}
	case boolean:
		return g.condition(sc, depth)
	case date:
		return pick(g, fmt.Sprintf("(%s + %d)", e(k), g.IntN(40)), "(("+e(timestamp)+") AT TIME ZONE 'UTC')::date", "greatest("+e(k)+", "+e(k)+")")
	case timestamp:
		return pick(g, "("+e(k)+" + interval '3 days')", "(("+e(date)+")::timestamp AT TIME ZONE 'UTC')", "least("+e(k)+", "+e(k)+")")
	case document:
		return pick(g, "to_jsonb("+e(pick(g, integer, text, boolean, texts))+")", "jsonb_build_object('k', "+e(integer)+", 's', "+e(text)+")",
			"("+e(k)+" -> 'owner')", "("+e(k)+" #> '{owner,ids}')", "jsonb_build_array("+e(text)+", "+e(number)+")")
	case texts:
		if g.queries > 0 && !sc.plain && g.chance(25) {
			q, _ := g.query(sc.within(), []kind{text}, 1)
			return "ARRAY(SELECT * FROM (" + q + ") z ORDER BY 1)"
		}
		return pick(g, "("+e(k)+" || "+e(k)+")", "ARRAY["+e(text)+", "+e(text)+"]::text[]", "array_remove("+e(k)+", 'vip')", "string_to_array("+e(text)+", ' ')")
	case integers:
		return pick(g, "ARRAY[("+e(integer)+")::int, 3]", "("+e(k)+")[1:2]", "array_append("+e(k)+", 7)")
	case uuid:
		return "md5(" + e(text) + ")::uuid"
	default:
		return g.literal(k)
	}
}

// condition makes a boolean expression.
func (g *generator) condition(sc scope, depth int) string {
	e := func(k kind) string { return g.expr(sc, k, depth-1) }
	k := pick(g, comparable...)
	if g.queries > 0 && !sc.plain && g.chance(22) {
		inner := sc.within()
		switch g.IntN(5) {
		case 0:
			q, _ := g.query(inner, g.kinds(1+g.IntN(2)), 1)
			return pick(g, "", "NOT ") + "EXISTS (" + q + ")"
		case 1:
			q, _ := g.query(inner, []kind{k}, 1)
			return "(" + e(k) + pick(g, " IN ", " NOT IN ") + "(" + q + "))"
		case 2:
			q, _ := g.query(inner, []kind{k}, 1)
			return "(" + e(k) + " " + pick(g, "=", "<", ">=", "<>") + pick(g, " ANY ", " ALL ", " SOME ") + "(" + q + "))"
		case 3:
			q, _ := g.query(inner, []kind{integer, k}, 1)
			return "((" + e(integer) + ", " + e(k) + ") IN (" + q + "))"
		default:
			return "(" + e(k) + " = " + g.scalarOr(sc, k) + ")"
		}
	}
	switch g.IntN(15) {
	case 0, 1, 2:
		return "(" + e(k) + " " + pick(g, "=", "=", "<", ">", "<=", ">=", "<>") + " " + e(k) + ")"
	case 3:
		return "(" + e(boolean) + " AND " + e(boolean) + ")"
	case 4:
		return "(" + e(boolean) + " OR " + e(boolean) + ")"
	case 5:
		return "NOT (" + e(boolean) + ")"
	case 6:
		return "(" + e(k) + pick(g, " IS NULL", " IS NOT NULL") + ")"
	case 7:
		return "(" + e(k) + " IN (" + g.literal(k) + ", " + g.literal(k) + "))"
	case 8:
		return "(" + e(integer) + " BETWEEN " + pick(g, "", "SYMMETRIC ") + e(integer) + " AND " + e(integer) + ")"
	case 9:
		return "(" + e(text) + pick(g, " LIKE ", " NOT LIKE ", " ILIKE ", " ~ ") + pick(g, "'%a%'", "'A%'", "'[a-f]'") + ")"
	case 10:
		return "(" + e(text) + " = ANY (" + e(texts) + "))"
	case 11:
		return "(" + e(k) + pick(g, " IS DISTINCT FROM ", " IS NOT DISTINCT FROM ") + e(k) + ")"
	case 12:
		return "(" + e(document) + pick(g, ` @> '{"lang": "de"}'`, " ? 'owner'", " IS NOT NULL") + ")"
	case 13:
		return "((" + e(boolean) + ")" + pick(g, " IS TRUE", " IS NOT TRUE", " IS UNKNOWN", " IS FALSE") + ")"
	default:
		return "((" + e(integer) + ", " + e(text) + ") " + pick(g, "=", "<") + " (" + e(integer) + ", " + e(text) + "))"
	}
}

// scalar makes a sub-select of one column and at most one row, "" if there
// have been enough.
func (g *generator) scalar(sc scope, k kind) string {
	if g.queries <= 0 || sc.plain {
		return ""
	}
	g.queries--
	inner := sc.within()
	from, items := g.from(&inner, 1)
	inner.local = items
	where := ""
	if g.chance(70) {
		where = may("", " WHERE "+g.expr(inner, boolean, 2))
	}
	if agg := g.aggregate(inner, k); agg != "" && g.chance(60) {
		return "(SELECT " + agg + " FROM " + from + where + ")"
	}
	return "(SELECT " + g.expr(inner, k, 1) + " FROM " + from + where + " ORDER BY 1 LIMIT 1)"
}

func (g *generator) scalarOr(sc scope, k kind) string {
	if s := g.scalar(sc, k); s != "" {
		return s
	}
	return g.literal(k)
}

// aggregate makes an aggregate of a kind, "" if it has none.
func (g *generator) aggregate(sc scope, k kind) string {
	sc.plain = true
	sc.outer = nil // an aggregate of outer columns alone belongs to the outer query
	arg := func(k kind) string {
		if c := g.column(sc, k); c != "" && g.chance(80) {
			return c
		}
		return g.expr(sc, k, 1)
	}
	filter := ""
	if g.chance(15) {
		filter = may("", " FILTER (WHERE "+g.expr(sc, boolean, 2)+")")
	}
	switch k {
	case integer:
		if g.chance(15) {
			return "(sum(" + arg(k) + ")" + filter + ")::bigint"
		}
		return pick(g, "count(*)", "count("+arg(text)+")", "count(DISTINCT "+arg(pick(g, comparable...))+")", "min("+arg(k)+")", "max("+arg(k)+")") + filter
	case number:
		return pick(g, "sum(", "min(", "max(", "avg(") + arg(k) + ")" + filter
	case text:
		if g.chance(40) {
			a := arg(k)
			return "string_agg(" + pick(g, "", "DISTINCT ") + a + ", ',' ORDER BY " + a + ")" + filter
		}
		return pick(g, "min(", "max(") + arg(k) + ")" + filter
	case boolean:
		return pick(g, "bool_and(", "bool_or(", "every(") + arg(k) + ")" + filter
	case date, timestamp, status:
		return pick(g, "min(", "max(") + arg(k) + ")" + filter
	case texts:
		a := arg(text)
		return "array_agg((" + a + ")::text ORDER BY (" + a + ")::text)" + filter
	case integers:
		a := arg(integer)
		return "array_agg((" + a + ")::int ORDER BY (" + a + ")::int)" + filter
	case document:
		a := arg(pick(g, integer, text))
		return "jsonb_agg(" + a + " ORDER BY " + a + ")" + filter
	default:
		return ""
	}
}

// column picks a visible column of a kind, "" if there is none.
func (g *generator) column(sc scope, k kind) string {
	items := sc.local
	if len(sc.outer) > 0 && (len(items) == 0 || g.chance(25)) {
		items = sc.outer
	}
	var found []string
	for _, it := range items {
		for _, c := range it.columns {
			if c.kind == k {
				found = append(found, it.ref+"."+c.name)
			}
		}
	}
	if len(found) == 0 {
		return ""
	}
	name := pick(g, found...)
	if !sc.full && len(items) == 1 && len(sc.local) == 1 && items[0].ref == sc.local[0].ref && !strings.Contains(items[0].ref, ".") && g.chance(30) {
		_, name, _ = strings.Cut(name, ".") // without its table
	}
	return name
}

// literal makes a constant or a parameter.
func (g *generator) literal(k kind) string {
	value := ""
	switch k {
	case integer:
		n := pick(g, g.IntN(12), g.IntN(12), g.IntN(40), g.Tenant*1000+1+g.IntN(6))
		if g.Params && g.chance(35) {
			return g.integerParam(n)
		}
		return fmt.Sprint(n)
	case number:
		value = fmt.Sprintf("%d.%d", g.IntN(60), g.IntN(10))
		if !g.Params || g.chance(60) {
			return value
		}
		return g.param([]byte(value)) + "::numeric"
	case text:
		value = pick(g, "", "x", "a", "de", "DE", "vip", "it''s", `back\\slash`, "R1", "general", "info", "language", "login",
			fmt.Sprintf("Ada ~%d~", g.Tenant), "~2~", "ü")
	case boolean:
		return pick(g, "true", "false", "NULL::boolean")
	case date:
		value = pick(g, "1970-05-05", "2026-01-10", "2026-02-14", "2025-12-31")
	case timestamp:
		value = pick(g, "2026-01-06 10:00:00+00", "2026-01-12 08:00:00+00")
	case document:
		value = pick(g, `{"lang": "de"}`, "[1, 2]", `{"owner": {"ids": [1]}}`, "null")
	case texts:
		value = pick(g, "{vip}", "{}", "{child,vip}")
	case integers:
		value = pick(g, "{1,2}", "{}", "{3,NULL}")
	case uuid:
		value = "00000000-0000-0000-0000-00000000000" + fmt.Sprint(g.IntN(9))
	case status:
		value = pick(g, "booked", "arrived", "done", "cancelled", "no_show")
	default:
		return "NULL"
	}
	if g.Params && g.chance(35) {
		bytes := []byte(strings.ReplaceAll(value, "''", "'"))
		if g.chance(8) {
			bytes = nil
		}
		return g.param(bytes) + "::" + typeNames[k]
	}
	if k == text && g.chance(70) {
		return "'" + value + "'"
	}
	return "'" + value + "'::" + typeNames[k]
}

var typeNames = map[kind]string{
	text: "text", date: "date", timestamp: "timestamptz", document: "jsonb", texts: "text[]", integers: "int[]",
	uuid: "uuid", status: "appointment_status",
}

// integerParam makes a parameter with or without a cast, or uses one again.
func (g *generator) integerParam(n int) string {
	if len(g.ints) > 0 && g.chance(30) {
		return fmt.Sprintf("%s%d%s::int", param, pick(g, g.ints...), param)
	}
	g.ints = append(g.ints, len(g.args))
	if g.chance(30) {
		g.args = append(g.args, Arg{binary.BigEndian.AppendUint32(nil, uint32(n)), true}) //nolint:gosec // small
		return fmt.Sprintf("%s%d%s::int", param, len(g.args)-1, param)
	}
	return g.param(fmt.Append(nil, n)) + "::int"
}

func (g *generator) param(value []byte) string {
	g.args = append(g.args, Arg{Value: value})
	return fmt.Sprintf("%s%d%s", param, len(g.args)-1, param)
}

package sqlgen

import (
	"fmt"
	"slices"
	"strings"
)

// selectStatement makes a query as a statement.
func (g *generator) selectStatement() Statement {
	kinds := g.kinds(1 + g.IntN(5))
	if g.chance(12) {
		return g.locking(kinds)
	}
	var with string
	sc := scope{}
	if g.chance(25) {
		with = g.with(&sc)
	}
	body, _ := g.query(sc, kinds, 3)
	if g.chance(40) {
		order := " ORDER BY " + ordinals(len(kinds), g)
		limit := ""
		if g.chance(50) {
			limit = g.limit()
		}
		return Statement{Kind: "select", Ordered: true, text: with + "SELECT * FROM (" + body + ") top" + order + limit}
	}
	if with != "" && strings.HasPrefix(body, "WITH") {
		body = "SELECT * FROM (" + body + ") top"
	}
	return Statement{Kind: "select", text: with + body}
}

// ordinals orders by all of a query's columns.
func ordinals(n int, g *generator) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprint(i+1) + pick(g, "", "", "", " DESC", " NULLS FIRST")
	}
	return strings.Join(parts, ", ")
}

func (g *generator) limit() string {
	n := 1 + g.IntN(5)
	amount := fmt.Sprint(n)
	if g.Params && g.chance(50) {
		amount = g.param(fmt.Append(nil, n))
	}
	switch g.IntN(4) {
	case 0:
		return may("", fmt.Sprintf(" OFFSET %d LIMIT %s", g.IntN(3), amount))
	case 1:
		return may("", fmt.Sprintf(" FETCH FIRST %d ROWS ONLY", n))
	default:
		return may("", " LIMIT "+amount)
	}
}

// query makes a query whose columns have these kinds and the names it returns.
func (g *generator) query(sc scope, kinds []kind, depth int) (string, []column) {
	g.queries--
	columns := make([]column, len(kinds))
	for i, k := range kinds {
		columns[i] = column{name: fmt.Sprintf("c%d", i+1), kind: k}
	}
	if depth > 1 && g.queries > 1 && g.chance(12) {
		left, _ := g.query(sc, kinds, depth-1)
		right, _ := g.query(sc, kinds, depth-1)
		return "(" + left + ")" + pick(g, " UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT ", " EXCEPT ALL ") + "(" + right + ")", columns
	}
	with := ""
	if depth > 1 && g.queries > 1 && g.chance(6) {
		with = g.with(&sc)
	}
	switch {
	case g.chance(4):
		return with + "VALUES (" + g.list(sc, kinds, true) + "), (" + g.list(sc, kinds, true) + ")", []column{}
	case g.chance(22) && !slices.Contains(kinds, uuid):
		return with + g.grouped(sc, columns, depth), columns
	}
	inner := sc
	from, items := g.from(&inner, depth)
	inner.local = items
	list := make([]string, len(columns))
	windows := g.chance(12)
	for i, c := range columns {
		e := ""
		if windows && g.chance(60) {
			e = g.window(inner, c.kind)
		}
		if e == "" {
			e = g.expr(inner, c.kind, 2)
		}
		list[i] = e + " AS " + c.name
	}
	sql := "SELECT " + strings.Join(list, ", ") + " FROM " + from
	if g.chance(65) {
		sql += may("", " WHERE "+g.expr(inner, boolean, 3))
	}
	switch {
	case windows:
	case g.chance(8):
		sql = "SELECT DISTINCT " + strings.TrimPrefix(sql, "SELECT ")
	case g.chance(8):
		sql = fmt.Sprintf("SELECT DISTINCT ON (%s) %s ORDER BY %s", columns[0].name, strings.TrimPrefix(sql, "SELECT "), plainOrdinals(len(kinds)))
		sql = strings.Replace(sql, "DISTINCT ON (c1)", "DISTINCT ON (1)", 1)
	case g.chance(10):
		sql += " ORDER BY " + plainOrdinals(len(kinds)) + g.limit()
	}
	return with + sql, columns
}

func plainOrdinals(n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprint(i + 1)
	}
	return strings.Join(parts, ", ")
}

// list makes expressions of kinds; those of VALUES say their type.
func (g *generator) list(sc scope, kinds []kind, typed bool) string {
	parts := make([]string, len(kinds))
	for i, k := range kinds {
		parts[i] = g.expr(sc, k, 1)
		if typed && typeNames[k] != "" {
			parts[i] = "(" + parts[i] + ")::" + typeNames[k]
		}
	}
	return strings.Join(parts, ", ")
}

// grouped makes a query with GROUP BY or aggregates alone.
func (g *generator) grouped(sc scope, columns []column, depth int) string {
	inner := sc
	from, items := g.from(&inner, depth)
	inner.local = items
	var groups []string
	list := make([]string, len(columns))
	for i, c := range columns {
		agg := g.aggregate(inner, c.kind)
		local := inner
		local.outer = nil
		if col := g.column(local, c.kind); agg == "" || col != "" && g.chance(45) {
			if col == "" {
				list[i] = g.literal(c.kind) + " AS " + c.name
				continue
			}
			list[i] = col + " AS " + c.name
			if !slices.Contains(groups, col) {
				groups = append(groups, col)
			}
			continue
		}
		list[i] = agg + " AS " + c.name
	}
	sql := "SELECT " + strings.Join(list, ", ") + " FROM " + from
	if g.chance(60) {
		sql += may("", " WHERE "+g.expr(inner, boolean, 2))
	}
	if len(groups) > 0 {
		by := strings.Join(groups, ", ")
		switch g.IntN(6) {
		case 0:
			by = "ROLLUP (" + by + ")"
		case 1:
			by = "CUBE (" + strings.Join(groups[:min(len(groups), 3)], ", ") + ")" + strings.Join(append([]string{""}, groups[min(len(groups), 3):]...), ", ")
		case 2:
			by = "GROUPING SETS ((" + by + "), (" + groups[0] + "), ())"
		}
		sql += " GROUP BY " + by
	}
	if g.chance(25) {
		sql += may("", " HAVING count(*) "+pick(g, ">", "<", "<>")+" "+fmt.Sprint(g.IntN(5)))
	}
	return sql
}

// window makes a call with OVER whose value does not depend on the order of
// rows that are equal in it; "" if the kind has none.
func (g *generator) window(sc scope, k kind) string {
	sc.outer, sc.plain = nil, true
	by, part := g.column(sc, pick(g, integer, text, date)), g.column(sc, pick(g, text, integer, boolean))
	if by == "" || part == "" {
		return ""
	}
	over := " OVER (" + may("", "PARTITION BY "+part) + " ORDER BY " + by + pick(g, "", " DESC", " RANGE UNBOUNDED PRECEDING", " GROUPS 1 PRECEDING") + ")"
	arg := g.column(sc, k)
	switch k {
	case integer:
		return pick(g, "rank()", "dense_rank()", "count(*)", "count("+by+")") + over
	case number:
		if arg == "" {
			return ""
		}
		return pick(g, "sum(", "max(", "min(") + arg + ")" + over
	case text, date, timestamp:
		if arg == "" {
			return ""
		}
		return pick(g, "max(", "min(") + arg + ")" + over
	default:
		return ""
	}
}

// locking makes a query that locks rows.
func (g *generator) locking(kinds []kind) Statement {
	defer func(views bool) { g.Views = views }(g.Views) // below a view it is not the reader's to lock
	g.Views = false
	inner := scope{}
	first, second := g.table(&inner), g.table(&inner)
	from := first.text
	inner.local = []item{first.item}
	if g.chance(40) {
		inner.local = append(inner.local, second.item)
		from += " JOIN " + second.text + " ON " + g.match(first.item, second.item)
	}
	columns := make([]string, len(kinds))
	for i, k := range kinds {
		columns[i] = g.expr(inner, k, 2)
	}
	sql := "SELECT " + strings.Join(columns, ", ") + " FROM " + from
	if g.chance(70) {
		sql += may("", " WHERE "+g.expr(inner, boolean, 2))
	}
	order := g.chance(50)
	if order {
		sql += " ORDER BY " + plainOrdinals(len(kinds))
	}
	if order && g.chance(40) {
		sql += g.limit()
	}
	sql += " FOR " + pick(g, "UPDATE", "SHARE", "NO KEY UPDATE", "KEY SHARE")
	if g.chance(50) && !strings.Contains(first.item.ref, ".") {
		sql += " OF " + first.item.ref
	}
	return Statement{Kind: "lock", Ordered: order, text: sql + pick(g, "", " SKIP LOCKED", " NOWAIT")}
}

// with makes a WITH clause and adds its names to the scope.
func (g *generator) with(sc *scope) string {
	if g.chance(20) {
		name := g.fresh("r")
		table := pick(g, "patients", "appointments", "documents", "events")
		sql := fmt.Sprintf("WITH RECURSIVE %s (c1, c2) AS (SELECT 1, 'x'::text UNION SELECT %s.c1 + 1, left(s.c2, 9) FROM %s JOIN (SELECT id AS c1, tenant_id::text AS c2 FROM %s) s ON s.c1 = %s.c1 WHERE %s.c1 < %d) ",
			name, name, name, table, name, name, 3+g.IntN(4))
		if g.chance(50) {
			sql = fmt.Sprintf("WITH RECURSIVE %s (c1, c2) AS (SELECT id, name FROM practitioners WHERE supervisor IS NULL UNION ALL SELECT p.id, p.name FROM practitioners p, %s WHERE p.supervisor = %s.c1) ",
				name, name, name)
		}
		sc.ctes = append(sc.ctes, item{ref: name, columns: []column{{name: "c1", kind: integer}, {name: "c2", kind: text}}})
		return sql
	}
	var parts []string
	for range 1 + g.IntN(2) {
		name := g.fresh("w")
		if g.chance(25) {
			name = pick(g, "patients", "notes", "invoices", "settings")
			if slices.ContainsFunc(sc.ctes, func(it item) bool { return it.ref == name }) {
				name = g.fresh("w")
			}
		}
		kinds := g.kinds(1 + g.IntN(3))
		q, _ := g.query(*sc, kinds, 1)
		columns := make([]column, len(kinds))
		names := make([]string, len(kinds))
		for i, k := range kinds {
			columns[i] = column{name: fmt.Sprintf("k%d", i+1), kind: k}
			names[i] = columns[i].name
		}
		parts = append(parts, name+" ("+strings.Join(names, ", ")+") AS "+pick(g, "", "", "MATERIALIZED ", "NOT MATERIALIZED ")+"("+q+")")
		sc.ctes = append(sc.ctes, item{ref: name, columns: columns})
	}
	return "WITH " + strings.Join(parts, ", ") + " "
}

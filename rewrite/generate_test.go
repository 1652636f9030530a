package rewrite

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A generator makes statements over the shop that have one right answer: no
// LIMIT without an order of all rows, no value that depends on where rows lie.
type generator struct {
	*rand.Rand
	names int
}

// A column of a table or query has a kind: 'n' for whole numbers, 's' for
// text. Others are left alone.
type genColumn struct {
	name string
	kind byte
}

// A genItem is something with columns that FROM names.
type genItem struct {
	ref     string // by which its columns are qualified
	columns []genColumn
}

func genColumns(text string) (columns []genColumn) {
	for _, field := range strings.Fields(text) {
		name, kind, _ := strings.Cut(field, ":")
		columns = append(columns, genColumn{strings.ReplaceAll(name, "_from", `"from"`), kind[0]})
	}
	return columns
}

// genTables are tables of the shop with all their columns, in order; kind 'x'
// is no number and no text.
var genTables = []genItem{
	{"customers", genColumns("tenant_id:n id:n name:s note:s meta:x")},
	{"orders", genColumns("id:n tenant_id:n customer_id:n total:x state:s tags:x placed:x")},
	{"public.orders", genColumns("id:n tenant_id:n customer_id:n total:x state:s tags:x placed:x")},
	{"audit.orders", genColumns("id:n what:s tenant_id:n")},
	{"order_lines", genColumns("order_id:n line:n tenant_id:n sku:s qty:n price:x amount:x")},
	{"archive", genColumns("id:n tenant_id:n customer_id:n total:x state:s tags:x placed:x")},
	{"labels", genColumns("id:n tenant_id:n name:s")},
	{"notes", genColumns("id:n body:s tenant_id:s")},
	{"metrics", genColumns("tenant_id:n at:n value:x")},
	{"visits", genColumns("id:n tenant_id:n page:s")},
	{`"select"`, genColumns("tenant_id:n _from:n")},
	{"events", genColumns("tenant_id:n id:n day:x kind:s")},
	{"tenants", genColumns("id:n name:s")},
	{"countries", genColumns("code:s name:s")},
}

// A genScope is what an expression can see.
type genScope struct {
	items []genItem // of this query and those around it
	ctes  []genItem
	depth int             // how many more queries may be within
	taken map[string]bool // names of this FROM clause that have no alias
}

func (sc genScope) inner() genScope {
	return genScope{items: slices.Clone(sc.items), ctes: slices.Clone(sc.ctes), depth: sc.depth - 1}
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) fresh(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

// column picks a column of a kind; "" if none is visible.
func (g *generator) column(sc genScope, kind byte) string {
	var found []string
	for _, item := range sc.items {
		for _, c := range item.columns {
			if c.kind == kind {
				found = append(found, item.ref+"."+c.name)
			}
		}
	}
	if len(found) == 0 {
		return ""
	}
	return pick(g, found)
}

// value makes an expression of a kind.
func (g *generator) value(sc genScope, kind byte) string {
	if sc.depth > 0 && g.chance(8) {
		return "(" + g.scalar(sc, kind) + ")"
	}
	if column := g.column(sc, kind); column != "" && g.chance(75) {
		switch {
		case kind == 'n' && g.chance(15):
			return fmt.Sprintf("%s + %d", column, g.IntN(4))
		case kind == 'n' && g.chance(8):
			return fmt.Sprintf("coalesce(%s, %d)", column, g.IntN(9))
		case kind == 's' && g.chance(15):
			return "upper(" + column + ")"
		case g.chance(8):
			return fmt.Sprintf("CASE WHEN %s THEN %s END", g.condition(sc, 1), column)
		}
		return column
	}
	if kind == 'n' {
		return fmt.Sprint(g.IntN(10))
	}
	return pick(g, []string{"'open'", "'paid'", "'note'", "'5'", "'fr'"})
}

// scalar makes a query of one row and one column.
func (g *generator) scalar(sc genScope, kind byte) string {
	in := sc.inner()
	outer := len(in.items)
	from := g.from(&in, 1)
	function := pick(g, []string{"max", "min"})
	own := genScope{items: in.items[outer:]} // an aggregate of an outer column would belong there
	sql := fmt.Sprintf("SELECT %s(%s) FROM %s", function, g.value(own, kind), from)
	if g.chance(60) {
		sql += " WHERE " + g.condition(in, 2)
	}
	return sql
}

// condition makes a boolean expression.
func (g *generator) condition(sc genScope, depth int) string {
	if depth > 0 && g.chance(45) {
		a, b := g.condition(sc, depth-1), g.condition(sc, depth-1)
		switch g.IntN(6) {
		case 0, 1:
			return a + " AND " + b
		case 2, 3:
			return "(" + a + " OR " + b + ")"
		case 4:
			return a + " OR " + b
		default:
			return "NOT (" + a + ")"
		}
	}
	kind := pick(g, []byte("nns"))
	if sc.depth > 0 && g.chance(18) {
		in := sc.inner()
		switch g.IntN(4) {
		case 0:
			return "EXISTS (" + g.query(in, nil) + ")"
		case 1:
			return fmt.Sprintf("%s IN (%s)", g.value(sc, kind), g.query(in, []byte{kind}))
		case 2:
			return fmt.Sprintf("%s %s ALL (%s)", g.value(sc, kind), pick(g, []string{">", "<>", "<="}), g.query(in, []byte{kind}))
		default:
			return fmt.Sprintf("(%s, %s) NOT IN (%s)", g.value(sc, 'n'), g.value(sc, 's'), g.query(in, []byte("ns")))
		}
	}
	a := g.value(sc, kind)
	switch g.IntN(7) {
	case 0:
		return fmt.Sprintf("(%s) IS NOT NULL", a)
	case 1:
		return fmt.Sprintf("%s IS DISTINCT FROM %s", a, g.value(sc, kind))
	case 2:
		return fmt.Sprintf("%s BETWEEN %s AND %s", a, g.value(sc, kind), g.value(sc, kind))
	case 3:
		return fmt.Sprintf("(%s = %s) IS NOT FALSE", a, g.value(sc, kind))
	default:
		return fmt.Sprintf("%s %s %s", a, pick(g, []string{"=", "<", ">=", "<>"}), g.value(sc, kind))
	}
}

// item makes a FROM item and adds what it shows to the scope.
func (g *generator) item(sc *genScope, lateral genScope) string {
	if sc.depth > 0 && g.chance(18) {
		kinds := []byte("ns")
		if g.chance(50) {
			kinds = []byte("nsn")
		}
		in := genScope{ctes: slices.Clone(sc.ctes), depth: sc.depth - 1}
		prefix := ""
		if len(lateral.items) > 0 && g.chance(40) {
			in.items, prefix = slices.Clone(lateral.items), "LATERAL "
		}
		alias := g.fresh("s")
		shown := genItem{ref: alias}
		var names []string
		for i, kind := range kinds {
			name := fmt.Sprintf("c%d", i)
			names = append(names, name)
			shown.columns = append(shown.columns, genColumn{name, kind})
		}
		sql := fmt.Sprintf("%s(%s) AS %s (%s)", prefix, g.query(in, kinds), alias, strings.Join(names, ", "))
		sc.items = append(sc.items, shown)
		return sql
	}
	if g.chance(5) {
		alias := g.fresh("g")
		sc.items = append(sc.items, genItem{alias, []genColumn{{"v", 'n'}}})
		return fmt.Sprintf("generate_series(1, %d) AS %s (v)", 1+g.IntN(3), alias)
	}
	table := pick(g, genTables)
	for slices.ContainsFunc(sc.ctes, func(i genItem) bool { return i.ref == table.ref }) {
		table = pick(g, genTables)
	}
	if len(sc.ctes) > 0 && g.chance(40) {
		table = pick(g, sc.ctes)
	}
	return g.table(sc, table)
}

// table names a table, often by an alias that may rename its columns.
func (g *generator) table(sc *genScope, table genItem) string {
	sql := table.ref
	if g.chance(6) && table.columns[0].name != "c0" {
		sql = "ONLY " + sql
		if table.ref == "events" {
			sql = "events"
		}
	}
	_, bare, _ := strings.Cut("."+table.ref, ".")
	if strings.Contains(bare, ".") {
		_, bare, _ = strings.Cut(bare, ".")
	}
	if !sc.taken[bare] && g.chance(30) {
		sc.taken[bare] = true
		sc.items = append(sc.items, table)
		return sql
	}
	alias := g.fresh("t")
	shown := genItem{ref: alias, columns: slices.Clone(table.columns)}
	if g.chance(80) {
		sql += " AS"
	}
	sql += " " + alias
	if g.chance(15) {
		n := 1 + g.IntN(len(shown.columns))
		names := make([]string, n)
		for i := range n {
			names[i] = pick(g, []string{"a", "b", "tenant_id", "x"}) + fmt.Sprint(i)
			if g.chance(20) && !slices.ContainsFunc(shown.columns, func(c genColumn) bool { return c.name == "tenant_id" && c != shown.columns[i] }) {
				names[i] = "tenant_id"
			}
			shown.columns[i].name = names[i]
		}
		sql += " (" + strings.Join(names, ", ") + ")"
	}
	sc.items = append(sc.items, shown)
	return sql
}

// from makes a FROM clause of some items.
func (g *generator) from(sc *genScope, items int) string {
	var parts []string
	taken := map[string]bool{}
	if sc.taken != nil { // of the target of UPDATE or DELETE
		taken = sc.taken
	}
	for range items {
		part := genScope{ctes: sc.ctes, depth: sc.depth, taken: taken}
		sql := g.joined(&part, *sc, 3-items)
		sc.items = append(sc.items, part.items...)
		parts = append(parts, sql)
	}
	return strings.Join(parts, ", ")
}

// joined makes a tree of joins, or one item.
func (g *generator) joined(sc *genScope, lateral genScope, depth int) string {
	if depth == 0 || g.chance(45) {
		return g.item(sc, lateral)
	}
	left := genScope{ctes: sc.ctes, depth: sc.depth, taken: sc.taken}
	a := g.joined(&left, lateral, depth-1)
	right := genScope{ctes: sc.ctes, depth: sc.depth, taken: sc.taken}
	b := g.joined(&right, lateral, depth-1)
	added := right.items
	kind := pick(g, []string{"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "INNER JOIN", "LEFT JOIN", "JOIN", "CROSS JOIN"})
	sc.items = append(sc.items, left.items...)
	sc.items = append(sc.items, added...)
	on := genScope{items: append(slices.Clone(left.items), added...), ctes: sc.ctes, depth: sc.depth}
	x, y := g.column(left, 'n'), g.column(genScope{items: added}, 'n')
	switch {
	case kind == "CROSS JOIN" || x == "" || y == "":
		return fmt.Sprintf("(%s CROSS JOIN %s)", a, b)
	case kind == "FULL JOIN":
		return fmt.Sprintf("(%s FULL JOIN %s ON %s = %s)", a, b, x, y)
	case g.chance(40):
		return fmt.Sprintf("(%s %s %s ON %s = %s AND %s)", a, kind, b, x, y, g.condition(on, 1))
	default:
		return fmt.Sprintf("(%s %s %s ON %s = %s)", a, kind, b, x, y)
	}
}

// query makes a SELECT with columns of some kinds; none is any number.
func (g *generator) query(sc genScope, kinds []byte) string {
	in := sc
	in.items, in.taken = slices.Clone(sc.items), nil
	with := ""
	if sc.depth > 0 && g.chance(12+10*(sc.depth/2)) {
		with = g.with(&in)
	}
	if kinds == nil {
		kinds = []byte("nsnsn")[:1+g.IntN(4)]
	}
	if g.chance(12) {
		return with + g.arm(in, kinds) + pick(g, []string{" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT "}) + g.arm(in, kinds)
	}
	return with + g.arm(in, kinds)
}

// with makes a WITH clause; some of its names hide tables.
func (g *generator) with(sc *genScope) string {
	var parts []string
	recursive := g.chance(15)
	for range 1 + g.IntN(2) {
		name := g.fresh("w")
		if g.chance(40) {
			name = pick(g, []string{"orders", "customers", "labels", "archive"})
		}
		if slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, name+" ") }) {
			continue
		}
		body := genScope{ctes: slices.Clone(sc.ctes), depth: sc.depth - 1}
		if recursive { // a name would be visible in its own body
			name = g.fresh("w")
		}
		parts = append(parts, fmt.Sprintf("%s (k0, k1) AS (%s)", name, g.query(body, []byte("ns"))))
		sc.ctes = slices.DeleteFunc(sc.ctes, func(i genItem) bool { return i.ref == name })
		sc.ctes = append(sc.ctes, genItem{name, []genColumn{{"k0", 'n'}, {"k1", 's'}}})
	}
	if len(parts) == 0 {
		return ""
	}
	if recursive {
		return "WITH RECURSIVE " + strings.Join(parts, ", ") + " "
	}
	return "WITH " + strings.Join(parts, ", ") + " "
}

// arm makes one SELECT of a set operation.
func (g *generator) arm(sc genScope, kinds []byte) string {
	outer := len(sc.items)
	in := sc
	in.items, in.taken = slices.Clone(sc.items), nil
	from := g.from(&in, 1+g.IntN(2))
	where := ""
	if g.chance(65) {
		where = " WHERE " + g.condition(in, 2)
	}
	var list []string
	if g.chance(20) { // grouped
		var keys []string
		own := genScope{items: in.items[outer:]}
		for _, kind := range kinds {
			if key := g.column(own, kind); key != "" && g.chance(50) {
				list, keys = append(list, key), append(keys, key)
			} else {
				list = append(list, fmt.Sprintf("%s(%s)", pick(g, []string{"max", "min"}), g.value(genScope{items: in.items[outer:]}, kind)))
			}
		}
		sql := "SELECT " + strings.Join(list, ", ") + " FROM " + from + where
		if len(keys) > 0 {
			sql += " GROUP BY " + strings.Join(keys, ", ")
		}
		if g.chance(30) {
			sql += " HAVING count(*) > 1"
		}
		return sql
	}
	for _, kind := range kinds {
		list = append(list, g.value(in, kind))
	}
	distinct := ""
	if g.chance(15) {
		distinct = "DISTINCT "
	}
	return "SELECT " + distinct + strings.Join(list, ", ") + " FROM " + from + where
}

// modify makes an INSERT, UPDATE or DELETE.
func (g *generator) modify() string {
	sc := genScope{depth: 2}
	with := ""
	if g.chance(25) {
		with = g.with(&sc)
	}
	switch g.IntN(3) {
	case 0:
		columns, kinds := "id, state", []byte("ns")
		query := g.query(sc, kinds)
		if strings.HasPrefix(query, "WITH") && with != "" {
			with = ""
			query = g.query(genScope{depth: 2}, kinds)
		}
		return fmt.Sprintf("%sINSERT INTO archive (%s) %s RETURNING id, tenant_id, state", with, columns, query)
	case 1:
		target, name := g.target(&sc)
		items := g.using(&sc, " FROM ")
		set := "state = 'changed'"
		if g.chance(40) {
			set = fmt.Sprintf("state = upper(%s.state), customer_id = %s.id + %d", name, name, g.IntN(3))
		}
		if g.chance(25) {
			set = fmt.Sprintf("(state, customer_id) = (SELECT max(note), count(*) FROM customers c WHERE c.id = %s.id)", name)
		}
		if g.chance(25) {
			set += ", tenant_id = " + pick(g, []string{"DEFAULT", "1", name + ".tenant_id", "'1'"})
		}
		return fmt.Sprintf("%sUPDATE %s SET %s%s WHERE %s RETURNING %s.id, %s.state, %s.tenant_id", with, target, set, items, g.condition(sc, 2), name, name, name)
	default:
		target, name := g.target(&sc)
		items := g.using(&sc, " USING ")
		return fmt.Sprintf("%sDELETE FROM %s%s WHERE %s RETURNING %s.id, %s.state", with, target, items, g.condition(sc, 2), name, name)
	}
}

// target names the table of UPDATE or DELETE.
func (g *generator) target(sc *genScope) (sql, name string) {
	columns := genTables[1].columns
	sql, name = pick(g, []string{"archive", "orders", "public.orders", "ONLY orders"}), ""
	if sql == "orders" && g.chance(40) || sql == "ONLY orders" && g.chance(40) {
		name = "orders"
		sc.taken = map[string]bool{"orders": true}
	} else {
		name = g.fresh("m")
		sql += " AS " + name
	}
	sc.items = append(sc.items, genItem{name, columns})
	return sql, name
}

func (g *generator) using(sc *genScope, word string) string {
	if g.chance(50) {
		return ""
	}
	return word + g.from(sc, 1)
}

// statement makes any statement.
func (g *generator) statement() string {
	g.names = 0
	if g.chance(30) {
		return g.modify()
	}
	return g.query(genScope{depth: 2}, nil)
}

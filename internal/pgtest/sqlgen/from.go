package sqlgen

import (
	"fmt"
	"slices"
	"strings"
)

// A source is the text of a FROM item and what it brings into scope.
type source struct {
	text string
	item item
}

// from makes a FROM clause. Further items see those before them if they are
// LATERAL.
func (g *generator) from(sc *scope, depth int) (string, []item) {
	text, items := g.joined(sc, depth)
	if g.chance(15) {
		sc.local = items
		s := g.source(sc, depth, true)
		return text + ", " + s.text, append(items, s.item)
	}
	return text, items
}

// joined makes one FROM item, a join of several perhaps.
func (g *generator) joined(sc *scope, depth int) (string, []item) {
	first := g.source(sc, depth, false)
	text, items := first.text, []item{first.item}
	for g.chance(45) && len(items) < 3 {
		kind := pick(g, "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "INNER JOIN")
		lateral := kind != "RIGHT JOIN" && kind != "FULL JOIN"
		around := *sc
		if lateral {
			around.local = items
		}
		if g.chance(15) && depth > 1 { // nested on the right
			left, right := g.table(&around), g.table(&around)
			text += " " + strings.Replace(kind, "CROSS", "INNER", 1) + " (" + left.text + pick(g, " JOIN ", " LEFT JOIN ", " FULL JOIN ") + right.text +
				" ON " + g.match(left.item, right.item) + ") ON " + g.match(items[0], left.item)
			items = append(items, left.item, right.item)
			continue
		}
		next := g.source(&around, depth, lateral)
		last := items[g.IntN(len(items))]
		common := shared(items, next.item)
		switch {
		case kind == "CROSS JOIN":
			text += " CROSS JOIN " + next.text
		case len(common) > 0 && g.chance(20):
			text += " " + kind + " " + next.text + " USING (" + pick(g, common...) + ")"
		case len(items) == 1 && g.chance(6):
			text += " NATURAL " + kind + " " + next.text
		default:
			on := g.match(last, next.item)
			if kind != "FULL JOIN" && g.chance(40) {
				inner := *sc
				inner.local = append(slices.Clone(items), next.item)
				inner.plain = g.chance(60)
				on += may("", " AND "+g.expr(inner, boolean, 2))
			}
			text += " " + kind + " " + next.text + " ON " + on
		}
		items = append(items, next.item)
	}
	if len(items) > 1 && g.chance(6) { // one item made of them all
		alias := g.fresh("j")
		all := item{ref: alias}
		var names []string
		if strings.Contains(text, "USING") || strings.Contains(text, "NATURAL") {
			return text, items
		}
		for _, it := range items {
			for _, c := range it.columns {
				names = append(names, fmt.Sprintf("d%d", len(names)+1))
				all.columns = append(all.columns, column{name: names[len(names)-1], kind: c.kind})
			}
		}
		return "(" + text + ") AS " + alias + " (" + strings.Join(names, ", ") + ")", []item{all}
	}
	return text, items
}

// shared are names of columns that all of one kind have once on each side.
func shared(left []item, right item) []string {
	var names []string
	for _, c := range right.columns {
		n := 0
		for _, it := range left {
			for _, d := range it.columns {
				if d.name == c.name {
					n++
					if d.kind != c.kind {
						n++
					}
				}
			}
		}
		if n == 1 {
			names = append(names, c.name)
		}
	}
	return names
}

// match makes a condition that joins two items.
func (g *generator) match(a, b item) string {
	k := pick(g, integer, integer, integer, text)
	x, y := g.column(scope{local: []item{a, {}}}, k), g.column(scope{local: []item{b, {}}}, k)
	for _, k := range []kind{integer, text} {
		if x == "" || y == "" {
			x, y = g.column(scope{local: []item{a, {}}}, k), g.column(scope{local: []item{b, {}}}, k)
		}
	}
	if x == "" || y == "" {
		return "1 = 1"
	}
	return x + " = " + y
}

// source makes one thing to select from.
func (g *generator) source(sc *scope, depth int, lateral bool) source {
	switch {
	case len(sc.ctes) > 0 && g.chance(35):
		cte := pick(g, sc.ctes...)
		alias := g.fresh("t")
		return source{cte.ref + " AS " + alias, item{ref: alias, columns: cte.columns}}
	case depth > 1 && g.queries > 1 && g.chance(18):
		inner := scope{outer: sc.outer, ctes: slices.Clone(sc.ctes)}
		word := ""
		if lateral && len(sc.local) > 0 && g.chance(50) {
			inner, word = sc.within(), "LATERAL "
		}
		kinds := g.kinds(1 + g.IntN(4))
		kinds[0] = integer
		q, _ := g.query(inner, kinds, depth-1)
		it := item{ref: g.fresh("s")}
		names := make([]string, len(kinds))
		for i, k := range kinds {
			names[i] = fmt.Sprintf("q%d", i+1)
			it.columns = append(it.columns, column{name: names[i], kind: k})
		}
		return source{word + "(" + q + ") AS " + it.ref + " (" + strings.Join(names, ", ") + ")", it}
	case g.chance(3):
		alias := g.fresh("v")
		return source{
			fmt.Sprintf("(VALUES (1, 'a'), (2, 'DE'), (%d, 'x')) AS %s (n, s)", g.Tenant*1000+1, alias),
			item{ref: alias, columns: []column{{name: "n", kind: integer}, {name: "s", kind: text}}},
		}
	case g.chance(4):
		alias := g.fresh("f")
		arg := "3"
		if lateral && len(sc.local) > 0 {
			if c := g.column(scope{local: append(sc.local, item{})}, texts); c != "" {
				return source{"unnest(" + c + ") AS " + alias + " (n)", item{ref: alias, columns: []column{{name: "n", kind: text}}}}
			}
		}
		return source{"generate_series(1, " + arg + ") AS " + alias + " (n)", item{ref: alias, columns: []column{{name: "n", kind: integer}}}}
	}
	return g.table(sc)
}

// table makes a reference to a table.
func (g *generator) table(sc *scope) source {
	r := pick(g, relations...)
	if g.chance(50) {
		r = pick(g, relations[:6]...)
	}
	view := g.Views && g.chance(12)
	if view {
		r = pick(g, views...)
	}
	name := r.name
	hidden := slices.ContainsFunc(sc.ctes, func(it item) bool { return it.ref == name })
	if !strings.Contains(name, ".") && (hidden || g.chance(8)) {
		name = "public." + name
	}
	if r.name == "events" && g.chance(10) {
		name = "events_2026_01"
	}
	name = pick(g, "", "", "", "", "", "", "", "", "", "ONLY ") + name
	if r.name == "events" {
		name = strings.TrimPrefix(name, "ONLY ")
	}
	alias := g.fresh("t")
	it := item{ref: alias, columns: r.columns, base: !view}
	if g.chance(8) {
		it.columns = slices.Clone(it.columns)
		var names []string
		for i := range it.columns[:1+g.IntN(len(it.columns))] {
			it.columns[i].name = fmt.Sprintf("a%d", i+1)
			names = append(names, it.columns[i].name)
		}
		return source{name + " AS " + alias + " (" + strings.Join(names, ", ") + ")", it}
	}
	return source{name + pick(g, " ", " AS ") + alias, it}
}

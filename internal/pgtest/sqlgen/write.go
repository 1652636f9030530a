package sqlgen

import (
	"fmt"
	"slices"
	"strings"
)

// target picks a table to write to.
func (g *generator) target() relation { return relations[g.IntN(written)] }

// fixed makes a value for a column that restricts what it may hold; ok is
// false if any expression will do. row makes keys differ within a statement.
func (g *generator) fixed(r relation, c column, row int) (value string, ok bool) {
	existing := g.chance(8)
	switch c.role {
	case "T":
		return pick(g, "DEFAULT", g.ownKey(c)), true
	case "k":
		switch {
		case c.kind == integer && existing:
			if r.name == "practitioners" || r.name == "invoices" {
				return fmt.Sprint(g.Tenant*1000 + 1 + row), true
			}
			return fmt.Sprint(1 + row), true
		case c.kind == integer:
			return fmt.Sprint(500000 + g.IntN(100)*10 + row), true
		case c.kind == uuid:
			return fmt.Sprintf("'00000000-0000-0000-0000-0000000000%d%d'", g.Tenant, row), true
		case existing:
			return pick(g, "'language'", "'C1'", "'reminders'"), true
		default:
			return fmt.Sprintf("'new %d'", row), true
		}
	}
	switch c.name {
	case "email":
		return pick(g, "NULL", fmt.Sprintf("'q%d@example.org'", row)), true
	case "country":
		return pick(g, "'DE'", "'AT'", "'CH'"), true
	case "supervisor", "practitioner_id", "author":
		return pick(g, "NULL", fmt.Sprint(g.Tenant*1000+1)), true
	case "invoice_id":
		return fmt.Sprint(g.Tenant*1000 + 3 + g.IntN(3)), true
	case "patient_id":
		return fmt.Sprint(1 + g.IntN(10)), true
	case "minutes":
		return fmt.Sprint(5 + g.IntN(40)), true
	case "room":
		return pick(g, "NULL", "'R9'", "'lab'"), true
	case "number":
		return fmt.Sprintf("'N-%d'", row), true
	case "net", "vat", "price", "amount", "quantity":
		return fmt.Sprintf("%d.%d", g.IntN(90), g.IntN(10)), true
	case "at":
		return pick(g, "'2026-01-20'", "'2026-02-14'", "'2027-01-01'"), true
	case "method":
		return pick(g, "'cash'", "'card'", "DEFAULT"), true
	}
	return "", false
}

func (g *generator) ownKey(c column) string {
	if c.kind == text {
		return fmt.Sprintf("'%d'", g.Tenant)
	}
	return fmt.Sprint(g.Tenant)
}

// insertable picks columns for an INSERT: all that are required.
func (g *generator) insertable(r relation) []column {
	var columns []column
	for _, c := range r.columns {
		switch c.role {
		case "g":
		case "k", "r", "q":
			columns = append(columns, c)
		case "T":
			if g.chance(25) {
				columns = append(columns, c)
			}
		default:
			if g.chance(50) {
				columns = append(columns, c)
			}
		}
	}
	g.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
	return columns
}

func names(columns []column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.name
	}
	return strings.Join(list, ", ")
}

// insert makes an INSERT of rows or of a query.
func (g *generator) insert() Statement {
	r := g.target()
	columns := g.insertable(r)
	sc := scope{}
	with := ""
	if g.chance(12) {
		with = g.with(&sc)
	}
	alias := ""
	ref := r.name
	if g.chance(25) {
		alias = " AS tgt"
		ref = "tgt"
	}
	sql := with + "INSERT INTO " + r.name + alias + " (" + names(columns) + ")"
	if r.name == "invoices" {
		sql += " OVERRIDING SYSTEM VALUE"
	}
	if g.chance(35) {
		sql += " " + g.insertQuery(r, columns)
	} else {
		var rows []string
		for row := range 1 + g.IntN(3) {
			values := make([]string, len(columns))
			for i, c := range columns {
				value, ok := g.fixed(r, c, row)
				switch {
				case ok:
				case c.role == "" && g.chance(10):
					value = "DEFAULT"
				default:
					value = g.required(c, g.expr(sc, c.kind, 1))
				}
				values[i] = value
			}
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
		sql += " VALUES " + strings.Join(rows, ", ")
	}
	sql += g.onConflict(r, ref)
	sql += g.returning(r, ref, alias == "", false)
	return Statement{Kind: "insert", Writes: true, text: sql}
}

// required makes an expression that is not NULL for columns that want so.
func (g *generator) required(c column, e string) string {
	if c.role == "" && slices.Contains([]string{"speciality", "born", "payload", "meaning", "value", `"user"`, `"Total Amount"`, "paid", "note"}, c.name) {
		if c.name == `"Total Amount"` {
			return "round(" + e + ", 2)"
		}
		return e
	}
	if c.kind == text {
		return "coalesce((" + e + ")::text, '')"
	}
	return "coalesce(" + e + ", " + simplest[c.kind] + ")"
}

// insertQuery makes a query whose rows have keys of their own.
func (g *generator) insertQuery(r relation, columns []column) string {
	from := pick(g, "patients", "practitioners", "appointments", "invoices", "documents", "events")
	rel := relationNamed(from)
	sc := scope{local: []item{{ref: "src", columns: rel.columns}}}
	list := make([]string, len(columns))
	for i, c := range columns {
		switch {
		case c.role == "T":
			list[i] = g.ownKey(c)
			if c.kind != text && g.chance(50) {
				list[i] = "src.tenant_id"
			}
			if strings.Contains(from, "events") || r.name == "events" || r.name == "settings" {
				list[i] = g.ownKey(c)
			}
		case c.role == "k" && c.kind == integer:
			list[i] = "src.id + 600000"
		case c.role == "k" && c.kind == uuid:
			list[i] = fmt.Sprintf("md5('%d ' || src.id)::uuid", g.Tenant)
		case c.role == "k":
			list[i] = "'k' || src.id"
		case c.name == "number" || c.name == "email":
			list[i] = "'k@' || src.id"
		default:
			value, ok := g.fixed(r, c, 0)
			switch {
			case ok && value == "DEFAULT":
				value = "'card'"
			case !ok:
				value = g.required(c, g.expr(sc, c.kind, 2))
			}
			if c.name == "method" {
				value += "::billing.method"
			}
			if c.name == "at" {
				value += "::date"
			}
			list[i] = value
		}
	}
	sql := "SELECT " + strings.Join(list, ", ") + " FROM public." + from + " src"
	if g.chance(70) {
		sql += may("", " WHERE "+g.expr(sc, boolean, 2))
	}
	return sql
}

func (g *generator) onConflict(r relation, ref string) string {
	target := conflicts[r.name]
	if target == "" || g.chance(60) {
		return ""
	}
	if g.chance(40) {
		return " ON CONFLICT " + pick(g, "", target+" ") + "DO NOTHING"
	}
	set := g.assignments(r, scope{local: []item{{ref: ref, columns: r.columns}, {ref: "excluded", columns: r.columns}}, plain: true}, "")
	if set == "" {
		return " ON CONFLICT DO NOTHING"
	}
	sql := " ON CONFLICT " + target + " DO UPDATE SET " + set
	if g.chance(30) {
		sql += may("", " WHERE "+g.expr(scope{local: []item{{ref: ref, columns: r.columns}, {ref: "excluded", columns: r.columns}}, plain: true}, boolean, 2))
	}
	return may("", sql)
}

// assignments makes a SET list that breaks no constraint; "" if none can be.
func (g *generator) assignments(r relation, sc scope, skip string) string {
	var list []string
	for _, c := range r.columns {
		if c.role == "g" || c.role == "k" || c.role == "T" && g.chance(85) || g.chance(55) || c.name == skip {
			continue
		}
		if slices.Contains([]string{"number", "email", "at", "invoice_id", "slug"}, c.name) || r.name == "notes" && c.name == "patient_id" {
			continue
		}
		value, ok := g.fixed(r, c, 0)
		switch {
		case c.role == "T" && g.chance(30):
			value = sc.local[0].ref + "." + c.name
		case !ok:
			value = g.required(c, g.expr(sc, c.kind, 2))
		}
		list = append(list, c.name+" = "+value)
	}
	return strings.Join(list, ", ")
}

// returning makes a RETURNING clause of the target's columns, or none.
func (g *generator) returning(r relation, ref string, bare, full bool) string {
	sc := scope{local: []item{{ref: ref, columns: r.columns}}, plain: true, full: full}
	switch {
	case g.chance(35):
		return ""
	case bare && g.chance(25) || g.chance(10):
		return may("", " RETURNING "+ref+".*")
	case g.chance(20):
		sc.plain = false
		return may("", " RETURNING "+g.expr(sc, text, 2)+", "+g.scalarOr(sc, integer))
	default:
		return may("", " RETURNING "+g.expr(sc, integer, 1)+" AS one, "+g.expr(sc, text, 2))
	}
}

// update makes an UPDATE. FROM only decides which rows, for which of several
// matches gives its values is not defined.
func (g *generator) update() Statement {
	r := g.target()
	sc := scope{}
	with := ""
	if g.chance(12) {
		with = g.with(&sc)
	}
	sc.local, sc.full = []item{{ref: "tgt", columns: r.columns}}, true
	set := g.assignments(r, sc, "")
	if set == "" {
		set = pick(g, r.columns...).name
		set += " = tgt." + set
	}
	sql := with + "UPDATE " + r.name + pick(g, " tgt", " AS tgt") + " SET " + set
	return Statement{Kind: "update", Writes: true, text: sql + g.which(r, sc, " FROM ")}
}

// which makes the rest of an UPDATE or DELETE.
func (g *generator) which(r relation, sc scope, word string) string {
	sql := ""
	own := sc
	if g.chance(30) {
		around := scope{ctes: sc.ctes}
		from, items := g.from(&around, 2)
		sql += word + from
		sc.local = append(slices.Clone(sc.local), items...)
		sql += " WHERE " + g.match(own.local[0], items[0]) + may("", " AND "+g.expr(sc, boolean, 2))
	} else if g.chance(85) {
		sql += " WHERE " + g.expr(sc, boolean, 3)
	}
	return sql + g.returning(r, "tgt", false, true)
}

// delete makes a DELETE.
func (g *generator) delete() Statement {
	r := g.target()
	for g.Referenced && (r.name == "invoices" || r.name == "practitioners") {
		r = g.target()
	}
	sc := scope{}
	with := ""
	if g.chance(12) {
		with = g.with(&sc)
	}
	if g.chance(12) { // a query over what it removes
		q := scope{}
		q.local = []item{{ref: "tgt", columns: r.columns}}
		return Statement{Kind: "delete", Writes: true, text: "WITH gone AS (DELETE FROM " + r.name + " tgt WHERE " + g.expr(q, boolean, 2) +
			" RETURNING *) SELECT count(*), count(" + r.columns[0].name + "), (SELECT count(*) FROM " + r.name + ") FROM gone"}
	}
	if g.chance(10) && r.name != "events" {
		order := "ORDER BY x::text"
		return Statement{Kind: "delete", Writes: true, text: "DELETE FROM " + r.name + " WHERE ctid IN (SELECT ctid FROM " + r.name + " x " + order + " LIMIT 2)"}
	}
	sc.local = []item{{ref: "tgt", columns: r.columns}}
	return Statement{Kind: "delete", Writes: true, text: with + "DELETE FROM " + r.name + pick(g, " tgt", " AS tgt") + g.which(r, sc, " USING ")}
}

// merge makes a MERGE whose source has each key once.
func (g *generator) merge() Statement {
	r := relationNamed(pick(g, "patients", "documents", "settings", `"Order"`))
	key := r.columns[slices.IndexFunc(r.columns, func(c column) bool { return c.role == "k" })]
	sc := scope{local: []item{{ref: "tgt", columns: r.columns}, {ref: "src", columns: []column{{name: "k", kind: key.kind}, {name: "v", kind: text}}}}, plain: true}
	source := "(VALUES (1, 'one'), (2, 'two'), (700000, 'new'))"
	if key.kind == text {
		source = "(VALUES ('language', 'one'), ('fresh', 'new'))"
	} else if g.chance(50) {
		source = "(SELECT id * 5, name FROM patients)"
	}
	set := g.assignments(r, scope{local: sc.local[:1], plain: true}, "")
	if set == "" {
		set = r.columns[len(r.columns)-1].name + " = DEFAULT"
	}
	sql := "MERGE INTO " + r.name + " tgt USING " + source + " AS src (k, v) ON tgt." + key.name + " = src.k"
	matched := " WHEN MATCHED" + may("", " AND "+g.expr(sc, boolean, 1)) + " THEN "
	if r.name != "patients" && g.chance(30) {
		sql += matched + "DELETE"
	} else {
		sql += matched + "UPDATE SET " + set
	}
	if g.chance(70) {
		label := map[string]string{"patients": "name", "documents": "title", "settings": "value", `"Order"`: `"user"`}[r.name]
		sql += may("", " WHEN NOT MATCHED THEN INSERT ("+key.name+", "+label+") VALUES (src.k, src.v)")
	}
	return Statement{Kind: "merge", Writes: true, text: sql}
}

// wrong makes a statement that fails whatever the rows are.
func (g *generator) wrong() Statement {
	sc := scope{}
	from, items := g.from(&sc, 1)
	sc.local = items
	ref := items[0].ref
	sql := pick(g,
		"SELECT "+ref+".nosuch FROM "+from,
		"SELECT 1 FROM "+from+" WHERE "+g.expr(sc, text, 1)+" = 1::int",
		"SELECT 1 FROM "+from+" JOIN nosuch ON true",
		"SELECT count(*), "+ref+"."+items[0].columns[0].name+" FROM "+from,
		"SELECT 1 FROM "+from+" WHERE count(*) > 1",
		"SELECT nosuch.a FROM "+from,
		"SELECT 1 FROM "+from+" GROUP BY 7",
		"SELECT * FROM "+from+" UNION SELECT 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14",
		"INSERT INTO patients (id, name) VALUES (1, 'twice')",
		"INSERT INTO patients (id) VALUES (900)",
		"UPDATE appointments SET minutes = 0",
		"INSERT INTO patients (id, name, country) VALUES (900, 'a', 'XX')",
		"UPDATE patients SET nosuch = 1",
		"DELETE FROM patients WHERE name",
		"SELECT FROM WHERE",
	)
	return Statement{Kind: "error", Writes: true, text: sql}
}

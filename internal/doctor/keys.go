package doctor

import (
	"slices"
	"strings"

	"tenantgate/rewrite/catalog"
)

var keyChecks = []check{
	{
		name: "foreign-keys",
		sql: plain(`
			SELECT json_build_array(f.conrelid::int8, f.confrelid::int8, f.conname, f.confdeltype, f.confupdtype, f.confmatchtype,
				f.condeferrable, f.condeferred,
				(SELECT json_agg(a.attname ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY AS k (attnum, n)
					JOIN pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = k.attnum),
				(SELECT json_agg(a.attname ORDER BY k.n) FROM unnest(f.confkey) WITH ORDINALITY AS k (attnum, n)
					JOIN pg_attribute AS a ON a.attrelid = f.confrelid AND a.attnum = k.attnum),
				(SELECT json_agg((SELECT json_agg(a.attname) FROM pg_attribute AS a WHERE a.attrelid = u.conrelid AND a.attnum = ANY (u.conkey)))
					FROM pg_constraint AS u WHERE u.conrelid = f.confrelid AND u.contype IN ('p', 'u') AND NOT u.condeferrable))
			FROM pg_constraint AS f
			WHERE f.contype = 'f' AND f.conparentid = 0
			ORDER BY f.conrelid, f.conname`),
		find: findForeignKeys,
	},
	{
		name: "unique-indexes",
		sql: plain(`
			SELECT json_build_array(i.indrelid::int8, n.nspname, c.relname, x.conname, i.indisexclusion,
				(SELECT json_agg(a.attname ORDER BY k.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
					LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts),
				COALESCE(pg_get_constraintdef(x.oid), pg_get_indexdef(i.indexrelid)))
			FROM pg_index AS i
			JOIN pg_class AS c ON c.oid = i.indexrelid
			JOIN pg_namespace AS n ON n.oid = c.relnamespace
			LEFT JOIN pg_constraint AS x ON x.conindid = i.indexrelid AND x.contype IN ('p', 'u', 'x')
			WHERE (i.indisunique OR i.indisexclusion) AND NOT c.relispartition
			ORDER BY n.nspname, c.relname`),
		find: findUniqueIndexes,
	},
	{
		name: "tenant-index",
		sql: plain(`
			SELECT json_build_array(i.indrelid::int8, a.attname)
			FROM pg_index AS i
			JOIN pg_class AS c ON c.oid = i.indexrelid
			JOIN pg_am AS m ON m.oid = c.relam
			JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
			WHERE i.indisvalid AND i.indpred IS NULL AND m.amname IN ('btree', 'hash')`),
		find: findTenantIndexes,
	},
}

// A foreignKey is one between two tenanted tables.
type foreignKey struct {
	from, to                  *catalog.Relation
	name                      string
	onDelete, onUpdate, match string // of pg_constraint
	deferrable, deferred      bool
	columns, referenced       []string
	unique                    [][]string // unique keys of to
	version                   int
}

func findForeignKeys(p *patient, rows []row) error {
	for _, r := range rows {
		var from, to uint32
		k := foreignKey{version: p.snapshot.ServerVersion}
		if err := r.scan(&from, &to, &k.name, &k.onDelete, &k.onUpdate, &k.match, &k.deferrable, &k.deferred, &k.columns, &k.referenced, &k.unique); err != nil {
			return err
		}
		k.from, k.to = p.byOID[from], p.byOID[to]
		if k.from == nil || k.to == nil || !tenantedTable(k.from) || !tenantedTable(k.to) || k.withTenant() {
			continue
		}
		if changes := "cnd"; strings.Contains(changes, k.onDelete) || strings.Contains(changes, k.onUpdate) {
			p.add(Error, "fk-cascade-without-tenant", qualified(k.from),
				"foreign key "+quote(k.name)+" is without the tenant column: a tenant that changes or deletes its row of "+qualified(k.to)+
					" changes or deletes rows of others that refer to it", k.mend()...)
			continue
		}
		p.add(Warning, "fk-without-tenant", qualified(k.from),
			"foreign key "+quote(k.name)+" is without the tenant column: a row can refer to another tenant's row of "+qualified(k.to)+
				", which tells that it exists and keeps it from being deleted", k.mend()...)
	}
	return nil
}

// withTenant reports whether the tenant columns of both sides are compared.
func (k *foreignKey) withTenant() bool {
	for i, column := range k.columns {
		if column == k.from.TenantColumn && i < len(k.referenced) && k.referenced[i] == k.to.TenantColumn {
			return true
		}
	}
	return false
}

// mend makes the key anew with the tenant columns, which need a unique key.
func (k *foreignKey) mend() []string {
	if slices.Contains(k.columns, k.from.TenantColumn) || slices.Contains(k.referenced, k.to.TenantColumn) {
		return nil // compared with something else: which one is wrong is not for a machine to say
	}
	target := append([]string{k.to.TenantColumn}, k.referenced...)
	add := "FOREIGN KEY (" + columns(append([]string{k.from.TenantColumn}, k.columns...)) + ") REFERENCES " + qualified(k.to) + " (" + columns(target) + ")"
	if k.match == "f" {
		add += " MATCH FULL"
	}
	add += k.action(" ON DELETE ", k.onDelete) + k.action(" ON UPDATE ", k.onUpdate)
	if k.deferrable {
		add += " DEFERRABLE"
	}
	if k.deferred {
		add += " INITIALLY DEFERRED"
	}
	replace := "ALTER TABLE " + qualified(k.from) + " DROP CONSTRAINT " + quote(k.name) + ", ADD CONSTRAINT " + quote(k.name) + " " + add
	if slices.ContainsFunc(k.unique, func(have []string) bool { return sameNames(have, target) }) {
		return []string{replace}
	}
	return []string{"ALTER TABLE " + qualified(k.to) + " ADD UNIQUE (" + columns(target) + ")", replace}
}

// sameNames reports whether two lists have the same names, in any order.
func sameNames(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// action writes what follows a change. The tenant column itself is not to be
// set: a list of columns, from PostgreSQL 15 on, says so.
func (k *foreignKey) action(on, letter string) string {
	list := ""
	if k.version >= 150000 && on == " ON DELETE " {
		list = " (" + columns(k.columns) + ")"
	}
	switch letter {
	case "c":
		return on + "CASCADE"
	case "n":
		return on + "SET NULL" + list
	case "d":
		return on + "SET DEFAULT" + list
	case "r":
		return on + "RESTRICT"
	default: // "a", NO ACTION
		return ""
	}
}

func findUniqueIndexes(p *patient, rows []row) error {
	for _, r := range rows {
		var relation uint32
		var schema, name, constraint, definition string
		var exclusion bool
		var keys []string
		if err := r.scan(&relation, &schema, &name, &constraint, &exclusion, &keys, &definition); err != nil {
			return err
		}
		table := p.byOID[relation]
		if table == nil || !tenantedTable(table) || slices.Contains(keys, table.TenantColumn) {
			continue
		}
		index := catalog.Name{Schema: schema, Name: name}.String()
		p.add(Warning, "unique-without-tenant", index,
			"the key is without the tenant column: its violation tells a tenant which values others have",
			mendUnique(table, index, constraint, definition, exclusion)...)
	}
	return nil
}

// mendUnique puts the tenant column first.
func mendUnique(table *catalog.Relation, index, constraint, definition string, exclusion bool) []string {
	head, rest := "", definition
	if i := strings.Index(definition, " USING "); i >= 0 {
		head, rest = definition[:i], definition[i:]
	}
	column := quote(table.TenantColumn)
	if exclusion {
		column += " WITH ="
	}
	changed := head + strings.Replace(rest, "(", "("+column+", ", 1)
	if constraint == "" {
		return []string{"DROP INDEX " + index, changed}
	}
	alter := "ALTER TABLE " + qualified(table) + " DROP CONSTRAINT " + quote(constraint) + ", ADD CONSTRAINT " + quote(constraint) + " " + changed
	if exclusion {
		return []string{"CREATE EXTENSION IF NOT EXISTS btree_gist", alter}
	}
	return []string{alter}
}

func findTenantIndexes(p *patient, rows []row) error {
	first := make(map[uint32][]string)
	for _, r := range rows {
		var relation uint32
		var column string
		if err := r.scan(&relation, &column); err != nil {
			return err
		}
		first[relation] = append(first[relation], column)
	}
	for _, r := range p.tables() {
		if !slices.Contains(first[r.OID], r.TenantColumn) {
			p.add(Warning, "index-without-tenant", qualified(r),
				"no index begins with the tenant column: how long a query takes tells how many rows others have",
				"CREATE INDEX ON "+qualified(r)+" ("+quote(r.TenantColumn)+")")
		}
	}
	return nil
}

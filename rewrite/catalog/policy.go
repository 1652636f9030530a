package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	policyName   = "tenantgate"
	confinerName = "tenantgate_only" // restrictive; beside permissive policies of others
)

// A KeyTypeError is a tenant column whose type cannot hold tenants' keys.
type KeyTypeError struct {
	Table   Name
	Column  string
	Type    Type
	Message string
}

func (e *KeyTypeError) Error() string {
	return fmt.Sprintf("table %s: column %s of type %s cannot hold tenants' keys: %s",
		e.Table, quoteName(e.Column), Name{e.Type.Schema, e.Type.Name}, e.Message)
}

// keyTypes are the types of tenant columns, as a cast names them, by the name
// in pg_type. None of them has a modifier: '12345'::varchar(4) is cut in
// silence and would be another tenant's key.
var keyTypes = map[string]string{
	"int2": "smallint", "int4": "integer", "int8": "bigint", "numeric": "numeric", "uuid": "uuid",
	"text": "text", "varchar": "text", "bpchar": "bpchar",
}

// A key is how the tenant's key is compared with a column.
type key struct {
	column string // quoted
	cast   string // the type that the setting is cast to; "text" needs no cast
	shown  string // cast as the server writes it
	domain bool   // the column's type is a domain
	text   bool   // the column is not of type text, and compared as text
}

// key finds the type of a table's tenant column, below any domain: a cast to a
// domain that is NOT NULL would fail where there is no tenant.
func (p *planner) key(r *Relation) (key, error) {
	i := slices.IndexFunc(r.Columns, func(c Column) bool { return c.Name == r.TenantColumn })
	t := r.Columns[i].Type
	refuse := func(message string) (key, error) {
		return key{}, &KeyTypeError{Table: Name{r.Schema, r.Name}, Column: r.TenantColumn, Type: t, Message: message}
	}
	if p.in.of(r.OID).loose[r.TenantColumn] {
		return refuse("its collation is not deterministic, so different keys can be equal")
	}
	k := key{column: quoteName(r.TenantColumn)}
	base := t
	if info, ok := p.s.types[Name{t.Schema, t.Name}]; ok && info.Kind == 'd' {
		k.domain, base = true, info.Base
	}
	if base.Schema == schemaCatalog {
		cast, ok := keyTypes[base.Name]
		if !ok {
			return refuse("smallint, integer, bigint, numeric, uuid, text, varchar, char, enumerations and domains over them can")
		}
		k.cast, k.shown, k.text = cast, cast, base.Name == "varchar"
		return k, nil
	}
	info, ok := p.s.types[Name{base.Schema, base.Name}]
	if !ok || info.Kind != 'e' {
		return refuse("of the types outside pg_catalog only enumerations and domains can")
	}
	k.cast = Name{base.Schema, base.Name}.String()
	k.shown = k.cast
	if found, ok := p.s.Type("", base.Name); ok && found.OID == info.OID {
		k.shown = quoteName(base.Name)
	}
	return k, nil
}

// value is the expression of the tenant's key. It is NULL where there is none,
// be it that the setting was never made or that it was reset; with a seal it
// fails then.
func (p *planner) value(k key) string {
	if p.cfg.Sealed {
		if k.cast == "text" {
			return sealCall
		}
		return sealCall + "::" + k.cast
	}
	v := "nullif(pg_catalog.current_setting(" + quoteLiteral(p.cfg.Setting) + ", true), '')"
	if k.cast != "text" {
		v += "::" + k.cast
	}
	return v
}

// shownValue is value as pg_get_expr writes it.
func (p *planner) shownValue(k key) string {
	v := "NULLIF(current_setting(" + quoteLiteral(p.cfg.Setting) + "::text, true), ''::text)"
	if p.cfg.Sealed {
		v = p.shownSealCall()
	}
	if k.cast != "text" {
		v = "(" + v + ")::" + k.shown
	}
	return v
}

// keyExpression matches what shownValue writes, and what others write who mean the
// same by the setting: without NULLIF, with another way to say that it may be
// missing, with casts to types as they are.
func keyExpression(setting string) *regexp.Regexp {
	value := `current_setting\('` + regexp.QuoteMeta(setting) + `'::text(, true|, false)?\)`
	value = `(NULLIF\(` + value + `, ''::text\)|` + value + `|` + regexp.QuoteMeta(sealCall) + `)`
	return regexp.MustCompile(`^\(*` + value + `\)*(::[a-z ]+\)*)*$`)
}

// condition is the policies' expression. The key is a sub-select: it is
// computed once for a statement, indexes serve it, and a prepared statement's
// plan does not depend on the tenant that came first.
func (p *planner) condition(k key) string {
	column := k.column
	if k.domain { // no operator takes a domain over an enumeration
		column += "::" + k.cast
	}
	return column + " = (SELECT " + p.value(k) + " AS key)"
}

// shownCondition is condition as pg_get_expr writes it.
func (p *planner) shownCondition(k key) string {
	column := k.column
	if k.domain || k.text {
		column = "(" + column + ")::" + k.shown
	}
	return "(" + column + " = ( SELECT " + p.shownValue(k) + " AS key))"
}

// tenantDefault makes the tenant's key the default of the tenant column. Any
// default but an earlier one of ours stays.
func (p *planner) tenantDefault(r *Relation, k key) {
	for _, c := range r.Columns {
		if c.Name == r.TenantColumn && (c.Generated || c.Identity) {
			return
		}
	}
	why := nameOf(r) + ": a row inserted without " + k.column + " is its tenant's"
	if have, ok := p.in.of(r.OID).defaults[r.TenantColumn]; ok {
		if !ownDefault(have.expression) || sameExpression(have.expression, p.shownValue(k)) {
			return
		}
		why += "; in place of " + oneLine(have.expression)
	}
	p.add(why,
		"ALTER TABLE ONLY "+nameOf(r)+" ALTER COLUMN "+k.column+" SET DEFAULT "+p.value(k))
}

// ownDefault reports whether a default reads a setting the way ours do, with
// a seal or without.
func ownDefault(expression string) bool {
	e := strings.TrimLeft(unqualified(expression), "(")
	return strings.HasPrefix(e, "NULLIF(current_setting('") || strings.HasPrefix(e, sealCall) || strings.HasPrefix(e, sealFunction+"()")
}

// policies turns row-level security on, for the owner too, and makes the
// policy. Permissive policies of others would let more rows through: beside
// them the condition is made restrictive as well.
func (p *planner) policies(r *Relation, k key) {
	d := p.in.of(r.OID)
	others := slices.ContainsFunc(d.policies, func(x policy) bool { return x.permissive && x.name != policyName && x.name != confinerName })
	if !p.hasPolicy(d, policyName, true, k) {
		p.createPolicy(r, policyName, "", k,
			"a tenant sees and writes its own rows; without a tenant there are none")
	}
	if others {
		p.restrict(r, k)
	}
	if !r.RowSecurity {
		p.add(nameOf(r)+": policies count", "ALTER TABLE "+nameOf(r)+" ENABLE ROW LEVEL SECURITY")
	}
	if !r.ForceRLS {
		p.add(nameOf(r)+": policies count for its owner too", "ALTER TABLE "+nameOf(r)+" FORCE ROW LEVEL SECURITY")
	}
}

// restrict makes the restrictive policy.
func (p *planner) restrict(r *Relation, k key) {
	if !p.hasPolicy(p.in.of(r.OID), confinerName, false, k) {
		p.createPolicy(r, confinerName, " AS RESTRICTIVE", k,
			"it has other permissive policies; whatever they allow, it must be the tenant's own")
	}
}

// hasPolicy reports whether a policy is there and just as createPolicy makes it.
func (p *planner) hasPolicy(d *detail, name string, permissive bool, k key) bool {
	return slices.ContainsFunc(d.policies, func(x policy) bool {
		return x.name == name && x.permissive == permissive && x.command == '*' && slices.Equal(x.roles, []uint32{public}) &&
			sameExpression(x.using, p.shownCondition(k)) && sameExpression(x.check, p.shownCondition(k))
	})
}

func (p *planner) createPolicy(r *Relation, name, kind string, k key, why string) {
	p.add(nameOf(r)+": so that the next statement can be run again", "DROP POLICY IF EXISTS "+name+" ON "+nameOf(r))
	condition := p.condition(k)
	p.add(nameOf(r)+": "+why, "CREATE POLICY "+name+" ON "+nameOf(r)+kind+" USING ("+condition+") WITH CHECK ("+condition+")")
}

// sameExpression compares what the server wrote with what it should write.
func sameExpression(have, want string) bool { return unqualified(have) == unqualified(want) }

// unqualified takes out what does not matter: line breaks, and the schema of
// PostgreSQL's own names, which some search paths make the server write.
func unqualified(expression string) string {
	return strings.ReplaceAll(oneLine(expression), "pg_catalog.", "")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

package rewrite

import (
	_ "embed"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A condition of a tenant's may run on rows of others before the tenant
// predicate has looked at them: the server orders conditions by cost. An inert
// expression may do so, for nothing can be learned from it. Whatever is not
// known to be inert is not.

//go:embed inert.txt
var inertList string

// vetted is inert.txt.
var vetted = parseInert(inertList)

type vettedLists struct {
	compare map[string]bool   // types that compare with their own
	groups  []map[string]bool // types that compare with each other
	asText  map[string]bool   // types that can be written as text
	strings map[string]bool   // functions of one text
	clock   map[string]bool   // functions without arguments
	sets    map[string]bool   // functions that return sets
	fixed   map[string]bool   // types of a few bytes
}

func parseInert(list string) vettedLists {
	v := vettedLists{compare: make(map[string]bool)}
	for _, s := range parseSections(list) {
		set := make(map[string]bool)
		for _, name := range s.names {
			set[name] = true
		}
		switch s.header[0] {
		case "compare", "mixed":
			for name := range set {
				v.compare[name] = true
			}
			if s.header[0] == "mixed" {
				v.groups = append(v.groups, set)
			}
		case "text":
			v.asText = set
		case "strings":
			v.strings = set
		case "clock":
			v.clock = set
		case "sets":
			v.sets = set
		case "fixed":
			v.fixed = set
		default:
			panic("rewrite: inert.txt has a section " + s.header[0])
		}
	}
	return v
}

// A valueType is what is known of an expression's type.
type valueType struct {
	name     string // pg_type's, below domains; _name is an array of name; "" is not known
	enum     uint32 // the enum's oid, of name "enum"
	collated bool   // a column with a collation of its own may be in it
	literal  bool   // takes the type of what it is compared with

	// safe values are NULL where a row of others is, or come from no such row
	// at all: a strict function is never called with what others wrote.
	safe bool
}

var (
	boolType    = valueType{name: "bool"}
	literalType = valueType{literal: true}
)

// comparableTypes reports whether two values can be compared without an error.
func comparableTypes(l, r valueType) bool {
	switch {
	case l.literal && r.literal:
		return true
	case l.literal:
		l = r
	case r.literal:
		r = l
	}
	if l.collated && r.collated {
		return false // two columns, perhaps of two collations
	}
	if element, ok := strings.CutPrefix(l.name, "_"); ok {
		return l.name == r.name && vetted.compare[element]
	}
	if l.name == r.name {
		return vetted.compare[l.name] && l.enum == r.enum
	}
	for _, group := range vetted.groups {
		if group[l.name] && group[r.name] {
			return true
		}
	}
	return false
}

// typeOf is the type of a column.
func (b *barrier) typeOf(c *catalog.Column) valueType {
	t := valueType{collated: c.Collated}
	switch c.Type.Schema {
	case schemaCatalog:
		t.name = c.Type.Name
		if t.name == "name" || t.name == "_name" {
			t.collated = false // always the same
		}
	default:
		info, ok := b.catalog.Type(c.Type.Schema, c.Type.Name)
		switch {
		case ok && info.Kind == 'e':
			t.name, t.enum = "enum", info.OID
		case ok && info.Kind == 'd' && info.Base.Schema == schemaCatalog:
			t.name = info.Base.Name
		}
	}
	return t
}

// paramTypes are the declared types of parameters that are worth knowing.
var paramTypes = map[uint32]string{
	16: "bool", 17: "bytea", 20: "int8", 21: "int2", 23: "int4", 25: "text", 700: "float4", 701: "float8", 1042: "bpchar", 1043: "varchar",
	1082: "date", 1114: "timestamp", 1184: "timestamptz", 1700: "numeric", 2950: "uuid", 3802: "jsonb",
	1000: "_bool", 1005: "_int2", 1007: "_int4", 1009: "_text", 1015: "_varchar", 1016: "_int8", 2951: "_uuid", 1231: "_numeric",
}

// castTypes are types that a literal may be cast to: the server does it while
// it parses, or plans, whatever the rows are.
var castTypes = map[string]string{
	"bool": "bool", "int2": "int2", "int4": "int4", "int8": "int8", "numeric": "numeric", "float4": "float4", "float8": "float8",
	"text": "text", "varchar": "varchar", "bpchar": "bpchar", "uuid": "uuid", "date": "date", "timestamp": "timestamp",
	"timestamptz": "timestamptz", "time": "time", "interval": "interval", "jsonb": "jsonb", "bytea": "bytea", "inet": "inet", "cidr": "cidr",
}

// builtinName is the name of a type of PostgreSQL's own; _name for an array.
func (b *barrier) builtinName(t *pg_query.TypeName) string {
	parts, ok := nameParts(t.GetNames())
	if !ok || len(t.Typmods) > 0 || t.Setof || t.PctType || len(t.ArrayBounds) > 1 {
		return ""
	}
	switch {
	case len(parts) == 1:
		if _, user := b.catalog.Type("", parts[0]); user {
			return ""
		}
	case len(parts) != 2 || parts[0] != schemaCatalog:
		return ""
	}
	name := castTypes[parts[len(parts)-1]]
	if name != "" && len(t.ArrayBounds) == 1 {
		return "_" + name
	}
	return name
}

// enumName finds a user's enum.
func (b *barrier) enumName(t *pg_query.TypeName) (valueType, bool) {
	parts, ok := nameParts(t.GetNames())
	if !ok || len(parts) > 2 || len(t.Typmods) > 0 || len(t.ArrayBounds) > 0 || t.Setof || t.PctType {
		return valueType{}, false
	}
	schema := ""
	if len(parts) == 2 {
		schema = parts[0]
	}
	info, ok := b.catalog.Type(schema, parts[len(parts)-1])
	return valueType{name: "enum", enum: info.OID}, ok && info.Kind == 'e'
}

// compares are the operators of all types that inert.txt has.
var compares = map[string]bool{"=": true, "<>": true, "<": true, "<=": true, ">": true, ">=": true}

// operatorName is the name of an operator of PostgreSQL's own: the guard lets
// no other pass, and without schema only where nobody else has one.
func operatorName(e *pg_query.A_Expr) string {
	parts, ok := nameParts(e.Name)
	if !ok || len(parts) == 2 && parts[0] != schemaCatalog || len(parts) > 2 {
		return ""
	}
	return parts[len(parts)-1]
}

// bothSafe reports whether a strict function of two values is safe.
func bothSafe(l, r valueType) bool {
	return (l.safe || r.safe) && (l.safe || l.literal) && (r.safe || r.literal)
}

// compared is comparableTypes, where safe values may be of any type, and a
// parameter with several uses is not trusted to become a float.
func (b *barrier) compared(l, r valueType) bool {
	if bothSafe(l, r) {
		return true
	}
	param := l.literal && l.name != "" || r.literal && r.name != ""
	other := l.name
	if l.literal {
		other = r.name
	}
	if param && (other == "float4" || other == "float8" || other == "numeric" || other == "oid") {
		return false
	}
	return comparableTypes(l, r)
}

// wholePattern reports whether a pattern of LIKE does not end in its escape
// character, which is an error for the rows that match as far as there.
func wholePattern(p string) bool {
	trimmed := strings.TrimRight(p, `\`)
	return (len(p)-len(trimmed))%2 == 0
}

package rewrite

import (
	"strings"
	"unicode/utf8"
)

// keywords are the key words of PostgreSQL 15 to 18 that cannot stand for any
// kind of name without quotes.
var keywords = func() map[string]bool {
	m := make(map[string]bool)
	for _, word := range strings.Fields(`
		all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
		boolean both case cast char character check coalesce collate collation column concurrently
		constraint create cross current_catalog current_date current_role current_schema current_time
		current_timestamp current_user dec decimal default deferrable desc distinct do else end except
		exists extract false fetch float for foreign freeze from full grant greatest group grouping
		having ilike in initially inner inout int integer intersect interval into is isnull join json
		json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar
		json_serialize json_table json_value lateral leading least left like limit localtime
		localtimestamp merge_action national natural nchar none normalize not notnull null nullif
		numeric offset on only or order out outer overlaps overlay placing position precision primary
		real references returning right row select session_user setof similar smallint some substring
		symmetric system_user table tablesample then time timestamp to trailing treat trim true union
		unique user using values varchar variadic verbose when where window with xmlattributes
		xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
		xmltable`) {
		m[word] = true
	}
	return m
}()

// quoteIdent writes a name as SQL, in quotes where it needs them.
func quoteIdent(name string) string {
	if plainIdent(name) && !keywords[name] {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// plainIdent reports whether the lexer reads name back as it is.
func plainIdent(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c == '_':
		case c >= '0' && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return name != ""
}

// quoteName writes a qualified name.
func quoteName(schema, name string) string {
	return quoteIdent(schema) + "." + quoteIdent(name)
}

// quotePath writes a name of any number of parts.
func quotePath(path []string) string {
	quoted := make([]string, len(path))
	for i, part := range path {
		quoted[i] = quoteIdent(part)
	}
	return strings.Join(quoted, ".")
}

// quoteLiteral writes a string constant that reads the same whatever
// standard_conforming_strings is. What is no text to PostgreSQL becomes NULL,
// which equals no tenant column.
func quoteLiteral(s string) string {
	if !validText(s) {
		return "NULL"
	}
	quoted := `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
	if !strings.Contains(s, `\`) {
		return quoted
	}
	return `E` + strings.ReplaceAll(quoted, `\`, `\\`)
}

// validText reports whether s can be a value of type text.
func validText(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

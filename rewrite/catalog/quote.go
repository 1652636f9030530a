package catalog

import "strings"

// keywords are the words that PostgreSQL does not take for any name unless
// they are quoted: all but the unreserved ones, of versions 14 to 18.
var keywords = func() map[string]bool {
	m := map[string]bool{}
	for _, word := range strings.Fields(`
all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case
cast char character check coalesce collate collation column concurrently constraint create cross
current_catalog current_date current_role current_schema current_time current_timestamp current_user dec
decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect
interval into is isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query
json_scalar json_serialize json_table json_value lateral leading least left like limit localtime
localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset on
only or order out outer overlaps overlay placing position precision primary real references returning right
row select session_user setof similar smallint some substring symmetric system_user table tablesample then
time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where
window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
xmlserialize xmltable
`) {
		m[word] = true
	}
	return m
}()

// quoteName writes an identifier as PostgreSQL's quote_ident does: in double
// quotes where it has to be.
func quoteName(name string) string {
	if plainName(name) && !keywords[name] {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func plainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// quoteLiteral writes a string constant that reads the same whatever
// standard_conforming_strings is.
func quoteLiteral(s string) string {
	quoted := `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
	if !strings.Contains(s, `\`) {
		return quoted
	}
	return `E` + strings.ReplaceAll(quoted, `\`, `\\`)
}

// quoteBody writes the body of a DO statement between dollar signs that it
// does not hold itself.
func quoteBody(body string) string {
	tag := "$$"
	for strings.Contains(body+tag[:len(tag)-1], tag) {
		tag = tag[:len(tag)-1] + "x$"
	}
	return tag + body + tag
}

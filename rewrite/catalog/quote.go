package catalog

import "strings"

// quoteName writes an identifier in double quotes. Quoting always spares a
// list of reserved words, which grows with every major version.
func quoteName(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// quoteLiteral writes a string constant that reads the same whatever
// standard_conforming_strings is.
func quoteLiteral(s string) string {
	quoted := `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
	if !strings.Contains(s, `\`) {
		return quoted
	}
	return ` E` + strings.ReplaceAll(quoted, `\`, `\\`)
}

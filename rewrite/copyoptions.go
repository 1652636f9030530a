package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// A copyOption is one option's value: a word, names of columns, or a star.
type copyOption struct {
	given bool // there is a value
	word  string
	list  bool
	star  bool
	names []string
	at    int32
}

// copyOptionsSince are the options of COPY FROM that are refused, and the
// versions that they came with: older servers do not know them.
var copyOptionsSince = map[string]int{
	"default": 160000, "on_error": 170000, "log_verbosity": 170000, "reject_limit": 180000, "convert_selectively": 140000,
}

// copyStar is the first version in which FORCE_NULL and FORCE_NOT_NULL take *.
const copyStar = 170000

// copyReworded is the first version that words faults of options in capitals.
const copyReworded = 170000

// A copyReader reads the options of COPY FROM into a CopyIn. Its errors are
// those of PostgreSQL, where PostgreSQL has one.
type copyReader struct {
	c       *confiner
	in      *CopyIn
	table   string
	all     []string // columns of the table
	options map[string]copyOption
	at      int32
}

// collect takes the options by name.
func (r *copyReader) collect(list []*pg_query.Node) error {
	r.options = make(map[string]copyOption)
	for _, n := range list {
		def := n.GetDefElem()
		if def == nil {
			return unsupportedNode(nodeName(n), -1)
		}
		if _, twice := r.options[def.Defname]; twice {
			return r.syntax(def.Location, "conflicting or redundant options")
		}
		o := copyOption{given: def.Arg != nil, at: def.Location}
		switch v := def.Arg.GetNode().(type) {
		case nil:
		case *pg_query.Node_String_:
			o.word = v.String_.Sval
		case *pg_query.Node_Boolean:
			o.word = fmt.Sprint(v.Boolean.Boolval)
		case *pg_query.Node_Integer:
			o.word = fmt.Sprint(v.Integer.Ival)
		case *pg_query.Node_AStar:
			o.star, o.word = true, "*"
		case *pg_query.Node_List:
			o.list = true
			for _, item := range v.List.Items {
				o.names = append(o.names, item.GetString_().GetSval())
			}
		default:
			return unsupportedNode(nodeName(def.Arg), def.Location)
		}
		r.options[def.Defname] = o
	}
	return nil
}

// read sets the format, in the order in which PostgreSQL finds faults.
func (r *copyReader) read() error {
	for _, step := range []func() error{r.known, r.format, r.separators, r.header, r.quotes, r.nulls, r.force, r.rest} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// known refuses options that there are not, or not here, or without the value
// they need.
func (r *copyReader) known() error {
	for name, o := range r.options {
		since, refused := copyOptionsSince[name]
		switch {
		case slices.Contains([]string{"format", "delimiter", "null", "quote", "escape", "encoding"}, name):
			if !o.given || o.list {
				return r.syntax(o.at, name+" requires a parameter")
			}
		case slices.Contains([]string{"header", "freeze"}, name):
		case name == "force_quote":
			if !o.list && !o.star {
				return r.invalid(`argument to option %q must be a list of column names`, name)
			}
		case name == "force_null", name == "force_not_null":
			if !o.list && !(o.star && r.c.catalog.ServerVersion >= copyStar) {
				return r.invalid(`argument to option %q must be a list of column names`, name)
			}
		case refused && r.c.catalog.ServerVersion >= since:
			return r.refused("option "+name, "Leave it out.")
		default:
			return r.syntax(o.at, fmt.Sprintf("option %q not recognized", name))
		}
	}
	return nil
}

// format reads FORMAT.
func (r *copyReader) format() error {
	in := r.in
	in.Delimiter, in.Null, in.Quote = '\t', `\N`, '"'
	o, ok := r.options["format"]
	switch {
	case !ok || o.word == "text":
	case o.word == "csv":
		in.Format, in.Delimiter, in.Null = CopyCSV, ',', ""
	case o.word == "binary":
		in.Format = CopyBinary
	default:
		return r.invalid("COPY format %q not recognized", o.word)
	}
	return nil
}

// separators reads DELIMITER and NULL.
func (r *copyReader) separators() error {
	in := r.in
	for _, name := range []string{"delimiter", "null"} {
		if o, ok := r.options[name]; ok && in.Format == CopyBinary {
			return r.syntax(o.at, "cannot specify "+strings.ToUpper(name)+" in BINARY mode")
		}
	}
	if o, ok := r.options["delimiter"]; ok {
		if len(o.word) != 1 {
			return r.unsupported("COPY delimiter must be a single one-byte character")
		}
		in.Delimiter = o.word[0]
	}
	if o, ok := r.options["null"]; ok {
		in.Null = o.word
	}
	switch {
	case in.Delimiter == '\r' || in.Delimiter == '\n':
		return r.invalid("COPY delimiter cannot be newline or carriage return")
	case strings.ContainsAny(in.Null, "\r\n"):
		return r.invalid("COPY null representation cannot use newline or carriage return")
	case in.Format == CopyText && strings.IndexByte(`\.abcdefghijklmnopqrstuvwxyz0123456789`, in.Delimiter) >= 0:
		return r.invalid(`COPY delimiter cannot be "%c"`, in.Delimiter)
	default:
		return nil
	}
}

// header reads HEADER.
func (r *copyReader) header() error {
	o, ok := r.options["header"]
	if !ok {
		return nil
	}
	value, isBool := copyBool(o)
	switch {
	case isBool && value:
		r.in.Header = HeaderSkip
	case isBool:
	case strings.EqualFold(o.word, "match") && !o.list:
		r.in.Header = HeaderMatch
	default:
		return r.syntax(o.at, `header requires a Boolean value or "match"`)
	}
	if r.in.Format == CopyBinary && r.in.Header != HeaderNone {
		return r.unsupported("cannot specify HEADER in BINARY mode")
	}
	return nil
}

// quotes reads QUOTE and ESCAPE.
func (r *copyReader) quotes() error {
	in := r.in
	quote, quoted := r.options["quote"]
	escape, escaped := r.options["escape"]
	switch {
	case quoted && in.Format != CopyCSV:
		return r.onlyCSV("quote")
	case quoted && len(quote.word) != 1:
		return r.unsupported("COPY quote must be a single one-byte character")
	case quoted:
		in.Quote = quote.word[0]
	}
	if in.Format == CopyCSV && in.Delimiter == in.Quote {
		return r.invalid("COPY delimiter and quote must be different")
	}
	in.Escape = in.Quote
	switch {
	case escaped && in.Format != CopyCSV:
		return r.onlyCSV("escape")
	case escaped && len(escape.word) != 1:
		return r.unsupported("COPY escape must be a single one-byte character")
	case escaped:
		in.Escape = escape.word[0]
	}
	return nil
}

// nulls checks that the null string can be told from values.
func (r *copyReader) nulls() error {
	for _, name := range []string{"force_quote", "force_not_null", "force_null"} {
		_, ok := r.options[name]
		switch {
		case ok && r.in.Format != CopyCSV:
			return r.onlyCSV(name)
		case ok && name == "force_quote" && r.reworded():
			return r.unsupported("COPY FORCE_QUOTE cannot be used with COPY FROM")
		case ok && name == "force_quote":
			return r.unsupported("COPY force quote only available using COPY TO")
		}
	}
	inDelimiter := strings.IndexByte(r.in.Null, r.in.Delimiter) >= 0
	inQuote := r.in.Format == CopyCSV && strings.IndexByte(r.in.Null, r.in.Quote) >= 0
	switch {
	case r.in.Format == CopyBinary:
		return nil
	case inDelimiter && r.reworded():
		return r.invalid("COPY delimiter character must not appear in the NULL specification")
	case inDelimiter:
		return r.unsupported("COPY delimiter must not appear in the NULL specification")
	case inQuote && r.reworded():
		return r.invalid("CSV quote character must not appear in the NULL specification")
	case inQuote:
		return r.unsupported("CSV quote character must not appear in the NULL specification")
	default:
		return nil
	}
}

// onlyCSV is the fault of an option in another format.
func (r *copyReader) onlyCSV(option string) error {
	if r.reworded() {
		return r.unsupported("COPY " + strings.ToUpper(option) + " requires CSV mode")
	}
	return r.unsupported("COPY " + strings.ReplaceAll(option, "_", " ") + " available only in CSV mode")
}

// reworded reports whether some faults have the words, and SQLSTATEs, of
// PostgreSQL 17.
func (r *copyReader) reworded() bool { return r.c.catalog.ServerVersion >= copyReworded }

// force reads FORCE_NULL and FORCE_NOT_NULL.
func (r *copyReader) force() error {
	for _, name := range []string{"force_not_null", "force_null"} {
		o := r.options[name]
		names := o.names
		if o.star {
			for i := range r.in.Columns {
				names = append(names, r.in.Columns[i].Name)
			}
		}
		seen := make(map[string]bool)
		for _, column := range names {
			i := slices.IndexFunc(r.in.Columns, func(c CopyColumn) bool { return c.Name == column })
			switch {
			case !slices.Contains(r.all, column):
				return &DefinitionError{
					Problem: UndefinedColumn, Message: fmt.Sprintf("column %q of relation %q does not exist", column, r.table),
				}
			case seen[column]:
				return &DefinitionError{Problem: DuplicateColumn, Message: fmt.Sprintf("column %q specified more than once", column)}
			case i < 0:
				return &DefinitionError{
					Problem: InvalidColumn, Message: fmt.Sprintf("%s column %q not referenced by COPY", strings.ToUpper(name), column),
				}
			}
			seen[column] = true
			r.in.Columns[i].forceNull = r.in.Columns[i].forceNull || name == "force_null"
			r.in.Columns[i].forceNot = r.in.Columns[i].forceNot || name == "force_not_null"
		}
	}
	return nil
}

// rest reads FREEZE, which may be off, and ENCODING, which may be the one that
// everything has.
func (r *copyReader) rest() error {
	if o, ok := r.options["freeze"]; ok {
		value, isBool := copyBool(o)
		switch {
		case !isBool:
			return r.syntax(o.at, "freeze requires a Boolean value")
		case value:
			return r.refused("freeze", "Leave it out: the rows are inserted one by one.")
		}
	}
	if o, ok := r.options["encoding"]; ok {
		if _, utf8 := onlyUTF8(o.word); !utf8 {
			return r.refused(fmt.Sprintf("encoding %q", o.word), "Convert the data to UTF8.")
		}
	}
	return nil
}

// copyBool reads a Boolean as PostgreSQL does for options.
func copyBool(o copyOption) (value, ok bool) {
	switch {
	case !o.given:
		return true, true
	case o.list || o.star:
		return false, false
	}
	switch foldASCII(o.word) {
	case "true", "on", "1":
		return true, true
	case "false", "off", "0":
		return false, true
	default:
		return false, false
	}
}

func (r *copyReader) syntax(at int32, message string) error {
	return &SyntaxError{Message: message, Position: r.c.position(at)}
}

func (r *copyReader) invalid(format string, args ...any) error {
	return &DefinitionError{Problem: InvalidParameter, Message: fmt.Sprintf(format, args...)}
}

func (r *copyReader) unsupported(message string) error {
	return &DefinitionError{Problem: UnsupportedParameter, Message: message}
}

// refused makes the error of an option that the proxy does not cover.
func (r *copyReader) refused(what, hint string) error {
	return r.c.refusal(ruleCopyOption, "COPY FROM with "+what, hint, r.at)
}

package rewrite

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// Ids of the rules for COPY FROM.
const (
	ruleCopyOption = "copy.option"
	ruleCopyWhere  = "copy.where"
)

// copyFrom reads COPY t FROM STDIN: which table, which columns, which format.
func (c *confiner) copyFrom(s *pg_query.CopyStmt) (*CopyIn, error) {
	rel, err := c.target(s.Relation)
	if err != nil {
		return nil, err
	}
	if s.WhereClause != nil {
		return nil, c.refusal(ruleCopyWhere, "COPY FROM with WHERE", "Leave out the rows before they are sent.", s.Relation.Location)
	}
	names, err := c.copyColumns(s, rel)
	if err != nil {
		return nil, err
	}
	in := &CopyIn{schema: rel.Schema, table: rel.Name}
	for _, name := range names {
		in.Columns = append(in.Columns, CopyColumn{Name: name})
	}
	options, err := c.copyOptions(s)
	if err != nil {
		return nil, err
	}
	if problem := in.configure(options); problem != "" {
		return nil, c.refusal(ruleCopyOption, "COPY FROM with "+problem, "", s.Relation.Location)
	}
	return in, nil
}

// A copyOption is one option's value: a word, or names of columns.
type copyOption struct {
	word  string
	names []string
}

// copyOptions collects the options by name.
func (c *confiner) copyOptions(s *pg_query.CopyStmt) (map[string]copyOption, error) {
	options := make(map[string]copyOption)
	for _, n := range s.Options {
		def := n.GetDefElem()
		if def == nil {
			return nil, unsupportedNode(nodeName(n), -1)
		}
		if _, twice := options[def.Defname]; twice {
			return nil, &SyntaxError{Message: "conflicting or redundant options", Position: c.position(def.Location)}
		}
		var o copyOption
		switch v := def.Arg.GetNode().(type) {
		case nil:
			o.word = "true"
		case *pg_query.Node_String_:
			o.word = v.String_.Sval
		case *pg_query.Node_Boolean:
			o.word = fmt.Sprint(v.Boolean.Boolval)
		case *pg_query.Node_Integer:
			o.word = fmt.Sprint(v.Integer.Ival)
		case *pg_query.Node_List:
			for _, item := range v.List.Items {
				o.names = append(o.names, item.GetString_().GetSval())
			}
		default:
			return nil, unsupportedNode(nodeName(def.Arg), def.Location)
		}
		options[def.Defname] = o
	}
	return options, nil
}

// configure sets the format. It returns what of the options it cannot do.
func (in *CopyIn) configure(options map[string]copyOption) (problem string) {
	take := func(name string) (copyOption, bool) {
		o, ok := options[name]
		delete(options, name)
		return o, ok
	}
	in.Delimiter, in.Null, in.Quote = '\t', `\N`, '"'
	if o, ok := take("format"); ok {
		switch strings.ToLower(o.word) {
		case "text":
		case "csv":
			in.Format, in.Delimiter, in.Null = CopyCSV, ',', ""
		case "binary":
			in.Format = CopyBinary
		default:
			return fmt.Sprintf("format %q", o.word)
		}
	}
	for name, field := range map[string]*byte{"delimiter": &in.Delimiter, "quote": &in.Quote, "escape": &in.Escape} {
		o, ok := take(name)
		if !ok {
			continue
		}
		if len(o.word) != 1 || in.Format == CopyBinary || name != "delimiter" && in.Format != CopyCSV {
			return fmt.Sprintf("%s %q in this format", name, o.word)
		}
		*field = o.word[0]
	}
	if in.Escape == 0 {
		in.Escape = in.Quote
	}
	if o, ok := take("null"); ok {
		if in.Format == CopyBinary || strings.ContainsAny(o.word, "\r\n") {
			return fmt.Sprintf("null %q in this format", o.word)
		}
		in.Null = o.word
	}
	if problem := in.delimits(); problem != "" {
		return problem
	}
	if o, ok := take("header"); ok {
		switch strings.ToLower(o.word) {
		case "true", "on", "1":
			in.Header = HeaderSkip
		case "match":
			in.Header = HeaderMatch
		case "false", "off", "0":
		default:
			return fmt.Sprintf("header %q", o.word)
		}
		if in.Format == CopyBinary && in.Header != HeaderNone {
			return "a header in binary format"
		}
	}
	for _, name := range []string{"force_null", "force_not_null"} {
		o, ok := take(name)
		if !ok {
			continue
		}
		if in.Format != CopyCSV || !in.force(o.names, name == "force_null") {
			return name
		}
	}
	if o, ok := take("encoding"); ok && !strings.EqualFold(o.word, "utf8") && !strings.EqualFold(o.word, "utf-8") {
		return fmt.Sprintf("encoding %q", o.word)
	}
	if o, ok := take("freeze"); ok && !strings.EqualFold(o.word, "false") {
		return "freeze"
	}
	for name := range options {
		return "option " + name
	}
	return ""
}

// delimits checks that what separates values can be told from them.
func (in *CopyIn) delimits() (problem string) {
	switch {
	case in.Format == CopyBinary:
		return ""
	case in.Delimiter == '\r' || in.Delimiter == '\n',
		in.Format == CopyText && strings.IndexByte(`\.abcdefghijklmnopqrstuvwxyz0123456789`, in.Delimiter) >= 0:
		return fmt.Sprintf("delimiter %q", in.Delimiter)
	case strings.IndexByte(in.Null, in.Delimiter) >= 0:
		return "the delimiter in the null string"
	case in.Format != CopyCSV:
		return ""
	case in.Delimiter == in.Quote:
		return "the same character as delimiter and quote"
	case strings.IndexByte(in.Null, in.Quote) >= 0:
		return "the quote in the null string"
	default:
		return ""
	}
}

// force sets FORCE_NULL or FORCE_NOT_NULL; it reports whether all names are
// columns of the stream.
func (in *CopyIn) force(names []string, null bool) bool {
	for _, name := range names {
		found := false
		for i := range in.Columns {
			if c := &in.Columns[i]; c.Name == name {
				found = true
				c.forceNull = c.forceNull || null
				c.forceNot = c.forceNot || !null
			}
		}
		if !found {
			return false
		}
	}
	return len(names) > 0
}

package rewrite

import (
	"strings"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A Prepare is what PREPARE prepares: a statement as Parse would have it.
type Prepare struct {
	Statement Statement
	ParamOIDs []uint32 // types that PREPARE declares
}

// An ArgumentForm is how an argument of EXECUTE was written.
type ArgumentForm uint8

// The forms.
const (
	ArgumentNull    ArgumentForm = iota // NULL
	ArgumentString                      // 'text', whose type is that of the parameter
	ArgumentInteger                     // 42
	ArgumentDecimal                     // 4.2, or a whole number beyond int4
	ArgumentBoolean                     // true, false
)

// An Argument is one argument of EXECUTE: a constant.
type Argument struct {
	Form ArgumentForm
	Text string
	Cast uint32 // the type it is cast to; 0 is none
}

// preparedTypes are PostgreSQL's own types that PREPARE may declare, by their
// names in the parse tree.
var preparedTypes = map[string]struct{ oid, array uint32 }{
	"bool": {16, 1000}, "bytea": {17, 1001}, "int8": {20, 1016}, "int2": {21, 1005}, "int4": {23, 1007},
	"text": {25, 1009}, "oid": {26, 1028}, "json": {114, 199}, "float4": {700, 1021}, "float8": {701, 1022},
	"inet": {869, 1041}, "bpchar": {1042, 1014}, "varchar": {1043, 1015}, "date": {1082, 1182}, "time": {1083, 1183},
	"timestamp": {1114, 1115}, "timestamptz": {1184, 1185}, "interval": {1186, 1187}, "timetz": {1266, 1270},
	"numeric": {1700, 1231}, "uuid": {2950, 2951}, "jsonb": {3802, 3807},
}

// typeOID finds the type of that name; 0 if it is not known for certain.
func typeOID(name *pg_query.TypeName, cat *catalog.Snapshot) uint32 {
	if name == nil || name.Setof || name.PctType || len(name.ArrayBounds) > 1 {
		return 0
	}
	names, ok := nameParts(name.Names)
	if !ok || len(names) == 0 || len(names) > 2 {
		return 0
	}
	last, schema := names[len(names)-1], ""
	if len(names) == 2 {
		schema = names[0]
	}
	if schema != schemaCatalog {
		if user, found := cat.Type(schema, last); found {
			if len(name.ArrayBounds) > 0 {
				return 0
			}
			return user.OID
		}
		if schema != "" {
			return 0
		}
	}
	t := preparedTypes[last]
	if len(name.ArrayBounds) > 0 {
		return t.array
	}
	return t.oid
}

// prepare confines the statement of a PREPARE, as one that Parse brings. Blanks
// stand for what is before it, so that positions are the client's.
func (r *Rewriter) prepare(req Request, s *pg_query.PrepareStmt, cat *catalog.Snapshot, src *source, raw *pg_query.RawStmt) (*Prepare, error) {
	first, end := src.statement(raw)
	at := place{sql: src.sql}
	if first < end {
		at.offset = src.tokens[first].start
	}
	p := &Prepare{}
	for _, n := range s.Argtypes {
		oid := typeOID(n.GetTypeName(), cat)
		if oid == 0 {
			return nil, &UnsupportedError{
				Rule: ruleStatementPrepare, Node: "PREPARE with a parameter of this type",
				Hint: "Leave the types out, or use the prepared statements of the protocol.", Position: at.position(),
			}
		}
		p.ParamOIDs = append(p.ParamOIDs, oid)
	}
	unproven := &UnsupportedError{
		Rule: ruleStatementPrepare, Node: "this form of PREPARE",
		Hint: "Use the prepared statements of the protocol.", Position: at.position(),
	}
	as := src.nameEnd(first + 1)
	if src.punct(as, "(") {
		as = src.closing(as) + 1
	}
	if !src.is(first, "prepare") || !src.is(as, "as") || as+1 >= end {
		return nil, unproven
	}
	from, to := src.tokens[as+1].start, src.tokens[end-1].end
	sql := strings.Repeat(" ", utf8.RuneCountInString(src.sql[:from])) + src.sql[from:to]
	stmts, err := parse(sql)
	if err != nil || len(stmts) != 1 || !equalTrees(stmts[0].Stmt, s.Query) {
		return nil, unproven
	}
	result, err := r.rewrite(Request{SQL: sql, Extended: true, ParamOIDs: p.ParamOIDs, Dump: req.Dump}, cat, nil)
	if err != nil {
		return nil, err
	}
	p.Statement = result.Statements[0]
	if p.Statement.Kind != KindQuery || p.Statement.Copy != nil || p.Statement.Prepare != nil {
		return nil, unproven
	}
	return p, nil
}

// executeArguments reads the arguments of EXECUTE. Constants can be bound as
// they are; whatever would have to be computed is refused.
func executeArguments(s *pg_query.ExecuteStmt, cat *catalog.Snapshot, at place) ([]Argument, error) {
	args := make([]Argument, 0, len(s.Params))
	for _, n := range s.Params {
		arg, ok := argument(n, cat)
		if !ok {
			return nil, &UnsupportedError{
				Rule: ruleStatementExecute, Node: "EXECUTE with an argument that is no constant",
				Hint: "Write constants, or use the prepared statements of the protocol.", Position: at.position(),
			}
		}
		args = append(args, arg)
	}
	return args, nil
}

// argument reads one argument.
func argument(n *pg_query.Node, cat *catalog.Snapshot) (Argument, bool) {
	var arg Argument
	if tc := n.GetTypeCast(); tc != nil {
		if arg.Cast = typeOID(tc.TypeName, cat); arg.Cast == 0 || len(tc.TypeName.Typmods) > 0 {
			return arg, false
		}
		n = tc.Arg
	}
	c := n.GetAConst()
	if c == nil {
		return arg, false
	}
	if c.Isnull {
		return arg, true
	}
	switch v := c.Val.(type) {
	case *pg_query.A_Const_Sval:
		arg.Form, arg.Text = ArgumentString, v.Sval.Sval
		return arg, true
	case *pg_query.A_Const_Boolval:
		arg.Form, arg.Text = ArgumentBoolean, "false"
		if v.Boolval.Boolval {
			arg.Text = "true"
		}
		return arg, true
	}
	text, _, ok := constantText(n)
	arg.Form, arg.Text = ArgumentDecimal, text
	if c.GetIval() != nil {
		arg.Form = ArgumentInteger
	}
	return arg, ok && plainDecimal(text)
}

// plainDecimal reports whether a number is digits with perhaps a sign and a
// point.
func plainDecimal(text string) bool {
	text = strings.TrimPrefix(text, "-")
	digits := strings.Replace(text, ".", "", 1)
	if digits == "" {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

// For is the argument as the text of a value of a parameter's type. It is
// false if the server would have to convert it, or refuse to.
func (a Argument) For(oid uint32) (text string, null, ok bool) {
	if a.Cast != 0 && a.Cast != oid {
		return "", false, false
	}
	var types []uint32
	switch a.Form {
	case ArgumentNull:
		return "", true, true
	case ArgumentString:
		return a.Text, false, true
	case ArgumentInteger:
		types = []uint32{oidInt2, oidInt4, oidInt8, 700, 701, 1700}
		if a.Cast == 0 {
			types = append(types, oidText, oidVarchar)
		}
	case ArgumentDecimal:
		types = []uint32{700, 701, 1700}
	case ArgumentBoolean:
		types = []uint32{16}
	}
	for _, t := range types {
		if t == oid {
			return a.Text, false, true
		}
	}
	return "", false, false
}

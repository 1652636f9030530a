package rewrite

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// firstUserOID is where object ids end that mean the same in every database.
const firstUserOID = 16384

// maxNameBytes is the length of PostgreSQL's identifiers.
const maxNameBytes = 63

// maxParams is how many parameters a Bind message can have.
const maxParams = 65535

// keys makes the nodes, and the text, that stand for the tenant's key, and for
// its other values, in one statement. As parameters there is one for each type
// of tenant column, so that equal expressions of the client stay equal when
// they hold predicates.
type keys struct {
	params bool // parameters; else literals
	client int  // parameters of the client's own
	sample *Values
	types  []catalog.Type // of the parameters added, in order
	values []Value        // what they are
}

// A keyForm is a value as one expression.
type keyForm struct {
	node func() *pg_query.Node // a new node each time
	text string                // with a hole mark
}

// form returns the key as a value of a column's type. A literal names its
// type, so that the server reads it the same way wherever it stands. So does
// a parameter whose type the proxy cannot declare.
func (k *keys) form(t catalog.Type) keyForm { return k.formOf(ValueKey, t) }

// formOf does so for any value.
func (k *keys) formOf(v Value, t catalog.Type) keyForm {
	if !k.params {
		return keyForm{
			node: func() *pg_query.Node { return cast(stringConst(k.sample[v]), t) },
			text: v.mark() + "::" + quoteName(t.Schema, t.Name),
		}
	}
	number := k.number(v, t)
	param := "$" + strconv.Itoa(number)
	if t.OID < firstUserOID {
		return keyForm{node: func() *pg_query.Node { return paramRef(number) }, text: param}
	}
	return keyForm{
		node: func() *pg_query.Node { return cast(paramRef(number), t) },
		text: param + "::" + quoteName(t.Schema, t.Name),
	}
}

// number returns the parameter for a value of a type.
func (k *keys) number(v Value, t catalog.Type) int {
	for i, known := range k.types {
		if known.OID == t.OID && k.values[i] == v {
			return k.client + i + 1
		}
	}
	k.types, k.values = append(k.types, t), append(k.values, v)
	return k.client + len(k.types)
}

// result lists the parameters for the Statement.
func (k *keys) result() []Key {
	var list []Key
	for i, t := range k.types {
		key := Key{OID: t.OID, Value: k.values[i]}
		if t.OID >= firstUserOID {
			key.OID = 0 // the cast in the text tells the server
		}
		list = append(list, key)
	}
	return list
}

// A condition is a predicate as a node and as text.
type condition struct {
	node *pg_query.Node
	text string
}

// predicate makes "reference.column = key" for a relation. qualified writes
// the schema before an unaliased name even if the client did not.
func (c *confiner) predicate(rv *pg_query.RangeVar, rel *catalog.Relation, qualified bool) (condition, error) {
	column, err := c.exposedColumn(rv, rel)
	if err != nil {
		return condition{}, err
	}
	t, err := c.tenantType(rel, rv)
	if err != nil {
		return condition{}, err
	}
	path := []string{referenceName(rv), column}
	if rv.Alias == nil && (qualified || !c.unqualified[rv]) {
		path = []string{rel.Schema, rel.Name, column}
	}
	key := c.keys.form(t)
	return condition{
		node: operator("=", columnRef(path...), key.node()),
		text: quotePath(path) + " = " + key.text,
	}, nil
}

// tenantType is the type of a relation's tenant column.
func (c *confiner) tenantType(rel *catalog.Relation, rv *pg_query.RangeVar) (catalog.Type, error) {
	i := columnIndex(rel, rel.TenantColumn)
	if i < 0 {
		return catalog.Type{}, c.denied(rel, rv.Location)
	}
	t := rel.Columns[i].Type
	if t.OID == oidChar || t.OID == oidName { // they cut long keys, which become equal
		return t, c.refusal(ruleTenantType, fmt.Sprintf("a tenant column of type %q", t.Name),
			"Give the tenant column another type, as text.", rv.Location)
	}
	return t, nil
}

// columnIndex finds a column by name; -1 if there is none.
func columnIndex(rel *catalog.Relation, name string) int {
	for i := range rel.Columns {
		if rel.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// exposedColumn is the name of the tenant column behind the reference's
// alias, which may rename columns by position.
func (c *confiner) exposedColumn(rv *pg_query.RangeVar, rel *catalog.Relation) (string, error) {
	renamed := rv.Alias.GetColnames()
	if len(renamed) == 0 {
		return rel.TenantColumn, nil
	}
	exposed, seen := "", make(map[string]int)
	for i := range rel.Columns {
		name := rel.Columns[i].Name
		if i < len(renamed) {
			name = renamed[i].GetString_().GetSval()
		}
		seen[name]++
		if rel.Columns[i].Name == rel.TenantColumn {
			exposed = name
		}
	}
	if exposed == "" || seen[exposed] != 1 {
		return "", c.refusal(ruleAliasAmbiguous, fmt.Sprintf("the alias of table %q", rel.Name),
			"Give every column of the alias a name of its own.", rv.Location)
	}
	return exposed, nil
}

// filterAlias names the empty sub-select of a filter join. The same source
// gets the same name, and different references of one FROM clause different
// ones.
func (c *confiner) filterAlias(rv *pg_query.RangeVar, rel *catalog.Relation) string {
	name := "__tn_" + referenceName(rv)
	if rv.Alias == nil {
		name = "__tn_" + rel.Schema + "." + rel.Name
	}
	if len(name) > maxNameBytes {
		sum := sha256.Sum256([]byte(name))
		name = "__tn_" + hex.EncodeToString(sum[:16])
	}
	return name
}

// filterJoin turns the relation at n, which stands below a join, into
//
//	(relation JOIN (SELECT) AS "__tn_relation" ON relation.tenant_column = key)
//
// The sub-select has no columns, so stars, NATURAL and USING see what they saw,
// and names that referred to the relation still do.
func (c *confiner) filterJoin(n *pg_query.Node, rv *pg_query.RangeVar, rel *catalog.Relation) error {
	p, err := c.predicate(rv, rel, false)
	if err != nil {
		return err
	}
	c.joinFilter(n, rv, rel, p)
	return nil
}

// joinFilter puts the relation at n in a filter join with a condition.
func (c *confiner) joinFilter(n *pg_query.Node, rv *pg_query.RangeVar, rel *catalog.Relation, p condition) {
	name := c.filterAlias(rv, rel)
	if e, ok := c.extent(rv, n.GetRangeTableSample() != nil); ok {
		c.before(e.first, rankJoinStart, "(")
		c.after(e.last, rankJoinEnd, " JOIN (SELECT) AS "+quoteAlways(name)+" ON "+p.text+")")
	} else {
		c.fail()
	}
	n.Node = &pg_query.Node_JoinExpr{JoinExpr: &pg_query.JoinExpr{
		Jointype: pg_query.JoinType_JOIN_INNER,
		Larg:     &pg_query.Node{Node: n.Node},
		Rarg: &pg_query.Node{Node: &pg_query.Node_RangeSubselect{RangeSubselect: &pg_query.RangeSubselect{
			Subquery: &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: emptySelect()}},
			Alias:    &pg_query.Alias{Aliasname: name},
		}}},
		Quals: p.node,
	}}
}

// conjunction joins conditions with the client's own, which stays one operand
// whatever it holds.
func conjunction(conditions []condition, old *pg_query.Node) *pg_query.Node {
	var operands []*pg_query.Node
	for _, p := range conditions {
		operands = append(operands, p.node)
	}
	if old != nil {
		operands = append(operands, old)
	}
	if len(operands) == 1 {
		return operands[0]
	}
	return &pg_query.Node{Node: &pg_query.Node_BoolExpr{BoolExpr: &pg_query.BoolExpr{
		Boolop: pg_query.BoolExprType_AND_EXPR,
		Args:   operands,
	}}}
}

// where notes the splice of conditions into the WHERE clause that follows
// token i at its own depth of brackets, or a new one.
func (c *confiner) where(i int, conditions []condition, old bool) {
	if c.copies > 0 {
		return
	}
	texts := make([]string, len(conditions))
	for n := range conditions {
		texts[n] = conditions[n].text
	}
	text := strings.Join(texts, " AND ")
	s := c.source
	end := s.skip(i, clauseEnd)
	if !s.is(end, "where") {
		if old {
			c.fail()
			return
		}
		c.after(end-1, rankWhere, " WHERE "+text)
		return
	}
	last := s.skip(end+1, clauseEnd) - 1
	c.before(end+1, rankCondition, text+" AND (")
	c.after(last, rankParenthesis, ")")
}

// quoteAlways writes a name in quotes.
func quoteAlways(name string) string {
	quoted := quoteIdent(name)
	if quoted == name {
		return `"` + name + `"`
	}
	return quoted
}

func columnRef(path ...string) *pg_query.Node {
	var fields []*pg_query.Node
	for _, part := range path {
		fields = append(fields, stringNode(part))
	}
	return &pg_query.Node{Node: &pg_query.Node_ColumnRef{ColumnRef: &pg_query.ColumnRef{Fields: fields}}}
}

func operator(name string, left, right *pg_query.Node) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_AExpr{AExpr: &pg_query.A_Expr{
		Kind:  pg_query.A_Expr_Kind_AEXPR_OP,
		Name:  []*pg_query.Node{stringNode(name)},
		Lexpr: left,
		Rexpr: right,
	}}}
}

func paramRef(number int) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_ParamRef{ParamRef: &pg_query.ParamRef{
		Number: int32(number), //nolint:gosec // at most maxParams
	}}}
}

func cast(arg *pg_query.Node, t catalog.Type) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_TypeCast{TypeCast: &pg_query.TypeCast{
		Arg: arg,
		TypeName: &pg_query.TypeName{
			Names:   []*pg_query.Node{stringNode(t.Schema), stringNode(t.Name)},
			Typemod: -1,
		},
	}}}
}

func stringConst(value string) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
		Val: &pg_query.A_Const_Sval{Sval: &pg_query.String{Sval: value}},
	}}}
}

func stringNode(value string) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_String_{String_: &pg_query.String{Sval: value}}}
}

// emptySelect is SELECT without anything: one row of no columns.
func emptySelect() *pg_query.SelectStmt {
	return &pg_query.SelectStmt{
		LimitOption: pg_query.LimitOption_LIMIT_OPTION_DEFAULT,
		Op:          pg_query.SetOperation_SETOP_NONE,
	}
}

// resTarget is one item of a target list, or a column of an INSERT.
func resTarget(name string, value *pg_query.Node) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_ResTarget{ResTarget: &pg_query.ResTarget{Name: name, Val: value}}}
}

package rewrite

import (
	"strconv"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A written is one place where a statement writes into a tenant column.
type written struct {
	rel  *catalog.Relation
	rv   *pg_query.RangeVar // where the statement names the table
	rule string             // by which an expression that proves nothing is refused
	own  func(*pg_query.ColumnRef) bool
}

// A boundValue is a parameter of the client's that is written into a tenant
// column. What becomes of it is known at the end of the statement.
type boundValue struct {
	slot  *pg_query.Node // the ParamRef
	as    catalog.Type   // of the column
	check Check
	copy  bool // in a copy of a part of the tree that the text has once
}

// assignments sees to the tenant column in the SET list of UPDATE, or of ON
// CONFLICT DO UPDATE.
func (c *confiner) assignments(list []*pg_query.Node, rel *catalog.Relation, rv *pg_query.RangeVar, own func(*pg_query.ColumnRef) bool) error {
	w := written{rel: rel, rv: rv, rule: ruleUpdateTenantExpression, own: own}
	for i, n := range list {
		target := n.GetResTarget()
		if target == nil {
			return unsupportedNode(nodeName(n), -1)
		}
		if target.Name != rel.TenantColumn {
			continue
		}
		if len(target.Indirection) > 0 {
			return c.unprovable(w, target.Location)
		}
		multi := target.Val.GetMultiAssignRef()
		if multi == nil {
			if err := c.tenantValue(target.Val, w); err != nil {
				return err
			}
			continue
		}
		if err := c.rowAssignment(list, i, multi, w); err != nil {
			return err
		}
	}
	return nil
}

// rowAssignment sees to SET (a, tenant_id) = (x, y). Each column of the left
// side holds a copy of the right side, and all of them stay the same.
func (c *confiner) rowAssignment(list []*pg_query.Node, i int, multi *pg_query.MultiAssignRef, w written) error {
	number := int(multi.Colno) - 1
	first := i - number
	if number < 0 || first < 0 || first+int(multi.Ncolumns) > len(list) {
		return unsupportedNode("MultiAssignRef", -1)
	}
	for k := range int(multi.Ncolumns) {
		row := list[first+k].GetResTarget().GetVal().GetMultiAssignRef().GetSource().GetRowExpr()
		if row == nil || number >= len(row.Args) || len(row.Args) != int(multi.Ncolumns) {
			return c.unprovable(w, list[i].GetResTarget().Location)
		}
		if err := c.copied(k > 0, func() error { return c.tenantValue(row.Args[number], w) }); err != nil {
			return err
		}
	}
	return nil
}

// copied runs f for a part of the tree that the text has once.
func (c *confiner) copied(isCopy bool, f func() error) error {
	if isCopy {
		c.copies++
		defer func() { c.copies-- }()
	}
	return f()
}

// tenantValue sees to one value that is written into a tenant column: DEFAULT
// becomes the key, the column's own value stays, and a constant or parameter
// must turn out to be the key. Nothing else can be proved.
func (c *confiner) tenantValue(n *pg_query.Node, w written) error {
	t, err := c.tenantType(w.rel, w.rv)
	if err != nil {
		return err
	}
	inner, cast := n, (*pg_query.TypeName)(nil)
	if tc := n.GetTypeCast(); tc != nil {
		inner, cast = tc.Arg, tc.TypeName
		if !c.keepsValue(cast, familyOf(t)) {
			return c.unprovable(w, tc.Location)
		}
	}
	switch v := inner.GetNode().(type) {
	case *pg_query.Node_SetToDefault:
		if i := c.source.find(v.SetToDefault.Location); c.source.is(i, "default") {
			c.replace(i, i, c.keys.form(t).text)
		} else {
			c.fail()
		}
		n.Node = c.keys.form(t).node().Node
		return nil
	case *pg_query.Node_ColumnRef:
		if cast == nil && w.own != nil && w.own(v.ColumnRef) {
			return nil
		}
		return c.unprovable(w, v.ColumnRef.Location)
	case *pg_query.Node_AConst:
		return c.constant(inner, v.AConst, t, w)
	case *pg_query.Node_ParamRef:
		return c.parameter(inner, v.ParamRef, t, cast, w)
	default:
		return c.unprovable(w, -1)
	}
}

// keepsValue reports whether a cast to the type, and from there to a column of
// the family, keeps what the check compares.
func (c *confiner) keepsValue(name *pg_query.TypeName, f family) bool {
	if name == nil || len(name.Typmods) > 0 || len(name.ArrayBounds) > 0 || name.Setof || name.PctType {
		return false
	}
	var last string
	switch len(name.Names) {
	case 1:
		last = name.Names[0].GetString_().GetSval()
		if _, user := c.catalog.Type("", last); user {
			return false
		}
	case 2:
		if name.Names[0].GetString_().GetSval() != "pg_catalog" {
			return false
		}
		last = name.Names[1].GetString_().GetSval()
	default:
		return false
	}
	switch last {
	case "int2", "int4", "int8":
		return f == familyInteger
	case "text", "varchar":
		return f == familyText
	case "uuid":
		return f == familyUUID
	default:
		return false
	}
}

// constant notes the check of a constant. Where the type is not known well,
// the key itself takes the constant's place.
func (c *confiner) constant(n *pg_query.Node, v *pg_query.A_Const, t catalog.Type, w written) error {
	check := Check{table: w.rel.Name, family: familyOf(t), null: v.Isnull}
	i := c.source.find(v.Location)
	c.source.read(i)
	switch val := v.Val.(type) {
	case *pg_query.A_Const_Sval:
		check.value = val.Sval.GetSval()
	case *pg_query.A_Const_Ival:
		check.value = strconv.Itoa(int(val.Ival.GetIval()))
		if !c.decimal(i) {
			return c.unprovable(w, v.Location)
		}
	case *pg_query.A_Const_Fval:
		check.value = val.Fval.GetFval()
		if check.family != familyInteger || !c.decimal(i) {
			return c.unprovable(w, v.Location)
		}
	default:
		if !v.Isnull {
			return c.unprovable(w, v.Location)
		}
	}
	if n := len(c.checks); c.copies == 0 && (n == 0 || c.checks[n-1] != check) {
		c.checks = append(c.checks, check)
	}
	if check.family == familyExact {
		if i < 0 || c.source.tokens[i].kind == tokenOperator {
			c.fail()
		} else {
			c.replace(i, i, c.keys.form(t).text)
		}
		n.Node = c.keys.form(t).node().Node
	}
	return nil
}

// decimal reports whether a number was written in plain digits, perhaps with
// a minus before it. Other spellings mean other things to older servers.
func (c *confiner) decimal(i int) bool {
	if i >= 0 && i+1 < len(c.source.tokens) && c.source.tokens[i].op(c.source.sql, "-") {
		i++
	}
	if i < 0 || c.source.tokens[i].kind != tokenNumber {
		return false
	}
	text := c.source.tokens[i].text(c.source.sql)
	for k := range len(text) {
		if text[k] < '0' || text[k] > '9' {
			return false
		}
	}
	return true
}

// parameter notes a parameter of the client's.
func (c *confiner) parameter(n *pg_query.Node, v *pg_query.ParamRef, t catalog.Type, cast *pg_query.TypeName, w written) error {
	var declared uint32
	if i := int(v.Number) - 1; i >= 0 && i < len(c.declared) {
		declared = c.declared[i]
	}
	f := familyOf(t)
	if !c.keys.params || !declarable(declared, t, cast != nil) {
		return c.unprovable(w, v.Location)
	}
	c.bound = append(c.bound, boundValue{
		slot: n,
		as:   t,
		check: Check{
			table:  w.rel.Name,
			family: f,
			param:  int(v.Number),
			text:   declared == oidText || declared == oidVarchar,
		},
		copy: c.copies > 0,
	})
	return nil
}

// declarable reports whether a parameter that the client declared with this
// type, 0 for none, is read by the check as by the server.
func declarable(declared uint32, t catalog.Type, cast bool) bool {
	if declared == 0 || declared == oidUnknown {
		return true
	}
	text := declared == oidText || declared == oidVarchar
	switch familyOf(t) {
	case familyInteger:
		return declared == oidInt2 || declared == oidInt4 || declared == oidInt8 || cast && text
	case familyText:
		return text
	case familyUUID:
		return declared == oidUUID || cast && text
	default:
		return declared == t.OID
	}
}

// bindings decides about the parameters that are written into tenant columns.
// One that is used nowhere else gets its type from there, so the check reads
// what the server reads. For one that is used elsewhere too, and may be of any
// type, the key takes its place; the check then only tells the client.
func (c *confiner) bindings() {
	if len(c.bound) == 0 {
		return
	}
	uses, families := make(map[int]int), make(map[int]family)
	for _, t := range c.source.tokens {
		if t.kind == tokenParam {
			uses[paramNumber(t.text(c.source.sql))]++
		}
	}
	for _, b := range c.bound {
		if !b.copy {
			uses[b.check.param]--
		}
		if f, seen := families[b.check.param]; seen && f != b.check.family {
			uses[b.check.param] = len(c.source.tokens)
		}
		families[b.check.param] = b.check.family
	}
	for _, b := range c.bound {
		if !b.copy {
			c.checks = append(c.checks, b.check)
		}
		if uses[b.check.param] <= 0 {
			continue
		}
		i := c.source.find(b.slot.GetParamRef().GetLocation())
		key := c.keys.form(b.as)
		b.slot.Node = key.node().Node
		if b.copy {
			continue
		}
		if i < 0 {
			c.fail()
			continue
		}
		c.replace(i, i, key.text)
	}
}

// paramNumber reads a parameter's token. What is no number that can be bound
// becomes one that is above the limit; the parser would let it wrap around.
func paramNumber(text string) int {
	n, err := strconv.Atoi(text[1:])
	if err != nil || n > maxParams {
		return maxParams + 1
	}
	return n
}

// unprovable refuses a value of which nobody knows whether it is the key.
func (c *confiner) unprovable(w written, offset int32) error {
	if offset < 0 {
		offset = w.rv.Location
	}
	return c.refusal(w.rule, "an expression as the tenant column of table "+strconv.Quote(w.rel.Name),
		"Leave the column out, or write DEFAULT, a constant or a parameter.", offset)
}

package rewrite

import (
	"strconv"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// Audit goes over the text of a result again: it proves that every relation of
// tenants in it is confined. In the extended protocol it takes any parameter
// for the key; that it is one is for who binds it. The error tells what is not
// confined.
func (r *Rewriter) Audit(sql, key string, extended bool, cat *catalog.Snapshot) error {
	if _, err := lexBounded(sql); err != nil {
		return err
	}
	stmts, err := parse(sql)
	if err != nil {
		return err
	}
	a := &auditor{catalog: cat, isKey: literalKeys(key), isValue: isSomeValue, isChecked: constantsOf(key)}
	if extended {
		a.isKey = func(n *pg_query.Node, t catalog.Type) bool {
			return isLiteralKey(n, key, t) || isParamKey(n, t, func(int) bool { return true })
		}
		a.isChecked = func(n *pg_query.Node, rel *catalog.Relation, f family) bool {
			return n.GetParamRef() != nil || constantsOf(key)(n, rel, f)
		}
	}
	for _, s := range stmts {
		if err := a.audit(s.Stmt); err != nil {
			return err
		}
		if err := a.apart(s.Stmt, nil); err != nil {
			return err
		}
	}
	return nil
}

// isSomeValue takes any value of a type for one of the tenant's.
func isSomeValue(n *pg_query.Node, _ Value, t catalog.Type) bool {
	return isCastTo(n, t) && n.GetTypeCast().GetArg().GetAConst().GetSval() != nil || isParamKey(n, t, func(int) bool { return true })
}

// literalKeys recognizes the key in the simple protocol.
func literalKeys(key string) func(*pg_query.Node, catalog.Type) bool {
	return func(n *pg_query.Node, t catalog.Type) bool { return isLiteralKey(n, key, t) }
}

// constantsOf recognizes constants that the server reads as the key.
func constantsOf(key string) func(*pg_query.Node, *catalog.Relation, family) bool {
	return func(n *pg_query.Node, _ *catalog.Relation, f family) bool {
		value, isNull, ok := constantText(n)
		return ok && !isNull && f.equal(value, key)
	}
}

// isLiteralKey recognizes 'key'::schema.type.
func isLiteralKey(n *pg_query.Node, key string, t catalog.Type) bool {
	value := n.GetTypeCast().GetArg().GetAConst().GetSval()
	return value != nil && value.Sval == key && isCastTo(n, t)
}

// isParamKey recognizes $n, or $n::schema.type for types of users.
func isParamKey(n *pg_query.Node, t catalog.Type, is func(number int) bool) bool {
	if n.GetTypeCast() != nil {
		if !isCastTo(n, t) {
			return false
		}
		n = n.GetTypeCast().Arg
	} else if t.OID >= firstUserOID {
		return false
	}
	p := n.GetParamRef()
	return p != nil && is(int(p.Number))
}

func isCastTo(n *pg_query.Node, t catalog.Type) bool {
	name := n.GetTypeCast().GetTypeName()
	names := name.GetNames()
	return t.Name != "" && len(names) == 2 && len(name.Typmods) == 0 && len(name.ArrayBounds) == 0 && !name.Setof && !name.PctType &&
		names[0].GetString_().GetSval() == t.Schema && names[1].GetString_().GetSval() == t.Name
}

// constantText is the value of a constant of SQL text or a whole number.
func constantText(n *pg_query.Node) (value string, isNull, ok bool) {
	c := n.GetAConst()
	switch v := c.GetVal().(type) {
	case *pg_query.A_Const_Sval:
		return v.Sval.GetSval(), false, true
	case *pg_query.A_Const_Ival:
		return strconv.Itoa(int(v.Ival.GetIval())), false, true
	case *pg_query.A_Const_Fval:
		return v.Fval.GetFval(), false, true
	default:
		return "", true, c.GetIsnull()
	}
}

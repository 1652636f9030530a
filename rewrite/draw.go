package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tenantgate/rewrite/catalog"
)

// nextval, currval and lastval are let through where they cannot tell of rows
// that are not the tenant's: they run once for each row of a statement's result, or of what the
// statement writes, never for rows that a condition goes over.

// A SequenceUse is what a statement does with sequences. What currval and
// lastval answer is on the server connection, which has had other sessions
// before: they may be asked for what the same transaction has taken.
type SequenceUse struct {
	Draws bool // it may take numbers
	State bool // it asks for those that were taken: currval, lastval
}

const (
	nextval              = "nextval"
	currval              = "currval"
	lastval              = "lastval"
	ruleFunctionSequence = "function.sequence"
)

// drawing finds the calls of a statement that stand in such places: the target
// list of its outermost SELECT, VALUES or SELECT of an INSERT, SET of an
// UPDATE. Those of a WITH clause run to their end, whoever reads them, if they
// write.
func (w *walk) drawing(n *pg_query.Node) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		w.drawingTargets(v.SelectStmt)
		w.drawingWith(v.SelectStmt.WithClause)
	case *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt:
		w.drawingWrite(n)
	case *pg_query.Node_DeleteStmt:
		w.drawingWith(v.DeleteStmt.WithClause)
	}
}

func (w *walk) drawingWith(with *pg_query.WithClause) {
	for _, n := range with.GetCtes() {
		w.drawingWrite(n.GetCommonTableExpr().GetCtequery())
	}
}

func (w *walk) drawingWrite(n *pg_query.Node) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_InsertStmt:
		w.drawingTargets(v.InsertStmt.SelectStmt.GetSelectStmt())
		w.drawingWith(v.InsertStmt.WithClause)
	case *pg_query.Node_UpdateStmt:
		w.drawingList(v.UpdateStmt.TargetList)
		w.drawingWith(v.UpdateStmt.WithClause)
	}
}

// drawingTargets takes what a SELECT or VALUES answers. The arms of a set
// operation may be gone over more often than their rows are answered.
func (w *walk) drawingTargets(s *pg_query.SelectStmt) {
	if s == nil || s.Op != pg_query.SetOperation_SETOP_NONE {
		return
	}
	w.drawingList(s.TargetList)
	w.drawingList(s.ValuesLists)
}

func (w *walk) drawingList(list []*pg_query.Node) {
	for _, n := range list {
		w.drawingBelow(n)
	}
}

// drawingBelow goes through an expression, but into no statement in it.
func (w *walk) drawingBelow(n *pg_query.Node) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_SubLink, *pg_query.Node_SelectStmt:
		return
	case *pg_query.Node_FuncCall:
		if w.draws == nil {
			w.draws = make(map[*pg_query.FuncCall]bool)
		}
		w.draws[v.FuncCall] = true
	}
	_ = children(n, func(child *pg_query.Node) error { // what it does not know, it does not allow
		w.drawingBelow(child)
		return nil
	})
}

// draws notes a statement that may take numbers by defaults.
func draws(w *walk, _ protoreflect.ProtoMessage) (bool, error) {
	w.uses.Draws = true
	return false, nil
}

// sequence decides about a call of nextval, currval or lastval.
func (w *walk) sequence(f *pg_query.FuncCall, c *call) error {
	args := 1
	if c.name == lastval {
		args = 0
	}
	switch {
	case plainCall(f) != c.name || len(f.Args) != args || args > 0 && !w.drawable(f.Args[0]):
		return w.forbidFunction(ruleFunctionSequence, c, "The sequence has to be a constant name, and one that fills a column of a table "+
			"that tenants write; the operator can list others as shared-rw.")
	case !w.draws[f]:
		return w.forbidFunction(ruleFunctionSequence, c, "It may stand in the outermost target list, in VALUES or SELECT of an INSERT, "+
			"and in SET of an UPDATE.")
	}
	w.uses.Draws = w.uses.Draws || c.name == nextval
	w.uses.State = w.uses.State || c.name != nextval
	return w.builtin(c)
}

// drawable reports whether an expression is the constant name of a sequence of
// which tenants may take numbers.
func (w *walk) drawable(n *pg_query.Node) bool {
	if cast := n.GetTypeCast(); cast != nil && isRegclass(cast.TypeName) {
		n = cast.Arg
	}
	text, ok := stringConstant(n)
	if !ok {
		return false
	}
	name, err := catalog.ParseName(text)
	if err != nil {
		return false
	}
	rel, found := w.cat.Lookup(name.Schema, name.Name)
	return found && rel.Drawable
}

func isRegclass(t *pg_query.TypeName) bool {
	names, ok := nameParts(t.GetNames())
	if !ok || len(t.ArrayBounds) > 0 {
		return false
	}
	return names[len(names)-1] == "regclass" && (len(names) == 1 || len(names) == 2 && names[0] == schemaCatalog)
}

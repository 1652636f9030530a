package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tenantgate/rewrite/catalog"
)

// A walk goes once over every message of a statement's tree, whatever it is
// and wherever it hangs. A message that is not in nodes is refused.
type walk struct {
	g   *guard
	cat *catalog.Snapshot
	place

	uses        SequenceUse
	hold        Hold
	apart       []*pg_query.FuncCall           // calls of functions that name what all tenants have in common
	named       map[*pg_query.FuncCall]*string // calls of pg_listening_channels, with the name that they get in their place
	keepsApart  bool                           // the kind of statement is one that they may be in
	besides     []besideCall                   // those of them that may not stand in a statement with tables
	draws       map[*pg_query.FuncCall]bool    // calls in places where nextval is harmless
	catalogOnly []call                         // calls that want nothing but system catalogs in the statement
	tables      bool                           // the statement names relations that are no system catalogs
	writes      bool                           // it assigns to columns
	assigned    error                          // of a cast that such an assignment could make
	items       map[string][]origin            // what the names of FROM items stand for
	ctes        map[string][]origin            // common table expressions
	notations   []notation                     // names that may be calls in disguise
	proven      proof                          // of items
	provenCTEs  proof
}

// A node decides about one message of the tree before what is below it. skip
// leaves out the latter.
type node func(w *walk, m protoreflect.ProtoMessage) (skip bool, err error)

func passes(*walk, protoreflect.ProtoMessage) (bool, error) { return false, nil }

// check makes a node of a method that looks at one type of message.
func check[M protoreflect.ProtoMessage](f func(*walk, M) error) node {
	return func(w *walk, m protoreflect.ProtoMessage) (bool, error) { return false, f(w, m.(M)) }
}

// nodes are all messages that may be part of SELECT, INSERT, UPDATE, DELETE,
// MERGE, COPY and DECLARE.
var nodes map[protoreflect.Name]node

func init() { // not a literal: the methods refer to nodes
	nodes = map[protoreflect.Name]node{
		"Node": passes,

		"SelectStmt": passes, "InsertStmt": check((*walk).insertStmt), "UpdateStmt": writes, "DeleteStmt": passes,
		"MergeStmt": writes, "MergeWhenClause": passes,
		"CopyStmt": check((*walk).copyStmt), "DeclareCursorStmt": passes,
		"IntoClause": passes, // refused by who resolves relations
		"WithClause": passes, "CommonTableExpr": check((*walk).commonTableExpr), "CTESearchClause": passes, "CTECycleClause": passes,
		"OnConflictClause": passes, "InferClause": passes, "IndexElem": passes, "DefElem": passes,
		"LockingClause": lockingClause, "SortBy": check((*walk).sortBy), "WindowDef": passes, "GroupingSet": passes,
		"ResTarget": check((*walk).resTarget), "MultiAssignRef": passes, "SetToDefault": passes, "CurrentOfExpr": passes,

		"RangeVar": check((*walk).rangeVar), "Alias": passes, "JoinExpr": check((*walk).joinExpr),
		"RangeSubselect": check((*walk).rangeSubselect), "RangeFunction": check((*walk).rangeFunction),
		"RangeTableSample": check((*walk).rangeTableSample), "RangeTableFunc": check((*walk).rangeTableFunc),
		"RangeTableFuncCol": passes, "ColumnDef": passes,

		"A_Const": passes, "Integer": passes, "Float": passes, "Boolean": passes, "String": passes, "BitString": passes,
		"ParamRef": passes, "ColumnRef": check((*walk).columnRef), "A_Star": passes, "List": passes,
		"A_Indices": passes, "A_Indirection": check((*walk).indirection), "A_ArrayExpr": passes,
		"A_Expr": check((*walk).aExpr), "BoolExpr": passes, "NullTest": passes, "BooleanTest": passes,
		"SubLink": check((*walk).subLink), "CaseExpr": check((*walk).caseExpr), "CaseWhen": passes,
		"CoalesceExpr": passes, "MinMaxExpr": passes, "RowExpr": passes, "GroupingFunc": passes,
		"FuncCall": check((*walk).funcCall), "NamedArgExpr": passes, "SQLValueFunction": passes,
		"TypeCast": passes, "TypeName": check((*walk).typeName), "CollateClause": passes,

		"XmlExpr": passes, "XmlSerialize": passes,
		"JsonOutput": passes, "JsonReturning": passes, "JsonFormat": passes, "JsonValueExpr": passes, "JsonKeyValue": passes,
		"JsonIsPredicate": passes, "JsonObjectConstructor": passes, "JsonArrayQueryConstructor": passes,
		"JsonArrayConstructor": check((*walk).jsonArray), "JsonArrayAgg": check((*walk).jsonArrayAgg),
		"JsonObjectAgg": check((*walk).jsonObjectAgg), "JsonAggConstructor": passes,
	}
}

// statement walks over a whole statement and decides what only all of it can
// tell.
func (w *walk) statement(n *pg_query.Node) error {
	w.drawing(n)
	if err := w.node(n); err != nil {
		return err
	}
	return w.finish()
}

// finish decides what all of a statement together tells.
func (w *walk) finish() error {
	if w.tables && len(w.catalogOnly) > 0 {
		return w.forbidFunction(ruleFunctionCatalogOnly, &w.catalogOnly[0],
			"The function may be called alone, or over system catalogs, in a statement without other relations.")
	}
	if w.writes && w.assigned != nil {
		return w.assigned
	}
	if w.tables && len(w.besides) > 0 {
		return w.besides[0].refusal(w)
	}
	for i := range w.notations {
		if err := w.notation(&w.notations[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) node(n *pg_query.Node) error {
	switch n.GetNode().(type) {
	case nil, *pg_query.Node_AConst, *pg_query.Node_ParamRef, *pg_query.Node_String_, *pg_query.Node_AStar,
		*pg_query.Node_SetToDefault:
		return nil // most of all nodes, with nothing below
	}
	return w.message(n.ProtoReflect())
}

// message decides about a message and all that is below it.
func (w *walk) message(m protoreflect.Message) (err error) {
	name := m.Descriptor().Name()
	decide, ok := nodes[name]
	if !ok {
		return w.unlistedNode(string(name), -1)
	}
	if skip, err := decide(w, m.Interface()); err != nil || skip {
		return err
	}
	eachField(m, func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if field.Kind() != protoreflect.MessageKind {
			return true
		}
		if !field.IsList() {
			err = w.child(v.Message())
			return err == nil
		}
		list := v.List()
		for i := range list.Len() {
			if err = w.child(list.Get(i).Message()); err != nil {
				return false
			}
		}
		return true
	})
	return err
}

func (w *walk) child(m protoreflect.Message) error {
	if n, ok := m.Interface().(*pg_query.Node); ok {
		return w.node(n)
	}
	return w.message(m)
}

// at is where a byte offset of the tree is in the text; below 0 it is not
// known, and the statement's start stands for it.
func (w *walk) at(location int32) place {
	if location < 0 {
		return w.place
	}
	return place{sql: w.sql, offset: int(location)}
}

// forbid makes the error of what would leave the tenant.
func (w *walk) forbid(rule, message, hint string, location int32) error {
	return &ForbiddenError{Rule: rule, Message: message, Hint: hint, Position: w.at(location).position()}
}

// unlistedNode makes the error of a part of a tree that nobody planned for.
func (w *walk) unlistedNode(name string, location int32) error {
	return &UnsupportedError{Rule: ruleNodeUnlisted, Node: name, Position: w.at(location).position()}
}

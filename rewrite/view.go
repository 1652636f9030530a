package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

const (
	// maxViewDepth bounds how many views lie within each other.
	maxViewDepth = 16
	// maxViewBytes bounds the text that the views of one statement become.
	maxViewBytes = 1 << 20
)

// barrierAlias is the name of the inner of the two sub-selects that a view
// with security_barrier becomes.
const barrierAlias = "__tn_view"

// A viewState is what the confiners of a statement, and of the views in it,
// have in common.
type viewState struct {
	bytes int // of the definitions expanded so far, those within others twice
}

// A viewBody is the confined definition of a view.
type viewBody struct {
	query *pg_query.SelectStmt
	text  string // with hole marks
	known bool   // text says the same as query
}

// A bodyText is where the confined definition of a view ends in the splice that
// brings it.
type bodyText struct {
	splice, end int
}

// expandView puts a view's definition, confined, in place of the FROM item n:
//
//	(SELECT ...) AS alias (columns)
//
// It needs no predicate of its own. The columns are written out, so they have
// their names whatever the definition calls them.
func (c *confiner) expandView(n *pg_query.Node, rv *pg_query.RangeVar, rel *catalog.Relation) error {
	if n.GetRangeVar() == nil {
		return c.refusal(ruleRelationView, fmt.Sprintf("TABLESAMPLE of view %q", rel.Name),
			"PostgreSQL takes samples of tables and materialized views only.", rv.Location)
	}
	body, err := c.viewBody(rv, rel)
	if err != nil {
		return err
	}
	e, ok := c.extent(rv, false)
	if !ok || !body.known {
		c.fail()
	} else {
		if c.copies == 0 {
			c.bodies[body.query] = bodyText{splice: len(c.splices), end: len("(" + body.text)}
		}
		c.replace(e.first, e.last, "("+body.text+") AS "+quoteAlways(referenceName(rv))+viewColumns(rv, rel))
	}
	c.views[n] = rv
	if rv.Alias == nil {
		c.bareViews[rel.Name] = rel
	}
	c.viewNames[referenceName(rv)] = rel
	if len(rv.Alias.GetColnames()) > 0 {
		c.renamed[referenceName(rv)] = true
	}
	n.Node = &pg_query.Node_RangeSubselect{RangeSubselect: &pg_query.RangeSubselect{
		Subquery: &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: body.query}},
		Alias:    &pg_query.Alias{Aliasname: referenceName(rv), Colnames: viewColumnNodes(rv, rel)},
	}}
	return nil
}

// viewColumnNodes are the names of a view's columns behind its alias.
func viewColumnNodes(rv *pg_query.RangeVar, rel *catalog.Relation) []*pg_query.Node {
	names := slices.Clone(rv.Alias.GetColnames())
	for i := len(names); i < len(rel.Columns); i++ {
		names = append(names, stringNode(rel.Columns[i].Name))
	}
	return names
}

// viewColumns are the same as text; a view may have no columns.
func viewColumns(rv *pg_query.RangeVar, rel *catalog.Relation) string {
	var names []string
	for _, n := range viewColumnNodes(rv, rel) {
		names = append(names, quoteIdent(n.GetString_().GetSval()))
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// viewBody confines the definition of a view, as if the client had sent it,
// but for the guard: functions in a view are the operator's choice. Nothing of
// the client's statement is in scope there.
func (c *confiner) viewBody(rv *pg_query.RangeVar, rel *catalog.Relation) (viewBody, error) {
	outer := c.outermost(rv)
	view := rel.View
	if view == nil || view.Definition == "" {
		return viewBody{}, c.viewRefusal(rel, outer, "its definition cannot be read for certain")
	}
	if len(c.within) >= maxViewDepth || slices.Contains(c.within, rel) {
		return viewBody{}, c.viewRefusal(rel, outer, "views nest too deeply in it")
	}
	if c.viewState.bytes += len(view.Definition); c.viewState.bytes > maxViewBytes {
		return viewBody{}, c.viewRefusal(rel, outer, "the definitions of all views in the statement are too long")
	}
	inner, query, err := c.viewConfiner(rel)
	if err != nil {
		return viewBody{}, c.viewRefusal(rel, outer, "its definition is not understood")
	}
	if err := inner.selectStmt(query, nil); err != nil {
		return viewBody{}, c.viewError(rel, outer, err)
	}
	if err := inner.viewReferences(&pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: query}}); err != nil {
		return viewBody{}, c.viewError(rel, outer, err)
	}
	if err := c.viewApart(inner, query); err != nil {
		return viewBody{}, c.viewError(rel, outer, err)
	}
	for within, found := range inner.resolved { // for who asks what is locked
		within.Location = outer
		c.resolved[within] = found
	}
	return c.finishedBody(inner, query, view)
}

// viewApart keeps the conditions of a definition from running on rows of other
// tenants.
func (c *confiner) viewApart(inner *confiner, query *pg_query.SelectStmt) error {
	if inner.known == nil {
		return nil
	}
	b := newBarrier(c.catalog, nil, &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: query}}, inner.known())
	b.view(query)
	return inner.keepApart(b)
}

// viewConfiner parses a definition and returns what confines it.
func (c *confiner) viewConfiner(rel *catalog.Relation) (*confiner, *pg_query.SelectStmt, error) {
	sql := rel.View.Definition
	if err := checkEncoding(sql); err != nil {
		return nil, nil, err
	}
	tokens, err := lexBounded(sql)
	if err != nil {
		return nil, nil, err
	}
	src := newSource(sql, tokens)
	if err := checkNames(src, c.catalog); err != nil {
		return nil, nil, err
	}
	stmts, err := parse(sql)
	if err != nil {
		return nil, nil, err
	}
	if len(stmts) != 1 || stmts[0].Stmt.GetSelectStmt() == nil || src.highestParam() > 0 {
		return nil, nil, errors.New("not one SELECT")
	}
	inner := newConfiner(c.config, c.catalog, src, c.keys)
	inner.within = append(slices.Clone(c.within), rel)
	inner.viewState = c.viewState
	inner.known = c.known
	return inner, stmts[0].Stmt.GetSelectStmt(), nil
}

// finishedBody writes the confined definition. A view with security_barrier
// keeps the conditions of its readers outside, as OFFSET does.
func (c *confiner) finishedBody(inner *confiner, query *pg_query.SelectStmt, view *catalog.View) (viewBody, error) {
	body := viewBody{query: query}
	src := inner.source
	end := len(src.sql)
	if last := len(src.tokens) - 1; src.punct(last, ";") {
		end = src.tokens[last].start
	}
	if !inner.unspliced {
		var text Template
		if text, body.known = spliced(src.sql, statementText{end: end, position: 1}, inner.splices); body.known {
			body.text = strings.TrimSpace(text.marked())
		}
	}
	if !view.Barrier {
		return body, nil
	}
	fence, err := parse("SELECT * FROM (SELECT) AS " + barrierAlias + " OFFSET 0")
	if err != nil {
		return viewBody{}, err
	}
	outer := fence[0].Stmt.GetSelectStmt()
	outer.FromClause[0].GetRangeSubselect().Subquery = &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: query}}
	body.query = outer
	body.text = "SELECT * FROM (" + body.text + ") AS " + barrierAlias + " OFFSET 0"
	return body, nil
}

// outermost is where the client's statement names the view, or the one that
// it is part of.
func (c *confiner) outermost(rv *pg_query.RangeVar) int32 {
	if len(c.within) > 0 {
		return -1 // whoever confines the outer view knows
	}
	return rv.Location
}

// checkView refuses, where row-level security confines, views that show rows
// of other tenants: PostgreSQL reads what is below a view as the view's owner.
func (c *confiner) checkView(rv *pg_query.RangeVar, rel *catalog.Relation) error {
	_, err := c.viewBody(rv, rel)
	return err
}

// permitBelow refuses a table of tenants below a view unless its policies hold
// for whom PostgreSQL reads it as.
func (c *confiner) permitBelow(rel *catalog.Relation) error {
	view := c.within[len(c.within)-1].View
	switch {
	case !rel.RowSecurity:
		return c.viewOwner("table " + rel.Name + " has no row-level security")
	case view.Invoker:
		return nil
	case view.OwnerExempt:
		return c.viewOwner("row-level security does not hold for the owner of view " + c.within[len(c.within)-1].Name)
	case slices.Contains(view.Owned, rel.OID):
		return c.viewOwner("table " + rel.Name + " has no FORCE ROW LEVEL SECURITY, which holds for the owner of the view")
	}
	return nil
}

// viewOwner makes the error of a view that shows more than its reader's rows.
func (c *confiner) viewOwner(reason string) error {
	return &ForbiddenError{
		Rule:    ruleRelationViewOwner,
		Message: "permission denied for view " + c.within[len(c.within)-1].Name,
		Hint:    "PostgreSQL reads the tables below a view as the view's owner: " + reason + ".",
	}
}

// viewRefusal makes the error of a view that cannot be followed.
func (c *confiner) viewRefusal(rel *catalog.Relation, offset int32, reason string) error {
	return c.refusal(ruleRelationView, fmt.Sprintf("view %q", rel.Name),
		"Name the tables themselves: "+reason+". The operator can list the view as shared if its rows are for all tenants.", offset)
}

// viewError makes the error of a view from that of its definition, which the
// client has not written: it names the view, where the client does.
func (c *confiner) viewError(rel *catalog.Relation, offset int32, err error) error {
	var forbidden *ForbiddenError
	var unsupported *UnsupportedError
	denied := &ForbiddenError{
		Rule:     ruleRelationViewDenied,
		Message:  "permission denied for view " + rel.Name,
		Position: c.position(offset),
	}
	switch {
	case errors.As(err, &forbidden) && (forbidden.Rule == ruleRelationViewOwner || forbidden.Rule == ruleRelationViewDenied):
		denied.Rule, denied.Hint = forbidden.Rule, forbidden.Hint
		return denied
	case errors.As(err, &forbidden):
		denied.Hint = "It reads what tenants cannot: " + forbidden.Message + "."
		return denied
	case errors.As(err, &unsupported) && unsupported.Rule == ruleRelationView:
		return c.refusal(unsupported.Rule, unsupported.Node, unsupported.Hint, offset)
	case errors.As(err, &unsupported):
		return c.viewRefusal(rel, offset, "its definition has "+unsupported.Node)
	default:
		return c.viewRefusal(rel, offset, "its definition cannot be confined")
	}
}

package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// A confiner goes once over a statement's tree. It finds out which relations
// the statement names and refuses those out of reach. With Config.Confine it
// edits the tree, and notes beside each edit the splice that should do the
// same to the text. Whether it does is for the proof to find out.
type confiner struct {
	config  *Config
	catalog *catalog.Snapshot
	source  *source
	keys    *keys

	declared []uint32 // types of parameters, as the client declared them
	dump     bool     // Request.Dump

	splices     []splice
	checks      []Check
	copyIn      *CopyIn              // what COPY FROM STDIN is turned into
	copyOut     *CopyOut             // what COPY TO STDOUT reads, if that is a table
	into        *pg_query.SelectStmt // the statement itself, if its rows go into a temporary table
	temporary   bool                 // temporary tables are named
	bound       []boundValue
	resolved    map[*pg_query.RangeVar]*catalog.Relation     // what names mean; common table expressions are missing
	unqualified map[*pg_query.RangeVar]bool                  // names that the client wrote without a schema
	starred     map[*pg_query.SelectStmt]int                 // the splice of a TABLE t that became SELECT * FROM t
	within      []*catalog.Relation                          // the views whose definition this is, outermost first
	viewState   *viewState                                   // shared with the confiners of the statement's views
	views       map[*pg_query.Node]*pg_query.RangeVar        // FROM items that were names of views
	viewNames   map[string]*catalog.Relation                 // views by the names that the statement refers to them by
	bareViews   map[string]*catalog.Relation                 // those of them without alias
	renamed     map[string]bool                              // those of them whose alias names columns
	bodies      map[*pg_query.SelectStmt]bodyText            // the definitions that stand for views, if the text has them
	operands    map[*pg_query.Node]map[*pg_query.Node]extent // where the operands of conditions are
	known       func() conditionKinds                        // what the barrier knows of a statement so far; nil without barrier
	vacant      int                                          // system catalogs that are still to be made empty
	copies      int                                          // above 0 in a copy of a part of the tree that the text has once
	unspliced   bool                                         // the text could not be followed: only the tree counts
}

func newConfiner(config *Config, cat *catalog.Snapshot, src *source, k *keys) *confiner {
	return &confiner{
		config:      config,
		catalog:     cat,
		source:      src,
		keys:        k,
		resolved:    make(map[*pg_query.RangeVar]*catalog.Relation),
		unqualified: make(map[*pg_query.RangeVar]bool),
		starred:     make(map[*pg_query.SelectStmt]int),
		viewState:   &viewState{},
		views:       make(map[*pg_query.Node]*pg_query.RangeVar),
		viewNames:   make(map[string]*catalog.Relation),
		bareViews:   make(map[string]*catalog.Relation),
		renamed:     make(map[string]bool),
		bodies:      make(map[*pg_query.SelectStmt]bodyText),
		operands:    make(map[*pg_query.Node]map[*pg_query.Node]extent),
	}
}

// splice notes a change of the text.
func (c *confiner) splice(s splice) {
	if c.copies == 0 {
		c.splices = append(c.splices, s)
	}
}

// after notes text that follows token i.
func (c *confiner) after(i, rank int, text string) {
	if i < 0 || i >= len(c.source.tokens) {
		c.fail()
		return
	}
	end := c.source.tokens[i].end
	c.splice(splice{start: end, end: end, rank: rank, text: text})
}

// before notes text that precedes token i.
func (c *confiner) before(i, rank int, text string) {
	if i < 0 || i >= len(c.source.tokens) {
		c.fail()
		return
	}
	start := c.source.tokens[i].start
	c.splice(splice{start: start, end: start, rank: rank, text: text})
}

// replace notes text that stands for the tokens from i to j.
func (c *confiner) replace(i, j int, text string) {
	if i < 0 || j < i || j >= len(c.source.tokens) {
		c.fail()
		return
	}
	c.splice(splice{start: c.source.tokens[i].start, end: c.source.tokens[j].end, rank: rankReplace, text: text})
}

// fail gives the text up: the tree will be deparsed.
func (c *confiner) fail() { c.unspliced = true }

// nodes confines what lies below some lists of nodes.
func (c *confiner) nodes(sc *scope, lists ...[]*pg_query.Node) error {
	for _, list := range lists {
		for _, n := range list {
			if err := c.node(n, sc); err != nil {
				return err
			}
		}
	}
	return nil
}

// node confines what lies below n. Statements can be anywhere; a relation
// only where its statement looks for it.
func (c *confiner) node(n *pg_query.Node, sc *scope) error {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt:
		return c.selectStmt(v.SelectStmt, sc)
	case *pg_query.Node_InsertStmt:
		return c.insertStmt(v.InsertStmt, sc)
	case *pg_query.Node_UpdateStmt:
		return c.updateStmt(v.UpdateStmt, sc)
	case *pg_query.Node_DeleteStmt:
		return c.deleteStmt(v.DeleteStmt, sc)
	case *pg_query.Node_MergeStmt:
		return c.mergeStmt(v.MergeStmt, sc)
	case *pg_query.Node_CurrentOfExpr:
		if c.config.Confine {
			return c.refusal(ruleCurrentOf, "WHERE CURRENT OF", "Use the table's key.", -1)
		}
		return nil
	case *pg_query.Node_RangeVar:
		return c.refusal(ruleRelationUnplanned, "a relation in this place", "", v.RangeVar.Location)
	case *pg_query.Node_MultiAssignRef:
		if v.MultiAssignRef.Colno > 1 { // the text has the source once, the tree for each column
			c.copies++
			defer func() { c.copies-- }()
		}
	case *pg_query.Node_AConst, *pg_query.Node_ParamRef, *pg_query.Node_ColumnRef:
		return nil // most of all nodes, with nothing below but names
	}
	return children(n, func(child *pg_query.Node) error { return c.node(child, sc) })
}

// fromItem confines one item of a FROM clause that stands below a join, or
// that is no relation.
func (c *confiner) fromItem(n *pg_query.Node, sc *scope) error {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_JoinExpr:
		return c.joinExpr(v.JoinExpr, sc)
	case *pg_query.Node_RangeVar, *pg_query.Node_RangeTableSample:
		rv, rel, err := c.plainItem(n, sc)
		if err != nil || rel == nil {
			return err
		}
		return c.filterJoin(n, rv, rel)
	case *pg_query.Node_RangeSubselect, *pg_query.Node_RangeFunction, *pg_query.Node_RangeTableFunc:
		return c.node(n, sc)
	}
	return unsupportedNode(nodeName(n), -1)
}

// plainItem finds the relation of a FROM item that is a name, perhaps with
// TABLESAMPLE. The relation is nil unless it has to be confined.
func (c *confiner) plainItem(n *pg_query.Node, sc *scope) (*pg_query.RangeVar, *catalog.Relation, error) {
	rv := n.GetRangeVar()
	if s := n.GetRangeTableSample(); s != nil {
		if rv = s.Relation.GetRangeVar(); rv == nil {
			return nil, nil, unsupportedNode(nodeName(s.Relation), s.Location)
		}
		if err := c.nodes(sc, s.Method, s.Args, one(s.Repeatable)); err != nil {
			return nil, nil, err
		}
	}
	rel, err := c.item(rv, sc)
	switch {
	case err != nil || rel == nil || !c.config.Confine:
		return rv, nil, err
	case rel.Class == catalog.Derived:
		return rv, nil, c.expandView(n, rv, rel)
	case !c.confines(rel):
		return rv, nil, nil
	}
	return rv, rel, nil
}

// confines reports whether references to the relation need the predicate.
func (c *confiner) confines(rel *catalog.Relation) bool {
	return c.config.Confine && rel.Class == catalog.Tenanted
}

func (c *confiner) joinExpr(j *pg_query.JoinExpr, sc *scope) error {
	if err := c.fromItem(j.Larg, sc); err != nil {
		return err
	}
	if err := c.fromItem(j.Rarg, sc); err != nil {
		return err
	}
	return c.nodes(sc, j.UsingClause, one(j.Quals, alias(j.JoinUsingAlias), alias(j.Alias)))
}

// extent finds the text of a FROM item or target that is a name: from ONLY to
// the end of its alias or TABLESAMPLE clause.
func (c *confiner) extent(rv *pg_query.RangeVar, sample bool) (extent, bool) {
	s := c.source
	i := s.find(rv.Location)
	if i < 0 {
		return extent{}, false
	}
	e := extent{first: i}
	brackets := false
	if !rv.Inh {
		switch {
		case s.is(i-1, "only"):
			e.first = i - 1
		case s.punct(i-1, "(") && s.is(i-2, "only"):
			e.first, brackets = i-2, true
		}
	}
	i = s.nameEnd(i)
	if brackets {
		i++ // the closing bracket
	}
	if rv.Inh && i < len(s.tokens) && s.tokens[i].op(s.sql, "*") {
		i++
	}
	if rv.Alias != nil {
		if s.is(i, "as") {
			i++
		}
		i = s.nameEnd(i)
		if len(rv.Alias.Colnames) > 0 {
			i = s.closing(i) + 1
		}
	}
	if sample {
		i = s.closing(s.nameEnd(i+1)) + 1
		if s.is(i, "repeatable") {
			i = s.closing(i+1) + 1
		}
	}
	e.last = i - 1
	return e, i > e.first && i <= len(s.tokens)
}

// nameEnd returns the token behind a name with dots that starts at i.
func (s *source) nameEnd(i int) int {
	for {
		if !s.name(i) {
			return i
		}
		i++
		if s.is(i, "uescape") {
			i += 2
		}
		if !s.punct(i, ".") {
			return i
		}
		i++
	}
}

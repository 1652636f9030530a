package rewrite

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// explainOptions are the options of EXPLAIN that tenants may use: what a plan
// looks like. The others show the statement's text to be run, more of it than
// the client wrote, or how the server is set up.
var explainOptions = []string{"format", "costs"}

// executing are the options that run the statement, and tell by counts, times
// and buffers what other tenants' rows it went over.
var executing = []string{"analyze", "buffers", "timing", "wal", "summary", "serialize", "memory"}

// explain decides about EXPLAIN. Estimates come from statistics over the rows
// of all tenants, so it needs Config.Explain.
func (w *walk) explain(n *pg_query.Node, s *pg_query.ExplainStmt) error {
	if !w.g.explain {
		return refuseStatement(n, w.place)
	}
	for _, option := range s.Options {
		name := option.GetDefElem().GetDefname()
		position := w.at(option.GetDefElem().GetLocation()).position()
		switch {
		case slices.Contains(executing, name):
			return &UnsupportedError{
				Rule: ruleStatementExplainAnalyze, Node: "EXPLAIN with " + strings.ToUpper(name),
				Hint: "Counts and times tell of other tenants' rows.", Position: position,
			}
		case !slices.Contains(explainOptions, name):
			return &UnsupportedError{
				Rule: ruleStatementExplainOption, Node: "EXPLAIN with " + strings.ToUpper(name),
				Hint: "The options are FORMAT and COSTS.", Position: position,
			}
		}
	}
	for _, option := range s.Options {
		switch option.GetDefElem().GetArg().GetNode().(type) {
		case nil, *pg_query.Node_String_, *pg_query.Node_Integer, *pg_query.Node_Boolean:
		default:
			return w.unlistedNode(nodeName(option.GetDefElem().GetArg()), option.GetDefElem().GetLocation())
		}
	}
	switch s.Query.GetNode().(type) {
	case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt,
		*pg_query.Node_MergeStmt:
		return w.statement(s.Query)
	default: // CREATE TABLE AS, EXECUTE, DECLARE
		return refuseStatement(n, w.place)
	}
}

// explain confines the statement whose plan is asked for.
func (c *confiner) explain(s *pg_query.ExplainStmt) error {
	return c.node(s.Query, nil)
}

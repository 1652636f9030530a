package rewrite

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// Some statements are sent in words of the proxy's own: those that set
// search_path, to the only values it may have; the way in which pg_dump sets a
// parameter that older servers do not have; how it asks for sequences, and
// PgJDBC for parameters.

const (
	searchPath = "search_path"
	// relationKinds is the run-time parameter that pg_dump sets by way of
	// pg_settings. It only takes away.
	relationKinds = "restrict_nonsystem_relation_kind"
)

// ownText returns the statement that goes to the server instead of such a
// statement; ok is false for every other one.
func (r *Rewriter) ownText(req Request, cat *catalog.Snapshot, src *source, raw *pg_query.RawStmt) (s Statement, ok bool) {
	switch v := raw.Stmt.GetNode().(type) {
	case *pg_query.Node_VariableSetStmt:
		s, ok = setPath(v.VariableSetStmt, cat)
	case *pg_query.Node_SelectStmt:
		if cat.FunctionDenied(schemaCatalog, "set_config") {
			return Statement{}, false
		}
		if s, ok = selectPath(v.SelectStmt, cat); !ok {
			s, ok = selectKinds(v.SelectStmt, cat.ServerVersion)
		}
		if !ok {
			s, ok = selectPreset(v.SelectStmt, cat, src)
		}
		if !ok && req.Dump {
			s, ok = dumpedSequences(raw.Stmt)
		}
	}
	if ok && req.Extended {
		s.Params = max(len(req.ParamOIDs), src.highestParam())
	}
	return s, ok
}

// setPath reads SET search_path and SET SCHEMA.
func setPath(v *pg_query.VariableSetStmt, cat *catalog.Snapshot) (Statement, bool) {
	if v.Kind != pg_query.VariableSetKind_VAR_SET_VALUE || foldASCII(v.Name) != searchPath {
		return Statement{}, false
	}
	var schemas []string
	for _, n := range v.Args {
		name := n.GetAConst().GetSval()
		if name == nil {
			return Statement{}, false
		}
		schemas = append(schemas, name.Sval)
	}
	setting, ok := cat.PinnedPath(schemas)
	if !ok {
		return Statement{}, false
	}
	words := "SET "
	if v.IsLocal {
		words = "SET LOCAL "
	}
	return pathStatement(words+"search_path TO "+setting, setting), true
}

// selectPath reads SELECT set_config('search_path', 'value', false).
func selectPath(v *pg_query.SelectStmt, cat *catalog.Snapshot) (Statement, bool) {
	config := onlyCall(v)
	if !targetsAlone(v) || plainCall(config) != "set_config" || len(config.Args) != 3 {
		return Statement{}, false
	}
	name, _ := stringConstant(config.Args[0])
	value, constant := stringConstant(config.Args[1])
	local, isBool := config.Args[2].GetAConst().GetVal().(*pg_query.A_Const_Boolval)
	if !constant || !isBool || foldASCII(name) != searchPath {
		return Statement{}, false
	}
	setting, ok := cat.PinnedPathOf(value)
	if !ok {
		return Statement{}, false
	}
	sql := "SELECT pg_catalog.set_config('search_path', " + quoteLiteral(setting) + ", " + sqlBool(local.Boolval.GetBoolval()) + ") AS set_config"
	return pathStatement(sql, setting), true
}

func pathStatement(sql, setting string) Statement {
	return Statement{Kind: KindSet, Name: searchPath, Value: setting, Text: fixedTemplate(sql)}
}

// selectKinds reads what pg_dump sends to set relationKinds:
//
//	SELECT set_config(name, 'value', false) FROM pg_settings WHERE name = '...'
//
// A server that does not have the parameter answers no rows.
func selectKinds(v *pg_query.SelectStmt, serverVersion int) (Statement, bool) {
	config := onlyCall(v)
	if plainCall(config) != "set_config" || len(config.Args) != 3 || len(v.FromClause) != 1 || v.WhereClause == nil {
		return Statement{}, false
	}
	value, constant := stringConstant(config.Args[1])
	if !constant || strings.Trim(value, "abcdefghijklmnopqrstuvwxyz-, ") != "" {
		return Statement{}, false
	}
	is := "SELECT set_config(name, " + quoteLiteral(value) + ", false) FROM pg_settings WHERE name = '" + relationKinds + "'"
	stmts, err := parse(is)
	if err != nil || !equalTrees(stmts[0].Stmt, &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: v}}) {
		return Statement{}, false
	}
	s := Statement{Text: fixedTemplate("SELECT pg_catalog.set_config(s.name, " + quoteLiteral(value) +
		", false) AS set_config FROM pg_catalog.pg_settings AS s WHERE s.name OPERATOR(pg_catalog.=) '" + relationKinds + "'")}
	if hasRelationKinds(serverVersion) {
		s.Kind, s.Name = KindSet, relationKinds
	}
	return s, true
}

// dumpedSequences reads the one statement by which pg_dump 18 asks for the
// values of all sequences. It gets none, and dumps no sequence of a tenant.
func dumpedSequences(n *pg_query.Node) (Statement, bool) {
	const columns = "SELECT seqrelid, format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle, "
	stmts, err := parse(columns + "last_value, is_called FROM pg_catalog.pg_sequence, pg_get_sequence_data(seqrelid) ORDER BY seqrelid")
	if err != nil || !equalTrees(stmts[0].Stmt, n) {
		return Statement{}, false
	}
	return Statement{Text: fixedTemplate("SELECT seqrelid, pg_catalog.format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin, " +
		"seqcache, seqcycle, NULL::pg_catalog.int8 AS last_value, NULL::pg_catalog.bool AS is_called FROM pg_catalog.pg_sequence ORDER BY seqrelid")}, true
}

// hasRelationKinds reports whether a server has the parameter, which came with
// minor versions.
func hasRelationKinds(serverVersion int) bool {
	since := map[int]int{14: 13, 15: 8, 16: 4}
	minor, old := since[serverVersion/10000]
	return !old || serverVersion%10000 >= minor
}

// onlyCall is the function call that is a SELECT's whole target list, or nil.
func onlyCall(s *pg_query.SelectStmt) *pg_query.FuncCall {
	if len(s.TargetList) != 1 {
		return nil
	}
	return s.TargetList[0].GetResTarget().GetVal().GetFuncCall()
}

func sqlBool(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

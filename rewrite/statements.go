package rewrite

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// A statementRule refuses a kind of statement.
type statementRule struct {
	rule  string
	words string // what the statement is in SQL; "" is made of the node's name
	hint  string
	later bool // it is not covered, rather than forbidden
}

const (
	hintDDL       = "Send it as an operator: definitions are the same for all tenants."
	hintOperators = "It concerns all tenants; send it as an operator."
)

// statementRules are the statements that are refused whatever is in them, by
// their node's name.
var statementRules = map[string]statementRule{
	"ExplainStmt":       {rule: ruleStatementExplain, words: "EXPLAIN", hint: "Estimates tell of other tenants' rows.", later: true},
	"LockStmt":          {rule: ruleStatementLock, words: "LOCK", hint: "The lock would hold up all tenants; lock rows with SELECT ... FOR UPDATE, or IN ACCESS SHARE MODE.", later: true},
	"CreateTableAsStmt": {rule: ruleStatementCreateTableAs, words: "CREATE TABLE AS", hint: hintDDL, later: true},
	"CallStmt":          {rule: ruleStatementCall, words: "CALL", later: true},

	"TruncateStmt": {rule: ruleStatementTruncate, words: "TRUNCATE", hint: "It would empty the table for all tenants; use DELETE."},
	"DoStmt":       {rule: ruleStatementDo, words: "DO", hint: "The body could hold any statement."},

	"GrantStmt":                  {rule: ruleStatementGrant, words: "GRANT or REVOKE", hint: hintOperators},
	"GrantRoleStmt":              {rule: ruleStatementGrant, words: "GRANT or REVOKE", hint: hintOperators},
	"AlterDefaultPrivilegesStmt": {rule: ruleStatementGrant, words: "ALTER DEFAULT PRIVILEGES", hint: hintOperators},

	"CreateRoleStmt":    {rule: ruleStatementRole, words: "CREATE ROLE", hint: hintOperators},
	"AlterRoleStmt":     {rule: ruleStatementRole, words: "ALTER ROLE", hint: hintOperators},
	"AlterRoleSetStmt":  {rule: ruleStatementRole, words: "ALTER ROLE", hint: hintOperators},
	"DropRoleStmt":      {rule: ruleStatementRole, words: "DROP ROLE", hint: hintOperators},
	"DropOwnedStmt":     {rule: ruleStatementRole, words: "DROP OWNED", hint: hintOperators},
	"ReassignOwnedStmt": {rule: ruleStatementRole, words: "REASSIGN OWNED", hint: hintOperators},

	"AlterSystemStmt":              {rule: ruleStatementServer, words: "ALTER SYSTEM", hint: hintOperators},
	"CreatedbStmt":                 {rule: ruleStatementServer, words: "CREATE DATABASE", hint: hintOperators},
	"AlterDatabaseStmt":            {rule: ruleStatementServer, words: "ALTER DATABASE", hint: hintOperators},
	"AlterDatabaseSetStmt":         {rule: ruleStatementServer, words: "ALTER DATABASE", hint: hintOperators},
	"AlterDatabaseRefreshCollStmt": {rule: ruleStatementServer, words: "ALTER DATABASE", hint: hintOperators},
	"DropdbStmt":                   {rule: ruleStatementServer, words: "DROP DATABASE", hint: hintOperators},
	"CreateTableSpaceStmt":         {rule: ruleStatementServer, words: "CREATE TABLESPACE", hint: hintOperators},
	"AlterTableSpaceOptionsStmt":   {rule: ruleStatementServer, words: "ALTER TABLESPACE", hint: hintOperators},
	"DropTableSpaceStmt":           {rule: ruleStatementServer, words: "DROP TABLESPACE", hint: hintOperators},

	"CheckPointStmt":     {rule: ruleStatementMaintenance, words: "CHECKPOINT", hint: hintOperators},
	"LoadStmt":           {rule: ruleStatementMaintenance, words: "LOAD", hint: hintOperators},
	"VacuumStmt":         {rule: ruleStatementMaintenance, words: "VACUUM or ANALYZE", hint: hintOperators},
	"ClusterStmt":        {rule: ruleStatementMaintenance, words: "CLUSTER", hint: hintOperators},
	"ReindexStmt":        {rule: ruleStatementMaintenance, words: "REINDEX", hint: hintOperators},
	"RefreshMatViewStmt": {rule: ruleStatementMaintenance, words: "REFRESH MATERIALIZED VIEW", hint: hintOperators},

	"CommentStmt":             {rule: ruleStatementDDL, words: "COMMENT", hint: hintDDL},
	"SecLabelStmt":            {rule: ruleStatementDDL, words: "SECURITY LABEL", hint: hintDDL},
	"CreateStmt":              {rule: ruleStatementDDL, words: "CREATE TABLE", hint: hintDDL},
	"ViewStmt":                {rule: ruleStatementDDL, words: "CREATE VIEW", hint: hintDDL},
	"IndexStmt":               {rule: ruleStatementDDL, words: "CREATE INDEX", hint: hintDDL},
	"RuleStmt":                {rule: ruleStatementDDL, words: "CREATE RULE", hint: hintDDL},
	"DefineStmt":              {rule: ruleStatementDDL, words: "CREATE", hint: hintDDL},
	"CompositeTypeStmt":       {rule: ruleStatementDDL, words: "CREATE TYPE", hint: hintDDL},
	"DropStmt":                {rule: ruleStatementDDL, words: "DROP", hint: hintDDL},
	"RenameStmt":              {rule: ruleStatementDDL, words: "ALTER ... RENAME", hint: hintDDL},
	"CreatePlangStmt":         {rule: ruleStatementDDL, words: "CREATE LANGUAGE", hint: hintDDL},
	"CreateTrigStmt":          {rule: ruleStatementDDL, words: "CREATE TRIGGER", hint: hintDDL},
	"ImportForeignSchemaStmt": {rule: ruleStatementDDL, words: "IMPORT FOREIGN SCHEMA", hint: hintDDL},
}

// ruleForStatement returns the rule that refuses a statement of this node's
// name. Definitions that have no entry are told by CREATE, ALTER or DROP.
func ruleForStatement(node string) (statementRule, bool) {
	if r, ok := statementRules[node]; ok {
		return r, true
	}
	for _, verb := range []string{"Create", "Alter", "Drop"} {
		if strings.HasPrefix(node, verb) && strings.HasSuffix(node, "Stmt") {
			return statementRule{rule: ruleStatementDDL, words: wordsOf(strings.TrimSuffix(node, "Stmt")), hint: hintDDL}, true
		}
	}
	return statementRule{}, false
}

// wordsOf turns AlterTable into ALTER TABLE.
func wordsOf(node string) string {
	var b strings.Builder
	for i, c := range node {
		if i > 0 && c >= 'A' && c <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}

// refuseStatement makes the error of a statement that is no tenant's.
func refuseStatement(n *pg_query.Node, at place) error {
	name := nodeName(n)
	r, ok := ruleForStatement(name)
	switch {
	case !ok:
		return &UnsupportedError{Rule: ruleStatementUnknown, Node: wordsOf(strings.TrimSuffix(name, "Stmt")), Position: at.position()}
	case r.later:
		return &UnsupportedError{Rule: r.rule, Node: r.words, Hint: r.hint, Position: at.position()}
	default:
		return &ForbiddenError{Rule: r.rule, Message: r.words + " is not permitted for tenants", Hint: r.hint, Position: at.position()}
	}
}

// transaction decides about statements that control transactions.
func (g *guard) transaction(s *pg_query.TransactionStmt, at place) (Kind, string, error) {
	if s.Chain {
		return 0, "", &UnsupportedError{
			Rule: ruleTransactionChain, Node: "AND CHAIN",
			Hint: "Send BEGIN after it.", Position: at.position(),
		}
	}
	switch s.Kind {
	case pg_query.TransactionStmtKind_TRANS_STMT_BEGIN, pg_query.TransactionStmtKind_TRANS_STMT_START:
		return KindBegin, "", nil
	case pg_query.TransactionStmtKind_TRANS_STMT_COMMIT:
		return KindCommit, "", nil
	case pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		return KindRollback, "", nil
	case pg_query.TransactionStmtKind_TRANS_STMT_SAVEPOINT, pg_query.TransactionStmtKind_TRANS_STMT_RELEASE:
		return KindSavepoint, "", nil
	case pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		return KindRollbackTo, "", nil
	case pg_query.TransactionStmtKind_TRANS_STMT_PREPARE, pg_query.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED,
		pg_query.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		return 0, "", &UnsupportedError{
			Rule: ruleTransactionPrepared, Node: "a prepared transaction",
			Hint: "Its locks would outlive the session.", Position: at.position(),
		}
	default:
		return 0, "", &UnsupportedError{Rule: ruleStatementUnknown, Node: "this transaction statement", Position: at.position()}
	}
}

// discard decides about DISCARD.
func (g *guard) discard(s *pg_query.DiscardStmt, at place) (Kind, string, error) {
	switch s.Target {
	case pg_query.DiscardMode_DISCARD_ALL:
		return KindDiscard, "all", nil
	case pg_query.DiscardMode_DISCARD_PLANS:
		return KindDiscard, "plans", nil
	case pg_query.DiscardMode_DISCARD_SEQUENCES:
		return KindDiscard, "sequences", nil
	case pg_query.DiscardMode_DISCARD_TEMP:
		if g.tempTables {
			return KindQuery, "", nil // the server has them
		}
		return KindDiscard, "temp", nil
	default:
		return 0, "", &UnsupportedError{Rule: ruleStatementUnknown, Node: "this DISCARD", Position: at.position()}
	}
}

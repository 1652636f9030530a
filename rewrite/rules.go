package rewrite

// Ids of the rules by which the lexer and the guard refuse statements. They
// are stable and documented in docs/rules.md.
const (
	ruleLiteralContinued = "literal.continued"
	ruleLiteralNumber    = "literal.number"

	ruleStatementUnknown        = "statement.unknown"
	ruleStatementExplain        = "statement.explain"
	ruleStatementExplainAnalyze = "statement.explain_analyze"
	ruleStatementExplainOption  = "statement.explain_option"
	ruleStatementPrepare        = "statement.prepare"
	ruleStatementExecute        = "statement.execute"
	ruleStatementLock           = "statement.lock"
	ruleStatementCreateTableAs  = "statement.create_table_as"
	ruleStatementCall           = "statement.call"
	ruleStatementTruncate       = "statement.truncate"
	ruleStatementDo             = "statement.do"
	ruleStatementDDL            = "statement.ddl"
	ruleStatementGrant          = "statement.grant"
	ruleStatementRole           = "statement.role"
	ruleStatementServer         = "statement.server"
	ruleStatementMaintenance    = "statement.maintenance"

	ruleTransactionChain    = "transaction.chain"
	ruleTransactionPrepared = "transaction.prepared"
	ruleTransactionSnapshot = "transaction.snapshot"

	ruleSettingTenant          = "setting.tenant"
	ruleSettingRole            = "setting.role"
	ruleSettingRowSecurity     = "setting.row_security"
	ruleSettingReplicationRole = "setting.replication_role"
	ruleSettingSearchPath      = "setting.search_path"
	ruleSettingUnlisted        = "setting.unlisted"
	ruleSettingValue           = "setting.value"
	ruleSettingForm            = "setting.form"

	ruleFunctionUnlisted       = "function.unlisted"
	ruleFunctionDenied         = "function.denied"
	ruleFunctionShadowed       = "function.shadowed"
	ruleFunctionNotation       = "function.column_notation"
	ruleFunctionCatalogOnly    = "function.catalog_only"
	ruleFunctionCurrentSetting = "function.current_setting"
	ruleOperatorUnlisted       = "operator.unlisted"
	ruleTypeUnlisted           = "type.unlisted"
	ruleSampleMethod           = "sample.method"
	ruleRelationSystem         = "relation.system"
	ruleDumpDefinitions        = "dump.definitions"
	ruleNodeUnlisted           = "node.unlisted"

	ruleTemporaryForm = "temporary.form"
	ruleTemporaryName = "temporary.name"
)

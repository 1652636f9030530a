package rewrite

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// Ids of the rules by which relations and statements are refused. They are
// stable and documented.
const (
	ruleRelationDenied           = "relation.denied"
	ruleRelationSharedReadOnly   = "relation.shared_read_only"
	ruleRelationNoRowSecurity    = "relation.no_row_security"
	ruleRelationView             = "relation.view"
	ruleRelationViewWrite        = "relation.view_write"
	ruleRelationViewOwner        = "relation.view_owner"
	ruleRelationViewDenied       = "relation.view_denied"
	ruleViewWholeRow             = "view.whole_row"
	ruleViewQualified            = "view.qualified_column"
	ruleRelationMaterializedView = "relation.materialized_view"
	ruleRelationForeignTable     = "relation.foreign_table"
	ruleRelationSequence         = "relation.sequence"
	ruleRelationKind             = "relation.kind"
	ruleRelationDatabase         = "relation.database_qualified"
	ruleRelationUnplanned        = "relation.unplanned"
	ruleNameLength               = "name.length"
	ruleNodeUnplanned            = "node.unplanned"
	ruleTenantType               = "tenant.type"
	ruleAliasAmbiguous           = "alias.ambiguous"
	ruleInsertTenantExpression   = "insert.tenant_expression"
	ruleInsertUnknownWidth       = "insert.unknown_width"
	ruleUpdateTenantExpression   = "update.tenant_expression"
	ruleCurrentOf                = "statement.current_of"
	ruleSelectInto               = "statement.select_into"
	ruleCopyTarget               = "copy.target"
	ruleParameterLimit           = "parameters.limit"
	ruleUnproven                 = "rewrite.unproven"
)

// refusal makes the error of a construct that is not covered, at a byte offset
// of the client's text; -1 is unknown.
func (c *confiner) refusal(rule, node, hint string, offset int32) error {
	return &UnsupportedError{Rule: rule, Node: node, Hint: hint, Position: c.position(offset)}
}

// position is where a byte offset lies in the client's text; 0 is unknown.
func (c *confiner) position(offset int32) int {
	return offsetPosition(c.source.sql, offset)
}

// denied makes the error of a relation that is out of reach.
func (c *confiner) denied(rel *catalog.Relation, offset int32) error {
	hint := "Tables without the tenant column have to be listed under tenancy.tables."
	if rel.Reason != "" {
		hint = "Tenants cannot use it: " + rel.Reason + "."
	}
	return &ForbiddenError{
		Rule:     ruleRelationDenied,
		Message:  fmt.Sprintf("permission denied for %s %s", kindWord(rel.Kind), rel.Name),
		Hint:     hint,
		Position: c.position(offset),
	}
}

// readOnly makes the error of a write to what tenants share.
func (c *confiner) readOnly(rel *catalog.Relation, offset int32) error {
	return c.sharedError(rel, "All tenants share the relation, and can only read it.", offset)
}

// unlockable makes the error of a lock of rows that tenants share.
func (c *confiner) unlockable(rel *catalog.Relation, offset int32) error {
	return c.sharedError(rel, "All tenants share the relation; lock the rows of others with FOR UPDATE OF.", offset)
}

func (c *confiner) sharedError(rel *catalog.Relation, hint string, offset int32) error {
	return &ForbiddenError{
		Rule:     ruleRelationSharedReadOnly,
		Message:  fmt.Sprintf("permission denied for %s %s", kindWord(rel.Kind), rel.Name),
		Hint:     hint,
		Position: c.position(offset),
	}
}

// kindWord is what PostgreSQL's messages call a relation.
func kindWord(kind byte) string {
	switch kind {
	case 'v':
		return "view"
	case 'm':
		return "materialized view"
	case 'f':
		return "foreign table"
	case 'S':
		return "sequence"
	default:
		return "table"
	}
}

// kindRule is the rule that refuses a relation that is no table.
func kindRule(kind byte) string {
	switch kind {
	case 'v':
		return ruleRelationView
	case 'm':
		return ruleRelationMaterializedView
	case 'f':
		return ruleRelationForeignTable
	case 'S':
		return ruleRelationSequence
	default:
		return ruleRelationKind
	}
}

// writtenName is a relation's name as the client wrote it, folded.
func writtenName(rv *pg_query.RangeVar) string {
	if rv.Schemaname != "" {
		return rv.Schemaname + "." + rv.Relname
	}
	return rv.Relname
}

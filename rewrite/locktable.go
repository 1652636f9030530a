package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// accessShare is ACCESS SHARE of LockStmt.mode: the lock that every query
// takes of the tables it reads.
const accessShare = 1

// lockTable decides about LOCK. pg_dump locks what it will read, as reading
// does; any stronger lock would hold up the other tenants.
func (g *guard) lockTable(n *pg_query.Node, at place) error {
	if n.GetLockStmt().Mode == accessShare {
		return nil
	}
	return refuseStatement(n, at)
}

// lockTable lets tables be locked that the tenant may read.
func (c *confiner) lockTable(s *pg_query.LockStmt) error {
	for _, n := range s.Relations {
		rv := n.GetRangeVar()
		if rv == nil {
			return unsupportedNode(nodeName(n), -1)
		}
		rel, err := c.relation(rv, nil)
		if err != nil {
			return err
		}
		if rel.Kind != 'r' && rel.Kind != 'p' || rel.Class == catalog.System {
			return c.refusal(ruleStatementLock, "LOCK of "+kindWord(rel.Kind)+" "+quoteAlways(rel.Name),
				"Lock the tables themselves.", rv.Location)
		}
	}
	return nil
}

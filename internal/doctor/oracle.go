package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/rewrite/catalog"
)

// A Session is a tenant's own, through a proxy.
type Session struct {
	Tenant, Key string
	Query       catalog.Querier
}

// divisionByZero is the SQLSTATE that the probes' sub-select raises when it
// runs.
const divisionByZero = "22012"

// oracleTables bounds how many tables a session is asked about.
const oracleTables = 100

// oracleChecks ask, as a tenant, for rows that are not the tenant's under a
// condition that fails. If it does, the condition has run on another tenant's
// row: failing or not, it tells what that row holds.
var oracleChecks = []check{{
	name: "conditions-tell",
	when: func(p *patient) bool { return len(p.cfg.Sessions) > 0 && !p.cfg.OneTenant },
	look: func(ctx context.Context, p *patient) error {
		for _, s := range p.cfg.Sessions {
			for i, r := range p.tables() {
				if i == oracleTables {
					break
				}
				if err := p.ask(ctx, s, r); err != nil {
					return fmt.Errorf("as tenant %s: %w", s.Tenant, err)
				}
			}
		}
		return nil
	},
}}

// oracles are conditions that are true for others' rows alone, and fail then:
// %[1]s is the tenant column, %[2]s the key. The sub-select stands where no
// index can have it run before there is a row. What PostgreSQL takes for cheaper
// than a policy's own condition, as a list of one, it runs before that.
var oracles = []string{
	"CASE WHEN %[1]s <> %[2]s THEN (" + failingValue + ") END",
	"CASE WHEN %[1]s <> ALL (ARRAY[%[2]s]) THEN (" + failingValue + ") END",
}

const failingValue = "SELECT 1 / (n - 1) > 0 FROM (VALUES (1), (1)) AS v (n) LIMIT 1"

// ask sends the probes for one table. A probe that is refused tells nothing.
func (p *patient) ask(ctx context.Context, s Session, r *catalog.Relation) error {
	typ := ""
	for _, c := range r.Columns {
		if c.Name == r.TenantColumn {
			typ = catalog.Name{Schema: c.Type.Schema, Name: c.Type.Name}.String()
		}
	}
	key := "'" + strings.ReplaceAll(s.Key, "'", "''") + "'::" + typ
	for _, oracle := range oracles {
		condition := fmt.Sprintf(oracle, "t."+quote(r.TenantColumn), key)
		_, err := s.Query.Query(ctx, "SELECT 1 FROM "+qualified(r)+" AS t WHERE "+condition)
		var refused *pgconn.PgError
		switch {
		case err == nil:
		case errors.As(err, &refused) && refused.Code == divisionByZero:
			p.conditionsTell(r)
			return nil
		case errors.As(err, &refused) && refused.Code == queryCanceled:
			p.add(Warning, "probe-too-slow", qualified(r), "whether a tenant's condition runs on others' rows of it was not known in time")
			return nil
		case errors.As(err, &refused) && !broken(refused):
		default:
			return err
		}
	}
	return nil
}

func (p *patient) conditionsTell(r *catalog.Relation) {
	if p.cfg.Rewriting {
		p.add(Error, "conditions-tell", qualified(r), "a tenant's condition has run on rows of others: whether it fails tells what they hold")
		return
	}
	p.add(Warning, "conditions-tell", qualified(r),
		"a tenant's condition has run on rows of others before the policy: whether it fails tells what they hold; "+
			"enforcement by rls alone is for applications, where tenants write SQL themselves use both")
}

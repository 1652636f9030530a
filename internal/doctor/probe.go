package doctor

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/rewrite/catalog"
)

// queryCanceled is the SQLSTATE of a statement that took too long.
const queryCanceled = "57014"

// troubled are the classes of SQLSTATEs that tell nothing of policies: the
// server is short of something, going away, or broken.
var troubled = []string{"08", "53", "57", "58", "XX"}

// probeChecks read tenanted tables as no tenant. The connection is a fresh
// one: whatever it sees, every new server connection sees.
var probeChecks = []check{{name: "visible-without-tenant", when: reliesOnPolicies, look: probe}}

func probe(ctx context.Context, p *patient) error {
	var everything []catalog.Relation
	for _, r := range p.tables() {
		if r.RowSecurity { // the others have been named
			everything = append(everything, *r)
		}
	}
	for i := range everything {
		if err := p.probe(ctx, &everything[i]); err != nil {
			return err
		}
	}
	return nil
}

// probe asks for one row. An error is as good as none: a policy may fail
// without a tenant.
func (p *patient) probe(ctx context.Context, r *catalog.Relation) error {
	rows, err := p.query.Query(ctx, "SELECT 1 FROM "+qualified(r)+" LIMIT 1")
	var refused *pgconn.PgError
	switch {
	case err == nil && len(rows) == 0:
		return nil
	case err == nil:
		p.add(Error, "visible-without-tenant", qualified(r), "a session that no tenant was set for sees rows of it", p.policySQL(catalog.Restriction, r)...)
		return nil
	case errors.As(err, &refused) && refused.Code == queryCanceled:
		p.add(Warning, "probe-too-slow", qualified(r), "whether a session without a tenant sees rows of it was not known in time")
		return nil
	case errors.As(err, &refused) && !broken(refused):
		return nil // no privilege, no such parameter, '' is no key, or what the policy itself raises
	default:
		return err
	}
}

// broken reports whether an error tells nothing of what was asked.
func broken(err *pgconn.PgError) bool {
	return len(err.Code) != 5 || slices.Contains(troubled, err.Code[:2])
}

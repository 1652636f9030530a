package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/rewrite/catalog"
)

// sealFunction is what policies read the tenant from where the setting holds a
// token.
const sealFunction = "tenantgate.tenant()"

// lookAtSeal finds out whether the database verifies what the proxy makes, by
// the function that it should have.
func lookAtSeal(ctx context.Context, p *patient) error {
	missing, err := catalog.Seal(p.snapshot, p.bootstrap())
	switch {
	case err != nil: // without the table there is no key
		p.add(Error, "seal-missing", sealFunction, "tenancy.seal is on, and the database has no key to verify tokens with: run tenantgate bootstrap")
		return nil
	case len(missing) > 0:
		var sql []string
		for _, d := range missing {
			sql = append(sql, d.SQL)
		}
		p.add(Error, "seal-changed", sealFunction, "what verifies tokens is not as tenantgate bootstrap makes it", sql...)
	}
	err = catalog.CheckSeal(ctx, p.query, p.cfg.Catalog.Setting, *p.cfg.Seal)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && len(refused.Code) == 5 && slices.Contains(troubled, refused.Code[:2]) {
		return err
	}
	if err != nil {
		p.add(Error, "seal-key", sealFunction, "a token made with the configuration's key is not accepted ("+err.Error()+"): run tenantgate bootstrap")
	}
	return nil
}

// isSeal reports whether a function is the one of the seal, which is held
// against what it should be as a whole.
func (p *patient) isSeal(function string) bool {
	return p.cfg.Seal != nil && p.cfg.RowSecurity && !p.cfg.OneTenant && function == sealFunction
}

// withoutSeal returns the policies with the function that verifies tokens read
// as the setting, and finds those that do otherwise than tenancy.seal says.
func (p *patient) withoutSeal(r *catalog.Relation, policies []policy) []policy {
	policies = slices.Clone(policies)
	sealed := p.cfg.Seal != nil
	for i := range policies {
		x := &policies[i]
		verifies, reads := p.readsTenant(x)
		object := qualified(r) + "." + quote(x.name)
		switch {
		case reads && sealed:
			p.add(Error, "policy-unsealed", object, "tenancy.seal is on, and the policy goes by what the setting says without verifying it", p.policySQL(catalog.RowSecurity, r)...)
		case verifies && !sealed:
			p.add(Error, "policy-sealed", object, "tenancy.seal is off, and the policy wants a token in the setting: tenants see nothing", p.policySQL(catalog.RowSecurity, r)...)
		}
		x.using, x.check = p.plainSource(x.using), p.plainSource(x.check)
	}
	return policies
}

// readsTenant tells whether a policy reads the tenant from the function that
// verifies it, and whether from the setting.
func (p *patient) readsTenant(x *policy) (verifies, reads bool) {
	for _, expression := range []string{x.using, x.check} {
		all, _ := tokens(expression)
		verifies = verifies || sealAt(all) >= 0
		for i := range all {
			reads = reads || all[i] == "current_setting" && i+2 < len(all) && strings.EqualFold(all[i+2], "'"+p.cfg.Catalog.Setting+"'")
		}
	}
	return verifies, reads
}

// plainSource writes current_setting in place of the function that verifies
// the setting. What a sealed policy would read without it holds nothing.
func (p *patient) plainSource(expression string) string {
	all, ok := tokens(expression)
	if !ok || sealAt(all) < 0 {
		return expression
	}
	for i := sealAt(all); i >= 0; i = sealAt(all) {
		all = slices.Replace(all, i, i+5, "current_setting", "(", "'"+p.cfg.Catalog.Setting+"'", ")")
	}
	return strings.Join(all, " ")
}

// sealAt is where the function that verifies tokens is called first, less than
// 0 if it is not.
func sealAt(all []string) int {
	call := []string{"tenantgate", ".", "tenant", "(", ")"}
	for i := range all {
		if len(all)-i >= len(call) && slices.Equal(all[i:i+len(call)], call) {
			return i
		}
	}
	return -1
}

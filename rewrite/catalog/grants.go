package catalog

import (
	"slices"
	"strings"
)

var (
	readPrivileges  = []string{"SELECT"}
	writePrivileges = []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
)

// databaseGrants lets the role connect.
func (p *planner) databaseGrants() {
	want := []string{"CONNECT"}
	if p.cfg.TempTables {
		want = append(want, "TEMPORARY")
	}
	on := "DATABASE " + quoteName(p.in.database)
	p.grant(on, p.in.connect, want, "the role connects to this database")
	p.revoke(on, p.in.connect, want, "the role makes nothing of its own in this database")
	if p.cfg.Harden && !p.cfg.TempTables {
		p.revokePublic(on, p.in.connect, []string{"TEMPORARY"}, "temporary objects would come before those that statements mean")
	}
}

// schemaGrants lets the role look into the schemas of the relations it uses.
func (p *planner) schemaGrants() {
	needed := map[string]bool{}
	for _, r := range p.s.data.Relations {
		if p.wanted(&r) != nil {
			needed[r.Schema] = true
		}
	}
	for _, schema := range sortedKeys(p.in.schemas) {
		have, on := p.in.schemas[schema], "SCHEMA "+quoteName(schema)
		if needed[schema] {
			p.grant(on, have, []string{"USAGE"}, "the role uses relations of this schema")
		}
		p.revoke(on, have, []string{"USAGE"}, "the role makes nothing of its own in this schema")
		if p.cfg.Harden {
			p.revokePublic(on, have, []string{"CREATE"}, "functions and tables made here could stand in for those that statements mean")
		}
	}
}

// relationGrants gives the role what it needs of a relation and takes the rest.
func (p *planner) relationGrants(r *Relation) {
	want, have := p.wanted(r), p.in.of(r.OID).grants
	on := "TABLE " + nameOf(r)
	switch r.Class {
	case Tenanted:
		p.grant(on, have, want, nameOf(r)+": tenants read and write it")
	case SharedReadWrite:
		p.grant(on, have, want, nameOf(r)+": it is shared, tenants read and write it")
	case Shared:
		p.grant(on, have, want, nameOf(r)+": it is shared, tenants read it")
	case Denied, System, Derived, Temporary:
	}
	keep, why := want, nameOf(r)+": the role needs no more"
	switch {
	case r.Class == Derived:
		keep = readPrivileges // what a view needs depends on the enforcement
	case r.Class == Tenanted && want == nil:
		keep = writePrivileges // a foreign table: whoever granted that knows how rows are confined
	}
	if r.Class == Denied {
		why = nameOf(r) + ": it is out of reach for tenants, " + r.Reason
	}
	p.revoke(on, have, keep, why)
	if p.cfg.Harden {
		p.revokePublic(on, have, []string{"MAINTAIN", "REFERENCES", "TRIGGER", "TRUNCATE"},
			nameOf(r)+": row-level security does not hold for these privileges")
	}
}

// wanted are the privileges on a relation that the role needs.
func (p *planner) wanted(r *Relation) []string {
	switch {
	case r.Class == Tenanted && (r.Kind == 'r' || r.Kind == 'p'), r.Class == SharedReadWrite:
		return writePrivileges
	case r.Class == Shared:
		return readPrivileges
	default:
		return nil
	}
}

// sequenceGrants lets the role draw from the sequences that column defaults of
// writable tables use, and keeps it from setting any.
func (p *planner) sequenceGrants() {
	used := map[uint32]bool{}
	for i := range p.s.data.Relations {
		if r := &p.s.data.Relations[i]; len(p.wanted(r)) == len(writePrivileges) {
			for _, d := range p.in.of(r.OID).defaults {
				for _, sequence := range d.sequences {
					used[sequence] = true
				}
			}
		}
	}
	for i := range p.s.data.Relations {
		r := &p.s.data.Relations[i]
		if r.Kind != 'S' || r.Class == System {
			continue
		}
		var want []string
		have, on := p.in.of(r.OID).grants, "SEQUENCE "+nameOf(r)
		switch {
		case used[r.OID]:
			want = []string{"USAGE"}
			p.grant(on, have, want, nameOf(r)+": column defaults draw from it")
		case r.Drawable:
			want = []string{"USAGE"}
			p.grant(on, have, want, nameOf(r)+": tenants may draw from it")
		}
		p.revoke(on, have, want, nameOf(r)+": the role needs no more")
	}
}

// grant adds the privileges that the role has neither itself nor as anybody.
func (p *planner) grant(on string, have grants, want []string, why string) {
	var missing []string
	for _, privilege := range want {
		if !have.has(p.roleOID, privilege) {
			missing = append(missing, privilege)
		}
	}
	if missing != nil {
		p.add(why, "GRANT "+strings.Join(missing, ", ")+" ON "+on+" TO "+quoteName(p.cfg.Role))
	}
}

// revoke takes privileges from the role that were granted to it by name.
func (p *planner) revoke(on string, have grants, keep []string, why string) {
	if p.roleOID == public {
		return // it is made by the plan and has none
	}
	var extra []string
	for g := range have {
		if g.grantee == p.roleOID && !slices.Contains(keep, g.privilege) {
			extra = append(extra, g.privilege)
		}
	}
	if extra != nil {
		slices.Sort(extra)
		p.add(why, "REVOKE "+strings.Join(extra, ", ")+" ON "+on+" FROM "+quoteName(p.cfg.Role))
	}
}

// revokePublic takes privileges from PUBLIC.
func (p *planner) revokePublic(on string, have grants, privileges []string, why string) {
	extra := slices.DeleteFunc(slices.Clone(privileges), func(privilege string) bool { return !have[grant{public, privilege}] })
	if len(extra) > 0 {
		p.add(why, "REVOKE "+strings.Join(extra, ", ")+" ON "+on+" FROM PUBLIC")
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

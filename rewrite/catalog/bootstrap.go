package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrNotInspected is Bootstrap's answer to a Snapshot loaded without
// Config.Inspect.
var ErrNotInspected = errors.New("the snapshot was not loaded for inspection")

// A BootstrapConfig says what a database has to be prepared for.
type BootstrapConfig struct {
	Setting       string // run-time parameter that policies read, as "app.tenant_id"
	Role          string // that server connections log in as; made if it is missing
	Password      string // of the role if it is made: clear or a SCRAM verifier; "" for none
	NoRowSecurity bool   // for enforcement by rewriting alone: no policies, no defaults
	TempTables    bool   // the role may create temporary tables
	Harden        bool   // take from PUBLIC what makes the role more powerful than it need be

	Sealed  bool     // policies verify the setting, which holds a token
	SealKey *SealKey // what they verify it with; nil: the database has it already
}

// A DDL is one statement and why it is needed.
type DDL struct {
	Why string `json:"why"` // one or several lines
	SQL string `json:"sql"` // without a semicolon

	Superuser bool `json:"superuser,omitempty"` // nobody else can run it
}

// String is the statement below its reason, as a script has it. A name in the
// reason cannot end the comment.
func (d DDL) String() string {
	return "-- " + strings.NewReplacer("\n", "\n-- ", "\r", " ").Replace(d.Why) + "\n" + d.SQL + ";\n"
}

// Bootstrap tells what is missing in the database for tenants to be kept
// apart, in the order in which it is to be run: as one transaction, by a
// superuser or, where no statement needs one, by the owner of the tables with
// CREATEROLE. Nothing is missing after that. s must be loaded with Config.Inspect.
func Bootstrap(s *Snapshot, cfg BootstrapConfig) ([]DDL, error) {
	if s.data.inspection == nil {
		return nil, ErrNotInspected
	}
	if cfg.Role == "" || cfg.Role == "public" || truncateName(cfg.Role) != cfg.Role {
		return nil, fmt.Errorf("role %q cannot be made: choose another name", cfg.Role)
	}
	if cfg.Setting == "" && !cfg.NoRowSecurity {
		return nil, errors.New("policies need the name of a run-time parameter")
	}
	p := planner{s: s, cfg: cfg, in: s.data.inspection, indexNames: map[Name]bool{}}
	if err := p.role(); err != nil {
		return nil, err
	}
	p.databaseGrants()
	p.builtinGrants()
	p.schemaGrants()
	if cfg.Sealed && !cfg.NoRowSecurity {
		if err := p.seal(); err != nil {
			return nil, err
		}
	}
	for _, r := range parentsFirst(s) {
		if err := p.relation(r); err != nil {
			return nil, err
		}
	}
	p.sequenceGrants()
	return p.plan, nil
}

// RowSecurity tells what of the policies that keep one tenanted table's rows
// apart is missing. s must be loaded with Config.Inspect.
func RowSecurity(s *Snapshot, cfg BootstrapConfig, r *Relation) ([]DDL, error) {
	return planPolicies(s, cfg, r, (*planner).policies)
}

// Restriction tells what is missing for a table's policies, whatever they
// allow, to allow a tenant's own rows alone. s must be loaded with
// Config.Inspect.
func Restriction(s *Snapshot, cfg BootstrapConfig, r *Relation) ([]DDL, error) {
	return planPolicies(s, cfg, r, func(p *planner, r *Relation, k key) {
		d := p.in.of(r.OID)
		if slices.ContainsFunc(d.policies, func(x policy) bool { return x.name == policyName && !p.hasPolicy(d, policyName, true, k) }) {
			p.policies(r, k) // ours has been changed
			return
		}
		p.restrict(r, k)
	})
}

func planPolicies(s *Snapshot, cfg BootstrapConfig, r *Relation, plan func(*planner, *Relation, key)) ([]DDL, error) {
	if s.data.inspection == nil {
		return nil, ErrNotInspected
	}
	p := planner{s: s, cfg: cfg, in: s.data.inspection}
	k, err := p.key(r)
	if err != nil {
		return nil, err
	}
	plan(&p, r, k)
	return p.plan, nil
}

// A planner gathers statements.
type planner struct {
	s          *Snapshot
	cfg        BootstrapConfig
	in         *inspection
	roleOID    uint32        // public if the role is still to be made: it holds what PUBLIC holds
	indexNames map[Name]bool // that the plan has given away
	plan       []DDL
}

func (p *planner) add(why, sql string) { p.plan = append(p.plan, DDL{Why: why, SQL: sql}) }

// role makes the role, or takes attributes from it that it must not have.
func (p *planner) role() error {
	role := quoteName(p.cfg.Role)
	state, ok := p.in.roles[p.cfg.Role]
	if !ok {
		create := "CREATE ROLE " + role + " LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT"
		if p.cfg.Password != "" {
			create += " PASSWORD " + quoteLiteral(p.cfg.Password)
		}
		p.add("the role of server connections: it owns nothing and row-level security holds for it",
			"DO "+quoteBody("BEGIN "+create+"; EXCEPTION WHEN duplicate_object THEN NULL; END"))
		return nil
	}
	if state.superuser {
		return fmt.Errorf("role %s is a superuser, whom nothing confines: choose another one", p.cfg.Role)
	}
	for _, r := range p.s.data.Relations {
		if r.Class != System && p.in.of(r.OID).owner == state.oid {
			return fmt.Errorf("role %s owns %s and could lift its policies: choose another one", p.cfg.Role, Name{r.Schema, r.Name})
		}
	}
	p.roleOID = state.oid
	var attributes []string
	for _, a := range []struct {
		wrong bool
		name  string
	}{
		{!state.login, "LOGIN"},
		{state.bypassRLS, "NOBYPASSRLS"},
		{state.createDB, "NOCREATEDB"},
		{state.createRole, "NOCREATEROLE"},
		{state.replication, "NOREPLICATION"},
		{state.inherit, "NOINHERIT"},
	} {
		if a.wrong {
			attributes = append(attributes, a.name)
		}
	}
	if attributes != nil {
		p.add("the role of server connections: it logs in, and row-level security holds for it",
			"ALTER ROLE "+role+" "+strings.Join(attributes, " "))
	}
	return nil
}

// relation prepares one relation; tenanted views and foreign tables have no
// policies and get no grants.
func (p *planner) relation(r *Relation) error {
	first := len(p.plan)
	table := r.Kind == 'r' || r.Kind == 'p'
	if r.Class == Tenanted && table {
		if !p.cfg.NoRowSecurity {
			k, err := p.key(r)
			if err != nil {
				return err
			}
			p.tenantDefault(r, k)
			p.policies(r, k)
		}
		p.tenantIndex(r)
	}
	if r.Kind != 'S' {
		p.relationGrants(r)
	}
	if r.Class == Tenanted && table && len(p.plan) > first {
		if remarks := p.remarks(r); remarks != nil {
			p.plan[first].Why = strings.Join(append(remarks, p.plan[first].Why), "\n")
		}
	}
	return nil
}

// tenantIndex makes an index for the tenant's rows. A partition has it from
// its parent.
func (p *planner) tenantIndex(r *Relation) {
	d := p.in.of(r.OID)
	if d.partition || slices.ContainsFunc(d.indexes, func(x index) bool {
		return x.valid && !x.partial && (x.method == "btree" || x.method == "hash") && x.columns[0] == r.TenantColumn
	}) {
		return
	}
	name := p.indexName(r)
	why := nameOf(r) + ": an index that finds a tenant's rows"
	if r.Kind == 'r' {
		why += "; where writers cannot wait for it, build it beforehand with CREATE INDEX CONCURRENTLY"
	}
	p.add(why, "CREATE INDEX IF NOT EXISTS "+quoteName(name)+" ON "+nameOf(r)+" ("+quoteName(r.TenantColumn)+")")
}

// indexName is one that nothing in the schema has.
func (p *planner) indexName(r *Relation) string {
	for n := 0; ; n++ {
		label := "idx"
		if n > 0 {
			label += fmt.Sprint(n)
		}
		name := Name{r.Schema, joinNames(r.Name, r.TenantColumn, label)}
		_, relation := p.s.relations[name]
		_, composite := p.s.types[name]
		if !relation && !composite && !p.in.indexName[name] && !p.indexNames[name] {
			p.indexNames[name] = true
			return name.Name
		}
	}
}

// remarks are what keeps tenants apart less well than it looks and that no
// statement here can mend.
func (p *planner) remarks(r *Relation) []string {
	d := p.in.of(r.OID)
	var remarks []string
	remark := func(format string, args ...any) {
		remarks = append(remarks, "note: "+nameOf(r)+": "+fmt.Sprintf(format, args...))
	}
	column := quoteName(r.TenantColumn)
	for _, c := range r.Columns {
		if c.Name == r.TenantColumn && !c.NotNull {
			remark("%s accepts NULL; rows without a tenant are seen by nobody", column)
		}
	}
	if def, ok := d.defaults[r.TenantColumn]; ok && !p.cfg.NoRowSecurity && !ownDefault(def.expression) {
		remark("%s keeps its default %s; an INSERT without %s is refused unless that is the tenant's key", column, oneLine(def.expression), column)
	}
	for _, x := range d.indexes {
		if x.unique && !slices.Contains(x.columns, r.TenantColumn) {
			remark("unique index %s is without %s: a tenant can find out which values others have", quoteName(x.name), column)
		}
	}
	for _, f := range d.references {
		if target, ok := p.relationByOID(f.referenced); ok && target.Class == Tenanted && !slices.Contains(f.columns, r.TenantColumn) {
			remark("foreign key %s is without %s: a row can refer to another tenant's %s", quoteName(f.name), column, nameOf(target))
		}
	}
	return remarks
}

func (p *planner) relationByOID(oid uint32) (*Relation, bool) {
	for i := range p.s.data.Relations {
		if r := &p.s.data.Relations[i]; r.OID == oid {
			return r, true
		}
	}
	return nil, false
}

// parentsFirst orders the relations that are not PostgreSQL's own so that
// parents come before their partitions and children.
func parentsFirst(s *Snapshot) []*Relation {
	byOID := make(map[uint32]*Relation, len(s.data.Relations))
	for i := range s.data.Relations {
		r := &s.data.Relations[i]
		byOID[r.OID] = r
	}
	done := make(map[uint32]bool, len(byOID))
	var ordered []*Relation
	var visit func(r *Relation)
	visit = func(r *Relation) {
		if done[r.OID] || r.Class == System {
			return
		}
		done[r.OID] = true
		for _, oid := range s.data.inspection.of(r.OID).parents {
			if parent, ok := byOID[oid]; ok {
				visit(parent)
			}
		}
		ordered = append(ordered, r)
	}
	for i := range s.data.Relations {
		visit(&s.data.Relations[i])
	}
	return ordered
}

// nameOf is a relation's qualified name for a statement.
func nameOf(r *Relation) string { return Name{r.Schema, r.Name}.String() }

// joinNames makes a name as PostgreSQL makes those of indexes: the longer of
// the two parts is cut until all fits.
func joinNames(first, second, label string) string {
	for len(first)+len(second)+len(label)+2 > maxNameBytes {
		if len(first) > len(second) {
			first = dropLast(first)
		} else {
			second = dropLast(second)
		}
	}
	return first + "_" + second + "_" + label
}

// dropLast cuts off the last character.
func dropLast(s string) string {
	_, size := utf8.DecodeLastRuneInString(s)
	return s[:len(s)-size]
}

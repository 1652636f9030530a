package catalog

import (
	"fmt"
	"slices"
)

// A RuleError is a rule of the configuration that cannot hold.
type RuleError struct {
	Name    Name // as in Config.Tables
	Message string
}

func (e *RuleError) Error() string { return fmt.Sprintf("table %s: %s", e.Name, e.Message) }

// A classifier decides whose rows each relation holds.
type classifier struct {
	cfg       Config
	relations []rawRelation
	byOID     map[uint32]int    // index in relations
	rules     map[int]TableRule // by index in relations
	done      []bool
}

// classify fills data.Relations, which it takes from the server's relations.
//
// A relation's own rule comes first, then its parents, then its tenant column.
// A child of a tenanted relation holds rows of that relation: it is tenanted
// by the same column, or else denied. A view that is not listed, or listed
// with a tenant column, is what its definition makes of it.
func classify(data *Data, relations []rawRelation, cfg Config) error {
	slices.SortFunc(relations, func(a, b rawRelation) int {
		return compareNames(Name{a.Schema, a.Name}, Name{b.Schema, b.Name})
	})
	c := classifier{
		cfg:       cfg,
		relations: relations,
		byOID:     make(map[uint32]int, len(relations)),
		rules:     make(map[int]TableRule, len(cfg.Tables)),
		done:      make([]bool, len(relations)),
	}
	byName := make(map[Name]int, len(relations))
	for i := range relations {
		byName[Name{relations[i].Schema, relations[i].Name}] = i
		c.byOID[relations[i].OID] = i
	}
	for _, rule := range cfg.Tables {
		i, ok := find(byName, effectivePath(data.SearchPath), rule.Name)
		if !ok {
			data.DanglingRules = append(data.DanglingRules, rule.Name)
			continue
		}
		if err := c.addRule(i, rule); err != nil {
			return err
		}
	}
	for i := range relations {
		c.classify(i)
	}
	for i := range relations {
		c.denyOpenParents(i)
	}
	for i := range relations {
		c.draw(i)
	}
	data.Relations = make([]Relation, len(relations))
	for i, r := range relations {
		data.Relations[i] = r.Relation
		if r.Class != Derived {
			data.Relations[i].View = nil
		}
		if r.owned && r.Class == Tenanted && (r.Kind == 'r' || r.Kind == 'p') {
			data.Role.OwnsTables = append(data.Role.OwnsTables, Name{r.Schema, r.Name}.String())
		}
	}
	return nil
}

// find resolves the name of a rule.
func find(byName map[Name]int, path []string, name Name) (int, bool) {
	if name.Schema != "" {
		i, ok := byName[name]
		return i, ok
	}
	for _, schema := range path {
		if i, ok := byName[Name{schema, name.Name}]; ok {
			return i, true
		}
	}
	return 0, false
}

// addRule notes a rule and tells why it cannot hold.
func (c *classifier) addRule(i int, rule TableRule) error {
	r := &c.relations[i]
	refuse := func(format string, args ...any) error {
		return &RuleError{Name: rule.Name, Message: fmt.Sprintf(format, args...)}
	}
	if earlier, ok := c.rules[i]; ok {
		return refuse("listed twice, also as %s", earlier.Name)
	}
	switch {
	case r.Class == System:
		return refuse("PostgreSQL's own relations have rules of their own")
	case (Name{r.Schema, r.Name}) == (Name{sealSchema, sealTable}) && rule.Class != Denied:
		return refuse("it holds the key of the seal, and can only be denied")
	case r.Kind == 'S' && rule.Class != Denied && rule.Class != SharedReadWrite:
		return refuse("a sequence can only be denied or shared-rw")
	}
	switch rule.Class {
	case Denied, Shared, SharedReadWrite:
	case Tenanted:
		if rule.Column == "" {
			rule.Column = c.cfg.Column
		}
		if !r.hasColumn(rule.Column) && !c.cfg.OneTenant {
			return refuse("it has no column %s", quoteName(rule.Column))
		}
	case System, Derived:
		return refuse("no rule can make it one of PostgreSQL's own")
	default:
		return refuse("class %d is unknown", rule.Class)
	}
	c.rules[i] = rule
	return nil
}

// classify decides one relation, its parents first.
func (c *classifier) classify(i int) {
	r := &c.relations[i]
	if c.done[i] || r.Class == System {
		return
	}
	c.done[i] = true
	var parents []*rawRelation
	for _, oid := range r.parents {
		if p, ok := c.byOID[oid]; ok { // those in temporary schemas are unknown
			c.classify(p)
			parents = append(parents, &c.relations[p])
		}
	}
	rule, listed := c.rules[i]
	if !listed {
		rule, listed = inheritedRule(r, parents, c.cfg.Column)
	}
	r.ruled = listed
	if (Name{r.Schema, r.Name}) == (Name{sealSchema, sealTable}) {
		r.deny("it holds the key of the seal")
		r.ruled = true
		return
	}
	tenanted := slices.IndexFunc(parents, func(p *rawRelation) bool { return p.Class == Tenanted })
	switch {
	case r.Kind == 'S':
		r.deny("it is a sequence")
	case tenanted >= 0:
		classifyChild(r, parents, parents[tenanted].TenantColumn, rule, listed)
	case listed && rule.Class == Denied:
		r.deny("the configuration denies it")
	case c.cfg.OneTenant && (r.Kind == 'r' || r.Kind == 'p') && (!listed || rule.Class == Tenanted):
		r.Class = SharedReadWrite
	case r.View != nil && (!listed || rule.Class == Tenanted):
		r.Class = Derived
	case listed && !c.cfg.OneTenant:
		r.Class, r.TenantColumn = rule.Class, rule.Column
	case listed && rule.Class != Tenanted:
		r.Class = rule.Class
	case r.hasColumn(c.cfg.Column) && !c.cfg.OneTenant:
		r.Class, r.TenantColumn = Tenanted, c.cfg.Column
	case c.cfg.UnlistedShared && (r.Kind == 'r' || r.Kind == 'p'):
		r.Class = Shared
	case c.cfg.UnlistedShared:
		r.deny("it is not a table, has no tenant column and is not listed")
	default:
		r.deny("it has no tenant column and is not listed")
	}
}

// inheritedRule is what a relation without a rule takes over from parents that
// have one, the strictest of several. Where a child has the tenant column and
// its shared parent has not, the parent's rule cannot mean the child.
func inheritedRule(r *rawRelation, parents []*rawRelation, column string) (TableRule, bool) {
	var strictest TableRule
	found := false
	for _, p := range parents {
		if !p.ruled || p.Class == Tenanted || p.Class != Denied && r.hasColumn(column) && !p.hasColumn(column) {
			continue
		}
		if !found || strictness(p.Class) > strictness(strictest.Class) {
			strictest, found = TableRule{Class: p.Class}, true
		}
	}
	return strictest, found
}

// classifyChild decides a child of a tenanted relation.
func classifyChild(r *rawRelation, parents []*rawRelation, column string, rule TableRule, listed bool) {
	for _, p := range parents {
		if p.Class != Tenanted || p.TenantColumn != column {
			r.deny("its parents are not tenanted by one column")
			r.ruled = true
			return
		}
	}
	switch {
	case listed && rule.Class == Denied:
		r.deny("the configuration denies it")
	case listed && (rule.Class != Tenanted || rule.Column != column):
		r.deny("it is listed otherwise than the tenanted relation that it is a part of")
	default:
		r.Class, r.TenantColumn = Tenanted, column
	}
}

// denyOpenParents denies the shared ancestors of a relation that is not as
// open as they are: they show its rows.
func (c *classifier) denyOpenParents(i int) {
	r := &c.relations[i]
	for _, oid := range r.parents {
		p, ok := c.byOID[oid]
		if !ok {
			continue
		}
		parent := &c.relations[p]
		if open := parent.Class == Shared || parent.Class == SharedReadWrite; open && strictness(parent.Class) < strictness(r.Class) {
			parent.deny("its child " + Name{r.Schema, r.Name}.String() + " is not " + parent.Class.String())
		}
		c.denyOpenParents(p)
	}
}

// draw decides whether tenants may take numbers of a sequence: of one that is
// listed as shared-rw, or that fills a column of a table that they may write
// and is not listed.
func (c *classifier) draw(i int) {
	r := &c.relations[i]
	if r.Kind != 'S' || r.Class == System {
		return
	}
	if rule, listed := c.rules[i]; listed {
		r.Drawable = rule.Class == SharedReadWrite
		return
	}
	r.Drawable = c.cfg.OneTenant || slices.ContainsFunc(r.feeds, func(oid uint32) bool {
		t, ok := c.byOID[oid]
		if !ok {
			return false
		}
		table := &c.relations[t]
		return table.Class == SharedReadWrite || table.Class == Tenanted && (table.Kind == 'r' || table.Kind == 'p')
	})
}

// strictness orders classes by what tenants may do.
func strictness(c Class) int {
	switch c {
	case SharedReadWrite:
		return 0
	case Shared:
		return 1
	case Tenanted:
		return 2
	case Denied, System, Derived:
		return 3
	default:
		return 3
	}
}

func (r *rawRelation) deny(reason string) {
	r.Class, r.TenantColumn, r.Reason = Denied, "", reason
}

func (r *Relation) hasColumn(name string) bool {
	return slices.ContainsFunc(r.Columns, func(c Column) bool { return c.Name == name })
}

// allowFunctions marks the functions that tenants may call. A name without
// schema allows those on the search path, and denies those anywhere.
func allowFunctions(data *Data, cfg Config) {
	allowed := nameSet(cfg.AllowFunctions)
	denied := nameSet(cfg.DenyFunctions)
	for i := range data.Functions {
		f := &data.Functions[i]
		exact, bare := Name{f.Schema, f.Name}, Name{Name: f.Name}
		f.Allowed = (allowed[exact] || allowed[bare] && slices.Contains(effectivePath(data.SearchPath), f.Schema)) &&
			!denied[exact] && !denied[bare]
	}
	data.DeniedFunctions = cfg.DenyFunctions
}

func nameSet(names []Name) map[Name]bool {
	m := make(map[Name]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

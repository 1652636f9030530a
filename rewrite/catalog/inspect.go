package catalog

import (
	"encoding/json"
	"fmt"
)

// public is the grantee that stands for every role.
const public = 0

// An inspection is what Bootstrap needs to know beside what the proxy needs.
type inspection struct {
	roles     map[string]*roleState // by name
	database  string
	connect   grants // on the database
	schemas   map[string]grants
	details   map[uint32]*detail // by relation
	indexName map[Name]bool      // names that indexes take
	builtins  []builtin          // PostgreSQL's own that hardening is about
	seal      *sealState         // the function that verifies tokens; nil: there is none
}

// A roleState is one role of the server.
type roleState struct {
	oid                                                        uint32
	superuser, bypassRLS, login, inherit, createDB, createRole bool
	replication                                                bool
}

// A grants is who may do what with an object.
type grants map[grant]bool

type grant struct {
	grantee   uint32
	privilege string
}

// has reports whether a role holds a privilege itself or as anybody.
func (g grants) has(role uint32, privilege string) bool {
	return g[grant{role, privilege}] || g[grant{public, privilege}]
}

// UnmarshalJSON reads [[grantee, privilege], ...].
func (g *grants) UnmarshalJSON(content []byte) error {
	var pairs []json.RawMessage
	if err := json.Unmarshal(content, &pairs); err != nil {
		return err
	}
	*g = make(grants, len(pairs))
	for _, pair := range pairs {
		var one grant
		if err := tuple(string(pair), &one.grantee, &one.privilege); err != nil {
			return err
		}
		(*g)[one] = true
	}
	return nil
}

// A detail is more about a Relation.
type detail struct {
	owner      uint32
	partition  bool
	parents    []uint32
	grants     grants
	defaults   map[string]columnDefault
	loose      map[string]bool // columns whose collation takes different texts for equal
	indexes    []index
	policies   []policy
	references []foreignKey // where this relation is the referencing one
}

// A columnDefault is the expression of a DEFAULT, as the server writes it.
type columnDefault struct {
	expression string
	sequences  []uint32 // that it uses
}

type index struct {
	name    string
	method  string
	unique  bool // or an exclusion constraint's
	valid   bool
	partial bool
	columns []string // key columns, "" for an expression
}

type policy struct {
	name         string
	permissive   bool
	command      byte // pg_policy.polcmd: *, r, a, w, d
	roles        []uint32
	using, check string
}

type foreignKey struct {
	name       string
	referenced uint32
	columns    []string
}

func newInspection() *inspection {
	return &inspection{
		roles:     map[string]*roleState{},
		schemas:   map[string]grants{},
		details:   map[uint32]*detail{},
		indexName: map[Name]bool{},
	}
}

// of is what is known about a relation; made when first asked for.
func (n *inspection) of(relation uint32) *detail {
	d, ok := n.details[relation]
	if !ok {
		d = &detail{defaults: map[string]columnDefault{}, loose: map[string]bool{}}
		n.details[relation] = d
	}
	return d
}

// read takes one row of inspectQuery.
func (n *inspection) read(row row) error {
	switch row.section {
	case sectionRole:
		var name string
		var r roleState
		if err := tuple(row.content, &r.oid, &name, &r.superuser, &r.bypassRLS, &r.login, &r.inherit,
			&r.createDB, &r.createRole, &r.replication); err != nil {
			return err
		}
		n.roles[name] = &r
		return nil
	case sectionDatabase:
		return tuple(row.content, &n.database, &n.connect)
	case sectionSchemaGrants:
		var name string
		var g grants
		if err := tuple(row.content, &name, &g); err != nil {
			return err
		}
		n.schemas[name] = g
		return nil
	case sectionDetail:
		return n.readDetail(row.content)
	case sectionDefault:
		var relation uint32
		var column string
		var d columnDefault
		if err := tuple(row.content, &relation, &column, &d.expression, &d.sequences); err != nil {
			return err
		}
		n.of(relation).defaults[column] = d
		return nil
	case sectionCollation:
		var relation uint32
		var column string
		if err := tuple(row.content, &relation, &column); err != nil {
			return err
		}
		n.of(relation).loose[column] = true
		return nil
	case sectionIndex:
		var relation uint32
		var schema string
		var x index
		if err := tuple(row.content, &relation, &schema, &x.name, &x.method, &x.unique, &x.valid, &x.partial, &x.columns); err != nil {
			return err
		}
		d := n.of(relation)
		d.indexes = append(d.indexes, x)
		n.indexName[Name{schema, x.name}] = true
		return nil
	case sectionPolicy:
		return n.readPolicy(row.content)
	case sectionForeignKey:
		var relation uint32
		var f foreignKey
		if err := tuple(row.content, &relation, &f.referenced, &f.name, &f.columns); err != nil {
			return err
		}
		d := n.of(relation)
		d.references = append(d.references, f)
		return nil
	case sectionBuiltin:
		var b builtin
		if err := tuple(row.content, &b.kind, &b.name, &b.shown, &b.grants); err != nil {
			return err
		}
		n.builtins = append(n.builtins, b)
		return nil
	case sectionSeal:
		var f sealState
		if err := tuple(row.content, &f.language, &f.volatility, &f.parallel, &f.body, &f.returnsText, &f.definer, &f.settings, &f.grants); err != nil {
			return err
		}
		n.seal = &f
		return nil
	default:
		return fmt.Errorf("section %q is unknown", row.section)
	}
}

func (n *inspection) readDetail(content string) error {
	var relation uint32
	var read detail
	if err := tuple(content, &relation, &read.owner, &read.partition, &read.parents, &read.grants); err != nil {
		return err
	}
	d := n.of(relation)
	d.owner, d.partition, d.parents, d.grants = read.owner, read.partition, read.parents, read.grants
	return nil
}

func (n *inspection) readPolicy(content string) error {
	var relation uint32
	var p policy
	var command string
	if err := tuple(content, &relation, &p.name, &p.permissive, &command, &p.roles, &p.using, &p.check); err != nil {
		return err
	}
	p.command = letter(command)
	d := n.of(relation)
	d.policies = append(d.policies, p)
	return nil
}

// Package catalog knows which relations of a database belong to tenants. It
// reads PostgreSQL's own catalogs into an immutable Snapshot, classifies every
// relation by the configuration, and prints the DDL that row-level security
// needs.
package catalog

// A Class says whose rows a relation holds.
type Class uint8

const (
	// Denied relations are out of reach for tenants. It is the zero value:
	// whatever nobody classified is denied.
	Denied Class = iota
	// Tenanted relations have a tenant column.
	Tenanted
	// Shared relations are the same for all tenants, who may only read them.
	Shared
	// SharedReadWrite relations are the same for all tenants, who may write them.
	SharedReadWrite
	// System relations are PostgreSQL's own: pg_catalog and information_schema.
	// The guard has a list of those that tenants may read.
	System
	// Derived relations are views that the configuration does not list: they
	// hold whatever the relations of their definitions hold.
	Derived
	// Temporary relations are tables of one session, whoever its tenant is.
	// Only a Snapshot made by WithTemporary has them.
	Temporary
)

// String is the word that the configuration has for c.
func (c Class) String() string {
	switch c {
	case Denied:
		return "denied"
	case Tenanted:
		return "tenanted"
	case Shared:
		return "shared"
	case SharedReadWrite:
		return "shared-rw"
	case System:
		return "system"
	case Derived:
		return "derived"
	case Temporary:
		return "temporary"
	default:
		return "unknown"
	}
}

// A Config classifies relations. Names are already folded as SQL folds them.
type Config struct {
	Setting        string // run-time parameter that policies read, as "app.tenant_id"
	Column         string // a relation with this column is tenanted
	Tables         []TableRule
	UnlistedShared bool   // relations with neither column nor rule: Shared instead of Denied
	OneTenant      bool   // all rows of the database are one tenant's: its tables are SharedReadWrite unless a rule denies or shares them
	AllowFunctions []Name // functions outside pg_catalog that tenants may call
	DenyFunctions  []Name // functions, pg_catalog's too, that they may not
	Inspect        bool   // read what Bootstrap needs as well: policies, grants, indexes
}

// A TableRule is an exception for one relation. A Name without schema means
// the relation that the search path finds.
type TableRule struct {
	Name   Name
	Class  Class
	Column string // the tenant column of a Tenanted relation, if not Config.Column
}

// A Name is an SQL name with an optional schema, folded and without quotes.
type Name struct {
	Schema, Name string
}

// A Relation is what can stand in a FROM clause: table, partition, view,
// materialized view, foreign table, sequence.
type Relation struct {
	OID          uint32
	Schema, Name string
	Kind         byte // pg_class.relkind
	Class        Class
	Reason       string   // why a Denied relation is: one clause for people
	TenantColumn string   // of a Tenanted relation
	Columns      []Column // in attribute order, dropped ones left out; empty for System relations
	RowSecurity  bool     // ENABLE ROW LEVEL SECURITY
	ForceRLS     bool     // FORCE ROW LEVEL SECURITY
	View         *View    // of a Derived relation
	Drawable     bool     // a sequence of which tenants may take numbers
	Divisible    bool     // a table whose rows may go in by two statements for one: no trigger would see it, and no foreign key is to itself

	// Unique are the columns of each unique index that holds all rows: of a
	// table without partitions or children.
	Unique [][]string
}

// A View is what a Derived relation stands for.
type View struct {
	Definition  string   // names of the search path have no schema; "" if it could not be written for certain
	Barrier     bool     // security_barrier
	Invoker     bool     // security_invoker: its relations are read as the role that reads the view
	OwnerExempt bool     // the owner is a superuser or has BYPASSRLS
	Owned       []uint32 // relations whose policies pass over the owner: without FORCE and, at least by membership, its own
}

// A Column is one live column of a relation.
type Column struct {
	Name      string
	Type      Type
	Array     uint32 // OID of the type of its arrays; 0 if there is none, or if their text puts no commas between
	NotNull   bool
	Default   bool // has a default or is an identity
	Generated bool // GENERATED ALWAYS AS (...), stored or virtual
	Identity  bool // GENERATED ... AS IDENTITY
	Collated  bool // has another collation than the database's default

	// KeyDefault tells that policies go by the column, that its default is the
	// tenant's key, and that the role may write it itself.
	KeyDefault bool
}

// A Type names a column's data type, domains as themselves.
type Type struct {
	OID          uint32
	Schema, Name string // pg_type's, as pg_catalog, int4
}

// A TypeInfo is a type outside pg_catalog. Array types are left out: an
// expression names them by their elements.
type TypeInfo struct {
	OID          uint32
	Schema, Name string
	Kind         byte // pg_type.typtype: b, c, d, e, m, r
	Base         Type // of a domain: the type below all its domains
}

// A Cast is a type outside pg_catalog together with a function of a user's
// that a cast calls: to or from the type, what it is made of or holds. Those
// in C and internal ones are left out, for they come with the type.
type Cast struct {
	OID            uint32 // of the type
	Type, Function Name
	Context        CastContext
}

// A CastContext says what makes the server call a cast's function.
type CastContext byte

// The contexts of pg_cast.castcontext, each with those above it.
const (
	CastExplicit   CastContext = 'e' // CAST and ::
	CastAssignment CastContext = 'a' // assigning to a column
	CastImplicit   CastContext = 'i' // arguments, operands, and whatever else has to have a type
)

// A Function is one function, aggregate or procedure outside pg_catalog and
// information_schema.
type Function struct {
	Schema, Name string
	Args         int      // declared arguments, those with defaults included
	Defaults     int      // how many of them, the last ones, may be left out
	Variadic     bool     // the last one takes any number
	Kind         byte     // pg_proc.prokind: f, p, a, w
	Volatility   byte     // pg_proc.provolatile: i, s, v
	Types        []uint32 // of arguments and results, those outside pg_catalog
	Allowed      bool     // by Config.AllowFunctions and not DenyFunctions
}

// A Role is what the server connections log in as.
type Role struct {
	Name       string
	Superuser  bool
	BypassRLS  bool
	Sizes      bool     // may call pg_relation_size
	OwnsTables []string // tenanted tables this role owns (RLS would not hold without FORCE)
}

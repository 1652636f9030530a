package catalog

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	schemaCatalog     = "pg_catalog"
	schemaInformation = "information_schema"
	schemaTemp        = SchemaTemporary

	// emptyPath is the search_path in which pg_catalog alone is found. pg_temp
	// must not be the first, which would be where things are made.
	emptyPath = "pg_catalog, pg_temp"
)

// SchemaTemporary is what every session calls the schema of its temporary
// relations.
const SchemaTemporary = "pg_temp"

// lastVersion is the version that was given out last in this process.
var lastVersion atomic.Uint64

// Data is what a Snapshot is made of: read from a server, or written by a test.
type Data struct {
	Relations         []Relation // classified; without those of temporary schemas and pg_toast
	Functions         []Function
	Operators         []Name     // outside pg_catalog
	Types             []TypeInfo // outside pg_catalog
	Casts             []Cast     // by functions of users
	BuiltinTypes      []string   // names of pg_catalog's types: they hide others of the name
	OtherColumns      []string   // columns of System relations and attributes of composite types
	DeniedFunctions   []Name     // Config.DenyFunctions
	DanglingRules     []Name     // of Config.Tables, those that match no relation
	SearchPath        []string   // schemas that exist and Role may use, in order; pg_catalog only if named
	SearchPathSetting string     // run-time parameter search_path, pg_temp last
	Role              Role
	ServerVersion     int    // server_version_num, as 150004
	ServerEncoding    string // "" is taken for UTF8

	inspection *inspection // with Config.Inspect
}

// A Snapshot is the schema of one database at one moment. It is immutable and
// may be used by any number of goroutines.
type Snapshot struct {
	Version           uint64 // no two snapshots of this process share one
	SearchPathSetting string // the value to pin on server connections: the role's own, pg_temp last
	ServerVersion     int    // server_version_num, as 150004
	ServerEncoding    string
	Role              Role // that read the snapshot

	data      Data
	relations map[Name]*Relation
	functions map[string][]Function
	operators map[string]bool
	types     map[Name]TypeInfo
	casts     map[string][]Name // functions by the name of the type
	byType    map[uint32][]Cast // by the object id of the type
	builtin   map[string]bool
	columns   map[string]bool
	denied    map[Name]bool
	path      []string // SearchPath with pg_catalog where the server searches it
	temporary map[string]*Relation

	empty *pathless // what Seen returns for emptyPath
	full  *Snapshot // of a pathless one: what it was made of
}

// A pathless is a Snapshot in which names without a schema are pg_catalog's
// alone, made when it is first asked for.
type pathless struct {
	once     sync.Once
	snapshot *Snapshot
}

// New indexes data, which the Snapshot owns from now on.
func New(data Data) *Snapshot {
	s := &Snapshot{
		Version:           lastVersion.Add(1),
		SearchPathSetting: data.SearchPathSetting,
		ServerVersion:     data.ServerVersion,
		ServerEncoding:    data.ServerEncoding,
		Role:              data.Role,
		data:              data,
		relations:         make(map[Name]*Relation, len(data.Relations)),
		functions:         make(map[string][]Function),
		operators:         make(map[string]bool, len(data.Operators)),
		types:             make(map[Name]TypeInfo, len(data.Types)),
		casts:             make(map[string][]Name),
		byType:            make(map[uint32][]Cast),
		builtin:           make(map[string]bool, len(data.BuiltinTypes)),
		empty:             &pathless{},
		columns:           make(map[string]bool, len(data.OtherColumns)),
		denied:            make(map[Name]bool, len(data.DeniedFunctions)),
		path:              effectivePath(data.SearchPath),
	}
	for i := range data.Relations {
		r := &data.Relations[i]
		s.relations[Name{r.Schema, r.Name}] = r
		for _, c := range r.Columns {
			s.columns[c.Name] = true
		}
	}
	for _, f := range data.Functions {
		s.functions[f.Name] = append(s.functions[f.Name], f)
	}
	for _, o := range data.Operators {
		s.operators[o.Name] = true
	}
	for _, t := range data.Types {
		s.types[Name{t.Schema, t.Name}] = t
	}
	for _, c := range data.Casts {
		s.casts[c.Type.Name] = append(s.casts[c.Type.Name], c.Function)
		s.byType[c.OID] = append(s.byType[c.OID], c)
	}
	for _, name := range data.BuiltinTypes {
		s.builtin[name] = true
	}
	for _, name := range data.OtherColumns {
		s.columns[name] = true
	}
	for _, name := range data.DeniedFunctions {
		s.denied[name] = true
	}
	return s
}

// Lookup finds a relation by the name in a statement, folded as SQL folds it.
// With schema "" it is the one that the server would find: pg_catalog first
// unless the search path names it elsewhere. Temporary relations come last, so
// the search path must have pg_temp last, as SearchPathSetting does.
func (s *Snapshot) Lookup(schema, name string) (*Relation, bool) {
	name, ok := s.clip(name)
	if !ok {
		return nil, false
	}
	if schema != "" {
		if schema == schemaTemp {
			r, found := s.temporary[name]
			return r, found
		}
		schema, ok = s.clip(schema)
		r, found := s.relations[Name{schema, name}]
		return r, found && ok
	}
	for _, schema := range s.path {
		if r, ok := s.relations[Name{schema, name}]; ok {
			return r, true
		}
	}
	r, found := s.temporary[name]
	return r, found
}

// WithTemporary returns a Snapshot that has one session's temporary tables as
// well. They count neither among Relations nor for HasColumn, which is about
// what no tenant can choose.
func (s *Snapshot) WithTemporary(tables []Relation) *Snapshot {
	with := *s
	with.Version = lastVersion.Add(1)
	with.temporary = make(map[string]*Relation, len(tables))
	for i := range tables {
		with.temporary[tables[i].Name] = &tables[i]
	}
	return &with
}

// BuiltinType reports whether pg_catalog has a type of that name, row types of
// its relations among them.
func (s *Snapshot) BuiltinType(name string) bool {
	name, _ = s.clip(name)
	return s.builtin[name]
}

// PinnedPath returns the value of run-time parameter search_path that a session
// is given when it asks for these schemas, and whether it may ask for them: for
// those of the role's own path, or for none. Both have pg_temp last, and in
// neither can another schema come before pg_catalog that does not now.
func (s *Snapshot) PinnedPath(schemas []string) (setting string, ok bool) {
	if s.full != nil {
		return s.full.PinnedPath(schemas)
	}
	own, _ := splitIdentifiers(s.SearchPathSetting)
	asked := schemas
	own, schemas = withoutLast(own), withoutLast(schemas)
	switch {
	case s.path[0] != schemaCatalog:
		return "", false // the role's path reads names otherwise than any other would
	case len(schemas) == 0 && len(asked) > 0 && asked[0] != "":
		return "", false // temporary tables alone
	case len(schemas) == 0, len(schemas) == 1 && schemas[0] == schemaCatalog:
		return emptyPath, true
	case slices.Equal(schemas, own), slices.Equal(schemas, s.data.SearchPath):
		return s.SearchPathSetting, true
	default:
		return "", false
	}
}

// withoutLast leaves out what ends a path and finds nothing that has a name of
// its own: temporary schemas, and the empty name of SET search_path = ”.
func withoutLast(path []string) []string {
	for len(path) > 0 && (path[len(path)-1] == "" || strings.HasPrefix(path[len(path)-1], schemaTemp)) {
		path = path[:len(path)-1]
	}
	return path
}

// PinnedPathOf is PinnedPath of a list as set_config takes it.
func (s *Snapshot) PinnedPathOf(list string) (setting string, ok bool) {
	schemas, ok := splitIdentifiers(list)
	if !ok {
		return "", false
	}
	return s.PinnedPath(schemas)
}

// Seen is the snapshot as a session sees it whose search_path PinnedPath gave:
// the same, or one in which names without a schema are pg_catalog's alone.
func (s *Snapshot) Seen(setting string) *Snapshot {
	if setting != emptyPath {
		return s
	}
	s.empty.once.Do(func() {
		data := s.data
		data.SearchPath = nil
		s.empty.snapshot = New(data)
		s.empty.snapshot.full = s
	})
	return s.empty.snapshot
}

// Relations are all relations, as they are in Data: loaded ones in order of
// schema and name. They must not be changed.
func (s *Snapshot) Relations() []Relation { return s.data.Relations }

// Functions are the functions of that name outside pg_catalog and
// information_schema, in whatever schema they are.
func (s *Snapshot) Functions(name string) []Function {
	name, _ = s.clip(name)
	return s.functions[name]
}

// FunctionDenied reports whether the configuration denies a function, with
// this schema or with none. It answers for functions of pg_catalog too.
func (s *Snapshot) FunctionDenied(schema, name string) bool {
	return s.denied[Name{schema, name}] || s.denied[Name{Name: name}]
}

// UserOperator reports whether an operator of that name exists outside
// pg_catalog and information_schema.
func (s *Snapshot) UserOperator(name string) bool { return s.operators[name] }

// HasColumn reports whether any relation, pg_catalog's included, or any
// composite type has a column of that name. ctid, xmin and the other system
// columns do not count.
func (s *Snapshot) HasColumn(name string) bool {
	name, ok := s.clip(name)
	return ok && s.columns[name]
}

// Type finds a type outside pg_catalog. With schema "" it is the one that the
// search path finds, and none if that is one of pg_catalog.
func (s *Snapshot) Type(schema, name string) (TypeInfo, bool) {
	name, ok := s.clip(name)
	if !ok {
		return TypeInfo{}, false
	}
	if schema != "" {
		schema, ok = s.clip(schema)
		t, found := s.types[Name{schema, name}]
		return t, found && ok
	}
	for _, schema := range s.path {
		if schema == schemaCatalog && s.builtin[name] {
			return TypeInfo{}, false
		}
		if t, ok := s.types[Name{schema, name}]; ok {
			return t, true
		}
	}
	return TypeInfo{}, false
}

// CastFunctions are the functions of users that casts to and from types of
// that name may call, in whatever schema the types are.
func (s *Snapshot) CastFunctions(name string) []Name {
	name, _ = s.clip(name)
	return s.casts[name]
}

// Casts are those of users' functions to and from the type with that object
// id, its parts included.
func (s *Snapshot) Casts(oid uint32) []Cast { return s.byType[oid] }

// DanglingRules are the names in Config.Tables that match no relation.
func (s *Snapshot) DanglingRules() []Name { return s.data.DanglingRules }

// clip cuts a name as this server does. It is false for a name whose cut
// cannot be known: the server counts bytes of its own encoding.
func (s *Snapshot) clip(name string) (string, bool) {
	if len(name) <= maxNameBytes {
		return name, true
	}
	if utf8Encoding(s.ServerEncoding) || isASCII(name) {
		return truncateName(name), true
	}
	return name, false
}

// effectivePath puts pg_catalog where the server searches it.
func effectivePath(path []string) []string {
	for _, schema := range path {
		if schema == schemaCatalog {
			return path
		}
	}
	return append([]string{schemaCatalog}, path...)
}

package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// minServerVersion is the oldest PostgreSQL whose catalogs are understood.
const minServerVersion = 140000

// A Querier runs one statement and returns its rows in text format; nil is
// NULL. The connection behind it must have client_encoding UTF8 and the role's
// own search_path: nobody may have changed that since it was made.
type Querier interface {
	Query(ctx context.Context, sql string, args ...string) ([][]*string, error)
}

// Load reads a Snapshot in one statement, so that it shows one moment. Any
// role may do it, on PostgreSQL 14 and later. It fails if a rule of cfg cannot
// hold, as one that names a missing column.
func Load(ctx context.Context, q Querier, cfg Config) (*Snapshot, error) {
	rows, err := readRows(ctx, q, cfg.Inspect)
	if err != nil {
		return nil, err
	}
	return build(rows, cfg)
}

// A row is one of the statement's result: a section and a JSON array.
type row struct {
	section string
	content string
}

// readRows runs the statement.
func readRows(ctx context.Context, q Querier, inspect bool) ([]row, error) {
	sql := catalogQuery
	if inspect {
		sql += inspectQuery + builtinQuery() + sealQuery
	}
	result, err := q.Query(ctx, sql+orderClause)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	rows := make([]row, len(result))
	for i, r := range result {
		if len(r) != 3 || r[0] == nil {
			return nil, errors.New("read the catalog: a row is not of the form that was asked for")
		}
		rows[i].section = *r[0]
		if r[2] != nil {
			rows[i].content = *r[2]
		}
	}
	return rows, nil
}

// fingerprint is the same for rows that are the same.
func fingerprint(rows []row) [sha256.Size]byte {
	h := sha256.New()
	for _, r := range rows {
		fmt.Fprintf(h, "%s %d %s\n", r.section, len(r.content), r.content)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// A reader gathers what the rows hold.
type reader struct {
	data      Data
	relations []rawRelation
	views     map[uint32]*View
	feeds     map[uint32][]uint32 // tables whose columns a sequence fills
	unique    map[uint32][][]string
	defaults  map[column]string // as the server writes them, of columns that policies go by
	schemas   map[string]bool   // those that exist: does the role have USAGE?
	path      string            // run-time parameter search_path
	types     map[uint32]Type   // one copy of the names of each column type
	inspect   *inspection       // nil without Config.Inspect
}

// A rawRelation is a Relation before it is classified.
type rawRelation struct {
	Relation
	parents []uint32
	feeds   []uint32 // of a sequence: the tables whose columns it fills
	owned   bool     // by the role that reads
	ruled   bool     // its class is a rule's, its own or its parents'
}

// build makes a classified Snapshot of the rows.
func build(rows []row, cfg Config) (*Snapshot, error) {
	r := reader{schemas: map[string]bool{}, types: map[uint32]Type{}, views: map[uint32]*View{}, feeds: map[uint32][]uint32{}, unique: map[uint32][][]string{}, defaults: map[column]string{}}
	if cfg.Inspect {
		r.inspect = newInspection()
	}
	for _, row := range rows {
		if err := r.read(row); err != nil {
			return nil, fmt.Errorf("read the catalog: section %s: %w", row.section, err)
		}
	}
	if r.data.ServerVersion == 0 {
		return nil, errors.New("read the catalog: the server did not describe itself")
	}
	if r.data.ServerVersion < minServerVersion {
		return nil, fmt.Errorf("PostgreSQL %d is not supported, %d and later are", r.data.ServerVersion/10000, minServerVersion/10000)
	}
	if err := r.resolveSearchPath(); err != nil {
		return nil, err
	}
	for i := range r.relations {
		oid := r.relations[i].OID
		r.relations[i].View, r.relations[i].feeds, r.relations[i].Unique = r.views[oid], r.feeds[oid], r.unique[oid]
	}
	r.setKeyDefaults(cfg.Setting)
	if err := classify(&r.data, r.relations, cfg); err != nil {
		return nil, err
	}
	allowFunctions(&r.data, cfg)
	resolveDomains(r.data.Types)
	r.data.inspection = r.inspect
	return New(r.data), nil
}

// A column is one of a relation.
type column struct {
	relation uint32
	name     string
}

// setKeyDefaults finds the defaults that are the tenant's key and nothing else.
func (r *reader) setKeyDefaults(setting string) {
	isKey := keyExpression(setting)
	for i := range r.relations {
		rel := &r.relations[i]
		for j := range rel.Columns {
			c := &rel.Columns[j]
			expression, ok := r.defaults[column{rel.OID, c.Name}]
			c.KeyDefault = ok && isKey.MatchString(unqualified(expression))
		}
	}
}

// read takes one row.
func (r *reader) read(row row) error {
	switch row.section {
	case sectionServer:
		return r.readServer(row.content)
	case sectionSchema:
		var name string
		var usage bool
		if err := tuple(row.content, &name, &usage); err != nil {
			return err
		}
		r.schemas[name] = usage
		return nil
	case sectionRelation:
		return r.readRelation(row.content)
	case sectionFunction:
		return r.readFunction(row.content)
	case sectionOperator:
		var o Name
		if err := tuple(row.content, &o.Schema, &o.Name); err != nil {
			return err
		}
		r.data.Operators = append(r.data.Operators, o)
		return nil
	case sectionType:
		return r.readType(row.content)
	case sectionBuiltinType:
		var name string
		if err := tuple(row.content, &name); err != nil {
			return err
		}
		r.data.BuiltinTypes = append(r.data.BuiltinTypes, name)
		return nil
	case sectionCast:
		var c Cast
		var context string
		if err := tuple(row.content, &c.OID, &c.Type.Schema, &c.Type.Name, &c.Function.Schema, &c.Function.Name, &context); err != nil {
			return err
		}
		c.Context = CastContext(letter(context))
		r.data.Casts = append(r.data.Casts, c)
		return nil
	case sectionView:
		return r.readView(row.content)
	case sectionSequence:
		var oid uint32
		var owners, users []uint32
		if err := tuple(row.content, &oid, &owners, &users); err != nil {
			return err
		}
		r.feeds[oid] = append(owners, users...)
		return nil
	case sectionUnique:
		var oid uint32
		var columns []string
		if err := tuple(row.content, &oid, &columns); err != nil {
			return err
		}
		r.unique[oid] = append(r.unique[oid], columns)
		return nil
	case sectionKeyDefault:
		var of column
		var expression string
		if err := tuple(row.content, &of.relation, &of.name, &expression); err != nil {
			return err
		}
		r.defaults[of] = expression
		return nil
	case sectionOtherColumns:
		if row.content == "" { // an aggregate over nothing
			return nil
		}
		return json.Unmarshal([]byte(row.content), &r.data.OtherColumns)
	}
	if r.inspect == nil {
		return errors.New("nobody asked for it")
	}
	return r.inspect.read(row)
}

func (r *reader) readServer(content string) error {
	var clientEncoding string
	var nameBytes int
	d := &r.data
	if err := tuple(content, &d.ServerVersion, &d.ServerEncoding, &clientEncoding, &nameBytes, &r.path,
		&d.Role.Name, &d.Role.Superuser, &d.Role.BypassRLS, &d.Role.Sizes); err != nil {
		return err
	}
	if clientEncoding != "UTF8" {
		return fmt.Errorf("names arrive in %s: the connection must have client_encoding UTF8", clientEncoding)
	}
	if nameBytes != maxNameBytes {
		return fmt.Errorf("names of this server have up to %d bytes, only %d are supported", nameBytes, maxNameBytes)
	}
	return nil
}

func (r *reader) readRelation(content string) error {
	var rel rawRelation
	var kind string
	var system bool
	var names, typeSchemas, typeNames, flags []string
	var types, arrays []uint32
	if err := tuple(content, &rel.OID, &rel.Schema, &rel.Name, &kind, &rel.RowSecurity, &rel.ForceRLS,
		&rel.owned, &system, &rel.parents, &names, &types, &arrays, &typeSchemas, &typeNames, &flags, &rel.Divisible); err != nil {
		return err
	}
	rel.Kind = letter(kind)
	if system {
		rel.Class = System
	}
	if n := len(names); len(types) != n || len(arrays) != n || len(typeSchemas) != n || len(typeNames) != n || len(flags) != n {
		return errors.New("the columns of a relation are incomplete")
	}
	for i, name := range names {
		t, ok := r.types[types[i]]
		if !ok {
			t = Type{OID: types[i], Schema: typeSchemas[i], Name: typeNames[i]}
			r.types[t.OID] = t
		}
		has := func(flag string) bool { return strings.Contains(flags[i], flag) }
		rel.Columns = append(rel.Columns, Column{
			Name: name, Type: t, Array: arrays[i], NotNull: has("n"), Default: has("d") || has("i"), Generated: has("g"), Identity: has("i"),
			Collated: has("c"),
		})
	}
	r.relations = append(r.relations, rel)
	return nil
}

func (r *reader) readFunction(content string) error {
	var f Function
	var kind, volatility string
	if err := tuple(content, &f.Schema, &f.Name, &f.Args, &f.Defaults, &f.Variadic, &kind, &volatility, &f.Types); err != nil {
		return err
	}
	f.Kind, f.Volatility = letter(kind), letter(volatility)
	r.data.Functions = append(r.data.Functions, f)
	return nil
}

func (r *reader) readType(content string) error {
	var t TypeInfo
	var kind string
	if err := tuple(content, &t.OID, &t.Schema, &t.Name, &kind, &t.Base.OID, &t.Base.Schema, &t.Base.Name); err != nil {
		return err
	}
	t.Kind = letter(kind)
	r.data.Types = append(r.data.Types, t)
	return nil
}

func (r *reader) readView(content string) error {
	var oid uint32
	var v View
	if err := tuple(content, &oid, &v.Definition, &v.Barrier, &v.Invoker, &v.OwnerExempt, &v.Owned); err != nil {
		return err
	}
	r.views[oid] = &v
	return nil
}

// resolveSearchPath does as the server: "$user" is the role's name, schemas
// that are missing or closed to the role are passed over.
func (r *reader) resolveSearchPath() error {
	names, ok := splitIdentifiers(r.path)
	if !ok {
		return fmt.Errorf("run-time parameter search_path is not a list of names: %q", r.path)
	}
	var pinned []string
	for _, name := range names {
		if name == schemaTemp {
			continue // goes last
		}
		pinned = append(pinned, quoteName(name))
		if name == "$user" {
			name = r.data.Role.Name
		}
		if r.schemas[name] {
			r.data.SearchPath = append(r.data.SearchPath, name)
		}
	}
	r.data.SearchPathSetting = strings.Join(append(pinned, schemaTemp), ", ")
	return nil
}

// resolveDomains makes Base the type below all domains.
func resolveDomains(types []TypeInfo) {
	base := make(map[uint32]Type, len(types))
	for _, t := range types {
		if t.Base.OID != 0 {
			base[t.OID] = t.Base
		}
	}
	for i := range types {
		for next, ok := base[types[i].Base.OID]; ok; next, ok = base[next.OID] {
			types[i].Base = next
		}
	}
}

// tuple reads a JSON array of known length into pointers; null leaves the
// value as it is.
func tuple(content string, fields ...any) error {
	want := len(fields)
	if err := json.Unmarshal([]byte(content), &fields); err != nil {
		return err
	}
	if len(fields) != want {
		return fmt.Errorf("%d values where %d were asked for", len(fields), want)
	}
	return nil
}

// letter is the value of a "char" column, which may be empty.
func letter(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

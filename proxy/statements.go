package proxy

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tenantgate/pool"
)

// rememberedStatements bounds a registry. A statement it forgets works on;
// sessions that prepare the same text later do not share it.
const rememberedStatements = 10_000

// statements is the registry in which equal texts of all sessions on one
// backend become one pool.Statement.
type statements struct {
	mu  sync.Mutex
	lru *simplelru.LRU[string, *pool.Statement]
}

func newStatementRegistry() (*statements, error) {
	lru, err := simplelru.NewLRU[string, *pool.Statement](rememberedStatements, nil)
	if err != nil {
		return nil, fmt.Errorf("make statement registry: %w", err)
	}
	return &statements{lru: lru}, nil
}

// get returns the statement of that text and those parameter types, prepared
// under that version of the catalog, for a definition that changed may have
// changed its columns, and read under those parameters.
func (r *statements) get(sql string, oids []uint32, version uint64, reading string) *pool.Statement {
	key := statementKey(sql, oids, version, reading)
	r.mu.Lock()
	defer r.mu.Unlock()
	if st, ok := r.lru.Get(key); ok {
		return st
	}
	st := pool.NewStatement(sql, oids)
	r.lru.Add(key, st)
	return st
}

// retire makes sessions that prepare the text from now on have another
// statement.
func (r *statements) retire(st *pool.Statement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range r.lru.Keys() {
		if known, _ := r.lru.Peek(key); known == st {
			r.lru.Remove(key)
		}
	}
}

func statementKey(sql string, oids []uint32, version uint64, reading string) string {
	key := make([]byte, 0, 12+4*len(oids)+len(reading)+1+len(sql))
	key = binary.BigEndian.AppendUint64(key, version)
	key = binary.BigEndian.AppendUint32(key, uint32(len(oids)))
	for _, oid := range oids {
		key = binary.BigEndian.AppendUint32(key, oid)
	}
	key = append(append(key, reading...), 0)
	return string(append(key, sql...))
}

// readingSettings are the run-time parameters that have a say in what constants
// and names of a text mean. The server looks at them once, when it prepares it.
var readingSettings = []string{
	"array_nulls", "datestyle", "intervalstyle", "lc_monetary", searchPath, "timezone", "timezone_abbreviations", "transform_null_equals", "xmloption",
}

// unknownReading is that of a transaction that has changed what texts mean, as
// far as the proxy knows.
const unknownReading = "?"

// reading is what the server goes by when it reads a text of the session's.
func (s *session) reading() string {
	if s.held.unsettled {
		return unknownReading
	}
	if len(s.settings) == 0 && len(s.touched) == 0 {
		return ""
	}
	reading := ""
	for _, name := range readingSettings {
		if _, touched := s.touched[name]; touched {
			return unknownReading
		}
		if value, set := s.settings[name]; set {
			reading += name + "\x01" + value + "\x01"
		}
	}
	return reading
}

// share gives p the statement that all sessions of the backend share who mean
// the same by its text.
func (s *session) share(p *prepared, sql string, oids []uint32) {
	if p.reading = s.reading(); p.reading == unknownReading {
		p.shared = pool.NewStatement(sql, oids)
		return
	}
	p.shared = s.backend.shared(sql, oids, p.reading)
}

// shared is the statement of a text in which nothing depends on parameters, or
// on these.
func (b *backend) shared(sql string, oids []uint32, reading string) *pool.Statement {
	return b.statements.get(sql, oids, b.definitionsVersion(), reading)
}

// reread sees to it that nobody else takes p for what they mean by its text if
// it has to be prepared on another server connection, and means something else
// there.
func (s *session) reread(p *prepared) {
	if p.unnamed || p.there || p.executes != nil || s.has(p) {
		return
	}
	reading := s.reading()
	if reading == p.reading && reading != unknownReading {
		return
	}
	if s.operator {
		for _, other := range s.statements {
			if other.executes == p {
				return // by the name that it has
			}
		}
	}
	p.shared, p.reading = pool.NewStatement(p.shared.SQL, p.shared.ParamOIDs), reading
}

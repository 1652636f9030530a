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
// under that version of the catalog: a definition that changed may have changed
// its columns.
func (r *statements) get(sql string, oids []uint32, version uint64) *pool.Statement {
	key := statementKey(sql, oids, version)
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

func statementKey(sql string, oids []uint32, version uint64) string {
	key := make([]byte, 0, 8+4*len(oids)+1+len(sql))
	key = binary.BigEndian.AppendUint64(key, version)
	for _, oid := range oids {
		key = binary.BigEndian.AppendUint32(key, oid)
	}
	return string(append(append(key, 0), sql...))
}

// shared is the statement that all sessions of the backend share for a text.
func (b *backend) shared(sql string, oids []uint32) *pool.Statement {
	return b.statements.get(sql, oids, b.definitionsVersion())
}

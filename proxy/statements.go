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

// get returns the statement of that text and those parameter types.
func (r *statements) get(sql string, oids []uint32) *pool.Statement {
	key := make([]byte, 0, 4*len(oids)+1+len(sql))
	for _, oid := range oids {
		key = binary.BigEndian.AppendUint32(key, oid)
	}
	key = append(append(key, 0), sql...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if st, ok := r.lru.Get(string(key)); ok {
		return st
	}
	st := pool.NewStatement(sql, oids)
	r.lru.Add(string(key), st)
	return st
}

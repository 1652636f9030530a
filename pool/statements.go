package pool

import (
	"strconv"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// A Statement is one text with parameter types that sessions prepare. Equal
// ones are one Statement, so that a server connection prepares it once.
type Statement struct {
	Name      string // on every server connection
	SQL       string
	ParamOIDs []uint32

	repeated atomic.Bool
}

// Repeated reports whether it has been called before.
func (st *Statement) Repeated() bool { return st.repeated.Load() || st.repeated.Swap(true) }

// StatementPrefix begins the names of Statements.
const StatementPrefix = "tg_"

var lastStatement atomic.Uint64

// NewStatement gives a statement a name that no other has in this process.
func NewStatement(sql string, paramOIDs []uint32) *Statement {
	return &Statement{
		Name:      StatementPrefix + strconv.FormatUint(lastStatement.Add(1), 36),
		SQL:       sql,
		ParamOIDs: paramOIDs,
	}
}

// Statements are the named statements that one server connection has, least
// recently used ones making room for new ones.
type Statements struct {
	limit int
	lru   *simplelru.LRU[*Statement, struct{}]
}

func newStatements(limit int) *Statements {
	lru, err := simplelru.NewLRU[*Statement, struct{}](limit+1, nil)
	if err != nil {
		panic(err) // the limit is positive
	}
	return &Statements{limit: limit, lru: lru}
}

// Has reports whether the server has the statement, and marks its use.
func (s *Statements) Has(st *Statement) bool {
	_, ok := s.lru.Get(st)
	return ok
}

// Add notes that the server has the statement. It returns the one that has to
// be closed for it, or nil.
func (s *Statements) Add(st *Statement) (evicted *Statement) {
	s.lru.Add(st, struct{}{})
	if s.lru.Len() > s.limit {
		evicted, _, _ = s.lru.RemoveOldest()
	}
	return evicted
}

// Remove notes that the server does not have the statement after all.
func (s *Statements) Remove(st *Statement) { s.lru.Remove(st) }

// Len returns how many statements the server has.
func (s *Statements) Len() int { return s.lru.Len() }

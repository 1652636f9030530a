package rewrite

import "fmt"

// Every refusal tells which rule refused, where in the client's own text, and
// what to do instead. Position counts characters from 1; 0 is unknown.

// A SyntaxError is text that does not parse.
type SyntaxError struct {
	Message  string // PostgreSQL's own words
	Position int
}

func (e *SyntaxError) Error() string { return e.Message }

// A TooComplexError is text that the parser is not given, because its depth or
// size could exhaust the stack.
type TooComplexError struct {
	Message string
	Hint    string
}

func (e *TooComplexError) Error() string { return e.Message }

// An EncodingError is text that is not valid UTF-8 or holds a NUL.
type EncodingError struct {
	Message string
}

func (e *EncodingError) Error() string { return e.Message }

// An UnsupportedError is a construct that is not covered under tenancy.
type UnsupportedError struct {
	Rule     string // as "relation.view": stable, documented
	Node     string // what it is, in SQL's words: "MERGE", "view \"v\""
	Hint     string
	Position int
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s is not supported under tenant isolation", e.Node)
}

// A ForbiddenError is a statement that would leave the tenant.
type ForbiddenError struct {
	Rule     string // as "setting.tenant", "function.unlisted"
	Message  string
	Hint     string
	Position int
}

func (e *ForbiddenError) Error() string { return e.Message }

// An UndefinedTableError is a relation that does not exist.
type UndefinedTableError struct {
	Name     string // as written: schema.name or name
	Position int
}

func (e *UndefinedTableError) Error() string {
	return fmt.Sprintf("relation %q does not exist", e.Name)
}

// A DefinitionProblem is what is wrong with a name, an option or a value that a
// statement uses.
type DefinitionProblem uint8

// The problems, by what PostgreSQL calls them.
const (
	UndefinedColumn      DefinitionProblem = iota + 1 // no such column
	DuplicateColumn                                   // a column is named twice
	InvalidColumn                                     // the column cannot be used there
	WrongObjectType                                   // the relation is of another kind
	DuplicateAlias                                    // two relations have one name
	InvalidEscape                                     // a pattern ends in its escape character
	InvalidParameter                                  // an option cannot have that value
	UnsupportedParameter                              // options do not go together
)

// A DefinitionError is what PostgreSQL itself would answer, where the
// statement never gets so far.
type DefinitionError struct {
	Problem DefinitionProblem
	Message string // PostgreSQL's own words
	Detail  string
	Hint    string
}

func (e *DefinitionError) Error() string { return e.Message }

// A WrongTenantError is a row that would be written with another tenant's key.
type WrongTenantError struct {
	Table string
}

func (e *WrongTenantError) Error() string {
	return fmt.Sprintf("new row violates row-level security policy for table %q", e.Table)
}

package rewrite

// Ids of the rules that refuse statements. They are stable and documented in
// docs/rules.md.
const (
	ruleLiteralContinued = "literal.continued"
)

package rewrite

// A Template is a statement's text with holes for the tenant's key. In the
// extended protocol there are none: the key is a parameter.
type Template struct {
	pieces []string // the text around the holes: one more than holes
	holes  []hole
	edits  []edit // what was added to the client's text, in order
}

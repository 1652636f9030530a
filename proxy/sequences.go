package proxy

import "tenantgate/rewrite"

// What currval and lastval answer is on the server connection. Before the first
// statement of a transaction block that may take numbers, the server forgets
// those of earlier sessions; what it answers from then on is the session's own,
// until the connection goes back.

// errSequences refuses currval and lastval where others may have set them.
var errSequences = &rewrite.ForbiddenError{
	Rule:    "function.sequence",
	Message: "permission denied for functions currval and lastval",
	Hint:    "They may be called in a transaction block, behind what takes a number there. INSERT ... RETURNING works anywhere.",
}

// checkSequences refuses a statement that asks for numbers which this
// transaction has not taken.
func (s *session) checkSequences(st *rewrite.Statement) error {
	if st.Sequences.State && !s.drawing {
		return errSequences
	}
	return nil
}

// forgetSequences goes before a statement that may take numbers.
func (s *session) forgetSequences(draws bool) {
	if !draws || s.drawing || s.status != 'T' {
		return
	}
	s.sendOwn(forgetStatement, request{await: awaitExecute, forgets: true})
	s.drawing = true
}

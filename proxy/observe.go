package proxy

import (
	"errors"
	"slices"

	"tenantgate/rewrite"
)

// With Config.Observe a refused statement is logged and sent as it came. What
// it does to its server connection nobody knows, so the connection is closed
// after the transaction: other sessions never see it.

// observed reports whether a refusal is logged and no more.
func (s *session) observed(refusal error) bool {
	if !s.server.cfg.Observe {
		return false
	}
	e, internal := Translate(refusal)
	if internal {
		return false
	}
	kind := kindOf(refusal)
	s.tally.passedOver(kind)
	s.log.Warn().Str("rule", kind.rule).Str("sqlstate", e.Code).Str("detail", e.Detail).Str("refusal", e.Message).
		Msg("observe: a statement that would be refused is let through")
	return true
}

// observeResult logs what is let through of a text.
func (s *session) observeResult(result *rewrite.Result) {
	for i := range result.Statements {
		if refusal := refusalOf(&result.Statements[i]); refusal != nil {
			s.observed(refusal)
		}
	}
}

// refusalOf is why a statement, or what it prepares, should be refused.
func refusalOf(st *rewrite.Statement) error {
	if st.Prepare != nil {
		return st.Prepare.Statement.Refusal
	}
	return st.Refusal
}

// taint notes that a statement which was let through may run now: neither the
// tenant setting nor anything else on the server connection is certain.
func (s *session) taint(st *rewrite.Statement) {
	if st.Refusal != nil {
		s.tainted, s.confined = true, false
	}
}

// refused reports whether any statement should be refused.
func refused(result *rewrite.Result) bool {
	return slices.ContainsFunc(result.Statements, func(st rewrite.Statement) bool { return refusalOf(&st) != nil })
}

// undefinedTable finds the relation that nobody has heard of in what Rewrite
// answered.
func undefinedTable(result *rewrite.Result, err error) bool {
	var undefined *rewrite.UndefinedTableError
	if err != nil {
		return errors.As(err, &undefined)
	}
	for i := range result.Statements {
		if errors.As(refusalOf(&result.Statements[i]), &undefined) {
			return true
		}
	}
	return false
}

package proxy

import (
	"context"

	"tenantgate/rewrite"
)

// A prepared statement that names temporary tables was read with those that
// there were. When they have changed it is read again, before it is bound: the
// names may mean others now, with other columns.

// noteTables remembers what p was read from, if it names temporary tables.
func (s *session) noteTables(p *prepared, req rewrite.Request) {
	if p.statement.Temporary {
		p.request, p.tables = req, s.held.version
	}
}

// renewTables reads p again if temporary tables that it names may have changed.
func (s *session) renewTables(ctx context.Context, p *prepared) error {
	if !p.statement.Temporary || p.tables == s.held.version {
		return nil
	}
	result, err := s.confineText(ctx, p.request)
	if err != nil {
		return err
	}
	st, oids := &result.Statements[0], p.request.ParamOIDs
	if st.Prepare != nil {
		st, oids = &st.Prepare.Statement, st.Prepare.ParamOIDs
	}
	p.statement, p.tables = st, s.held.version
	p.shared = s.backend.statements.get(st.Text.SQL(p.key), withKeys(oids, st))
	p.described = false
	return nil
}

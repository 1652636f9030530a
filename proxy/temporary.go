package proxy

import (
	"context"
	"fmt"

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
	s.share(p, st.Text.SQLFor(p.values), withKeys(oids, st))
	p.described = false
	return nil
}

// changesTables reports whether names may mean other temporary tables behind a
// statement that is not the last.
func (s *session) changesTables(parts []rewrite.Part) bool {
	for i := range max(len(parts)-1, 0) {
		if what := parts[i].Hold; what&rewrite.HoldTables != 0 && s.held.concerns(what) {
			return true
		}
	}
	return false
}

// oneByOne runs the statements of a simple query that cannot be read all at
// once: names may mean other temporary tables from one to the next. They go as
// messages of the extended protocol, in one group, so that they are one
// transaction as those of a Query are.
func (s *session) oneByOne(ctx context.Context, parts []rewrite.Part) error {
	for _, part := range parts {
		if ok, err := s.knowHolding(); err != nil {
			return err
		} else if !ok {
			break
		}
		st, err := s.confinePart(ctx, part.SQL)
		if err != nil {
			return s.refuseSimple(err)
		}
		s.counts.statements.Add(1)
		s.sendStatement(st, nil)
		if err := s.flushGroup(); err != nil {
			return err
		}
		if s.conn == nil || s.skipping {
			break
		}
		if controlsTransaction(st.Kind) { // the status is not known before a Sync
			s.send = appendBare(s.send, 'S')
			s.push(request{await: awaitSync, reply: replySkip})
			if err := s.exchange(); err != nil {
				return err
			}
		}
		if s.conn == nil || s.erred {
			break
		}
	}
	return s.endGroup()
}

func controlsTransaction(kind rewrite.Kind) bool {
	switch kind {
	case rewrite.KindBegin, rewrite.KindCommit, rewrite.KindRollback, rewrite.KindRollbackTo:
		return true
	default:
		return false
	}
}

// confinePart reads one statement of a simple query, and gets a server
// connection for it.
func (s *session) confinePart(ctx context.Context, sql string) (*rewrite.Statement, error) {
	result, err := s.confineText(ctx, rewrite.Request{SQL: sql})
	if err != nil {
		return nil, err
	}
	st := &result.Statements[0]
	switch {
	case translated(st) || ownKind(st) || channelKind(st):
		return nil, severalStatements
	case st.Params > 0:
		return nil, newError("42P02", fmt.Sprintf("there is no parameter $%d", st.Params), "")
	}
	if err := st.CheckKey(s.key()); err != nil {
		return nil, err
	}
	return st, s.lease(ctx)
}

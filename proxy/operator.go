package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/auth"
	"tenantgate/pool"
	"tenantgate/rewrite"
)

// An operator's session is confined by nobody: its texts are sent as they came,
// over server connections that it leases for transactions, as the sessions of
// tenants do. They are read only to know what they leave in the session.

// operatorBackend returns the pool that an operator's sessions lease from: that
// of its own URL, or of its backend, and of the database which the client names.
func (g *greeting) operatorBackend(identity *auth.Identity) (*backend, error) {
	var config pool.Config
	if identity.URL != "" {
		server, err := pgconn.ParseConfig(identity.URL)
		if err != nil {
			return nil, fmt.Errorf("operator's URL: %w", err)
		}
		config = g.server.cfg.Operators
		config.Server = server
	} else {
		backend, ok := g.server.cfg.Backends[identity.Backend]
		if !ok {
			return nil, fmt.Errorf("unknown backend %q", identity.Backend)
		}
		config = backend.Pool
		config.Server = config.Server.Copy()
	}
	config.PerGroup, config.MinIdle = 0, 0 // of tenants
	if name := g.params["database"]; name != "" {
		config.Server.Database = name
	}
	return g.server.operatorBackendAt(
		placement{backend: identity.Backend, url: identity.URL, database: config.Server.Database, operator: true}, config)
}

// operatorBackendAt returns the backend of operators there, made when first
// asked for. Nothing is connected yet.
func (s *Server) operatorBackendAt(at placement, config pool.Config) (*backend, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.backends[at]; b != nil {
		return b, nil
	}
	if s.closing {
		return nil, errDraining
	}
	b := &backend{
		name: cmp.Or(at.backend, config.Server.User), database: at.database, operator: true, reader: s.reader,
		senders: newSenders(), cancels: make(chan struct{}, maxCancels),
	}
	if err := b.remember(); err != nil {
		return nil, err
	}
	config.Log = s.log.With().Str("backend", b.name).Str("database", b.database).Bool("operator", true).Logger()
	b.listener = newListener(config.Server, config.Log)
	config.Server.AfterConnect = b.prepare
	var err error
	if b.pool, err = pool.New(config); err != nil {
		return nil, err
	}
	b.role = config.Server.User
	b.pool.Start()
	s.backends[at] = b
	return b, nil
}

// unavailable is what the client hears when it can have no server connection.
// An operator hears the server's own refusal, if that is the reason.
func (s *session) unavailable(err error) error {
	var pg *pgconn.PgError
	if s.operator && errors.As(err, &pg) {
		return &Error{Code: pg.Code, Message: pg.Message, Detail: pg.Detail, Hint: pg.Hint}
	}
	return err
}

// readText reads an operator's text. In other encodings than UTF8, or with
// other rules for string constants, it may mean something else to the server.
func (s *session) readText(req rewrite.Request) (*rewrite.Result, error) {
	if s.reported["client_encoding"] != "UTF8" || s.reported["standard_conforming_strings"] != "on" {
		return rewrite.Unread(req.SQL), nil
	}
	result := s.backend.reader.Read(req)
	for i := range result.Statements {
		switch st := &result.Statements[i]; {
		case st.Prepares && s.statements[st.Name] != nil:
			return nil, newError("42P05", fmt.Sprintf("prepared statement %q already exists", st.Name), "")
		case st.Kind == rewrite.KindDeallocate && s.deallocatedThere(st): // it is alone
			sent := *st
			sent.Kind, sent.Unsure, sent.Deallocates = rewrite.KindQuery, true, st.Name == ""
			return &rewrite.Result{Statements: []rewrite.Statement{sent}}, nil
		}
	}
	return result, nil
}

// deallocatedThere reports whether the server has to carry out a DEALLOCATE: SQL
// may have prepared the statement there.
func (s *session) deallocatedThere(st *rewrite.Statement) bool {
	if st.Name == "" {
		return s.conn != nil
	}
	return s.statements[st.Name] == nil
}

// thereStatement is one of which nobody knows what it does.
var thereStatement = &rewrite.Statement{Kind: rewrite.KindQuery, Unsure: true}

// mayBeThere reports whether SQL may have prepared a statement of that name in
// the session, which keeps its server connection then. The proxy's own names
// are those of other sessions' statements.
func (s *session) mayBeThere(name string) bool {
	return s.operator && s.conn != nil && name != "" && !strings.HasPrefix(name, pool.StatementPrefix) && !strings.HasPrefix(name, "tenantgate_")
}

// executed is the client's statement of the protocol that an EXECUTE of SQL
// runs; nil if it is none, or one that SQL has prepared.
func (s *session) executed(st *rewrite.Statement) *prepared {
	if st.Executes == "" {
		return nil
	}
	p := s.statements[st.Executes]
	if p == nil || p.statement == emptyStatement || ownKind(p.statement) || channelKind(p.statement) {
		return nil
	}
	return p
}

// underServerNames puts the names that the server connection knows in place of
// those of the client's statements, where SQL executes them.
func (s *session) underServerNames(statements []rewrite.Statement) []rewrite.Statement {
	var renamed []rewrite.Statement
	for i := range statements {
		p := s.executed(&statements[i])
		if p == nil {
			continue
		}
		text, ok := statements[i].Executing(p.serverName())
		if !ok {
			continue
		}
		if renamed == nil {
			renamed = append(renamed, statements...)
		}
		s.ensure(p)
		renamed[i].Text = text
	}
	if renamed == nil {
		return statements
	}
	return renamed
}

// noteUnsure notes what only the server can tell after an operator's statement.
func (s *session) noteUnsure(st *rewrite.Statement) {
	s.held.unsettled = s.held.unsettled || st.Unsure
	s.defined = s.defined || st.Defines
	s.conn.Drew = s.conn.Drew || st.Draws
	if st.Deallocates {
		s.deallocated = true
		s.forgetStatements()
	}
}

// definitionsSettled is called at the end of a transaction in which an operator
// may have changed definitions: what was prepared before may have other columns
// now, and tenants' sessions look at the catalog anew.
func (s *session) definitionsSettled() {
	s.defined = false
	s.backend.definitions.Add(1)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	for _, b := range s.server.backends {
		if !b.operator {
			b.outdated.Store(true)
		}
	}
}

// prepareAgain brings back the proxy's own statements after DEALLOCATE ALL has
// taken all that the server connection had.
func (s *session) prepareAgain() error {
	s.deallocated = false
	s.conn.Deallocated()
	s.sendOwnStatements()
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync, reply: replySkip, upkeep: true})
	return s.exchange()
}

// functionCall calls a function by the protocol's fast path.
func (s *session) functionCall(ctx context.Context, body []byte) error {
	if err := s.lease(ctx); err != nil {
		return s.refuseSimple(err)
	}
	s.erred = false
	s.held.unsettled = true // it may be any function
	msg, at := beginMessage(s.send, 'F')
	s.send = finishMessage(append(msg, body...), at)
	s.push(request{await: awaitFunction})
	if err := s.exchange(); err != nil {
		return err
	}
	return s.settled()
}

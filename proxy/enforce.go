package proxy

import (
	"context"
	"fmt"
	"time"

	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

// An Enforcement says how rows are confined to a tenant.
type Enforcement uint8

// The enforcements, by the words of the configuration.
const (
	RLS     Enforcement = iota + 1 // "rls": the tenant setting is sent, the database's policies filter
	Rewrite                        // "rewrite": predicates are added to every statement
	Both                           // "both"
)

// ParseEnforcement reads the configuration's word.
func ParseEnforcement(s string) (Enforcement, error) {
	switch s {
	case "rls":
		return RLS, nil
	case "rewrite":
		return Rewrite, nil
	case "both":
		return Both, nil
	default:
		return 0, fmt.Errorf("%q is no enforcement; allowed: rls, rewrite, both", s)
	}
}

func (e Enforcement) String() string {
	switch e {
	case RLS:
		return "rls"
	case Rewrite:
		return "rewrite"
	case Both:
		return "both"
	default:
		return fmt.Sprintf("enforcement %d", uint8(e))
	}
}

const (
	// tenantParameter is how a client of several tenants chooses one.
	tenantParameter = "tenantgate.tenant"

	// The proxy's own statements, prepared on every server connection. They
	// take parameters, so that no key shows in the server's activity.
	tenantStatement = "tenantgate_tenant"
	setStatement    = "tenantgate_set"
	showStatement   = "tenantgate_show"
	forgetStatement = "tenantgate_sequences"

	// dumpName is the application_name by which pg_dump says who it is.
	dumpName = "pg_dump"

	// maxTemporaryTables bounds what is asked after each change.
	maxTemporaryTables = 1000

	// staleCatalog is the age at which the catalog is read again before a name
	// that it does not have is refused, and catalogTimeout how long a statement
	// waits for that.
	staleCatalog   = 250 * time.Millisecond
	catalogTimeout = 30 * time.Second
)

var ownStatements = map[string]string{ // of tenants' server connections
	tenantStatement:  "SELECT pg_catalog.set_config($1, $2, true)",
	setStatement:     "SELECT pg_catalog.set_config($1, $2, false)",
	showStatement:    "SELECT pg_catalog.current_setting($1, true)",
	forgetStatement:  "DISCARD SEQUENCES",
	holdingStatement: holdingQuery,
	locksStatement:   locksQuery,
	roomStatement:    roomQuery,
	unloadStatement:  unloadQuery,

	marksStatement:    marksQuery,
	unlistenStatement: "UNLISTEN *",
}

var operatorStatements = map[string]string{
	setStatement:     ownStatements[setStatement],
	showStatement:    ownStatements[showStatement],
	holdingStatement: operatorHoldingQuery,

	marksStatement:    marksQuery,
	unlistenStatement: ownStatements[unlistenStatement],
}

// key is the tenant's, or empty while none is chosen.
func (s *session) key() string {
	if s.tenant == nil {
		return ""
	}
	return s.tenant.Key
}

// confineText has a client's text guarded and, if so configured, rewritten. A
// relation nobody has heard of is looked for in the database once more.
func (s *session) confineText(ctx context.Context, req rewrite.Request) (*rewrite.Result, error) {
	if s.operator {
		return s.readText(req)
	}
	if err := s.backend.renewCatalog(ctx); err != nil {
		s.log.Warn().Err(err).Msg("catalog cannot be read")
	}
	req.Dump = s.settings["application_name"] == dumpName
	snapshot := s.backend.catalog.Snapshot()
	result, err := s.rewrite(req, snapshot.Seen(s.path))
	if undefinedTable(result, err) {
		changed, refreshErr := s.backend.refreshCatalog(ctx)
		if refreshErr != nil {
			s.log.Warn().Err(refreshErr).Msg("catalog cannot be read")
		}
		if newer := s.backend.catalog.Snapshot(); changed || newer != snapshot {
			result, err = s.rewrite(req, newer.Seen(s.path))
		}
	}
	if err != nil {
		return nil, err
	}
	if err := s.separateTables(result); err != nil {
		return nil, err
	}
	if s.tenant == nil {
		for i := range result.Statements {
			if !ownKind(&result.Statements[i]) {
				return nil, errTenantUnknown
			}
		}
	}
	s.observeResult(result)
	return result, nil
}

// rewrite has a text read with the session's temporary tables, if it needs
// them: permanent ones come first, so what is understood without them means the
// same with them.
func (s *session) rewrite(req rewrite.Request, snapshot *catalog.Snapshot) (*rewrite.Result, error) {
	if len(s.held.tables) == 0 || s.held.changed || !s.held.names(req.SQL) {
		result, err := s.backend.rewriter.Rewrite(req, snapshot)
		switch {
		case err == nil && !refused(result) || len(s.held.tables) == 0:
			return result, err
		case s.held.changed: // the transaction has failed, the server could not be asked
			return nil, errAborted
		}
	}
	return s.backend.rewriter.Rewrite(req, s.held.snapshot(snapshot))
}

// separateTables refuses a message in which names would mean other temporary
// tables from one statement to the next: all of it has been read at once.
func (s *session) separateTables(result *rewrite.Result) error {
	for i := range result.Statements {
		if result.Statements[i].Hold&(rewrite.HoldBegins|rewrite.HoldTables) == rewrite.HoldBegins|rewrite.HoldTables &&
			len(s.held.tables) >= maxTemporaryTables {
			return newError("53400", "too many temporary tables", fmt.Sprintf("A session can have %d.", maxTemporaryTables))
		}
	}
	for i := range max(len(result.Statements)-1, 0) {
		st := &result.Statements[i]
		if st.Hold&rewrite.HoldTables != 0 && !ownKind(st) && s.held.concerns(st.Hold) {
			return severalStatements
		}
	}
	return nil
}

// confineFor tells the server the tenant, before a statement that needs it, if
// it does not know.
func (s *session) confineFor(st *rewrite.Statement) {
	if needsTenant(st.Kind) && !s.confined && s.status != 'E' && s.backend.confining {
		s.confineTransaction()
	}
}

// needsTenant reports whether a statement of this kind reads or writes rows.
func needsTenant(kind rewrite.Kind) bool {
	switch kind {
	case rewrite.KindBegin, rewrite.KindCommit, rewrite.KindRollback, rewrite.KindRollbackTo, rewrite.KindSetTransaction,
		rewrite.KindSet, rewrite.KindReset, rewrite.KindShow, rewrite.KindListen, rewrite.KindUnlisten, rewrite.KindNotify:
		return false
	default:
		return true
	}
}

// confineTransaction tells the server the tenant, for this transaction only,
// before the client's next message. The machine sees that it was taken.
func (s *session) confineTransaction() {
	s.sendTenant(s.key(), false)
	s.confined = true
}

// sendTenant sets the tenant of that key, for what follows: lookups of a guest's
// tenant, or what is the session's own.
func (s *session) sendTenant(key string, others bool) {
	value := s.tenantValue(key)
	s.sendOwn(tenantStatement, request{await: awaitTenant, value: value, others: others}, s.server.cfg.Setting, value)
}

// sendOwn runs one of the proxy's own statements, whose answer is awaited as r says.
func (s *session) sendOwn(statement string, r request, values ...string) {
	r.reply = replySkip
	s.send = appendBindText(s.send, statement, values...)
	s.push(request{await: awaitBind, reply: replySkip, others: r.others, upkeep: r.upkeep})
	s.send = appendExecute(s.send, "", 0)
	s.push(r)
}

// logRefusal notes a refused statement. The client's text is not logged.
func (s *session) logRefusal(refusal error) {
	kind := kindOf(refusal)
	s.tally.refused(kind)
	e, _ := Translate(refusal)
	s.log.Info().Str("rule", kind.rule).Str("sqlstate", e.Code).Str("detail", e.Detail).Msg("statement refused")
}

package proxy

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"tenantgate/auth"
	"tenantgate/pool"
	"tenantgate/rewrite"
)

// An Error is one that the proxy itself raises, as PostgreSQL would put it.
type Error struct {
	Code, Message, Detail, Hint string
	Position                    int
	Routine                     string // of the server's that raises it, where clients look at that
}

func (e *Error) Error() string { return e.Message }

func newError(code, message, hint string) *Error {
	return &Error{Code: code, Message: message, Hint: hint}
}

var (
	errDraining      = newError("57P01", "terminating connection due to administrator command", "The proxy is shutting down. Connect again.")
	errKilled        = newError("57P01", "terminating connection due to administrator command", "An operator has ended this session.")
	errAborted       = newError("25P02", "current transaction is aborted, commands ignored until end of transaction block", "")
	errServerLost    = newError("08006", "server connection lost", "Whether the statement took effect is unknown. The session goes on; run-time parameters and prepared statements are kept.")
	errNoFastPath    = newError("0A000", "function calls by message are not supported under tenant isolation", "Call the function in a SELECT.")
	errPlanChanged   = &Error{Code: "0A000", Message: "cached plan must not change result type", Routine: "RevalidateCachedQuery"}
	errTenantUnknown = newError("42501", "a tenant must be chosen", "Connect with options='-c tenantgate.tenant=…' or run SET tenantgate.tenant = '…'.")
)

// errorResponse says err in PostgreSQL's terms. An error that is not listed is
// XX000, and internal is true: the log gets it in full, the client nothing.
func errorResponse(severity string, err error) (msg *pgproto3.ErrorResponse, internal bool) {
	e, internal := Translate(err)
	where := ""
	if of := (*copyError)(nil); errors.As(err, &of) {
		where = of.context
	}
	return &pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: e.Code,
		Message: e.Message, Detail: e.Detail, Hint: e.Hint, Position: int32(e.Position), Where: where, Routine: e.Routine,
	}, internal
}

// Translate says in PostgreSQL's terms what a client is told about err: it is
// the table of errors. If the client is not to be told, internal is true and e
// says only that.
func Translate(err error) (e *Error, internal bool) {
	var (
		own         *Error
		syntax      *rewrite.SyntaxError
		tooComplex  *rewrite.TooComplexError
		encoding    *rewrite.EncodingError
		unsupported *rewrite.UnsupportedError
		forbidden   *rewrite.ForbiddenError
		undefined   *rewrite.UndefinedTableError
		wrongTenant *rewrite.WrongTenantError
		definition  *rewrite.DefinitionError
		limit       *pool.GroupLimitError
		unavailable *pool.UnavailableError
		suspended   *auth.SuspendedError
		unknown     *auth.UnknownTenantError
	)
	switch {
	case errors.As(err, &own):
		return own, false
	case errors.As(err, &syntax):
		return &Error{Code: "42601", Message: syntax.Message, Position: syntax.Position}, false
	case errors.As(err, &tooComplex):
		return &Error{Code: "54001", Message: tooComplex.Message, Hint: tooComplex.Hint}, false
	case errors.As(err, &encoding):
		return &Error{Code: "22021", Message: encoding.Message}, false
	case errors.As(err, &unsupported):
		return &Error{Code: "0A000", Message: unsupported.Error(), Detail: ruleDetail(unsupported.Rule), Hint: unsupported.Hint, Position: unsupported.Position}, false
	case errors.As(err, &forbidden):
		return &Error{Code: "42501", Message: forbidden.Message, Detail: ruleDetail(forbidden.Rule), Hint: forbidden.Hint, Position: forbidden.Position}, false
	case errors.As(err, &undefined):
		return &Error{Code: "42P01", Message: undefined.Error(), Position: undefined.Position}, false
	case errors.As(err, &wrongTenant):
		return &Error{Code: "42501", Message: wrongTenant.Error()}, false
	case errors.As(err, &definition):
		return definitionError(definition)
	case errors.As(err, &limit):
		return newError("53300", fmt.Sprintf("tenant holds its limit of %d server connections (per_tenant)", limit.Limit),
			"Wait for the tenant's transactions to end, or raise pool.per_tenant."), false
	case errors.Is(err, pool.ErrTimeout):
		return newError("53300", "no server connection came free within acquire_timeout (pool.size)",
			"Shorten transactions, or raise pool.size."), false
	case errors.As(err, &unavailable):
		return unavailableError(unavailable), false
	case errors.Is(err, pool.ErrClosed):
		return errDraining, false
	case errors.As(err, &suspended):
		return newError("28000", suspended.Error(), ""), false
	case errors.Is(err, auth.ErrNoTenant):
		return newError("28000", err.Error(), ""), false
	case errors.Is(err, auth.ErrRejected):
		return newError("28P01", err.Error(), ""), false
	case errors.Is(err, auth.ErrCertificate), errors.Is(err, auth.ErrChannelBinding):
		return newError("28000", err.Error(), ""), false
	case errors.Is(err, auth.ErrThrottled):
		return newError("28P01", err.Error(), "Wait before the next attempt."), false
	case errors.As(err, &unknown):
		return newError("42501", unknown.Error(), ""), false
	case errors.Is(err, auth.ErrProtocol), errors.Is(err, errMalformed):
		return newError("08P01", err.Error(), ""), false
	case errors.Is(err, context.DeadlineExceeded):
		return newError("57014", "canceling statement due to timeout", ""), false
	case errors.Is(err, context.Canceled):
		return errDraining, false
	case errors.Is(err, errServerProtocol):
		return newError("08P01", "server broke the protocol; its connection is closed", ""), true
	default:
		return newError("XX000", "internal error", "See the proxy's log."), true
	}
}

// definitionCodes are the SQLSTATEs of what is wrong with names and options.
var definitionCodes = map[rewrite.DefinitionProblem]string{
	rewrite.UndefinedColumn: "42703",
	rewrite.DuplicateColumn: "42701",
	rewrite.InvalidColumn:   "42P10",
	rewrite.WrongObjectType: "42809",
	rewrite.DuplicateAlias:  "42712",
	rewrite.InvalidEscape:   "22025",

	rewrite.InvalidParameter:     "22023",
	rewrite.UnsupportedParameter: "0A000",
}

func definitionError(err *rewrite.DefinitionError) (e *Error, internal bool) {
	code, listed := definitionCodes[err.Problem]
	if !listed {
		return newError("XX000", "internal error", "See the proxy's log."), true
	}
	return &Error{Code: code, Message: err.Message, Detail: err.Detail, Hint: err.Hint}, false
}

// unavailableError tells a client why there is no server connection, without
// telling it more than a SQLSTATE: addresses and role names are the operator's.
func unavailableError(err error) *Error {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == "53300":
		return newError("53300", "the database server takes no more connections", "Lower pool.size, or raise the server's max_connections or the role's CONNECTION LIMIT.")
	case errors.As(err, &pg):
		return newError("57P03", "the database server is not available: it answered "+pg.Code, "Try again.")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return newError("57P03", "the database server is not available: the proxy is out of file descriptors", "Raise the proxy's limit of open files.")
	default:
		return newError("57P03", "the database server is not available: it cannot be reached", "Try again.")
	}
}

func ruleDetail(rule string) string {
	if rule == "" {
		return ""
	}
	return "Rule: " + rule + "."
}

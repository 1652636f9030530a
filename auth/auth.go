// Package auth answers who a client is: a login's name and proof become an
// Identity, which says whose rows the session may see. The exchange is
// SCRAM-SHA-256, over TLS with channel binding, or a client certificate.
package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

var (
	// ErrRejected is a wrong password or an unknown login: the client must not
	// learn which. Errors that match it are a *RejectedError.
	ErrRejected = errors.New("password authentication failed for user")
	// ErrProtocol is a SASL message that is malformed or not expected.
	ErrProtocol = errors.New("malformed SASL message")
	// ErrChannelBinding is a channel binding that was not agreed on or does not
	// match: somebody may sit between client and proxy.
	ErrChannelBinding = errors.New("SCRAM channel binding check failed")
	// ErrCertificate is a right password without the client certificate that
	// has to come with it.
	ErrCertificate = errors.New("certificate authentication failed for user")
	// ErrThrottled is an attempt that was not looked at, after too many failed
	// ones for the same login from the same address.
	ErrThrottled = errors.New("too many failed authentication attempts")
	// ErrNoTenant is a login that has no tenant, or several and chose none.
	ErrNoTenant = errors.New("a tenant must be chosen")
)

// A RejectedError is an ErrRejected with its reason, which is for the log and
// never for the client.
type RejectedError struct {
	User   string
	Reason string
}

func (e *RejectedError) Error() string { return fmt.Sprintf("%s %q", ErrRejected, e.User) }

// Unwrap returns ErrRejected.
func (e *RejectedError) Unwrap() error { return ErrRejected }

// A SuspendedError is a right password for a tenant that is suspended.
type SuspendedError struct {
	Tenant string
}

func (e *SuspendedError) Error() string { return fmt.Sprintf("tenant %q is suspended", e.Tenant) }

// An UnknownTenantError is a choice that the login does not have, whether or
// not such a tenant exists.
type UnknownTenantError struct {
	Login, Tenant string
}

func (e *UnknownTenantError) Error() string {
	return fmt.Sprintf("login %q may not act for tenant %q", e.Login, e.Tenant)
}

// A Tenant is whose rows a session sees, and where they are.
type Tenant struct {
	ID        string
	Key       string // the value in the tenant column
	Backend   string // name of the backend that holds its rows
	Database  string // there; empty means the backend's own
	Suspended bool
	Limits    Limits
}

// Limits bound what one tenant has of what all share. Zero is no limit of its
// own.
type Limits struct {
	Connections              int           // server connections held at once
	Clients                  int           // logged in at once
	Weight                   int           // turns taken in a row where tenants wait for server connections
	Wait                     time.Duration // of a statement for a server connection
	StatementTimeout         time.Duration // of one statement on the server
	IdleInTransactionTimeout time.Duration // for the client within a transaction
}

// A Login is a name that clients authenticate as.
type Login struct {
	User     string
	Password string   // a SCRAM-SHA-256 verifier or plain text; empty: by certificate alone
	Tenants  []string // ids; one is had at once, of several the client chooses
	Operator bool     // confined by no tenant
	Backend  string   // of an operator
	URL      string   // of an operator with a server role of its own
	Console  bool     // of an operator who may have the proxy's console
	Clients  int      // logged in at once at most; 0 is no limit
}

// String leaves the secrets out.
func (l Login) String() string {
	return fmt.Sprintf("login %q of tenants %q, operator %t", l.User, l.Tenants, l.Operator)
}

// GoString leaves the secrets out.
func (l Login) GoString() string { return l.String() }

// A Config lists who may log in, and how.
type Config struct {
	Tenants           []Tenant
	Logins            []Login
	RequireClientCert bool // refuse a login whose client certificate does not bear its name
	Throttle          Throttle
}

// An Identity is a login that proved itself. It is shared and immutable.
type Identity struct {
	Login    string
	Tenants  []*Tenant // in the order of the configuration; empty for an operator
	Operator bool
	Backend  string // of an operator
	URL      string // of an operator with a server role of its own; holds secrets
	Console  bool   // may have the proxy's console
	Clients  int    // logged in at once at most; 0 is no limit
}

// String leaves the secrets out.
func (id *Identity) String() string {
	return fmt.Sprintf("login %q of %d tenants, operator %t", id.Login, len(id.Tenants), id.Operator)
}

// GoString leaves the secrets out.
func (id *Identity) GoString() string { return id.String() }

// Choose returns the tenant with that id, or the only one if id is empty. The
// error is ErrNoTenant, *UnknownTenantError or *SuspendedError.
func (id *Identity) Choose(tenant string) (*Tenant, error) {
	if tenant == "" && len(id.Tenants) != 1 {
		return nil, ErrNoTenant
	}
	for _, t := range id.Tenants {
		if tenant != "" && t.ID != tenant {
			continue
		}
		if t.Suspended {
			return nil, &SuspendedError{Tenant: t.ID}
		}
		return t, nil
	}
	return nil, &UnknownTenantError{Login: id.Login, Tenant: tenant}
}

// admit refuses an identity that cannot act for anybody.
func (id *Identity) admit() error {
	if id.Operator {
		return nil
	}
	if len(id.Tenants) == 0 {
		return ErrNoTenant
	}
	if !slices.ContainsFunc(id.Tenants, func(t *Tenant) bool { return !t.Suspended }) {
		return &SuspendedError{Tenant: id.Tenants[0].ID}
	}
	return nil
}

// A Peer is what is known of a client before it says who it is.
type Peer struct {
	Addr       netip.Addr // not valid for a unix socket
	ServerCert []byte     // DER of the certificate we showed; nil without TLS
	ClientCN   string     // common name of a verified client certificate; empty without one
}

// An Exchange carries authentication messages to and from one client. Both
// methods may block as long as the caller's deadline lets them.
type Exchange interface {
	// Send delivers a message at once.
	Send(pgproto3.BackendMessage) error
	// Receive reads one 'p' message into msg, a *pgproto3.SASLInitialResponse
	// or a *pgproto3.SASLResponse. What does not decode wraps ErrProtocol.
	Receive(msg pgproto3.FrontendMessage) error
}

// An Authenticator knows the logins. Its methods may be called by any
// goroutine.
type Authenticator struct {
	logins      map[string]login
	tenants     []*Tenant // by id
	requireCert bool
	decoy       decoy
	throttle    *throttle
}

type login struct {
	identity *Identity
	verifier *Verifier // nil: by certificate alone
}

// New checks cfg and returns an Authenticator for it. Passwords in plain text
// become verifiers here, which takes about a millisecond each.
func New(cfg Config) (*Authenticator, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("read random secret: %w", err)
	}
	return build(cfg, secret, newThrottle(cfg.Throttle))
}

// Renew returns an Authenticator for a changed configuration that remembers
// a's failed attempts and goes on showing the same salts. cfg.Throttle is not
// looked at.
func (a *Authenticator) Renew(cfg Config) (*Authenticator, error) {
	return build(cfg, a.decoy.secret, a.throttle)
}

func build(cfg Config, secret []byte, t *throttle) (*Authenticator, error) {
	tenants := make(map[string]*Tenant, len(cfg.Tenants))
	for _, tenant := range cfg.Tenants {
		if tenant.ID == "" {
			return nil, errors.New("tenant without an id")
		}
		if tenants[tenant.ID] != nil {
			return nil, fmt.Errorf("tenant %q is listed twice", tenant.ID)
		}
		tenants[tenant.ID] = &tenant
	}
	a := &Authenticator{
		logins:      make(map[string]login, len(cfg.Logins)),
		tenants:     slices.SortedFunc(maps.Values(tenants), func(a, b *Tenant) int { return strings.Compare(a.ID, b.ID) }),
		requireCert: cfg.RequireClientCert,
		decoy:       decoy{secret: secret, iterations: DefaultIterations},
		throttle:    t,
	}
	iterations := make(map[int]int)
	for _, l := range cfg.Logins {
		if _, ok := a.logins[l.User]; ok {
			return nil, fmt.Errorf("login %q is listed twice", l.User)
		}
		known, err := a.newLogin(l, tenants)
		if err != nil {
			return nil, fmt.Errorf("login %q: %w", l.User, err)
		}
		a.logins[l.User] = known
		if v := known.verifier; v != nil {
			iterations[v.Iterations]++
			if iterations[v.Iterations] > iterations[a.decoy.iterations] {
				a.decoy.iterations = v.Iterations
			}
		}
	}
	return a, nil
}

func (a *Authenticator) newLogin(l Login, tenants map[string]*Tenant) (login, error) {
	if l.User == "" {
		return login{}, errors.New("has no user name")
	}
	if l.Operator && len(l.Tenants) > 0 {
		return login{}, errors.New("is an operator and has tenants")
	}
	if !l.Operator && (l.Backend != "" || l.URL != "") {
		return login{}, errors.New("has a backend and is no operator")
	}
	if !l.Operator && l.Console {
		return login{}, errors.New("has the console and is no operator")
	}
	id := &Identity{Login: l.User, Operator: l.Operator, Backend: l.Backend, URL: l.URL, Console: l.Console, Clients: l.Clients}
	for _, name := range l.Tenants {
		t := tenants[name]
		if t == nil {
			return login{}, fmt.Errorf("tenant %q does not exist", name)
		}
		if slices.Contains(id.Tenants, t) {
			return login{}, fmt.Errorf("tenant %q is listed twice", name)
		}
		id.Tenants = append(id.Tenants, t)
	}
	if l.Password == "" {
		return login{identity: id}, nil
	}
	if err := CheckPassword(l.Password); err != nil {
		return login{}, err
	}
	if isVerifier(l.Password) {
		v, err := ParseVerifier(l.Password)
		if err != nil {
			return login{}, err
		}
		return login{identity: id, verifier: &v}, nil
	}
	// A salt that depends on the name alone is the one shown before the login
	// existed, so its appearance does not show.
	v, err := deriveVerifier(l.Password, a.decoy.salt(l.User), DefaultIterations)
	if err != nil {
		return login{}, err
	}
	return login{identity: id, verifier: &v}, nil
}

// Tenants returns all tenants, with a login or without, by their ids. They are
// shared and immutable.
func (a *Authenticator) Tenants() []*Tenant { return a.tenants }

// Authenticate finds out whether the client is who it says: it sends the SASL
// messages, reads the answers, and leaves AuthenticationOk or the error to the
// caller. After failures it holds its verdict back for a while, at most until
// ctx ends. The error is a *RejectedError, *SuspendedError, or wraps ErrProtocol,
// ErrChannelBinding, ErrCertificate, ErrThrottled, ErrNoTenant, or is that of ex
// or ctx.
func (a *Authenticator) Authenticate(ctx context.Context, user string, peer Peer, ex Exchange) (*Identity, error) {
	known, ok := a.logins[user]
	if ok && known.verifier == nil && peer.ClientCN == user {
		return known.identity, known.identity.admit()
	}
	// Made for every user, so that known ones take no less time.
	verifier, reason := a.decoy.verifier(user), ""
	switch {
	case !ok:
		reason = "unknown login"
	case known.verifier == nil:
		reason = "login has no password, and its certificate was not shown"
	default:
		verifier = *known.verifier
	}
	attempt := a.throttle.attempt(user, peer.Addr)
	err := prove(ctx, verifier, peer.ServerCert, ex, attempt.wait)
	if err == nil && reason != "" {
		// A proof of the decoy cannot be found; were it, it would not count.
		err = ErrRejected
	}
	if errors.Is(err, ErrRejected) {
		attempt.failed()
		if reason == "" {
			reason = "wrong password"
		}
		return nil, &RejectedError{User: user, Reason: reason}
	}
	if err != nil {
		return nil, err
	}
	attempt.succeeded()
	if wrongCertificate(user, peer.ClientCN, a.requireCert) {
		return nil, fmt.Errorf("%w %q", ErrCertificate, user)
	}
	return known.identity, known.identity.admit()
}

// wrongCertificate reports whether a client with the right password lacks the
// certificate it needs, or shows somebody else's.
func wrongCertificate(user, commonName string, required bool) bool {
	if commonName == "" {
		return required
	}
	return commonName != user
}

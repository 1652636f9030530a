package proxy

import (
	"errors"
	"fmt"
	"sync"

	"tenantgate/auth"
	"tenantgate/pool"
)

// A headcount counts the clients that are logged in: in all, by login and by
// tenant. Operators count for their login alone, so that they get in when
// tenants' clients have taken all places.
type headcount struct {
	max int // tenants' clients in all; 0 is no limit

	mu      sync.Mutex
	all     int
	logins  map[string]int
	tenants map[string]int
}

func newHeadcount(limit int) *headcount {
	return &headcount{max: limit, logins: make(map[string]int), tenants: make(map[string]int)}
}

// A place is what one client takes of the limits on clients.
type place struct {
	count    *headcount
	identity *auth.Identity
	tenant   string // empty while none is chosen
}

// admit gives a client that has authenticated a place. The error names the
// limit that is reached.
func (h *headcount) admit(id *auth.Identity) (*place, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !id.Operator && h.max > 0 && h.all >= h.max {
		return nil, tooManyClients("sorry, too many clients already", "limits.clients", h.max)
	}
	if id.Clients > 0 && h.logins[id.Login] >= id.Clients {
		return nil, tooManyClients(fmt.Sprintf("too many connections for login %q", id.Login), "limits.clients of the login", id.Clients)
	}
	if !id.Operator {
		h.all++
	}
	h.logins[id.Login]++
	return &place{count: h, identity: id}, nil
}

// move counts the client to a tenant, and no more to the one it had before.
func (p *place) move(t *auth.Tenant) error {
	h := p.count
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.tenant == t.ID {
		return nil
	}
	if n := t.Limits.Clients; n > 0 && h.tenants[t.ID] >= n {
		return tooManyClients(fmt.Sprintf("too many connections for tenant %q", t.ID), "limits.clients of the tenant", n)
	}
	decrease(h.tenants, p.tenant)
	p.tenant = t.ID
	h.tenants[t.ID]++
	return nil
}

// leave gives the place up.
func (p *place) leave() {
	h := p.count
	h.mu.Lock()
	defer h.mu.Unlock()
	if !p.identity.Operator {
		h.all--
	}
	decrease(h.logins, p.identity.Login)
	decrease(h.tenants, p.tenant)
}

// decrease keeps no name that nobody has, so that none is kept for ever.
func decrease(counts map[string]int, name string) {
	if counts[name]--; counts[name] <= 0 {
		delete(counts, name)
	}
}

func tooManyClients(message, limit string, n int) *Error {
	return &Error{Code: "53300", Message: message, Detail: fmt.Sprintf("%s is %d.", limit, n)}
}

// groupOf is what the pool needs to know of a tenant.
func groupOf(t *auth.Tenant) pool.Group {
	return pool.Group{Name: t.ID, Limit: t.Limits.Connections, Weight: t.Limits.Weight, Wait: t.Limits.Wait}
}

// limitReached names the tenant's own limit, if that is why there was no server
// connection.
func limitReached(err error, l auth.Limits) error {
	var full *pool.GroupLimitError
	switch {
	case errors.As(err, &full) && l.Connections > 0:
		return newError("53300", fmt.Sprintf("tenant holds its limit of %d server connections (limits.connections)", full.Limit),
			"Wait for the tenant's transactions to end, or raise limits.connections.")
	case errors.Is(err, pool.ErrTimeout) && l.Wait > 0:
		return newError("53300", fmt.Sprintf("no server connection came free within %s (limits.wait)", l.Wait),
			"Shorten transactions, or raise limits.wait.")
	default:
		return err
	}
}

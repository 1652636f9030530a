// Package doctor examines a database as the role of the server connections
// sees it, and names what would let tenants see or disturb each other if the
// proxy's guard had a gap, or what no proxy can close.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/pool"
	"tenantgate/rewrite/catalog"
)

// StatementTimeout bounds each statement of an examination.
const StatementTimeout = 20 * time.Second

// A Severity says how bad a finding is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // tenants are not kept apart, or only the guard keeps them so
	Warning Severity = "warning" // tells tenants of each other, or makes a gap of the guard worse
)

// A Finding is one fault of one object.
type Finding struct {
	Name         string   `json:"name"` // check:object; stable, for tenancy.acknowledge
	Check        string   `json:"check"`
	Object       string   `json:"object"` // as SQL writes it
	Severity     Severity `json:"severity"`
	Why          string   `json:"why"` // one sentence
	SQL          []string `json:"sql"` // what mends it, without semicolons; empty where SQL cannot
	Acknowledged bool     `json:"acknowledged"`
}

// A Config is what the examination depends on.
type Config struct {
	Catalog     catalog.Config
	RowSecurity bool             // policies are relied on: enforcement is rls or both
	Seal        *catalog.SealKey // what policies verify the setting with; nil: they read it as it is
	Rewriting   bool             // statements get predicates: enforcement is rewrite or both
	TempTables  bool             // tenants may have temporary tables
	OneTenant   bool             // all rows of the database are one tenant's
	Grammar     int              // PostgreSQL's major version whose grammar the parser has
	Sessions    []Session        // of tenants, through the proxy: what they are told is looked at; none: it is not
}

// Notes are the faults that no query can find.
var Notes = []string{
	"whoever has the role's password, or reaches the server past the proxy by another rule of pg_hba.conf, is confined by the policies alone, " +
		"and by nothing under enforcement by rewriting: give the password to tenantgate alone, and let that role in from its address alone",
	"functions.allow lets tenants run what you list: a function that reads tables, runs text as SQL or leaves something behind is not looked into",
}

// Examine connects to a database by server, whose user must be the role of the
// server connections, and returns what it finds: errors first.
func Examine(ctx context.Context, server *pgconn.Config, cfg Config) ([]Finding, error) {
	loading := pool.NewQuerier(server)
	defer loading.Close(context.WithoutCancel(ctx))
	load := cfg.Catalog
	load.Inspect, load.OneTenant = true, cfg.OneTenant
	snapshot, err := catalog.Load(ctx, loading, load)
	if err != nil {
		return nil, err
	}
	examining := pool.NewQuerier(pinned(server))
	defer examining.Close(context.WithoutCancel(ctx))
	p := newPatient(cfg, snapshot, examining)
	all := checks
	if snapshot.Role.Superuser {
		all = []check{roleAttributes} // whatever else is asked, a superuser may do it
	}
	for _, c := range all {
		if c.when != nil && !c.when(p) {
			continue
		}
		if err := p.run(ctx, c); err != nil {
			return nil, fmt.Errorf("check %s: %w", c.name, err)
		}
	}
	return merged(p.findings), nil
}

// pinned returns a server configuration in which no object of the database can
// stand in for PostgreSQL's own, and no statement runs for ever.
func pinned(server *pgconn.Config) *pgconn.Config {
	server = server.Copy()
	if server.RuntimeParams == nil {
		server.RuntimeParams = make(map[string]string)
	}
	maps.Copy(server.RuntimeParams, map[string]string{
		"search_path":                 "pg_catalog, pg_temp",
		"statement_timeout":           fmt.Sprint(StatementTimeout.Milliseconds()),
		"standard_conforming_strings": "on",
	})
	return server
}

// A check looks for some kinds of findings.
type check struct {
	name string
	when func(*patient) bool // nil: always
	sql  func(*patient) (text string, args []string)
	find func(*patient, []row) error // rows of sql; nil without it
	look func(context.Context, *patient) error
}

// checks are all there are, in the order in which findings of one severity are
// shown.
var checks = slices.Concat(roleChecks, rowSecurityChecks, keyChecks, viewChecks, accessChecks, privilegeChecks,
	functionChecks, codeChecks, hardeningChecks, settingChecks, outsideChecks, probeChecks, oracleChecks)

// A patient is the database that is examined.
type patient struct {
	cfg      Config
	snapshot *catalog.Snapshot
	role     string // quoted
	query    catalog.Querier
	byOID    map[uint32]*catalog.Relation
	findings []Finding
}

func newPatient(cfg Config, s *catalog.Snapshot, q catalog.Querier) *patient {
	p := &patient{cfg: cfg, snapshot: s, role: quote(s.Role.Name), query: q, byOID: make(map[uint32]*catalog.Relation)}
	relations := s.Relations()
	for i := range relations {
		p.byOID[relations[i].OID] = &relations[i]
	}
	return p
}

func (p *patient) run(ctx context.Context, c check) error {
	if c.look != nil {
		return c.look(ctx, p)
	}
	sql, args := c.sql(p)
	result, err := p.query.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	rows := make([]row, len(result))
	for i, values := range result {
		if len(values) != 1 || values[0] == nil {
			return errors.New("a row is not of the form that was asked for")
		}
		rows[i] = row(*values[0])
	}
	return c.find(p, rows)
}

func (p *patient) add(severity Severity, name, object, why string, sql ...string) {
	p.findings = append(p.findings, Finding{
		Name: name + ":" + object, Check: name, Object: object, Severity: severity, Why: why, SQL: append([]string{}, sql...),
	})
}

// tables are the tenanted tables and partitions.
func (p *patient) tables() []*catalog.Relation {
	var all []*catalog.Relation
	relations := p.snapshot.Relations()
	for i := range relations {
		if r := &relations[i]; tenantedTable(r) {
			all = append(all, r)
		}
	}
	return all
}

func tenantedTable(r *catalog.Relation) bool {
	return r.Class == catalog.Tenanted && (r.Kind == 'r' || r.Kind == 'p')
}

// merged makes one finding of those with one name, and puts errors first.
func merged(findings []Finding) []Finding {
	byName := make(map[string]int)
	all := []Finding{}
	for _, f := range findings {
		i, ok := byName[f.Name]
		if !ok {
			byName[f.Name] = len(all)
			all = append(all, f)
			continue
		}
		first := &all[i]
		if f.Why != first.Why {
			first.Why += "; " + f.Why
		}
		for _, sql := range f.SQL {
			if !slices.Contains(first.SQL, sql) {
				first.SQL = append(first.SQL, sql)
			}
		}
		if f.Severity == Error {
			first.Severity = Error
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return all
}

func rank(s Severity) int {
	if s == Error {
		return 0
	}
	return 1
}

// Acknowledge marks the findings of these names and returns the names that
// match none.
func Acknowledge(findings []Finding, names []string) (unmatched []string) {
	for _, name := range names {
		found := false
		for i := range findings {
			if findings[i].Name == name {
				findings[i].Acknowledged, found = true, true
			}
		}
		if !found {
			unmatched = append(unmatched, name)
		}
	}
	return unmatched
}

// Count is how many findings of a severity are not acknowledged.
func Count(findings []Finding, severity Severity) int {
	n := 0
	for _, f := range findings {
		if f.Severity == severity && !f.Acknowledged {
			n++
		}
	}
	return n
}

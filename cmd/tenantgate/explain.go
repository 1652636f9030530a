package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tenantgate/pool"
	"tenantgate/proxy"
	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

const explainExample = `
tenantgate explain --config tenantgate.yaml --login acme_app 'SELECT * FROM orders'
tenantgate explain --login bi --tenant globex --extended --output json 'SELECT * FROM orders WHERE id = $1'`

// explainTimeout bounds connecting to the server and reading its catalog.
const explainTimeout = 15 * time.Second

// A verdict is what becomes of a statement.
type verdict string

const (
	verdictPass    verdict = "pass"    // sent as it is
	verdictRewrite verdict = "rewrite" // sent changed
	verdictRefuse  verdict = "refuse"  // not sent
)

// An explanation is what the explain command prints. Its JSON form is for
// scripts.
type explanation struct {
	Login      string               `json:"login"`
	Tenant     string               `json:"tenant,omitempty"`
	Suspended  bool                 `json:"suspended,omitempty"`
	Enforce    string               `json:"enforce,omitempty"`
	Operator   bool                 `json:"operator,omitempty"`
	Statements []explainedStatement `json:"statements"`
}

// An explainedStatement is one of a text's. A text with a refused statement is
// refused as a whole and has but one entry.
type explainedStatement struct {
	Verdict    verdict  `json:"verdict"`
	Before     string   `json:"before,omitempty"`     // sent ahead of a transaction's first one, in the same write
	SQL        string   `json:"sql,omitempty"`        // sent to the server
	Parameters []string `json:"parameters,omitempty"` // that the proxy binds, as "$2 = '1'"
	Rule       string   `json:"rule,omitempty"`
	SQLState   string   `json:"sqlstate,omitempty"`
	Message    string   `json:"message,omitempty"`
	Hint       string   `json:"hint,omitempty"`
	Position   int      `json:"position,omitempty"` // in the client's text, in characters from 1
}

func runExplain(ctx context.Context, env *environment, args []string) int {
	flags := env.flags()
	config := addConfigFlag(flags)
	user := flags.String("login", "", "login that sends the statement (required)")
	tenantID := flags.String("tenant", "", "tenant that it acts for, if it has several")
	extended := flags.Bool("extended", false, "as a prepared statement of the extended protocol")
	output := addOutputFlag(flags)
	rest, status, done := env.parse(flags, args, 1, 1)
	if done {
		return status
	}
	cfg, err := config.load(env.lookupEnv)
	if err != nil {
		return env.fail(err)
	}
	login, tenant, err := cfg.choose(*user, *tenantID)
	if err != nil {
		return env.fail(err)
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	e, err := explain(ctx, cfg, login, tenant, rewrite.Request{SQL: rest[0], Extended: *extended})
	if err != nil {
		return env.fail(err)
	}
	if *output == outputJSON {
		status = env.printJSON(e)
	} else {
		e.print(env.stdout, rest[0])
	}
	for _, s := range e.Statements {
		if s.Verdict == verdictRefuse {
			return exitFailure
		}
	}
	return status
}

// choose finds the login and the tenant it acts for, which an operator has not.
func (c *Config) choose(user, tenant string) (login Login, home Tenant, err error) {
	if user == "" {
		return login, home, usageError{"--login is missing"}
	}
	login, ok := c.Login(user)
	if !ok {
		names := make([]string, len(c.Logins))
		for i, l := range c.Logins {
			names[i] = l.User
		}
		return login, home, usageError{dangling("login", user, names)}
	}
	if login.Operator {
		if tenant != "" {
			return login, home, usageError{"login " + user + " is an operator and has no tenant"}
		}
		return login, home, nil
	}
	if tenant == "" {
		if len(login.Tenants) > 1 {
			return login, home, usageError{"login " + user + " has several tenants, choose with --tenant: " + strings.Join(login.Tenants, ", ")}
		}
		tenant = login.Tenants[0]
	}
	for _, id := range login.Tenants {
		if id == tenant {
			home, _ = c.Tenant(id) // the configuration has it, or would not have been read
			return login, home, nil
		}
	}
	return login, home, usageError{dangling("tenant", tenant, login.Tenants)}
}

// explain reads the catalog of the tenant's database and asks the rewriter.
func explain(ctx context.Context, cfg *Config, login Login, tenant Tenant, request rewrite.Request) (*explanation, error) {
	if login.Operator {
		return &explanation{Login: login.User, Operator: true, Statements: []explainedStatement{
			{Verdict: verdictPass, SQL: request.SQL},
		}}, nil
	}
	querier := pool.NewQuerier(cfg.Home(tenant))
	defer querier.Close(context.WithoutCancel(ctx))
	catalogConfig, rewriteConfig := cfg.Catalog(), cfg.Rewrite()
	if alone := tenant.Key == ""; alone { // as the proxy treats a database of one tenant
		catalogConfig.OneTenant = true
		rewriteConfig.Confine, rewriteConfig.RequireRowSecurity, rewriteConfig.OneTenant = false, false, true
	}
	snapshot, err := catalog.Load(ctx, querier, catalogConfig)
	if err != nil {
		return nil, fmt.Errorf("backend %q: %w", tenant.Backend, err)
	}
	rewriter, err := rewrite.New(rewriteConfig)
	if err != nil {
		return nil, err
	}
	e := &explanation{Login: login.User, Tenant: tenant.ID, Suspended: tenant.Suspended, Enforce: cfg.Tenancy.Enforce.String()}
	result, err := rewriter.Rewrite(request, snapshot)
	if err != nil {
		refused, err := refuse(err)
		if err != nil {
			return nil, err
		}
		e.Statements = []explainedStatement{refused}
		return e, nil
	}
	for i := range result.Statements {
		s := &result.Statements[i]
		if s.Copy != nil { // its rows become this INSERT's parameters
			request = rewrite.Request{SQL: s.Copy.Insert(1), Extended: true}
			inserts, err := rewriter.Rewrite(request, snapshot)
			if err != nil {
				return nil, err
			}
			s = &inserts.Statements[0]
		}
		if err := s.CheckKey(tenant.Key); err != nil {
			refused, err := refuse(err)
			if err != nil {
				return nil, err
			}
			e.Statements = []explainedStatement{refused}
			return e, nil
		}
		e.Statements = append(e.Statements, allow(cfg, tenant, request, s))
	}
	return e, nil
}

// allow describes a statement that runs.
func allow(cfg *Config, tenant Tenant, request rewrite.Request, s *rewrite.Statement) explainedStatement {
	values := shownValues(tenant.Key)
	a := explainedStatement{Verdict: verdictRewrite, SQL: s.Text.SQLFor(values)}
	if len(s.Keys) == 0 && strings.Contains(request.SQL, a.SQL) {
		a.Verdict = verdictPass
	}
	if cfg.Tenancy.Enforce != proxy.Rewrite && tenant.Key != "" && s.Kind == rewrite.KindQuery {
		a.Before = fmt.Sprintf("SELECT pg_catalog.set_config(%s, %s, true)", quoted(cfg.Tenancy.Setting), quoted(tenant.Key))
	}
	for i, k := range s.Keys {
		a.Parameters = append(a.Parameters, fmt.Sprintf("$%d = %s", s.Params+i+1, quoted(values[k.Value])))
	}
	return a
}

// shownValues are a tenant's, without its secrets.
func shownValues(key string) *rewrite.Values {
	values := &rewrite.Values{rewrite.ValueKey: key}
	for i := range values {
		if rewrite.Value(i) != rewrite.ValueKey { //nolint:gosec // there are a few
			values[i] = "(secret)"
		}
	}
	return values
}

// refuse describes a statement that does not run. An error that is no refusal
// is returned.
func refuse(err error) (explainedStatement, error) {
	e, internal := proxy.Translate(err)
	if internal {
		return explainedStatement{}, err
	}
	r := explainedStatement{
		Verdict: verdictRefuse, SQLState: e.Code, Message: e.Message, Hint: e.Hint, Position: e.Position,
	}
	var unsupported *rewrite.UnsupportedError
	var forbidden *rewrite.ForbiddenError
	switch {
	case errors.As(err, &unsupported):
		r.Rule = unsupported.Rule
	case errors.As(err, &forbidden):
		r.Rule = forbidden.Rule
	}
	return r, nil
}

// quoted writes text as an SQL literal, to be read by people.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// print writes the explanation for people. sql is the client's text.
func (e *explanation) print(w io.Writer, sql string) {
	if e.Operator {
		fmt.Fprintf(w, "login %s is an operator: nothing confines it\n", e.Login)
	} else {
		fmt.Fprintf(w, "login %s, tenant %s, enforce %s\n", e.Login, e.Tenant, e.Enforce)
	}
	if e.Suspended {
		fmt.Fprintf(w, "tenant %s is suspended: its logins are refused with 28000\n", e.Tenant)
	}
	if len(e.Statements) == 0 {
		fmt.Fprintln(w, "\nno statement")
	}
	for _, s := range e.Statements {
		fmt.Fprintln(w)
		line := func(label, text string) {
			if text != "" {
				fmt.Fprintf(w, "%-9s %s\n", label, strings.ReplaceAll(text, "\n", "\n          "))
			}
		}
		line("verdict", string(s.Verdict))
		line("rule", s.Rule)
		line("before", s.Before)
		line("sql", strings.TrimSpace(s.SQL))
		line("bound", strings.Join(s.Parameters, ", "))
		if s.Verdict == verdictRefuse {
			line("error", s.SQLState+" "+s.Message)
			line("hint", s.Hint)
			fmt.Fprint(w, pointer(sql, s.Position))
		}
	}
}

// pointer shows a line of the client's text with a caret under a position, as
// psql does; nothing if the position is not in there.
func pointer(sql string, position int) string {
	const before, after = 50, 50 // characters shown on either side of the caret
	runes := []rune(sql)
	at := position - 1
	if at < 0 || at > len(runes) {
		return ""
	}
	number, start := 1, 0
	for i, r := range runes[:at] {
		if r == '\n' {
			number, start = number+1, i+1
		}
	}
	end := start
	for end < len(runes) && runes[end] != '\n' {
		end++
	}
	prefix, suffix := "", ""
	if at-start > before {
		start, prefix = at-before, "..."
	}
	if end-at > after {
		end, suffix = at+after, "..."
	}
	shown := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' ' // one column each, as the caret counts them
		}
		return r
	}, string(runes[start:end]))
	label := fmt.Sprintf("LINE %d: %s", number, prefix)
	return label + shown + suffix + "\n" + strings.Repeat(" ", len(label)+at-start) + "^\n"
}

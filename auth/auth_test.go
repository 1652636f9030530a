package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"

	"tenantgate/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var address = netip.MustParseAddr("192.0.2.1")

// A client plays the other side of an Exchange. Each hook may change what it
// would send.
type client struct {
	password  string
	mechanism string // chosen; empty is SCRAM-SHA-256
	prefers   func(*scram.Client) *scram.ClientConversation
	first     func(string) string
	final     func(string) string

	conversation *scram.ClientConversation
	answer       string   // of the server, last
	challenge    string   // its first answer
	transcript   []string // what the server sent, by shape
}

func (c *client) Send(msg pgproto3.BackendMessage) error {
	switch msg := msg.(type) {
	case *pgproto3.AuthenticationSASL:
		c.transcript = append(c.transcript, "SASL "+strings.Join(msg.AuthMechanisms, ","))
	case *pgproto3.AuthenticationSASLContinue:
		c.answer, c.challenge = string(msg.Data), string(msg.Data)
		c.transcript = append(c.transcript, fmt.Sprintf("SASLContinue %d", len(c.answer)))
	case *pgproto3.AuthenticationSASLFinal:
		c.answer = string(msg.Data)
		c.transcript = append(c.transcript, "SASLFinal")
	default:
		return fmt.Errorf("unexpected %T", msg)
	}
	return nil
}

func (c *client) Receive(msg pgproto3.FrontendMessage) error {
	switch msg := msg.(type) {
	case *pgproto3.SASLInitialResponse:
		sc, err := scram.SHA256.NewClientUnprepped("", prepare(c.password), "")
		if err != nil {
			return err
		}
		c.conversation = sc.NewConversation()
		if c.prefers != nil {
			c.conversation = c.prefers(sc)
		}
		text, err := c.conversation.Step("")
		if err != nil {
			return err
		}
		msg.AuthMechanism = mechanism
		if c.mechanism != "" {
			msg.AuthMechanism = c.mechanism
		}
		msg.Data = []byte(edited(c.first, text))
	case *pgproto3.SASLResponse:
		text, err := c.conversation.Step(c.answer)
		if err != nil {
			return err
		}
		msg.Data = []byte(edited(c.final, text))
	default:
		return fmt.Errorf("unexpected %T", msg)
	}
	return nil
}

// salt is what the server showed.
func (c *client) salt() string { return strings.Split(c.challenge, ",")[1] }

func edited(edit func(string) string, text string) string {
	if edit == nil {
		return text
	}
	return edit(text)
}

func newAuthenticator(t *testing.T, cfg Config) *Authenticator {
	t.Helper()
	a, err := New(cfg)
	require.NoError(t, err)
	return a
}

var twoTenants = []Tenant{{ID: "acme", Key: "1", Backend: "main"}, {ID: "globex", Key: "2", Backend: "main"}}

func TestLoginIsItsTenant(t *testing.T) {
	verifier, err := NewVerifier("wonder", 5000)
	require.NoError(t, err)
	for name, password := range map[string]string{"plain text": "wonder", "verifier": verifier.Encode()} {
		t.Run(name, func(t *testing.T) {
			a := newAuthenticator(t, Config{Tenants: twoTenants, Logins: []Login{
				{User: "acme_app", Password: password, Tenants: []string{"acme"}},
				{User: "globex_app", Password: "other", Tenants: []string{"globex"}},
			}})
			id, err := a.Authenticate(t.Context(), "acme_app", Peer{Addr: address}, &client{password: "wonder"})
			require.NoError(t, err)
			require.Equal(t, "acme_app", id.Login)
			tenant, err := id.Choose("")
			require.NoError(t, err)
			require.Equal(t, twoTenants[0], *tenant)
		})
	}
}

func TestOperatorHasNoTenant(t *testing.T) {
	a := newAuthenticator(t, Config{Logins: []Login{{User: "ops", Password: "x", Operator: true, Backend: "main"}}})
	id, err := a.Authenticate(t.Context(), "ops", Peer{Addr: address}, &client{password: "x"})
	require.NoError(t, err)
	require.True(t, id.Operator)
	require.Equal(t, "main", id.Backend)
	require.Empty(t, id.Tenants)
	_, err = id.Choose("")
	require.ErrorIs(t, err, ErrNoTenant)
	_, err = id.Choose("acme")
	var unknown *UnknownTenantError
	require.ErrorAs(t, err, &unknown)
}

func TestLoginWithSeveralTenantsChooses(t *testing.T) {
	tenants := append([]Tenant{{ID: "initech", Key: "3", Suspended: true}}, twoTenants...)
	a := newAuthenticator(t, Config{Tenants: tenants, Logins: []Login{
		{User: "bi", Password: "x", Tenants: []string{"initech", "acme"}},
	}})
	id, err := a.Authenticate(t.Context(), "bi", Peer{Addr: address}, &client{password: "x"})
	require.NoError(t, err)

	_, err = id.Choose("")
	require.ErrorIs(t, err, ErrNoTenant)
	tenant, err := id.Choose("acme")
	require.NoError(t, err)
	require.Equal(t, "1", tenant.Key)
	_, err = id.Choose("initech")
	var suspended *SuspendedError
	require.ErrorAs(t, err, &suspended)
	for _, name := range []string{"globex", "nobody", "*", "ACME"} {
		_, err = id.Choose(name)
		var unknown *UnknownTenantError
		require.ErrorAs(t, err, &unknown, name)
		require.Equal(t, UnknownTenantError{Login: "bi", Tenant: name}, *unknown)
	}
}

func TestSuspensionIsToldOnlyAfterARightPassword(t *testing.T) {
	a := newAuthenticator(t, Config{
		Tenants: []Tenant{{ID: "initech", Suspended: true}},
		Logins:  []Login{{User: "app", Password: "x", Tenants: []string{"initech"}}},
	})
	_, err := a.Authenticate(t.Context(), "app", Peer{Addr: address}, &client{password: "x"})
	var suspended *SuspendedError
	require.ErrorAs(t, err, &suspended)
	require.Equal(t, "initech", suspended.Tenant)
	_, err = a.Authenticate(t.Context(), "app", Peer{Addr: address}, &client{password: "y"})
	require.ErrorIs(t, err, ErrRejected)
}

func TestLoginWithoutTenantIsRefusedAfterARightPassword(t *testing.T) {
	a := newAuthenticator(t, Config{Logins: []Login{{User: "app", Password: "x"}}})
	_, err := a.Authenticate(t.Context(), "app", Peer{Addr: address}, &client{password: "x"})
	require.ErrorIs(t, err, ErrNoTenant)
}

func TestUnknownUserLooksLikeWrongPassword(t *testing.T) {
	a := newAuthenticator(t, Config{Tenants: twoTenants, Logins: []Login{
		{User: "acme_app", Password: "x", Tenants: []string{"acme"}},
		{User: "by_certificate", Tenants: []string{"acme"}},
	}})
	fail := func(user string) (*client, *RejectedError) {
		c := &client{password: "wrong"}
		_, err := a.Authenticate(t.Context(), user, Peer{}, c)
		require.ErrorIs(t, err, ErrRejected)
		require.EqualError(t, err, fmt.Sprintf("password authentication failed for user %q", user))
		var rejected *RejectedError
		require.ErrorAs(t, err, &rejected)
		return c, rejected
	}
	known, why := fail("acme_app")
	require.Equal(t, "wrong password", why.Reason)
	unknown, why := fail("nobody")
	require.Equal(t, "unknown login", why.Reason)
	certificate, why := fail("by_certificate")
	require.Contains(t, why.Reason, "certificate")
	require.Equal(t, []string{"SASL SCRAM-SHA-256", "SASLContinue 100"}, known.transcript)
	require.Equal(t, known.transcript, unknown.transcript)
	require.Equal(t, known.transcript, certificate.transcript)

	// The salt is a user's own and stays, as with a real one.
	again, _ := fail("nobody")
	require.Equal(t, unknown.salt(), again.salt())
	other, _ := fail("somebody")
	require.NotEqual(t, unknown.salt(), other.salt())
	require.NotEqual(t, unknown.answer, again.answer)
}

func TestUnknownUserHasTheMostCommonIterations(t *testing.T) {
	var logins []Login
	for i, iterations := range []int{4096, 10000, 10000} {
		v, err := NewVerifier("x", iterations)
		require.NoError(t, err)
		logins = append(logins, Login{User: fmt.Sprint("user", i), Password: v.Encode()})
	}
	a := newAuthenticator(t, Config{Logins: logins})
	c := &client{password: "x"}
	_, err := a.Authenticate(t.Context(), "nobody", Peer{}, c)
	require.ErrorIs(t, err, ErrRejected)
	require.Contains(t, c.answer, ",i=10000")
}

func TestRenewedAuthenticatorShowsTheSameSaltsAndRemembersFailures(t *testing.T) {
	a := newAuthenticator(t, Config{})
	before := &client{password: "x"}
	_, err := a.Authenticate(t.Context(), "late", Peer{}, before)
	require.ErrorIs(t, err, ErrRejected)
	b, err := a.Renew(Config{Logins: []Login{{User: "late", Password: "x", Operator: true}}})
	require.NoError(t, err)
	after := &client{password: "x"}
	_, err = b.Authenticate(t.Context(), "late", Peer{}, after)
	require.NoError(t, err)
	require.Equal(t, before.salt(), after.salt())
	require.Same(t, a.throttle, b.throttle)
}

func TestClientCertificate(t *testing.T) {
	cfg := Config{Tenants: twoTenants, Logins: []Login{
		{User: "bare", Tenants: []string{"acme"}},
		{User: "both", Password: "x", Tenants: []string{"acme"}},
	}}
	optional := newAuthenticator(t, cfg)
	cfg.RequireClientCert = true
	required := newAuthenticator(t, cfg)
	for _, c := range []struct {
		name, user, commonName, password string
		a                                *Authenticator
		want                             error
	}{
		{"is enough for a login without password", "bare", "bare", "", required, nil},
		{"of another login is not", "bare", "both", "", required, ErrRejected},
		{"missing leaves a login without password no way in", "bare", "", "", optional, ErrRejected},
		{"with the password", "both", "both", "x", required, nil},
		{"without the password", "both", "both", "y", required, ErrRejected},
		{"missing where it is required", "both", "", "x", required, ErrCertificate},
		{"missing, and a wrong password", "both", "", "y", required, ErrRejected},
		{"missing where it is not required", "both", "", "x", optional, nil},
		{"of another login with the right password", "both", "bare", "x", optional, ErrCertificate},
		{"of an unknown login", "nobody", "nobody", "", required, ErrRejected},
		{"without a name for a client without one", "", "", "", optional, ErrRejected},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := c.a.Authenticate(t.Context(), c.user, Peer{ClientCN: c.commonName}, &client{password: c.password})
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				require.Nil(t, id)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.user, id.Login)
		})
	}
}

func TestCertificateAloneSendsNoSASL(t *testing.T) {
	a := newAuthenticator(t, Config{Logins: []Login{{User: "bare", Operator: true}}})
	c := &client{}
	_, err := a.Authenticate(t.Context(), "bare", Peer{ClientCN: "bare"}, c)
	require.NoError(t, err)
	require.Empty(t, c.transcript)
}

func TestMalformedSASLIsAProtocolError(t *testing.T) {
	a := newAuthenticator(t, Config{Logins: []Login{{User: "u", Password: "x", Operator: true}}})
	for name, c := range map[string]client{
		"unknown mechanism":         {mechanism: "PLAIN"},
		"mechanism not offered":     {mechanism: mechanismPlus},
		"empty first message":       {first: func(string) string { return "" }},
		"first message of commas":   {first: func(string) string { return ",,,,,," }},
		"mandatory extension":       {first: func(s string) string { return strings.Replace(s, "n=", "m=x,n=", 1) }},
		"authorization identity":    {first: func(s string) string { return strings.Replace(s, "n,,", "n,a=root,", 1) }},
		"binding without PLUS":      {first: func(s string) string { return strings.Replace(s, "n,,", "p=tls-server-end-point,,", 1) }},
		"empty final message":       {final: func(string) string { return "" }},
		"final message without a p": {final: func(s string) string { return s[:strings.LastIndex(s, ",")] }},
		"proof that is not base64":  {final: func(s string) string { return s + "!" }},
		"proof that is too short": {final: func(s string) string {
			return s[:strings.LastIndex(s, ",")] + ",p=" + base64.StdEncoding.EncodeToString([]byte("short"))
		}},
		"another nonce":    {final: func(s string) string { return strings.Replace(s, ",r=", ",r=x", 1) }},
		"nonce cut short":  {final: func(s string) string { i := strings.LastIndex(s, ","); return s[:i-1] + s[i:] }},
		"not even UTF-8":   {first: func(string) string { return "n,,n=\xff,r=\xfe\x00" }, final: func(string) string { return "\xff" }},
		"invalid user":     {first: func(s string) string { return strings.Replace(s, "n=", "n==", 1) }},
		"header is a list": {first: func(s string) string { return "z" + s }},
	} {
		t.Run(name, func(t *testing.T) {
			c.password = "x"
			_, err := a.Authenticate(t.Context(), "u", Peer{}, &c)
			require.Error(t, err)
			// The library's client refuses to go on where we changed its nonce.
			if !strings.Contains(err.Error(), "read SASL") {
				require.ErrorIs(t, err, ErrProtocol)
				require.NotErrorIs(t, err, ErrRejected)
			}
		})
	}
}

func TestUserInsideSCRAMIsIgnored(t *testing.T) {
	a := newAuthenticator(t, Config{Logins: []Login{
		{User: "alice", Password: "x", Operator: true}, {User: "bob", Password: "y", Operator: true},
	}})
	c := &client{password: "x"}
	c.prefers = func(*scram.Client) *scram.ClientConversation {
		sc, err := scram.SHA256.NewClientUnprepped("bob", "x", "")
		require.NoError(t, err)
		return sc.NewConversation()
	}
	id, err := a.Authenticate(t.Context(), "alice", Peer{}, c)
	require.NoError(t, err)
	require.Equal(t, "alice", id.Login)
}

func TestFailureOfTheExchangeIsPassedOn(t *testing.T) {
	a := newAuthenticator(t, Config{Logins: []Login{{User: "u", Password: "x", Operator: true}}})
	gone := errors.New("client is gone")
	for step := range 5 {
		ex := &failing{client: client{password: "x"}, err: gone, step: step}
		_, err := a.Authenticate(t.Context(), "u", Peer{}, ex)
		require.ErrorIs(t, err, gone)
		require.NotErrorIs(t, err, ErrRejected)
		require.NotErrorIs(t, err, ErrProtocol)
	}
}

// failing is a client whose connection breaks at one step.
type failing struct {
	client
	err  error
	step int
}

func (f *failing) Send(msg pgproto3.BackendMessage) error {
	if f.step--; f.step < 0 {
		return f.err
	}
	return f.client.Send(msg)
}

func (f *failing) Receive(msg pgproto3.FrontendMessage) error {
	if f.step--; f.step < 0 {
		return f.err
	}
	return f.client.Receive(msg)
}

func TestNewRefusesInconsistentLogins(t *testing.T) {
	for want, cfg := range map[string]Config{
		`tenant "acme" is listed twice`:                          {Tenants: []Tenant{{ID: "acme"}, {ID: "acme"}}},
		`tenant without an id`:                                   {Tenants: []Tenant{{}}},
		`login "u" is listed twice`:                              {Logins: []Login{{User: "u"}, {User: "u"}}},
		`login "": has no user name`:                             {Logins: []Login{{}}},
		`login "u": tenant "acme" does not exist`:                {Logins: []Login{{User: "u", Tenants: []string{"acme"}}}},
		`login "u": tenant "globex" is listed twice`:             {Tenants: twoTenants, Logins: []Login{{User: "u", Tenants: []string{"globex", "globex"}}}},
		`login "u": is an operator and has tenants`:              {Tenants: twoTenants, Logins: []Login{{User: "u", Operator: true, Tenants: []string{"acme"}}}},
		`login "u": has the console and is no operator`:          {Tenants: twoTenants, Logins: []Login{{User: "u", Console: true, Tenants: []string{"acme"}}}},
		`login "u": has a backend and is no operator`:            {Logins: []Login{{User: "u", Backend: "main"}}},
		`login "u": salt of the verifier is not base64`:          {Logins: []Login{{User: "u", Password: "SCRAM-SHA-256$4096:???$a:b"}}},
		`login "u": an MD5 hash, which SCRAM-SHA-256 cannot use`: {Logins: []Login{{User: "u", Password: "md5" + strings.Repeat("0f", 16)}}},
		`login "u": password holds a NUL`:                        {Logins: []Login{{User: "u", Password: "a\x00b"}}},
	} {
		_, err := New(cfg)
		require.EqualError(t, err, want)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	l := Login{User: "u", Password: "hush", URL: "postgres://owner:hush@db/app", Operator: true}
	a := newAuthenticator(t, Config{Logins: []Login{l}})
	id, err := a.Authenticate(t.Context(), "u", Peer{}, &client{password: "hush"})
	require.NoError(t, err)
	v, err := NewVerifier("hush", DefaultIterations)
	require.NoError(t, err)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(strings.Repeat(format+" ", 4), l, id, v, Config{Logins: []Login{l}})
		require.NotContains(t, text, "hush")
		require.NotContains(t, text, base64.StdEncoding.EncodeToString(v.StoredKey))
	}
}

func FuzzExchangeNeverSucceedsWithoutTheProof(f *testing.F) {
	a, err := New(Config{Logins: []Login{{User: "u", Password: "x", Operator: true}}})
	require.NoError(f, err)
	f.Add("SCRAM-SHA-256", []byte("n,,n=,r=abc"), []byte("c=biws,r=abc,p=AAAA"))
	f.Add("SCRAM-SHA-256", []byte("y,,n=,r=abc"), []byte("c=eSws,r=abc,x=y,p="))
	f.Add("SCRAM-SHA-256-PLUS", []byte("p=tls-server-end-point,,n=,r=abc"), []byte("c=cD10bHMtc2VydmVyLWVuZC1wb2ludCws,r=abc,p=AAAA"))
	f.Add("", []byte{}, []byte{0xff, ','})
	cert := selfSigned(f, ecdsaKey(f))
	f.Fuzz(func(t *testing.T, mechanism string, first, final []byte) {
		for _, der := range [][]byte{nil, cert.Certificate[0]} {
			v := a.decoy.verifier("u")
			err := prove(t.Context(), v, der, &scripted{mechanism, first, final}, func(context.Context) error { return nil })
			require.Error(t, err)
			require.True(t, errors.Is(err, ErrProtocol) || errors.Is(err, ErrRejected) || errors.Is(err, ErrChannelBinding), err)
		}
	})
}

// scripted sends fixed messages, whatever the server says.
type scripted struct {
	mechanism    string
	first, final []byte
}

func (s *scripted) Send(pgproto3.BackendMessage) error { return nil }

func (s *scripted) Receive(msg pgproto3.FrontendMessage) error {
	switch msg := msg.(type) {
	case *pgproto3.SASLInitialResponse:
		*msg = pgproto3.SASLInitialResponse{AuthMechanism: s.mechanism, Data: s.first}
	case *pgproto3.SASLResponse:
		*msg = pgproto3.SASLResponse{Data: s.final}
	}
	return nil
}

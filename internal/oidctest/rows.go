package oidctest

import (
	"encoding/json"
	"slices"
)

// Verdict is the required outcome of a login.
type Verdict string

const (
	Accept Verdict = "accept" // a session for the user who signed in
	Refuse Verdict = "refuse" // no session, and no request to Row.Unreached
	Either Verdict = "either" // either, but if accepted, a session for the user who signed in
)

// Stage is the answer of the provider that is false.
type Stage string

const (
	AtDiscovery     Stage = "discovery"
	AtAuthorization Stage = "authorization response"
	AtToken         Stage = "token response"
	AtIDToken       Stage = "ID token"
	AtKeys          Stage = "key set"
	AtUserInfo      Stage = "userinfo response"
	AtRefresh       Stage = "refreshed ID token"
)

// Row is a ready-made lie, with the required verdict. A test of it needs a
// relying party that has not cached anything:
//
//	for _, row := range oidctest.Rows() {
//		t.Run(row.String(), func(t *testing.T) {
//			p := oidctest.New(t, row.Options...)
//			p.Tell(row)
//			…
//		})
//	}
type Row struct {
	ID      string // label that related rows have in common, such as C02
	Name    string // what is false
	Stage   Stage
	Want    Verdict
	Options []Option // for New
	// Logins is the number of consecutive logins, each in its own browser, that
	// must have this outcome. 0 means one.
	Logins int
	Note   string // explanation of the verdict

	tell func(p *Provider, l *Faults)
}

// String returns a name for a subtest.
func (r Row) String() string { return r.ID + " " + r.Name }

// Unreached returns the endpoints that must not have been requested if the
// login is to be refused, because the relying party must check an answer before
// the next step. For discovery, that includes the authorization endpoint, to
// which the browser must not be sent.
func (r Row) Unreached() []Endpoint {
	if r.Want != Refuse {
		return nil
	}
	switch r.Stage {
	case AtDiscovery:
		return []Endpoint{Authorize, Token, UserInfo}
	case AtAuthorization:
		return []Endpoint{Token, UserInfo}
	case AtToken, AtIDToken, AtKeys, AtRefresh:
		return []Endpoint{UserInfo}
	}
	return nil
}

// Tell makes the provider tell the lie of a row.
func (p *Provider) Tell(row Row) {
	if row.tell != nil {
		p.Lie(func(l *Faults) { row.tell(p, l) })
	}
}

// Rows returns all rows that one login can test. See also RefreshRows,
// LogoutRows and ResponseRows.
func Rows() []Row {
	return slices.Concat(honestRows(), discoveryRows(), authorizationRows(), tokenRows(),
		idTokenRows(), signatureRows(), keyRows(), userinfoRows(), faultRows())
}

// honestRows returns variants of honest providers that some relying parties
// fail with.
func honestRows() []Row {
	with := func(opts ...Option) []Option { return opts }
	rows := []Row{
		{ID: "C01", Name: "the happy path"},
		{ID: "C00", Name: "an issuer that ends in a slash", Options: with(Path("/test/a/alias/"))},
		{ID: "C00", Name: "an issuer with a path", Options: with(Path("/realms/one"))},
		{ID: "C08", Name: "RS256 alone in the metadata", Options: with(Alg("RS256"))},
		{ID: "C13", Name: "the claims are in userinfo"},
		{ID: "C13", Name: "the claims are in the ID token as well", Options: with(ClaimsInIDToken())},
		{ID: "C14", Name: "client_secret_basic with a secret to be encoded", Options: with(WithClient(
			Client{ID: "r:p %+ä", Secret: AwkwardSecret, Auth: "client_secret_basic"}))},
		{ID: "S19", Name: "client_secret_post with the same secret", Options: with(WithClient(
			Client{ID: "r:p %+ä", Secret: AwkwardSecret, Auth: "client_secret_post"}))},
		{ID: "C00j", Name: "a public client", Options: with(WithClient(Client{ID: "rp", Auth: "none"}))},
		{ID: "C16", Name: "the access token goes in the header"},
		{ID: "C20", Name: "endpoints where metadata says", Options: with(RandomPaths())},
		{ID: "C21", Name: "a jwks_uri that cannot be guessed", Options: with(RandomPaths(), Path("/x/"))},
		{ID: "S04", Name: "no iss was promised and none is there", Options: with(NoIss())},
		{ID: "S24", Name: "endpoints with a query of their own", Options: with(EndpointQuery("tenant=a&v=1"))},
	}
	for _, alg := range []string{"RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		rows = append(rows, Row{ID: "S09", Name: alg + " alone in the metadata", Options: with(Alg(alg))})
	}
	for i := range rows {
		rows[i].Want = Accept
	}
	return rows
}

// The functions below are helpers for the tables in the other files.

func editing(edit func(claims map[string]any)) func(*Provider, *Faults) {
	return func(_ *Provider, l *Faults) { l.IDToken.Claims = edit }
}

// claim sets a claim in the ID token.
func claim(name string, value any) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { c[name] = value })
}

func rawClaim(name, value string) func(*Provider, *Faults) {
	return claim(name, json.RawMessage(value))
}

// suffixed appends to a string claim, as the OpenID Foundation's suite does.
func suffixed(name, suffix string) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { c[name] = c[name].(string) + suffix })
}

func without(name string) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { delete(c, name) })
}

// shifted adds seconds to a time.
func shifted(name string, seconds int64) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { c[name] = c[name].(int64) + seconds })
}

// fromNow sets a time to iat plus seconds.
func fromNow(name string, seconds int64) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { c[name] = c["iat"].(int64) + seconds })
}

func headerMember(name string, value any) func(*Provider, *Faults) {
	return func(_ *Provider, l *Faults) {
		l.IDToken.Header = func(h map[string]any) { h[name] = value }
	}
}

// fault sets the fault of an endpoint.
func fault(e Endpoint, f Fault) func(*Provider, *Faults) {
	return func(_ *Provider, l *Faults) { *l.At(e) = f }
}

func body(e Endpoint, contentType, text string) func(*Provider, *Faults) {
	return func(_ *Provider, l *Faults) { l.At(e).Replace(contentType, text) }
}

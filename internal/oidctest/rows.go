package oidctest

import (
	"encoding/json"
	"slices"
)

// Verdict is how a login has to end.
type Verdict string

const (
	Accept Verdict = "accept" // a session for the user who signed in
	Refuse Verdict = "refuse" // no session, and nothing of Row.Unreached asked
	Either Verdict = "either" // a decision; if it is to accept, then the user who signed in
)

// Stage is which answer of the provider is false.
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

// Row is one lie of the conformance tables, ready made, with the verdict they
// demand. A test of it needs a relying party that has cached nothing yet:
//
//	for _, row := range oidctest.Rows() {
//		t.Run(row.String(), func(t *testing.T) {
//			p := oidctest.New(t, row.Options...)
//			p.Tell(row)
//			…
//		})
//	}
type Row struct {
	ID      string // of the conformance table: C02, S11, X16, F07
	Name    string // a sentence
	Stage   Stage
	Want    Verdict
	Options []Option // for New
	// Logins is how many in a row have to end so, each in a browser of its own;
	// 0 is one.
	Logins int
	Note   string // what to mind

	tell func(p *Provider, l *Faults)
}

// String names a subtest.
func (r Row) String() string { return r.ID + " " + r.Name }

// Unreached are the endpoints that a relying party which refuses has not asked:
// checks come before the next step, not after it. For discovery that is the
// authorization endpoint, where the browser must not have been sent; for a
// refresh, what is asked after it.
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

// Tell makes the provider lie as the row says.
func (p *Provider) Tell(row Row) {
	if row.tell != nil {
		p.Lie(func(l *Faults) { row.tell(p, l) })
	}
}

// Rows are all that one login can show. See also RefreshRows and LogoutRows.
func Rows() []Row {
	return slices.Concat(honestRows(), discoveryRows(), authorizationRows(), tokenRows(),
		idTokenRows(), signatureRows(), keyRows(), userinfoRows(), faultRows())
}

// honestRows are the variants of honesty that some relying parties fail at.
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

// The helpers below write the tables of the other files.

func editing(edit func(claims map[string]any)) func(*Provider, *Faults) {
	return func(_ *Provider, l *Faults) { l.IDToken.Claims = edit }
}

// claim sets one in the ID token; raw JSON is written as it is.
func claim(name string, value any) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { c[name] = value })
}

func rawClaim(name, value string) func(*Provider, *Faults) {
	return claim(name, json.RawMessage(value))
}

// suffixed appends to a claim that is a string, as the suite does.
func suffixed(name, suffix string) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { c[name] = c[name].(string) + suffix })
}

func without(name string) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { delete(c, name) })
}

// shifted moves a time by seconds from what it is.
func shifted(name string, seconds int64) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { c[name] = c[name].(int64) + seconds })
}

// fromNow sets a time, counted from iat.
func fromNow(name string, seconds int64) func(*Provider, *Faults) {
	return editing(func(c map[string]any) { c[name] = c["iat"].(int64) + seconds })
}

func headerMember(name string, value any) func(*Provider, *Faults) {
	return func(_ *Provider, l *Faults) {
		l.IDToken.Header = func(h map[string]any) { h[name] = value }
	}
}

// fault makes a fault at an endpoint.
func fault(e Endpoint, f Fault) func(*Provider, *Faults) {
	return func(_ *Provider, l *Faults) { *l.At(e) = f }
}

func body(e Endpoint, contentType, text string) func(*Provider, *Faults) {
	return func(_ *Provider, l *Faults) { l.At(e).Replace(contentType, text) }
}

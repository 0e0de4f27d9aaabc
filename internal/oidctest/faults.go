package oidctest

import (
	"net/url"
	"time"
)

// Faults are all the ways in which a provider is not honest. The zero value is
// honest. Every hook may be called by many requests at once.
//
// The rows of the conformance tables are ready made in Rows; here is what they
// are made of.
type Faults struct {
	// Discovery edits the metadata.
	Discovery func(metadata map[string]any)

	// Pushed edits the answer to a pushed request.
	Pushed func(response map[string]any)

	Authorization AuthorizationLies

	// Token edits the token response, also that of a refresh.
	Token func(response map[string]any)

	// IDToken lies in the ID token of a code, Refreshed in that of a refresh.
	IDToken, Refreshed JWTLies

	Keys KeyLies

	UserInfo UserInfoLies

	DPoP DPoPLies

	// EndSession edits what goes back to post_logout_redirect_uri (C51, C52).
	EndSession func(params url.Values)

	// Skew is by how much the provider's clock is wrong in what it writes; it
	// still forgets codes and access tokens in true time (X25).
	Skew time.Duration

	faults [endpoints]Fault
}

// At is the fault of an endpoint, to be changed inside of Provider.Lie.
func (l *Faults) At(e Endpoint) *Fault { return &l.faults[e] }

// JWTLies make a false JWT. They work in the order of the fields.
type JWTLies struct {
	Alg       string                      // instead of the provider's; "none" is one
	Header    func(header map[string]any) // kid, typ, crit, jku …
	Claims    func(claims map[string]any) // a json.RawMessage is written as it is
	Payload   func(json []byte) []byte    // for what no map can say, such as doubled members
	Signature Signature
	Compact   func(token string) string // the last word
}

// AuthorizationLies make a false authorization response.
type AuthorizationLies struct {
	// Error instead of a code. An access_denied is an honest answer, too.
	Error, Description, ErrorURI string
	// Params edits the parameters, Query their encoded form.
	Params func(params url.Values)
	Query  func(query string) string
	// JWT lies in a signed response, and Beside edits the parameters that it is sent
	// with: response, and none of the plain ones by itself.
	JWT    JWTLies
	Beside func(params, plain url.Values)
}

// KeyLies make a false key set. Bytes that are no key set are a Fault's.
type KeyLies struct {
	// Publish says what the set holds. The signing key is nil where it is not
	// published (SetKeys), and both arguments are the hook's own to change.
	Publish func(signing map[string]any, others []any) []any
	// RotateEachLogin has new keys for every authorization request (C24),
	// RotateBeforeSigning for every ID token (C23).
	RotateEachLogin, RotateBeforeSigning bool
}

// UserInfoLies make a false userinfo response. What is no object is a Fault's.
type UserInfoLies struct {
	Claims func(claims map[string]any)
	// Signed answers application/jwt (Core section 5.3.2), which is honest as
	// long as JWT does not lie.
	Signed bool
	JWT    JWTLies
}

// Lie changes the lies of a running provider. Requests that are being answered
// keep those with which they began. The change itself must call no method of
// the provider; the hooks that it sets may.
func (p *Provider) Lie(change func(*Faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.lies)
}

// Honest takes back all lies and faults.
func (p *Provider) Honest() { p.Lie(func(l *Faults) { *l = Faults{} }) }

// Lies is a copy of the present ones.
func (p *Provider) Lies() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lies
}

package oidctest

import (
	"net/url"
	"time"
)

// Faults are all lies and faults of a provider. The zero value is an honest
// provider. Hooks may be called concurrently.
//
// Rows returns ready-made lies, which are made of these.
type Faults struct {
	// Discovery edits the metadata.
	Discovery func(metadata map[string]any)

	// Pushed edits the response to a pushed authorization request.
	Pushed func(response map[string]any)

	Authorization AuthorizationLies

	// Token edits token responses, including those of refreshes.
	Token func(response map[string]any)

	// IDToken lies in the ID token for a code, Refreshed in that of a refresh.
	IDToken, Refreshed JWTLies

	Keys KeyLies

	UserInfo UserInfoLies

	DPoP DPoPLies

	// EndSession edits the parameters that are sent to
	// post_logout_redirect_uri.
	EndSession func(params url.Values)

	// Skew is added to the times that the provider writes. Codes and access
	// tokens still expire in true time.
	Skew time.Duration

	faults [endpoints]Fault
}

// At returns the fault of an endpoint, to be changed within Provider.Lie.
func (l *Faults) At(e Endpoint) *Fault { return &l.faults[e] }

// JWTLies describes a false JWT. The lies take effect in the order of the
// fields.
type JWTLies struct {
	Alg       string                      // replaces the provider's; may be "none"
	Header    func(header map[string]any) // kid, typ, crit, jku …
	Claims    func(claims map[string]any) // a json.RawMessage is written unchanged
	Payload   func(json []byte) []byte    // for what a map cannot represent, such as duplicate members
	Signature Signature
	Compact   func(token string) string // edits the complete token
}

// AuthorizationLies describes a false authorization response.
type AuthorizationLies struct {
	// Error is sent instead of a code. It may also be an honest answer, such as
	// access_denied.
	Error, Description, ErrorURI string
	// Params edits the parameters, and Query the encoded query.
	Params func(params url.Values)
	Query  func(query string) string
	// JWT lies in a signed response. Beside edits the parameters that are sent: at
	// first, only response. plain has those in the signed response.
	JWT    JWTLies
	Beside func(params, plain url.Values)
}

// KeyLies describes a false key set. Use a Fault for a body that is not a key
// set.
type KeyLies struct {
	// Publish returns the keys to publish. signing is nil if the signing key is
	// not published (see SetKeys). The hook may modify both arguments.
	Publish func(signing map[string]any, others []any) []any
	// RotateEachLogin rotates the keys at every authorization request, and
	// RotateBeforeSigning before every ID token.
	RotateEachLogin, RotateBeforeSigning bool
}

// UserInfoLies describes a false userinfo response. Use a Fault for a body that
// is not an object.
type UserInfoLies struct {
	Claims func(claims map[string]any)
	// Signed makes the response a JWT (OpenID Connect Core, section 5.3.2). It
	// is an honest one unless JWT lies.
	Signed bool
	JWT    JWTLies
}

// Lie changes the lies of a running provider. Requests in progress keep the
// lies with which they began. change must not call methods of the provider, but
// the hooks that it sets may.
func (p *Provider) Lie(change func(*Faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.lies)
}

// Honest removes all lies and faults.
func (p *Provider) Honest() { p.Lie(func(l *Faults) { *l = Faults{} }) }

// Lies returns a copy of the current lies.
func (p *Provider) Lies() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lies
}

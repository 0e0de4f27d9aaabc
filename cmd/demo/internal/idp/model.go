package idp

import (
	"crypto/rsa"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// request is one login in flight: what the client asked for and, once the user
// has signed in, who that is.
type request struct {
	id      string
	secret  string // the value of the login's cookie
	created time.Time
	asked   oidc.AuthRequest
	by      session
}

// accepts reports whether a session can answer the login without a password: not
// if the client asks for one, for another user, or for a younger session.
func (r *request) accepts(open session, hint string) bool {
	if slices.Contains(r.asked.Prompt, oidc.PromptLogin) || slices.Contains(r.asked.Prompt, oidc.PromptSelectAccount) {
		return false
	}
	if r.asked.MaxAge != nil && time.Since(open.since) > time.Duration(*r.asked.MaxAge)*time.Second {
		return false
	}
	return hint == "" || hint == open.subject
}

// answeredBy returns the login as a session answers it. A request in the
// storage is never changed, as the library reads it without the storage's lock.
func (r *request) answeredBy(open session) *request {
	answered := *r
	answered.by = open
	return &answered
}

// The following methods make a request an op.AuthRequest.

func (r *request) GetID() string                      { return r.id }
func (r *request) GetACR() string                     { return "" }
func (r *request) GetAMR() []string                   { return []string{"pwd"} }
func (r *request) GetAudience() []string              { return []string{r.asked.ClientID} }
func (r *request) GetAuthTime() time.Time             { return r.by.since }
func (r *request) GetClientID() string                { return r.asked.ClientID }
func (r *request) GetNonce() string                   { return r.asked.Nonce }
func (r *request) GetRedirectURI() string             { return r.asked.RedirectURI }
func (r *request) GetResponseType() oidc.ResponseType { return r.asked.ResponseType }
func (r *request) GetResponseMode() oidc.ResponseMode { return r.asked.ResponseMode }
func (r *request) GetScopes() []string                { return r.asked.Scopes }
func (r *request) GetState() string                   { return r.asked.State }
func (r *request) GetSubject() string                 { return r.by.subject }
func (r *request) Done() bool                         { return r.by.subject != "" }
func (r *request) GetCodeChallenge() *oidc.CodeChallenge {
	if r.asked.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: r.asked.CodeChallenge, Method: r.asked.CodeChallengeMethod}
}

// client is the demo site as the library sees it: a confidential web client of
// the code flow.
type client struct{ config Config }

func (c *client) GetID() string                       { return c.config.ClientID }
func (c *client) RedirectURIs() []string              { return []string{c.config.RedirectURI} }
func (c *client) PostLogoutRedirectURIs() []string    { return []string{c.config.PostLogoutRedirectURI} }
func (c *client) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c *client) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodBasic }
func (c *client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c *client) GrantTypes() []oidc.GrantType        { return []oidc.GrantType{oidc.GrantTypeCode} }
func (c *client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeBearer }
func (c *client) IDTokenLifetime() time.Duration      { return tokenLifetime }
func (c *client) DevMode() bool                       { return false }
func (c *client) ClockSkew() time.Duration            { return 0 }
func (c *client) IsScopeAllowed(scope string) bool    { return scope == scopeGroups }

// LoginURL is where the library sends a browser whose login waits for a user.
func (c *client) LoginURL(id string) string { return loginPath + "?request=" + url.QueryEscape(id) }

// IDTokenUserinfoClaimsAssertion leaves name and e-mail to userinfo, as OpenID
// Connect Core 5.4 has it; the groups are in the ID token as well.
func (c *client) IDTokenUserinfoClaimsAssertion() bool { return false }

func (c *client) RestrictAdditionalIdTokenScopes() func([]string) []string     { return same }
func (c *client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return same }

func same(scopes []string) []string { return scopes }

// signingKey is the provider's private key.
type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

func (k signingKey) ID() string                                  { return k.id }
func (k signingKey) Key() any                                    { return k.private }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

// publicKey is the half of it that everybody may see.
type publicKey struct{ signingKey }

func (k publicKey) Key() any                           { return k.private.Public() }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return "sig" }

package op

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"golang.org/x/oauth2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
)

// Client is our client at one provider: a site's configuration of it, with what was
// discovered at run time.
type Client struct {
	Discovery  *Discovery
	Provider   string // the provider's id, for metrics
	ClientID   string
	Secret     func() (string, error) // called at each use; nil for none
	AuthMethod string                 // empty to choose by discovery
	Keys       func() OwnKeys         // called at each use; nil for none
	// AssertTokenEndpoint makes the token endpoint the audience of assertions (RFC 7523,
	// section 3), instead of the issuer as in later specifications.
	AssertTokenEndpoint bool
	// Assertion returns the platform's assertion for AssertionFile; it is called at each
	// use. AssertionAudience is the audience that the assertion must have; empty for any
	// but the API server of a Kubernetes cluster.
	Assertion         func() (string, error)
	AssertionAudience string
	Scopes            []string // without openid, which is always requested
	Algs              []string // for ID tokens; if empty, see algorithms
	// Audiences are those that an ID token may have besides the client id; if empty, azp
	// must be this client.
	Audiences []string
	// Tenants are the accepted tenants; empty for all of the issuer.
	Tenants   []string
	ClockSkew time.Duration
	// AccessTokenLifetime is assumed if the token response has no expires_in. If zero, an
	// hour is assumed if there is a refresh token; otherwise the lifetime is unknown.
	AccessTokenLifetime time.Duration
	// UserinfoByPost sends the access token to userinfo in a form (RFC 6750, section 2.2).
	UserinfoByPost bool
	NoPKCE         bool
	Parameters     url.Values // fixed parameters of authorization requests
	// TokenParameters are additional parameters of requests to the token endpoint.
	TokenParameters url.Values
	// Demands are what the fixed parameters demand of ID tokens.
	Demands Demands
	// ResponseMode is the response_mode to request; empty for none.
	ResponseMode string
	// RequestObject is RequestSigned, RequestEncrypted, or empty for plain parameters.
	RequestObject string
	DPoP          DPoP
	Now           func() time.Time
}

// Login is what an authorization request and its response have in common.
type Login struct {
	State, Nonce, Verifier string
	RedirectURI            string
	// Demands are the demands of the request, from DemandsOf.
	Demands Demands
	// Key is what the tokens are to be bound to, from LoginKey; nil for bearer
	// tokens.
	Key *dpop.Key
}

// Tokens are the tokens of a token response.
type Tokens struct {
	AccessToken string
	Expires     time.Time // of the access token; zero if unknown
	// Assumed is the lifetime that Expires is based on if the response has none.
	Assumed time.Duration
	// NotBearer is why AccessToken cannot be used; nil if it can.
	NotBearer error
	// Key is what AccessToken is bound to; nil for a bearer token.
	Key     *dpop.Key
	IDToken string
	// RefreshToken is empty if the provider issued none.
	RefreshToken string
	// RefreshKey is the key that RefreshToken may be bound to if AccessToken is a bearer
	// token; otherwise nil.
	RefreshKey *dpop.Key
	// Scope is the granted scope, if the response has it as a string or a list;
	// ScopeSaid reports whether it has one in any form.
	Scope     string
	ScopeSaid bool
	// Odd are members of the response that were ignored because of their form.
	Odd []Oddity
}

// AuthorizationURL returns the URL of an authorization request (OpenID Connect Core
// 3.1.2.1), always with state, nonce and an S256 code challenge (RFC 7636) unless
// NoPKCE is set.
func (c *Client) AuthorizationURL(ctx context.Context, login Login, extra url.Values) (string, error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return "", err
	}
	if _, err := chooseAuth(c.AuthMethod, c.Secret != nil, metadata.AuthMethods); err != nil {
		// Fail now rather than after the user has authenticated.
		c.Discovery.Invalidate()
		return "", &UnavailableError{err, longPause}
	}
	if err := c.CheckProfile(metadata); err != nil {
		c.Discovery.Invalidate()
		return "", &UnavailableError{err, longPause}
	}
	if metadata.Pushed && c.AuthMethod == AssertionFile {
		c.Discovery.Invalidate()
		return "", &UnavailableError{settingsErrorf("the provider requires pushed authorization requests, where %w", errTokenEndpointOnly), longPause}
	}
	if err := c.checkSigned(metadata); err != nil {
		c.Discovery.Invalidate()
		return "", &UnavailableError{err, longPause}
	}
	config := oauth2.Config{
		ClientID:    c.ClientID,
		Endpoint:    oauth2.Endpoint{AuthURL: metadata.Endpoints.Authorization},
		RedirectURL: login.RedirectURI,
		Scopes:      append([]string{"openid"}, c.Scopes...),
	}
	options := []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("nonce", login.Nonce)}
	if !c.NoPKCE {
		options = append(options, oauth2.S256ChallengeOption(login.Verifier))
	}
	if c.ResponseMode != "" {
		options = append(options, oauth2.SetAuthURLParam("response_mode", c.ResponseMode))
	}
	if login.Key != nil {
		options = append(options, oauth2.SetAuthURLParam("dpop_jkt", login.Key.Thumbprint()))
	}
	for name, values := range c.parameters(extra, &login.Demands) {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	if metadata.Pushed {
		return c.push(ctx, metadata, config, login, options)
	}
	if c.RequestObject != "" {
		return c.byValue(ctx, metadata, config, login.State, options)
	}
	return c.withResources(config.AuthCodeURL(login.State, options...)), nil
}

// withResources adds the resource parameters. x/oauth2 supports only one value per
// name, but resource may have several (RFC 8707, section 2).
func (c *Client) withResources(query string) string {
	if resources := c.Parameters["resource"]; len(resources) > 1 {
		return query + "&" + url.Values{"resource": resources[1:]}.Encode()
	}
	return query
}

// Reserved reports whether a parameter of authorization requests is reserved: no
// option and no link may set it.
func Reserved(name string) bool {
	switch name {
	case "client_id", "response_type", "redirect_uri", "scope", "state", "nonce", "response_mode",
		"code_challenge", "code_challenge_method", "request", "request_uri", "client_secret", "code", "dpop_jkt":
		return true
	}
	return false
}

// ReservedAtTokenEndpoint reports whether a parameter of token requests is
// reserved. The scope is that of the authorization request.
func ReservedAtTokenEndpoint(name string) bool {
	switch name {
	case "grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope",
		"client_id", "client_secret", "client_assertion", "client_assertion_type":
		return true
	}
	return false
}

// Exchange exchanges a code for tokens (OpenID Connect Core 3.1.3). It continues if
// the context ends, because the code is spent either way.
func (c *Client) Exchange(ctx context.Context, code string, login Login) (Tokens, error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return Tokens{}, err
	}
	key, err := c.tokenKey(login.Key)
	if err != nil {
		return Tokens{}, fmt.Errorf("%w: %w", ErrExchange, err)
	}
	httpClient, channel, method, err := c.channel(metadata, true, key)
	if err != nil {
		return Tokens{}, fmt.Errorf("%w: %w", ErrExchange, err)
	}
	config := oauth2.Config{
		ClientID:    c.ClientID,
		Endpoint:    oauth2.Endpoint{TokenURL: metadata.Endpoints.Token, AuthStyle: oauth2.AuthStyleInParams},
		RedirectURL: login.RedirectURI,
	}
	var options []oauth2.AuthCodeOption
	if !c.NoPKCE {
		options = append(options, oauth2.VerifierOption(login.Verifier))
	}
	ctx = context.WithValue(callExchange.with(context.WithoutCancel(ctx), c.Provider), oauth2.HTTPClient, httpClient)
	if _, err := config.Exchange(ctx, code, options...); err != nil {
		return Tokens{}, exchangeError(err, method, metadata.Endpoints.Token)
	}
	tokens := c.tokensOf(channel.got, "")
	if err := c.bind(&tokens, key, channel.got); err != nil {
		return Tokens{}, fmt.Errorf("%w: %w", ErrExchange, err)
	}
	if tokens.IDToken == "" {
		return Tokens{}, tokenErrorf("the token endpoint sent none; is the scope openid allowed for this client?")
	}
	// From here on IDToken is the decrypted token, as in id_token_hint (OpenID Connect Core
	// 3.1.2.1).
	if tokens.IDToken, err = c.open(tokens.IDToken); err != nil {
		return Tokens{}, tokenErrorf("%w", err)
	}
	return tokens, nil
}

// defaultTokenLifetime is the assumed lifetime of an access token that can be
// refreshed.
const defaultTokenLifetime = time.Hour

// tokensOf returns the tokens of a response. If the response has no refresh token,
// the one before remains in use.
func (c *Client) tokensOf(answer *tokenResponse, before string) Tokens {
	tokens := Tokens{
		AccessToken: answer.accessToken, IDToken: answer.idToken, RefreshToken: answer.refreshToken,
		NotBearer: answer.notBearer, Odd: answer.odd, Scope: answer.scope, ScopeSaid: answer.scopeSaid,
	}
	if tokens.RefreshToken == "" {
		tokens.RefreshToken = before
	}
	life := answer.expiresIn
	if life == 0 {
		tokens.Assumed = c.AccessTokenLifetime
		if tokens.Assumed == 0 && tokens.RefreshToken != "" {
			tokens.Assumed = defaultTokenLifetime
		}
		life = tokens.Assumed
	}
	if life > 0 {
		tokens.Expires = c.Now().Add(life)
	}
	return tokens
}

// exchangeError returns the error for a failed token request. It does not repeat
// the response, which may contain a token.
func exchangeError(err error, method, endpoint string) error {
	refused := refusalOf(err)
	if refused == nil || refused.Err != nil {
		return fmt.Errorf("%w: %w", ErrExchange, bare(err))
	}
	return judged(fmt.Errorf("%w: %w%s", ErrExchange, refused, adviceFor(refused.Code, method, endpoint)), refused.Code)
}

// refusalOf returns the Refusal that an error wraps, or nil.
func refusalOf(err error) *Refusal {
	var refused *Refusal
	errors.As(err, &refused)
	return refused
}

// adviceFor returns advice for an error code of an endpoint at which the client
// authenticates with a method.
func adviceFor(code, method, endpoint string) string {
	switch {
	case code == "invalid_client" && method == "none":
		return " (no client_secret is configured, so this client is a public one; the provider may want a secret)"
	case code == "invalid_client":
		return " (authenticated with " + method + "; check client_id, client_auth and its secret, key or certificate)"
	case code == "invalid_grant":
		return " (the code was spent, too old, or for another redirect URI)"
	}
	return adviceOfProof(code, endpoint)
}

var errorCode = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// SafeCode returns an OAuth error code that can be logged and shown, or "other" if
// its form is unusual.
func SafeCode(code string) string {
	if code == "" || errorCode.MatchString(code) {
		return code
	}
	return "other"
}

// Claims are the claims of an ID token or a userinfo response.
type Claims map[string]json.RawMessage

// Issued returns the iat of a verified ID token, in whole seconds; zero if it has
// none.
func (c Claims) Issued() time.Time {
	issued, ok, err := object(c).moment("iat")
	if err != nil || !ok {
		return time.Time{}
	}
	return time.Unix(issued.Unix(), 0)
}

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

// Client is us at one provider: what a site's configuration says of it, over
// what was learned at run time.
type Client struct {
	Discovery  *Discovery
	Provider   string // the provider's id, for metrics
	ClientID   string
	Secret     func() (string, error) // asked at each use; nil for none
	AuthMethod string                 // empty: what discovery offers
	Keys       func() OwnKeys         // of ours, asked at each use; nil for none
	// AssertTokenEndpoint: assertions are addressed to the token endpoint, as
	// RFC 7523 3 has it, and not to the issuer, as what came after it.
	AssertTokenEndpoint bool
	// Assertion returns the assertion that the platform keeps for AssertionFile, asked
	// at each use, and AssertionAudience is what it is to be addressed to; empty: to
	// anyone but the API server of a Kubernetes cluster.
	Assertion         func() (string, error)
	AssertionAudience string
	Scopes            []string // without openid, which is always there
	Algs              []string // of ID tokens; empty: see algorithms
	// Audiences are others that an ID token may have beside the client; empty: those
	// that azp vouches for.
	Audiences []string
	// Tenants are those whose tokens are taken; empty: all of the issuer's.
	Tenants   []string
	ClockSkew time.Duration
	// AccessTokenLifetime is assumed of an access token where the answer does not
	// say. Zero: an hour where a refresh token can replace it, else unknown.
	AccessTokenLifetime time.Duration
	// UserinfoByPost sends the access token to userinfo in a form (RFC 6750 2.2).
	UserinfoByPost bool
	NoPKCE         bool
	Parameters     url.Values // fixed ones for authorization requests
	// TokenParameters are further ones of requests to the token endpoint.
	TokenParameters url.Values
	// Demands are what the fixed parameters make of ID tokens.
	Demands Demands
	// ResponseMode is asked for where it is not empty.
	ResponseMode string
	// RequestObject is RequestSigned or RequestEncrypted; empty: the parameters are sent
	// as they are.
	RequestObject string
	DPoP          DPoP
	Now           func() time.Time
}

// Login is what an authorization request and its answer have in common.
type Login struct {
	State, Nonce, Verifier string
	RedirectURI            string
	// Demands are what the request asks for, as DemandsOf has them.
	Demands Demands
	// Key is what the tokens are to be bound to, as LoginKey has it; nil for nothing.
	Key *dpop.Key
}

// Tokens are what a code was traded for.
type Tokens struct {
	AccessToken string
	Expires     time.Time // of the access token; zero if not said
	// Assumed is the life that Expires is made of where the answer says none.
	Assumed time.Duration
	// NotBearer says why AccessToken cannot be used; nil if it can.
	NotBearer error
	// Key is what AccessToken is bound to; nil for a bearer token.
	Key     *dpop.Key
	IDToken string
	// RefreshToken is empty where the provider gives none.
	RefreshToken string
	// RefreshKey is what RefreshToken may be bound to where AccessToken is a bearer token.
	// Otherwise it is nil.
	RefreshKey *dpop.Key
	// Scope is what was granted, where the provider says so; ScopeSaid reports
	// whether it does, in whatever form.
	Scope     string
	ScopeSaid bool
	// Odd are members of the answer that count as absent for their form.
	Odd []Oddity
}

// AuthorizationURL returns where to send a browser to sign in (Core 3.1.2.1),
// always with state, nonce and S256 code challenge (RFC 7636).
func (c *Client) AuthorizationURL(ctx context.Context, login Login, extra url.Values) (string, error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return "", err
	}
	if _, err := chooseAuth(c.AuthMethod, c.Secret != nil, metadata.AuthMethods); err != nil {
		// Refused now, and not after a user has signed in for nothing.
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

// withResources adds what oauth2 has no way for: it knows one value of a name,
// and resource may have more (RFC 8707 2).
func (c *Client) withResources(query string) string {
	if resources := c.Parameters["resource"]; len(resources) > 1 {
		return query + "&" + url.Values{"resource": resources[1:]}.Encode()
	}
	return query
}

// Reserved reports whether a parameter of authorization requests is ours alone:
// no option and no link may set it.
func Reserved(name string) bool {
	switch name {
	case "client_id", "response_type", "redirect_uri", "scope", "state", "nonce", "response_mode",
		"code_challenge", "code_challenge_method", "request", "request_uri", "client_secret", "code", "dpop_jkt":
		return true
	}
	return false
}

// ReservedAtTokenEndpoint reports whether a parameter of token requests is ours
// alone. The scope is what the authorization request asked for.
func ReservedAtTokenEndpoint(name string) bool {
	switch name {
	case "grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope",
		"client_id", "client_secret", "client_assertion", "client_assertion_type":
		return true
	}
	return false
}

// Exchange trades a code at the token endpoint (Core 3.1.3), once: the call
// goes on when the visitor leaves, since the code is spent either way.
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
	// From here on it is the signed token: that is what hints carry (Core 3.1.2.1).
	if tokens.IDToken, err = c.open(tokens.IDToken); err != nil {
		return Tokens{}, tokenErrorf("%w", err)
	}
	return tokens, nil
}

// defaultTokenLifetime is assumed of an access token that can be refreshed.
const defaultTokenLifetime = time.Hour

// tokensOf makes the tokens of an answer. An answer without a refresh token
// leaves the one in use that was there before.
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

// exchangeError reports what the token endpoint said without repeating what it
// sent: an answer can hold a token.
func exchangeError(err error, method, endpoint string) error {
	refused := refusalOf(err)
	if refused == nil || refused.Err != nil {
		return fmt.Errorf("%w: %w", ErrExchange, bare(err))
	}
	return judged(fmt.Errorf("%w: %w%s", ErrExchange, refused, adviceFor(refused.Code, method, endpoint)), refused.Code)
}

// refusalOf is the provider's refusal that an error is about, or nil.
func refusalOf(err error) *Refusal {
	var refused *Refusal
	errors.As(err, &refused)
	return refused
}

// adviceFor says what to look at for an error code of an endpoint that the client
// authenticates at by a method.
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

// SafeCode returns an OAuth error code that can be logged and shown, or
// "other" for one that is not of the usual form.
func SafeCode(code string) string {
	if code == "" || errorCode.MatchString(code) {
		return code
	}
	return "other"
}

// Claims are the members of an ID token or a userinfo answer.
type Claims map[string]json.RawMessage

// Issued is the iat of a checked ID token, in whole seconds; zero where it has
// none.
func (c Claims) Issued() time.Time {
	issued, ok, err := object(c).moment("iat")
	if err != nil || !ok {
		return time.Time{}
	}
	return time.Unix(issued.Unix(), 0)
}

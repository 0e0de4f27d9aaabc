package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// grantData is the Data of a grant.
type grantData struct {
	authorization
	AuthTime time.Time `json:"auth_time"`
	AMR      []string  `json:"amr,omitempty"`
	ACR      string    `json:"acr,omitempty"`
	External string    `json:"external,omitempty"`
}

// wantsRefresh reports whether the client gets a refresh token: for the scope
// offline_access (OpenID Connect Core 11), and always in this Caddy, so that sites
// can recheck their users without configuration.
func (u *unit) wantsRefresh() bool {
	return u.client.builtin != nil || slices.Contains(u.data.Scopes, scopeOffline)
}

// tokenData is the Data of an access token.
type tokenData struct {
	Scopes []string `json:"scopes,omitempty"`
}

// unit is one unit of work of the library: what it reads, and what it wants to
// write. Nothing is written until the unit is committed.
type unit struct {
	now    time.Time
	client *party
	user   *store.User
	grant  *store.Grant // as loaded or created
	data   grantData

	presented string // the code or refresh token of the request
	isRefresh bool
	code      string       // the issued code
	refresh   string       // the refresh token that is valid from now on
	access    string       // the issued access token
	token     *store.Token // row of the access token, issued or presented to userinfo
}

// unitKey is the context key of a unit. The library passes contexts on.
type unitKey struct{}

func unitOf(ctx context.Context) (*unit, error) {
	u, _ := ctx.Value(unitKey{}).(*unit)
	if u == nil {
		return nil, errors.New("a call of the library without a unit")
	}
	return u, nil
}

// in returns a request that carries the unit.
func (u *unit) in(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), unitKey{}, u))
}

// systemTime converts a time to the system's clock, which the library reads.
func (u *unit) systemTime(t time.Time) int { return int(time.Now().Add(t.Sub(u.now)).Unix()) }

// load reads the data of a grant.
func (u *unit) load(grant *store.Grant) error {
	u.grant = grant
	if err := json.Unmarshal(grant.Data, &u.data); err != nil {
		return fmt.Errorf("decode a grant: %w", err)
	}
	return nil
}

// libraryGrant returns the grant in the library's form.
func (u *unit) libraryGrant() *goidc.Grant {
	g := &goidc.Grant{
		ID: u.grant.ID, ClientID: u.grant.ClientID, Subject: u.grant.UserID,
		CreatedAt: u.systemTime(u.grant.Created), Scopes: strings.Join(u.data.Scopes, " "),
		AuthCodeExpiresAt: u.systemTime(u.grant.CodeEnds), RefreshToken: u.refresh,
	}
	g.AuthParams = goidc.AuthorizationParameters{
		RedirectURI: u.data.RedirectURI, ResponseType: goidc.ResponseTypeCode, Scopes: g.Scopes,
		CodeChallenge: u.data.Challenge,
	}
	if u.data.Challenge != "" {
		g.AuthParams.CodeChallengeMethod = goidc.CodeChallengeMethodSHA256
	}
	// A nonce belongs to the sign-in (OpenID Connect Core 12.2).
	if !u.isRefresh {
		g.AuthParams.Nonce = u.data.Nonce
	}
	return g
}

// libraryClient returns the client in the library's form. Its secret has already
// been verified, so it appears as a public client.
func (u *unit) libraryClient(method goidc.AuthnMethod) *goidc.Client {
	c := &goidc.Client{ID: u.client.ID}
	c.RedirectURIs = []string{asParsed(u.data.RedirectURI)}
	c.GrantTypes = []goidc.GrantType{goidc.GrantAuthorizationCode, goidc.GrantRefreshToken}
	c.ResponseTypes = []goidc.ResponseType{goidc.ResponseTypeCode}
	c.ScopeIDs = strings.Join(scopes, " ")
	c.TokenAuthnMethod = method
	c.IDTokenSigAlg = goidc.SignatureAlgorithm(u.client.alg())
	return c
}

// idTokenClaims returns the claims of an ID token besides those that the library
// adds.
func (u *unit) idTokenClaims() map[string]any {
	claims := claimsOf(u.user, u.data.Scopes, u.data.IDToken)
	claims["iat"] = u.now.Unix()
	claims["exp"] = u.now.Add(idTokenLifetime).Unix()
	if !u.data.AuthTime.Equal(sso.UnknownTime) {
		claims["auth_time"] = u.data.AuthTime.Unix()
	}
	claims["sid"] = u.grant.SID
	claims["at_hash"] = halfHash(u.access)
	if len(u.data.AMR) > 0 {
		claims["amr"] = u.data.AMR
	}
	if u.data.ACR != "" {
		claims["acr"] = u.data.ACR
	}
	return claims
}

// The library calls the methods below. It takes a zero value for a missing one, and
// would then keep grants in memory; these are pointers.

type grants struct{}

func (*grants) SaveGrant(ctx context.Context, g *goidc.Grant) error {
	u, err := unitOf(ctx)
	if err != nil {
		return err
	}
	if g.RevokedAt != 0 {
		return nil // the request was refused, so the unit is not committed
	}
	if u.grant == nil {
		return u.issue(g)
	}
	if u.isRefresh {
		u.refresh = g.RefreshToken
	}
	return nil
}

// issue creates the row of a new grant.
func (u *unit) issue(g *goidc.Grant) error {
	data, err := json.Marshal(u.data)
	if err != nil {
		return fmt.Errorf("encode a grant: %w", err)
	}
	if g.AuthCode == "" {
		return errors.New("a grant without a code")
	}
	u.code = g.AuthCode
	u.grant = &store.Grant{
		ID: g.ID, ClientID: u.client.ID, UserID: u.user.ID, Code: store.HashOf(g.AuthCode),
		CodeEnds: u.now.Add(codeLifetime), Data: data, Created: u.now, Expires: u.now.Add(codeLifetime),
	}
	return nil
}

func (*grants) Grant(ctx context.Context, id string) (*goidc.Grant, error) {
	u, err := unitOf(ctx)
	if err != nil {
		return nil, err
	}
	if u.grant == nil || u.grant.ID != id {
		return nil, goidc.ErrNotFound
	}
	return u.libraryGrant(), nil
}

func (*grants) GrantByAuthCode(ctx context.Context, code string) (*goidc.Grant, error) {
	return presented(ctx, code, false)
}

func (*grants) GrantByRefreshToken(ctx context.Context, token string) (*goidc.Grant, error) {
	return presented(ctx, token, true)
}

func presented(ctx context.Context, secret string, isRefresh bool) (*goidc.Grant, error) {
	u, err := unitOf(ctx)
	if err != nil {
		return nil, err
	}
	if u.grant == nil || u.presented != secret || u.isRefresh != isRefresh {
		return nil, goidc.ErrNotFound
	}
	return u.libraryGrant(), nil
}

// SaveSession stores nothing: the library's sessions do not outlast a call.
func (*grants) SaveSession(context.Context, *goidc.AuthnSession) error { return nil }

func (*grants) Session(context.Context, string) (*goidc.AuthnSession, error) {
	return nil, goidc.ErrNotFound
}

type tokens struct{}

func (*tokens) SaveToken(ctx context.Context, t *goidc.Token) error {
	u, err := unitOf(ctx)
	if err != nil {
		return err
	}
	data, err := json.Marshal(tokenData{Scopes: words(t.Scopes)})
	if err != nil {
		return fmt.Errorf("encode a token: %w", err)
	}
	u.token = &store.Token{
		Hash: store.HashOf(t.ID), GrantID: u.grant.ID, UserID: u.grant.UserID, ClientID: u.client.ID,
		Data: data, Created: u.now, Expires: u.now.Add(accessLifetime),
	}
	return nil
}

func (*tokens) Token(ctx context.Context, id string) (*goidc.Token, error) {
	u, err := unitOf(ctx)
	if err != nil {
		return nil, err
	}
	if u.token == nil || u.access != id {
		return nil, goidc.ErrNotFound
	}
	var data tokenData
	if err := json.Unmarshal(u.token.Data, &data); err != nil {
		return nil, fmt.Errorf("decode a token: %w", err)
	}
	return &goidc.Token{
		ID: id, GrantID: u.token.GrantID, ClientID: u.token.ClientID, Subject: u.token.UserID,
		CreatedAt: u.systemTime(u.token.Created), ExpiresAt: u.systemTime(u.token.Expires),
		Format: goidc.TokenFormatOpaque, Type: goidc.TokenTypeBearer, Scopes: strings.Join(data.Scopes, " "),
	}, nil
}

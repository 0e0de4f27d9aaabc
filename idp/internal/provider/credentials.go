package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	// clientSubject is the prefix of the subject of tokens of programs. The ids of
	// users are random and have no slash.
	clientSubject = "client/"
	// programTokenType is the typ of these tokens (RFC 9068, section 2.1).
	programTokenType = "at+jwt"
	// programLifetime is short because these tokens cannot be revoked: resource
	// servers verify them without us.
	programLifetime = accessLifetime / 6
)

// credentials issues a token of its own to a client (RFC 6749, section 4.4).
func (p *Provider) credentials(r *http.Request, client *party, params parameters) (any, *protocolError, error) {
	if !client.ClientCredentials {
		return nil, &protocolError{"unauthorized_client", "the client may not use client_credentials"}, nil
	}
	granted, wrong := programScopes(params["scope"], client.Scopes)
	if wrong != nil {
		return nil, wrong, nil
	}
	resource, wrong := client.resourceFor(params["resource"])
	if wrong != nil {
		return nil, wrong, nil
	}
	return p.programToken(r.Context(), client.ID, client.alg(), granted, resource, nil)
}

// applicationCredentials issues a token to an application user. Its client id is
// the user's name, and the secret is one of its access keys.
func (p *Provider) applicationCredentials(r *http.Request, shown credentials, params parameters) (any, *protocolError, error) {
	if p.Application == nil || shown.id == "" || len(shown.secrets) == 0 {
		return nil, errInvalidClient, nil
	}
	user, err := p.Application(r.Context(), shown.id, shown.secrets[0])
	if errors.Is(err, store.ErrNotFound) || err == nil && (user.Kind != store.Application || sso.IsGone(user)) {
		return nil, errInvalidClient, nil
	}
	// Names are found in several spellings. The tokens must not look like those of
	// a client.
	if err == nil && p.Clients.find(user.Name) != nil {
		return nil, errInvalidClient, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look for an application: %w", err)
	}
	granted, wrong := programScopes(params["scope"], []string{"groups"})
	if wrong != nil {
		return nil, wrong, nil
	}
	return p.programToken(r.Context(), user.Name, rs256, granted, params["resource"], user.Groups)
}

// programScopes returns the granted scopes of a program: by default all that it may
// have.
func programScopes(requested string, allowed []string) ([]string, *protocolError) {
	allowed = slices.DeleteFunc(slices.Clone(allowed), func(scope string) bool { return scope == scopeOpenID || scope == scopeOffline })
	if requested == "" {
		return allowed, nil
	}
	granted := words(requested)
	for _, scope := range granted {
		if !slices.Contains(allowed, scope) {
			return nil, &protocolError{"invalid_scope", "the scope is not one of the client's"}
		}
	}
	return granted, nil
}

// resourceFor returns the audience of a token of a client: the requested resource,
// if allowed, or the only one that is configured.
func (c *Client) resourceFor(requested string) (string, *protocolError) {
	switch {
	case c.Resources == nil || slices.Contains(c.Resources, requested):
		return requested, nil
	case requested == "" && len(c.Resources) == 1:
		return c.Resources[0], nil
	case requested == "":
		return "", &protocolError{"invalid_target", "resource is missing: the client has several"}
	}
	return "", &protocolError{"invalid_target", "the resource is not one of the client's"}
}

// isProgramToken reports whether a text is a valid access token of a client itself.
func (p *Provider) isProgramToken(ctx context.Context, clientID, text string) (bool, error) {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil || len(token.Headers) != 1 || token.Headers[0].ExtraHeaders[jose.HeaderType] != programTokenType {
		return false, nil
	}
	keys, err := p.Keys.public(ctx)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		var claims struct {
			ClientID string `json:"client_id"`
			Expires  int64  `json:"exp"`
		}
		if key.KeyID == token.Headers[0].KeyID && key.Algorithm == token.Headers[0].Algorithm && token.Claims(key.Key, &claims) == nil {
			return claims.ClientID == clientID && p.Now().Unix() < claims.Expires, nil
		}
	}
	return false, nil
}

// programToken returns an access token (RFC 9068). Its audience is the requested
// resource (RFC 8707), or this provider.
func (p *Provider) programToken(ctx context.Context, id, alg string, granted []string, resource string, groups []string) (any, *protocolError, error) {
	if resource == "" {
		resource = p.issuer
	}
	if checkWeb(resource) != nil || p.Clients.find(resource) != nil {
		return nil, &protocolError{"invalid_target", "resource must be a URL of https without a fragment"}, nil
	}
	now := p.Now()
	claims := map[string]any{
		"iss": p.issuer, "sub": clientSubject + id, "client_id": id, "aud": resource,
		"iat": now.Unix(), "exp": now.Add(programLifetime).Unix(), "jti": rand.Text(),
	}
	if len(granted) > 0 {
		claims["scope"] = strings.Join(granted, " ")
	}
	if groups != nil {
		claims["groups"] = groups
	}
	token, err := p.Keys.sign(ctx, alg, programTokenType, claims)
	if err != nil {
		return nil, nil, err
	}
	response := map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(programLifetime.Seconds())}
	if scope, ok := claims["scope"]; ok {
		response["scope"] = scope
	}
	return response, nil, nil
}

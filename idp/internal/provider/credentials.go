package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	// clientSubject begins the subject of tokens that are about a program. The ids
	// of users are random and have no slash.
	clientSubject = "client/"
	// programLifetime is short: these tokens cannot be revoked.
	programLifetime = accessLifetime / 6
)

// credentials gives a client a token for itself (RFC 6749 section 4.4).
func (p *Provider) credentials(r *http.Request, client *party, params parameters) (any, *protocolError, error) {
	if !client.ClientCredentials {
		return nil, &protocolError{"unauthorized_client", "the client may not use client_credentials"}, nil
	}
	granted, wrong := programScopes(params["scope"], client.Scopes)
	if wrong != nil {
		return nil, wrong, nil
	}
	return p.programToken(r.Context(), client.ID, client.alg(), granted, params["resource"], nil)
}

// applicationCredentials gives an application user a token: the client id is its
// name, and the secret one of its access keys.
func (p *Provider) applicationCredentials(r *http.Request, shown credentials, params parameters) (any, *protocolError, error) {
	if p.Application == nil || shown.id == "" || len(shown.secrets) == 0 {
		return nil, errInvalidClient, nil
	}
	user, err := p.Application(r.Context(), shown.id, shown.secrets[0])
	if errors.Is(err, store.ErrNotFound) || err == nil && (user.Kind != store.Application || sso.IsGone(user)) {
		return nil, errInvalidClient, nil
	}
	// Names are found in several spellings. Its tokens must not look like those of a
	// client.
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

// programScopes returns the scopes that a program gets: all that it may have, if it
// names none.
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

// programToken makes an access token as in RFC 9068. Its audience is a resource:
// the one that the request names (RFC 8707), or this provider.
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
	token, err := p.Keys.sign(ctx, alg, "at+jwt", claims)
	if err != nil {
		return nil, nil, err
	}
	response := map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(programLifetime.Seconds())}
	if scope, ok := claims["scope"]; ok {
		response["scope"] = scope
	}
	return response, nil, nil
}

package provider

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// RoundTrip passes requests for the issuer to the node as if they came over the network.
func (n *node) RoundTrip(r *http.Request) (*http.Response, error) {
	a := newAnswer()
	inner := r.Clone(context.Background())
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	n.ServeHTTP(a, inner)
	w := newRecorded()
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
	return w.Result(), nil
}

// A relying party of another vendor can discover the provider, verify its tokens, and
// refresh them.
func TestARelyingPartyOfAnotherMaker(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: n})
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		t.Fatalf("discover: %v", err)
	}
	for name, row := range map[string]struct{ id, secret, redirect, alg string }{
		"RS256":           {"wiki", wikiKey, callback, "RS256"},
		"ES256":           {"other", "other-secret", "https://other.example.net/cb", "ES256"},
		"a public client": {"spa", "", spaReturn, "RS256"},
	} {
		config := oauth2.Config{
			ClientID: row.id, ClientSecret: row.secret, RedirectURL: row.redirect, Endpoint: provider.Endpoint(),
			Scopes: []string{oidc.ScopeOpenID, "email", oidc.ScopeOfflineAccess},
		}
		secret := oauth2.GenerateVerifier()
		address := config.AuthCodeURL("state", oauth2.S256ChallengeOption(secret), oidc.Nonce("n"))
		w := browser{}.visit(n, http.MethodGet, address, "")
		token, err := config.Exchange(ctx, location(t, w, row.redirect).Get("code"), oauth2.VerifierOption(secret))
		if err != nil {
			t.Errorf("%s: exchange: %v", name, err)
			continue
		}
		raw, _ := token.Extra("id_token").(string)
		verifier := provider.Verifier(&oidc.Config{ClientID: row.id, SupportedSigningAlgs: []string{row.alg}, Now: n.clock.Now})
		id, err := verifier.Verify(ctx, raw)
		if err != nil {
			t.Errorf("%s: verify: %v", name, err)
			continue
		}
		if err := id.VerifyAccessToken(token.AccessToken); err != nil || id.Nonce != "n" {
			t.Errorf("%s: expected at_hash and nonce, seen %v %q", name, err, id.Nonce)
		}
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil || info.Subject != id.Subject || !info.EmailVerified {
			t.Errorf("%s: expected userinfo of the same user, seen %+v %v", name, info, err)
		}
		token.Expiry = time.Now().Add(-time.Hour)
		if fresh, err := config.TokenSource(ctx, token).Token(); err != nil || fresh.AccessToken == token.AccessToken {
			t.Errorf("%s: expected a refresh, seen %v", name, err)
		}
	}
}

package provider

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
)

// claims returns the header and the claims of a JWT without verifying it.
func claims(t testing.TB, token string) (header, body map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("expected a JWT, seen %q", token)
	}
	for i, into := range []*map[string]any{&header, &body} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			t.Fatalf("decode a JWT: %v", err)
		}
	}
	return header, body
}

func TestAUserSignsInToAnApplication(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	w := b.visit(n, http.MethodGet, issuer+"/authorize?"+wikiRequest().Encode(), "")
	q := location(t, w, callback+"?")
	if q.Get("iss") != issuer {
		t.Errorf("expected the issuer in the response, seen %q", q)
	}
	if q.Get("state") != "s1" {
		t.Errorf("expected the state in the response, seen %q", q)
	}
	got := n.redeemWiki(q.Get("code"))
	if got.status != http.StatusOK {
		t.Fatalf("expected tokens, seen %+v", got)
	}
	header, id := claims(t, got.ID)
	if header["alg"] != "RS256" {
		t.Errorf("expected RS256, seen %v", header["alg"])
	}
	now := float64(n.clock.Now().Unix())
	want := map[string]any{
		"iss": issuer, "sub": "u-ada", "aud": "wiki", "nonce": "n1", "iat": now, "exp": now + 3600, "auth_time": now,
		"acr": sso.ACRPassword, "amr": []any{"pwd"}, "at_hash": halfHash(got.Access), "sid": id["sid"],
		"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "preferred_username": "ada", "locale": "en",
		"email": "ada@example.com", "email_verified": true, "groups": []any{"staff"},
	}
	if !reflect.DeepEqual(id, want) {
		t.Errorf("expected the claims %v, seen %v", want, id)
	}
	if id["sid"] == "" || id["sid"] == nil {
		t.Errorf("expected a sid, seen %v", id)
	}
	if got.Type != "Bearer" || got.Expires != 3600 || got.Refresh == "" {
		t.Errorf("expected a bearer token for an hour with a refresh token, seen %+v", got)
	}
	if cache := got.header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("expected no-store, seen %q", cache)
	}
}

func TestUserinfoHasTheClaimsOfTheScopes(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	query := wikiRequest()
	query.Set("scope", "openid email unknown")
	got := n.redeemWiki(n.code(b, query))
	if got.Scope != "openid email" {
		t.Errorf("expected the scopes that were granted, seen %q", got.Scope)
	}
	if got.Refresh != "" {
		t.Errorf("expected no refresh token without offline_access, seen one")
	}
	want := map[string]any{"sub": "u-ada", "email": "ada@example.com", "email_verified": true}
	for name, r := range map[string]*http.Request{
		"by the header": httptest.NewRequest(http.MethodGet, issuer+"/userinfo", nil),
		"by POST":       httptest.NewRequest(http.MethodPost, issuer+"/userinfo", nil),
		"by a form":     browser{}.request(http.MethodPost, issuer+"/userinfo", "access_token="+got.Access),
	} {
		if name != "by a form" {
			r.Header.Set("Authorization", "Bearer "+got.Access)
		}
		w := n.serve(r)
		var seen map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &seen); err != nil {
			t.Fatalf("%s: expected JSON, seen status %d, %q", name, w.Code, w.Body)
		}
		if !reflect.DeepEqual(seen, want) {
			t.Errorf("%s: expected %v, seen %v", name, want, seen)
		}
	}
}

func TestAccessTokensEnd(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	got := n.redeemWiki(n.code(b, wikiRequest()))
	n.clock.add(accessLifetime - time.Second)
	if status := n.userinfoStatus(got.Access); status != http.StatusOK {
		t.Errorf("expected the token to be valid for an hour, seen %d", status)
	}
	n.clock.add(time.Second)
	if status := n.userinfoStatus(got.Access); status != http.StatusUnauthorized {
		t.Errorf("expected the token to be over, seen %d", status)
	}
}

func TestClientsChooseTheAlgorithm(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	q := wikiRequest()
	q.Set("client_id", "other")
	q.Set("redirect_uri", "https://other.example.net/cb")
	form := redeemForm(n.code(b, q))
	form.Set("redirect_uri", "https://other.example.net/cb")
	header, _ := claims(t, n.tokens(form, basic("other", "other-secret")).ID)
	if header["alg"] != "ES256" {
		t.Errorf("expected ES256, seen %v", header["alg"])
	}
}

func TestTheSecondApplicationNeedsNoSignIn(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	first := n.redeemWiki(n.code(b, wikiRequest()))
	second := n.redeemSPA(n.code(b, spaRequest()))
	_, one := claims(t, first.ID)
	_, two := claims(t, second.ID)
	if one["sid"] != two["sid"] {
		t.Errorf("expected one session, seen %v and %v", one["sid"], two["sid"])
	}
}

func TestFormPostGoesThroughOurPage(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	q := wikiRequest()
	q.Set("response_mode", "form_post")
	w := b.visit(n, http.MethodGet, issuer+"/authorize?"+q.Encode(), "")
	if w.Header().Get("X-Page") != "form_post" || w.Header().Get("X-Action") != callback {
		t.Fatalf("expected the page for form_post, seen %v", w.Header())
	}
	var fields map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	if fields["iss"] != issuer || fields["state"] != "s1" {
		t.Errorf("expected iss and state, seen %v", fields)
	}
	if got := n.redeemWiki(fields["code"]); got.status != http.StatusOK {
		t.Errorf("expected tokens for the code, seen %+v", got)
	}
}

func TestEachNodeRedeemsTheCodesOfTheOthers(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	other := nodeOn(t, n.db, n.clock)
	got := other.redeemWiki(n.code(browser{}, wikiRequest()))
	if got.status != http.StatusOK {
		t.Fatalf("expected tokens from another node, seen %+v", got)
	}
	if status := n.userinfoStatus(got.Access); status != http.StatusOK {
		t.Errorf("expected userinfo from the first node, seen %d", status)
	}
	w := n.serve(httptest.NewRequest(http.MethodGet, issuer+"/jwks", nil))
	header, _ := claims(t, got.ID)
	if !strings.Contains(w.Body.String(), header["kid"].(string)) {
		t.Errorf("expected both nodes to have the same keys, seen %s without %v", w.Body, header["kid"])
	}
}

// If an external provider did not report when the user authenticated, the ID token has no
// auth_time.
func TestAnUnknownTimeIsLeftOut(t *testing.T) {
	t.Parallel()
	const external = sso.ACRExternal
	n, b := newNode(t), browser{}
	n.authenticate = func(*request.Request) sso.Authentication {
		return sso.Authentication{User: ada(), Time: sso.UnknownTime, AMR: []string{"fed"}, ACR: external, External: "partners"}
	}
	w := b.visit(n, http.MethodGet, issuer+"/authorize?"+wikiRequest().Encode(), "")
	_, id := claims(t, n.redeemWiki(location(t, w, callback+"?").Get("code")).ID)
	if at, there := id["auth_time"]; there || id["acr"] != external {
		t.Errorf("expected no auth_time in an ID token of an external sign-in, seen %v in %v", at, id)
	}
}

package oidctest

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRefresh(t *testing.T) {
	t.Parallel()
	p := New(t, RefreshTokens())
	rp := newReference(p)
	if _, err := rp.login(); err != nil {
		t.Fatal(err)
	}
	m := map[string]any{"jwks_uri": p.URL(JWKS)}
	refresh := rp.refreshOf
	first := p.Issued()
	got, err := refresh(first.RefreshToken, "")
	if err != nil {
		t.Fatal(err)
	}
	if got["refresh_token"] == first.RefreshToken {
		t.Fatalf("expected a new refresh token, seen %v again", first.RefreshToken)
	}
	claims, err := rp.verify(m, got["id_token"].(string))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"nonce": first.Nonce, "sub": first.Subject} {
		if claims[name] != want {
			t.Errorf("%s: expected %q, seen %v", name, want, claims[name])
		}
	}
	p.Lie(func(l *Faults) { l.Refreshed.Claims = func(c map[string]any) { c["sub"] = "another" } })
	if got, err = refresh(got["refresh_token"].(string), "openid"); err != nil {
		t.Fatal(err)
	}
	if claims, _ = rp.verify(m, got["id_token"].(string)); claims["sub"] != "another" {
		t.Error("expected the changed subject, seen another one")
	}
	if _, err := refresh(first.RefreshToken, ""); err == nil {
		t.Error("an old token works")
	}
	expect(t, p, "C40")
	if _, err := refresh(got["refresh_token"].(string), "openid admin"); err == nil {
		t.Error("a wider scope works")
	}
	expect(t, p, "C40")
	p.EndGrants()
	if _, err := refresh(p.Issued().RefreshToken, ""); err == nil {
		t.Error("an ended grant works")
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	const back = "https://rp.test/out"
	p := New(t, EndpointQuery("tenant=a"))
	p.SetClient(func(c *Client) { c.PostLogoutURIs = []string{back} })
	rp := newReference(p)
	if _, err := rp.login(); err != nil {
		t.Fatal(err)
	}
	leave := func(q url.Values) *http.Response {
		resp, err := rp.http.Get(p.URL(EndSession) + "&" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	hint := p.Issued().IDToken
	resp := leave(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {back}, "state": {"s"}})
	if got := resp.Header.Get("Location"); got != back+"?state=s" {
		t.Error(got)
	}
	p.Lie(func(l *Faults) { l.EndSession = func(q url.Values) { q.Del("state") } })
	resp = leave(url.Values{"client_id": {"rp"}, "post_logout_redirect_uri": {back}, "state": {"s"}})
	if got := resp.Header.Get("Location"); got != back {
		t.Error(got)
	}
	for _, q := range []url.Values{
		{}, {"id_token_hint": {"x"}}, {"client_id": {"x"}}, {"client_id": {"rp"}, "post_logout_redirect_uri": {back + "/"}},
	} {
		leave(q)
		expect(t, p, "C50")
	}
	if resp, err := rp.http.Get(p.server.origin + "/end_session?client_id=rp"); err == nil {
		_ = resp.Body.Close()
	}
	expect(t, p, "S24")
}

func TestFormPost(t *testing.T) {
	t.Parallel()
	p := New(t)
	rp := newReference(p)
	rp.params = url.Values{"response_mode": {"form_post"}}
	state := rand.Text()
	_, err := rp.authorize(map[string]any{"authorization_endpoint": p.URL(Authorize)}, state, rand.Text(), rand.Text())
	if err == nil || err.Error() != "status 200" {
		t.Fatalf("expected a page with status 200, seen %v", err)
	}
	q := p.Last(Authorize).Query
	resp, err := rp.http.Get(p.URL(Authorize) + "?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	action, params := ParseFormPost(body)
	if action != testRedirect {
		t.Errorf("expected a form for %s, seen one for %s", testRedirect, action)
	}
	for name, want := range map[string]string{"state": state, "code": p.Issued().Code, "iss": p.Issuer()} {
		if got := params.Get(name); got != want {
			t.Errorf("%s: expected %q, seen %q", name, want, got)
		}
	}
}

// TestUsers checks who is signed in and since when, and which claims the scopes release.
func TestUsers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := New(t, Now(func() time.Time { return now }), ClaimsInIDToken())
	rp := newReference(p)
	claims := func() map[string]any {
		if _, err := rp.login(); err != nil {
			t.Fatal(err)
		}
		part := strings.Split(p.Issued().IDToken, ".")
		m, err := object(fromB64(t, part[1]))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	signedIn := fmt.Sprint(now.Unix())
	now = now.Add(time.Minute)
	c := claims()
	if got := fmt.Sprint(c["auth_time"]); got != signedIn {
		t.Errorf("auth_time: expected %s, seen %s", signedIn, got)
	}
	if c["email"] != "alice@example.com" {
		t.Errorf("email: expected alice@example.com, seen %v", c["email"])
	}
	if c["realm_access"] == nil {
		t.Error("realm_access: expected the claim, seen none")
	}
	if c["acr"] != nil {
		t.Errorf("acr: expected no claim, seen %v", c["acr"])
	}
	rp.params = url.Values{"scope": {"openid"}, "acr_values": {"gold silver"}, "max_age": {"10"}}
	c = claims()
	if got := fmt.Sprint(c["auth_time"]); got == signedIn {
		t.Errorf("auth_time: expected a new sign-in, seen %s again", got)
	}
	if c["email"] != nil {
		t.Errorf("email: expected no claim, seen %v", c["email"])
	}
	if c["acr"] != "gold" {
		t.Errorf("acr: expected gold, seen %v", c["acr"])
	}
	if c["groups"] == nil {
		t.Error("groups: expected the claim, seen none")
	}
	rp.params = nil
	p.SetUser("carol", User{Subject: "u-7"})
	p.Choose(func(r *http.Request) string { return "carol" })
	if sub, err := rp.login(); sub != "u-7" || err != nil {
		t.Error(sub, err)
	}
	p.SignOut()
	if _, err := rp.login(); err == nil || err.Error() != "authorization: status 200" {
		t.Errorf("expected a login form with status 200, seen %v", err)
	}
	rp.params = url.Values{"prompt": {"none"}}
	if _, err := rp.login(); err == nil || err.Error() != "callback: login_required" {
		t.Errorf("expected login_required, seen %v", err)
	}
}

func fromB64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := b64url.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

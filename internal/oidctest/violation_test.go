package oidctest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// expect checks that there is exactly one violation, and that it has the label row.
func expect(t *testing.T, p *Provider, row string) {
	t.Helper()
	got := p.TakeViolations()
	if len(got) != 1 || !strings.HasPrefix(got[0], row+": ") {
		t.Errorf("violations %q, want one of %s", got, row)
	}
}

func TestAuthorizationViolations(t *testing.T) {
	t.Parallel()
	short, odd, long := "short", "abcdefghijklmnopqrstuvwxyz+/=", strings.Repeat("a", 44)
	for _, row := range []struct {
		id, name string
		params   url.Values
		stops    bool
	}{
		{"C00a", "no openid", url.Values{"scope": {"profile email"}}, true},
		{"C00a", "openid is part of another", url.Values{"scope": {"openid2"}}, true},
		{"C00b", "the implicit flow", url.Values{"response_type": {"id_token"}}, true},
		{"C00b", "an unknown response mode", url.Values{"response_mode": {"fragment"}}, true},
		{"C00c", "another client", url.Values{"client_id": {"another"}}, true},
		{"C00d", "another redirect_uri", url.Values{"redirect_uri": {testRedirect + "/"}}, true},
		{"C00d", "no redirect_uri", url.Values{"redirect_uri": nil}, true},
		{"C00e", "a request object", url.Values{"request": {"x.y.z"}}, true},
		{"C00e", "a request object by reference", url.Values{"request_uri": {"urn:x"}}, true},
		{"C00f", "max_age and prompt", url.Values{"max_age": {"0"}, "prompt": {"none"}}, true},
		{"C00g", "plain PKCE", url.Values{"code_challenge_method": {"plain"}}, true},
		{"C00g", "no PKCE method", url.Values{"code_challenge_method": nil}, true},
		{"C00g", "a challenge that is no hash", url.Values{"code_challenge": {short}}, true},
		{"C00g", "a method without a challenge", url.Values{"code_challenge": nil}, true},
		{"S02", "no PKCE", url.Values{"code_challenge": nil, "code_challenge_method": nil}, true},
		{"C00h", "an odd nonce", url.Values{"nonce": {odd}}, false},
		{"C00h", "a long nonce", url.Values{"nonce": {long}}, false},
		{"S01", "no nonce", url.Values{"nonce": nil}, false},
		{"S01", "a short state", url.Values{"state": {short}}, false},
		{"S01", "no state", url.Values{"state": nil}, false},
		{"S01", "a short nonce", url.Values{"nonce": {short}}, false},
		{"C00l", "claims that are no JSON", url.Values{"claims": {"{"}}, false},
		{"C00l", "claims with an unknown member", url.Values{"claims": {`{"idtoken":{}}`}}, false},
		{"I5", "the verifier is there", url.Values{"code_verifier": {long}}, false},
		{"C00", "a parameter twice", url.Values{"scope": {"openid", "openid"}}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := New(t)
			rp := newReference(p)
			rp.params = row.params
			_, err := rp.login()
			expect(t, p, row.id)
			if stopped := p.Hits(Authorize) == 1 && p.Issued() == (Issued{}); stopped != row.stops {
				t.Errorf("stopped: %v, want %v (%v)", stopped, row.stops, err)
			}
		})
	}
}

func TestAllowedParameters(t *testing.T) {
	t.Parallel()
	p := New(t)
	rp := newReference(p)
	rp.params = url.Values{
		"claims":   {`{"userinfo":{"name":null},"id_token":{"acr":{"essential":true,"values":["a"]}}}`},
		"resource": {"https://a.test", "https://b.test"}, "acr_values": {"gold silver"}, "prompt": {"login"}, "max_age": {"60"},
	}
	if _, err := rp.login(); err != nil {
		t.Error(err)
	}
}

// TestReuse checks that the reuse of state, nonce, code challenge and code verifier is a
// violation.
func TestReuse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"state", "nonce"} {
		p := New(t)
		rp := newReference(p)
		rp.params = url.Values{name: {"the-same-value-again-and-again"}}
		_, _ = rp.login()
		if v := p.TakeViolations(); len(v) > 0 {
			t.Errorf("%s used once: %q", name, v)
		}
		_, _ = rp.login()
		if v := strings.Join(p.TakeViolations(), "\n"); !strings.Contains(v, "S01: "+name+" was used before") {
			t.Errorf("%s used twice: %q", name, v)
		}
	}
	p := New(t)
	rp := newReference(p)
	rp.verifier = strings.Repeat("v", 43)
	for range 2 {
		if _, err := rp.login(); err != nil {
			t.Error(err)
		}
	}
	violations := strings.Join(p.TakeViolations(), "\n")
	for _, want := range []string{"code_challenge was used before", "code_verifier was used before"} {
		if !strings.Contains(violations, want) {
			t.Errorf("expected the violation %q, seen %q", want, violations)
		}
	}
}

// TestReload checks that a repeated request with the same URL is no violation, but that
// redeeming both codes is.
func TestReload(t *testing.T) {
	t.Parallel()
	p := New(t)
	rp := newReference(p)
	m, err := rp.discover()
	if err != nil {
		t.Fatal(err)
	}
	state, nonce, verifier := rand.Text(), rand.Text(), rand.Text()+rand.Text()
	for i := range 2 {
		location, err := rp.authorize(m, state, nonce, verifier)
		if err != nil {
			t.Fatal(err)
		}
		if v := p.TakeViolations(); len(v) > 0 {
			t.Errorf("reload: %q", v)
		}
		code, _ := rp.callback(m, location, state)
		if _, err := rp.trade(m, code, verifier); err != nil {
			t.Fatal(err)
		}
		if v := p.TakeViolations(); len(v) > 0 != (i == 1) {
			t.Errorf("redeemed %d times: %q", i+1, v)
		}
	}
}

// editForm edits requests to the token endpoint.
type editForm struct {
	next http.RoundTripper
	edit func(url.Values, *http.Request)
}

func (e editForm) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != "POST" {
		return e.next.RoundTrip(r)
	}
	_ = r.ParseForm()
	r = r.Clone(r.Context())
	e.edit(r.PostForm, r)
	body := r.PostForm.Encode()
	r.Body, r.ContentLength = readCloser(body), int64(len(body))
	return e.next.RoundTrip(r)
}

func TestUserinfoViolations(t *testing.T) {
	t.Parallel()
	p := New(t)
	rp := newReference(p)
	if _, err := rp.login(); err != nil {
		t.Fatal(err)
	}
	token := p.Issued().AccessToken
	ask := func(method, query, form, header string) int {
		r, _ := http.NewRequest(method, p.URL(UserInfo)+query, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		resp, err := p.HTTPClient().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	escaped := "access_token=" + url.QueryEscape(token)
	if got := ask("POST", "", escaped, ""); got != 200 {
		t.Errorf("in the body: %d", got)
	}
	if got := ask("GET", "?"+escaped, "", ""); got != 401 {
		t.Errorf("in the query: %d", got)
	}
	expect(t, p, "C00k")
	if got := ask("POST", "", escaped, "Bearer "+token); got != 401 {
		t.Errorf("in both: %d", got)
	}
	expect(t, p, "C00k")
	if got := ask("GET", "", "", ""); got != 401 {
		t.Errorf("nowhere: %d", got)
	}
	expect(t, p, "C00k")
	if got := ask("DELETE", "", "", "Bearer "+token); got != 405 {
		t.Errorf("another method: %d", got)
	}
	expect(t, p, "C00m")
	p.EndGrants()
	if got := ask("GET", "", "", "Bearer "+token); got != 401 {
		t.Errorf("an ended grant: %d", got)
	}
}

func TestProbing(t *testing.T) {
	t.Parallel()
	p := New(t, Path("/a/"))
	for _, path := range []string{"/.well-known/openid-configuration", "/a//.well-known/openid-configuration", "/a", "/a/revoke"} {
		resp, err := p.HTTPClient().Get(p.server.origin + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
		expect(t, p, "C00m")
	}
	if p.Hits(Elsewhere) != 4 {
		t.Errorf("%d hits", p.Hits(Elsewhere))
	}
}

// TestOrder checks that a userinfo request before the key set request is a violation: such
// a client has not verified the ID token.
func TestOrder(t *testing.T) {
	t.Parallel()
	p := New(t, RandomPaths())
	resp, err := p.HTTPClient().Do(&http.Request{
		Method: "GET", URL: mustURL(t, p.URL(UserInfo)), Header: http.Header{"Authorization": {"Bearer x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	expect(t, p, "C21")
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestStrict checks that a violation fails the test if the test has not taken it, unless
// the provider is Lenient.
func TestStrict(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]Option{nil, {Lenient()}} {
		witness := &recorder{TB: t}
		p := New(witness, opts...)
		p.violate("C00", "something")
		witness.end()
		if strict := len(opts) == 0; strict != (witness.failed == 1) {
			t.Errorf("strict %v: %d failures", strict, witness.failed)
		}
	}
}

// recorder records failures, so that they do not fail the real test.
type recorder struct {
	testing.TB
	end    func()
	failed int
}

func (r *recorder) Cleanup(f func())      { r.end = f }
func (r *recorder) Errorf(string, ...any) { r.failed++ }

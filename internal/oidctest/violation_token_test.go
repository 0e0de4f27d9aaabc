package oidctest

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestTokenViolations(t *testing.T) {
	t.Parallel()
	basic := func(plain string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(plain)) }
	secret := defaults().client.Secret
	for _, row := range []struct {
		id, name string
		edit     func(form url.Values, r *http.Request)
	}{
		{"C00g", "a wrong verifier", func(f url.Values, _ *http.Request) { f.Set("code_verifier", strings.Repeat("w", 43)) }},
		{"C00g", "no verifier", func(f url.Values, _ *http.Request) { f.Del("code_verifier") }},
		{"C00i", "no grant_type", func(f url.Values, _ *http.Request) { f.Del("grant_type") }},
		{"C00i", "another code", func(f url.Values, _ *http.Request) { f.Set("code", "x") }},
		{"C00i", "another redirect_uri", func(f url.Values, _ *http.Request) { f.Set("redirect_uri", "https://rp.test/") }},
		{"C00i", "no redirect_uri", func(f url.Values, _ *http.Request) { f.Del("redirect_uri") }},
		{"C00i", "parameters in the query", func(_ url.Values, r *http.Request) { r.URL.RawQuery = "x=y" }},
		{"C00i", "no form", func(_ url.Values, r *http.Request) { r.Header.Set("Content-Type", "application/json") }},
		{"C00c", "another client_id in the form", func(f url.Values, _ *http.Request) { f.Set("client_id", "another") }},
		{"C00", "a parameter twice", func(f url.Values, _ *http.Request) { f.Add("grant_type", "authorization_code") }},
		{"C00j", "no client authentication", func(_ url.Values, r *http.Request) { r.Header.Del("Authorization") }},
		{"C00j", "both methods", func(f url.Values, _ *http.Request) { f.Set("client_secret", secret) }},
		{"C00j", "the other method", func(f url.Values, r *http.Request) {
			r.Header.Del("Authorization")
			f.Set("client_id", "rp")
			f.Set("client_secret", secret)
		}},
		{"C00j", "a wrong secret", func(_ url.Values, r *http.Request) { r.Header.Set("Authorization", basic("rp:wrong")) }},
		{"C00j", "another scheme", func(_ url.Values, r *http.Request) { r.Header.Set("Authorization", "Bearer x") }},
		{"C00j", "two colons", func(_ url.Values, r *http.Request) { r.Header.Set("Authorization", basic("rp:a:b")) }},
		{"I5", "a cookie", func(_ url.Values, r *http.Request) { r.Header.Set("Cookie", "a=b") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := New(t)
			rp := newReference(p)
			rp.http.Transport = editForm{rp.http.Transport, row.edit}
			_, err := rp.login()
			expect(t, p, row.id)
			passes := row.id == "C00" || row.id == "C00c" || row.name == "parameters in the query" || strings.HasPrefix(row.name, "a cookie")
			if passes != (err == nil) {
				t.Errorf("expected a login that passes %t, seen %v", passes, err)
			}
		})
	}
}

// TestBasicEncoding checks that credentials without form encoding are refused.
func TestBasicEncoding(t *testing.T) {
	t.Parallel()
	c := Client{ID: "r:p", Secret: AwkwardSecret, Auth: "client_secret_basic"}
	for plain, good := range map[string]bool{
		url.QueryEscape(c.ID) + ":" + url.QueryEscape(c.Secret): true,
		c.ID + ":" + c.Secret:                                  false,
		url.QueryEscape(c.ID) + ":" + c.Secret:                 false,
		url.QueryEscape(c.ID) + ":" + url.PathEscape(c.Secret): false, // a colon that is not encoded
		url.QueryEscape(c.ID):                                  false,
	} {
		problem := c.checkBasic("Basic " + base64.StdEncoding.EncodeToString([]byte(plain)))
		if (problem == "") != good {
			t.Errorf("%s: %q", plain, problem)
		}
	}
}

// TestCodeTwice checks that a second use of a code is a violation, even if the first
// response was lost, and that codes expire.
func TestCodeTwice(t *testing.T) {
	t.Parallel()
	p := New(t, CodeLife(time.Hour))
	rp := newReference(p)
	p.Lie(func(l *Faults) { l.At(Token).Reset = true })
	if _, err := rp.login(); err == nil {
		t.Fatal("a reset went unseen")
	}
	p.Honest()
	form := p.Last(Token).Form
	r, _ := http.NewRequest("POST", p.URL(Token), strings.NewReader(form.Encode()))
	r.Header = p.Last(Token).Header
	resp, err := p.HTTPClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("status %d", resp.StatusCode)
	}
	expect(t, p, "X06")

	late := New(t, CodeLife(-time.Second))
	if _, err := newReference(late).login(); err == nil {
		t.Error("a late code was taken")
	}
}

func TestAssertion(t *testing.T) {
	t.Parallel()
	key := privateKey("P-256", serverKey)
	p := New(t, WithClient(Client{ID: "rp", Auth: "private_key_jwt", Key: key.Public()}))
	claims := func() map[string]any {
		return map[string]any{"iss": "rp", "sub": "rp", "aud": p.Issuer(), "jti": rand.Text(), "exp": p.Now().Unix() + 50}
	}
	again := rand.Text()
	for _, row := range []struct {
		name string
		edit func(c map[string]any)
		good bool
	}{
		{"right", func(map[string]any) {}, true},
		{"aud is a list", func(c map[string]any) { c["aud"] = []string{p.Issuer()} }, false},
		{"aud is the endpoint", func(c map[string]any) { c["aud"] = p.URL(Token) }, false},
		{"exp is far", func(c map[string]any) { c["exp"] = p.Now().Unix() + 300 }, false},
		{"exp is past", func(c map[string]any) { c["exp"] = p.Now().Unix() - 1 }, false},
		{"another sub", func(c map[string]any) { c["sub"] = "x" }, false},
		{"no jti", func(c map[string]any) { delete(c, "jti") }, false},
		{"a jti", func(c map[string]any) { c["jti"] = again }, true},
		{"the same jti", func(c map[string]any) { c["jti"] = again }, false},
	} {
		c := claims()
		row.edit(c)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(mustJSON(t, c))
		if err != nil {
			t.Fatal(err)
		}
		compact, _ := jws.CompactSerialize()
		form := url.Values{
			"client_assertion":      {compact},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		refusal := p.authenticate(Request{Form: form, Header: http.Header{}})
		if (refusal == nil) != row.good {
			t.Errorf("%s: %q", row.name, p.TakeViolations())
		}
		p.TakeViolations()
	}
}

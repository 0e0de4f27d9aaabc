package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const (
	assertionIssuer = rpURL + "/@app/auth"
	assertionSite   = `
public /open/*
upstream {
	assertion {
		audience wiki
		claims email groups name
	}
}`
)

// assertionKeys returns the keys that a site publishes.
func assertionKeys(r *harness) (set jose.JSONWebKeySet) {
	r.t.Helper()
	p := r.browser().send(http.MethodGet, "/@app/auth/assertion-keys", map[string]string{"Accept": "application/json"})
	check(required{r.t}, p).status(http.StatusOK).header("Content-Type", "application/json").header("Cache-Control", "no-store")
	succeeds(required{r.t}, "the key set", json.Unmarshal([]byte(p.body), &set))
	for _, key := range set.Keys {
		equal(r.t, "a key is public", key.IsPublic() && key.Valid(), true)
		equal(r.t, "its algorithm", key.Algorithm, "ES256")
	}
	return set
}

// verifyAssertion checks an assertion as an application does: its type, signature, issuer,
// audience and time.
func verifyAssertion(text, audience string, keys jose.JSONWebKeySet, now time.Time) (claims map[string]any, err error) {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, err
	}
	if typ := token.Headers[0].ExtraHeaders[jose.HeaderType]; typ != "oidc-rp+jwt" {
		return nil, fmt.Errorf("the type is %v", typ)
	}
	var registered jwt.Claims
	if err := token.Claims(keys, &registered, &claims); err != nil {
		return nil, err
	}
	return claims, registered.ValidateWithLeeway(jwt.Expected{Issuer: assertionIssuer, AnyAudience: jwt.Audience{audience}, Time: now}, time.Second)
}

// asserted returns the assertion that the application received last.
func (r *harness) asserted() string {
	header, _ := r.upstream.got()
	return header.Get("X-Identity-Assertion")
}

func TestAnApplicationVerifiesWhoTheUserIs(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed("cookie"), 1, assertionSite, "lifetime 1h", oidctest.ClaimsInIDToken())
	r := s.nodes[0]
	b := s.signIn(r, "alice")
	keys := assertionKeys(r)
	equal(required{t}, "the number of keys", len(keys.Keys), 1)
	first := r.asserted()
	claims, err := verifyAssertion(first, "wiki", keys, s.op.clock.now())
	succeeds(required{t}, "the assertion", err)
	equal(t, "sub", claims["sub"], any("alice"))
	equal(t, "kind", claims["kind"], any("person"))
	equal(t, "exp and iat", claims["exp"].(float64)-claims["iat"].(float64), 60)
	equal(t, "the presence of jti", claims["jti"] != "", true)
	equal(t, "email", claims["email"], any("alice@example.com"))
	for _, name := range []string{"nonce", "at_hash", "azp", "sid", "client_id", "auth_time"} {
		if value, has := claims[name]; has {
			t.Errorf("%s: expected none, seen %v", name, value)
		}
	}
	_, err = verifyAssertion(first, "crm", keys, s.op.clock.now())
	failsWith(t, "at another application", err, "aud")
	_, err = verifyAssertion(first, "wiki", keys, s.op.clock.now().Add(2*time.Minute))
	failsWith(t, "later", err, "expired")

	check(t, b.get("/x")).status(http.StatusOK)
	equal(t, "the assertion of the next request", r.asserted(), first)
	s.at(51 * time.Second)
	check(t, b.get("/x")).status(http.StatusOK)
	differs(t, "the assertion a minute later", r.asserted(), first)
	s.at(59*time.Minute + 30*time.Second)
	check(required{t}, b.get("/x")).status(http.StatusOK)
	claims, err = verifyAssertion(r.asserted(), "wiki", keys, s.op.clock.now())
	succeeds(required{t}, "the last assertion", err)
	atMost(t, "seconds that it outlasts the session", int(int64(claims["exp"].(float64))-s.op.clock.begin.Add(time.Hour).Unix()), 0)
	for line := range strings.Lines(r.logs()) {
		if !strings.Contains(line, `"logger":"http.handlers.reverse_proxy"`) { // the proxy logs the headers that it sends
			lacks(t, "the log", line, first)
		}
	}
}

// A client cannot send an assertion of its own, and an assertion cannot be used as any other
// credential.
func TestAssertionsAreNothingElse(t *testing.T) {
	t.Parallel()
	key := ecKey()
	op := newOP(t, oidctest.WithClient(oidctest.Client{ID: "rp", Auth: "private_key_jwt", Key: key.Public()}))
	file := newAccessKeyFile(t, newKey(t, "ci"))
	r := provesAs(t, op, "client_auth private_key_jwt "+keyFile(t, key)+assertionSite+`
application {
	access_keys `+file.path+`
	header X-Api-Key
}`)
	b := signedIn(t, r)
	text := r.asserted()
	differs(required{t}, "the assertion", text, "")
	for _, line := range []string{
		"X-Identity-Assertion: " + text, "x-identity-assertion: " + text, "X_Identity_Assertion: " + text, "X-Identity_Assertion: " + text,
		"Connection: X-Identity-Assertion\r\nX-Identity-Assertion: " + text,
	} {
		p := r.rawGet("/open/x", line)
		equal(t, line+": the status on a public route", p.StatusCode, http.StatusOK)
		header, _ := r.upstream.got()
		for name := range header {
			if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "X-Identity-Assertion") {
				t.Errorf("%.40s: expected no assertion, seen %s", line, name)
			}
		}
		equal(t, line+": the status on a private route", r.rawGet("/x", line).StatusCode, http.StatusUnauthorized)
	}
	name := ""
	for cookie := range b.cookies() {
		if !strings.Contains(cookie, "_tx_") && !strings.HasSuffix(cookie, "_mark") {
			name = cookie
		}
	}
	for _, line := range []string{"Authorization: Bearer " + text, "X-Api-Key: " + text, "Cookie: " + name + "=1" + text} {
		differs(t, line+": the status", r.rawGet("/x", line).StatusCode, http.StatusOK)
	}
	// The provider knows the client's key, which is a different one.
	var clientKeys jose.JSONWebKeySet
	succeeds(required{t}, "the client's keys", json.Unmarshal([]byte(b.get("/@app/auth/default/jwks").body), &clientKeys))
	equal(required{t}, "the number of the client's keys", len(clientKeys.Keys), 1)
	ours := assertionKeys(r)
	equal(t, "a key is of both sets", slices.ContainsFunc(ours.Keys, func(k jose.JSONWebKey) bool { return k.KeyID == clientKeys.Keys[0].KeyID }), false)
	jws := must(jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256}))
	if _, err := jws.Verify(clientKeys.Keys[0]); err == nil {
		t.Error("expected the client's key to verify no assertion")
	}
	if _, err := jws.Verify(ours.Keys[0]); err != nil {
		t.Errorf("expected the key of assertions to verify one, seen %v", err)
	}
	// The client's assertion to the provider does not count as one about a user.
	proof := op.Last(oidctest.Token).Form.Get("client_assertion")
	if _, err := verifyAssertion(proof, "wiki", ours, time.Now()); err == nil {
		t.Error("expected the client's assertion not to be one about a user")
	}
}

func TestAssertionsAboutPrograms(t *testing.T) {
	t.Parallel()
	key := newKey(t, "ci", "deploy,build")
	file := newAccessKeyFile(t, key)
	r := newHarness(t, protectedBy(newOP(t), assertionSite, `
application {
	access_keys `+file.path+`
}`))
	p := r.rawGet("/x", key.bearer())
	equal(required{t}, "the status", p.StatusCode, http.StatusOK)
	claims, err := verifyAssertion(r.asserted(), "wiki", assertionKeys(r), time.Now())
	succeeds(required{t}, "the assertion", err)
	equal(t, "sub", claims["sub"], any("key/ci"))
	equal(t, "kind", claims["kind"], any("key"))
	equal(t, "groups", fmt.Sprint(claims["groups"]), "[deploy build]")
}

// All nodes sign with the same keys, which are published before and after their use.
func TestKeysOfAssertionsAreRotatedWithOverlap(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed("cookie"), 3, assertionSite, "secret "+strings.Repeat("s", 40))
	text := make([]string, 3)
	sign := func() {
		for i, r := range s.nodes {
			b := s.signIn(r, "alice")
			check(required{t}, b.get("/x")).status(http.StatusOK)
			text[i] = r.asserted()
		}
	}
	kidOf := func(text string) string {
		return must(jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})).Signatures[0].Header.KeyID
	}
	verify := func(when string, number int) {
		t.Helper()
		for i, r := range s.nodes {
			keys := assertionKeys(r)
			equal(t, fmt.Sprintf("%s: the keys of node %d", when, i), len(keys.Keys), number)
			for _, one := range text {
				if _, err := verifyAssertion(one, "wiki", keys, s.op.clock.now()); err != nil {
					t.Errorf("%s: node %d does not verify an assertion: %v", when, i, err)
				}
			}
		}
	}
	refresh := func(d time.Duration) {
		s.at(d)
		for _, r := range s.nodes {
			r.work("keys of assertions")
		}
	}
	sign()
	verify("at first", 1)
	first := kidOf(text[0])
	const week = 7 * 24 * time.Hour
	refresh(week + time.Minute)
	refresh(week + time.Minute + 2*time.Second) // the other nodes read what the first one wrote
	sign()
	verify("when the next key is published", 2)
	equal(t, "the key that signs while the next one is new", kidOf(text[1]), first)
	refresh(week + 6*time.Minute)
	sign()
	verify("when the next key signs", 2)
	for i := range text {
		differs(t, fmt.Sprintf("the key of node %d", i), kidOf(text[i]), first)
	}
	refresh(week + 2*time.Hour)
	refresh(week + 2*time.Hour + 2*time.Second)
	sign()
	verify("when the first key is over", 1)
}

func TestNoAssertionsNoKeys(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	check(t, r.browser().get("/@app/auth/assertion-keys")).status(http.StatusNotFound)
}

package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// whyRefused sends a logout token and returns why it is refused, as logged and up to the
// first digit; empty if it is accepted.
func (r *harness) whyRefused(token string) string {
	r.t.Helper()
	if p := r.tell(token); p.StatusCode != http.StatusBadRequest {
		return ""
	}
	reason := fmt.Sprint(r.lastAudited("refused")["error"])
	if i := strings.IndexFunc(reason, unicode.IsDigit); i > 0 {
		reason = reason[:i]
	}
	return reason
}

// Encrypted logout tokens are decrypted first, and then held to the same checks as signed
// ones.
func TestEncryptedLogoutTokens(t *testing.T) {
	t.Parallel()
	file, encrypt := decryptionKey(t)
	s := newLogoutScene(t, "decryption_key {file."+file+"}")
	b, _, issued := s.signIn("alice")
	for _, row := range oidctest.LogoutRows() {
		if row.Want != oidctest.Refuse {
			continue
		}
		sub, sid := issued.Subject, issued.SID
		if row.NoSub {
			sub = ""
		}
		if row.NoSID {
			sid = ""
		}
		token := s.op.LogoutToken(sub, sid, row.Lies)
		// Each node logs a limited number of a client's refusals, so the tokens go to two nodes.
		plain, encrypted := s.there.whyRefused(token), s.here.whyRefused(encrypt(token))
		differs(t, fmt.Sprintf("%s, %s: the reason of the refusal of a signed token", row.ID, row.Name), plain, "")
		differs(t, fmt.Sprintf("%s, %s: the reason of the refusal of an encrypted token", row.ID, row.Name), encrypted, "")
		if notSigned := strings.Contains(encrypted, "what is inside is not signed"); plain != encrypted && !notSigned {
			t.Errorf("%s, %s: signed it is refused since %q, encrypted since %q", row.ID, row.Name, plain, encrypted)
		}
		if !b.lives(s.here) {
			t.Fatalf("%s, %s: the session ended", row.ID, row.Name)
		}
	}
	token := encrypt(s.op.LogoutToken("", issued.SID, oidctest.JWTLies{}))
	for name, sent := range map[string]string{
		"damaged": token[:len(token)-4] + "AAAA", "cut": token[:len(token)/2], "twice": encrypt(token), "nothing in it": encrypt("x"), "JSON in it": encrypt(`{"iss":"x"}`),
	} {
		check(t, s.here.tell(sent), name).status(http.StatusBadRequest)
		equal(t, name+": the session lives here", b.lives(s.here), true)
	}
	check(t, s.here.tell(token), "a right token").status(http.StatusOK)
	equal(t, "a right token: the session lives here", b.lives(s.here), false)
	check(t, s.here.tell(token), "a right token again").status(http.StatusBadRequest)
	again, _, issued := s.signIn("alice")
	check(t, s.here.tell(s.op.LogoutToken("", issued.SID, oidctest.JWTLies{})), "a token that is only signed").status(http.StatusOK)
	equal(t, "a token that is only signed: the later session lives here", again.lives(s.here), false)
}

func TestAnEncryptedLogoutTokenNeedsAKey(t *testing.T) {
	t.Parallel()
	_, encrypt := decryptionKey(t)
	s := newLogoutScene(t)
	_, _, issued := s.signIn("alice")
	check(t, s.here.tell(encrypt(s.op.LogoutToken("", issued.SID, oidctest.JWTLies{})))).status(http.StatusBadRequest)
	contains(t, "the log", s.here.logs(), "configure decryption_key")
}

// id_token_algs applies to logout tokens, too.
func TestLogoutTokensFollowIDTokenAlgs(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int{"": http.StatusOK, "id_token_algs RS256": http.StatusBadRequest, "id_token_algs RS256 ES256": http.StatusOK} {
		s := newLogoutScene(t, line)
		s.op.Lie(func(l *oidctest.Faults) {
			l.Discovery = func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"RS256", "ES256"} }
		})
		_, _, issued := s.signIn("alice")
		check(t, s.here.tell(s.op.LogoutToken("", issued.SID, oidctest.JWTLies{Alg: "ES256"})), fmt.Sprintf("%q", line)).status(want)
		if want != http.StatusOK && !strings.Contains(s.here.logs(), `it is signed with the algorithm \"ES256\", and accepted are RS256`) {
			t.Errorf("%q: the log does not say why\n%s", line, s.here.logs())
		}
	}
}

// exp, nbf and iat decide when a logout token is valid. exp may be missing.
func TestWhenALogoutTokenCounts(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	s := newLogoutScene(t)
	in := func(d time.Duration) json.Number { return json.Number(jsonOf(clock.now().Add(d).Unix())) }
	for _, tc := range []struct {
		name, claim string
		value       any
		want        int
	}{
		{"nbf in the future", "nbf", in(2 * time.Minute), 400}, {"nbf within the skew", "nbf", in(30 * time.Second), 200}, {"nbf in the past", "nbf", in(-time.Hour), 200},
		{"nbf is a text", "nbf", "soon", 400}, {"nbf is null", "nbf", nil, 200},
		{"exp in the past", "exp", in(-2 * time.Minute), 400}, {"exp within the skew", "exp", in(-30 * time.Second), 200}, {"exp is null", "exp", nil, 200},
		{"exp is a text", "exp", "1999999999", 400}, {"exp is a list", "exp", []int{1999999999}, 400}, {"exp is negative", "exp", -1, 400}, {"exp is zero", "exp", 0, 400},
		{"exp has a fraction", "exp", json.Number(jsonOf(float64(clock.now().Unix()) + 60.5)), 200}, {"exp is huge", "exp", json.Number("1e300"), 400},
		{"iat in the future", "iat", in(2 * time.Minute), 400}, {"iat within the skew", "iat", in(30 * time.Second), 200}, {"iat is null", "iat", nil, 400}, {"iat is a text", "iat", "now", 400},
	} {
		b, _, issued := s.signIn("alice")
		token := s.op.LogoutToken("", issued.SID, oidctest.JWTLies{Claims: func(c map[string]any) { c[tc.claim] = tc.value }})
		p := s.here.tell(token)
		check(t, p, tc.name).status(tc.want)
		equal(t, tc.name+": the session lives here", b.lives(s.here), tc.want != http.StatusOK)
	}
	b, _, issued := s.signIn("alice")
	p := s.here.tell(s.op.LogoutToken("", issued.SID, oidctest.JWTLies{Claims: func(c map[string]any) { delete(c, "exp") }}))
	check(t, p, "without exp").status(http.StatusOK)
	equal(t, "without exp: the session lives here", b.lives(s.here), false)
}

func jsonOf(value any) string { return string(must(json.Marshal(value))) }

package integration_test

import (
	"net/http"
	"testing"
)

// The provider serves pages only under the issuer's host. Another name can point to this
// Caddy, and its site can have the handler. A browser sends the cookies of that name to
// whatever server the name points to later, so it gets no cookies and no forms there.
func TestPagesAreServedAtTheIssuerAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "http://evil.test, http://*.evil.test {\n\toidc_idp\n}", "client wiki {\nredirect_uri https://wiki.test/cb\nsecret 0123456789012345678901234567890123456789\n}")
	h.addUser("alice")
	b := h.browser()
	const query = "?client_id=wiki&redirect_uri=https://wiki.test/cb&response_type=code&scope=openid&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	for _, host := range []string{"https://evil.test", "https://login.evil.test", "https://evil.test:8443"} {
		for _, path := range []string{"/authorize" + query, "/account", "/reset", "/first-user", "/end_session", "/signin/x", "/external/x/callback", "/saml/x/metadata"} {
			response, text := b.hostile(http.MethodGet, host+path, nil, http.Header{"X-Forwarded-Host": {h.idpURL[len("https://"):]}})
			if response.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("%s%s: expected status 421, seen %d %.300s", host, path, response.StatusCode, text)
			}
			if got := response.Header["Set-Cookie"]; len(got) > 0 {
				t.Errorf("%s%s: expected no cookies, seen %v", host, path, got)
			}
		}
	}
	for _, host := range []string{h.idpURL, h.idpURL + ":8443"} {
		if response, text := b.hostile(http.MethodGet, host+"/authorize"+query, nil, nil); response.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: expected to be led to the sign-in, seen %d %.300s", host, response.StatusCode, text)
		}
	}
	if response, _ := b.hostile(http.MethodGet, "https://evil.test/jwks", nil, nil); response.StatusCode != http.StatusOK {
		t.Errorf("expected programs to read keys under any name, seen %d", response.StatusCode)
	}
}

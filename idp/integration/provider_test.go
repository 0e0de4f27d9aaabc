package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// twoSites are two applications of one provider.
const twoSites = `
http://app.test {
	oidc_rp {
		builtin
		%[1]s
	}
	respond "application sees {http.auth.user.id} of {http.auth.user.groups}"
}
http://two.test {
	oidc_rp {
		builtin
	}
	respond "two sees {http.auth.user.id}"
}
`

const twoURL = "https://two.test"

// A logout at the provider ends the browser's sessions at all sites before the response.
func TestALogoutAtTheProviderEndsAllSites(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(twoSites, ""))
	h.addUser("alice")
	b, other := h.browser(), h.browser()
	b.get(appURL).signIn("alice").at(appURL).expect("application sees alice")
	b.get(twoURL).at(twoURL).expect("two sees alice") // no second sign-in
	other.get(twoURL).signIn("alice").at(twoURL).expect("two sees alice")

	b.get(h.idpURL+"/end_session").at(h.idpURL).submit("choice", "signout")
	b.get(appURL + "/a").at(h.idpURL + "/signin/").expect(`name="username"`)
	b.get(twoURL + "/b").at(h.idpURL + "/signin/").expect(`name="username"`)
	other.get(twoURL + "/c").at(twoURL).expect("two sees alice") // the session of another browser
}

// A logout at a site also ends the session at the provider, and returns to the site.
func TestALogoutAtASiteEndsTheSessionHere(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(twoSites, ""))
	h.addUser("alice")
	b := h.browser()
	b.get(appURL).signIn("alice").at(appURL).expect("application sees alice")
	b.get(twoURL).at(twoURL).expect("two sees alice")
	b.load(http.MethodPost, appURL+"/Special:UserLogout", url.Values{}).at(appURL)
	b.get(twoURL + "/a").at(h.idpURL + "/signin/").expect(`name="username"`)
}

// Sessions of a user who is locked, removed or signed out end immediately at all sites and
// in all browsers.
func TestUsersWhoAreGoneAreOutAtOnce(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"user/lock", "user/remove", "sessions/end"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, fmt.Sprintf(twoSites, ""))
			h.addUser("alice")
			h.addUser("bob")
			b, other, bob := h.browser(), h.browser(), h.browser()
			b.get(appURL).signIn("alice").at(appURL)
			other.get(twoURL).signIn("alice").at(twoURL)
			bob.get(appURL).signIn("bob").at(appURL)
			request := map[string]any{"user": "alice"}
			if operation == "user/remove" {
				request["yes"] = true
			}
			h.operate(operation, request, nil)
			b.get(appURL + "/a").at(h.idpURL + "/signin/")
			other.get(twoURL + "/a").at(h.idpURL + "/signin/")
			bob.get(appURL + "/a").at(appURL).expect("application sees bob")
		})
	}
}

// A page that requires max_age asks for the password again if the sign-in is too old.
func TestAnOldSignInIsRepeated(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(twoSites, `require max_age 5m`))
	h.addUser("alice")
	b := h.browser()
	b.get(appURL).signIn("alice").at(appURL).expect("application sees alice")
	h.pass(4 * time.Minute)
	b.get(appURL + "/a").at(appURL)
	b.get(twoURL).at(twoURL)
	h.pass(4 * time.Minute)
	b.get(twoURL + "/a").at(twoURL)
	b.get(appURL+"/b").at(h.idpURL+"/signin/").expect(`name="password"`).submit("password", password).at(appURL + "/b")
}

// Sites recheck users with refresh tokens, without a sign-in and without the scope
// offline_access.
func TestSitesLookAgainWithoutASignIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(twoSites, "session {\n\t\t\trecheck 15m\n\t\t}"))
	h.addUser("alice", "staff")
	b := h.browser()
	b.get(appURL).signIn("alice").at(appURL).expect("staff")
	h.operate("user/set", map[string]any{"user": "alice", "groups": []string{"board"}}, nil)
	for range 3 {
		h.pass(70 * time.Minute) // longer than the lifetime of access tokens
		b.get(appURL + "/a").at(appURL).expect("board")
	}
	if strings.Contains(h.logs(), "refresh_token_missing") {
		t.Errorf("expected no complaint about refresh tokens, seen %s", h.logs())
	}
}

// The builtin client cannot get tokens from the token endpoint on the network.
func TestTheBuiltinClientIsNotOnTheNetwork(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(twoSites, ""))
	b := h.browser()
	for _, form := range []url.Values{
		{"grant_type": {"authorization_code"}, "client_id": {"builtin"}, "code": {"x"}, "code_verifier": {strings.Repeat("x", 43)}, "redirect_uri": {appURL + "/@app/auth/default/code"}},
		{"grant_type": {"client_credentials"}, "client_id": {"builtin"}},
		{"grant_type": {"client_credentials"}, "client_id": {"builtin"}, "client_secret": {"builtin"}},
	} {
		b.send(http.MethodPost, h.idpURL+"/token", form)
		if b.status != http.StatusUnauthorized || !strings.Contains(b.body, "invalid_client") {
			t.Errorf("expected invalid_client, seen %d %s", b.status, b.body)
		}
	}
}

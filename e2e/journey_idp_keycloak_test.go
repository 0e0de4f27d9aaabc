package e2e

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Keycloak is a relying party of the identity provider, for the sign-in to Keycloak's own
// applications. It supports OpenID Connect Back-Channel Logout 1.0: its sessions end with
// the identity provider's, without a request of the browser.
func TestKeycloakHearsOfLogouts(t *testing.T) {
	t.Parallel()
	realm := newSAMLRealm(t, "broker") // this realm has the users and keys that the test needs
	i := startIssuer(t, fmt.Sprintf(`
		client keycloak {
			name Keycloak
			redirect_uri %s/broker/ours/endpoint
			backchannel_logout_uri %[1]s/protocol/openid-connect/logout/backchannel-logout
			secret {env.CLIENT_SECRET}
		}`, realm.issuer()))
	// Without these names, Keycloak would ask users for them.
	i.operate("", "user", "set", "ada", "--given-name", "Ada", "--family-name", "Lovelace")
	realm.brokers(i)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the application")) }))
	defer app.Close()
	realm.ask(http.MethodPost, "/realms/"+realm.name+"/clients", object{
		"clientId": "app", "publicClient": true, "standardFlowEnabled": true, "redirectUris": []string{app.URL + "/back"},
	})
	at := func(b *browser, more string) url.Values {
		t.Helper()
		p := b.open(realm.issuer() + "/protocol/openid-connect/auth?" + url.Values{
			"client_id": {"app"}, "redirect_uri": {app.URL + "/back"}, "response_type": {"code"}, "scope": {"openid"},
		}.Encode() + more)
		if link := brokerLink.FindStringSubmatch(p.body); link != nil {
			p = p.follow(html.UnescapeString(link[1]))
		}
		if strings.HasPrefix(p.url.String(), i.url) {
			p = i.proves(p, "ada", issuerPassword)
		}
		if !strings.HasPrefix(p.url.String(), app.URL) {
			t.Fatalf("expected to come to the application, seen:%s", p)
		}
		return p.url.Query()
	}
	isIn := func(b *browser) bool { return at(b, "&prompt=none").Has("code") }
	// A silent login while Keycloak ends a session brings the session back, so wait for
	// the logout tokens first.
	accepts := func(tokens int) {
		t.Helper()
		count := fmt.Sprintf(`caddy_oidc_idp_requests_total{endpoint="backchannel_logout",outcome="ok"} %d`, tokens)
		eventually(t, time.Minute, fmt.Sprintf("Keycloak has accepted %d logout tokens", tokens), func() bool {
			_, metrics := i.caddy.get("/metrics")
			return strings.Contains(metrics, count)
		})
	}

	first, second := i.newBrowser(), i.newBrowser()
	for _, b := range []*browser{first, second} {
		if !at(b, "").Has("code") || !isIn(b) {
			t.Fatal("expected a session at Keycloak, seen none")
		}
	}
	t.Run("a logout at the identity provider ends the session of that browser", func(t *testing.T) {
		p := first.open(i.url + "/end_session")
		p.send(p.formWith("choice"), "choice", "signout")
		accepts(1)
		if isIn(first) {
			t.Error("expected no session at Keycloak, seen one")
		}
		if !isIn(second) {
			t.Error("expected the session of the other browser to stay, seen none")
		}
	})
	t.Run("a removed user is out everywhere", func(t *testing.T) {
		at(first, "")
		i.operate("", "user", "remove", "ada", "--yes")
		accepts(3)
		for n, b := range []*browser{first, second} {
			if isIn(b) {
				t.Errorf("browser %d: expected no session at Keycloak, seen one", n+1)
			}
		}
	})
	for _, line := range i.caddy.lines() {
		if strings.Contains(line, "backchannel_logout_failed") {
			t.Errorf("expected Keycloak to accept each logout token, seen %s", line)
		}
	}
}

// brokerLink is the link from Keycloak's page to the identity provider.
var brokerLink = regexp.MustCompile(`href="([^"]*/broker/ours/login[^"]*)"`)

// brokers lets the realm's users sign in at the identity provider.
func (r *samlRealm) brokers(i *issuer) {
	r.t.Helper()
	r.ask(http.MethodPost, "/realms/"+r.name+"/identity-provider/instances", object{
		"alias": "ours", "providerId": "oidc", "enabled": true, "trustEmail": true,
		"config": object{
			"issuer": i.url, "authorizationUrl": i.url + "/authorize", "tokenUrl": i.url + "/token", "userInfoUrl": i.url + "/userinfo",
			"jwksUrl": i.url + "/jwks", "useJwksUrl": "true", "validateSignature": "true",
			"clientId": "keycloak", "clientSecret": clientSecret, "clientAuthMethod": "client_secret_basic",
			"pkceEnabled": "true", "pkceMethod": "S256", "defaultScope": "openid profile email", "syncMode": "IMPORT", "backchannelSupported": "true",
		},
	})
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// An openidClient is a relying party that uses the npm package openid-client.
type openidClient struct {
	t    *testing.T
	base string
}

func startOpenidClient(i *issuer, port int, id, secret string) *openidClient {
	i.t.Helper()
	needFile(i.t, "idp/openid-client/node_modules/openid-client/package.json")
	order, err := json.Marshal(object{"issuer": i.url, "id": id, "secret": secret, "port": port})
	if err != nil {
		i.t.Fatal(err)
	}
	p := spawn(i.t.(*testing.T), "openid-client", []string{"CLIENT=" + string(order)}, "node", "idp/openid-client/client.mjs")
	eventually(i.t, 30*time.Second, "openid-client has read the metadata", func() bool {
		if !p.running() {
			i.t.Fatalf("openid-client has ended:\n%s", p.log.tail(20))
		}
		return strings.Contains(p.log.String(), "ready")
	})
	return &openidClient{t: i.t.(*testing.T), base: fmt.Sprintf("http://127.0.0.1:%d", port)}
}

// read decodes a page of the relying party.
func (c *openidClient) read(p *page) (answer map[string]any) {
	c.t.Helper()
	if !strings.HasPrefix(p.url.String(), c.base) {
		c.t.Fatalf("expected a page of the relying party, seen:%s", p)
	}
	if err := json.Unmarshal([]byte(p.body), &answer); err != nil {
		c.t.Fatalf("expected JSON: %v:%s", err, p)
	}
	return answer
}

// does makes the relying party do something.
func (c *openidClient) does(b *browser, what string) map[string]any {
	c.t.Helper()
	p := b.open(c.base + "/" + what)
	if p.status != http.StatusOK {
		c.t.Fatalf("%s: expected it to work, seen:%s", what, p)
	}
	return c.read(p)
}

// fails makes the relying party do something that must fail, and returns the error.
func (c *openidClient) fails(b *browser, what string) string {
	c.t.Helper()
	p := b.open(c.base + "/" + what)
	if p.status != http.StatusInternalServerError {
		c.t.Fatalf("%s: expected an error, seen:%s", what, p)
	}
	return fmt.Sprint(c.read(p)["error"])
}

// noteSecrets adds the relying party's secrets to those that must not be in Caddy's log.
func (c *openidClient) noteSecrets(i *issuer, b *browser) {
	c.t.Helper()
	var secrets []string
	p := b.open(c.base + "/secrets")
	if err := json.Unmarshal([]byte(p.body), &secrets); err != nil {
		c.t.Fatalf("expected the secrets: %v:%s", err, p)
	}
	for _, secret := range secrets {
		i.secrets.add("token", secret)
	}
}

// clientOf returns the configuration lines of a client.
func clientOf(id string, port int, kind string) string {
	return fmt.Sprintf(`
		client %s {
			redirect_uri http://127.0.0.1:%d/callback
			post_logout_redirect_uri http://127.0.0.1:%[2]d/bye
			%[3]s
		}`, id, port, kind)
}

func TestOpenidClientSignsInAndOut(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	i := startIssuer(t, clientOf("wiki", port, "secret {env.CLIENT_SECRET}"))
	c := startOpenidClient(i, port, "wiki", clientSecret)
	b := i.newBrowser()

	metadata := c.does(b, "metadata")
	if _, ok := metadata["introspection_endpoint"]; ok {
		t.Errorf("expected no introspection, seen %v", metadata["introspection_endpoint"])
	}
	if methods := fmt.Sprint(metadata["code_challenge_methods_supported"]); methods != "[S256]" {
		t.Errorf("expected S256 alone, seen %s", methods)
	}

	got := c.read(i.proves(b.open(c.base+"/login"), "ada", issuerPassword))
	c.noteSecrets(i, b)
	claims, _ := got["claims"].(map[string]any)
	for name, want := range map[string]any{"iss": i.url, "aud": "wiki", "acr": "urn:oidc-idp:pwd"} {
		if claims[name] != want {
			t.Errorf("%s: expected %v, seen %v", name, want, claims[name])
		}
	}
	if got["iss"] != i.url {
		t.Errorf("expected iss in the authorization response, seen %v", got["iss"])
	}
	if got["refresh"] != true {
		t.Errorf("expected a refresh token for offline_access, seen %v", got)
	}
	info := c.does(b, "userinfo")
	for name, want := range map[string]string{
		"preferred_username": "ada", "email": "ada@example.com", "email_verified": "true", "name": "Ada L.", "groups": "[staff wiki]", "sub": fmt.Sprint(claims["sub"]),
	} {
		if seen := fmt.Sprint(info[name]); seen != want {
			t.Errorf("userinfo: %s: expected %s, seen %s", name, want, seen)
		}
	}
	if refreshed := c.does(b, "refresh"); refreshed["rotated"] != false {
		t.Errorf("expected the refresh token of a client with a secret to stay, seen %v", refreshed)
	}
	c.fails(b, "introspect")

	// The session still exists: prompt=none succeeds without a prompt.
	silent := c.read(b.open(c.base + "/login?prompt=none"))
	if again, _ := silent["claims"].(map[string]any); again["auth_time"] != claims["auth_time"] {
		t.Errorf("expected the same authentication, seen %v and %v", again["auth_time"], claims["auth_time"])
	}

	bye := b.open(c.base + "/logout").gone()
	if seen := c.read(bye); seen["state"] != "logout-state" {
		t.Errorf("expected the state after the logout, seen %v", seen)
	}
	if seen := fmt.Sprint(c.read(b.open(c.base + "/login?prompt=none"))["error"]); seen != "login_required" {
		t.Errorf("expected a sign-in to be needed after the logout, seen %s", seen)
	}
}

// Reuse of a refresh token revokes its family. Reuse of a code revokes the tokens that
// the code gave.
func TestOpenidClientMeetsReuse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, kind, secret string
	}{
		{name: "a public client", kind: "public"},
		{name: "a client with a secret and rotate on", kind: `secret {env.CLIENT_SECRET}
			rotate on`, secret: clientSecret},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			i := startIssuer(t, clientOf("spa", port, tc.kind))
			c := startOpenidClient(i, port, "spa", tc.secret)
			b := i.newBrowser()
			c.read(i.proves(b.open(c.base+"/login"), "ada", issuerPassword))
			c.noteSecrets(i, b)
			for n := 1; n <= 2; n++ {
				if refreshed := c.does(b, "refresh"); refreshed["rotated"] != true {
					t.Errorf("refresh %d: expected another refresh token, seen %v", n, refreshed)
				}
			}
			c.does(b, "userinfo")
			for _, what := range []string{"refresh-first", "refresh"} {
				if seen := c.fails(b, what); seen != "invalid_grant" {
					t.Errorf("%s: expected invalid_grant, seen %s", what, seen)
				}
			}
			c.fails(b, "userinfo")

			c.read(b.open(c.base + "/login"))
			c.noteSecrets(i, b)
			c.does(b, "userinfo")
			time.Sleep(5500 * time.Millisecond) // a second use within five seconds counts as a retry
			if seen := c.fails(b, "again"); seen != "invalid_grant" {
				t.Errorf("the code again: expected invalid_grant, seen %s", seen)
			}
			c.fails(b, "userinfo")
			if seen := c.fails(b, "refresh"); seen != "invalid_grant" {
				t.Errorf("after the code came again: expected invalid_grant, seen %s", seen)
			}

			c.read(b.open(c.base + "/login"))
			c.noteSecrets(i, b)
			c.does(b, "revoke")
			if seen := c.fails(b, "refresh"); seen != "invalid_grant" {
				t.Errorf("a revoked refresh token: expected invalid_grant, seen %s", seen)
			}
		})
	}
}

// oauth2Proxy is a widely used relying party, built from its Go module.
var oauth2Proxy = &program{name: "oauth2-proxy", dir: "idp/oauth2-proxy", pkg: "github.com/oauth2-proxy/oauth2-proxy/v7"}

// startOauth2Proxy protects the application and lets the group in.
func startOauth2Proxy(i *issuer, port int, group string) (base string) {
	i.t.Helper()
	base = fmt.Sprintf("http://127.0.0.1:%d", port)
	p := spawn(i.t, "oauth2-proxy", nil, oauth2Proxy.path(i.t),
		"--provider=oidc", "--oidc-issuer-url="+i.url, "--client-id=wiki", "--client-secret="+clientSecret,
		"--redirect-url="+base+"/oauth2/callback", fmt.Sprintf("--http-address=127.0.0.1:%d", port), "--upstream=http://"+i.app.addr(),
		"--cookie-secret=0123456789abcdef0123456789abcdef", "--cookie-secure=false", "--email-domain=*", "--scope=openid profile email groups",
		"--allowed-group="+group, "--code-challenge-method=S256", "--skip-provider-button=true", "--pass-user-headers=true", "--oidc-groups-claim=groups",
		"--whitelist-domain=localhost:*", "--backend-logout-url="+i.url+"/end_session?id_token_hint={id_token}",
	)
	eventually(i.t, 30*time.Second, "oauth2-proxy serves", func() bool {
		if !p.running() {
			i.t.Fatalf("oauth2-proxy has ended:\n%s", p.log.tail(20))
		}
		answer, err := http.Get(base + "/ping")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return base
}

func TestOauth2ProxySignsInAndOut(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	i := newIssuer(t)
	i.app = newUpstream(t)
	i.start(fmt.Sprintf(`
		client wiki {
			redirect_uri http://127.0.0.1:%d/oauth2/callback
			secret {env.CLIENT_SECRET}
		}`, port))
	i.operate("another sentence for bob 42", "user", "add", "bob", "--password-stdin", "--email", "bob@example.com", "--email-verified", "--groups", "guests")
	base := startOauth2Proxy(i, port, "staff")

	b := i.newBrowser()
	p := i.proves(b.open(base+"/docs?page=1"), "ada", issuerPassword)
	if p.url.String() != base+"/docs?page=1" {
		t.Fatalf("expected to be back at the page, seen:%s", p)
	}
	saw := p.upstreamSaw()
	for name, want := range map[string]string{"X-Forwarded-Email": "ada@example.com", "X-Forwarded-Preferred-Username": "ada"} {
		if seen := saw.Headers.Get(name); seen != want {
			t.Errorf("%s: expected %s, seen %s", name, want, seen)
		}
	}
	groups := strings.Split(saw.Headers.Get("X-Forwarded-Groups"), ",")
	slices.Sort(groups)
	if seen := strings.Join(groups, ","); seen != "staff,wiki" {
		t.Errorf("expected the groups staff and wiki, seen %s", seen)
	}

	bob := i.newBrowser()
	if p := i.proves(bob.open(base+"/docs"), "bob", "another sentence for bob 42"); p.status != http.StatusForbidden {
		t.Errorf("expected a user of another group to be refused, seen:%s", p)
	}

	// oauth2-proxy ends its session, and then the provider's, with the ID token as a
	// hint.
	p = b.open(base + "/oauth2/sign_out?rd=" + url.QueryEscape(i.url+"/end_session")).gone()
	if !strings.HasPrefix(p.url.String(), i.url) {
		t.Fatalf("expected the provider's page, seen:%s", p)
	}
	if strings.Contains(p.body, `value="signout"`) {
		p.send(p.formWith("choice"), "choice", "signout").gone()
	}
	if p = b.open(base + "/docs"); !strings.HasPrefix(p.url.String(), i.url+"/signin") {
		t.Errorf("expected to be asked again, seen:%s", p)
	}
}

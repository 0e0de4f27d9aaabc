package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// In this file, the identity provider brokers Keycloak by SAML 2.0 and by OpenID Connect,
// for a site of the same Caddy.

// A brokerWorld is a Caddy with the identity provider, external providers, and a site.
type brokerWorld struct {
	t           *testing.T
	caddy       *node
	app         *upstream
	login, site string
}

// startBroker starts Caddy with these lines of the option oidc_idp.
func startBroker(t *testing.T, options func(w *brokerWorld) string) *brokerWorld {
	t.Helper()
	w := &brokerWorld{t: t, app: newUpstream(t), caddy: newNode(t, t.TempDir())}
	w.login = fmt.Sprintf("https://login.localhost:%d", freePort(t))
	w.site = fmt.Sprintf("https://app.localhost:%d", freePort(t))
	w.caddy.program, w.caddy.level = idpProgram, "INFO"
	w.caddy.start(w.caddy.caddyfile(fmt.Sprintf("	oidc_idp {\n		issuer %s\n%s\n	}", w.login, options(w)), fmt.Sprintf(`
%s {
	bind 127.0.0.1
	tls internal
	oidc_idp
}
%s {
	bind 127.0.0.1
	tls internal
	oidc_rp {
		builtin
	}
	reverse_proxy %s {
		header_up X-User {http.auth.user.id}
	}
}
`, w.login, w.site, w.app.addr())))
	eventually(t, 60*time.Second, "the identity provider serves", func() bool {
		status, _ := w.fetch(w.login + "/.well-known/openid-configuration")
		return status == http.StatusOK
	})
	return w
}

func (w *brokerWorld) fetch(address string) (status int, body []byte) {
	answer, err := w.transport().Get(address)
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	body, _ = io.ReadAll(answer.Body)
	return answer.StatusCode, body
}

// transport returns a client without cookies that resolves every name to this machine.
func (w *brokerWorld) transport() *http.Client {
	return &http.Client{
		Timeout:       busy * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // Caddy has just created its authority
			DialContext: func(ctx context.Context, network, at string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(at)
				if err != nil {
					return nil, err
				}
				return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
			},
		},
	}
}

// A wanderer is a browser that goes where pages lead. It keeps cookies. When another site
// posts a form to the identity provider, it omits that provider's cookies, because they
// are SameSite=Lax.
type wanderer struct {
	t      *testing.T
	w      *brokerWorld
	client *http.Client
	at     *url.URL
	status int
	body   string
	trail  []string
}

func (w *brokerWorld) browser(t *testing.T) *wanderer {
	t.Helper()
	client := w.transport()
	client.Jar = must(cookiejar.New(nil))
	return &wanderer{t: t, w: w, client: client}
}

func (b *wanderer) open(address string) *wanderer {
	b.t.Helper()
	return b.load(http.MethodGet, address, nil)
}

var (
	wanderForm  = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	wanderInput = regexp.MustCompile(`(?is)<(?:input|button)\b([^>]*)>`)
	wanderAttr  = regexp.MustCompile(`(?is)\b(action|name|value|type|http-equiv|content)\s*=\s*["']([^"']*)["']`)
	wanderLeads = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]*)">`)
)

func attributesOf(tag string) map[string]string {
	all := make(map[string]string)
	for _, found := range wanderAttr.FindAllStringSubmatch(tag, -1) {
		all[strings.ToLower(found[1])] = html.UnescapeString(found[2])
	}
	return all
}

// load sends a request and continues through redirects, pages that lead on at once, and
// forms that a script submits.
func (b *wanderer) load(method, address string, form url.Values) *wanderer {
	b.t.Helper()
	for range 30 {
		b.send(method, address, form)
		if next := b.next(); next != "" {
			method, address, form = http.MethodGet, next, nil
			continue
		}
		action, fields := b.form("SAMLResponse")
		if fields == nil {
			return b
		}
		method, address, form = http.MethodPost, action, fields
	}
	b.t.Fatalf("expected to arrive, seen %s", strings.Join(b.trail, "\n"))
	return nil
}

func (b *wanderer) send(method, address string, form url.Values) {
	b.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("User-Agent", "Mozilla/5.0")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	client := *b.client
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if b.at.Host != r.URL.Host {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			client.Jar = nil
		}
	}
	answer, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.status, b.body = r.URL, answer.StatusCode, string(body)
	b.trail = append(b.trail, fmt.Sprintf("%s %.200s %d", method, address, b.status))
	if location := answer.Header.Get("Location"); location != "" {
		b.body = `<meta http-equiv="refresh" content="0; url=` + html.EscapeString(location) + `">`
	}
}

// next returns where the page leads at once, or "".
func (b *wanderer) next() string {
	found := wanderLeads.FindStringSubmatch(b.body)
	if found == nil {
		return ""
	}
	to, err := b.at.Parse(html.UnescapeString(found[1]))
	if err != nil {
		b.t.Fatal(err)
	}
	to.Fragment = ""
	return to.String()
}

// form returns the first form of the page that has the field. fields is nil if there is
// none.
func (b *wanderer) form(field string) (action string, fields url.Values) {
	for _, found := range wanderForm.FindAllStringSubmatch(b.body, -1) {
		fields := make(url.Values)
		for _, input := range wanderInput.FindAllStringSubmatch(found[2], -1) {
			if a := attributesOf(input[1]); a["name"] != "" && a["type"] != "submit" {
				fields.Set(a["name"], a["value"])
			} else if a["name"] == field {
				fields.Set(field, "")
			}
		}
		if !fields.Has(field) {
			continue
		}
		to, err := b.at.Parse(attributesOf(found[1])["action"])
		if err != nil {
			b.t.Fatal(err)
		}
		return to.String(), fields
	}
	return "", nil
}

// submit sends the form that has the first of these fields.
func (b *wanderer) submit(pairs ...string) *wanderer {
	b.t.Helper()
	action, fields := b.form(pairs[0])
	if fields == nil {
		b.t.Fatalf("expected a form with %s, seen %d at %s:\n%.1500s\n%s", pairs[0], b.status, b.at, b.body, strings.Join(b.trail, "\n"))
	}
	for i := 0; i < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	return b.load(http.MethodPost, action, fields)
}

// user returns the user that the application sees, or "" on other pages. The relying
// party writes a slash in a username as %2F, so that no username looks like one of
// another provider.
func (b *wanderer) user() string {
	var was seen
	if b.status != http.StatusOK || !strings.HasPrefix(b.at.String(), b.w.site) || json.Unmarshal([]byte(b.body), &was) != nil {
		return ""
	}
	return was.Headers.Get("X-User")
}

func (b *wanderer) expectUser(want string) {
	b.t.Helper()
	if seen := b.user(); seen != want {
		b.t.Fatalf("expected the application's page for %s, seen %q, %d at %s:\n%.1500s\n%s", want, seen, b.status, b.at, b.body, strings.Join(b.trail, "\n"))
	}
}

// atKeycloak signs alice in at Keycloak.
func (b *wanderer) atKeycloak() *wanderer {
	b.t.Helper()
	return b.submit("password", "alice-pw", "username", "alice")
}

// newRealms creates realms whose names no other test uses.
func newRealms(t *testing.T, names ...string) map[string]*samlRealm {
	t.Helper()
	realms := make(map[string]*samlRealm)
	for _, name := range names {
		realms[name] = newSAMLRealm(t, fmt.Sprintf("saml-%s-%d", name, freePort(t)))
	}
	return realms
}

// connect registers the identity provider at a realm by its metadata.
func (w *brokerWorld) connect(r *samlRealm, id string, attributes object) {
	w.t.Helper()
	status, metadata := w.fetch(w.login + "/saml/" + id + "/metadata")
	if status != http.StatusOK {
		w.t.Fatalf("expected our metadata, seen %d %s", status, metadata)
	}
	r.register(metadata, attributes)
}

const gcm = "http://www.w3.org/2009/xmlenc11#aes256-gcm"

// A user signs in at Keycloak from a page of a site, with each way in which Keycloak can
// sign and encrypt.
func TestSAMLSignInAtKeycloak(t *testing.T) {
	t.Parallel()
	variants := map[string]struct {
		options    string
		attributes object
	}{
		"response":  {"sign response", object{"saml.server.signature": "true", "saml.assertion.signature": "false", "saml.encrypt": "false"}},
		"assertion": {"sign assertion", object{"saml.server.signature": "false", "saml.assertion.signature": "true", "saml.encrypt": "false"}},
		"both":      {"sign both", object{"saml.server.signature": "true", "saml.assertion.signature": "true", "saml.encrypt": "false"}},
		"encrypted": {"sign response", object{"saml.server.signature": "true", "saml.assertion.signature": "false", "saml.encrypt": "true", "saml.encryption.algorithm": gcm}},
		"none":      {"", object{"saml.server.signature": "false", "saml.assertion.signature": "false", "saml.encrypt": "false"}},
		"sha1":      {"", object{"saml.server.signature": "true", "saml.signature.algorithm": "RSA_SHA1", "saml.encrypt": "false"}},
	}
	realms := newRealms(t, "response", "assertion", "both", "encrypted", "none", "sha1")
	w := startBroker(t, func(*brokerWorld) string {
		var options strings.Builder
		for name, v := range variants {
			fmt.Fprintf(&options, `
		external %s {
			saml metadata %s {
				%s
				username uid
			}
			create on
			groups staff
		}
`, name, realms[name].metadata(), v.options)
		}
		return options.String()
	})
	for name, v := range variants {
		attributes := object{"saml_name_id_format": "persistent", "saml.force.post.binding": "true", "saml.client.signature": "true"}
		for attribute, value := range v.attributes {
			attributes[attribute] = value
		}
		w.connect(realms[name], name, attributes)
		t.Run(name, func(t *testing.T) {
			b := w.browser(t)
			b.open(w.site+"/page").submit("external", name).atKeycloak()
			if name == "none" || name == "sha1" {
				if b.status != http.StatusBadRequest || b.user() != "" {
					t.Errorf("expected to be refused with 400, seen %d at %s", b.status, b.at)
				}
				return
			}
			b.expectUser(name + "%2Falice")
			again := w.browser(t)
			again.open(w.site+"/page").submit("external", name).atKeycloak().expectUser(name + "%2Falice")
		})
	}
}

// Keycloak begins a sign-in for one site. The user confirms it and gets to that site.
func TestSAMLSignInThatKeycloakBegins(t *testing.T) {
	t.Parallel()
	realms := newRealms(t, "begins", "closed")
	w := startBroker(t, func(w *brokerWorld) string {
		return fmt.Sprintf(`
		external partners {
			saml metadata %s {
				idp_initiated %s
				username uid
			}
			create on
		}
		external closed {
			saml metadata %s
		}
`, realms["begins"].metadata(), strings.TrimPrefix(w.site, "https://"), realms["closed"].metadata())
	})
	for name, id := range map[string]string{"begins": "partners", "closed": "closed"} {
		w.connect(realms[name], id, object{
			"saml_name_id_format": "persistent", "saml.force.post.binding": "true", "saml.server.signature": "true", "saml.encrypt": "false",
			"saml_idp_initiated_sso_url_name": "app", "saml_idp_initiated_sso_relay_state": "https://evil.example/",
		})
	}
	b := w.browser(t)
	b.open(realms["begins"].issuer() + "/protocol/saml/clients/app").atKeycloak()
	if !strings.HasPrefix(b.at.String(), w.login+"/saml/partners/continue") || !strings.Contains(b.body, "Continue as") {
		t.Fatalf("expected a question, seen %d at %s: %.1000s\n%s", b.status, b.at, b.body, strings.Join(b.trail, "\n"))
	}
	b.submit("choice", "continue").expectUser("partners%2Falice")

	b.open(realms["begins"].issuer() + "/protocol/saml/clients/app")
	b.expectUser("partners%2Falice") // no question: the same user is signed in

	stranger := w.browser(t)
	stranger.open(realms["closed"].issuer() + "/protocol/saml/clients/app").atKeycloak()
	if stranger.status != http.StatusBadRequest {
		t.Errorf("without idp_initiated: expected 400, seen %d at %s", stranger.status, stranger.at)
	}
}

// Users without a local account who cannot get one are let in nowhere.
func TestKeycloakUsersWithoutAnAccount(t *testing.T) {
	t.Parallel()
	realms := newRealms(t, "saml", "oidc")
	const secret = "a-secret-of-the-identity-provider"
	w := startBroker(t, func(*brokerWorld) string {
		return fmt.Sprintf(`
		external partners {
			saml metadata %s
			domains example.test
		}
		external corp {
			oidc {
				issuer %s
				client_id login
				client_secret %s
			}
			create on
		}
`, realms["saml"].metadata(), realms["oidc"].issuer(), secret)
	})
	w.connect(realms["saml"], "partners", object{"saml_name_id_format": "persistent", "saml.force.post.binding": "true", "saml.encrypt": "false"})
	realms["oidc"].ask(http.MethodPost, "/realms/"+realms["oidc"].name+"/clients", object{
		"clientId": "login", "secret": secret, "standardFlowEnabled": true, "redirectUris": []string{w.login + "/external/corp/callback"},
		"attributes": object{"pkce.code.challenge.method": "S256"},
	})
	b := w.browser(t)
	b.open(w.site+"/page").submit("username", "alice@example.test").atKeycloak()
	if b.status != http.StatusForbidden || !strings.HasPrefix(b.at.String(), w.login) {
		t.Errorf("by SAML: expected 403 of the identity provider, seen %d at %s\n%s", b.status, b.at, strings.Join(b.trail, "\n"))
	}
	b = w.browser(t)
	b.open(w.site+"/page").submit("external", "corp").atKeycloak().expectUser("corp%2Falice")
}

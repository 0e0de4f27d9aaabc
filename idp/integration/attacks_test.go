package integration_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// hostile sends one request with the cookies of the browser and additional headers that a
// browser would not send. It does not follow redirects.
func (b *browser) hostile(method, address string, form url.Values, header http.Header) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(r.Header, header)
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response, string(text)
}

// stopAt loads an address and follows redirects until one leads to a site. It returns that
// redirect's address without requesting it.
func (b *browser) stopAt(method, address string, form url.Values, site string) string {
	b.t.Helper()
	for range 20 {
		b.send(method, address, form)
		location := b.header.Get("Location")
		if refresh := refreshTag.FindStringSubmatch(b.body); location == "" && refresh != nil {
			location = strings.ReplaceAll(refresh[1], "&amp;", "&")
		}
		if location == "" {
			b.t.Fatalf("expected to be led to %s, seen %s (status %d):\n%s", site, b.address, b.status, b.body)
		}
		to, err := b.address.Parse(location)
		if err != nil {
			b.t.Fatal(err)
		}
		if strings.HasPrefix(to.String(), site) {
			return to.String()
		}
		method, address, form = http.MethodGet, to.String(), nil
	}
	b.t.Fatal("a redirect loop")
	return ""
}

// Sign-ins belong to the browser that began them: a victim cannot finish an attacker's
// sign-in, and an attacker's callback does not sign a victim in.
func TestASignInThatAnotherBrowserBeganIsOfNoUse(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	h.addUser("mallory")

	t.Run("the victim does not finish the attacker's sign-in", func(t *testing.T) {
		attacker, victim := h.browser(), h.browser()
		attacker.get(appURL + "/").at(h.idpURL + "/signin/")
		page := attacker.address.String()
		victim.get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
		for _, address := range []string{page, page + "/name", page + "/recovery", page + "/external"} {
			if victim.get(address); victim.status != http.StatusForbidden {
				t.Errorf("%s: expected status 403 in another browser, seen %d", address, victim.status)
			}
		}
		if attacker.get(page).at(h.idpURL + "/signin/"); strings.Contains(attacker.body, "alice") {
			t.Error("expected the attacker's page to know nothing of alice")
		}
	})
	t.Run("the cookie of one request opens no other", func(t *testing.T) {
		attacker, victim := h.browser(), h.browser()
		victim.get(appURL + "/").at(h.idpURL + "/signin/")
		attacker.get(appURL + "/").at(h.idpURL + "/signin/")
		theirs, own := strings.TrimPrefix(victim.address.Path, "/signin/"), strings.TrimPrefix(attacker.address.Path, "/signin/")
		at, err := url.Parse(h.idpURL)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range attacker.jar.Cookies(at) {
			if strings.HasSuffix(c.Name, own) {
				attacker.jar.SetCookies(at, []*http.Cookie{{Name: strings.TrimSuffix(c.Name, own) + theirs, Value: c.Value, Path: "/", Secure: true}})
			}
		}
		if attacker.get(h.idpURL + "/signin/" + theirs); attacker.status != http.StatusForbidden {
			t.Errorf("expected status 403, seen %d", attacker.status)
		}
	})
	t.Run("the victim is not signed in by the attacker's code", func(t *testing.T) {
		attacker, victim := h.browser(), h.browser()
		attacker.get(appURL+"/").submit("username", "mallory")
		form := url.Values{"password": {password}}
		for _, input := range inputTag.FindAllStringSubmatch(attacker.body, -1) {
			if field := attributes(input[1]); field["type"] == "hidden" {
				form.Set(field["name"], field["value"])
			}
		}
		action := attributes(formTag.FindStringSubmatch(attacker.body)[1])["action"]
		callback := attacker.stopAt(http.MethodPost, h.idpURL+action, form, appURL)
		if !strings.Contains(callback, "code=") {
			t.Fatalf("expected a code, seen %s", callback)
		}
		victim.get(appURL + "/") // begins a login of the victim's own
		victim.get(callback)
		if strings.Contains(victim.body, "application sees mallory") {
			t.Error("expected the victim not to be signed in as the attacker")
		}
		if victim.get(appURL + "/"); strings.Contains(victim.body, "application sees") {
			t.Errorf("expected the victim not to be signed in, seen %s", victim.body)
		}
		attacker.get(callback).at(appURL).expect("application sees mallory")
	})
}

// Forwarding headers from untrusted clients affect neither links nor the client address.
func TestHeadersOfAStrangerSayNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	lies := http.Header{
		"X-Forwarded-For": {"203.0.113.9"}, "X-Real-Ip": {"203.0.113.9"}, "Forwarded": {"for=203.0.113.9;host=evil.example"},
		"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"http"}, "X-Original-Url": {"https://evil.example/"},
	}
	b := h.browser()
	for _, path := range []string{"/.well-known/openid-configuration", "/account", "/reset", "/authorize", "/end_session"} {
		response, text := b.hostile(http.MethodGet, h.idpURL+path, nil, lies)
		if strings.Contains(text+fmt.Sprint(response.Header), "evil.example") {
			t.Errorf("%s: expected nothing of the headers, seen %v %s", path, response.Header, text)
		}
	}
	b.get(appURL + "/").signIn("alice").at(appURL)
	b.hostile(http.MethodGet, h.idpURL+"/account", nil, lies)
	if shown := h.operators().does("sessions", "list", "alice"); strings.Contains(shown, "203.0.113.9") {
		t.Errorf("expected the address of the connection, seen\n%s", shown)
	}
	response, text := b.hostile(http.MethodGet, h.idpURL+"/account", nil, http.Header{"Host": {"evil.example"}})
	if text != "" || response.Header.Get("Location") != "" {
		t.Errorf("expected no site of that name, seen status %d with %v %s", response.StatusCode, response.Header, text)
	}
}

// Error pages do not repeat parameters of the request, and no parameter causes a redirect
// to another site.
func TestWhatIsTypedIsNotRepeated(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	b := h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL)
	evil := "https://canary.evil.example/"
	names := []string{"return", "return_to", "next", "continue", "url", "redirect", "redirect_uri", "rd", "post_logout_redirect_uri", "client_id", "state", "canary", "id", "kind"}
	for _, path := range []string{"/account", "/account/password", "/account/add-factor", "/reset", "/first-user", "/end_session", "/authorize", "/signin/x", "/external/x/callback", "/saml/x/continue", "/nowhere"} {
		for _, name := range names {
			response, text := b.hostile(http.MethodGet, h.idpURL+path+"?"+url.Values{name: {evil + `"><script>canary`}}.Encode(), nil, nil)
			if got := response.Header.Get("Location"); strings.Contains(got, "canary") {
				t.Errorf("%s with %s: expected not to be led elsewhere, seen %s", path, name, got)
			}
			if strings.Contains(text, "canary") && !strings.Contains(text, `type="hidden"`) || strings.Contains(text, "<script>canary") {
				t.Errorf("%s with %s: expected a page without it, seen %s", path, name, text)
			}
		}
	}
}

// All responses of the site forbid framing and caching, and set cookies only for this host.
func TestEveryAnswerOfTheSiteIsGuarded(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""), "registration invite")
	h.addUser("alice")
	b, stranger := h.browser(), h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL)
	cookie := regexp.MustCompile(`^__Host-[a-zA-Z0-9_-]+=[^;]*(; |$)`)
	for _, path := range []string{
		"/", "/account", "/account/name", "/account/password", "/account/add-factor?kind=totp", "/account/recovery-codes", "/account/confirm-email", "/account/undo-email",
		"/account/enrol", "/reset", "/invite", "/first-user", "/end_session", "/authorize", "/authorize?client_id=x", "/signin/x", "/signin/x/name", "/external/x/callback",
		"/saml/x/metadata", "/saml/x/continue", "/nowhere", "/assets/none", "/token", "/revoke",
	} {
		for who, from := range map[string]*browser{"alice": b, "a stranger": stranger} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				var form url.Values
				if method == http.MethodPost {
					form = url.Values{"x": {"y"}}
				}
				response, _ := from.hostile(method, h.idpURL+path, form, http.Header{"Origin": {"https://evil.example"}})
				what := fmt.Sprintf("%s %s of %s", method, path, who)
				if response.StatusCode >= 500 {
					t.Errorf("%s: expected no error of ours, seen status %d", what, response.StatusCode)
				}
				if got := response.Header.Get("Access-Control-Allow-Origin"); got != "" {
					t.Errorf("%s: expected nothing for other origins, seen %q", what, got)
				}
				if got := response.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
					t.Errorf("%s: expected no-store, seen %q", what, got)
				}
				if isPage := strings.HasPrefix(response.Header.Get("Content-Type"), "text/html"); isPage {
					if got := response.Header.Get("Content-Security-Policy"); !strings.Contains(got, "frame-ancestors 'none'") || strings.Contains(got, "unsafe") {
						t.Errorf("%s: expected a strict policy, seen %q", what, got)
					}
					if got := response.Header.Get("X-Frame-Options"); got != "DENY" {
						t.Errorf("%s: expected X-Frame-Options DENY, seen %q", what, got)
					}
				}
				for _, line := range response.Header["Set-Cookie"] {
					for _, want := range []string{"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
						if !slices.Contains(strings.Split(line, "; "), want) {
							t.Errorf("%s: expected a cookie with %s, seen %s", what, want, line)
						}
					}
					if !cookie.MatchString(line) || strings.Contains(line, "Domain") {
						t.Errorf("%s: expected a cookie of this host, seen %s", what, line)
					}
				}
			}
		}
	}
}

// The debug log has no secrets after a sign-in, a step on the account page, and a logout.
func TestTheLogOfCaddyHasNoSecrets(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	b := h.browser()
	const typed = "a password in the field of the name"
	b.get(appURL+"/").submit("username", typed).submit("password", "wrong").submit("password", password)
	secrets := map[string]string{"the password": password, "what was typed as a name": typed}
	collect := func() {
		for _, site := range []string{h.idpURL, appURL} {
			at, err := url.Parse(site)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range b.jar.Cookies(at) {
				for _, part := range strings.Split(c.Value, ".") {
					if len(part) >= 20 && !strings.HasPrefix(part, "aHR0c") { // not a secret: the address of the application
						secrets["the cookie "+c.Name] = part
					}
				}
			}
		}
	}
	b.get(appURL + "/")
	collect()
	b.get(appURL+"/").at(h.idpURL+"/signin/").submit("username", "alice")
	collect()
	b.submit("password", password).at(appURL).expect("application sees alice")
	collect()
	b.get(h.idpURL + "/account").expect("alice")
	b.get(h.idpURL+"/end_session").submit("choice", "signout")
	collect()
	if len(secrets) < 5 {
		t.Errorf("expected several cookies, seen %v", secrets)
	}
	logs := h.logs()
	for name, secret := range secrets {
		if strings.Contains(logs, secret) {
			t.Errorf("the log has %s: %s", name, secret)
		}
	}
}

// Cookies that an attacker planted or copied before a sign-in give access to no session
// after it.
func TestACookieFromBeforeASignInIsWorthless(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	h.addUser("mallory")
	victim, attacker := h.browser(), h.browser()
	at, err := url.Parse(h.idpURL)
	if err != nil {
		t.Fatal(err)
	}
	victim.get(h.idpURL + "/account").signIn("mallory").at(h.idpURL + "/account") // the attacker planted this session
	copied := victim.jar.Cookies(at)
	h.pass(1)
	victim.get(appURL + "/").at(appURL)
	victim.get(h.idpURL + "/end_session")
	victim.submit("choice", "signout")
	victim.get(h.idpURL + "/account").signIn("alice").at(h.idpURL + "/account").expect("alice")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range copied {
		c.Path, c.Secure = "/", true
	}
	jar.SetCookies(at, copied)
	attacker.jar, attacker.client.Jar = jar, jar
	if attacker.get(h.idpURL + "/account"); strings.Contains(attacker.body, "alice") {
		t.Errorf("expected the copied cookies to be worthless, seen %s", attacker.body)
	}
}

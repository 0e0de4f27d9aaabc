package idp

import (
	"encoding/base64"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// as lets another browser act for a moment.
func (w *world) as(jar http.CookieJar, act func()) {
	before := w.browser.Jar
	w.browser.Jar = jar
	act()
	w.browser.Jar = before
}

func newJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}

func requestID(t *testing.T, page string) string {
	t.Helper()
	found := regexp.MustCompile(`name="request" value="([^"]+)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no login form:\n%s", page)
	}
	return found[1]
}

// Fault A12: a login that began in browser A is worth nothing in browser B, at
// every step, and A gets no code by what B did.
func TestLoginIsBoundToItsBrowser(t *testing.T) {
	w := newWorld(t)
	a, b := w.browser.Jar, newJar(t)
	_, page := w.authorize()
	id := requestID(t, page)
	gone := func(step string, resp *http.Response) {
		t.Helper()
		if resp.StatusCode/100 == 2 {
			t.Errorf("%s: expected a refusal, seen status %d", step, resp.StatusCode)
		}
		if got := resp.Header.Get("Location"); got != "" {
			t.Errorf("%s: expected no redirect, seen one to %q", step, got)
		}
		for _, cookie := range resp.Cookies() {
			if cookie.Name == sessionCookie {
				t.Errorf("%s: opens a session", step)
			}
		}
	}
	w.as(b, func() {
		resp, _ := w.get(loginPath + "?request=" + id)
		gone("B opens A's login page", resp)
		resp, _ = w.submit(page, "username", "bob", "password", "b")
		gone("B signs in at A's login page", resp)
		resp, _ = w.submit(page, "cancel", "yes")
		gone("B cancels A's login", resp)
		resp, _ = w.get("/authorize/callback?id=" + id)
		gone("B fetches A's code", resp)
	})
	resp, _ := w.get("/authorize/callback?id=" + id)
	if code := locationQuery(resp).Get("code"); code != "" {
		t.Error("expected no code for A before a sign-in, seen one")
	}

	// A signs in; B, which knows the id, gets no code.
	w.browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if resp, _ = w.submit(page, "username", "alice", "password", "a"); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("A's sign-in: status %d", resp.StatusCode)
	}
	w.as(b, func() {
		resp, _ := w.get("/authorize/callback?id=" + id)
		gone("B fetches the code that A earned", resp)
		resp, _ = w.get(loginPath + "?request=" + id)
		gone("B opens the login that A finished", resp)
		// A cookie of B's own login, under the name of A's, opens nothing either.
		_, _ = w.authorize()
		address, _ := url.Parse(w.server.URL)
		for _, cookie := range b.Cookies(address) {
			b.SetCookies(address, []*http.Cookie{{Name: loginCookie + id, Value: cookie.Value}})
		}
		resp, _ = w.get("/authorize/callback?id=" + id)
		gone("B fetches A's code with a cookie of its own", resp)
	})
	w.as(a, func() {
		resp, _ := w.get("/authorize/callback?id=" + id)
		if code := w.back(resp).Get("code"); w.trade(code)["id_token"] == nil {
			t.Error("A's own login gives no tokens")
		}
	})
}

func locationQuery(resp *http.Response) url.Values {
	to, err := resp.Location()
	if err != nil {
		return nil
	}
	return to.Query()
}

func TestTabsHaveLoginsOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	_, first := w.authorize()
	_, second := w.authorize()
	for name, page := range map[string]string{"the first": first, "the second": second} {
		resp, _ := w.submit(page, "username", "alice", "password", "a")
		if w.trade(w.back(resp).Get("code"))["id_token"] == nil {
			t.Errorf("%s tab gets no tokens", name)
		}
	}
}

func TestLoginCookiesAreFew(t *testing.T) {
	w := newWorld(t)
	for range 3 * maxLogins {
		_, _ = w.authorize()
	}
	address, _ := url.Parse(w.server.URL)
	if n := len(w.browser.Jar.Cookies(address)); n > maxLogins {
		t.Errorf("the browser has %d cookies, want at most %d", n, maxLogins)
	}
	_, page := w.authorize()
	if resp, _ := w.submit(page, "username", "alice", "password", "a"); w.back(resp).Get("code") == "" {
		t.Error("the last login gives no code")
	}
}

// Fault A12: a hint that no honest client sends must not end the connection.
func TestOddHints(t *testing.T) {
	w := newWorld(t)
	part := base64.RawURLEncoding.EncodeToString
	for _, payload := range []string{`{"aud":[1]}`, `{"aud":[null]}`, `{"aud":[{}],"iss":1}`, `{"aud":1}`, `[]`, `null`, ``} {
		for _, header := range []string{`{"alg":"RS256"}`, `{"alg":"none"}`} {
			hint := url.QueryEscape(strings.Join([]string{part([]byte(header)), part([]byte(payload)), "c2ln"}, "."))
			for _, path := range []string{"/end_session?id_token_hint=", "/authorize?client_id=site&response_type=code&scope=openid&redirect_uri=" + url.QueryEscape(redirectURI) + "&id_token_hint="} {
				if resp, err := w.browser.Get(w.server.URL + path + hint); err != nil {
					t.Errorf("%s with %s: %v", path, payload, err)
				} else if resp.Body.Close(); resp.StatusCode >= http.StatusInternalServerError {
					t.Errorf("%s with %s: status %d", path, payload, resp.StatusCode)
				}
			}
		}
	}
}

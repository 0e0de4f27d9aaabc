package integration_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// try is like get, but returns an error if the address does not respond.
func (b *browser) try(address string) (*visited, error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range pageLoadHeader {
		request.Header.Set(name, value)
	}
	response, err := b.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return &visited{response, string(body), address}, err
}

// travel follows redirects as a browser does. It returns the last page, or nil if an address
// does not respond.
func (b *browser) travel(address string) *visited {
	b.t.Helper()
	for range 12 {
		p, err := b.try(address)
		if err != nil {
			return nil
		}
		if address = p.location(); address == "" {
			return p
		}
	}
	b.t.Fatal("expected an end, seen a redirect loop")
	return nil
}

// outdated signs alice in and returns her browser at a configuration that requires an access
// token, which her session does not have.
func outdated(t *testing.T, op *oidctest.Provider, more string) (*browser, *harness) {
	here, there := reloaded(t, op, more, more+`
	upstream {
		header X-Sub sub
		access_token
	}`)
	b := here.browser()
	b.open("/@app/auth/default/login")
	moveTo(b, there)
	return b, there
}

// Whatever the provider does, a page load with an outdated session ends, and reloading the page
// over and over begins at most two logins in a minute.
func TestAnOutdatedSessionNeverLoops(t *testing.T) {
	t.Parallel()
	stop(t)
	authError := func(code string) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) { l.Authorization.Error = code }
	}
	at := func(e oidctest.Endpoint, f oidctest.Fault) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) { *l.At(e) = f }
	}
	for _, row := range []struct {
		name string
		lie  func(*oidctest.Faults)
		who  func(*oidctest.Provider) // changes who signs in
		// ends reports whether the first page load ends with the page.
		ends   bool
		logins int
	}{
		{name: "answers honestly", ends: true, logins: 1},
		{name: "says login_required", lie: authError("login_required"), logins: 2},
		{name: "says interaction_required", lie: authError("interaction_required"), logins: 2},
		{name: "says consent_required", lie: authError("consent_required"), logins: 2},
		{name: "says account_selection_required", lie: authError("account_selection_required"), logins: 2},
		{name: "says access_denied", lie: authError("access_denied"), logins: 2},
		{name: "says server_error", lie: authError("server_error"), logins: 2},
		{name: "says temporarily_unavailable", lie: authError("temporarily_unavailable"), logins: 2},
		{name: "says invalid_request", lie: authError("invalid_request"), logins: 2},
		{name: "says an unknown error", lie: authError("urn:unheard:of"), logins: 2},
		{name: "answers for another sub", who: func(p *oidctest.Provider) { p.SignIn("bob") }, ends: true, logins: 2},
		{name: "answers for another sub each time", who: func(p *oidctest.Provider) {
			next := "bob"
			p.Choose(func(*http.Request) string {
				who := next
				next = map[string]string{"alice": "bob", "bob": "alice"}[who]
				return who
			})
		}, ends: true, logins: 2},
		{name: "has no user signed in and shows its page", who: func(p *oidctest.Provider) { p.SignOut() }, logins: 2},
		{name: "shows an error page", lie: at(oidctest.Authorize, oidctest.Fault{Status: http.StatusInternalServerError, Body: func([]byte) []byte { return []byte("sorry") },
			Header: func(h http.Header) { h.Del("Location") }}), logins: 2},
		{name: "does not answer", lie: at(oidctest.Authorize, oidctest.Fault{Drop: true}), logins: 2},
		{name: "refuses the code", lie: at(oidctest.Token, oidctest.Fault{Status: http.StatusBadRequest, Body: func([]byte) []byte { return []byte(`{"error":"invalid_grant"}`) }}), logins: 2},
		{name: "has no working token endpoint", lie: at(oidctest.Token, oidctest.Fault{Drop: true}), logins: 2},
		{name: "sends an ID token that fails", lie: func(l *oidctest.Faults) {
			l.IDToken.Claims = func(c map[string]any) { c["aud"] = "another" }
		}, logins: 2},
		{name: "sends an access token of another type", lie: func(l *oidctest.Faults) {
			l.Token = func(m map[string]any) { m["token_type"] = "MAC" }
		}, logins: 2},
		{name: "answers with a state of its own", lie: func(l *oidctest.Faults) {
			l.Authorization.Params = func(q url.Values) { q.Set("state", "another") }
		}, logins: 2},
	} {
		for _, mode := range []string{"private", "public"} {
			t.Run(row.name+", of a "+mode+" site", func(t *testing.T) {
				t.Parallel()
				op := newOP(t, oidctest.ClaimsInIDToken(), oidctest.Lenient())
				more := ""
				if mode == "public" {
					more = "private /page"
				}
				site := func(lines, storage string) *harness {
					return newHarnessAt(t, storage, `http://rp.test {
						oidc_rp `+mode+` {
							`+options(op)+more+`
							`+lines+`
						}
						reverse_proxy {upstream}
					}`)
				}
				storage := storageDir(t)
				here, there := site("", storage), site(`upstream {
					header X-Sub sub
					access_token
				}`, storage)
				b := here.browser()
				b.open("/page")
				moveTo(b, there)
				before := op.Hits(oidctest.Authorize)
				if row.lie != nil {
					op.Lie(row.lie)
				}
				if row.who != nil {
					row.who(op)
				}
				served := func(p *visited) bool {
					return p != nil && p.StatusCode == http.StatusOK && strings.HasPrefix(p.url, rpURL+"/page")
				}
				if p := b.travel(rpURL + "/page"); served(p) != row.ends {
					t.Errorf("expected the page to be served: %t, seen %v", row.ends, p)
				}
				for range 5 {
					b.travel(rpURL + "/page")
				}
				if got := op.Hits(oidctest.Authorize) - before; got != row.logins {
					t.Errorf("expected %d logins, seen %d\n%s", row.logins, got, there.logs())
				}
				if p := b.get("/page"); !row.ends && p.StatusCode != http.StatusForbidden {
					t.Errorf("expected 403 for a further page load, seen %d", p.StatusCode)
				}
				op.Honest()
				op.SignIn("alice")
				there.ahead(61 * time.Second)
				if p := b.travel(rpURL + "/page"); !served(p) {
					t.Errorf("expected the page a minute later, when the provider is honest, seen %v\n%s", p, there.logs())
				}
			})
		}
	}
}

// Only a page load begins a login for an outdated session.
func TestAnythingElseWithAnOutdatedSessionIs401(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, method, site string
		header             map[string]string
	}{
		{"a call of a program", http.MethodGet, "", apiCall},
		{"a call without Sec-Fetch headers", http.MethodGet, "", map[string]string{"Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Sec-Fetch-Site": "", "Accept": "*/*"}},
		{"an image", http.MethodGet, "", map[string]string{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Accept": "image/*"}},
		{"a call that writes", http.MethodPost, "", apiCall},
		{"a page load that is prefetched", http.MethodGet, "", map[string]string{"Sec-Purpose": "prefetch", "Accept": "*/*"}},
		{"a WebSocket", http.MethodGet, "", map[string]string{"Sec-Fetch-Mode": "websocket", "Sec-Fetch-Dest": "empty", "Connection": "Upgrade", "Upgrade": "websocket",
			"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Accept": "*/*"}},
		{"a call where everything that reads is redirected", http.MethodGet, "unauthenticated redirect", apiCall},
		{"a call where nothing is redirected", http.MethodGet, "unauthenticated deny", apiCall},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.ClaimsInIDToken())
			b, there := outdated(t, op, row.site)
			before := op.Hits(oidctest.Authorize)
			p := b.send(row.method, "/api", row.header)
			check(t, p).status(http.StatusUnauthorized).shows(`"session_outdated"`)
			equal(t, "requests at the application", there.upstream.count(), 0)
			equal(t, "logins at the provider", op.Hits(oidctest.Authorize), before)
			if c := b.cookies()["__Host-oidc_rp"]; c == "" {
				t.Error("expected the session to stay, seen no cookie")
			}
		})
	}
	t.Run("a form gets a page that opens the sign-in elsewhere", func(t *testing.T) {
		t.Parallel()
		op := newOP(t, oidctest.ClaimsInIDToken())
		b, _ := outdated(t, op, "")
		if p := b.post("/form", "a=b", map[string]string{"Sec-Fetch-Site": "same-origin"}); p.StatusCode != http.StatusUnauthorized {
			t.Errorf("expected 401, seen %d", p.StatusCode)
		}
	})
	t.Run("a page load where nothing is redirected", func(t *testing.T) {
		t.Parallel()
		op := newOP(t, oidctest.ClaimsInIDToken())
		b, _ := outdated(t, op, "unauthenticated deny")
		if p := b.get("/page"); p.StatusCode != http.StatusUnauthorized {
			t.Errorf("expected 401, seen %d", p.StatusCode)
		}
	})
}

// The login of an outdated session uses the provider of the session, not the default one.
func TestAnOutdatedSessionIsRenewedAtItsProvider(t *testing.T) {
	t.Parallel()
	corp, partners := newOP(t, oidctest.ClaimsInIDToken()), newOP(t, oidctest.ClaimsInIDToken())
	corp.Register(rpURL + "/@app/auth/corp/code")
	partners.Register(rpURL + "/@app/auth/partners/code")
	storage := storageDir(t)
	site := func(more string) *harness {
		return newHarnessAt(t, storage, `http://rp.test {
			oidc_rp {
				provider corp partners
				default_provider corp
				`+more+`
			}
			reverse_proxy {upstream}
		}`,
			`oidc_rp {
				provider corp {
					`+options(corp)+`
				}
				provider partners {
					`+options(partners)+`
				}
			}`)
	}
	here, there := site(""), site(`upstream {
		header X-User {http.auth.user.id}
		access_token
	}`)
	b := here.browser()
	if p := b.open("/@app/auth/partners/login"); p.StatusCode != http.StatusOK {
		t.Fatalf("expected a login, seen status %d\n%s", p.StatusCode, here.logs())
	}
	moveTo(b, there)
	p := b.get("/page")
	check(required{t}, p).leadsInto(partners.URL(oidctest.Authorize)).leadsWith("prompt=none", "login_hint=alice&")
	b.open(p.location())
	if header, _ := there.upstream.got(); header.Get("X-User") != "partners/alice" {
		t.Errorf("expected the user partners/alice, seen %q", header.Get("X-User"))
	}
}

// A logout clears the count of logins, so the next session can be renewed immediately.
func TestALogoutClearsTheCountOfLogins(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	here, there := reloaded(t, op, "end_session off", `end_session off
	upstream {
		access_token
	}`)
	b := here.browser()
	for range 2 {
		moveTo(b, here)
		b.open("/")
		moveTo(b, there)
		for i, want := range []int{http.StatusFound, http.StatusFound, http.StatusForbidden} {
			if p := b.get("/page"); p.StatusCode != want {
				t.Errorf("page load %d: expected %d, seen %d", i+1, want, p.StatusCode)
			}
		}
		b.open("/Special:UserLogout")
	}
}

package integration_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

var formField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// TestALongLogoutGoesOnByPost covers ID tokens with many claims, which would make the URL
// too long for some servers and proxies.
func TestALongLogoutGoesOnByPost(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken(), oidctest.EndpointQuery("tenant=a"))
	op.SetClient(func(c *oidctest.Client) { c.PostLogoutURIs = []string{rpURL + "/@app/auth/default/signedout"} })
	user := op.User("alice")
	user.Claims["groups"] = strings.Split(strings.Repeat("a-group-of-many ", 60), " ")
	op.SetUser("alice", user)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	session {
		claims name
	}
}
`)
	b := signedIn(t, r)
	copied := b.cookieHeader()
	p := b.get("/Special:UserLogout")
	check(required{t}, p).status(http.StatusOK).leadsTo("").shows("Continue").hides("<script")
	check(t, p).headerLacks("Content-Security-Policy", "script", "form-action").header("Cache-Control", "no-store")
	if len(b.cookies()) != 0 {
		t.Errorf("cookies are left: %v", b.cookies())
	}
	check(t, r.rawGet("/x", "Cookie: "+copied), "before the click a copied cookie").status(http.StatusUnauthorized)
	_, action, _ := strings.Cut(p.body, `<form method="post" action="`)
	action, _, _ = strings.Cut(action, `"`)
	form := make(url.Values)
	for _, field := range formField.FindAllStringSubmatch(p.body, -1) {
		form.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	equal(t, "id_token_hint is an issued ID token", op.IssuedIDToken(form.Get("id_token_hint")), true)
	equal(t, "client_id", form.Get("client_id"), "rp")
	differs(t, "state", form.Get("state"), "")
	p = b.post(html.UnescapeString(action), form.Encode(), map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "null"})
	got := op.Last(oidctest.EndSession)
	equal(t, "Method", got.Method, http.MethodPost)
	equal(t, "tenant", got.Query.Get("tenant"), "a")
	p = b.open(p.location())
	check(t, p).status(http.StatusOK)
	contains(t, "the address", p.url, "/@app/auth/default/signedout")
}

func TestALogoutRevokesTheTokenThatWasKept(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name              string
		lines             func(*oidctest.Provider, *revocations) string // the options
		keeps, advertised bool
	}{
		{"by discovery", func(op *oidctest.Provider, e *revocations) string {
			op.Lie(func(l *oidctest.Faults) { l.Discovery = func(m map[string]any) { m["revocation_endpoint"] = e.URL } })
			return ""
		}, true, true},
		{"by configuration", func(_ *oidctest.Provider, e *revocations) string { return "revocation_endpoint " + e.URL }, true, true},
		{"no token is kept", func(_ *oidctest.Provider, e *revocations) string { return "revocation_endpoint " + e.URL }, false, true},
		{"no endpoint is known", func(*oidctest.Provider, *revocations) string { return "" }, true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op, e := newOP(t), newRevocations(t)
			upstream := ""
			if row.keeps {
				upstream = `
upstream {
	access_token
}
`
			}
			b := signedIn(t, newHarness(t, protectedBy(op, row.lines(op, e), "end_session off", upstream)))
			check(required{t}, b.get("/Special:UserLogout")).status(http.StatusSeeOther)
			if !row.keeps || !row.advertised {
				time.Sleep(100 * time.Millisecond)
				if len(e.asked) != 0 {
					t.Error("the provider was asked")
				}
				return
			}
			select {
			case r := <-e.asked:
				id, secret, _ := r.BasicAuth()
				equal(t, "Method", r.Method, http.MethodPost)
				equal(t, "token", r.PostForm.Get("token"), op.Issued().AccessToken)
				equal(t, "token_type_hint", r.PostForm.Get("token_type_hint"), "access_token")
				equal(t, "the client_id of the credentials", id, "rp")
				equal(t, "the secret of the credentials", secret, op.Client().Secret)
			case <-time.After(patience):
				t.Error("expected a revocation request, seen none")
			}
		})
	}
}

func TestARevocationThatFailsDelaysNoLogout(t *testing.T) {
	t.Parallel()
	op, e := newOP(t), newRevocations(t)
	held := make(chan struct{})
	t.Cleanup(func() { close(held) })
	var hits atomic.Int32
	e.answer = func(w http.ResponseWriter) {
		if hits.Add(1) > 1 {
			<-held
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"unsupported_token_type"}`)
	}
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	revocation_endpoint `+e.URL+`
	end_session off
	upstream {
		access_token
	}
}
`)
	for range 2 {
		b := signedIn(t, r)
		check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther).leadsTo("/Special:UserLogout")
		equal(t, "the number of cookies", len(b.cookies()), 0)
		<-e.asked
	}
	for end := time.Now().Add(patience); !strings.Contains(r.logs(), "unsupported_token_type"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the log does not say so")
		}
	}
	if strings.Contains(r.logs(), op.Issued().AccessToken) {
		t.Error("the log holds the token")
	}
}

func TestClearSiteData(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for option, want := range map[string]string{
		"": "", "clear_site_data *": `"*"`, "clear_site_data cache storage": `"cache", "storage"`, "clear_site_data cookies executionContexts": `"cookies", "executionContexts"`,
	} {
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	`+option+`
}
`)
		b := signedIn(t, r)
		if p := b.send("GET", "/Special:UserLogout", map[string]string{"Sec-Fetch-Site": "cross-site"}); p.Header.Get("Clear-Site-Data") != "" {
			t.Errorf("%s: the question has %s", option, p.Header.Get("Clear-Site-Data"))
		}
		p := b.get("/Special:UserLogout")
		check(t, p, option).status(http.StatusSeeOther)
		equal(t, option+": Clear-Site-Data", strings.Join(p.Header["Clear-Site-Data"], ";"), want)
		if p := b.get("/Special:UserLogout"); p.Header.Get("Clear-Site-Data") != "" {
			t.Errorf("%s: an anonymous logout has %s", option, p.Header.Get("Clear-Site-Data"))
		}
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A page is the result of a page load.
type page struct {
	b      *browser
	url    *url.URL
	status int // 0: held before the request was sent
	header http.Header
	body   string
	hops   []hop
}

func (p *page) String() string {
	var s strings.Builder
	for _, h := range p.hops {
		fmt.Fprintf(&s, "\n  %s %.300s → %d", h.method, h.url, h.status)
	}
	return fmt.Sprintf("%s\n  %.500s", s.String(), p.text())
}

// signIn opens a page that leads to the provider, signs in there, and returns the page
// where the site leads.
func (b *browser) signIn(path, user string) *page {
	b.t.Helper()
	return b.open(path).asks(b.w).signIn(user)
}

// asks fails unless the page is the provider's login form.
func (p *page) asks(w *world) *page {
	p.b.t.Helper()
	if !p.asksPassword() {
		p.b.t.Fatalf("expected a login form, seen:%s", p)
	}
	if !strings.HasPrefix(p.url.String(), w.op.issuer) {
		p.b.t.Fatalf("expected a page of the provider, seen:%s", p)
	}
	return p
}

// asksPassword reports whether the page is a login form.
func (p *page) asksPassword() bool { return p.status == 200 && strings.Contains(p.body, `"password"`) }

// signIn submits the provider's login form.
func (p *page) signIn(user string) *page {
	p.b.t.Helper()
	h := habits[p.b.w.op.kind]
	for _, f := range p.forms() {
		if f.fields.Has("password") {
			return p.send(f, h.field, user+h.domain, "password", user+h.password)
		}
	}
	p.b.t.Fatalf("no form asks for a password:%s", p)
	return nil
}

// asksCode reports whether the provider asks for a second factor.
func (p *page) asksCode() bool { return p.code() != "" }

// code returns the name of the field for a second factor, or "".
func (p *page) code() string {
	for _, f := range p.forms() {
		for _, name := range []string{"code", "otp"} {
			if f.fields.Has(name) {
				return name
			}
		}
	}
	return ""
}

// proves signs in with everything that the provider asks for, page by page: a password, a
// second factor, or both.
func (p *page) proves(user string) *page {
	p.b.t.Helper()
	h, field := habits[p.b.w.op.kind], ""
	for range 3 {
		if p.b.w.isSite(p.url) {
			return p
		}
		field = p.code()
		for _, f := range p.forms() {
			if !f.fields.Has("password") && !f.fields.Has(field) {
				continue
			}
			for name, value := range map[string]string{h.field: user, "password": user + h.password, field: codeOf(p.b.w.op.kind, user)} {
				if f.fields.Has(name) {
					f.fields.Set(name, value)
				}
			}
			p = p.send(f)
			break
		}
	}
	if !p.b.w.isSite(p.url) {
		p.b.t.Fatalf("expected to be back at the site, seen:%s", p)
	}
	return p
}

// codeOf returns a user's current second factor.
func codeOf(kind, user string) string {
	if kind == keycloak {
		return oneTimePassword(user, time.Now())
	}
	return "123456"
}

// upstreamSaw returns the request that the application received, and fails if the page is
// not the application's answer.
func (p *page) upstreamSaw() seen {
	p.b.t.Helper()
	var s seen
	if p.status != 200 {
		p.b.t.Fatalf("expected the application's page, seen status %d:%s", p.status, p)
	}
	if err := json.Unmarshal([]byte(p.body), &s); err != nil {
		p.b.t.Fatalf("expected the application's page: %v:%s", err, p)
	}
	if s.URI == "" {
		p.b.t.Fatalf("expected the application's page, seen none:%s", p)
	}
	return s
}

// isFor fails unless the application received this request URI with this user ("" for an
// anonymous request).
func (p *page) isFor(user, uri string) seen {
	p.b.t.Helper()
	s := p.upstreamSaw()
	if s.URI != uri {
		p.b.t.Errorf("the application saw %q, wanted %q%s", s.URI, uri, p)
	}
	if got := s.Headers.Values("X-User"); len(got) != 1 || got[0] != user {
		p.b.t.Errorf("X-User %q, wanted %q", got, user)
	}
	return s
}

// is fails unless the page is the site's, with this status and these words.
func (p *page) is(status int, words ...string) *page {
	p.b.t.Helper()
	if p.status != status {
		p.b.t.Fatalf("expected status %d, seen %d:%s", status, p.status, p)
	}
	if !p.b.w.isSite(p.url) {
		p.b.t.Fatalf("expected a page of the site, seen:%s", p)
	}
	for _, word := range words {
		if !strings.Contains(strings.ToLower(p.body), strings.ToLower(word)) {
			p.b.t.Errorf("the page does not have %q:%s", word, p)
		}
	}
	return p
}

// callback returns the callback's URL.
func (p *page) callback() string {
	p.b.t.Helper()
	for _, h := range p.hops {
		if strings.HasPrefix(h.url, p.b.w.base+"/@app/auth/") && strings.Contains(h.url, "/code?") {
			return h.url
		}
	}
	p.b.t.Fatalf("no callback in%s", p)
	return ""
}

// authorization returns the parameters of the authorization request that began the login.
func (p *page) authorization() url.Values {
	p.b.t.Helper()
	for _, h := range p.hops {
		if u := mustParse(h.url); !p.b.w.isSite(u) && u.Query().Has("response_type") {
			return u.Query()
		}
	}
	p.b.t.Fatalf("no login was begun:%s", p)
	return nil
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A page is where a page load ended.
type page struct {
	b      *browser
	url    *url.URL
	status int // 0: held before it was asked for
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

// signIn opens a page, signs in at the provider where it asks, and ends where
// the site leads.
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

// asksPassword reports whether it is a login form.
func (p *page) asksPassword() bool { return p.status == 200 && strings.Contains(p.body, `"password"`) }

// signIn fills the provider's login form.
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

// code is the name of the field for a second factor, if the page has one.
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

// proves signs in with all that the provider asks for, page by page: a password, a
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

// codeOf is a user's second factor now.
func codeOf(kind, user string) string {
	if kind == keycloak {
		return oneTimePassword(user, time.Now())
	}
	return "123456"
}

// upstreamSaw is what the application was sent, when the page is its answer.
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

// isFor fails unless the application answered, to this request line, and got
// this user ("" for anonymous requests).
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

// is fails unless the page is one of ours with that status and says something
// about the words.
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

// callback is the request in which the provider handed back to the site.
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

// authorization is what the site asked of the provider to begin the login.
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

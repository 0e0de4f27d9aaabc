package selfservice

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// browser keeps cookies and the last page.
type browser struct {
	h       *harness
	cookies map[string]*http.Cookie
	page    *html.Node
	body    string
	status  int
	to      string // where a redirect leads
	// language is the preferred language.
	language string
}

func (h *harness) browser() *browser { return &browser{h: h, cookies: make(map[string]*http.Cookie)} }

// signIn starts a session in the browser that has just been authenticated by amr.
func (b *browser) signIn(user *store.User, amr ...string) *store.Session {
	b.h.t.Helper()
	r := httptest.NewRequest(http.MethodGet, issuer+"/signin/1", nil)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	session, err := b.h.manager.Start(w, r, sso.Authentication{User: user, Time: b.h.at, AMR: amr})
	if err != nil {
		b.h.t.Fatal(err)
	}
	b.keep(w)
	return session
}

func (b *browser) keep(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
}

func (b *browser) send(r *http.Request) *browser {
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	r.Header.Set("Accept-Language", b.language)
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	b.keep(w)
	b.status, b.body, b.to = w.Code, w.Body.String(), w.Header().Get("Location")
	b.page, _ = html.Parse(strings.NewReader(b.body))
	return b
}

func (b *browser) get(path string) *browser {
	return b.send(httptest.NewRequest(http.MethodGet, path, nil))
}

// post sends fields to a path.
func (b *browser) post(path string, fields url.Values) *browser {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(r)
}

// submit sends the form that has a field. pairs of names and values replace the values of
// its fields.
func (b *browser) submit(field string, pairs ...string) *browser {
	b.h.t.Helper()
	for form := range find(b.page, "form") {
		values := url.Values{}
		has := false
		for input := range find(form, "input") {
			name := attr(input, "name")
			has = has || name == field
			values.Set(name, attr(input, "value"))
		}
		if !has || strings.EqualFold(attr(form, "method"), "get") {
			continue
		}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		return b.post(attr(form, "action"), values)
	}
	b.h.t.Fatalf("expected a form with the field %q, seen %s", field, b.body)
	return nil
}

func find(n *html.Node, tag string) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		for d := range n.Descendants() {
			if d.Type == html.ElementNode && d.Data == tag && !yield(d) {
				return
			}
		}
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// wants checks the status and that the page contains a text.
func (b *browser) wants(what string, status int, text string) {
	b.h.t.Helper()
	if b.status != status {
		b.h.t.Errorf("%s: expected status %d, seen %d (%v)", what, status, b.status, errors.Join(b.h.failed...))
	}
	if !strings.Contains(b.body, text) {
		b.h.t.Errorf("%s: expected %q, seen %s", what, text, b.body)
	}
}

// wantsRedirect checks the address of a redirect.
func (b *browser) wantsRedirect(what, to string) {
	b.h.t.Helper()
	if b.status != http.StatusSeeOther || b.to != to {
		b.h.t.Errorf("%s: expected a redirect to %s, seen %d to %s: %s (%v)", what, to, b.status, b.to, b.body, errors.Join(b.h.failed...))
	}
}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// requestOf returns a request with the browser's cookies.
func requestOf(b *browser) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/account", nil)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	return r
}

func postRequest(path string, fields url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// tokenFor returns the form token of a page in a browser.
func (h *harness) tokenFor(b *browser, path string) string {
	if endpoints[path].open {
		return openToken(h.Cookies.Get(requestOf(b), formCookie), path)
	}
	return h.manager.FormToken(requestOf(b), "account")
}

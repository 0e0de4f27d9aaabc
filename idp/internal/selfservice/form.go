package selfservice

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
)

const (
	// fieldForm is the hidden field that shows that a page of ours sent a form.
	fieldForm = "csrf"
	// formCookie has the secret behind that field in browsers without a session.
	formCookie = "oidc_idp_form"
)

// formToken returns what the forms of this address carry. It is bound to the
// browser: to its session, or to a cookie, which it gets with the page.
func (v *visit) formToken() string {
	if v.session != nil {
		return v.Sessions.FormToken(v.r, "account")
	}
	secret := v.Cookies.Get(v.r, formCookie)
	if secret == "" {
		secret = rand.Text()
		v.Cookies.SetTransient(v.w, formCookie, secret)
	}
	return openToken(secret, v.r.URL.Path)
}

func openToken(secret, path string) string {
	if secret == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("form of " + path))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// readForm reads the form of a POST, and answers the request if no page of ours in
// this browser has sent it.
func (v *visit) readForm(open bool) bool {
	if !strings.HasPrefix(v.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || v.r.ParseForm() != nil {
		v.render(http.StatusBadRequest, pages.Forged())
		return false
	}
	want := v.Sessions.FormToken(v.r, "account")
	if open {
		want = openToken(v.Cookies.Get(v.r, formCookie), v.r.URL.Path)
	}
	if want == "" || subtle.ConstantTimeCompare([]byte(want), []byte(v.field(fieldForm))) != 1 || !v.isSameOrigin() {
		v.render(http.StatusForbidden, pages.Forged())
		return false
	}
	return true
}

// isSameOrigin reports whether the browser says that a page of ours has sent a
// form, or says nothing: without a referrer it sends the origin «null».
func (v *visit) isSameOrigin() bool {
	if site := v.r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	origin := v.r.Header.Get("Origin")
	return origin == "" || origin == "null" || origin == v.Issuer
}

// field returns a field of the form. Only the body counts, never the query.
func (v *visit) field(name string) string { return v.r.PostForm.Get(name) }

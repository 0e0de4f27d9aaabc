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
	// fieldForm is the hidden field that proves that a form was sent by one of our pages.
	fieldForm = "csrf"
	// formCookie contains the secret from which that field is derived in browsers without
	// a session.
	formCookie = "oidc_idp_form"
)

// formToken returns the token for forms on this page. It is bound to the browser's
// session or, without one, to a cookie that is set with the page.
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

// readForm parses the form of a POST request. If the form was not sent by one of our
// pages in this browser, it responds with an error and returns false. open is set for
// endpoints that need no session.
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

// isSameOrigin reports whether a form was sent by one of our pages, as far as the browser
// tells. Browsers send the origin «null» with Referrer-Policy no-referrer.
func (v *visit) isSameOrigin() bool {
	if site := v.r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	origin := v.r.Header.Get("Origin")
	return origin == "" || origin == "null" || origin == v.Issuer
}

// field returns a field of the form in the body. The query is ignored.
func (v *visit) field(name string) string { return v.r.PostForm.Get(name) }

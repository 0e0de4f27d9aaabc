package request

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
)

const (
	cookieName = "oidc_idp_request_"
	// maxCookies is how many requests of a browser are in flight, or were lately.
	// The oldest give way: a browser that collects cookies would be refused for
	// the size of its headers at some time.
	maxCookies = 12
	// maxHome is the longest address of an application that a cookie holds.
	maxHome = 512
	// answeredFor is how long a browser knows that a request was answered.
	answeredFor = 10 * time.Minute
)

// bound is the value of the cookie that binds a request to its browser.
type bound struct {
	begun  time.Time // to the second
	secret string    // empty once the request was answered
	home   string    // of the application, so that there is a way on when the request is over
}

// String returns the cookie's value.
func (b bound) String() string {
	return strconv.FormatInt(b.begun.Unix(), 36) + "." + b.secret + "." + base64.RawURLEncoding.EncodeToString([]byte(b.home))
}

// parseBound reads a cookie's value. What is not well formed is the zero value,
// which no request is bound to.
func parseBound(value string) bound {
	begun, rest, _ := strings.Cut(value, ".")
	secret, encoded, ok := strings.Cut(rest, ".")
	seconds, err := strconv.ParseInt(begun, 36, 64)
	if !ok || err != nil {
		return bound{}
	}
	home, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return bound{}
	}
	return bound{begun: time.Unix(seconds, 0), secret: secret, home: string(home)}
}

// Cookies says how cookies of the issuer's site are set.
type Cookies struct {
	// Insecure: the issuer is on loopback, and served by plain HTTP.
	Insecure bool
}

// Name returns the name of a cookie: with the prefix by which browsers take it
// from this host alone.
func (c Cookies) Name(name string) string {
	if c.Insecure {
		return name
	}
	return "__Host-" + name
}

// Set sets a cookie, which lasts for a time, or deletes it if the time is not
// positive.
func (c Cookies) Set(w http.ResponseWriter, name, value string, lasts time.Duration) {
	set := &http.Cookie{
		Name: c.Name(name), Value: value, Path: "/", MaxAge: int(lasts / time.Second),
		Secure: !c.Insecure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if lasts <= 0 {
		set.MaxAge = -1
	}
	cookie.Set(w.Header(), set)
}

// SetTransient sets a cookie that lasts until the browser is closed.
func (c Cookies) SetTransient(w http.ResponseWriter, name, value string) {
	cookie.Set(w.Header(), &http.Cookie{
		Name: c.Name(name), Value: value, Path: "/",
		Secure: !c.Insecure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Get returns the value of a cookie, or nothing if the browser has not sent it or
// has sent several of its name.
func (c Cookies) Get(r *http.Request, name string) string {
	found := r.CookiesNamed(c.Name(name))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// dropOldest deletes the oldest cookies of requests, so that one more has room.
func (c Cookies) dropOldest(w http.ResponseWriter, r *http.Request) {
	type named struct {
		name  string
		begun time.Time
	}
	var all []named
	for _, sent := range r.Cookies() {
		if id, ok := strings.CutPrefix(sent.Name, c.Name(cookieName)); ok {
			all = append(all, named{cookieName + id, parseBound(sent.Value).begun})
		}
	}
	slices.SortFunc(all, func(a, b named) int { return a.begun.Compare(b.begun) })
	for i := 0; i <= len(all)-maxCookies; i++ {
		c.Set(w, all[i].name, "", 0)
	}
}

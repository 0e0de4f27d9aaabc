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
	// maxCookies is the maximum number of request cookies in a browser. The oldest are
	// deleted: otherwise the request headers of some browsers would eventually become too
	// large.
	maxCookies = 12
	// maxHome is the maximum length of an application's address in a cookie, in bytes.
	maxHome = 512
	// answeredFor is how long a browser remembers that a request has been answered.
	answeredFor = 10 * time.Minute
)

// bound is the value of the cookie that binds a request to its browser.
type bound struct {
	begun  time.Time // with a precision of seconds
	secret string    // empty once the request has been answered
	home   string    // the application's address, to offer a way on when the request is over
}

// String returns the encoded value of the cookie.
func (b bound) String() string {
	return strconv.FormatInt(b.begun.Unix(), 36) + "." + b.secret + "." + base64.RawURLEncoding.EncodeToString([]byte(b.home))
}

// parseBound parses the value of a cookie. It returns the zero value, which matches no
// request, if the value is malformed.
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

// Cookies sets and reads the cookies of the issuer's site.
type Cookies struct {
	// Insecure is set if the issuer is on loopback and served over plain HTTP.
	Insecure bool
}

// Name returns the full name of a cookie. Its prefix makes browsers accept the cookie
// only from this host.
func (c Cookies) Name(name string) string {
	if c.Insecure {
		return name
	}
	return "__Host-" + name
}

// Set sets a cookie that lasts for a duration, or deletes it if the duration is not
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

// Get returns the value of a cookie. It is empty if the browser has not sent the cookie,
// or has sent several with this name.
func (c Cookies) Get(r *http.Request, name string) string {
	found := r.CookiesNamed(c.Name(name))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// dropOldest deletes the oldest request cookies to make room for one more.
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

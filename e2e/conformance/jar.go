package main

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A jar keeps cookies like a browser, including SameSite, which Go's own jar ignores. It
// supports hosts and paths; no cookie here has a Domain.
type jar struct {
	cookies map[string]map[string]*http.Cookie // by host name (without port), and then by name and path
}

func newJar() *jar { return &jar{cookies: map[string]map[string]*http.Cookie{}} }

func (j *jar) set(u *url.URL, all []*http.Cookie) {
	host := u.Hostname()
	if j.cookies[host] == nil {
		j.cookies[host] = map[string]*http.Cookie{}
	}
	for _, c := range all {
		if c.Secure && u.Scheme != "https" {
			continue
		}
		if !strings.HasPrefix(c.Path, "/") {
			c.Path = "/"
		}
		key := c.Name + ";" + c.Path
		if c.MaxAge < 0 || !c.Expires.IsZero() && c.Expires.Before(time.Now()) {
			delete(j.cookies[host], key)
			continue
		}
		j.cookies[host][key] = c
	}
}

// add adds the cookies that a browser would send with the request. crossSite reports
// whether another site initiated the request, and topLevel whether it navigates the whole
// window.
func (j *jar) add(r *http.Request, crossSite, topLevel bool) {
	for _, c := range j.cookies[r.URL.Hostname()] {
		if c.Secure && r.URL.Scheme != "https" || !covers(c.Path, r.URL.Path) {
			continue
		}
		lax := c.SameSite != http.SameSiteNoneMode // Lax is the default
		if lax && crossSite && !(topLevel && r.Method == http.MethodGet) {
			continue
		}
		if c.SameSite == http.SameSiteStrictMode && crossSite {
			continue
		}
		r.AddCookie(c)
	}
}

// covers reports whether a cookie with this path is sent to the address (RFC 6265,
// section 5.1.4).
func covers(path, address string) bool {
	return strings.HasPrefix(address, path) &&
		(len(address) == len(path) || strings.HasSuffix(path, "/") || address[len(path)] == '/')
}

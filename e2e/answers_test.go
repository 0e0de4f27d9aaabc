package e2e

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// These checks hold for every answer of the site. The browser runs them on each answer,
// so that the journeys don't have to.

// ownPlace matches a Location on the site itself, without anything that a browser reads
// as another host.
var ownPlace = regexp.MustCompile(`^/($|[^/\\])[\x21-\x5b\x5d-\x7e]*$`)

func (w *world) checkAnswer(p *page) {
	w.t.Helper()
	u, h := p.url, p.header
	wrong := func(what string) {
		w.t.Helper()
		w.t.Errorf("%s %s → %d: %s", p.hops[len(p.hops)-1].method, shorten(u), p.status, what)
	}
	for _, c := range h.Values("Set-Cookie") {
		if !strings.Contains(h.Get("Cache-Control"), "no-store") {
			wrong("sets a cookie without no-store: " + h.Get("Cache-Control"))
		}
		attributes := strings.ToLower(c)
		name, _, _ := strings.Cut(c, "=")
		sites := "; samesite=lax"
		if w.posted && strings.Contains(name, "_tx_") && strings.Contains(attributes, "; samesite=none") {
			sites = "; secure"
		}
		for _, attribute := range []string{"; httponly", sites} {
			if !strings.Contains(attributes, attribute) {
				wrong(fmt.Sprintf("cookie %s: expected %q, seen %q", name, attribute, attributes))
			}
		}
		if u.Scheme == "https" {
			if !strings.Contains(attributes, "; secure") {
				wrong("cookie " + name + " without Secure")
			}
			if !strings.HasPrefix(name, "__Host-") && !strings.HasPrefix(name, "__Secure-") {
				wrong("cookie " + name + " without a prefix that demands Secure")
			}
		}
	}
	if location := h.Get("Location"); location != "" && !ownPlace.MatchString(location) {
		to, err := url.Parse(location)
		if err != nil || !w.isSite(to) && to.Scheme+"://"+to.Host != w.op.origin() {
			wrong("leads to " + location)
		}
	}
	if w.proxied && strings.HasPrefix(h.Get("Location"), w.base+"/@app/auth/") {
		return // the proxy's own redirect
	}
	endpoint := strings.HasPrefix(u.Path, "/@app/auth/") || u.Path == "/Special:UserLogout"
	if !endpoint && p.status < 300 { // the application's answer
		return
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
		if got := h.Get(name); !strings.Contains(got, want) {
			wrong(name + " is " + got)
		}
	}
	csp := h.Get("Content-Security-Policy")
	if !strings.Contains(csp, "-src") {
		wrong("Content-Security-Policy restricts nothing: " + csp)
	}
	if strings.Contains(csp, "script-src 'unsafe-inline'") {
		wrong("Content-Security-Policy allows inline scripts: " + csp)
	}
	if p.status == 401 && strings.Contains(csp, "frame-ancestors *") {
		return // the page that says that the session ended
	}
	if !strings.Contains(csp, "frame-ancestors 'none'") && !strings.EqualFold(h.Get("X-Frame-Options"), "deny") {
		wrong("may be framed")
	}
}

func shorten(u *url.URL) string {
	if u.RawQuery != "" {
		return u.Path + "?…"
	}
	return u.Path
}

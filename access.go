package oidcrp

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// access is what the configuration says about a request.
type access struct {
	guarded         bool   // the guard covers it
	public          bool   // anybody may see it
	named           bool   // a public route names it: its answers are for anybody
	unauthenticated string // what happens to who is not signed in
}

// access asks the matchers for every reading of the path that an application
// could make, since what decides here is not what is sent there. A request is
// public only if every reading is, and guarded if any is. A matcher's error is
// the caller's to answer with: it never opens anything.
func (h *Handler) access(r *http.Request, original *url.URL) (access, error) {
	if len(h.guard) == 0 && len(h.Routes) == 0 {
		return access{guarded: true, public: h.Mode == modePublic, unauthenticated: h.Unauthenticated}, nil
	}
	if original.Path == r.URL.Path && original.RawPath == r.URL.RawPath && r.URL.RawPath == "" && address.Plain(r.URL.Path) {
		return h.accessAsRead(r)
	}
	var buffer [8]address.Reading
	readings, complete := address.Readings(buffer[:0],
		address.Path{Path: original.Path, RawPath: original.EscapedPath()},
		address.Path{Path: r.URL.Path, RawPath: r.URL.EscapedPath()})
	if !complete {
		return access{guarded: true, unauthenticated: h.Unauthenticated}, nil
	}
	current, sent := *r.URL, *original
	defer func() {
		original.Path, original.RawPath = sent.Path, sent.RawPath
		r.URL.Path, r.URL.RawPath = current.Path, current.RawPath
	}()
	all := access{public: true, named: true}
	// The current path is the first reading, and looked at last: what matchers
	// leave behind for placeholders is of that.
	for _, reading := range slices.Backward(readings) {
		original.Path, original.RawPath = reading.Path, reading.RawPath
		r.URL.Path, r.URL.RawPath = reading.Path, reading.RawPath
		one, err := h.accessAsRead(r)
		if err != nil {
			return all, err
		}
		all.add(one)
	}
	return all, nil
}

// add takes the stricter of two verdicts.
func (a *access) add(one access) {
	if !one.guarded {
		return
	}
	a.guarded = true
	a.named = a.named && one.named
	if one.public {
		return
	}
	if a.public || one.unauthenticated == "deny" {
		a.unauthenticated = one.unauthenticated
	}
	a.public = false
}

// accessAsRead is the verdict on the path as it stands in the request.
func (h *Handler) accessAsRead(r *http.Request) (access, error) {
	if len(h.guard) > 0 {
		if covered, err := h.guard.AnyMatchWithError(r); err != nil || !covered {
			return access{}, err
		}
	}
	for _, route := range h.Routes {
		matched, err := route.matchers.AnyMatchWithError(r)
		if err != nil {
			return access{}, err
		}
		if matched {
			public := route.Mode == modePublic
			return access{guarded: true, public: public, named: public, unauthenticated: orDefault(route.Unauthenticated, h.Unauthenticated)}, nil
		}
	}
	return access{guarded: true, public: h.Mode == modePublic, unauthenticated: h.Unauthenticated}, nil
}

func orDefault(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}

// action is what happens to a request.
type action int

const (
	serve     action = iota // as whoever it is
	pass                    // as nobody
	signIn                  // go to the login
	challenge               // 401
	showError               // the page for an error that came back
)

// decide is the whole decision about a guarded request, of facts alone.
func decide(a access, signedIn, pageLoad, reads, preflight, knownError bool, onPreflight string) action {
	switch {
	case a.public, signedIn:
		return serve
	case preflight && onPreflight == "pass":
		return pass
	case knownError && pageLoad:
		return showError // a login that just failed does not begin anew by itself
	case a.unauthenticated == "deny":
		return challenge
	case a.unauthenticated == "redirect" && reads && !knownError:
		return signIn
	case pageLoad:
		return signIn
	}
	return challenge
}

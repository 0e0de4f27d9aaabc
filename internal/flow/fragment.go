package flow

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file preserves the fragment of an address, the part after «#», during a
// login.
//
// Browsers do not send fragments to servers, but a redirect to an address without a
// fragment inherits it, so that the provider's page would see it. Every redirect to
// a provider therefore has an empty fragment. If fragments are to be preserved, a
// page with a script takes the place of that redirect, since the browser knows the
// fragment only at the address itself, and a second page takes the place of the
// redirect back. Browsers without scripts pass both pages without it. If users
// choose a provider first, the first page leads to the chooser, with the key in a
// parameter. The key is not security-relevant: it only names the fragment among
// those that this tab keeps.

// keptFragment is the parameter for the key of a fragment.
const keptFragment = "kept_fragment"

var isFragmentKey = regexp.MustCompile(`^[A-Za-z0-9_-]{8}$`).MatchString

// withEmptyFragment returns the address with an empty fragment if it has none.
func withEmptyFragment(location string) string {
	if strings.Contains(location, "#") {
		return location
	}
	return location + "#"
}

// fragmentKey returns the key under which the browser keeps the fragment during the
// login, or "" if it keeps none. Only fragments of this origin's pages are kept.
func (l *login) fragmentKey(s *cookiescope.Scope, state string) string {
	switch {
	case l.fragment != "":
		return l.fragment
	case !l.KeepFragment || !l.keeps || l.R.Method != http.MethodGet || !isOwn(s, l.returnTo):
		return ""
	}
	return session.HashState(state).CookieSuffix()
}

// isOwn reports whether a checked return address is at this origin.
func isOwn(s *cookiescope.Scope, returnTo string) bool {
	here := strings.TrimPrefix(returnTo, s.Origin.String())
	return returnTo == "" || strings.HasPrefix(here, "/")
}

// keptBefore returns the key from a login link or the chooser's form, for a login
// that returns to a page of this origin; "" if there is none.
func (x *Exchange) keptBefore(key, returnTo string) string {
	if !x.KeepFragment || !isFragmentKey(key) || !isOwn(x.Scope(), returnTo) {
		return ""
	}
	return key
}

// sendTo redirects the browser to the provider. If key is new, it first has the
// browser keep the fragment of the current address under it.
func (l *login) sendTo(location, key string) *Failure {
	location = withEmptyFragment(location)
	if key == "" || key == l.fragment {
		_ = pages.Redirect(l.W, http.StatusFound, location)
		return nil
	}
	_ = l.fragmentPage(l.status, pages.Data{Next: location, Keep: key})
	return nil
}

// fragmentPage renders the page that has the browser keep or restore a fragment. It
// takes the place of a redirect.
func (x *Exchange) fragmentPage(status int, shown pages.Data) error {
	shown.TitleKey, shown.Script = "signing_in.title", x.script(pages.KeepFragmentScript)
	return x.render(pages.KeepFragment, status, shown)
}

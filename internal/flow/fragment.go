package flow

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file is about the fragment of an address, the part after «#».
//
// Browsers send it to no server, but a redirect to an address without one inherits it:
// the provider's page would see it. So every redirect of ours to a provider has a
// fragment of its own, which is empty. Where fragments are kept, a page with a script is
// in the place of the redirect, since only at the address itself the browser knows the
// fragment; and another one in the place of the redirect back. A browser that runs no
// scripts goes the same way without. Where users choose a provider first, the chooser is
// where the first page leads, with the key in a parameter. The key decides nothing: it
// only names what this tab may keep.

// keptFragment is the name of that parameter.
const keptFragment = "kept_fragment"

var isFragmentKey = regexp.MustCompile(`^[A-Za-z0-9_-]{8}$`).MatchString

// withEmptyFragment returns the address of another site, with a fragment that is empty.
func withEmptyFragment(location string) string {
	if strings.Contains(location, "#") {
		return location
	}
	return location + "#"
}

// fragmentKey returns what the browser keeps a fragment by during the login; empty if it
// keeps none. Fragments are for pages of this site alone.
func (l *login) fragmentKey(s *cookiescope.Scope, state string) string {
	switch {
	case l.fragment != "":
		return l.fragment
	case !l.KeepFragment || !l.keeps || l.R.Method != http.MethodGet || !isOwn(s, l.returnTo):
		return ""
	}
	return session.HashState(state).CookieSuffix()
}

// isOwn reports whether a checked return address is one of this origin.
func isOwn(s *cookiescope.Scope, returnTo string) bool {
	here := strings.TrimPrefix(returnTo, s.Origin.String())
	return returnTo == "" || strings.HasPrefix(here, "/")
}

// keptBefore returns the key in a login link or a form of the chooser, for a login that
// leads back to a page of this site; empty if there is none.
func (x *Exchange) keptBefore(key, returnTo string) string {
	if !x.KeepFragment || !isFragmentKey(key) || !isOwn(x.Scope(), returnTo) {
		return ""
	}
	return key
}

// sendTo sends the browser to the provider, and has it keep the fragment of where it is
// now if there is a key for it that is new.
func (l *login) sendTo(location, key string) *Failure {
	location = withEmptyFragment(location)
	if key == "" || key == l.fragment {
		_ = pages.Redirect(l.W, http.StatusFound, location)
		return nil
	}
	_ = l.fragmentPage(l.status, pages.Data{Next: location, Keep: key})
	return nil
}

// fragmentPage is in the place of a redirect where the browser keeps a fragment, or
// restores it.
func (x *Exchange) fragmentPage(status int, shown pages.Data) error {
	shown.TitleKey, shown.Script = "signing_in.title", x.script(pages.KeepFragmentScript)
	return x.render(pages.KeepFragment, status, shown)
}

package signin

import (
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// External is an external provider, as the first page shows it.
type External struct{ ID, Name string }

// Externals are the external providers.
type Externals interface {
	// Shown returns those that the first page shows.
	Shown() []External
	// ForDomain returns the one that the users of an e-mail address's domain sign
	// in at, whether the address is known or not.
	ForDomain(address string) (id string, ok bool)
	// Begin sends the browser to one, on behalf of a request. hint is what the user
	// typed, or empty.
	Begin(w http.ResponseWriter, r *http.Request, id string, q *request.Request, hint string)
}

// leaveFor sends the browser to an external provider, after a form. Browsers hold
// all redirects that follow a form against the policy of its page, which knows no
// other site: so they go on from a page, and programs by a redirect.
func (v *visit) leaveFor(id, hint string) {
	v.changed(func(_ store.Tx, state *State) error {
		state.Leaving, state.Name = id, hint
		state.problem("", "")
		return nil
	}, func() {
		if isBrowser(v.r) {
			v.render(&pages.Continue{Common: v.common(), URL: v.path("external")})
			return
		}
		v.goTo("external")
	})
}

// leave sends the browser to the external provider of its last form.
func (v *visit) leave() {
	if v.state.Leaving == "" || v.r.Method == http.MethodHead {
		v.proceed()
		return
	}
	v.Externals.Begin(v.w, v.r, v.state.Leaving, v.request, v.state.Name)
}

// isBrowser reports whether a request is by something that shows pages.
func isBrowser(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") != "" || strings.HasPrefix(r.UserAgent(), "Mozilla/")
}

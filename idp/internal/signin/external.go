package signin

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Externals are the external providers; see package broker.
type Externals interface {
	Externals() []broker.External
	// ForDomain returns the one that the users of an e-mail address's domain sign
	// in at, whether the address is known or not.
	ForDomain(address string) (id string, ok bool)
	// Begin sends the browser to one, on behalf of a request. hint is what the user
	// typed, or empty.
	Begin(w http.ResponseWriter, r *http.Request, id string, q *request.Request, hint string)
	// Link joins an external account with that of a user who has just signed in.
	Link(ctx context.Context, pending *broker.Pending, userID string) error
}

// shown returns the external providers that the first page shows.
func (s *SignIn) shown() (all []pages.External) {
	for _, e := range s.Externals.Externals() {
		if !e.Disabled {
			all = append(all, pages.External{ID: e.ID, Name: e.Name})
		}
	}
	return all
}

// leaveFor sends the browser to an external provider, after a form.
func (v *visit) leaveFor(id, hint string) {
	v.changed(func(_ store.Tx, state *State) error {
		*state = State{Leaving: id, Name: hint, Other: true, MayEnrol: state.MayEnrol}
		return nil
	}, func() { v.leaveForm("external") })
}

// leave sends the browser to the external provider of its last form.
func (v *visit) leave() {
	if v.state.Leaving == "" || v.r.Method == http.MethodHead {
		v.proceed()
		return
	}
	v.Externals.Begin(v.w, v.r, v.state.Leaving, v.request, v.state.Name)
}

// leaveForm sends the browser to an address of the request that leads to another
// site, after a form. Browsers hold all redirects that follow a form against the
// policy of its page, which names no other site: so they go on from a page of its
// own, and programs by a redirect.
func (v *visit) leaveForm(name string) {
	if isBrowser(v.r) {
		v.render(&pages.Continue{Common: v.common(), URL: v.path(name)})
		return
	}
	v.goTo(name)
}

// isBrowser reports whether a request is by something that shows pages.
func isBrowser(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") != "" || strings.HasPrefix(r.UserAgent(), "Mozilla/")
}

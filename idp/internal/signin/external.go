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
	// ForDomain returns the provider for the domain of an e-mail address, known or
	// not.
	ForDomain(address string) (id string, ok bool)
	// Begin sends the browser to a provider on behalf of a request. hint is what
	// the user typed; may be empty.
	Begin(w http.ResponseWriter, r *http.Request, id string, q *request.Request, hint string)
	// Link links an external account to a user who has just signed in.
	Link(ctx context.Context, pending *broker.Pending, userID string) error
}

// shown returns the external providers on the first page.
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
// site, after a form. Browsers check all redirects after a form against the page's
// form-action, which names no other sites. They therefore get an intermediate page,
// and programs a redirect.
func (v *visit) leaveForm(name string) {
	if isBrowser(v.r) {
		v.render(&pages.Continue{Common: v.common(), URL: v.path(name)})
		return
	}
	v.goTo(name)
}

// isBrowser reports whether a request comes from a browser.
func isBrowser(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") != "" || strings.HasPrefix(r.UserAgent(), "Mozilla/")
}

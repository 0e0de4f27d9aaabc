package oidcrp

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
)

const stateVar = "oidc_rp.visit"

// requestState is what is known about one request: which user it comes from, and
// what was done to its header. Several instances on one site share it, so that the
// second one still sees what the first took from the header.
type requestState struct {
	flow.State
	// upgrade is what the connection was to become, if anything.
	upgrade *headers.Upgrade

	lines  [1]string // room for the Cookie header that the application receives
	writer headers.ResponseWriter
}

// stateOf returns the request's state, and makes it where this is the first
// instance to see the request.
func (h *Handler) stateOf(r *http.Request) *requestState {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	st, ok := vars[stateVar].(*requestState)
	if !ok {
		st = &requestState{State: flow.State{Cookies: r.Header["Cookie"]}}
		if vars != nil {
			vars[stateVar] = st
		}
		if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			repl.Map(st.Placeholder)
		}
	}
	st.Enter(h.instance, r)
	return st
}

// clean takes out of a request what only we may say: identity headers in any
// spelling, trailers of such names, Connection tokens that would make a proxy
// drop them, and our own cookies. It comes first, on every path: also what is
// answered with an error may reach an application, by handle_errors.
func (h *Handler) clean(st *requestState, r *http.Request) {
	if h.siteHeaders == nil {
		h.siteHeaders = h.ownSiteHeaders() // no site was looked at
	}
	if len(st.Cookies) > 0 {
		cookie.Strip(r.Header, st.lines[:], h.app.cookieNames.Ours)
	}
	st.upgrade = h.siteHeaders.Clean(r, st.IdentityHeaders())
}

// callNext calls the next handler. noStore says that the response sets a cookie of
// ours, private that it is for one user.
func (st *requestState) callNext(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, noStore, private bool) error {
	if noStore || private {
		st.writer.BeforeHeader = st.BeforeResponse
		w = st.writer.Wrap(w, noStore)
	}
	err := next.ServeHTTP(w, r)
	if err != nil {
		st.writer.Prepare() // its response is written past the writer
	}
	return err
}

package oidcrp

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
)

// ServeHTTP implements caddyhttp.MiddlewareHandler. It serves endpoints. For all
// other guarded requests it authenticates the user, decides, and forwards the
// request or responds.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	original := originalURL(r)
	if rejectOpaque(w, r, original) {
		return nil
	}
	h.app.linkInstances()
	if r.Method == http.MethodConnect {
		return h.serveConnect(w, r, original, next)
	}
	return h.serve(w, r, original, next, false)
}

// serve does the work of ServeHTTP. webSocket reports whether the request is an
// extended CONNECT that opens a WebSocket (RFC 8441), and so has no Upgrade.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, original *url.URL, next caddyhttp.Handler, webSocket bool) error {
	st := h.stateOf(r, original)
	st.connect = webSocket
	call, found := h.endpointAt(original.Path)
	if found && call.Describes() {
		st.Sent = maps.Clone(r.Header)
	}
	h.clean(st, r)
	if found {
		return toHandlerError(call.Serve(w, r, &st.State))
	}
	if h.Mode == modeEndpoints {
		st.upgrade.Restore(r.Header, h.siteHeaders.Upgrades())
		return next.ServeHTTP(w, r)
	}
	policy, err := h.policy(r, original)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("match the request: %w", err))
	}
	if !policy.Guarded {
		st.upgrade.Restore(r.Header, h.siteHeaders.Upgrades())
		return next.ServeHTTP(w, r)
	}
	if (webSocket || st.upgrade.IsWebSocket()) && h.isFromForeignPage(r) {
		return h.serveForeign(w, r, st, policy, next)
	}
	return h.guarded(w, r, st, policy, next)
}

// endpointAt returns the endpoint of this instance or a sibling at a path.
func (h *Handler) endpointAt(path string) (call flow.Call, found bool) {
	if call, found = h.instance.Endpoint(path); found {
		return call, true
	}
	return h.instance.SiblingEndpoint(path)
}

// guarded serves a request that the guard covers.
func (h *Handler) guarded(w http.ResponseWriter, r *http.Request, st *requestState, policy authz.Policy, next caddyhttp.Handler) error {
	x := h.instance.At(w, r, &st.State)
	noStore, failed := x.Authenticate(policy.Public)
	if failed != nil {
		return toHandlerError(x.RespondFailed(failed))
	}
	if policy.Public && h.instance.Silent && !st.SignedIn() {
		begun, sets := x.TrySilently()
		if begun {
			return nil
		}
		noStore = noStore || sets
	}
	decision := h.decide(&x, st, policy)
	if st.tooEarly != nil {
		return st.tooEarly
	}
	switch decision.Action {
	case authz.Serve:
		h.setIdentityHeaders(st, r)
		st.upgrade.Restore(r.Header, h.Upgrades)
		st.follow(h, &policy)
		return st.callNext(w, r, next, noStore, !policy.Public || st.SignedIn() && !policy.Named)
	case authz.PassAnonymous:
		st.SignOut()
		st.upgrade.Restore(r.Header, h.Upgrades)
		return st.callNext(w, r, next, noStore, false)
	case authz.Login:
		return toHandlerError(x.BeginLogin(authz.DemandsOf(policy.Rules)))
	case authz.StepUp:
		return toHandlerError(x.StepUp(authz.DemandsOf(policy.Rules)))
	case authz.Forbidden:
		return toHandlerError(x.RespondRefused(decision.Rule, policy.Explain))
	case authz.ShowError:
		return toHandlerError(x.RespondKnownError())
	}
	return toHandlerError(x.RespondUnauthorized(decision.Reason, authz.DemandsOf(policy.Rules)))
}

// decide collects the facts about a guarded request and decides.
func (h *Handler) decide(x *flow.Exchange, st *requestState, policy authz.Policy) authz.Decision {
	st.guarded, st.tooEarly = true, nil
	policy.PassPreflights = h.Preflight == "pass"
	policy.Matchers = len(h.app.matcherNeeds) > 0
	facts := authz.Facts{User: x.State.User(), Shortfall: x.Shortfall(), Policy: policy}
	if len(policy.Rules) > 0 && facts.User.SignedIn() {
		if facts.Outcome = x.EvaluateRules(policy.Rules, st); facts.Outcome.Allowed() {
			st.tooEarly = nil
		}
	}
	if facts.DependsOnRequest() {
		facts.Request = authz.Request{
			PageLoad: !st.IsProgram() && navigation.IsPageLoad(x.R), Read: navigation.IsRead(x.R), Preflight: navigation.IsPreflight(x.R),
			KnownError: x.R.URL.RawQuery != "" && x.QueryError() != "",
		}
	}
	return authz.Decide(&facts)
}

// rejectOpaque responds with 400 to a request target that has a scheme and no path,
// such as foo:http://host/private. Go parses no path from it, so decisions by path
// would not see one, but an application would receive the whole target. The
// response is not left to handle_errors, which may proxy the request as it came.
func rejectOpaque(w http.ResponseWriter, r *http.Request, original *url.URL) bool {
	if r.URL.Opaque == "" && original.Opaque == "" {
		return false
	}
	original.Opaque, r.URL.Opaque = "", ""
	pages.StrictSecurityHeaders(w.Header())
	w.WriteHeader(http.StatusBadRequest)
	return true
}

// stateOf returns the state of the request. The first instance that sees the
// request creates it.
func (h *Handler) stateOf(r *http.Request, original *url.URL) *requestState {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	st, ok := vars[stateVar].(*requestState)
	if !ok {
		st = new(requestState)
		if site := siteHeadersOf(h); site.TakesCredentials() {
			st.Credentials = program.LinesOf(r.Header, site.Credentials())
		}
		if vars != nil {
			vars[stateVar] = st
		}
		if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			repl.Map(st.Placeholder)
		}
	}
	st.Enter(h.instance, r)
	st.r, st.original = r, original
	return st
}

// exchangeOf returns the exchange and the state of a request that no client sent.
func exchangeOf(h *Handler, w http.ResponseWriter, r *http.Request) (flow.Exchange, *requestState) {
	st := h.stateOf(r, originalURL(r))
	return h.instance.At(w, r, &st.State), st
}

// clean removes from a request what only we may set: identity headers in any
// spelling, trailers of such names, Connection options that would make a proxy drop
// them, and our own cookies. It runs first for every request, because a request
// that gets an error may still reach an application through handle_errors.
func (h *Handler) clean(st *requestState, r *http.Request) {
	if ours := h.app.cookieNames.Ours; !st.stripped {
		st.stripped = true
		st.Cookies = cookie.Strip(r.Header, st.lines[:], st.cookies[:0], ours)
	} else {
		cookie.Strip(r.Header, st.lines[:], nil, ours) // added since, so not from the browser
	}
	st.upgrade = siteHeadersOf(h).Clean(r, st.IdentityHeaders())
}

// serveConnect refuses CONNECT, which requests a tunnel, unless it opens a
// WebSocket. That is treated as a GET of its path, which may not be an endpoint.
// serveConnect writes refusals itself, because handle_errors may proxy the request
// as it came.
func (h *Handler) serveConnect(w http.ResponseWriter, r *http.Request, original *url.URL, next caddyhttp.Handler) error {
	_, isEndpoint := h.endpointAt(original.Path)
	if isEndpoint || !headers.IsWebSocketConnect(r) || original.Path == "" {
		pages.StrictSecurityHeaders(w.Header())
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	protocol, sent := r.Header[":protocol"]
	delete(r.Header, ":protocol")
	r.Method = http.MethodGet
	passed := false
	err := h.serve(w, r, original, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		passed = true
		r.Method = http.MethodConnect
		if sent {
			r.Header[":protocol"] = protocol
		}
		return next.ServeHTTP(w, r)
	}), true)
	if err == nil || passed {
		return err
	}
	status := http.StatusInternalServerError
	var refusal caddyhttp.HandlerError
	if errors.As(err, &refusal) && refusal.StatusCode != 0 {
		status = refusal.StatusCode
	}
	h.logger.Debug("a WebSocket was refused", zap.String("event", "websocket_refused"), zap.Int("status", status), zap.Error(err))
	pages.StrictSecurityHeaders(w.Header())
	w.WriteHeader(status)
	return nil
}

// serveForeign forwards a WebSocket of another origin's page as anonymous on public
// routes, and refuses it on private ones.
func (h *Handler) serveForeign(w http.ResponseWriter, r *http.Request, st *requestState, policy authz.Policy, next caddyhttp.Handler) error {
	st.DropIdentity(r.Header)
	st.guarded = true
	x := h.instance.At(w, r, &st.State)
	x.WithholdCredential()
	if !policy.Public {
		return toHandlerError(x.RefuseForeignWebSocket())
	}
	st.upgrade.Restore(r.Header, h.Upgrades)
	return next.ServeHTTP(w, r)
}

// isFromForeignPage reports whether a page of another origin opens the WebSocket.
// Browsers then send cookies without a CORS preflight. Programs send no Origin.
func (h *Handler) isFromForeignPage(r *http.Request) bool {
	from, sent := r.Header["Origin"]
	if !sent {
		return false
	}
	s := h.instance.Scopes.Of(r)
	if len(from) != 1 || s == nil {
		return true
	}
	return !s.Origin.SameOrigin(from[0]) && !slices.ContainsFunc(h.instance.ReturnTo, func(o address.Origin) bool { return o.SameOrigin(from[0]) })
}

// toHandlerError turns a *flow.Error into a caddyhttp.HandlerError.
func toHandlerError(err error) error {
	if err == nil {
		return nil
	}
	var left *flow.Error
	if !errors.As(err, &left) {
		return err
	}
	handlerError := caddyhttp.Error(left.Status, left.Err)
	if left.ID != "" {
		handlerError.ID = left.ID // as in our log line
	}
	return handlerError
}

package oidcrp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	// maxLogins is how many logins a browser can have in flight.
	maxLogins = 5
	// maxTransaction bounds a transaction's cookie, name and value, in bytes.
	maxTransaction = 1500
	// seenTransactions bounds how many are looked at to find the oldest.
	seenTransactions = 24
)

// serveLogin begins a login that a link asked for.
func (h *Handler) serveLogin(w http.ResponseWriter, r *http.Request, st *requestState, p *provider) error {
	if navigation.IsSubresource(r) {
		return h.unauthenticated(w, r, st, errorcode.SignInRequired, p, "")
	}
	query := queryOf(r, append([]string{"returnto", "prompt"}, p.forward...)...)
	returnTo, ok := h.checkReturn(h.cookieScope(r), query.Get("returnto"))
	if !ok {
		returnTo = ""
	}
	extra := make(url.Values)
	for _, name := range p.forward {
		if value := query.Get(name); value != "" && len(value) <= 500 {
			extra.Set(name, value)
		}
	}
	if query.Get("prompt") == selectAccount && !extra.Has("prompt") {
		extra.Set("prompt", p.otherAccount(r.Context()))
	}
	return h.beginRequested(w, r, st, p, returnTo, extra)
}

// selectAccount in a login URL asks for another account than the one that the
// provider knows already.
const selectAccount = "select_account"

// otherAccount is the prompt for that: not every provider takes select_account.
func (p *provider) otherAccount(ctx context.Context) string {
	if metadata, err := p.client.Discovery.Metadata(ctx); err == nil && metadata.SelectsAccount() {
		return selectAccount
	}
	return "login"
}

// beginRequested begins a login that a person or another site asked for. Who clicks
// on a link may try as often as they like; scripts that send browsers here over
// and over may not.
func (h *Handler) beginRequested(w http.ResponseWriter, r *http.Request, st *requestState, p *provider, returnTo string, extra url.Values) error {
	if r.Header.Get("Sec-Fetch-User") != "?1" {
		if f := h.rejectsCookies(r, st, p, returnTo); f != nil {
			return h.respondError(w, r, st, f)
		}
	}
	if f := h.begin(w, r, st, p, returnTo, extra); f != nil {
		return h.respondError(w, r, st, f)
	}
	return nil
}

// beginFromPage sends who opens a private page to the login, to come back to
// that page. If that cannot be, the page is not available.
func (h *Handler) beginFromPage(w http.ResponseWriter, r *http.Request, st *requestState) error {
	baseSecurityHeaders(w.Header())
	if h.cookieScope(r) == nil {
		return h.errorPage(w, r, st, http.StatusBadRequest, &failure{code: errorcode.BadRequest, cause: errNoHost}, "")
	}
	p := h.defaultProvider
	if p.disabled {
		return h.respondDisabled(w, r, st, p)
	}
	if (h.isForeignToProvider(st.foreign) || h.siblingHasSession(r, st, p)) && !h.countLogin(w, r, st) {
		return h.respondTooManyLogins(w, r, st)
	}
	return h.beginForPage(w, r, st, p, nil)
}

// beginForPage begins a login that leads back to the page of the request.
func (h *Handler) beginForPage(w http.ResponseWriter, r *http.Request, st *requestState, p *provider, extra url.Values) error {
	returnTo := h.returnToPage(h.cookieScope(r), r)
	if f := h.rejectsCookies(r, st, p, returnTo); f != nil {
		return h.errorPage(w, r, st, http.StatusForbidden, f, h.log(r, f))
	}
	f := h.begin(w, r, st, p, returnTo, extra)
	if f == nil {
		return nil
	}
	var unavailable *op.UnavailableError
	if errors.As(f.cause, &unavailable) {
		return h.respondUnavailable(w, r, st, unavailable.RetryAfter, f)
	}
	if errors.Is(f.cause, errorcode.ErrStorage) {
		return h.respondUnavailable(w, r, st, storageRetryAfter, f)
	}
	return h.errorPage(w, r, st, http.StatusForbidden, f, h.log(r, f))
}

// requestedURL is the address that a request was for, as it was sent; what browsers
// would have escaped is.
func requestedURL(r *http.Request) string {
	original := originalRequest(r)
	target := original.RequestURI
	if !strings.HasPrefix(target, "/") {
		target = original.URL.RequestURI()
	}
	return address.EscapeTarget(target)
}

// returnToPage is where a login leads that a page load begins: back to that
// page. A path that begins with two slashes would be another host's name, so it
// is returned to by the whole address.
func (h *Handler) returnToPage(s *cookiescope.Scope, r *http.Request) string {
	target := requestedURL(r)
	if strings.HasPrefix(target, "//") {
		target = s.Origin.String() + target
	}
	returnTo, _ := h.checkReturn(s, target)
	return returnTo
}

// withoutError takes a known auth_error out of an address's query: a login that
// works does not lead back to the error of one that did not. All else stays
// byte for byte.
func withoutError(location string) string {
	original := location
	if !strings.Contains(location, "auth_error=") {
		return location
	}
	location, fragment, hasFragment := strings.Cut(location, "#")
	path, query, hasQuery := strings.Cut(location, "?")
	if !hasQuery {
		return original
	}
	var kept []string
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if _, known := errorcode.Lookup(value); name != "auth_error" || !known {
			kept = append(kept, pair)
		}
	}
	if len(kept) > 0 {
		path += "?" + strings.Join(kept, "&")
	}
	if hasFragment {
		path += "#" + fragment
	}
	return path
}

// checkReturn checks an address to return to after a login. Our own endpoints
// are none: to come back to the logout would undo the login.
func (h *Handler) checkReturn(s *cookiescope.Scope, raw string) (string, bool) {
	raw = address.Escape(raw)
	location, ok := address.Return(raw, s.Origin, h.returnTo)
	if !ok {
		location, ok = address.ReturnWhole(raw, s.Origin)
	}
	if !ok {
		return "", false
	}
	here := strings.TrimPrefix(location, s.Origin.String())
	if u, err := url.Parse(location); err != nil {
		return "", false
	} else if strings.HasPrefix(here, "/") && h.isOurPath(u.Path) {
		return "", false
	}
	return withoutError(location), true
}

func (h *Handler) isOurPath(path string) bool {
	var readings [8]address.Reading
	all, complete := address.Readings(readings[:0], address.Path{Path: path}, address.Path{Path: path})
	for _, reading := range all {
		_, _, ours := h.cutEndpoint(reading.Path)
		if ours || reading.Path == h.LogoutPath || h.providerByRedirectPath[reading.Path] != nil {
			return true
		}
	}
	return !complete
}

// redirectURI is where the provider sends the browser back to: with its own
// id, whatever alias the login was asked by.
func (h *Handler) redirectURI(s *cookiescope.Scope, p *provider) string {
	if p.redirectPath != "" {
		return s.Origin.String() + p.redirectPath
	}
	return s.Origin.String() + h.Endpoints + "/" + p.id + "/code"
}

// begin opens a transaction and sends the browser to the provider. Nothing is
// written when it returns a failure.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, st *requestState, p *provider, returnTo string, extra url.Values) *failure {
	s := h.cookieScope(r)
	refuse := func(c errorcode.Code, err error) *failure { return &failure{c, err, p, returnTo} }
	if !s.Ready {
		return refuse(errorcode.BadRequest, errorcode.ErrPlainHTTP)
	}
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return refuse(errorcode.ProviderUnavailable, storageFailure(err).cause)
	}
	if err := h.sessions.Ready(r.Context()); err != nil {
		// A login that cannot end in a session would only be followed by another.
		return refuse(errorcode.ProviderUnavailable, storageFailure(err).cause)
	}
	if p.formPost && s.Origin.Scheme == "http" && !s.Origin.Loopback() {
		return refuse(errorcode.BadRequest, errorcode.ErrFormPostPlainHTTP)
	}
	t := session.NewTransaction()
	t.Binding, t.Provider, t.Return, t.Began = p.registration, p.id, returnTo, h.now()
	t.RedirectURI, t.Silent = h.redirectURI(s, p), st.silent
	t.Demands, t.Requested = p.client.Demands.Encode(), h.needs(p, "").Names()
	t.Return = address.Shorten(t.Return, session.MaxReturn)
	location, err := p.client.AuthorizationURL(r.Context(), loginOf(&t), extra)
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	name := s.TransactionPrefix + session.HashState(t.State).CookieSuffix()
	value := ring.Seal(seal.ForTransaction, s.TransactionAAD, t.Encode())
	for max := len(t.Return); len(name)+len(value) > maxTransaction && max > 0; max /= 2 {
		t.Return = address.Shorten(t.Return, max-1)
		value = ring.Seal(seal.ForTransaction, s.TransactionAAD, t.Encode())
	}
	if t.Return != returnTo && h.isFirst(p, "shortened", "") {
		h.logger.Info("a return address does not fit a login in flight, which leads back to the page without its query; further ones are not logged",
			zap.Int("bytes", len(returnTo)), zap.String("host", r.Host))
	}
	h.logRegistration(s, p, t.RedirectURI)
	h.expireOldest(w, st, s, ring)
	c := s.Cookie(name, value, "/", int(session.TransactionLifetime.Seconds()))
	if p.formPost {
		// The answer is a POST from another site, which carries nothing less.
		c.SameSite, c.Secure = http.SameSiteNoneMode, true
	}
	cookie.Set(w.Header(), c)
	_ = redirect(w, http.StatusFound, location)
	return nil
}

func loginOf(t *session.Transaction) op.Login {
	return op.Login{State: t.State, Nonce: t.Nonce, Verifier: t.Verifier, RedirectURI: t.RedirectURI}
}

// expireOldest makes room for another login: of those in flight the oldest are
// given up, and what does not open, or is over, is cleared.
func (h *Handler) expireOldest(w http.ResponseWriter, st *requestState, s *cookiescope.Scope, ring *seal.Ring) {
	type login struct {
		name  string
		began int64
	}
	var inFlight []login
	for _, c := range cookie.WithPrefix(st.cookies, s.TransactionPrefix, seenTransactions) {
		t, ok := h.openTransaction(ring, s, c.Value)
		if !ok || t.Over(h.now()) {
			s.Expire(w.Header(), c.Name)
			continue
		}
		inFlight = append(inFlight, login{c.Name, t.Began.Unix()})
	}
	for len(inFlight) >= maxLogins {
		oldest := 0
		for i := range inFlight {
			if inFlight[i].began < inFlight[oldest].began {
				oldest = i
			}
		}
		s.Expire(w.Header(), inFlight[oldest].name)
		inFlight = append(inFlight[:oldest], inFlight[oldest+1:]...)
	}
}

func (h *Handler) openTransaction(ring *seal.Ring, s *cookiescope.Scope, value string) (t session.Transaction, ok bool) {
	plain, _, err := ring.Open(seal.ForTransaction, s.TransactionAAD, value)
	if err != nil || t.Decode(plain) != nil {
		return session.Transaction{}, false
	}
	return t, true
}

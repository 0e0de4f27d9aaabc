package oidcrp

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
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
func (h *Handler) serveLogin(w http.ResponseWriter, r *http.Request, v *visit, p *party) error {
	query := queryOf(r, append([]string{"returnto"}, p.forward...)...)
	returnTo, ok := h.checkReturn(h.site(r), query.Get("returnto"))
	if !ok {
		returnTo = ""
	}
	extra := make(url.Values)
	for _, name := range p.forward {
		if value := query.Get(name); value != "" && len(value) <= 500 {
			extra.Set(name, value)
		}
	}
	if f := h.begin(w, r, v, p, returnTo, extra); f != nil {
		return h.fail(w, r, v, f)
	}
	return nil
}

// beginFromPage sends who opens a private page to the login, to come back to
// that page. If that cannot be, the page is not available.
func (h *Handler) beginFromPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	plainHeaders(w.Header())
	if h.site(r) == nil {
		return h.errorPage(w, r, v, http.StatusBadRequest, &failure{code: badRequest, cause: errNoHost}, "")
	}
	p := h.defaultParty
	if p.config.Disabled {
		return h.disabled(w, r, v, p)
	}
	if h.isMisread(v.other) && !h.countLogin(w, r, v) {
		return h.tooManyLogins(w, r, v)
	}
	return h.beginForPage(w, r, v, p, nil)
}

// beginForPage begins a login that leads back to the page of the request.
func (h *Handler) beginForPage(w http.ResponseWriter, r *http.Request, v *visit, p *party, extra url.Values) error {
	returnTo, _ := h.checkReturn(h.site(r), returnOf(r))
	f := h.begin(w, r, v, p, returnTo, extra)
	if f == nil {
		return nil
	}
	var unavailable *provider.Unavailable
	if errors.As(f.cause, &unavailable) {
		return h.retryLater(w, r, v, unavailable.RetryAfter, f)
	}
	if errors.Is(f.cause, errStorage) {
		return h.retryLater(w, r, v, storageRetryAfter, f)
	}
	return h.errorPage(w, r, v, http.StatusForbidden, f, h.log(r, f))
}

// returnOf is the address that a request was for: as it was sent where that can
// be, else in the usual encoding.
func returnOf(r *http.Request) string {
	original := originalRequest(r)
	if strings.HasPrefix(original.RequestURI, "/") {
		for _, c := range []byte(original.RequestURI) {
			if c <= 0x20 || c >= 0x7f {
				return original.URL.RequestURI()
			}
		}
		return original.RequestURI
	}
	return original.URL.RequestURI()
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
		if name != "auth_error" || messageOf(value) == "" {
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
func (h *Handler) checkReturn(s *site, raw string) (string, bool) {
	location, ok := address.Return(raw, s.origin, h.returnTo)
	if !ok {
		return "", false
	}
	if u, err := url.Parse(location); err != nil {
		return "", false
	} else if u.Host == "" && h.isOurPath(u.Path) {
		return "", false
	}
	return withoutError(location), true
}

func (h *Handler) isOurPath(path string) bool {
	var readings [8]address.Reading
	all, complete := address.Readings(readings[:0], address.Path{Path: path}, address.Path{Path: path})
	for _, reading := range all {
		_, _, ours := h.cutEndpoint(reading.Path)
		if ours || reading.Path == h.LogoutPath || h.byRedirectPath[reading.Path] != nil {
			return true
		}
	}
	return !complete
}

// redirectURI is where the provider sends the browser back to: with its own
// id, whatever alias the login was asked by.
func (h *Handler) redirectURI(s *site, p *party) string {
	if p.redirectPath != "" {
		return s.origin.String() + p.redirectPath
	}
	return s.origin.String() + h.Endpoints + "/" + p.id + "/code"
}

// begin opens a transaction and sends the browser to the provider. Nothing is
// written when it returns a failure.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, v *visit, p *party, returnTo string, extra url.Values) *failure {
	s := h.site(r)
	refuse := func(c code, err error) *failure { return &failure{c, err, p, returnTo} }
	if !s.ready {
		return refuse(badRequest, errPlainHTTP)
	}
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return refuse(providerUnavailable, storageFailure(err).cause)
	}
	if err := h.keeper.ready(r.Context()); err != nil {
		// A login that cannot end in a session would only be followed by another.
		return refuse(providerUnavailable, storageFailure(err).cause)
	}
	if p.formPost && s.origin.Scheme == "http" && !s.origin.Loopback() {
		return refuse(badRequest, errFormPostPlainHTTP)
	}
	t := session.NewTransaction()
	t.Binding, t.Provider, t.Return, t.Began = p.registration, p.id, returnTo, h.now()
	t.RedirectURI, t.Silent = h.redirectURI(s, p), v.silent
	t.Demands, t.Requested = p.client.Demands.Encode(), h.wants(p, "").names
	location, err := p.client.AuthorizationURL(r.Context(), loginOf(&t), extra)
	if err != nil {
		return refuse(codeOf(err), err)
	}
	name := s.txPrefix + session.HashState(t.State).CookieSuffix()
	value := ring.Seal(seal.ForTransaction, s.txPlace, t.Encode())
	for max := len(t.Return); len(name)+len(value) > maxTransaction && max > 0; max /= 2 {
		t.Return = address.Shorten(t.Return, max-1)
		value = ring.Seal(seal.ForTransaction, s.txPlace, t.Encode())
	}
	h.tellURIs(s, p, t.RedirectURI)
	h.expireOldest(w, v, s, ring)
	c := s.cookie(h, name, value, "/", int(session.TransactionLifetime.Seconds()))
	if p.formPost {
		// The answer is a POST from another site, which carries nothing less.
		c.SameSite, c.Secure = http.SameSiteNoneMode, true
	}
	cookie.Set(w.Header(), c)
	_ = redirect(w, http.StatusFound, location)
	return nil
}

func loginOf(t *session.Transaction) provider.Login {
	return provider.Login{State: t.State, Nonce: t.Nonce, Verifier: t.Verifier, RedirectURI: t.RedirectURI}
}

// expireOldest makes room for another login: of those in flight the oldest are
// given up, and what does not open, or is over, is cleared.
func (h *Handler) expireOldest(w http.ResponseWriter, v *visit, s *site, ring *seal.Ring) {
	type login struct {
		name  string
		began int64
	}
	var inFlight []login
	for _, c := range cookie.WithPrefix(v.cookies, s.txPrefix, seenTransactions) {
		t, ok := h.openTransaction(ring, s, c.Value)
		if !ok || t.Over(h.now()) {
			h.expire(w, s, c.Name)
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
		h.expire(w, s, inFlight[oldest].name)
		inFlight = append(inFlight[:oldest], inFlight[oldest+1:]...)
	}
}

func (h *Handler) openTransaction(ring *seal.Ring, s *site, value string) (t session.Transaction, ok bool) {
	plain, _, err := ring.Open(seal.ForTransaction, s.txPlace, value)
	if err != nil || t.Decode(plain) != nil {
		return session.Transaction{}, false
	}
	return t, true
}

// expire deletes a cookie of ours.
func (h *Handler) expire(w http.ResponseWriter, s *site, name string) {
	cookie.Set(w.Header(), s.cookie(h, name, "", "/", -1))
}

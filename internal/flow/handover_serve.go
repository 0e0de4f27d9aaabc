package flow

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// handoverFlow is a login host's work on one request of a site.
type handoverFlow struct {
	Exchange
	ring    *seal.Ring
	request handover.Request
	site    address.Origin // the site that sent the request
}

// servesLogins reports whether an instance serves the logins of other sites.
func servesLogins(in *Instance) bool { return len(in.LoginHost.For) > 0 }

// serveLoginHost serves the endpoint to which sites send their logins and logouts.
func serveLoginHost(x *Exchange, _ *Provider) error {
	if x.R.Method == http.MethodGet && navigation.IsSubresource(x.R) {
		return x.errorPage(http.StatusForbidden, &Failure{Code: errorcode.BadRequest, Cause: errNotPageLoad}, "")
	}
	h := &handoverFlow{Exchange: *x}
	sealed, confirmation, f := h.receive()
	if f == nil {
		f = h.open(sealed)
	}
	if f != nil {
		return h.respondError(f)
	}
	if h.request.IsSignOut() {
		return h.signOut()
	}
	if _, unavailable := h.authenticateSession(false); unavailable != nil {
		return h.RespondUnavailable(unavailable)
	}
	if f := h.takeChoice(); f != nil {
		return h.respondError(f)
	}
	missing := h.missing()
	switch {
	case missing == nil && x.R.Method == http.MethodPost:
		return h.agree(confirmation)
	case missing == nil:
		return h.give()
	}
	h.debug("handover_session_insufficient", "a session is not enough for another site, or there is none", slog.String("site", h.request.Origin), errAttr(missing))
	return h.login(missing)
}

var errNotPageLoad = errors.New("sites send page loads here, and nothing else")

// receive reads the sealed request, and the confirmation if the form was sent.
func (h *handoverFlow) receive() (sealed, confirmation string, f *Failure) {
	values := h.query("request", "provider", identifierField)
	if h.R.Method == http.MethodPost {
		if from := h.R.Header.Get("Sec-Fetch-Site"); from == "cross-site" || from == "same-site" {
			return "", "", h.refuse(errorcode.BadRequest, errors.New("another site has sent the answer"))
		}
		var err error
		if values, err = readForm(h.R, maxForm, "request", "confirmation"); err != nil {
			return "", "", h.refuse(errorcode.BadRequest, err)
		}
	}
	if len(values["request"]) != 1 {
		return "", "", h.refuse(errorcode.BadRequest, fmt.Errorf("there are %d requests of sites", len(values["request"])))
	}
	return values.Get("request"), values.Get("confirmation"), nil
}

// refuse returns a failure of the request.
func (h *handoverFlow) refuse(code errorcode.Code, err error) *Failure {
	return &Failure{Code: code, Cause: fmt.Errorf("a request to the login host: %w", err)}
}

// open opens the request and checks the site that sent it.
func (h *handoverFlow) open(sealed string) *Failure {
	ring, err, unavailable := seal.OpenWith(h.R.Context(), h.Keys, func(ring *seal.Ring) (err error) {
		h.request, err = handover.OpenRequest(ring, h.Scope().Origin, sealed)
		return err
	})
	if unavailable != nil {
		return storageFailure(unavailable)
	}
	if err != nil {
		return h.refuse(errorcode.BadRequest, err)
	}
	h.ring = ring
	r := &h.request
	h.preferLanguages(r.Parameters.Get(uiLocales))
	site, err := address.ParseOrigin(r.Origin)
	switch {
	case err != nil || site.String() != r.Origin:
		return h.refuse(errorcode.BadRequest, errors.New("the site is no origin"))
	case r.IsOver(h.Now()) && !r.IsSignOut():
		return h.refuse(errorcode.LoginExpired, errors.New("it was made more than 15 minutes ago, or clocks differ"))
	case site == h.Scope().Origin:
		return h.refuse(errorcode.BadRequest, errors.New("the login host itself is no site"))
	case !handover.IsTarget(site):
		return h.refuse(errorcode.BadRequest, fmt.Errorf("%s has neither TLS nor is it this machine", site))
	case !handover.MatchesAny(h.LoginHost.For, site):
		return h.refuse(errorcode.BadRequest, fmt.Errorf("login_for does not name %s", site))
	case r.Store != h.LoginHost.Store:
		return h.refuse(errorcode.BadRequest, fmt.Errorf("%s keeps its sessions in another place (%s) than this login host (%s)", site, r.Store, h.LoginHost.Store))
	case r.Cookie != "" && r.Cookie != h.Scope().SessionAAD:
		return h.refuse(errorcode.BadRequest, fmt.Errorf("the session cookie of %s has a domain that covers this login host, but another name or domain than the one here", site))
	case !r.IsSignOut() && r.Cookie == "" && address.CheckEndpointPath(r.Prefix) != nil:
		return h.refuse(errorcode.BadRequest, errors.New("the site has no endpoints"))
	}
	h.site = site
	return nil
}

// Reasons why a session cannot be handed over as it is.
var (
	errNoSession     = errors.New("no user is signed in")
	errPrompted      = errors.New("the site asks for a prompt")
	errOtherProvider = errors.New("the site does not accept the session's provider")
	errShort         = errors.New("the session is not enough for the login host")
	errLacksClaims   = errors.New("the session lacks claims that the site needs")
)

// missing returns why the session cannot be handed over, or nil if it can.
func (h *handoverFlow) missing() error {
	st, r := h.State, &h.request
	if !st.SignedIn() {
		return errNoSession
	}
	p, s := st.provider, st.session
	if s.Kind != session.Person {
		return errNoSession
	}
	if h.query("prompt").Get("prompt") != "" || r.Parameters.Get("prompt") != "" {
		return errPrompted
	}
	if _, ok := r.Accepts(p.Registration); !ok {
		return errOtherProvider
	}
	if h.Shortfall() != authz.Enough {
		return errShort
	}
	kept, ok := identity.SourcesOf(s)
	if !ok || kept.Lacks(r.Requested, s.Requested) {
		return errLacksClaims
	}
	proof, skew := proofOfRequest(r), time.Duration(0)
	demands := p.Client.DemandsOf(proof, p.LoginIsAuthTime)
	if h.Now().Sub(s.SignedIn) < repeatWindow && st.User().Asked() == markOf(&demands, demands.Encode()) {
		skew = p.Client.ClockSkew // tolerated only after a login for this very request
	}
	return proof.Check(s.AuthTime, identity.ACRs(kept.IDToken), h.Now(), skew)
}

// choose returns the provider of a login: the default one if the site accepts it,
// else the first one that it accepts. several reports that users have to choose. p
// is nil if the site accepts none.
func (h *handoverFlow) choose() (p *Provider, several bool) {
	found := h.common()
	switch {
	case len(found) == 0:
		return nil, false
	case slices.Contains(found, h.Default):
		return h.Default, false
	}
	return found[0], len(found) > 1
}

// common returns the enabled providers of the login host that the site accepts.
func (h *handoverFlow) common() (found []*Provider) {
	for _, p := range h.InOrder {
		if _, ok := h.request.Accepts(p.Registration); ok && !p.Disabled {
			found = append(found, p)
		}
	}
	return found
}

// login begins a login at the login host, for a site. It returns to the request,
// without its prompt.
func (h *handoverFlow) login(missing error) error {
	p, several := h.choose()
	if p == nil {
		return h.respondError(h.refuse(errorcode.BadRequest, fmt.Errorf("%s accepts no provider that this login host has, by issuer and client id", h.site)))
	}
	if several {
		return h.chooser()
	}
	return h.loginWith(p, missing)
}

// loginWith begins a login with p, unless such a login has just failed to help.
func (h *handoverFlow) loginWith(p *Provider, missing error) error {
	l, f := h.loginFor(p)
	if f != nil {
		return h.respondError(f)
	}
	if h.State.SignedIn() && missing != errPrompted {
		if l.wasInVain() {
			return h.respondForbidden(l.refuse(errorcode.Forbidden, errInVain))
		}
		if !h.countLogin() {
			return h.respondForbidden(l.refuse(errorcode.Forbidden, errTooManyStepUps))
		}
	}
	return l.beginRequested()
}

// loginFor returns a login with p for the site.
func (h *handoverFlow) loginFor(p *Provider) (*login, *Failure) {
	r := h.request
	if h.query("prompt").Get("prompt") == selectAccount {
		r.Parameters = withParameter(r.Parameters, "prompt", selectAccount)
	}
	extra := h.forwarded(p, &r)
	accepted, _ := r.Accepts(p.Registration)
	// What the login proves is checked when it ends, and again at the site.
	r.Parameters, r.ACR, r.Wanted, r.Providers = nil, nil, accepted.ID, []handover.Accepted{accepted}
	if language := h.loginLanguage(); language != "" { // for the pages after the login
		r.Parameters = url.Values{uiLocales: {language}}
	}
	sealed, err := r.Seal(h.ring, h.Scope().Origin)
	if err != nil {
		return nil, h.refuse(errorcode.BadRequest, err)
	}
	proof := proofOfRequest(&h.request)
	return &login{Exchange: h.Exchange, provider: p, returnTo: h.handoverURL(sealed), proof: proof, extra: extra, requested: r.Requested, forSite: true}, nil
}

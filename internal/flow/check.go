package flow

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/subrequest"
)

// This file answers other proxies, which ask about the requests that they have got:
// each is judged as if it had come to this instance itself, and the answer says what
// would have been done with it. No answer sets a cookie, since proxies drop those, and
// none is left to the server's own error pages, since proxies would take a success of
// those for a yes.

// Check is how an instance answers other proxies.
type Check struct {
	Family subrequest.Family
	Hosts  subrequest.Hosts
	// Names are the headers that tell an application about the user.
	Names []string
	// Judge has the guard judge a request that the subrequest r describes, with a
	// header. What the guard responds is written to w. If it lets the request
	// pass, it returns the header that the application would have got.
	Judge func(w http.ResponseWriter, r *http.Request, about *subrequest.Request, header http.Header) (passed http.Header, err error)
}

// ErrUpgradeRefused is the reason not to let a request pass whose connection is to
// become what it must not: the guard would have taken that out of the request, which no
// answer can.
var ErrUpgradeRefused = errors.New("the protocol that Upgrade names is not allowed")

// Describes reports whether the header of a request for the endpoint is mostly that of
// another request, so that the endpoint has to see it as it came.
func (c *Call) Describes() bool { return c.describes }

// serveCheck answers a subrequest. Only trusted proxies get to know that there is the
// endpoint.
func serveCheck(x *Exchange, _ *Provider) error {
	if !x.Server.IsTrustedProxy(x.R) {
		return x.errorPage(http.StatusNotFound, &Failure{Code: errorcode.BadRequest, Cause: errorcode.ErrNoEndpoint}, "")
	}
	x.header().Set("Vary", "*")
	about, err := x.Check.Family.Read(x.State.Sent)
	if err == nil && !x.Check.Hosts.Cover(about.Origin) {
		err = fmt.Errorf("the host %q is not one of those that check lists", about.Host)
	}
	if err != nil {
		return x.refuseSubrequest(err)
	}
	header := x.State.Sent
	subrequest.Strip(header)
	guard := &guardResponse{header: make(http.Header)}
	passed, err := x.Check.Judge(guard, x.R, about, header)
	switch {
	case errors.Is(err, ErrUpgradeRefused):
		return x.refuseSubrequest(err)
	case err != nil:
		x.Logger.LogAttrs(x.R.Context(), slog.LevelError, "another proxy's request could not be checked", slog.String("event", "check_failed"), errAttr(err), slog.String("host", about.Host))
		guard.WriteHeader(http.StatusInternalServerError)
	case passed != nil:
		x.letPass(passed)
		return nil
	}
	return x.relay(guard)
}

// refuseSubrequest responds to a subrequest that describes no request which this site
// could judge.
func (x *Exchange) refuseSubrequest(err error) error {
	x.debug("check_refused", "another proxy's request was refused", errAttr(err))
	return x.errorPage(http.StatusForbidden, &Failure{Code: errorcode.BadRequest, Cause: fmt.Errorf("%w: %w", errorcode.ErrSubrequest, err)}, "")
}

// letPass responds that the request may pass. All headers about the user are there,
// those without a value too, so that the proxy overwrites what the client has sent.
func (x *Exchange) letPass(passed http.Header) {
	header := x.header()
	pages.StrictSecurityHeaders(header)
	for _, name := range x.Check.Names {
		if header[name] = passed[name]; len(header[name]) == 0 {
			header[name] = []string{""}
		}
	}
	x.W.WriteHeader(http.StatusOK)
}

// relay responds with what the guard has responded, in the statuses that the proxy
// understands: nginx knows 401 and 403, and makes an error of all others.
func (x *Exchange) relay(guard *guardResponse) error {
	header := x.header()
	for name, values := range guard.header {
		if name != "Set-Cookie" {
			header[name] = values
		}
	}
	status := guard.status
	isRedirect := status >= 300 && status < 400
	switch {
	case status < 300:
		status = http.StatusForbidden // no response but letPass says yes
	case x.Check.Family != subrequest.Original || status == http.StatusUnauthorized:
	case isRedirect:
		status = http.StatusUnauthorized
	default:
		status = http.StatusForbidden
	}
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "*")
	x.W.WriteHeader(status)
	_, err := x.W.Write(guard.body.Bytes())
	if err != nil {
		x.debug("check_not_written", "the answer to another proxy could not be written", errAttr(err))
	}
	return nil
}

// leadToLogin has the browser go to the login on the site's own origin, which can set
// cookies there: at a provider, or without one at the chooser.
func (x *Exchange) leadToLogin(p *Provider, proof op.Proof) error {
	s := x.Scope()
	if !s.Ready {
		return x.respondForbidden(&Failure{Code: errorcode.BadRequest, Cause: errorcode.ErrPlainHTTP, Provider: p})
	}
	l := login{Exchange: *x, provider: p}
	l.returnTo = address.Shorten(x.returnToPage(s), session.MaxReturn)
	if f := l.rejectsCookies(); f != nil {
		return l.respondForbidden(f)
	}
	return pages.Redirect(x.W, http.StatusSeeOther, s.Origin.String()+x.loginURL(p, l.returnTo, proof))
}

// guardResponse is what the guard responds to a request that another proxy has
// described.
type guardResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (g *guardResponse) Header() http.Header { return g.header }

func (g *guardResponse) WriteHeader(status int) {
	if g.status == 0 {
		g.status = status
	}
}

func (g *guardResponse) Write(b []byte) (int, error) {
	g.WriteHeader(http.StatusOK)
	return g.body.Write(b)
}

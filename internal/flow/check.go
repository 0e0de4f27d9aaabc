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

// This file answers subrequests of other proxies (nginx auth_request,
// forward_auth). Each describes a request, which is judged as if it had come to
// this instance, and the response says what would have been done with it. No
// response sets a cookie, since proxies drop those, and none is left to the
// server's error pages: if one of those succeeded, the proxy would take it for
// permission.

// Check configures the endpoint that other proxies send subrequests to.
type Check struct {
	Family subrequest.Family
	Hosts  subrequest.Hosts
	// Names are the headers that identify the user to an application.
	Names []string
	// Judge applies the guard to the request that the subrequest r describes, with
	// the given header. The guard writes its response to w. If it lets the request
	// pass, Judge returns the header that the application would have received.
	Judge func(w http.ResponseWriter, r *http.Request, about *subrequest.Request, header http.Header) (passed http.Header, err error)
}

// ErrUpgradeRefused means that the request asks for an upgrade that is not allowed.
// The guard would remove it from the request, which the response to a subrequest
// cannot do.
var ErrUpgradeRefused = errors.New("the protocol that Upgrade names is not allowed")

// Describes reports whether requests for the endpoint describe another request in
// their header. The endpoint then needs the header as it was received.
func (c *Call) Describes() bool { return c.describes }

// serveCheck answers a subrequest. For anyone but trusted proxies the endpoint does
// not exist.
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
		x.Logger.LogAttrs(x.R.Context(), slog.LevelError, "a request of another proxy could not be checked", slog.String("event", "check_failed"), errAttr(err), slog.String("host", about.Host))
		guard.WriteHeader(http.StatusInternalServerError)
	case passed != nil:
		x.letPass(passed)
		return nil
	}
	return x.relay(guard)
}

// refuseSubrequest responds to a subrequest that does not describe a request of
// this site.
func (x *Exchange) refuseSubrequest(err error) error {
	x.debug("check_refused", "a request of another proxy was refused", errAttr(err))
	return x.errorPage(http.StatusForbidden, &Failure{Code: errorcode.BadRequest, Cause: fmt.Errorf("%w: %w", errorcode.ErrSubrequest, err)}, "")
}

// letPass responds that the request may pass. It sets all identity headers, also
// those without a value, so that the proxy overwrites what the client sent.
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

// relay writes the guard's response, with a status that the proxy understands:
// nginx passes on 401 and 403 and turns all others into an error.
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
		status = http.StatusForbidden // only letPass may succeed
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

// leadToLogin redirects the browser to the login on the site's own origin, which
// can set cookies there. If p is nil, it redirects to the chooser.
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

// guardResponse records the guard's response to a described request.
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

package flow

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Templates render the built-in pages, or an operator's own in their place.
type Templates interface {
	Execute(w io.Writer, name string, data Page) error
}

// Page is what a template gets. Everything in it is safe to show: texts are
// escaped by the template, addresses are our own.
type Page struct {
	Title   string // what happened, as a headline
	Host    string // the site's name
	Nonce   string // for inline style elements
	Message string // error.html: what happened, for users
	Hint    string // error.html: what to do about it; may be empty
	Code    string // error.html: the error code
	ErrorID string // error.html: finds the line in the log
	Status  int    // error.html: the HTTP status
	User    string // who is signed in; empty for anonymous users
	// Confirmation is the value of the form's hidden field of that name, in
	// confirm.html.
	Confirmation string
	// Sent reports that a form was sent and did not arrive, in session_ended.html.
	Sent bool
	// Action and Fields are the form of continue.html.
	Action string
	Fields map[string]string

	LoginURL  string // begins a fresh sign-in; may be empty
	LogoutURL string
	HomeURL   string
}

// baseSecurityHeaders are on every response of ours, also on one that is left to
// the server's error pages, which may have styles, images and scripts of the
// site: it is for this browser alone, does not say where it came from, stands in
// no frame, and runs nothing that is written into it.
func baseSecurityHeaders(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Content-Security-Policy", "script-src 'self'; frame-ancestors 'none'; base-uri 'none'")
}

// strictSecurityHeaders are on every response that we write ourselves: it holds
// nothing active at all.
func strictSecurityHeaders(header http.Header) {
	baseSecurityHeaders(header)
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
}

// render writes a page. Its policy lets styles of its own in and nothing that
// is active. There is no form-action in it: browsers apply that to where a form's
// redirect leads, and the logout leads to the provider.
func (x *Exchange) render(name string, status int, data Page) error {
	return x.renderIn(name, status, data, "'none'")
}

// renderFramed writes a page that other pages may show in a frame.
func (x *Exchange) renderFramed(name string, status int, data Page) error {
	return x.renderIn(name, status, data, "*")
}

func (x *Exchange) renderIn(name string, status int, data Page, ancestors string) error {
	data.Nonce = rand.Text()
	data.Host = x.R.Host
	if s := x.Scope(); s != nil {
		data.Host = s.Origin.Host
	}
	data.HomeURL, data.LogoutURL = x.Home, x.LogoutPath
	var body bytes.Buffer
	if err := x.Templates().Execute(&body, name, data); err != nil {
		return &Error{Status: http.StatusInternalServerError, Err: fmt.Errorf("render %s: %w", name, err)}
	}
	header := x.header()
	strictSecurityHeaders(header)
	header.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self' 'nonce-"+data.Nonce+"'; img-src 'self' data:; frame-ancestors "+ancestors+"; base-uri 'none'")
	if ancestors != "'none'" {
		header.Del("X-Frame-Options")
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	x.W.WriteHeader(status)
	if x.R.Method == http.MethodHead {
		return nil
	}
	_, err := body.WriteTo(x.W)
	return err
}

func (x *Exchange) signedOutPage() error {
	shown := Page{Title: "Signed out"}
	if !x.Default.Disabled {
		shown.LoginURL = x.loginURL(x.Default, "")
	}
	return x.render("signed_out.html", http.StatusOK, shown)
}

// stillSignedInPage is in the place of that for a user whose session is valid: the
// provider has led here, but nothing was ended.
func (x *Exchange) stillSignedInPage(viewer *State) error {
	theirs := viewer.at.At(x.W, x.R, viewer)
	return theirs.render("still_signed_in.html", http.StatusOK,
		Page{Title: "You are still signed in here", User: viewer.User().ID(), Confirmation: theirs.confirmation()})
}

func (x *Exchange) confirmPage() error {
	status := http.StatusOK
	if x.R.Method == http.MethodPost {
		status = http.StatusForbidden
	}
	return x.render("confirm.html", status, Page{Title: "Sign out?", User: x.State.User().ID(), Confirmation: x.confirmation()})
}

// sessionEndedPage tells users in a frame, or who have sent a form, to sign in in
// another tab. It may be framed, and holds nothing that is theirs.
func (x *Exchange) sessionEndedPage(p *Provider, returnTo string) error {
	shown := Page{Title: "Your session has ended", Sent: !navigation.IsRead(x.R)}
	if viewer := x.viewer(); viewer != nil {
		shown.Title, shown.User = "This page opens in its own tab", viewer.User().ID()
	} else if !p.Disabled {
		shown.LoginURL = x.loginURL(p, returnTo)
	}
	return x.renderFramed("session_ended.html", http.StatusUnauthorized, shown)
}

// continuePage goes on to the provider by POST, since the address of a GET
// would be too long to be sure of its way. Only a script could send the form,
// and our pages hold none, so it takes a click. Leaving the ID token out would
// save that, but no metadata says whether a provider goes by client_id and
// logout_hint alone: some then refuse to come back, others ask a question of
// their own. A POST every provider must take (RP-Initiated Logout 1.0, 2).
func (x *Exchange) continuePage(request op.EndSession) error {
	fields := make(map[string]string, len(request.Parameters))
	for name := range request.Parameters {
		fields[name] = request.Parameters.Get(name)
	}
	return x.render("continue.html", http.StatusOK, Page{Title: "Signed out here", Action: request.Endpoint, Fields: fields})
}

package flow

import (
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file says what each page is about.

// render writes a page of this site.
func (x *Exchange) render(name string, status int, data pages.Data) error {
	page, err := x.page(name, data)
	if err != nil {
		return err
	}
	return page.Write(x.W, x.R, status)
}

// page makes a page of this site.
func (x *Exchange) page(name string, data pages.Data) (*pages.Page, error) {
	data.Host = x.R.Host
	if s := x.Scope(); s != nil {
		data.Host = s.Origin.Host
	}
	data.HomeURL, data.LogoutURL = x.Home, x.LogoutPath
	page, err := x.Templates().Render(name, data)
	if err != nil {
		return nil, &Error{Status: http.StatusInternalServerError, Err: err}
	}
	return page, nil
}

func (x *Exchange) signedOutPage() error {
	shown := pages.Data{Title: "Signed out"}
	if !x.Default.Disabled {
		shown.LoginURL = x.loginURL(x.Default, "")
	}
	return x.render(pages.SignedOut, http.StatusOK, shown)
}

// stillSignedInPage is in the place of that for a user whose session is valid: the
// provider has led here, but nothing was ended.
func (x *Exchange) stillSignedInPage(viewer *State) error {
	theirs := viewer.at.At(x.W, x.R, viewer)
	return theirs.render(pages.StillSignedIn, http.StatusOK,
		pages.Data{Title: "You are still signed in here", User: viewer.User().ID(), Confirmation: theirs.confirmation()})
}

func (x *Exchange) confirmPage() error {
	status := http.StatusOK
	if x.R.Method == http.MethodPost {
		status = http.StatusForbidden
	}
	return x.render(pages.Confirm, status, pages.Data{Title: "Sign out?", User: x.State.User().ID(), Confirmation: x.confirmation()})
}

// signInPage asks users in a frame, or who have sent a form, to sign in in another
// tab. It may be framed, and holds nothing that is theirs.
func (x *Exchange) signInPage(reason errorcode.Code, p *Provider, returnTo string) error {
	text := errorcode.Explain(reason, errUnauthenticated, false)
	shown := pages.Data{Title: text.Title, Sent: !navigation.IsRead(x.R)}
	if viewer := x.viewer(); viewer != nil {
		shown.Title, shown.User = "This page opens in its own tab", viewer.User().ID()
	} else if !p.Disabled {
		shown.LoginURL = x.loginURL(p, returnTo)
	}
	page, err := x.page(pages.SessionEnded, shown)
	if err != nil {
		return err
	}
	return page.WriteFramed(x.W, x.R, http.StatusUnauthorized)
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
	return x.render(pages.Continue, http.StatusOK, pages.Data{Title: "Signed out here", Action: request.Endpoint, Fields: fields})
}

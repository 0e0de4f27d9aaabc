package flow

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// maxLogoutURL is the maximum length in bytes of a logout URL, such that all
// servers and proxies on the way accept it. Mostly an ID token makes it longer.
const maxLogoutURL = 2000

// logout is a logout that a browser requests.
type logout struct {
	Exchange
	// elsewhere reports whether another site sent the browser here, or the request
	// is not the navigation of a user.
	elsewhere bool
}

// serveLogout ends the session here, then at the provider if that is possible. If
// another site sent the browser, the user has to confirm the logout first.
func serveLogout(x *Exchange, _ *Provider) error {
	if in := x.loginHostOf(); in != nil {
		theirs := in.At(x.W, x.R, x.State)
		return serveSiteLogout(&theirs)
	}
	l := &logout{Exchange: *x, elsewhere: isCrossSite(x.R, x.Scope()) || isNotNavigation(x.R)}
	st := l.State
	if _, err := l.identify(); err != nil {
		if l.elsewhere {
			return l.confirmPage()
		}
		l.clearCookies()
		return l.respondFailed(storageFailure(err).Cause)
	}
	if !st.SignedIn() {
		// Another instance of this site may know the user.
		var unknown error
		for _, in := range l.logoutSiblings() {
			theirs := in.At(l.W, l.R, st)
			_, err := theirs.identify()
			if err == nil && st.SignedIn() {
				return serveLogout(&theirs, nil)
			}
			if err != nil && !l.elsewhere {
				theirs.clearCookies()
				unknown = errors.Join(unknown, err)
			}
		}
		if unknown != nil {
			return l.endUnknown(unknown)
		}
	}
	switch {
	case st.revocable() == nil:
		if !l.elsewhere {
			l.forgetLast()
			l.endAttempts(l.Scope(), afterLogout)
			for _, in := range l.logoutSiblings() {
				theirs := l.atSibling(in)
				theirs.forgetLast()
			}
		}
		return l.showSignedOut()
	case l.elsewhere && !l.isConfirmed():
		return l.confirmPage()
	case !st.SignedIn():
		return l.endForeign()
	}
	return l.end()
}

// logoutSiblings returns the siblings with the same logout path.
func (in *Instance) logoutSiblings() (all []*Instance) {
	for _, n := range in.Siblings {
		if n.LogoutPath == in.LogoutPath {
			all = append(all, n)
		}
	}
	return all
}

// respondFailed responds to a logout that did not succeed everywhere.
func (l *logout) respondFailed(cause error) error {
	return l.respondLogoutError(&Failure{Code: errorcode.LogoutFailed, Cause: cause, Provider: l.State.provider})
}

// endUnknown ends the session that is known, and responds that the logout failed
// because another instance's session could not be read.
func (l *logout) endUnknown(unknown error) error {
	if st := l.State; st.foreign != nil {
		theirs := st.foreignAt.At(l.W, l.R, st)
		unknown = errors.Join(unknown, theirs.Sessions.Revoke(l.R.Context(), st.foreign))
		theirs.clearCookies()
	}
	return l.respondFailed(storageFailure(unknown).Cause)
}

// endForeign ends a session that opens here but is not valid: its provider is
// disabled, or no longer one of this site.
func (l *logout) endForeign() error {
	st := l.State
	theirs := st.foreignAt.At(l.W, l.R, st)
	err := theirs.Sessions.Revoke(l.R.Context(), st.foreign)
	theirs.clearCookies()
	if err != nil {
		return l.respondFailed(err)
	}
	ended := l.signedOut()
	ended.Session, ended.Provider, ended.User = &st.foreign.Session, st.foreign.Session.Provider, st.foreign.Session.Username
	theirs.audit(l.R.Context(), ended)
	return l.afterLogout()
}

// signedOut returns the audit event of a logout by the user.
func (x *Exchange) signedOut() audit.Event {
	return audit.Event{Kind: audit.SignedOut, Message: "signed out", Via: "logout", Host: x.R.Host}
}

// clearCookies deletes the session and all that belongs to it from the browser.
func (x *sessions) clearCookies() {
	s, header := x.Scope(), x.header()
	s.ClearSession(header, s.FindSession(x.State.Cookies).Chunks)
	cookie.Set(header, s.Cookie(s.IDTokenHint, "", x.LogoutPath, -1))
	x.clearMark(s)
	x.forgetRepeats(s)
	x.endAttempts(s, afterLogout)
	x.forgetLast()
	if len(x.ClearSiteData) > 0 {
		// Each type is a quoted string, including the asterisk.
		header.Add("Clear-Site-Data", `"`+strings.Join(x.ClearSiteData, `", "`)+`"`)
	}
}

// end ends the session: first by a revocation, which also covers copied cookies and
// other nodes, then by clearing the cookies, and finally at the provider.
func (l *logout) end() error {
	st, s, p, ctx := l.State, l.Scope(), l.State.provider, l.R.Context()
	if st.session.IsHandedOver() || l.LoginHost.At != nil {
		return l.endWithLoginHost()
	}
	hint := l.hintOf(st.session.ID)
	err := l.Sessions.Revoke(ctx, st.loaded)
	l.clearCookies()
	l.revokeTokens(ctx, p, st.session)
	if err = errors.Join(err, l.endAtSiblings()); err != nil {
		return l.respondFailed(err)
	}
	l.auditSession(ctx, l.signedOut(), p, st.session)
	if p.SkipEndSession {
		return l.afterLogout()
	}
	// Some providers want a state. It is not checked when the browser comes back,
	// since there is nothing left to protect.
	logoutHint := claims.Clean(st.session.Username)
	request, offered, err := p.Client.EndSession(ctx, hint, logoutHint, l.signedOutURI(s, p), rand.Text())
	if err != nil {
		return l.respondFailed(err)
	}
	if !offered {
		return l.afterLogout()
	}
	return l.sendToProvider(request)
}

// sendToProvider redirects the browser to the provider's end_session_endpoint.
func (l *logout) sendToProvider(request op.EndSession) error {
	if location := request.URL(); len(location) <= maxLogoutURL {
		return pages.Redirect(l.W, http.StatusSeeOther, withEmptyFragment(location))
	}
	return l.continuePage(request)
}

// endAtSiblings ends the sessions that other instances of this site have with the
// same browser: users sign out of the whole site.
func (l *logout) endAtSiblings() error {
	var errs []error
	for _, in := range l.logoutSiblings() {
		theirs := l.atSibling(in)
		if _, err := theirs.identify(); err != nil {
			theirs.clearCookies()
			errs = append(errs, err)
			continue
		}
		st := theirs.State
		if loaded := st.revocable(); loaded != nil && loaded.Session.ID != l.State.session.ID {
			errs = append(errs, in.Sessions.Revoke(l.R.Context(), loaded))
			theirs.clearCookies()
			if st.SignedIn() {
				theirs.auditSession(l.R.Context(), l.signedOut(), st.provider, st.session)
				theirs.revokeTokens(l.R.Context(), st.provider, st.session)
			}
		}
	}
	return errors.Join(errs...)
}

// signedOutURI returns the post_logout_redirect_uri, exactly as it has to be
// registered.
func (in *Instance) signedOutURI(s *cookiescope.Scope, p *Provider) string {
	return s.Origin.String() + in.Endpoints + "/" + p.ID + "/signedout"
}

// afterLogout redirects to the page that is shown after a logout. The logout path
// itself shows the built-in one to anonymous users.
func (x *Exchange) afterLogout() error {
	return pages.Redirect(x.W, http.StatusSeeOther, cmp.Or(x.SignedOut, x.LogoutPath))
}

// serveSignedOut serves the post_logout_redirect_uri.
func serveSignedOut(x *Exchange, _ *Provider) error {
	if viewer := x.viewer(); viewer != nil {
		return x.stillSignedInPage(viewer)
	}
	return x.showSignedOut()
}

func (x *Exchange) showSignedOut() error {
	if x.SignedOut != "" {
		return pages.Redirect(x.W, http.StatusSeeOther, x.SignedOut)
	}
	return x.signedOutPage()
}

func (x *Exchange) signedOutPage() error {
	shown := pages.Data{TitleKey: "signed_out.title", LoginHost: x.loginHostName()}
	if x.offersLogin(x.Default) {
		shown.LoginURL = x.loginURL(x.Default, "", op.Proof{})
	}
	return x.render(pages.SignedOut, http.StatusOK, shown)
}

// continuePage renders a form that sends the logout request to the provider by
// POST, because the URL of a GET would be too long. Submitting it takes a click,
// since our pages have no script for that. The request could be shortened by
// leaving out the ID token, but metadata does not say whether a provider accepts
// client_id and logout_hint alone: some then refuse to redirect back, others ask
// the user. Every provider has to accept POST (RP-Initiated Logout 1.0, section 2).
func (x *Exchange) continuePage(request op.EndSession) error {
	fields := make(map[string]string, len(request.Parameters))
	for name := range request.Parameters {
		fields[name] = request.Parameters.Get(name)
	}
	return x.render(pages.Continue, http.StatusOK, pages.Data{TitleKey: "continue.title", Action: request.Endpoint, Fields: fields})
}

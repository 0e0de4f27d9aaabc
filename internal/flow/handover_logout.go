package flow

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// endWithLoginHost ends a session of a site that has a login host. If the session
// was handed over, the session at the login host ends as well, and with it all that
// were handed over from that. The browser then goes to the login host, which can
// end the session at the provider.
func (l *logout) endWithLoginHost() error {
	st, s, p, ctx := l.State, l.Scope(), l.State.provider, l.R.Context()
	err := l.Sessions.Revoke(ctx, st.loaded)
	parent := st.session.Parent
	if parent != nil {
		err = errors.Join(err, l.Sessions.RevokeParent(ctx, parent))
	}
	l.clearCookies()
	l.revokeTokens(ctx, p, st.session)
	if err = errors.Join(err, l.endAtSiblings()); err != nil {
		return l.respondFailed(err)
	}
	l.auditSession(ctx, l.signedOut(), p, st.session)
	ended, user := st.session.ID, st.session.Username
	if parent != nil {
		ended, user = parent.ID, parent.Username
		l.audit(ctx, audit.Event{Kind: audit.SignedOut, Message: "signed out", Via: "handover", Host: l.R.Host, User: user, Provider: parent.Provider,
			Session: &session.Session{ID: ended, Subject: st.session.Subject, SID: st.session.SID}})
	}
	if l.LoginHost.At == nil || p.SkipEndSession {
		return l.afterLogout()
	}
	if parent == nil && l.sharesCookie(s) { // the login host needs the ID token
		cookie.Unset(l.header(), func(name string) bool { return name == s.IDTokenHint })
	}
	ring, err := l.Keys.Ring(ctx)
	if err != nil {
		return l.respondFailed(storageFailure(err).Cause)
	}
	request := handover.Request{
		Origin: s.Origin.String(), At: l.Now(), Store: l.LoginHost.Store, Ended: ended, User: user,
		Providers: []handover.Accepted{{ID: p.ID, Binding: p.Registration}},
	}
	sealed, err := request.Seal(ring, *l.LoginHost.At)
	if err != nil {
		return l.respondFailed(err)
	}
	return pages.Redirect(l.W, http.StatusSeeOther, l.LoginHost.At.String()+l.handoverURL(sealed))
}

// signOut redirects to the logout path, the only one where the browser sends the ID
// token hint.
func (h *handoverFlow) signOut() error {
	if h.request.IsOver(h.Now()) {
		return h.showSignedOut()
	}
	sealed, err := h.request.Seal(h.ring, h.Scope().Origin)
	if err != nil {
		return h.respondError(h.refuse(errorcode.BadRequest, err))
	}
	return pages.Redirect(h.W, http.StatusSeeOther, h.LogoutPath+"?request="+sealed)
}

// loginHostOf returns the instance that serves logins of other sites, if the
// request is a logout that began at one of them.
func (x *Exchange) loginHostOf() *Instance {
	if x.R.Method != http.MethodGet || !x.query("request").Has("request") {
		return nil
	}
	for _, in := range append([]*Instance{x.Instance}, x.logoutSiblings()...) {
		if servesLogins(in) {
			return in
		}
	}
	return nil
}

// serveSiteLogout continues a logout that began at a site: the session here has
// already ended, and the provider's is next. If the browser has another session
// here, it is kept.
func serveSiteLogout(x *Exchange) error {
	h := &handoverFlow{Exchange: *x}
	sealed, _, f := h.receive()
	if f == nil {
		f = h.open(sealed)
	}
	if f == nil && !h.request.IsSignOut() {
		f = h.refuse(errorcode.BadRequest, errors.New("it is no sign-out"))
	}
	if f != nil {
		return h.respondLogoutError(f)
	}
	if h.request.IsOver(h.Now()) {
		return h.showSignedOut()
	}
	if _, err := h.identify(); err != nil {
		return h.respondLogoutError(storageFailure(err))
	}
	if h.State.SignedIn() && h.State.session.ID != h.request.Ended {
		h.debug("handover_sign_out_of_another", "a sign-out of another session has reached the login host", slog.String("site", h.site.String()))
		return h.stillSignedInPage(h.State)
	}
	hint := h.hintOf(h.request.Ended)
	h.clearCookies()
	var p *Provider
	for _, a := range h.request.Providers {
		p = h.registered(a.Binding)
	}
	if p == nil || p.SkipEndSession {
		return h.afterLogout()
	}
	request, offered, err := p.Client.EndSession(h.R.Context(), hint, claims.Clean(h.request.User), h.signedOutURI(h.Scope(), p), rand.Text())
	l := &logout{Exchange: h.Exchange}
	switch {
	case err != nil:
		return l.respondFailed(err)
	case !offered:
		return h.afterLogout()
	}
	return l.sendToProvider(request)
}

// hintOf returns the ID token of the session's login, if the browser still has it.
func (x *sessions) hintOf(id session.ID) string {
	s := x.Scope()
	ring, err := x.Keys.Ring(x.R.Context())
	if err != nil {
		return ""
	}
	for _, c := range cookie.WithPrefix(x.State.Cookies, s.IDTokenHint, 4) {
		if c.Name != s.IDTokenHint {
			continue
		}
		plain, _, err := ring.Open(seal.ForIDToken, s.IDTokenHintAAD, c.Value)
		if err == nil && len(plain) > len(id) && session.ID(plain[:len(id)]) == id {
			return string(plain[len(id):])
		}
	}
	return ""
}

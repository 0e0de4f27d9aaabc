package oidcrp

import (
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// placeholder returns the value of a placeholder in one of our two name spaces:
// those about this site and this request here, the rest from the session.
func (st *requestState) placeholder(key string) (any, bool) {
	if name, ok := strings.CutPrefix(key, identity.OwnPrefix); ok {
		if value, ok := st.own(name); ok {
			return value, true
		}
	}
	return st.user().Placeholder(key)
}

// own returns the value of a placeholder {http.oidc_rp.*} that does not follow
// from the session alone.
func (st *requestState) own(name string) (value string, ok bool) {
	switch name {
	case "login_url":
		return st.loginURL(), true
	case "logout_url":
		return st.h.LogoutPath, true
	case "error.code":
		return st.queryErrorCode(), true
	case "error.message":
		return st.queryErrorMessage(), true
	case "access_token":
		if st.signedIn() && st.h.Upstream != nil && st.h.Upstream.AccessToken != "" {
			return st.accessToken(), true
		}
	case "id_token":
		if st.signedIn() && st.h.Upstream != nil && st.h.Upstream.IDToken != "" {
			return st.session.IDToken, true
		}
	}
	return "", false
}

// user returns who the request comes from.
func (st *requestState) user() identity.User {
	if !st.signedIn() {
		return identity.User{}
	}
	u := identity.User{
		Mapping: &st.provider.mapping, Session: st.session,
		Prefixed: len(st.h.providers) > 1 && st.provider != st.h.defaultProvider,
	}
	if st.loaded != nil && st.asLoaded() {
		u.GroupsCache = &st.loaded.Groups
	}
	return u
}

// userID returns the name of the user at this site; empty if there is none.
func (st *requestState) userID() string { return st.user().ID() }

// accessToken returns the access token; empty once it has expired.
func (st *requestState) accessToken() string { return st.user().AccessToken(st.h.now()) }

// loginURL signs in with the default provider and leads back to this page.
func (st *requestState) loginURL() string {
	if st.failed != nil { // on a page of handle_errors: start again
		return st.h.loginURL(st.h.defaultProvider, st.failed.returnTo)
	}
	return st.h.loginURL(st.h.defaultProvider, withoutError(requestedURL(st.r)))
}

func (h *Handler) loginURL(p *provider, returnTo string) string {
	address := h.Endpoints + "/" + p.id + "/login"
	if returnTo != "" && returnTo != h.Home {
		address += "?returnto=" + url.QueryEscape(returnTo)
	}
	return address
}

// withAnotherAccount makes a login URL ask the provider for another account.
func withAnotherAccount(loginURL string) string {
	separator := "?"
	if strings.Contains(loginURL, "?") {
		separator = "&"
	}
	return loginURL + separator + "prompt=" + selectAccount
}

// queryErrorCode is what auth_error in the query names, if that is one of our codes.
func (st *requestState) queryErrorCode() string {
	if st.failed != nil {
		return string(st.failed.code)
	}
	return queryErrorCodeOf(st.r)
}

// queryErrorMessage is the sentence that users read about that.
func (st *requestState) queryErrorMessage() string {
	if st.failed != nil && st.shown != "" {
		return st.shown
	}
	return errorcode.Code(st.queryErrorCode()).Message()
}

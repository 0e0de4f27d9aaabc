package oidcrp

import (
	"net/url"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
)

const (
	userSpace = "http.auth.user."
	ourSpace  = "http.oidc_rp."
	// groupsEntry is where the groups are kept in a session's claims when the
	// claim that they are part of is not. No claim has such a name.
	groupsEntry = "\x01groups"
	// tenantEntry is where a session's tenant is kept, of a provider that has
	// several.
	tenantEntry = "\x01tenant"
)

// placeholder answers for the whole of our two name spaces: what has no value
// is empty, since an unknown placeholder would be sent on as it is written.
// Nothing is decoded before it is asked for.
func (st *requestState) placeholder(key string) (any, bool) {
	if name, ok := strings.CutPrefix(key, userSpace); ok {
		return st.user(name), true
	}
	if name, ok := strings.CutPrefix(key, ourSpace); ok {
		return st.own(name), true
	}
	return nil, false
}

func (st *requestState) user(name string) any {
	if !st.signedIn() {
		if name == "groups" {
			return claims.List(nil) // so that «in» is false, and no error
		}
		return ""
	}
	switch name {
	case "id":
		return st.userID()
	case "name":
		if value, ok := st.session.Claims.Get("name"); ok {
			return value.Text()
		}
		return ""
	case "email":
		return st.verifiedEmail()
	case "groups":
		return st.groups()
	}
	if path, ok := strings.CutPrefix(name, "claims."); ok {
		if path == "sub" {
			return claims.Clean(st.session.Subject)
		}
		if value, ok := st.session.Claims.Path(path); ok {
			return placeholderValue(value)
		}
	}
	return ""
}

// userID is the user's name: with several providers, users of any but the
// default one have their provider's id before it. No name can contain the
// slash that comes between, so no provider can name a user of another. Nor can
// a tenant of a provider that has several: its id comes before the name.
func (st *requestState) userID() string {
	if !st.signedIn() {
		return ""
	}
	name := claims.Encoded(st.session.Username, "%/")
	if tenant := st.provider.tenantIn(st.session); tenant != "" {
		name = tenant + "/" + name
	}
	if len(st.h.providers) > 1 && st.provider != st.h.defaultProvider {
		return st.provider.id + "/" + name
	}
	return name
}

// verifiedEmail is the e-mail address if the provider says that it is the
// user's: anybody can claim any other.
func (st *requestState) verifiedEmail() string {
	verified, _ := st.session.Claims.Get("email_verified")
	if email, ok := st.session.Claims.Get("email"); ok && verified.True() {
		return email.Text()
	}
	return ""
}

// groups are the user's groups: what groups_claim names, in the session's
// claims, or apart where the session does not keep those.
func (st *requestState) groups() claims.List {
	if !st.asLoaded() {
		return st.readGroups()
	}
	if made := st.loaded.Groups.Load(); made != nil {
		return *made
	}
	made := st.readGroups()
	st.loaded.Groups.Store(&made)
	return made
}

func (st *requestState) readGroups() claims.List {
	value, ok := st.session.Claims.Get(groupsEntry)
	if !ok {
		value, ok = st.session.Claims.Path(st.provider.groups)
	}
	if !ok {
		return nil
	}
	list, _ := value.List()
	return list
}

func (st *requestState) own(name string) any {
	switch name {
	case "authenticated":
		return st.signedIn()
	case "login_url":
		return st.loginURL()
	case "logout_url":
		return st.h.LogoutPath
	case "error.code":
		return st.queryErrorCode()
	case "error.message":
		return st.queryErrorMessage()
	}
	if !st.signedIn() {
		return ""
	}
	switch name {
	case "provider":
		return st.provider.id
	case "subject":
		return claims.Clean(st.session.Subject)
	case "issuer":
		return claims.Clean(st.provider.issuerOf(st.session))
	case "expires":
		return st.session.Expires.UTC().Format(time.RFC3339)
	case "access_token":
		if st.h.Upstream != nil && st.h.Upstream.AccessToken != "" {
			return st.accessToken()
		}
	case "id_token":
		if st.h.Upstream != nil && st.h.Upstream.IDToken != "" {
			return st.session.IDToken
		}
	}
	return ""
}

// accessToken is the token while it is good for something.
func (st *requestState) accessToken() string {
	if expires := st.session.AccessTokenExpires; !expires.IsZero() && !st.h.now().Before(expires) {
		return ""
	}
	return st.session.AccessToken
}

// loginURL signs in with the default provider and leads back to this page.
func (st *requestState) loginURL() string {
	if st.failed != nil { // on a page of handle_errors: start afresh
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

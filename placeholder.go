package oidcrp

import (
	"net/url"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
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
func (v *visit) placeholder(key string) (any, bool) {
	if name, ok := strings.CutPrefix(key, userSpace); ok {
		return v.user(name), true
	}
	if name, ok := strings.CutPrefix(key, ourSpace); ok {
		return v.own(name), true
	}
	return nil, false
}

func (v *visit) user(name string) any {
	if !v.signedIn() {
		if name == "groups" {
			return claims.List(nil) // so that «in» is false, and no error
		}
		return ""
	}
	switch name {
	case "id":
		return v.userID()
	case "name":
		if value, ok := v.session.Claims.Get("name"); ok {
			return value.Text()
		}
		return ""
	case "email":
		return v.verifiedEmail()
	case "groups":
		return v.groups()
	}
	if path, ok := strings.CutPrefix(name, "claims."); ok {
		if path == "sub" {
			return claims.Clean(v.session.Subject)
		}
		if value, ok := v.session.Claims.Path(path); ok {
			return placeholderValue(value)
		}
	}
	return ""
}

// userID is the user's name: with several providers, users of any but the
// default one have their provider's id before it. No name can contain the
// slash that comes between, so no provider can name a user of another. Nor can
// a tenant of a provider that has several: its id comes before the name.
func (v *visit) userID() string {
	if !v.signedIn() {
		return ""
	}
	name := claims.Encoded(v.session.Username, "%/")
	if tenant := v.party.tenantIn(v.session); tenant != "" {
		name = tenant + "/" + name
	}
	if len(v.h.parties) > 1 && v.party != v.h.defaultParty {
		return v.party.id + "/" + name
	}
	return name
}

// verifiedEmail is the e-mail address if the provider says that it is the
// user's: anybody can claim any other.
func (v *visit) verifiedEmail() string {
	verified, _ := v.session.Claims.Get("email_verified")
	if email, ok := v.session.Claims.Get("email"); ok && verified.True() {
		return email.Text()
	}
	return ""
}

// groups are the user's groups: what groups_claim names, in the session's
// claims, or apart where the session does not keep those.
func (v *visit) groups() claims.List {
	if !v.asLoaded() {
		return v.readGroups()
	}
	if made := v.loaded.Groups.Load(); made != nil {
		return *made
	}
	made := v.readGroups()
	v.loaded.Groups.Store(&made)
	return made
}

func (v *visit) readGroups() claims.List {
	value, ok := v.session.Claims.Get(groupsEntry)
	if !ok {
		value, ok = v.session.Claims.Path(v.party.groups)
	}
	if !ok {
		return nil
	}
	list, _ := value.List()
	return list
}

func (v *visit) own(name string) any {
	switch name {
	case "authenticated":
		return v.signedIn()
	case "login_url":
		return v.loginURL()
	case "logout_url":
		return v.h.LogoutPath
	case "error.code":
		return v.errorCode()
	case "error.message":
		return v.errorMessage()
	}
	if !v.signedIn() {
		return ""
	}
	switch name {
	case "provider":
		return v.party.id
	case "subject":
		return claims.Clean(v.session.Subject)
	case "issuer":
		return claims.Clean(v.party.issuerOf(v.session))
	case "expires":
		return v.session.Expires.UTC().Format(time.RFC3339)
	case "access_token":
		if v.h.Upstream != nil && v.h.Upstream.AccessToken != "" {
			return v.accessToken()
		}
	case "id_token":
		if v.h.Upstream != nil && v.h.Upstream.IDToken != "" {
			return v.session.IDToken
		}
	}
	return ""
}

// accessToken is the token while it is good for something.
func (v *visit) accessToken() string {
	if expires := v.session.AccessTokenExpires; !expires.IsZero() && !v.h.now().Before(expires) {
		return ""
	}
	return v.session.AccessToken
}

// loginURL signs in with the default provider and leads back to this page.
func (v *visit) loginURL() string {
	if v.failed != nil { // on a page of handle_errors: start afresh
		return v.h.loginURL(v.h.defaultParty, v.failed.returnTo)
	}
	return v.h.loginURL(v.h.defaultParty, withoutError(returnOf(v.r)))
}

func (h *Handler) loginURL(p *party, returnTo string) string {
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

// errorCode is what auth_error in the query names, if that is one of our codes.
func (v *visit) errorCode() string {
	if v.failed != nil {
		return string(v.failed.code)
	}
	return errorCodeOf(v.r)
}

// errorMessage is the sentence that users read about that.
func (v *visit) errorMessage() string {
	if v.failed != nil && v.shown != "" {
		return v.shown
	}
	return messageOf(v.errorCode())
}

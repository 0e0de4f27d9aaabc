package flow

import (
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Placeholder returns the value of a placeholder of this plugin.
func (st *State) Placeholder(key string) (any, bool) {
	if name, ok := strings.CutPrefix(key, identity.OwnPrefix); ok {
		if value, ok := st.own(name); ok {
			return value, true
		}
	}
	return st.User().Placeholder(key)
}

// own returns the value of a placeholder {http.oidc_rp.*} that depends on the
// request or the instance, and not on the session alone.
func (st *State) own(name string) (value string, ok bool) {
	switch name {
	case "login_url":
		return st.loginURL(), true
	case "logout_url":
		return st.at.LogoutPath, true
	case "error.code":
		return string(st.errorCode()), true
	case "error.message":
		return st.errorMessage(), true
	case "access_token":
		if st.SignedIn() && st.at.Needs.AccessToken {
			return st.User().AccessToken(st.at.Now()), true
		}
	case "id_token":
		if st.SignedIn() && st.at.Needs.IDToken {
			return st.session.IDToken, true
		}
	}
	return "", false
}

// loginURL returns the address that begins a login with the default provider, or
// opens the chooser, and returns to this page.
func (st *State) loginURL() string {
	if st.failed != nil { // on an error page of the server
		return st.at.loginURL(st.at.Default, st.failed.ReturnTo, st.failed.Proof)
	}
	return st.at.loginURL(st.at.Default, withoutError(st.at.requestedURL(st.r)), op.Proof{})
}

// errorCode returns the code of the failure at hand, or that of a known auth_error
// in the query.
func (st *State) errorCode() errorcode.Code {
	if st.failed != nil {
		return st.failed.Code
	}
	return queryError(st.at, st.r)
}

// errorMessage returns the sentence that users read about the error.
func (st *State) errorMessage() string {
	if st.failed != nil && st.shown != "" {
		return st.shown
	}
	return st.errorCode().Message()
}

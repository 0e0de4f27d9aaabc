package flow

import (
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Placeholder returns the value of a placeholder in one of our two name spaces:
// those about this site and this request here, the rest from the session.
func (st *State) Placeholder(key string) (any, bool) {
	if name, ok := strings.CutPrefix(key, identity.OwnPrefix); ok {
		if value, ok := st.own(name); ok {
			return value, true
		}
	}
	return st.User().Placeholder(key)
}

// own returns the value of a placeholder {http.oidc_rp.*} that does not follow
// from the session alone.
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

// loginURL signs in with the default provider, or lets users choose, and leads back to
// this page.
func (st *State) loginURL() string {
	if st.failed != nil { // on a page of the server: start again
		return st.at.loginURL(st.at.Default, st.failed.ReturnTo, st.failed.Proof)
	}
	return st.at.loginURL(st.at.Default, withoutError(st.at.requestedURL(st.r)), op.Proof{})
}

// errorCode is what did not work, or what auth_error in the query names, if that is
// one of our codes.
func (st *State) errorCode() errorcode.Code {
	if st.failed != nil {
		return st.failed.Code
	}
	return queryError(st.at, st.r)
}

// errorMessage is the sentence that users read about that.
func (st *State) errorMessage() string {
	if st.failed != nil && st.shown != "" {
		return st.shown
	}
	return st.errorCode().Message()
}

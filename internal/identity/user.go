package identity

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// User is who a request comes from: a session, as the mapping of its provider
// reads it. The zero value is an unauthenticated user. Nothing is decoded before a
// method needs it.
type User struct {
	Mapping *Mapping
	Session *session.Session
	// Several reports whether the site has several providers.
	Several bool
	// Prefixed reports whether the provider's id comes before the names of the user
	// and of groups: where there are several providers, for any but the default one.
	Prefixed bool
	// GroupsCache keeps the groups once they are decoded; nil for no cache.
	GroupsCache *atomic.Pointer[claims.List]
}

// SignedIn reports whether there is a session.
func (u User) SignedIn() bool { return u.Session != nil }

// ID returns the user's name at this site; empty for an unauthenticated user. The
// provider's id comes before it where there are several providers, and so does the
// tenant where a provider has several. No name contains the slash in between, so
// that no provider and no tenant can name a user of another. Names of programs begin
// with what no provider's id is.
func (u User) ID() string {
	if !u.SignedIn() {
		return ""
	}
	name := claims.Encoded(u.Session.Username, "%/")
	switch prefix := u.prefix(); {
	case u.Session.Kind == session.Key:
		return "key/" + name
	case u.Session.Kind == session.Client && prefix == "":
		return "client/" + name
	case u.Session.Kind == session.Client:
		return prefix + "client%2F" + name
	case prefix != "" && strings.HasPrefix(name, "client%2F"): // no user is called like a client
		return prefix + "%63" + name[1:]
	default:
		return prefix + name
	}
}

// Kind returns what the request comes from: person, client or key; empty for an
// unauthenticated request.
func (u User) Kind() string {
	if !u.SignedIn() {
		return ""
	}
	return u.Session.Kind.String()
}

// prefix returns what comes before the names of the user and of groups.
func (u User) prefix() string {
	prefix := ""
	if u.Prefixed {
		prefix = u.Mapping.Provider + "/"
	}
	if tenant := u.Mapping.TenantOf(u.Session); tenant != "" {
		prefix += tenant + "/"
	}
	return prefix
}

// Subject returns sub as text for headers and placeholders.
func (u User) Subject() string { return claims.Clean(u.Session.Subject) }

// Issuer returns the issuer that sub belongs to, as text for headers and
// placeholders.
func (u User) Issuer() string { return claims.Clean(u.Mapping.IssuerOf(u.Session)) }

// AccessToken returns the access token for an application; empty once it has expired,
// and for one that is bound to a key, which the application does not have.
func (u User) AccessToken(now time.Time) string {
	if expires := u.Session.AccessTokenExpires; !expires.IsZero() && !now.Before(expires) || u.Session.TokenKey != "" {
		return ""
	}
	return u.Session.AccessToken
}

// ClaimText returns the value of a claim path as the text of a header; empty if
// there is none. groups are the user's groups, and email is the verified address.
func (u User) ClaimText(path string) string {
	switch path {
	case "groups":
		return u.Groups().String()
	case "email":
		return u.Email()
	}
	if BareClaim(path) == "sub" {
		return u.Subject()
	}
	claim, _ := u.Claim(path)
	return claim.Text()
}

// Claim returns the claim at a path, of a signed-in user. claims. may come before
// it. groups alone are the user's groups, and email alone is the verified address.
func (u User) Claim(path string) (claims.Value, bool) {
	if path == "groups" {
		if groups := u.Groups(); groups != nil {
			return groups.Value(), true
		}
		return claims.Value{}, false
	}
	if path == "email" {
		return u.verifiedEmail()
	}
	if BareClaim(path) == "sub" {
		return claims.FromString(u.Session.Subject), true
	}
	return u.Mapping.valueAt(u.Session.Claims, path)
}

package identity

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// User is the user of a request: a session, interpreted by its provider's Mapping.
// The zero value is an unauthenticated user. Claims are decoded on demand.
type User struct {
	Mapping *Mapping
	Session *session.Session
	// Several reports whether the site has several providers.
	Several bool
	// Prefixed reports whether names of the user and of groups have the provider's
	// id as a prefix: with several providers, for all but the default one.
	Prefixed bool
	// GroupsCache caches the decoded groups; nil for no cache.
	GroupsCache *atomic.Pointer[claims.List]
}

// SignedIn reports whether there is a session.
func (u User) SignedIn() bool { return u.Session != nil }

// ID returns the user's name at this site; "" for an unauthenticated user. It is
// prefixed with the provider's id if there are several providers, and with the
// tenant if a provider has several. Slashes in names are encoded, so that no
// provider or tenant can name a user of another. The prefixes of programs are not
// valid provider ids.
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
	case prefix != "" && strings.HasPrefix(name, "client%2F"): // no user has the name of a client
		return prefix + "%63" + name[1:]
	default:
		return prefix + name
	}
}

// Kind returns person, client or key; "" for an unauthenticated request.
func (u User) Kind() string {
	if !u.SignedIn() {
		return ""
	}
	return u.Session.Kind.String()
}

// prefix returns the prefix of the names of the user and of groups.
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

// Subject returns sub in a form that is safe in headers and placeholders.
func (u User) Subject() string { return claims.Clean(u.Session.Subject) }

// Issuer returns the issuer of sub in a form that is safe in headers and
// placeholders.
func (u User) Issuer() string { return claims.Clean(u.Mapping.IssuerOf(u.Session)) }

// AccessToken returns the access token for an application; "" if it has expired or
// is bound to a key, which the application does not have.
func (u User) AccessToken(now time.Time) string {
	if expires := u.Session.AccessTokenExpires; !expires.IsZero() && !now.Before(expires) || u.Session.TokenKey != "" {
		return ""
	}
	return u.Session.AccessToken
}

// ClaimText returns the value at a claim path as the text of a header; "" if there
// is none. groups means the user's groups, and email the verified address.
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

// Claim returns the claim at a path, with or without the prefix `claims.`, of a
// signed-in user. groups means the user's groups, and email the verified address.
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

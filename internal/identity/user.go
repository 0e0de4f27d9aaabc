package identity

import (
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
	// Prefixed reports whether the provider's id comes before the user's name: at
	// sites with several providers, for users of any but the default one.
	Prefixed bool
	// GroupsCache keeps the groups once they are decoded; nil for no cache.
	GroupsCache *atomic.Pointer[claims.List]
}

// SignedIn reports whether there is a session.
func (u User) SignedIn() bool { return u.Session != nil }

// ID returns the user's name at this site; empty for an unauthenticated user. The
// provider's id comes before it where there are several providers, and so does the
// tenant where a provider has several. No name contains the slash in between, so
// that no provider and no tenant can name a user of another.
func (u User) ID() string {
	if !u.SignedIn() {
		return ""
	}
	name := claims.Encoded(u.Session.Username, "%/")
	if tenant := u.Mapping.TenantOf(u.Session); tenant != "" {
		name = tenant + "/" + name
	}
	if u.Prefixed {
		return u.Mapping.Provider + "/" + name
	}
	return name
}

// Email returns the e-mail address if the provider says that it is verified;
// empty otherwise, since users can enter any other.
func (u User) Email() string {
	verified, _ := u.Session.Claims.Get("email_verified")
	if email, ok := u.Session.Claims.Get("email"); ok && verified.True() {
		return email.Text()
	}
	return ""
}

// Groups returns the user's groups: what groups_claim names in the session's
// claims, or what is kept apart if the session does not keep that claim. It is nil
// if they are absent or not a list of names.
func (u User) Groups() claims.List {
	if u.GroupsCache == nil {
		return u.readGroups()
	}
	if made := u.GroupsCache.Load(); made != nil {
		return *made
	}
	made := u.readGroups()
	u.GroupsCache.Store(&made)
	return made
}

func (u User) readGroups() claims.List {
	value, ok := u.Session.Claims.Get(groupsEntry)
	if !ok {
		value, ok = u.Session.Claims.Path(u.Mapping.Groups)
	}
	if !ok {
		return nil
	}
	list, _ := value.List()
	return list
}

// Subject returns sub as text for headers and placeholders.
func (u User) Subject() string { return claims.Clean(u.Session.Subject) }

// Issuer returns the issuer that sub belongs to, as text for headers and
// placeholders.
func (u User) Issuer() string { return claims.Clean(u.Mapping.IssuerOf(u.Session)) }

// AccessToken returns the access token; empty once it has expired.
func (u User) AccessToken(now time.Time) string {
	if expires := u.Session.AccessTokenExpires; !expires.IsZero() && !now.Before(expires) {
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
	claim, ok := u.Session.Claims.Path(path)
	if !ok {
		claim, _ = u.Session.Claims.Path(BareClaim(path))
	}
	return claim.Text()
}

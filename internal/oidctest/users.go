package oidctest

import (
	"maps"
	"net/http"
	"slices"
)

// User is a user of the provider.
type User struct {
	Subject string
	Claims  map[string]any // scopes decide which of them are released
}

// people returns the users that every provider has. Subjects and names differ,
// so that tests can tell which of them a relying party shows.
func people() map[string]User {
	person := func(sub, name, username string, verified bool, groups, roles []string) User {
		return User{Subject: sub, Claims: map[string]any{
			"name":               name,
			"preferred_username": username,
			"email":              username + "@example.com",
			"email_verified":     verified,
			"groups":             groups,
			"realm_access":       map[string]any{"roles": roles},
		}}
	}
	return map[string]User{
		"alice": person("u-1001", "Alice Müller", "alice", true, []string{"admins", "staff"}, []string{"editor", "viewer"}),
		"bob":   person("u-1002", "Bob Builder", "bob", false, []string{"staff"}, []string{"viewer"}),
	}
}

// scopeOf maps claims to the scopes that release them (OpenID Connect Core,
// section 5.4). Claims without a scope are always released, as real providers
// do with groups.
var scopeOf = map[string]string{
	"name": "profile", "preferred_username": "profile", "given_name": "profile",
	"family_name": "profile", "picture": "profile", "locale": "profile",
	"email": "email", "email_verified": "email",
	"phone_number": "phone", "address": "address",
}

func (u User) released(scopes []string) map[string]any {
	claims := map[string]any{}
	for name, value := range u.Claims {
		if scope := scopeOf[name]; scope == "" || slices.Contains(scopes, scope) {
			claims[name] = value
		}
	}
	return claims
}

// SignIn sets the user who is signed in at the provider. The authorization
// endpoint then responds immediately for this user. Default: alice.
func (p *Provider) SignIn(name string) {
	p.t.Helper()
	p.mu.Lock()
	_, known := p.users[name]
	p.chooser = func(*http.Request) string { return name }
	p.since = p.conf.now()
	p.mu.Unlock()
	if !known {
		p.t.Errorf("oidctest: no user %q", name)
	}
}

// SignOut signs the user out: the authorization endpoint shows a page, or
// responds with login_required if prompt is none.
func (p *Provider) SignOut() {
	p.Choose(func(*http.Request) string { return "" })
}

// Choose sets a function that returns the user who signs in for an
// authorization request, or "" for none.
func (p *Provider) Choose(who func(*http.Request) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chooser = who
}

// SetUser adds or changes a user. Existing ID tokens keep their claims, while
// userinfo responses have the new ones.
func (p *Provider) SetUser(name string, u User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users[name] = User{Subject: u.Subject, Claims: maps.Clone(u.Claims)}
}

// User returns the user with the given name.
func (p *Provider) User(name string) User {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.users[name]
	return User{Subject: u.Subject, Claims: maps.Clone(u.Claims)}
}

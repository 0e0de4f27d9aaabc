package broker

import (
	"maps"
	"slices"
)

// preset describes a provider with OAuth 2.0 and without ID tokens. To add a
// provider, add a row.
type preset struct {
	issuer           string // identifies the provider in identities
	authorize, token string
	scopes           []string
	// groupScopes are requested if groups are mapped.
	groupScopes []string
	user        string // the API for the user
	// id is the member that never changes and is never reassigned: a number or a
	// string of digits.
	id         string
	name       string // the user name
	fullName   string // the display name
	language   string
	email      emailIn
	groups     string // the API of the user's groups
	groupName  string // the member of a group that is its name here: one that is unique there
	acceptType string
}

// emailIn describes where a verified e-mail address is. Others are never read.
type emailIn struct {
	api      string // API with a list of addresses; empty if the user object has it
	address  string
	verified string // the member that must be true
}

var presets = map[string]preset{
	"github": {
		issuer:    "https://github.com",
		authorize: "https://github.com/login/oauth/authorize", token: "https://github.com/login/oauth/access_token",
		scopes: []string{"read:user", "user:email"}, groupScopes: []string{"read:org"},
		user: "https://api.github.com/user", id: "id", name: "login", fullName: "name",
		email:  emailIn{api: "https://api.github.com/user/emails", address: "email", verified: "verified"},
		groups: "https://api.github.com/user/orgs?per_page=100", groupName: "login",
		acceptType: "application/vnd.github+json",
	},
	"discord": {
		issuer:    "https://discord.com",
		authorize: "https://discord.com/oauth2/authorize", token: "https://discord.com/api/oauth2/token",
		scopes: []string{"identify", "email"}, groupScopes: []string{"guilds"},
		user: "https://discord.com/api/users/@me", id: "id", name: "username", fullName: "global_name", language: "locale",
		email: emailIn{address: "email", verified: "verified"},
		// Names of guilds are not unique, so groups are named by id.
		groups: "https://discord.com/api/users/@me/guilds", groupName: "id",
		acceptType: "application/json",
	},
}

// Presets returns the names of the presets.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

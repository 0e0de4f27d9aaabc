package broker

import (
	"maps"
	"slices"
)

// preset is a provider of OAuth 2.0 without ID tokens. To add one, add a row.
type preset struct {
	issuer           string // stands for the provider in identities
	authorize, token string
	scopes           []string
	// groupScopes are asked for where groups are mapped.
	groupScopes []string
	user        string // the API that says who the user is
	// id is the member that never changes and is never given to anyone else: a
	// number or a text of digits.
	id         string
	name       string // what the user is called
	fullName   string // the name to show
	language   string
	email      emailIn
	groups     string // the API of the user's groups
	groupName  string // the member of a group that is its name here: one that is unique there
	acceptType string
}

// emailIn says where a verified e-mail address is. One that is not verified is
// never read.
type emailIn struct {
	api      string // a list of addresses of its own; empty: the user's
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
		// Anyone can call a guild as another one is called: only ids are unique.
		groups: "https://discord.com/api/users/@me/guilds", groupName: "id",
		acceptType: "application/json",
	},
}

// Presets are the names of the presets of oauth2.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

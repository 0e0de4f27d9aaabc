package oidcidp

import (
	"github.com/caddyserver/caddy/v2"
)

// Database is where accounts are kept.
type Database struct {
	// The kind of database: `sqlite` or `postgres`. Several nodes need
	// `postgres`. Default: `sqlite`.
	Engine string `json:"engine,omitempty"`

	// The file of an SQLite database. Its directory is created if it is missing,
	// accessible only to this user. Default: `oidc_idp/accounts.db` in Caddy's data
	// directory.
	File string `json:"file,omitempty"`

	// The URL of a PostgreSQL database, such as
	// `postgres://user:password@localhost/accounts`. Use `{env.NAME}` or
	// `{file./path}` to keep the password out of the configuration.
	URL string `json:"url,omitempty"`
}

// Authenticator is a login authenticator: what some users have to sign in with.
type Authenticator struct {
	// The rules for passwords.
	Password *PasswordPolicy `json:"password,omitempty"`

	// When an account is locked after wrong attempts.
	Lockout *Lockout `json:"lockout,omitempty"`

	// Whether users sign in with a second factor besides the password: `off`,
	// `optional`, or `required`, which makes users enrol one at the next sign-in.
	// A passkey alone counts as two factors. Default: `optional`.
	MFA string `json:"mfa,omitempty"`

	// The factors that users may enrol: `totp`, `hotp` and `passkey`. Default: all.
	Factors []string `json:"factors,omitempty"`

	// How long a browser stays signed in.
	Session *SessionPolicy `json:"session,omitempty"`
}

// PasswordPolicy has the rules of passwords. A password is never the user name,
// the e-mail address or the name of the provider.
type PasswordPolicy struct {
	// The minimum number of characters, from 8 to 128. Default: 12.
	MinLength int `json:"min_length,omitempty"`

	// The maximum number of characters, from 8 to 128. Default: 128.
	MaxLength int `json:"max_length,omitempty"`

	// The kinds of characters that a password must contain: `lower`, `upper`,
	// `digit` and `symbol`. Default: none.
	Require []string `json:"require,omitempty"`

	// How hard a password must be to guess, from 0 to 4, as the zxcvbn algorithm
	// estimates it. Default: 0.
	MinStrength int `json:"min_strength,omitempty"`

	// How many previous passwords, including the current one, must not be reused,
	// up to 24. Default: 0.
	History int `json:"history,omitempty"`

	// How old a password may get before the user must change it. Default: any
	// age.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
}

// Lockout says when an account is locked.
type Lockout struct {
	// The number of wrong attempts after which an account is locked. Default:
	// 10.
	Attempts int `json:"attempts,omitempty"`

	// How long it is locked the first time. The time doubles with each further
	// lockout, up to a day. Default: `15m`.
	Duration caddy.Duration `json:"duration,omitempty"`
}

// SessionPolicy says how long a browser stays signed in.
type SessionPolicy struct {
	// The maximum length of a single sign-on session. Default: `12h`.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// How long an unused session lasts. Default: its lifetime.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`

	// For how long users may choose not to be asked for a code again in the same
	// browser. Default: they cannot choose this.
	RememberDevice caddy.Duration `json:"remember_device,omitempty"`
}

// Client is a relying party elsewhere.
type Client struct {
	// Where users are sent after a sign-in, compared byte for byte. Required,
	// unless the only grant is `client_credentials`.
	RedirectURIs []string `json:"redirect_uris,omitempty"`

	// Where users may be sent after a logout, compared byte for byte.
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`

	// The URL to call when a session ends (OpenID Connect Back-Channel Logout 1.0).
	BackchannelLogoutURI string `json:"backchannel_logout_uri,omitempty"`

	// The URL that starts a login there (OpenID Connect Core, section 4).
	InitiateLoginURI string `json:"initiate_login_uri,omitempty"`

	// The client's secret. Use `{env.NAME}` or `{file./path}` to keep it out of the
	// configuration.
	Secret string `json:"secret,omitempty"`

	// Whether the client has no secret, such as an app on a phone or in a
	// browser. Default: false.
	Public bool `json:"public,omitempty"`

	// Whether PKCE (RFC 7636) is `required` or `optional`. `optional` needs a
	// secret. Default: `required`.
	PKCE string `json:"pkce,omitempty"`

	// The signature algorithm of ID tokens: `RS256` or `ES256`. Default: `RS256`.
	IDTokenAlg string `json:"id_token_alg,omitempty"`

	// The grants that the client may use besides `authorization_code` and
	// `refresh_token`: `client_credentials`. Default: none.
	Grants []string `json:"grants,omitempty"`

	// What `client_credentials` tokens may be for: the allowed values of the `resource`
	// parameter (RFC 8707), which become the audience. If there is only one, it need
	// not be requested. Default: any.
	Resources []string `json:"resources,omitempty"`

	// The scopes that the client may request. Default: `openid profile email
	// groups offline_access`.
	Scopes []string `json:"scopes,omitempty"`

	// Whether each use of a refresh token replaces it with a new one, as it always
	// does for public clients. Default: false.
	Rotate bool `json:"rotate,omitempty"`

	// The name of the client on pages. Default: its id.
	Name string `json:"name,omitempty"`
}

// Mail is how mail is sent.
type Mail struct {
	// The server: `smtp://` with STARTTLS, or `smtps://`, with its host and port.
	// Required.
	Server string `json:"server,omitempty"`

	// How the connection is secured. `verify` requires TLS and a certificate that is
	// valid for the host. For `smtp://` and a server on this machine, it may be `auto`,
	// which uses STARTTLS if offered and accepts any certificate, or `off`. Default:
	// `auto` on this machine, `verify` elsewhere.
	TLS string `json:"tls,omitempty"`

	// The sender, such as `Example <login@example.com>`. Required.
	From string `json:"from,omitempty"`

	// The user name for the server. Default: none.
	Username string `json:"username,omitempty"`

	// The password for the server. Use `{env.NAME}` or `{file./path}` to keep it
	// out of the configuration.
	Password string `json:"password,omitempty"`
}

package oidcidp

import (
	"github.com/caddyserver/caddy/v2"
)

// Database is where accounts are kept.
type Database struct {
	// The kind of the database: `sqlite` or `postgres`. Several nodes need
	// `postgres`. Default: `sqlite`.
	Engine string `json:"engine,omitempty"`

	// The file of an SQLite database. Its folder is made if it is missing, for this
	// user alone. Default: `oidc_idp/accounts.db` in Caddy's data folder.
	File string `json:"file,omitempty"`

	// The URL of a PostgreSQL database, such as
	// `postgres://user:password@localhost/accounts`. Use `{env.NAME}` or
	// `{file./path}` to keep the password out of the configuration.
	URL string `json:"url,omitempty"`
}

// Authenticator is a login authenticator: what some users have to sign in with.
type Authenticator struct {
	// The rules of passwords.
	Password *PasswordPolicy `json:"password,omitempty"`

	// When an account is locked after wrong attempts.
	Lockout *Lockout `json:"lockout,omitempty"`

	// Whether users sign in with a factor beside the password: `off`, `optional`,
	// or `required`, which has users enrol one at the next sign-in. A passkey
	// alone is two factors. Default: `optional`.
	MFA string `json:"mfa,omitempty"`

	// The factors that users may enrol: `totp`, `hotp` and `passkey`. Default: all.
	Factors []string `json:"factors,omitempty"`

	// The single sign-on session of a browser.
	Session *SessionPolicy `json:"session,omitempty"`
}

// PasswordPolicy has the rules of passwords. A password is never the user name,
// the e-mail address or the name of the provider.
type PasswordPolicy struct {
	// How many characters a password has at least, from 8 to 128. Default: 12.
	MinLength int `json:"min_length,omitempty"`

	// How many characters a password has at most, from 8 to 128. Default: 128.
	MaxLength int `json:"max_length,omitempty"`

	// The kinds of characters that a password must have: `lower`, `upper`, `digit`
	// and `symbol`. Default: none.
	Require []string `json:"require,omitempty"`

	// How hard a password must be to guess, from 0 to 4, as the zxcvbn algorithm
	// estimates it. Default: 0.
	MinStrength int `json:"min_strength,omitempty"`

	// How many of the last passwords, the present one among them, must not be used
	// again, up to 24. Default: 0.
	History int `json:"history,omitempty"`

	// How old a password may get before a new one is due. Default: any age.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
}

// Lockout says when an account is locked.
type Lockout struct {
	// After how many wrong attempts an account is locked. Default: 10.
	Attempts int `json:"attempts,omitempty"`

	// How long it is locked at first. Each further time doubles, up to a day.
	// Default: `15m`.
	Duration caddy.Duration `json:"duration,omitempty"`
}

// SessionPolicy says how long a browser stays signed in.
type SessionPolicy struct {
	// How long a single sign-on session lasts at most. Default: `12h`.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// How long a session lasts that is not used. Default: its lifetime.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`

	// How long users may choose not to be asked for a code again in the same
	// browser. Default: they cannot choose that.
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

	// The URL that begins a login there (OpenID Connect Core, section 4).
	InitiateLoginURI string `json:"initiate_login_uri,omitempty"`

	// The client's secret. Use `{env.NAME}` or `{file./path}` to keep it out of the
	// configuration.
	Secret string `json:"secret,omitempty"`

	// Whether the client has no secret, as an app on a phone or in a browser.
	// Default: false.
	Public bool `json:"public,omitempty"`

	// Whether PKCE (RFC 7636) is `required` or `optional`. `optional` needs a
	// secret. Default: `required`.
	PKCE string `json:"pkce,omitempty"`

	// The signature algorithm of ID tokens: `RS256` or `ES256`. Default: `RS256`.
	IDTokenAlg string `json:"id_token_alg,omitempty"`

	// The grants that the client may use beside `authorization_code` and
	// `refresh_token`: `client_credentials`. Default: none.
	Grants []string `json:"grants,omitempty"`

	// What the tokens of `client_credentials` may be for: the values that the parameter
	// `resource` (RFC 8707) may have, which become the audience. If there is one alone,
	// it need not be requested. Default: any.
	Resources []string `json:"resources,omitempty"`

	// The scopes that the client may request. Default: `openid profile email
	// groups offline_access`.
	Scopes []string `json:"scopes,omitempty"`

	// Whether each use of a refresh token replaces it by another, as it always does
	// at public clients. Default: false.
	Rotate bool `json:"rotate,omitempty"`

	// What pages call the client. Default: its id.
	Name string `json:"name,omitempty"`
}

// Mail is how mail is sent.
type Mail struct {
	// The server: `smtp://` with STARTTLS, or `smtps://`, with its host and port.
	// Required.
	Server string `json:"server,omitempty"`

	// How the connection is secured. `verify` wants TLS, and a certificate that is
	// valid for the host. For `smtp://` and a server on this machine, it may be `auto`,
	// STARTTLS where it is offered with any certificate, or `off`. Default: `auto` on
	// this machine, `verify` elsewhere.
	TLS string `json:"tls,omitempty"`

	// The sender, such as `Example <login@example.com>`. Required.
	From string `json:"from,omitempty"`

	// The user name at the server. Default: none.
	Username string `json:"username,omitempty"`

	// The password at the server. Use `{env.NAME}` or `{file./path}` to keep it out
	// of the configuration.
	Password string `json:"password,omitempty"`
}

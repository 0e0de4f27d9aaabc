// Package opconfig turns what an operator configures of an OpenID Provider into
// a client of package op.
//
// It knows the options, their defaults and rules, the files and placeholders that
// they name, and what identifies a configuration: what sessions are bound to, and
// the hash under which documents of the provider are kept. It does not know how
// options are written in JSON or a Caddyfile, it logs nothing, and it makes no
// request.
package opconfig

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

const (
	defaultTimeout     = 10 * time.Second
	defaultClockSkew   = time.Minute
	defaultGroupsClaim = "groups"

	// maxClockSkew bounds the skew, which could otherwise disable the expiry of
	// tokens.
	maxClockSkew = 10 * time.Minute
	// maxAssertionFile bounds an assertion that the platform writes to a file, in
	// bytes.
	maxAssertionFile = 16 << 10
	// maxAccessTokenLifetime equals the longest lifetime of a session.
	maxAccessTokenLifetime = 400 * 24 * time.Hour
)

var (
	defaultScopes        = []string{"openid", "profile", "email"}
	defaultUsernameClaim = []string{"preferred_username", "sub"}
	defaultForwardParams = []string{"ui_locales"}
)

// Whom an assertion is addressed to. The issuer is what FAPI 2 and the update
// of RFC 7523 want; a token endpoint could be one that an attacker advertises.
const (
	AudienceIssuer        = "issuer"
	AudienceTokenEndpoint = "token_endpoint"
)

// When tokens are bound to a key of ours (RFC 9449), and how long a key is used.
const (
	DPoPAuto = "auto"
	DPoPOn   = "on"
	DPoPOff  = "off"

	DPoPKeySession = "session"
	DPoPKeyProcess = "process"
)

// The values of options that have one of a few, which a Caddyfile parser offers.
var (
	AssertionAudiences = []string{AudienceIssuer, AudienceTokenEndpoint}
	UserinfoValues     = []string{"auto", "always", "never"}
	UserinfoMethods    = []string{"get", "post"}
	ResponseModes      = []string{"query", "form_post", "jwt", "query.jwt", "form_post.jwt"}
	RequestObjects     = []string{op.RequestSigned, op.RequestEncrypted}
	DPoPModes          = []string{DPoPAuto, DPoPOn, DPoPOff}
	DPoPKeys           = []string{DPoPKeySession, DPoPKeyProcess}
)

// Options are the options of a provider as they are written: placeholders are not
// resolved, and an option that is not set is zero. They have the names of the JSON
// configuration, which documents them.
type Options struct {
	Issuer, ConfigurationURL string
	Endpoints                op.Endpoints // jwks_uri among them
	JWKS                     string

	// Builtin: it is the identity provider of this Caddy; see UseBuiltin.
	Builtin bool

	// KeysOnly: it is no provider, but an issuer whose access tokens are verified.
	KeysOnly bool

	Name                                    string
	ClientID, ClientSecret                  string
	ClientAuth                              string
	ClientKeys                              []string
	ClientAssertionAudience                 string
	ClientAssertionFile                     string
	ClientCertificate, ClientCertificateKey string

	Scopes        []string
	UsernameClaim []string
	Claims        map[string]string
	GroupsClaim   string

	Groups           []string
	GroupNames       map[string]string
	EmailTrusted     bool
	Domains, Tenants []string
	Audiences        []string
	LoginIsAuthTime  bool

	Userinfo, UserinfoMethod string
	AccessTokenLifetime      time.Duration
	RedirectPath             string
	PKCE                     *bool
	ResponseMode             string
	RequestObject            string
	Profile                  string
	AuthorizationParams      url.Values
	TokenParams              url.Values
	ForwardParams            []string
	IDTokenAlgs              []string
	DecryptionKey            []string
	DPoP, DPoPKey, DPoPAlg   string

	ClockSkew *time.Duration
	Timeout   time.Duration
	TLS       *TLSFiles
	Proxy     string
	Insecure  bool

	EndSession *bool
}

// TLSFiles are the files of the option tls. Their JSON names are part of the hash
// of a configuration.
type TLSFiles struct {
	CA                []string `json:"ca,omitempty"`
	ClientCertificate string   `json:"client_certificate,omitempty"`
	ClientKey         string   `json:"client_key,omitempty"`
}

// withDefaults returns a copy in which options that are not set have their
// defaults.
func (o Options) withDefaults() Options {
	if o.Scopes == nil {
		o.Scopes = defaultScopes
	}
	if o.UsernameClaim == nil {
		o.UsernameClaim = defaultUsernameClaim
	}
	o.Domains, o.Tenants = lowered(o.Domains), lowered(o.Tenants)
	if o.ForwardParams == nil {
		o.ForwardParams = defaultForwardParams
	}
	if o.GroupsClaim == "" {
		o.GroupsClaim = defaultGroupsClaim
	}
	if o.Userinfo == "" {
		o.Userinfo = "auto"
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.ClockSkew == nil {
		skew := defaultClockSkew
		o.ClockSkew = &skew
	}
	o.setProfile()
	return o
}

// lowered returns case-insensitive names in lower case.
func lowered(names []string) []string {
	names = slices.Clone(names)
	for i, name := range names {
		names[i] = strings.ToLower(name)
	}
	return names
}

// named is an option and a pointer to its value.
type named struct {
	name  string
	field *string
}

// addresses returns the options that are URLs of the provider.
func (o *Options) addresses() []named {
	all := []named{{"issuer", &o.Issuer}, {"configuration_url", &o.ConfigurationURL}}
	for name, address := range o.Endpoints.All() {
		all = append(all, named{name, address})
	}
	return all
}

// issuer returns the name of the provider that is known before its metadata.
func (o *Options) issuer() string {
	if o.Issuer != "" {
		return o.Issuer
	}
	return strings.TrimSuffix(o.ConfigurationURL, op.WellKnown)
}

// withoutDiscovery reports whether everything that discovery finds is configured.
func (o *Options) withoutDiscovery() bool {
	e := &o.Endpoints
	return e.Authorization != "" && e.Token != "" && (e.JWKS != "" || o.JWKS != "")
}

// LimitsGroups reports whether only some of the provider's groups are used.
func (o *Options) LimitsGroups() bool { return len(o.Groups)+len(o.GroupNames) > 0 }

// usesMTLS reports whether the client authenticates with a certificate in TLS.
func (o *Options) usesMTLS() bool {
	return o.ClientAuth == op.MTLS || o.TLS != nil && o.TLS.ClientCertificate != ""
}

// PublishesKeys reports whether there are public keys that a provider may need:
// those of client keys, of a client certificate, or of decryption keys.
func (o *Options) PublishesKeys() bool {
	return len(o.ClientKeys)+len(o.DecryptionKey)+len(o.ClientCertificate) > 0
}

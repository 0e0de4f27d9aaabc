package oidctest

import "time"

// Option configures what cannot change while a provider runs. What can change
// is a lie (see Provider.Lie) or has a method.
type Option func(*config)

type config struct {
	tls, http2, memory    bool
	host, path            string
	alg                   string
	now                   func() time.Time
	lenient, unrecorded   bool
	randomPaths           bool
	endpointQuery         string
	claimsInIDToken       bool
	promiseIss, needPKCE  bool
	refreshTokens         bool
	pushed                bool
	dpop, dpopRequired    bool
	dpopNonces            bool
	keyring               int
	client                Client
	idTokenLife, codeLife time.Duration

	signedResponses, requestObjects                bool
	requireRequestObjects, encryptedRequestObjects bool
}

func defaults() config {
	return config{
		alg:         "RS256",
		now:         time.Now,
		promiseIss:  true,
		needPKCE:    true,
		keyring:     -1,
		client:      Client{ID: "rp", Secret: "a-secret-of-the-test-client", Auth: "client_secret_basic"},
		idTokenLife: 5 * time.Minute,
		codeLife:    time.Minute,
	}
}

// TLS serves HTTPS, with a certificate from the CA that CAPEM, CAPool and
// CAFile return.
func TLS() Option { return func(c *config) { c.tls = true } }

// HTTP2 serves HTTPS and offers HTTP/2, in which a reset is an RST_STREAM and
// the Content-Length cannot be falsified.
func HTTP2() Option { return func(c *config) { c.tls, c.http2 = true, true } }

// Host makes name the host of the issuer, instead of the loopback address. The
// provider still listens on loopback, so the test's dialer must connect to
// Addr.
func Host(name string) Option { return func(c *config) { c.host = name } }

// Path sets the path of the issuer. The issuers of the OpenID Foundation's
// suite end in a slash, as in "/test/a/alias/": it matters in comparisons with
// iss, and must not be doubled before .well-known (OpenID Connect Discovery,
// section 4.1).
func Path(path string) Option { return func(c *config) { c.path = path } }

// Alg sets the algorithm of ID tokens, the only one in the metadata: RS256,
// RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA or Ed25519.
// Default: RS256.
func Alg(alg string) Option { return func(c *config) { c.alg = alg } }

// Now replaces the clock. See also Faults.Skew.
func Now(now func() time.Time) Option { return func(c *config) { c.now = now } }

// InMemory opens no socket: the provider can be reached only through Transport.
// Its issuer is https://op.test, or has the name in Host.
func InMemory() Option { return func(c *config) { c.memory = true } }

// Unrecorded keeps no data of past logins, so that benchmarks do not measure
// the provider's memory. It does not notice the reuse of state, nonce and
// verifier, and Canaries has only the client secrets.
func Unrecorded() Option { return func(c *config) { c.unrecorded = true } }

// Lenient makes the test succeed despite violations.
func Lenient() Option { return func(c *config) { c.lenient = true } }

// RandomPaths serves the endpoints at unguessable paths, which only the
// metadata has. It also requires that the key set is fetched before userinfo.
func RandomPaths() Option { return func(c *config) { c.randomPaths = true } }

// EndpointQuery adds a query, such as "tenant=a", to the authorization, token
// and end-session endpoints in the metadata. The relying party must keep it
// (RFC 6749, section 3.1).
func EndpointQuery(query string) Option { return func(c *config) { c.endpointQuery = query } }

// ClaimsInIDToken also puts the claims of the requested scopes into the ID
// token. By default, they are only in userinfo responses (OpenID Connect Core,
// section 5.4).
func ClaimsInIDToken() Option { return func(c *config) { c.claimsInIDToken = true } }

// NoIss removes the parameter iss from authorization responses, and its
// announcement from the metadata (RFC 9207).
func NoIss() Option { return func(c *config) { c.promiseIss = false } }

// NoPKCE allows authorization requests without code_challenge.
func NoPKCE() Option { return func(c *config) { c.needPKCE = false } }

// RefreshTokens issues a refresh token for every code, even without the scope
// offline_access.
func RefreshTokens() Option { return func(c *config) { c.refreshTokens = true } }

// PushedRequests requires pushed authorization requests (RFC 9126), and
// announces that in the metadata.
func PushedRequests() Option { return func(c *config) { c.pushed = true } }

// RequestObjects accepts request objects, signed with the client's RequestKey,
// Key or Secret (RFC 9101).
func RequestObjects() Option { return func(c *config) { c.requestObjects = true } }

// RequireRequestObjects accepts only authorization requests with a request
// object.
func RequireRequestObjects() Option {
	return func(c *config) { c.requestObjects, c.requireRequestObjects = true, true }
}

// RequireEncryptedRequestObjects accepts only authorization requests with a
// request object that is signed and encrypted.
func RequireEncryptedRequestObjects() Option {
	return func(c *config) {
		c.requestObjects, c.requireRequestObjects, c.encryptedRequestObjects = true, true, true
	}
}

// SignedResponses offers the response modes of JARM: jwt, query.jwt and
// form_post.jwt.
func SignedResponses() Option { return func(c *config) { c.signedResponses = true } }

// DPoP offers DPoP (RFC 9449): if a request has a proof, tokens are bound to its key.
func DPoP() Option { return func(c *config) { c.dpop = true } }

// BoundTokens requires DPoP (dpop_bound_access_tokens).
func BoundTokens() Option { return func(c *config) { c.dpop, c.dpopRequired = true, true } }

// ProofNonces requires a new nonce in each proof, at the token, userinfo and
// pushed request endpoints. Every response of these contains the next nonce.
func ProofNonces() Option { return func(c *config) { c.dpopNonces = true } }

// Keyring selects the keys, which all tests of a process share. By default, the
// providers of a test have different keyrings.
func Keyring(n int) Option { return func(c *config) { c.keyring = n } }

// WithClient replaces the registered client.
func WithClient(client Client) Option { return func(c *config) { c.client = client } }

// IDTokenLife sets the time from iat to exp of ID tokens. Default: five
// minutes.
func IDTokenLife(d time.Duration) Option { return func(c *config) { c.idTokenLife = d } }

// CodeLife sets how long an authorization code is valid. Default: one minute.
func CodeLife(d time.Duration) Option { return func(c *config) { c.codeLife = d } }

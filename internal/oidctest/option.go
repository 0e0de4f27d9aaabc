package oidctest

import "time"

// Option settles what cannot change while a provider runs; what can is a lie
// (see Lies) or a method.
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

// TLS serves HTTPS, with a certificate of a CA that CAPEM and CAFile tell.
func TLS() Option { return func(c *config) { c.tls = true } }

// HTTP2 serves HTTPS and offers HTTP/2. There a reset is an RST_STREAM, and a
// Content-Length cannot be forged.
func HTTP2() Option { return func(c *config) { c.tls, c.http2 = true, true } }

// Host makes the issuer http(s)://name:port instead of the loopback address.
// The listener stays on loopback, so the test's dialer has to lead there.
func Host(name string) Option { return func(c *config) { c.host = name } }

// Path gives the issuer a path. "/test/a/alias/" is the trap of the OpenID
// Foundation's suite: the slash counts when iss is compared and must not be
// doubled before .well-known (Discovery 1.0 section 4.1).
func Path(path string) Option { return func(c *config) { c.path = path } }

// Alg is the algorithm that ID tokens are signed with, alone in the metadata:
// RS256 (the default), PS256, ES256, EdDSA, Ed25519 and their longer kin.
func Alg(alg string) Option { return func(c *config) { c.alg = alg } }

// Now replaces the wall clock. See also Lies.Skew.
func Now(now func() time.Time) Option { return func(c *config) { c.now = now } }

// InMemory opens no socket: the provider is reached by Transport alone. Its
// issuer is https://op.test unless Host says otherwise.
func InMemory() Option { return func(c *config) { c.memory = true } }

// Unrecorded keeps nothing of past logins, so that a benchmark measures the
// relying party and not the memory of its witness. Reuse of state, nonce and
// verifier is not seen then, and Canaries is empty.
func Unrecorded() Option { return func(c *config) { c.unrecorded = true } }

// Lenient lets a test end well although violations were recorded.
func Lenient() Option { return func(c *config) { c.lenient = true } }

// RandomPaths serves the endpoints at paths that cannot be guessed, so that
// only the metadata can have told them, and requires the order of C21: first
// discovery, and the key set before userinfo.
func RandomPaths() Option { return func(c *config) { c.randomPaths = true } }

// EndpointQuery adds a query ("tenant=a") to the advertised authorization,
// token and end-session endpoints. It has to be kept (RFC 6749 section 3.1).
func EndpointQuery(query string) Option { return func(c *config) { c.endpointQuery = query } }

// ClaimsInIDToken puts what the scopes ask for into the ID token as well.
// By itself the code flow has it in userinfo alone (Core section 5.4).
func ClaimsInIDToken() Option { return func(c *config) { c.claimsInIDToken = true } }

// NoIss takes back the promise of an iss in the authorization response, and
// the parameter with it (RFC 9207).
func NoIss() Option { return func(c *config) { c.promiseIss = false } }

// NoPKCE allows authorization requests without code_challenge.
func NoPKCE() Option { return func(c *config) { c.needPKCE = false } }

// RefreshTokens issues one with every code, asked for offline_access or not.
func RefreshTokens() Option { return func(c *config) { c.refreshTokens = true } }

// PushedRequests requires them (RFC 9126), and says so in the metadata.
func PushedRequests() Option { return func(c *config) { c.pushed = true } }

// RequestObjects takes authorization requests as JWTs, signed with the client's
// RequestKey, Key or Secret (RFC 9101).
func RequestObjects() Option { return func(c *config) { c.requestObjects = true } }

// RequireRequestObjects takes no others.
func RequireRequestObjects() Option {
	return func(c *config) { c.requestObjects, c.requireRequestObjects = true, true }
}

// RequireEncryptedRequestObjects takes none but those that are encrypted as well.
func RequireEncryptedRequestObjects() Option {
	return func(c *config) {
		c.requestObjects, c.requireRequestObjects, c.encryptedRequestObjects = true, true, true
	}
}

// SignedResponses offers the response modes of JARM.
func SignedResponses() Option { return func(c *config) { c.signedResponses = true } }

// DPoP offers it (RFC 9449): tokens are bound to the key of a request that has a proof.
func DPoP() Option { return func(c *config) { c.dpop = true } }

// BoundTokens requires it of the client (dpop_bound_access_tokens).
func BoundTokens() Option { return func(c *config) { c.dpop, c.dpopRequired = true, true } }

// ProofNonces wants a new nonce in each proof, at the token endpoint, for pushed
// requests and at userinfo. Every answer there brings the next.
func ProofNonces() Option { return func(c *config) { c.dpopNonces = true } }

// Keyring chooses the key material. Keys are shared by all tests of a process;
// of several providers in one test each has its own ring by itself.
func Keyring(n int) Option { return func(c *config) { c.keyring = n } }

// WithClient replaces the registered client.
func WithClient(client Client) Option { return func(c *config) { c.client = client } }

// IDTokenLife is the time from iat to exp, five minutes by default.
func IDTokenLife(d time.Duration) Option { return func(c *config) { c.idTokenLife = d } }

// CodeLife is how long an authorization code may wait, a minute by default.
func CodeLife(d time.Duration) Option { return func(c *config) { c.codeLife = d } }

package oidctest

// Endpoint names one of the doors of the provider: hits are counted, requests
// recorded and faults injected for each of them.
type Endpoint int

const (
	// Elsewhere is every path that the provider does not serve. A request there
	// is a violation (C00m): a client must not probe for more than metadata names.
	Elsewhere Endpoint = iota
	Discovery
	Authorize
	Token
	UserInfo
	JWKS
	EndSession
	PushedRequest

	endpoints // how many there are
)

// String is the endpoint's name in violations and failures.
func (e Endpoint) String() string {
	if e < 0 || e >= endpoints {
		return "?"
	}
	return doors[e].name
}

// doors is the one table of endpoints: the member of the metadata that names
// each (Discovery 1.0 section 3), its path, and the methods it takes.
var doors = [endpoints]struct {
	name, member, path string
	methods            []string
}{
	Elsewhere:  {name: "elsewhere"},
	Discovery:  {"discovery", "", "/.well-known/openid-configuration", []string{"GET"}},
	Authorize:  {"authorize", "authorization_endpoint", "/authorize", []string{"GET", "POST"}},
	Token:      {"token", "token_endpoint", "/token", []string{"POST"}},
	UserInfo:   {"userinfo", "userinfo_endpoint", "/userinfo", []string{"GET", "POST"}},
	JWKS:       {"jwks", "jwks_uri", "/jwks", []string{"GET"}},
	EndSession: {"end_session", "end_session_endpoint", "/end_session", []string{"GET", "POST"}},
	// Served where the option PushedRequests is given.
	PushedRequest: {"pushed request", "pushed_authorization_request_endpoint", "/par", []string{"POST"}},
}

const (
	// trapPath is where lies want to lead. It is not served: to ask there at
	// all is a violation.
	trapPath = "/trap"
	// nowherePath is a plain 404, for redirects that may be followed.
	nowherePath = "/nowhere"
)

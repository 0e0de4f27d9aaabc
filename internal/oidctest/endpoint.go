package oidctest

// Endpoint is an endpoint of the provider. Hits, recorded requests and faults
// are separate for each endpoint.
type Endpoint int

const (
	// Elsewhere is every path that the provider does not serve. A request to one
	// is a violation, because clients must use only the URLs in the metadata.
	Elsewhere Endpoint = iota
	Discovery
	Authorize
	Token
	UserInfo
	JWKS
	EndSession
	PushedRequest

	endpoints // the number of endpoints
)

// String returns the endpoint's name in violations and test failures.
func (e Endpoint) String() string {
	if e < 0 || e >= endpoints {
		return "?"
	}
	return doors[e].name
}

// doors is the table of endpoints: the metadata member that contains the URL
// (OpenID Connect Discovery, section 3), the path, and the allowed methods.
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
	// Only served with the option PushedRequests.
	PushedRequest: {"pushed request", "pushed_authorization_request_endpoint", "/par", []string{"POST"}},
}

const (
	// trapPath is where lies try to lead the relying party. It is not served,
	// so any request to it is a violation.
	trapPath = "/trap"
	// nowherePath always responds with 404. It is for redirects that may be
	// followed.
	nowherePath = "/nowhere"
)

package flow

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// ShorthandID is an alias of the default provider's id.
const ShorthandID = "default"

// endpoint describes how one of our endpoints is served.
type endpoint struct {
	serve   func(*Exchange, *Provider) error
	methods []string
	// spends reports whether requests use something that can be used only once.
	// They must not come as TLS early data, which can be replayed (RFC 8470).
	spends bool
	// formPost reports whether POST is allowed as well, if the provider uses
	// response_mode=form_post.
	formPost bool
	// describes reports whether requests describe another request. Every method is
	// allowed, and no response is left to the server's own error pages.
	describes bool
}

// endpoints are the endpoints of each provider, under {prefix}/{id}/, by name. A
// new endpoint needs only an entry here.
var endpoints = map[string]endpoint{
	"login":     {serve: serveLogin, methods: []string{http.MethodGet}},
	"code":      {serve: serveCallback, methods: []string{http.MethodGet}, spends: true, formPost: true},
	"signedout": {serve: serveSignedOut, methods: []string{http.MethodGet}},
	"jwks":      {serve: serveKeys, methods: []string{http.MethodGet}},

	handoverRest: {serve: serveTicket, methods: []string{http.MethodGet}, spends: true},

	"initiate":            {serve: serveInitiate, methods: []string{http.MethodGet, http.MethodPost}},
	"backchannel-logout":  {serve: serveBackchannelLogout, methods: []string{http.MethodPost}},
	"frontchannel-logout": {serve: serveFrontchannelLogout, methods: []string{http.MethodGet}},
}

// siteEndpoint is an endpoint that belongs to no provider.
type siteEndpoint struct {
	endpoint
	// offered reports whether an instance has the endpoint. The first instance of a
	// site that has it serves it.
	offered func(*Instance) bool
}

// siteEndpoints are the endpoints of a site, under {prefix}/, by the rest of the
// path. Their provider is nil.
var siteEndpoints = map[string]siteEndpoint{
	pages.KeepFragmentScript: scriptEndpoint(pages.KeepFragmentScript),
	pages.PopupScript:        scriptEndpoint(pages.PopupScript),

	"check": {
		endpoint: endpoint{serve: serveCheck, describes: true},
		offered:  func(in *Instance) bool { return in.Check != nil },
	},
	handoverRest: {endpoint{serve: serveLoginHost, methods: []string{http.MethodGet, http.MethodPost}, spends: true}, servesLogins},
	"session": {
		endpoint: endpoint{serve: serveSession, methods: []string{http.MethodGet, http.MethodPost}},
		offered:  func(in *Instance) bool { return in.SessionEndpoint != nil },
	},
	"":               {endpoint{serve: serveChooser, methods: []string{http.MethodGet}}, func(*Instance) bool { return true }},
	"assertion-keys": {endpoint{serve: serveAssertionKeys, methods: []string{http.MethodGet}}, func(in *Instance) bool { return in.Assertions != nil }},
}

// logoutEndpoint is the logout of all providers. It has a path of its own.
var logoutEndpoint = endpoint{serve: serveLogout, methods: []string{http.MethodGet, http.MethodPost}, spends: true}

// EndpointNames returns the names of the endpoints of a provider, sorted.
func EndpointNames() []string { return slices.Sorted(maps.Keys(endpoints)) }

// Call is an endpoint that a request's path names.
type Call struct {
	endpoint
	at       *Instance // the instance that has the endpoint
	provider *Provider
	known    bool // whether the endpoint exists
}

// allowed returns the allowed methods.
func (c *Call) allowed() []string {
	if c.formPost && c.provider != nil && c.provider.FormPost {
		return append(slices.Clone(c.methods), http.MethodPost)
	}
	return c.methods
}

// Endpoint returns the endpoint of this instance at a path: the path as the client
// sent it, before any rewrite, decoded once and not cleaned. A path under our
// prefix that names no endpoint is found as well, and its Call responds with 404.
func (in *Instance) Endpoint(path string) (call Call, found bool) {
	if path == in.LogoutPath {
		return Call{endpoint: logoutEndpoint, at: in, known: true}, true
	}
	if p := in.ByRedirectPath[path]; p != nil {
		return Call{endpoint: endpoints["code"], at: in, provider: p, known: true}, true
	}
	id, name, found := in.CutEndpoint(path)
	if !found {
		return in.resourceEndpointAt(path)
	}
	rest, slash := strings.CutPrefix(path[len(in.Endpoints):], "/")
	if e, known := siteEndpoints[rest]; known && slash {
		offered := e.offered(in)
		if !offered && slices.ContainsFunc(in.Siblings, func(n *Instance) bool { return n.Endpoints == in.Endpoints && e.offered(n) }) {
			return Call{}, false
		}
		return Call{endpoint: e.endpoint, at: in, known: offered}, true
	}
	p := in.providerByID(id)
	if p == nil && in.isSiblingProvider(id) {
		return Call{}, false
	}
	e, known := endpoints[name]
	return Call{e, in, p, known && p != nil}, true
}

// SiblingEndpoint returns the endpoint of another instance of this site at a path.
// Such a path must not reach a guard or the application.
func (in *Instance) SiblingEndpoint(path string) (call Call, found bool) {
	for _, n := range in.Siblings {
		if call, found := n.Endpoint(path); found {
			return call, true
		}
	}
	return Call{}, false
}

// isSiblingProvider reports whether another instance with the same endpoint prefix
// has a provider of the given id.
func (in *Instance) isSiblingProvider(id string) bool {
	return slices.ContainsFunc(in.Siblings, func(n *Instance) bool { return n.Endpoints == in.Endpoints && n.providerByID(id) != nil })
}

// providerByID returns the provider with an id, or nil. ShorthandID stands for the
// default provider.
func (in *Instance) providerByID(id string) *Provider {
	if id == ShorthandID {
		return in.Default
	}
	return in.Providers[id]
}

// Serve checks what all endpoints have in common, and serves the request at the
// instance that has the endpoint.
func (c *Call) Serve(w http.ResponseWriter, r *http.Request, st *State) error {
	st.Enter(c.at, r)
	x := c.at.At(w, r, st)
	pages.BaseSecurityHeaders(x.header())
	if st.Described { // proxies must forward requests for endpoints, not ask about them
		return x.errorPage(http.StatusForbidden, &Failure{Code: errorcode.BadRequest, Cause: errorcode.ErrEndpointDescribed}, "")
	}
	st.Described = c.describes
	switch {
	case !c.known:
		return x.errorPage(http.StatusNotFound, &Failure{Code: errorcode.BadRequest, Cause: errorcode.ErrNoEndpoint}, "")
	case !c.describes && !slices.Contains(c.allowed(), x.R.Method):
		x.header().Set("Allow", strings.Join(c.allowed(), ", "))
		return x.errorPage(http.StatusMethodNotAllowed, &Failure{Code: errorcode.BadRequest, Cause: errorcode.ErrWrongMethod}, "")
	case c.provider != nil && c.provider.Disabled:
		return x.respondDisabled(c.provider)
	case c.spends && x.R.TLS != nil && !x.R.TLS.HandshakeComplete:
		return &Error{Status: http.StatusTooEarly, Err: errEarlyData}
	case x.Scope() == nil:
		return x.errorPage(http.StatusBadRequest, &Failure{Code: errorcode.BadRequest, Cause: errNoHost}, "")
	}
	return c.serve(&x, c.provider)
}

// serveKeys publishes our public keys as a JWK Set (RFC 7517, section 5), which a
// provider may fetch instead of being given a key.
func serveKeys(x *Exchange, p *Provider) error {
	published := p.PublicKeys()
	if len(published.Keys) == 0 {
		return x.errorPage(http.StatusNotFound, &Failure{Code: errorcode.BadRequest, Cause: errorcode.ErrNoEndpoint}, "")
	}
	document, err := json.Marshal(published)
	if err != nil {
		return &Error{Status: http.StatusInternalServerError, Err: fmt.Errorf("write the key set: %w", err)}
	}
	pages.StrictSecurityHeaders(x.header())
	x.header().Set("Content-Type", "application/json") // some providers accept nothing else
	_, _ = x.W.Write(document)
	return nil
}

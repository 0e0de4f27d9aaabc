package provider

import (
	"net/http"
	"slices"
	"strings"
)

// corsRule is which origins may read an endpoint's responses in a browser (Fetch
// 3.2). None may send credentials of the browser.
type corsRule int

const (
	noOrigins corsRule = iota
	allOrigins
	publicClients
)

// endpoint is an address of the protocol.
type endpoint struct {
	methods []string
	cors    corsRule
	serve   func(p *Provider, w http.ResponseWriter, r *http.Request)
	// page reports whether users see the response, rather than programs.
	page bool
	// inProcess reports whether clients in this Caddy may call it.
	inProcess bool
}

var get = []string{http.MethodGet, http.MethodHead}

var getAndPost = []string{http.MethodGet, http.MethodHead, http.MethodPost}

// endpoints are all endpoints by path.
var endpoints = map[string]endpoint{
	"/.well-known/openid-configuration": {methods: get, cors: allOrigins, serve: (*Provider).discovery, inProcess: true},
	"/jwks":                             {methods: get, cors: allOrigins, serve: (*Provider).jwks, inProcess: true},
	"/token":                            {methods: []string{http.MethodPost}, cors: publicClients, serve: (*Provider).token, inProcess: true},
	"/revoke":                           {methods: []string{http.MethodPost}, cors: publicClients, serve: (*Provider).revoke, inProcess: true},
	"/userinfo":                         {methods: getAndPost, cors: publicClients, serve: (*Provider).userinfo, inProcess: true},
	"/authorize":                        {methods: []string{http.MethodGet, http.MethodPost}, serve: (*Provider).authorize, page: true},
	"/end_session":                      {methods: []string{http.MethodGet, http.MethodPost}, serve: (*Provider).endSession, page: true},
}

// Paths returns the paths that ServeHTTP serves.
func Paths() []string {
	paths := make([]string, 0, len(endpoints))
	for path := range endpoints {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// IsPage reports whether users see the responses at a path, rather than programs.
func IsPage(path string) bool { return endpoints[path].page }

// ServeHTTP serves the protocol endpoints.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, ok := endpoints[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if p.isPreflight(w, r, e) {
		return
	}
	if !slices.Contains(e.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(e.methods, ", "))
		if e.page {
			p.Pages.Error(w, r, http.StatusMethodNotAllowed, "invalid_request", "the method is not allowed here")
			return
		}
		writeJSON(w, http.StatusMethodNotAllowed, map[string]string{"error": "invalid_request", "error_description": "the method is not allowed here"})
		return
	}
	e.serve(p, w, r)
}

// isPreflight sets CORS headers. It responds to preflight requests and then returns
// true.
func (p *Provider) isPreflight(w http.ResponseWriter, r *http.Request, e endpoint) bool {
	if e.cors == noOrigins {
		return false
	}
	origin := r.Header.Get("Origin")
	h := w.Header()
	switch {
	case e.cors == allOrigins:
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Add("Vary", "Origin")
		if p.origins[origin] {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
		}
	}
	if r.Method != http.MethodOptions || origin == "" || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", strings.Join(e.methods, ", "))
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

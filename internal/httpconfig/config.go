// Package httpconfig reads the configuration of Caddy's HTTP app: which sites
// it has, which handlers of one kind are on each, and which requests come to
// them, as far as matchers decide by host and path alone.
//
// It knows the JSON of Caddy's routes, of its subroute and invoke handlers, and
// of the host, path, path_regexp, not and expression matchers. It does not know
// Caddy: the caller reads the values from JSON, or fills them in where Caddy has
// loaded the JSON already. What cannot be read is left out; the module that it
// belongs to refuses it.
package httpconfig

import (
	"bytes"
	"encoding/json"
)

// Ports that Caddy uses where the configuration names none.
const (
	DefaultHTTPPort  = 80
	DefaultHTTPSPort = 443
)

// App is the configuration of the HTTP app.
type App struct {
	// HTTPPort and HTTPSPort are the ports that browsers use without naming
	// them. Zero stands for Caddy's defaults, 80 and 443.
	HTTPPort, HTTPSPort int
	Servers             map[string]*Server
}

// Server is one server of the app.
type Server struct {
	// Listen has the addresses as they are written.
	Listen []string
	// Ports has the first port of each address, or zero where there is none,
	// as on a Unix socket.
	Ports []int
	// TLS reports whether the server speaks TLS.
	TLS bool
	// TrustsProxies reports whether some peers may speak for clients.
	TrustsProxies bool
	Routes        []Route
	// Errors has the routes that run when a request ends with an error.
	Errors []Route
	// Named has the routes that invoke handlers run, by name.
	Named map[string]*Route
}

// MatcherSet has the JSON of matchers by module name. A request must match all.
type MatcherSet map[string]json.RawMessage

// Route is a route of a server or a subroute. Its handlers run for requests that
// any of the matcher sets matches, or for all requests if there are no sets.
type Route struct {
	Match  []MatcherSet `json:"match"`
	Handle []Handler    `json:"handle"`
}

// Handler is one handler of a route.
type Handler struct {
	// Name is that of its module, like "subroute".
	Name string
	// JSON is its configuration, or nil once Caddy has loaded it.
	JSON json.RawMessage
	// Loaded is the handler itself once Caddy has loaded it, or nil.
	Loaded any
	// Routes has the routes of a subroute.
	Routes []Route
	// Invokes is the name of the route that an invoke handler runs.
	Invokes string
}

// Names of handlers that run routes.
const (
	subroute = "subroute"
	invoke   = "invoke"
)

// UnmarshalJSON reads a handler. It returns no error: one handler that cannot be
// read must not hide the rest of the configuration.
func (h *Handler) UnmarshalJSON(raw []byte) error {
	*h = Handler{}
	var options map[string]json.RawMessage
	if json.Unmarshal(raw, &options) != nil {
		return nil
	}
	h.Name, h.JSON = textOf(options["handler"]), bytes.Clone(raw)
	switch h.Name {
	case subroute:
		h.Routes = routesOf(options["routes"])
	case invoke:
		h.Invokes = textOf(options["name"])
	}
	return nil
}

// routesOf reads a list of routes, or returns nil if it cannot be read.
func routesOf(raw json.RawMessage) []Route {
	var routes []Route
	if json.Unmarshal(raw, &routes) != nil {
		return nil
	}
	return routes
}

// textOf reads a JSON string, or returns "" if it is something else.
func textOf(raw json.RawMessage) (text string) {
	_ = json.Unmarshal(raw, &text)
	return text
}

// Package httpconfig reads the configuration of Caddy's HTTP app: which sites
// it has, which handlers of one kind each site has, and which requests reach
// those handlers, judged by the host and path matchers.
//
// It knows the JSON of Caddy's routes, of its subroute and invoke handlers, and
// of the host, path, path_regexp, not and expression matchers. It does not
// import Caddy: the caller reads the values from JSON, or fills them in where
// Caddy has already loaded the JSON. JSON that cannot be read is left out, since
// the module that it belongs to refuses it anyway.
package httpconfig

import (
	"bytes"
	"encoding/json"
)

// Ports that Caddy uses if the configuration does not set them.
const (
	DefaultHTTPPort  = 80
	DefaultHTTPSPort = 443
)

// App is the configuration of the HTTP app.
type App struct {
	// HTTPPort and HTTPSPort are the ports that browsers use without naming
	// them. Zero means Caddy's default: 80 or 443.
	HTTPPort, HTTPSPort int
	Servers             map[string]*Server
}

// Server is one server of the app.
type Server struct {
	// Listen has the listener addresses as they are in the configuration.
	Listen []string
	// Ports has the first port of each address, or zero if it has none, as with
	// a Unix socket.
	Ports []int
	// TLS reports whether the server speaks TLS.
	TLS bool
	// TrustsProxies reports whether the server has trusted proxies.
	TrustsProxies bool
	Routes        []Route
	// Errors has the routes that run when a request ends with an error.
	Errors []Route
	// Named has the routes that invoke handlers run, by name.
	Named map[string]*Route
}

// MatcherSet maps module names to the JSON of their matchers. A request must
// match all of them.
type MatcherSet map[string]json.RawMessage

// Route is a route of a server or a subroute. Its handlers run for requests that
// match any of the matcher sets, or for all requests if there are none.
type Route struct {
	Match  []MatcherSet `json:"match"`
	Handle []Handler    `json:"handle"`
}

// Handler is one handler of a route.
type Handler struct {
	// Name is the name of the handler's module, such as "subroute".
	Name string
	// JSON is its configuration, or nil once Caddy has loaded it.
	JSON json.RawMessage
	// Loaded is the handler itself once Caddy has loaded it, and nil before.
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

// UnmarshalJSON reads a handler. It never returns an error: one handler that
// cannot be read must not hide the rest of the configuration.
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

// textOf reads a JSON string. It returns "" for any other value.
func textOf(raw json.RawMessage) (text string) {
	_ = json.Unmarshal(raw, &text)
	return text
}

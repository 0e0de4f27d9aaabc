package oidcrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI is a module that adds to Caddy's admin API what an operator needs
// of the configuration that runs, under /oidc_rp/: how the providers are, an
// end for sessions, and the keys that these are sealed with. Nothing there
// shows a secret, a key, a token or a user.
type adminAPI struct {
	// app returns the app of the configuration that runs, or nil. Caddy makes
	// this module before it makes the apps, and never says which one it is for.
	app func() *App
}

// CaddyModule returns the module's registration.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.oidc_rp", New: func() caddy.Module { return &adminAPI{app: running.last} }}
}

// adminEndpoints is the one list of them: by path, the method and what is done.
// The answer is sent as JSON; an error of another type than caddy.APIError is 500.
var adminEndpoints = map[string]struct {
	method string
	do     func(*App, *http.Request) (answer any, err error)
}{
	adminProviders: {http.MethodGet, (*App).listProviders},
	adminRevoke:    {http.MethodPost, (*App).revokeSessions},
	adminKeys:      {http.MethodGet, (*App).listKeys},
	adminRotate:    {http.MethodPost, (*App).rotateKeys},
}

// The paths of the endpoints, which the command asks for.
const (
	adminPrefix    = "/oidc_rp/"
	adminProviders = adminPrefix + "providers"
	adminRevoke    = adminPrefix + "revoke"
	adminKeys      = adminPrefix + "keys"
	adminRotate    = adminPrefix + "keys/rotate"
)

// Routes returns the one route for all endpoints.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	serve := func(w http.ResponseWriter, r *http.Request) error { return a.app().ServeAdmin(w, r) }
	return []caddy.AdminRoute{{Pattern: adminPrefix, Handler: caddy.AdminHandlerFunc(serve)}}
}

// ServeAdmin responds to a request for the admin API about the configuration of
// this app. Without an app, the response is 503: none is running. Errors are of
// type caddy.APIError, or mean 500.
func (a *App) ServeAdmin(w http.ResponseWriter, r *http.Request) error {
	endpoint, found := adminEndpoints[r.URL.Path]
	if !found {
		return adminError(http.StatusNotFound, "there is nothing at this path")
	}
	if r.Method != endpoint.method {
		w.Header().Set("Allow", endpoint.method)
		return adminError(http.StatusMethodNotAllowed, "this takes %s", endpoint.method)
	}
	if a == nil {
		return adminError(http.StatusServiceUnavailable, "no configuration with oidc_rp is running")
	}
	answer, err := endpoint.do(a, r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(answer)
}

// adminError is what Caddy answers and logs, so that it names no user.
func adminError(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// maxBody bounds the body of a request, in bytes.
const maxBody = 64 << 10

// readBody reads the JSON of a request strictly. An empty body is an empty
// object.
func readBody(r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); err == nil {
			err = errors.New("something follows the object")
		}
	}
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &mistyped):
		err = fmt.Errorf("%s: does not take a JSON %s", orDefault(mistyped.Field, "the body"), mistyped.Value)
	}
	return adminError(http.StatusBadRequest, "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// running are the apps that were started and not given back, the one that was
// started last at the end. While Caddy loads a configuration there are two of
// them, and if that fails the older one is left.
var running runningApps

type runningApps struct {
	mu   sync.Mutex
	apps []*App
}

// add returns how to take it back.
func (r *runningApps) add(a *App) func() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apps = append(r.apps, a)
	return func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.apps = slices.DeleteFunc(r.apps, func(other *App) bool { return other == a })
		return nil
	}
}

func (r *runningApps) last() *App {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.apps) == 0 {
		return nil
	}
	return r.apps[len(r.apps)-1]
}

var _ caddy.AdminRouter = (*adminAPI)(nil)

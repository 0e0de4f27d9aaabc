package oidcidp

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/operator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/running"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// runningApps lists the apps that were started and not cleaned up.
var runningApps running.List[*App]

// adminAPI adds the operators' commands to Caddy's admin API, under /oidc_idp/. A
// request is a POST with a JSON object to the name of the operation, such as
// /oidc_idp/user/add; the response is JSON as well. GET /oidc_idp/backup returns a
// backup, and POST /oidc_idp/restore restores one.
type adminAPI struct {
	// app returns the app of the running configuration, or nil. Caddy creates this
	// module before the apps, without saying for which configuration.
	app func() *App
}

// CaddyModule returns the module's registration.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.oidc_idp", New: func() caddy.Module { return &adminAPI{app: runningApps.Last} }}
}

const (
	adminPrefix = "/oidc_idp/"
	backupPath  = adminPrefix + "backup"
	restorePath = adminPrefix + "restore"
	acceptPath  = adminPrefix + "accept-issuer"

	// maxOperation is the maximum size of a request in bytes. Files of users are
	// the largest.
	maxOperation = 64 << 20
)

// Routes returns the one route for all operations.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	serve := func(w http.ResponseWriter, r *http.Request) error { return a.app().ServeAdmin(w, r) }
	return []caddy.AdminRoute{{Pattern: adminPrefix, Handler: caddy.AdminHandlerFunc(serve)}}
}

// ServeAdmin serves a request to the admin API. On a nil App, which means that none
// is running, it responds with 503. Errors are of type caddy.APIError, or mean 500.
func (a *App) ServeAdmin(w http.ResponseWriter, r *http.Request) error {
	err := serveAdmin(a, w, r)
	var failed *operator.Error
	switch {
	case errors.As(err, &failed):
		return caddy.APIError{HTTPStatus: failed.Status, Err: failed.Err}
	case errors.Is(err, errNotOpen):
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	return err
}

func adminError(status int, text string) error {
	return &operator.Error{Status: status, Err: errors.New(text)}
}

func serveAdmin(a *App, w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimPrefix(r.URL.Path, adminPrefix)
	method := http.MethodPost
	if r.URL.Path == backupPath {
		method = http.MethodGet
	}
	switch {
	case !operator.Exists(name) && !slices.Contains([]string{backupPath, restorePath, acceptPath}, r.URL.Path):
		return adminError(http.StatusNotFound, "there is nothing at this path")
	case r.Method != method:
		w.Header().Set("Allow", method)
		return adminError(http.StatusMethodNotAllowed, "this takes "+method)
	case a == nil:
		return adminError(http.StatusServiceUnavailable, "no configuration with oidc_idp is running")
	}
	a.adminSeen.Do(func() { a.warnOfAdmin(r) })
	if r.URL.Path == acceptPath {
		return a.acceptIssuer(w, r)
	}
	s, err := a.instance.server(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	switch r.URL.Path {
	case backupPath:
		w.Header().Set("Content-Type", "application/octet-stream")
		return operator.Backup(r.Context(), s, w, r.URL.Query().Get("with_keys") == "true")
	case restorePath:
		return respond(w)(operator.Restore(r.Context(), s, r.Body, r.URL.Query().Get("latest") == "true"))
	}
	return operate(w, r, s, name)
}

// acceptIssuer opens a provider that does not open by itself because its passkeys
// are for another host.
func (a *App) acceptIssuer(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("yes") != "true" {
		return adminError(http.StatusBadRequest, "users lose the passkeys that are for another host than "+a.issuer.Host+"; add --yes")
	}
	_, err := a.instance.accept(r.Context())
	if errors.Is(err, errNothingToAccept) {
		return adminError(http.StatusConflict, err.Error())
	}
	if err != nil {
		return err
	}
	a.logger.Info("an operator gave up the passkeys of another host", slog.String("event", "issuer_accepted"), slog.String("via", "admin_api"), slog.String("issuer", a.issuer.String()))
	return respond(w)(map[string]string{"issuer": a.issuer.String()}, nil)
}

func operate(w http.ResponseWriter, r *http.Request, s *server.Server, name string) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOperation))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return adminError(http.StatusRequestEntityTooLarge, "the request is too large")
	}
	if err != nil {
		return err
	}
	return respond(w)(operator.Do(r.Context(), s, name, body))
}

// respond returns a function that sends a response as JSON.
func respond(w http.ResponseWriter) func(response any, err error) error {
	return func(response any, err error) error {
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(response)
	}
}

// warnOfAdmin warns if others may reach the admin API, which has full control of
// every account: Caddy's own check of origins does not keep programs out. The
// address is known only when the first request comes.
func (a *App) warnOfAdmin(r *http.Request) {
	listener, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || listener.Addr == "" {
		return
	}
	address, err := caddy.ParseNetworkAddress(listener.Addr)
	if err != nil || address.IsUnixNetwork() || isLoopback(address.Host) {
		return
	}
	a.logger.Warn("the admin API listens at an address that others may reach, and can sign in as every user; let it listen at a Unix socket or on loopback",
		slog.String("event", "config_warning"), slog.String("admin", address.String()))
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		ip := net.ParseIP(host)
		return ip != nil && ip.IsLoopback()
	}
	return addr.IsLoopback()
}

var _ caddy.AdminRouter = (*adminAPI)(nil)

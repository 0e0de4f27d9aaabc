package oidcrp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/adminapi"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI adds endpoints under /oidc_rp/ to Caddy's admin API: the state of
// providers, the revocation of sessions, and the keys that seal sessions, all of
// the running configuration. Responses do not contain secrets, keys, tokens or
// users.
type adminAPI struct {
	// app returns the app of the running configuration, or nil. Caddy creates this
	// module before the apps, without saying for which configuration.
	app func() *App
}

// CaddyModule returns the module's registration.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.oidc_rp", New: func() caddy.Module { return &adminAPI{app: runningApps.Last} }}
}

// adminEndpoints are the endpoints by path. Responses are encoded as JSON. An error
// that is not an adminapi.Error is a 500.
var adminEndpoints = map[string]struct {
	method string
	serve  func(*App, *http.Request) (response any, err error)
}{
	adminapi.ProvidersPath: {http.MethodGet, listProviders},
	adminapi.RevokePath:    {http.MethodPost, revokeSessions},
	adminapi.KeysPath:      {http.MethodGet, listKeys},
	adminapi.RotatePath:    {http.MethodPost, rotateKeys},
}

// Routes returns the one route for all endpoints.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	serve := func(w http.ResponseWriter, r *http.Request) error { return a.app().ServeAdmin(w, r) }
	return []caddy.AdminRoute{{Pattern: adminapi.Prefix, Handler: caddy.AdminHandlerFunc(serve)}}
}

// ServeAdmin serves a request to the admin API. On a nil App, which means that none
// is running, it responds with 503. Errors are of type caddy.APIError, or mean 500.
func (a *App) ServeAdmin(w http.ResponseWriter, r *http.Request) error {
	response, err := serveAdmin(a, w.Header(), r)
	if failed := (adminapi.Error{}); errors.As(err, &failed) {
		return caddy.APIError{HTTPStatus: failed.Status, Err: failed.Err}
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(response)
}

func serveAdmin(a *App, header http.Header, r *http.Request) (response any, err error) {
	endpoint, found := adminEndpoints[r.URL.Path]
	if !found {
		return nil, adminapi.Errorf(http.StatusNotFound, "there is nothing at this path")
	}
	if r.Method != endpoint.method {
		header.Set("Allow", endpoint.method)
		return nil, adminapi.Errorf(http.StatusMethodNotAllowed, "this takes %s", endpoint.method)
	}
	if a == nil {
		return nil, adminapi.Errorf(http.StatusServiceUnavailable, "no configuration with oidc_rp is running")
	}
	return endpoint.serve(a, r)
}

func listProviders(a *App, _ *http.Request) (any, error) {
	return adminapi.ListProviders(providersInUse(a)), nil
}

// providersInUse returns the providers of the app and those of its sites.
func providersInUse(a *App) []adminapi.Provider {
	a.linkInstances()
	var uses []adminapi.Provider
	use := func(p *provider, shared bool, sites []string) {
		uses = append(uses, adminapi.Provider{
			ID: p.ID, ClientID: p.Client.ClientID, Shared: shared, Disabled: p.Disabled, Sites: sites,
			Mapping: p.Mapping, Discovery: p.Client.Discovery, Written: string(p.written[:]),
		})
	}
	for _, p := range a.providers {
		use(p, true, nil)
	}
	for _, h := range a.handlers {
		for _, p := range h.providers {
			use(p, false, h.hosts)
		}
	}
	return adminapi.MergeProviders(uses)
}

func listKeys(a *App, r *http.Request) (any, error) {
	return adminapi.ListKeys(r.Context(), ringsInUse(a), a.clock.Now()), nil
}

func rotateKeys(a *App, r *http.Request) (any, error) {
	var request adminapi.RotateRequest
	if err := adminapi.ReadBody(r, &request); err != nil {
		return nil, err
	}
	response, err := adminapi.RotateKeys(r.Context(), ringsInUse(a), request, a.clock.Now())
	for _, ring := range response.Rings {
		if ring.Made {
			a.logger.Info("the session keys were rotated by the admin API", zap.String("event", "keys_rotated"), zap.Bool("compromised", request.Compromised), zap.Strings("sites", ring.Sites))
		}
	}
	if request.Compromised && signsAssertions(a) {
		return response, withdrawAssertionKeys(r.Context(), a, err)
	}
	return response, err
}

// signsAssertions reports whether an application receives assertions.
func signsAssertions(a *App) bool {
	return slices.ContainsFunc(a.handlers, func(h *Handler) bool { return h.instance.Assertions != nil })
}

// withdrawAssertionKeys replaces the keys of assertions, which are in the same
// storage as those of sessions. err is the result of rotating the latter. If that
// failed only because the sites have no such keys, it is ignored.
func withdrawAssertionKeys(ctx context.Context, a *App, err error) error {
	if _, failed := a.storageState.assertionRing.Rotate(context.WithoutCancel(ctx), true); failed != nil {
		return adminapi.Errorf(http.StatusServiceUnavailable, "the keys of assertions could not be replaced; try again: %w", errors.Join(failed, err))
	}
	a.logger.Info("the keys of assertions were replaced by the admin API", zap.String("event", "assertion_keys_replaced"))
	var none adminapi.Error
	if errors.As(err, &none) && none.Status == http.StatusConflict {
		return nil
	}
	return err
}

// ringsInUse returns the key rings of all sites.
func ringsInUse(a *App) []adminapi.Ring {
	a.linkInstances()
	var uses []adminapi.Ring
	for _, h := range a.handlers {
		switch keys := h.instance.Keys.(type) {
		case *seal.Managed:
			uses = append(uses, adminapi.Ring{Managed: keys, Sites: h.hosts})
		case seal.Fixed:
			uses = append(uses, adminapi.Ring{Configured: keys.Keys.IDs(), Sites: h.hosts})
		}
	}
	return adminapi.MergeRings(uses)
}

// revokeSessions ends sessions that exist now, and responds once the revocation is
// stored. Users can sign in again.
func revokeSessions(a *App, r *http.Request) (any, error) {
	var request adminapi.RevokeRequest
	if err := adminapi.ReadBody(r, &request); err != nil {
		return nil, err
	}
	revoked, err := request.Check(providersInUse(a))
	if err != nil {
		return nil, err
	}
	now := a.clock.Now()
	// Keep the revocation for longer than any session can last, since lifetimes may have
	// been longer when the session began.
	events := request.Events(revoked, now.Add(flow.ClocksApart), now.Add(maxLifetime+sessionstore.RevocationMargin))
	if err := a.shared.Revoke(r.Context(), events...); err != nil {
		return nil, adminapi.Errorf(http.StatusServiceUnavailable,
			"the revocation could not be kept, so other instances do not know of it, nor does this one after a restart; try again: %w", err)
	}
	for _, e := range revoked {
		observe.Revocations.With(e.Kind).Inc()
		event := audit.Event{Kind: audit.Revoked, Message: "sessions revoked", Via: "admin_api", Client: remoteIP(r),
			Provider: strings.Join(e.Providers, ","), Issuer: e.Issuer, Subject: request.Subject, SID: request.SID}
		a.events.Emit(&event)
		a.auditLogger.LogAttrs(r.Context(), event.Level, event.Message, append(event.Attrs(), slog.String("kind", e.Kind))...)
	}
	return adminapi.RevokeResponse{Revoked: revoked}, nil
}

// remoteIP returns the IP address of the admin API's client.
func remoteIP(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

var _ caddy.AdminRouter = (*adminAPI)(nil)

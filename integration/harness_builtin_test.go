package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func init() {
	caddy.RegisterModule(builtinApp{})
	caddy.RegisterModule(builtinHandler{})
	httpcaddyfile.RegisterGlobalOption("oidc_idp", func(d *caddyfile.Dispenser, _ any) (any, error) {
		app := new(builtinApp)
		if !d.Next() || !d.Args(&app.Name) {
			return nil, d.ArgErr()
		}
		return httpcaddyfile.App{Name: builtin.AppID, Value: caddyconfig.JSON(app, nil)}, nil
	})
	httpcaddyfile.RegisterHandlerDirective("test_idp", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		handler := new(builtinHandler)
		h.Next()
		if !h.Args(&handler.Name) {
			return nil, h.ArgErr()
		}
		return handler, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("test_idp", httpcaddyfile.Before, "respond")
}

// builtinIDP is an identity provider without a socket, which exists only in this process.
type builtinIDP struct {
	*oidctest.Provider
	mu      sync.Mutex
	clients []builtin.Client // the currently registered ones
	calls   int              // requests within the process
	down    bool
}

var (
	builtinIDPs  sync.Map // of all tests, by test name
	builtinCount atomic.Int64
)

// newBuiltinIDP returns a provider that signs in alice and knows the redirect URI of an
// in-process client.
func newBuiltinIDP(t *testing.T, options ...oidctest.Option) *builtinIDP {
	client := oidctest.Client{ID: builtin.ClientID, Auth: "none"}
	host := fmt.Sprintf("op%d.test", builtinCount.Add(1)) // providers with the same issuer would share their metadata
	idp := &builtinIDP{Provider: oidctest.New(t, append(options, oidctest.InMemory(), oidctest.Host(host), oidctest.WithClient(client))...)}
	idp.Provider.Register(rpURL + "/@app/auth/default/code")
	idp.SignIn("alice")
	builtinIDPs.Store(t.Name(), idp)
	t.Cleanup(func() { builtinIDPs.Delete(t.Name()) })
	return idp
}

// harness provisions sites along with the provider's own site.
func (p *builtinIDP) harness(t *testing.T, storage, sites string, globals ...string) *harness {
	t.Helper()
	return newHarnessAt(t, storage, sites+strings.NewReplacer("{host}", strings.TrimPrefix(p.Issuer(), "https://"), "{name}", t.Name()).Replace(`
http://{host} {
	test_idp "{name}"
}
`), append(globals, `oidc_idp "`+t.Name()+`"`)...)
}

// client returns the registered client.
func (p *builtinIDP) client(t *testing.T) builtin.Client {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.clients) != 1 {
		t.Fatalf("expected one client, seen %d", len(p.clients))
	}
	return p.clients[0]
}

func (p *builtinIDP) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// builtinApp is the app of a builtinIDP.
type builtinApp struct {
	Name string `json:"name,omitempty"`
	idp  *builtinIDP
}

func (builtinApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: builtin.AppID, New: func() caddy.Module { return new(builtinApp) }}
}

func (a *builtinApp) Provision(caddy.Context) error {
	idp, ok := builtinIDPs.Load(a.Name)
	if !ok {
		return errors.New("no test has this provider")
	}
	a.idp = idp.(*builtinIDP)
	return nil
}

func (a *builtinApp) Start() error { return nil }
func (a *builtinApp) Stop() error  { return nil }

func (a *builtinApp) Issuer() string { return a.idp.Issuer() }

func (a *builtinApp) Register(c builtin.Client) (builtin.Registration, error) {
	a.idp.mu.Lock()
	defer a.idp.mu.Unlock()
	a.idp.clients = append(a.idp.clients, c)
	return &builtinRegistration{a.idp, c}, nil
}

// Program implements builtin.Provider. This provider has no programs.
func (a *builtinApp) Program(context.Context, string) (*builtin.Program, error) {
	return nil, builtin.ErrUnknownKey
}

type builtinRegistration struct {
	idp    *builtinIDP
	client builtin.Client
}

// RoundTrip implements http.RoundTripper.
func (r *builtinRegistration) RoundTrip(request *http.Request) (*http.Response, error) {
	r.idp.mu.Lock()
	r.idp.calls++
	down := r.idp.down
	r.idp.mu.Unlock()
	if down {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"1"}}, Body: http.NoBody, Request: request}, nil
	}
	return r.idp.Transport().RoundTrip(request)
}

func (r *builtinRegistration) Close() error {
	r.idp.mu.Lock()
	defer r.idp.mu.Unlock()
	// Functions cannot be compared, but all registrations of a test are the same.
	r.idp.clients = slices.Delete(r.idp.clients, 0, 1)
	return nil
}

// builtinHandler serves the site of a builtinIDP.
type builtinHandler struct {
	Name string `json:"name,omitempty"`
}

func (builtinHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_idp", New: func() caddy.Module { return new(builtinHandler) }}
}

func (h *builtinHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	idp, ok := builtinIDPs.Load(h.Name)
	if !ok {
		return errors.New("no test has this provider")
	}
	idp.(*builtinIDP).ServeHTTP(w, r)
	return nil
}

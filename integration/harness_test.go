package integration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/unload"
)

const rpURL = "https://rp.test"

// patience is the timeout of requests in tests where the duration does not matter, long enough
// for a busy machine.
const patience = time.Minute

// harness is a real Caddy configuration, provisioned from a Caddyfile. The test's own TLS
// listener serves it, without fixed ports, so harnesses run in parallel.
type harness struct {
	t        *testing.T
	app      *oidcrp.App
	http     *caddyhttp.App
	ctx      caddy.Context
	clock    *clock.Clock
	server   *httptest.Server
	storage  string
	logFile  string
	upstream *echo
	traced   func(http.Handler) http.Handler // starts spans, if set before a request
	underway atomic.Int64                    // requests whose handlers have not returned
	ending   sync.Once
}

// echo is the application behind the site. It counts requests and records the last one.
type echo struct {
	*httptest.Server
	mu     sync.Mutex
	hits   int
	last   http.Header
	lastAt string
	answer func(http.ResponseWriter, *http.Request)
}

func newEcho(t *testing.T) *echo {
	e := new(echo)
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.hits++
		e.last, e.lastAt = r.Header.Clone(), r.RequestURI
		answer := e.answer
		e.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "application sees %s", r.Header.Get("X-User"))
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *echo) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hits
}

// got returns the header and address of the last request.
func (e *echo) got() (http.Header, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last, e.lastAt
}

// newHarness provisions a site at https://rp.test. In the text, {upstream} stands for the
// application's address. globals has lines of the global options.
func newHarness(t *testing.T, site string, globals ...string) *harness {
	return newHarnessAt(t, storageDir(t), `
http://rp.test {
	`+site+`
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`, globals...)
}

// storageDir returns a folder that is removed after the last write to it, because background
// work ends a little later than a test.
func storageDir(t *testing.T) string {
	folder, err := os.MkdirTemp("", "oidc_rp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for end := time.Now().Add(patience); os.RemoveAll(folder) != nil; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s is still written to", folder)
				return
			}
		}
	})
	return folder
}

// newHarnessAt provisions complete sites on a storage that harnesses can share. They use the
// clock that the test has stopped, or else the system's.
func newHarnessAt(t *testing.T, storage, sites string, globals ...string) *harness {
	t.Helper()
	its := clock.New()
	if stands := clockOf(t); stands != nil {
		its.Set(stands.now)
	}
	return newHarnessOn(t, its, storage, sites, globals...)
}

// newHarnessOn is like newHarnessAt, with a clock that is already set.
func newHarnessOn(t *testing.T, its *clock.Clock, storage, sites string, globals ...string) *harness {
	t.Helper()
	r := &harness{t: t, clock: its, storage: storage, logFile: filepath.Join(t.TempDir(), "log"), upstream: newEcho(t)}
	text := fmt.Sprintf(`
{
	admin off
	auto_https off
	persist_config off
	storage file_system %s
	log {
		output file %s
		level DEBUG
	}
	%s
}
%s
`, storage, r.logFile, strings.Join(globals, "\n"), strings.ReplaceAll(sites, "{upstream}", r.upstream.Listener.Addr().String()))
	r.clock.SetTimeouts(func(time.Duration) time.Duration { return patience })
	config, err := adapt(text)
	if err != nil {
		t.Fatalf("adapt: %v\n%s", err, text)
	}
	ctx, err := provision(patiently(t, config), r.clock)
	if err != nil {
		t.Fatalf("provision: %v\n%s", err, text)
	}
	app, err := ctx.App("oidc_rp")
	if err != nil {
		t.Fatal(err)
	}
	r.app = app.(*oidcrp.App)
	module, err := ctx.App("http")
	if err != nil {
		t.Fatal(err)
	}
	r.http, r.ctx = module.(*caddyhttp.App), ctx
	events, err := ctx.App("events")
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range []caddy.App{events.(caddy.App), r.app} {
		if err := app.Start(); err != nil {
			t.Fatal(err)
		}
	}
	handler := r.handler()
	r.server = oidctest.NewTLSServer(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.underway.Add(1)
		defer r.underway.Add(-1)
		if r.traced != nil {
			r.traced(handler).ServeHTTP(w, request)
			return
		}
		handler.ServeHTTP(w, request)
	}))
	t.Cleanup(r.release)
	t.Cleanup(r.holdLog)
	t.Cleanup(r.end)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of this site:\n%s", r.logs())
		}
	})
	return r
}

// handler returns the handler of Caddy's server, which serves all sites of one address.
func (r *harness) handler() http.Handler {
	for _, server := range r.http.Servers {
		return server
	}
	r.t.Fatal("there is no server")
	return nil
}

// handlers returns the plugin's handlers of all sites, wherever they are in a site.
func (r *harness) handlers() (all []*oidcrp.Handler) {
	var in func(routes caddyhttp.RouteList)
	in = func(routes caddyhttp.RouteList) {
		for _, route := range routes {
			for _, handler := range route.Handlers {
				switch h := handler.(type) {
				case *oidcrp.Handler:
					all = append(all, h)
				case *caddyhttp.Subroute:
					in(h.Routes)
					if h.Errors != nil {
						in(h.Errors.Routes)
					}
				}
			}
		}
	}
	for _, server := range r.http.Servers {
		in(server.Routes)
		if server.Errors != nil {
			in(server.Errors.Routes)
		}
		for _, route := range server.NamedRoutes {
			in(caddyhttp.RouteList{*route})
		}
	}
	return all
}

// end stops the site as the end of a process does.
func (r *harness) end() {
	r.server.Close()
	r.cleanUp()
}

// cleanUp releases the configuration, as Caddy does after a reload.
func (r *harness) cleanUp() {
	r.t.Helper()
	r.ending.Do(func() {
		if err := r.app.Stop(); err != nil {
			r.t.Error(err)
		}
		unload.Config(r.ctx)
	})
}

// release drops references to the configuration. Otherwise it would stay in memory until all
// parallel tests have ended, because their cleanups refer to it.
func (r *harness) release() {
	r.app, r.http, r.ctx, r.server, r.traced = nil, nil, caddy.Context{}, nil, nil
}

// at sets the clock of the harness.
func (r *harness) at(now func() time.Time) { r.clock.Set(now) }

// work runs background work now that otherwise runs at intervals.
func (r *harness) work(name string) {
	r.t.Helper()
	if r.clock.Run(r.t.Context(), name) == 0 {
		r.t.Fatalf("there is no background work %q", name)
	}
}

// logs returns everything that was logged, except access logs. A large response can arrive
// before its handler returns, so logs waits for the handlers, which may log at the end. The wait
// has a limit, because a test may hold a request.
func (r *harness) logs() string {
	for end := time.Now().Add(10 * time.Second); r.underway.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	text, err := os.ReadFile(r.logFile)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// newOP returns an honest provider that signs in alice and knows the site's redirect URI. It
// uses the clock of the test, as a harness does.
func newOP(t *testing.T, options ...oidctest.Option) *oidctest.Provider {
	if stands := clockOf(t); stands != nil {
		options = append([]oidctest.Option{oidctest.Now(stands.now)}, options...)
	}
	p := oidctest.New(t, options...)
	p.Register(rpURL + "/@app/auth/default/code")
	p.SignIn("alice")
	return p
}

// options returns the options of a site for a test provider.
func options(p *oidctest.Provider) string {
	return fmt.Sprintf(`
issuer %s
client_id %s
client_secret %q
`, p.Issuer(), p.Client().ID, p.Client().Secret)
}

// optionsOfIssuer returns the options for an issuer whose metadata is at another address.
func optionsOfIssuer(p *oidctest.Provider, issuer string) string {
	return strings.Replace(options(p), "issuer "+p.Issuer(), `
issuer `+issuer+`
configuration_url `+p.URL(oidctest.Discovery), 1)
}

// protectedBy returns the directive of a site for a test provider, with more options.
func protectedBy(p *oidctest.Provider, more ...string) string {
	return `
oidc_rp {
	` + options(p) + strings.Join(more, "\n") + `
}
`
}

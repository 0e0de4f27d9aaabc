package integration_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/caddyserver/certmagic"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

const rpURL = "https://rp.test"

// patience is how long requests of a harness wait for what makes no difference
// to them: a busy machine is no slow provider.
const patience = 30 * time.Second

// harness is a real Caddy configuration, provisioned from a Caddyfile, behind a TLS
// listener of the test's own: no ports, so rigs run in parallel.
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
	underway atomic.Int64 // requests that the handlers have not returned from
}

// echo is the application behind the site: it counts, and tells what it got.
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

// got is what the application received last.
func (e *echo) got() (http.Header, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last, e.lastAt
}

// newHarness provisions a site. In the text, {upstream} is the application's
// address; the site is https://rp.test. globals are lines of the global option
// block.
func newHarness(t *testing.T, site string, globals ...string) *harness {
	return newHarnessAt(t, storageDir(t), "http://rp.test {\n"+site+"\n\treverse_proxy {upstream} {\n\t\theader_up X-User {http.auth.user.id}\n\t}\n}", globals...)
}

// storageDir is a folder that goes when the last write to it has come: what
// works in the background ends a little later than a test.
func storageDir(t *testing.T) string {
	folder, err := os.MkdirTemp("", "oidc_rp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for end := time.Now().Add(5 * time.Second); os.RemoveAll(folder) != nil; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s is still written to", folder)
				return
			}
		}
	})
	return folder
}

// newHarnessAt provisions whole sites over a storage that rigs can share.
func newHarnessAt(t *testing.T, storage, sites string, globals ...string) *harness {
	t.Helper()
	r := &harness{t: t, clock: clock.New(), storage: storage, logFile: filepath.Join(t.TempDir(), "log"), upstream: newEcho(t)}
	text := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tstorage file_system %s\n\tlog {\n\t\toutput file %s\n\t\tlevel DEBUG\n\t}\n%s\n}\n%s\n",
		storage, r.logFile, strings.Join(globals, "\n"), strings.ReplaceAll(sites, "{upstream}", r.upstream.Listener.Addr().String()))
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
	if err := r.app.Start(); err != nil {
		t.Fatal(err)
	}
	handler := r.handler()
	r.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.underway.Add(1)
		defer r.underway.Add(-1)
		handler.ServeHTTP(w, request)
	}))
	t.Cleanup(r.end)
	return r
}

// handler is what Caddy serves: all sites of one address.
func (r *harness) handler() http.Handler {
	for _, server := range r.http.Servers {
		return server
	}
	r.t.Fatal("there is no server")
	return nil
}

// handlers are the handlers of all sites, wherever they stand in a site.
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

// end ends the site as a process ends.
func (r *harness) end() {
	r.server.Close()
	r.cleanUp()
}

// cleanUp gives back what the configuration took, as Caddy does after a reload.
func (r *harness) cleanUp() {
	r.t.Helper()
	for _, h := range r.handlers() {
		if err := h.Cleanup(); err != nil {
			r.t.Error(err)
		}
	}
	if err := r.app.Cleanup(); err != nil {
		r.t.Error(err)
	}
}

func adapt(text string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// patiently has proxies wait longer for a connection to the application than the
// three seconds that Caddy gives it: a busy machine takes them.
func patiently(t *testing.T, config []byte) []byte {
	t.Helper()
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(node any)
	walk = func(node any) {
		switch node := node.(type) {
		case []any:
			for _, child := range node {
				walk(child)
			}
		case map[string]any:
			if node["handler"] == "reverse_proxy" && node["transport"] == nil {
				node["transport"] = map[string]any{"protocol": "http", "dial_timeout": "1m"}
			}
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(tree)
	config, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// provisioning is one at a time, as in Caddy: its modules register metrics in
// globals.
var provisioning sync.Mutex

func provision(config []byte, its ...*clock.Clock) (caddy.Context, error) {
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		return caddy.Context{}, err
	}
	provisioning.Lock()
	defer provisioning.Unlock()
	for _, c := range its {
		defer clock.Use(c)()
	}
	return caddy.ProvisionContext(&c)
}

// at sets the time that the rig believes in.
func (r *harness) at(now func() time.Time) { r.clock.Set(now) }

// sealedFor is what a site adds to the seals of its cookies.
type sealedFor struct{ sessionAAD, transactionAAD, idTokenHintAAD string }

// atRP is the site of most tests.
var atRP = sealedFor{"__Host-oidc_rp\x00host rp.test", "__Host-oidc_rp_tx_\x00host rp.test", "__Secure-oidc_rp_hint\x00host rp.test"}

// ring is what the site seals cookies with: its secrets, or else the keys in its
// storage.
func (r *harness) ring() *seal.Ring {
	r.t.Helper()
	for _, h := range r.handlers() {
		if h.Session != nil && len(h.Session.Secret) > 0 {
			ring, err := seal.NewRing([]byte(h.Session.Secret[0]))
			if err != nil {
				r.t.Fatal(err)
			}
			return ring
		}
	}
	storage := &certmagic.FileStorage{Path: r.storage}
	ring, err := seal.NewManaged(func() clusterstore.Storage { return storage }, r.clock.Now).Ring(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return ring
}

// store is the session store of a harness that has one.
func (r *harness) store() store.Store {
	r.t.Helper()
	for _, h := range r.handlers() {
		var of struct{ Module string }
		if err := json.Unmarshal(h.Session.StoreRaw, &of); err != nil {
			r.t.Fatal(err)
		}
		module, err := r.ctx.LoadModuleByID(store.Namespace+"."+of.Module, withoutModule(r.t, h.Session.StoreRaw))
		if err != nil {
			r.t.Fatal(err)
		}
		if c, ok := module.(caddy.CleanerUpper); ok {
			r.t.Cleanup(func() {
				if err := c.Cleanup(); err != nil {
					r.t.Error(err)
				}
			})
		}
		return module.(store.Store)
	}
	r.t.Fatal("there is no store")
	return nil
}

// withoutModule is the configuration of a module without its name.
func withoutModule(t *testing.T, config json.RawMessage) json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(config, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "module")
	rest, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return rest
}

// work has background work done now, which is otherwise done now and then.
func (r *harness) work(name string) {
	r.t.Helper()
	if r.clock.Run(r.t.Context(), name) == 0 {
		r.t.Fatalf("there is no background work %q", name)
	}
}

// logs is all that was logged, access logs apart. A large response can be read
// before its handler returns, so logs waits for what handlers log at the end: but
// not long, since a test may hold a request.
func (r *harness) logs() string {
	for end := time.Now().Add(time.Second); r.underway.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	text, err := os.ReadFile(r.logFile)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// browser is a client with a cookie jar that follows no redirect by itself and
// says what a browser says.
type browser struct {
	t      *testing.T
	client *http.Client
	jar    *cookiejar.Jar
}

// visited is an answer that was read, and the address that it came from.

type visited struct {
	*http.Response
	body string
	url  string
}

func (r *harness) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	address := r.server.Listener.Addr().String()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, target string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(target); strings.HasSuffix(host, ".test") {
				target = address
			}
			return new(net.Dialer).DialContext(ctx, network, target)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &browser{r.t, &http.Client{
		Jar: jar, Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, jar}
}

// pageLoadHeader is what a browser sends when a user opens a page.
var pageLoadHeader = map[string]string{
	"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none",
}

// send makes one request, by default as a navigation; header values that are
// empty take a header away.
func (b *browser) send(method, address string, header map[string]string) *visited {
	b.t.Helper()
	return b.do(method, address, "", header)
}

// post sends a form.
func (b *browser) post(address, form string, header map[string]string) *visited {
	b.t.Helper()
	return b.do(http.MethodPost, address, form, header)
}

func (b *browser) do(method, address, form string, header map[string]string) *visited {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = rpURL + address
	}
	request, err := http.NewRequest(method, address, strings.NewReader(form))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, set := range []map[string]string{pageLoadHeader, header} {
		for name, value := range set {
			request.Header.Del(name)
			if value != "" {
				request.Header.Set(name, value)
			}
		}
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &visited{response, string(body), address}
}

func (b *browser) get(address string) *visited {
	b.t.Helper()
	return b.send(http.MethodGet, address, nil)
}

// open opens a page and goes where it leads; stop ends that before an address
// that it names.
func (b *browser) open(address string, stop ...string) *visited {
	b.t.Helper()
	for range 12 {
		p := b.get(address)
		location := p.location()
		if location == "" {
			return p
		}
		for _, part := range stop {
			if strings.Contains(location, part) {
				return p
			}
		}
		address = location
	}
	b.t.Fatal("a redirect loop")
	return nil
}

// location is where an answer leads, as a browser resolves it.
func (p *visited) location() string {
	location := p.Header.Get("Location")
	if location == "" {
		return ""
	}
	base, err := url.Parse(p.url)
	if err != nil {
		return location
	}
	u, err := base.Parse(location)
	if err != nil {
		return location
	}
	return u.String()
}

// cookies are those that the browser holds for the site.
func (b *browser) cookies() map[string]string {
	u, _ := url.Parse(rpURL + "/Special:UserLogout")
	all := make(map[string]string)
	for _, c := range b.jar.Cookies(u) {
		all[c.Name] = c.Value
	}
	return all
}

// newOP is an honest provider that signs in alice and knows the site's
// redirect URI.
func newOP(t *testing.T, options ...oidctest.Option) *oidctest.Provider {
	p := oidctest.New(t, options...)
	p.Register(rpURL + "/@app/auth/default/code")
	p.SignIn("alice")
	return p
}

// options are the provider options of a site for a provider of ours.
func options(p *oidctest.Provider) string {
	return fmt.Sprintf("issuer %s\nclient_id %s\nclient_secret %q\n", p.Issuer(), p.Client().ID, p.Client().Secret)
}

// breakStorage makes the folder of facts unreadable, by putting a file in its
// place; mendStorage puts it back.
func breakStorage(t *testing.T, r *harness) {
	t.Helper()
	folder := filepath.Join(r.storage, "oidc_rp")
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mendStorage(t *testing.T, r *harness) {
	t.Helper()
	folder := filepath.Join(r.storage, "oidc_rp")
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
}

package oidcrp

import (
	"context"
	"crypto/tls"
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

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const rpURL = "https://rp.test"

// rig is a real Caddy configuration, provisioned from a Caddyfile, behind a TLS
// listener of the test's own: no ports, so rigs run in parallel.
type harness struct {
	t        *testing.T
	app      *App
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
	r := &harness{t: t, storage: storage, logFile: filepath.Join(t.TempDir(), "log"), upstream: newEcho(t)}
	text := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\tstorage file_system %s\n\tlog {\n\t\toutput file %s\n\t\tlevel DEBUG\n\t}\n%s\n}\n%s\n",
		storage, r.logFile, strings.Join(globals, "\n"), strings.ReplaceAll(sites, "{upstream}", r.upstream.Listener.Addr().String()))
	config, err := adapt(text)
	if err != nil {
		t.Fatalf("adapt: %v\n%s", err, text)
	}
	ctx, err := provision(patiently(t, config))
	if err != nil {
		t.Fatalf("provision: %v\n%s", err, text)
	}
	app, err := ctx.App("oidc_rp")
	if err != nil {
		t.Fatal(err)
	}
	r.app = app.(*App)
	r.app.shared.RefreshWait = 30 * time.Second // a busy machine is no slow provider
	module, err := ctx.App("http")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.app.Start(); err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	for _, server := range module.(*caddyhttp.App).Servers {
		handler = server
	}
	r.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.underway.Add(1)
		defer r.underway.Add(-1)
		handler.ServeHTTP(w, request)
	}))
	t.Cleanup(func() {
		r.server.Close()
		for _, h := range r.app.handlers {
			if err := h.Cleanup(); err != nil {
				t.Error(err)
			}
		}
		if err := r.app.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// at sets the time that the rig believes in.
func (r *harness) at(now func() time.Time) { r.app.clock.set(now) }

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
	u, _ := url.Parse(rpURL + defaultLogoutPath)
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

// Package integration_test runs complete Caddy instances with the relying party and the
// identity provider in this process.
package integration_test

import (
	"cmp"
	"encoding/json"
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
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
	oidcidp "github.com/caddy-oidc-rp/caddy-oidc-rp/idp"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/unload"
)

// The sites of most tests.
const (
	appURL = "https://app.test"

	password = "correct horse battery staple"
)

// protected is a site whose pages show the user's name.
const protected = `
http://app.test {
	oidc_rp {
		builtin
		%s
	}
	respond "application sees {http.auth.user.id}"
}
`

// TestMain uses cheap password hashes, because these tests do not test hashing.
func TestMain(m *testing.M) {
	passwords.UseLowCosts()
	os.Exit(m.Run())
}

// harness is a Caddy configuration, provisioned from a Caddyfile, behind a TLS listener of
// the test. It uses no fixed ports, and has its own storage and database, so that harnesses
// can run in parallel.
type harness struct {
	t       *testing.T
	idpURL  string // the issuer, unique to the test
	folder  string
	logFile string
	idpSite string
	// database is the SQLite file. The default is in folder.
	database string
	clock    *clock.Clock
	by       atomic.Int64 // how far the clock is ahead
	server   *httptest.Server

	mu      sync.Mutex
	current *configuration
}

// configuration is a running configuration. A reload replaces it.
type configuration struct {
	ctx     caddy.Context
	rp      *oidcrp.App
	idp     *oidcidp.App
	http    *caddyhttp.App
	handler http.Handler
}

// newHarness provisions sites and the provider's own site. options are lines of the global
// option oidc_idp.
func newHarness(t *testing.T, sites string, options ...string) *harness {
	t.Helper()
	return newNode(t, folderOf(t), sites, options...)
}

// folderOf returns a folder that is removed after the test, when all writes to it have
// ended.
func folderOf(t *testing.T) string {
	folder, err := os.MkdirTemp("", "login")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for end := time.Now().Add(time.Minute); os.RemoveAll(folder) != nil; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s is still written to", folder)
				return
			}
		}
	})
	return folder
}

// newNode is like newHarness, with a folder for storage and database that harnesses can
// share.
func newNode(t *testing.T, folder, sites string, options ...string) *harness {
	t.Helper()
	return start(t, &harness{idpSite: "http://{host} {\n\toidc_idp\n}"}, folder, sites, options...)
}

// newSite replaces the provider's site with another one. {host} stands for the issuer's
// host.
func newSite(t *testing.T, folder, site string) *harness {
	t.Helper()
	return start(t, &harness{idpSite: site}, folder, fmt.Sprintf(protected, ""))
}

func start(t *testing.T, h *harness, folder, sites string, options ...string) *harness {
	t.Helper()
	h.t, h.idpURL, h.folder, h.logFile, h.clock = t, "https://"+strings.ToLower(filepath.Base(filepath.Clean(folder)))+".test", folder, filepath.Join(t.TempDir(), "log"), clock.New()
	h.clock.Set(func() time.Time { return time.Now().Add(time.Duration(h.by.Load())) })
	h.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.running().handler.ServeHTTP(w, r)
	}))
	h.reload(sites, options...)
	t.Cleanup(func() {
		h.server.Close()
		h.end(h.running())
		if t.Failed() {
			t.Logf("the log:\n%s", h.logs())
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.current = nil // cleanups keep the harness in memory until all parallel tests have ended
	})
	return h
}

func (h *harness) running() *configuration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current
}

// caddyfile returns the configuration of a harness.
func (h *harness) caddyfile(sites string, options ...string) string {
	return fmt.Sprintf(`
{
	admin off
	auto_https off
	persist_config off
	storage file_system %[1]s/storage
	log {
		output file %[2]s
		level DEBUG
	}
	oidc_idp {
		issuer %[5]s
		database sqlite %[7]s
		%[3]s
	}
}
%[6]s
%[4]s
`, h.folder, h.logFile, strings.Join(options, "\n"), sites, h.idpURL, strings.ReplaceAll(h.idpSite, "{host}", strings.TrimPrefix(h.idpURL, "https://")),
		cmp.Or(h.database, filepath.Join(h.folder, "accounts.db")))
}

// reload starts a configuration and stops the previous one, like Caddy.
func (h *harness) reload(sites string, options ...string) {
	h.t.Helper()
	next, err := h.start(h.caddyfile(sites, options...))
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	before := h.current
	h.current = next
	h.mu.Unlock()
	if before != nil {
		h.end(before)
	}
}

// provisioning serializes provisioning, as Caddy does: modules register metrics in globals.
var provisioning sync.Mutex

func provision(text string, its ...*clock.Clock) (caddy.Context, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return caddy.Context{}, fmt.Errorf("adapt: %w", err)
	}
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

func (h *harness) start(text string) (*configuration, error) {
	ctx, err := provision(text, h.clock)
	if err != nil {
		return nil, err
	}
	c := &configuration{ctx: ctx}
	for _, name := range []string{"events", "http", "oidc_rp", "oidc_idp"} {
		module, err := ctx.App(name)
		if err != nil {
			return nil, err
		}
		switch app := module.(type) {
		case *caddyhttp.App:
			c.http = app
			continue // the test has its own listener
		case *oidcrp.App:
			c.rp = app
		case *oidcidp.App:
			c.idp = app
		}
		if err := module.(caddy.App).Start(); err != nil {
			return nil, err
		}
	}
	for _, server := range c.http.Servers {
		c.handler = server
	}
	return c, nil
}

// end stops a configuration and releases its resources, as Caddy does after a reload.
func (h *harness) end(c *configuration) {
	h.t.Helper()
	for _, app := range []caddy.App{c.rp, c.idp} {
		if err := app.Stop(); err != nil {
			h.t.Error(err)
		}
	}
	unload.Config(c.ctx)
}

// pass advances the clock of the harness.
func (h *harness) pass(d time.Duration) { h.by.Add(int64(d)) }

// logs returns the log.
func (h *harness) logs() string {
	text, err := os.ReadFile(h.logFile)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// operate performs an operation with the admin API and decodes the response.
func (h *harness) operate(name string, request, response any) {
	h.t.Helper()
	status, text := h.admin(name, request)
	for end := time.Now().Add(time.Minute); status == http.StatusServiceUnavailable && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		status, text = h.admin(name, request) // a busy machine can take long to open the database
	}
	if status != http.StatusOK {
		h.t.Fatalf("%s: expected status 200, seen %d: %s", name, status, text)
	}
	if response == nil {
		return
	}
	if err := json.Unmarshal([]byte(text), response); err != nil {
		h.t.Fatalf("%s: %v: %s", name, err, text)
	}
}

// admin sends a request to the admin API and returns what Caddy would respond with.
func (h *harness) admin(name string, request any) (status int, text string) {
	h.t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		h.t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	err = h.running().idp.ServeAdmin(recorder, httptest.NewRequest(http.MethodPost, "/oidc_idp/"+name, strings.NewReader(string(body))))
	if err == nil {
		return recorder.Code, recorder.Body.String()
	}
	failed, ok := err.(caddy.APIError) // no errors.As: Caddy responds to a wrapped one with 500
	if !ok {
		h.t.Fatalf("%s: %v", name, err)
	}
	return failed.HTTPStatus, failed.Err.Error()
}

// addUser adds a user with the usual password and returns the subject.
func (h *harness) addUser(name string, groups ...string) (subject string) {
	h.t.Helper()
	var added struct{ Subject string }
	h.operate("user/add", map[string]any{"name": name, "password": password, "groups": groups, "email": name + "@example.com", "email_verified": true}, &added)
	return added.Subject
}

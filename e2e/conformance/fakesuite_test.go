package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fakeSuite implements the suite's REST interface. Each module that it runs is an
// OpenID Provider with one flaw (fakeprovider_test.go). Like the suite, it judges the
// requests that it receives.
type fakeSuite struct {
	t      *testing.T
	server *httptest.Server
	plans  map[string][]string
	// odd makes a module behave like another one, or not at all. demands changes a
	// variant of the plan that the driver requests.
	odd, demands map[string]string

	mu       sync.Mutex
	created  map[string]*fakePlan
	runs     map[string]*fakeRun
	aliases  map[string]*fakeRun
	canceled []string
}

type fakePlan struct {
	name    string
	variant map[string]string
	alias   string
	client  map[string]any
	modules []string
}

func (p *fakePlan) text(member string) string {
	text, _ := p.client[member].(string)
	return text
}

// wait is how long a module waits to see that no request arrives.
const wait = 150 * time.Millisecond

// fakePlans are the plans of the suite, with the modules that the fake knows.
var fakePlans = map[string][]string{
	"oidcc-client-basic-certification-test-plan":          basicModules,
	"oidcc-client-formpost-basic-certification-test-plan": basicModules,
	"oidcc-client-config-certification-test-plan": {
		"oidcc-client-test-discovery-openid-config", "oidcc-client-test-discovery-jwks-uri-keys", "oidcc-client-test-discovery-issuer-mismatch",
		"oidcc-client-test-idtoken-sig-none", "oidcc-client-test-signing-key-rotation-just-before-signing", "oidcc-client-test-signing-key-rotation",
	},
	"oidcc-client-test-plan":                    {"oidcc-client-test", "oidcc-client-test-form-post-error", "oidcc-client-test-userinfo-bearer-body"},
	"oidcc-client-rp-initiated-logout-rp-basic": {"oidcc-client-test-rp-init-logout", "oidcc-client-test-rp-init-logout-other-state", "oidcc-client-test-rp-init-logout-no-state"},
	"oidcc-client-back-channel-logout-rp-basic": {
		"oidcc-client-test-rp-backchannel-rpinitlogout", "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none",
		"oidcc-client-test-rp-backchannel-rpinitlogout-no-event", "oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce",
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg", "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud",
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event", "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss",
	},
	"oidcc-client-front-channel-logout-rp-basic":       {"oidcc-client-test-rp-frontchannel-rpinitlogout"},
	"oidcc-client-logout-test-plan":                    {"oidcc-client-test-rp-frontchannel-opinitlogout"},
	"oidcc-client-refreshtoken-test-plan":              {"oidcc-client-test-refresh-token", "oidcc-client-test-refresh-token-invalid-issuer", "oidcc-client-test-refresh-token-invalid-sub"},
	"oidcc-client-test-3rd-party-init-login-test-plan": {"oidcc-client-test-3rd-party-init-login"},
	fapiSecurityProfile:                                nil, // the modules of its variant: see fapiFlawsOf
	fapiMessageSigning:                                 nil,
}

var basicModules = []string{
	"oidcc-client-test", "oidcc-client-test-invalid-iss", "oidcc-client-test-missing-sub", "oidcc-client-test-invalid-aud", "oidcc-client-test-missing-iat",
	"oidcc-client-test-kid-absent-single-jwks", "oidcc-client-test-kid-absent-multiple-jwks", "oidcc-client-test-idtoken-sig-rs256", "oidcc-client-test-idtoken-sig-none",
	"oidcc-client-test-invalid-sig-rs256", "oidcc-client-test-userinfo-invalid-sub", "oidcc-client-test-nonce-invalid", "oidcc-client-test-scope-userinfo-claims",
	"oidcc-client-test-client-secret-basic",
}

func newFakeSuite(t *testing.T) *fakeSuite {
	t.Helper()
	f := &fakeSuite{
		t: t, plans: fakePlans, odd: map[string]string{}, demands: map[string]string{},
		created: map[string]*fakePlan{}, runs: map[string]*fakeRun{}, aliases: map[string]*fakeRun{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/plan", f.createPlan)
	mux.HandleFunc("POST /api/runner", f.start)
	mux.HandleFunc("GET /api/info/{id}", f.onRun(func(r *fakeRun, _ *http.Request) (int, any) {
		return http.StatusOK, map[string]any{"status": r.status, "result": r.result, "version": "0.0.1-fake", "testName": r.module}
	}))
	mux.HandleFunc("GET /api/log/{id}", f.onRun(func(r *fakeRun, _ *http.Request) (int, any) { return http.StatusOK, r.log }))
	mux.HandleFunc("GET /api/runner/browser/{id}", f.onRun(func(r *fakeRun, _ *http.Request) (int, any) {
		return http.StatusOK, map[string]any{"id": r.id, "urls": r.urls, "visited": r.visited}
	}))
	mux.HandleFunc("POST /api/runner/browser/{id}/visit", f.onRun(func(r *fakeRun, q *http.Request) (int, any) {
		page := q.URL.Query().Get("url")
		r.urls = slices.DeleteFunc(r.urls, func(u string) bool { return u == page })
		r.visited = append(r.visited, page)
		return http.StatusNoContent, nil
	}))
	mux.HandleFunc("DELETE /api/runner/{id}", f.onRun(func(r *fakeRun, _ *http.Request) (int, any) {
		f.canceled = append(f.canceled, r.module)
		r.status = statusInterrupted
		return http.StatusOK, map[string]any{}
	}))
	provider := func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		run := f.aliases[r.PathValue("alias")]
		f.mu.Unlock()
		if run == nil {
			http.NotFound(w, r)
			return
		}
		run.serve(w, r, r.PathValue("path"))
	}
	mux.HandleFunc("/test/a/{alias}/{path...}", provider)
	mux.HandleFunc("/test-mtls/a/{alias}/{path...}", provider)
	f.server = httptest.NewUnstartedServer(mux)
	f.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	f.server.StartTLS()
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeSuite) createPlan(w http.ResponseWriter, r *http.Request) {
	var config struct {
		Alias  string          `json:"alias"`
		Client map[string]any  `json:"client"`
		Server map[string]jwks `json:"server"`
	}
	p := &fakePlan{name: r.URL.Query().Get("planName")}
	var known bool
	p.modules, known = f.plans[p.name]
	if err := json.NewDecoder(r.Body).Decode(&config); err != nil || !known {
		reply(w, http.StatusNotFound, map[string]any{"error": "No plan with name: " + p.name})
		return
	}
	if err := json.Unmarshal([]byte(r.URL.Query().Get("variant")), &p.variant); err != nil {
		reply(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	maps.Copy(p.variant, f.demands)
	p.alias, p.client = config.Alias, config.Client
	for _, name := range slices.Sorted(maps.Keys(fapiFlawsOf(p))) {
		p.modules = append(p.modules, fapiName+"-"+name)
	}
	if keys := config.Server["jwks"].Keys; len(fapiFlawsOf(p)) > 0 && (len(keys) != 1 || keys[0]["d"] == nil || keys[0]["alg"] != "PS256") {
		reply(w, http.StatusBadRequest, map[string]any{"error": "the plan needs a private key for its provider"})
		return
	}
	id := rand.Text()
	f.mu.Lock()
	f.created[id] = p
	f.mu.Unlock()
	var list []map[string]any
	for _, m := range p.modules {
		list = append(list, map[string]any{"testModule": m, "variant": map[string]string{"response_type": "code"}})
	}
	reply(w, http.StatusCreated, map[string]any{"id": id, "name": p.name, "modules": list})
}

func (f *fakeSuite) start(w http.ResponseWriter, r *http.Request) {
	module := r.URL.Query().Get("test")
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.created[r.URL.Query().Get("plan")]
	if p == nil || !slices.Contains(p.modules, module) || !strings.Contains(r.URL.Query().Get("variant"), "response_type") {
		reply(w, http.StatusNotFound, map[string]any{"error": "no such module in this plan"})
		return
	}
	run, err := newFakeRun(f, p, module)
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	if last := f.aliases[p.alias]; last != nil {
		last.mu.Lock()
		if last.status == statusWaiting {
			last.status = statusInterrupted
		}
		last.mu.Unlock()
	}
	f.runs[run.id], f.aliases[p.alias] = run, run
	reply(w, http.StatusCreated, map[string]any{"id": run.id, "name": module, "url": run.base})
}

// onRun serves the requests about one run, under its lock.
func (f *fakeSuite) onRun(serve func(*fakeRun, *http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		run := f.runs[r.PathValue("id")]
		if run == nil {
			http.NotFound(w, r)
			return
		}
		run.mu.Lock()
		defer run.mu.Unlock()
		status, body := serve(run, r)
		reply(w, status, body)
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

// certificate writes the certificate of the fake's TLS to a file.
func (f *fakeSuite) certificate() string {
	f.t.Helper()
	file := filepath.Join(f.t.TempDir(), "suite.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return file
}

// call posts a form to the site without verifying its certificate, as the suite does with
// logout tokens.
func (f *fakeSuite) call(address string, fields url.Values) (status int, header http.Header, err error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(local(host), port))
		},
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	answer, err := client.PostForm(address, fields)
	if err != nil {
		return 0, nil, err
	}
	return answer.StatusCode, answer.Header, answer.Body.Close()
}

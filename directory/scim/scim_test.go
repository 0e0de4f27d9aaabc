package scim

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory/directorytest"
)

func TestSCIM(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(t *testing.T, users ...directory.User) directory.Directory {
		var names []string
		for _, user := range users {
			names = append(names, user.Name)
		}
		return provision(t, &SCIM{URL: newServer(t, httptest.NewServer, names...).base()})
	})
}

// Strange responses of a server are errors, or the user is unknown.
func TestServersThatLie(t *testing.T) {
	t.Parallel()
	write := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	alice := `{"totalResults":1,"Resources":[{"userName":"alice"}]}`
	for _, row := range []struct {
		name     string
		lie      http.HandlerFunc
		expected string
	}{
		{"the truth", nil, "known"},
		{"the user, whatever the content type", write(200, alice), "known"},
		{"it ignores filters", write(200, `{"totalResults":2,"Resources":[{"userName":"alice"},{"userName":"bob"}]}`), "unknown"},
		{"the first page", write(200, `{"totalResults":20,"itemsPerPage":1,"Resources":[{"userName":"alice"}]}`), "unknown"},
		{"another user", write(200, `{"totalResults":1,"Resources":[{"userName":"Alice"}]}`), "unknown"},
		{"not found", write(404, `{"status":"404"}`), "unknown"},
		{"not found, with the user in it", write(404, alice), "unknown"},
		{"an error with the user in it", write(400, alice), "status 400"},
		{"no content", write(204, ""), "status 204"},
		{"created", write(201, alice), "status 201"},
		{"the token is not accepted", write(401, alice), "status 401: the server does not accept the token"},
		{"forbidden", write(403, alice), "status 403: the server does not accept the token"},
		{"too many requests", write(429, alice), "status 429"},
		{"an internal error", write(500, alice), "status 500"},
		{"unavailable", write(503, alice), "status 503"},
		{"a redirect to the answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/other?"+r.URL.RawQuery)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "it answers with a redirect, which is not followed"},
		{"HTML", write(200, "<!DOCTYPE html><title>Sign in</title>"), "it is not a JSON object"},
		{"half of an answer", write(200, alice[:30]), "it is not a JSON object"},
		{"an answer that is too long", write(200, alice+strings.Repeat(" ", maxAnswer)), "the answer is larger than 1048576 bytes"},
		{"an answer that ends too soon", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, alice)
		}, "read the answer: unexpected EOF"},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, httptest.NewServer, "alice")
			server.says(row.lie)
			s := provision(t, &SCIM{URL: server.base(), Token: "a-secret-token"})
			seen := outcome(t, s, "alice")
			if !strings.Contains(seen, row.expected) {
				t.Errorf("expected %q, seen %q", row.expected, seen)
			}
			if strings.Contains(seen, "filter=") || strings.Contains(seen, "a-secret-token") {
				t.Errorf("the error says too much: %q", seen)
			}
			if n := server.requests.Load(); n != 1 {
				t.Errorf("expected one request, seen %d", n)
			}
		})
	}
}

// A wrong URL would lock out all users silently.
func TestNotFoundIsReported(t *testing.T) {
	t.Parallel()
	server := newServer(t, httptest.NewServer, "alice")
	server.says(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	base, err := url.Parse(server.base())
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	c := client{base: base, token: func() (string, error) { return "", nil }, http: http.DefaultTransport, odd: func(reason string) { reasons = append(reasons, reason) }}
	known, err := c.ask(t.Context(), "alice", time.Now())
	if err != nil {
		t.Errorf("expected no error, seen %v", err)
	}
	if known {
		t.Error("expected the user not to be known, seen that they are")
	}
	if fmt.Sprint(reasons) != fmt.Sprint([]string{oddNotFound}) {
		t.Errorf("expected the reason %q, seen %q", oddNotFound, reasons)
	}
}

func TestTheTokenIsReadAgain(t *testing.T) {
	t.Parallel()
	server := newServer(t, httptest.NewServer, "alice", "bob", "carol")
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	server.token = "first"
	s := provision(t, &SCIM{URL: server.base(), Token: "{file." + path + "}"})
	if seen := outcome(t, s, "alice"); seen != "known" {
		t.Errorf("expected the token to be sent, seen %q", seen)
	}
	server.mu.Lock()
	server.token = "second"
	server.mu.Unlock()
	write("second\n")
	if seen := outcome(t, s, "bob"); seen != "known" {
		t.Errorf("expected the new token to be sent, seen %q", seen)
	}
	write("a token\nwith a line end")
	if seen := outcome(t, s, "carol"); !strings.Contains(seen, "token: it has characters that no bearer token has") {
		t.Errorf("expected an error about the token, seen %q", seen)
	}
}

func TestOnlyUsersOfTheRightProviderAreLookedUp(t *testing.T) {
	t.Parallel()
	server := newServer(t, httptest.NewServer, "alice", "")
	byDefault := provision(t, &SCIM{URL: server.base()})
	ofPartners := provision(t, &SCIM{URL: server.base(), ProviderIDs: []string{"partners"}})
	for _, row := range []struct {
		name     string
		s        *SCIM
		user     directory.User
		expected bool
	}{
		{"a user of the default provider", byDefault, directory.User{ID: "alice", Name: "alice", Provider: "corp", Default: true}, true},
		{"a user of another provider", byDefault, directory.User{ID: "partners/alice", Name: "alice", Provider: "partners"}, false},
		{"a user of a provider that is named", ofPartners, directory.User{ID: "partners/alice", Name: "alice", Provider: "partners"}, true},
		{"a user of one of several tenants", byDefault, directory.User{ID: "t/alice", Name: "alice", Provider: "corp", Default: true, Tenant: "t"}, false},
		{"a user without a name", byDefault, directory.User{Provider: "corp", Default: true}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			known, err := row.s.Knows(t.Context(), row.user)
			if err != nil {
				t.Fatal(err)
			}
			if known != row.expected {
				t.Errorf("expected known %t, seen %t", row.expected, known)
			}
		})
	}
	if n := server.requests.Load(); n != 2 {
		t.Errorf("expected one request for each provider, seen %d", n)
	}
}

func TestAServerWithTLS(t *testing.T) {
	t.Parallel()
	server := newServer(t, httptest.NewTLSServer, "alice", "bob")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if seen := outcome(t, provision(t, &SCIM{URL: server.base(), CA: []string{ca}}), "alice"); seen != "known" {
		t.Errorf("expected an answer, seen %q", seen)
	}
	if seen := outcome(t, provision(t, &SCIM{URL: server.base()}), "alice"); !strings.Contains(seen, "name its authority with ca <file>") {
		t.Errorf("expected an error that names ca, seen %q", seen)
	}
	old := newServer(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
		s.StartTLS()
		return s
	}, "alice")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: old.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if seen := outcome(t, provision(t, &SCIM{URL: old.base(), CA: []string{ca}}), "alice"); !strings.Contains(seen, "protocol version") {
		t.Errorf("expected TLS 1.1 to be refused, seen %q", seen)
	}
}

// A reload keeps the answers, so that users stay known if the directory is down then.
func TestAReloadKeepsTheAnswers(t *testing.T) {
	t.Parallel()
	server := newServer(t, httptest.NewServer, "alice")
	before := provision(t, &SCIM{URL: server.base(), Token: "a"})
	if seen := outcome(t, before, "alice"); seen != "known" {
		t.Fatalf("expected an answer, seen %q", seen)
	}
	after := provision(t, &SCIM{URL: server.base(), Token: "a", Cache: caddy.Duration(time.Minute)})
	if err := before.Cleanup(); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if seen := outcome(t, after, "alice"); seen != "known" {
		t.Errorf("expected the answer from before, seen %q", seen)
	}
	for name, other := range map[string]*SCIM{
		"another token": {URL: server.base(), Token: "b"}, "another comparison": {URL: server.base(), Token: "a", IgnoreCase: true}, "another URL": {URL: server.base() + "/x", Token: "a"},
	} {
		if seen := outcome(t, provision(t, other), "alice"); !strings.Contains(seen, "connection refused") {
			t.Errorf("%s: expected a request of its own, seen %q", name, seen)
		}
	}
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	negative := caddy.Duration(-1)
	for _, row := range []struct {
		name     string
		s        SCIM
		expected string
	}{
		{"no URL", SCIM{}, "url: it is not a URL"},
		{"no host", SCIM{URL: "https:///scim"}, "url: it is not a URL"},
		{"another scheme", SCIM{URL: "ldap://directory.example"}, "url: its scheme is not https"},
		{"plain HTTP elsewhere", SCIM{URL: "http://directory.example/scim"}, "url: plain http is for loopback only"},
		{"plain HTTP to a name that begins like loopback", SCIM{URL: "http://localhost.example/scim"}, "url: plain http is for loopback only"},
		{"a query", SCIM{URL: "https://directory.example/scim?a=b"}, "url: it has a user, a query or a fragment"},
		{"a password", SCIM{URL: "https://user:secret@directory.example/scim"}, "url: it has a user, a query or a fragment"},
		{"a placeholder that is empty", SCIM{URL: "{env.OIDC_RP_ABSENT}"}, "url: {env.OIDC_RP_ABSENT} is empty"},
		{"a token that is missing", SCIM{URL: "https://directory.example", Token: "{file./absent/token}"}, "token: {file./absent/token} is empty or cannot be read"},
		{"an authority that is missing", SCIM{URL: "https://directory.example", CA: []string{"/absent/ca.pem"}}, "ca: stat /absent/ca.pem"},
		{"an authority that is none", SCIM{URL: "https://directory.example", CA: []string{empty}}, "holds no certificate"},
		{"a negative time", SCIM{URL: "https://directory.example", Grace: &negative}, "cache and grace must not be negative"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := row.s.Provision(newContext(t))
			if err == nil || !strings.Contains(err.Error(), row.expected) {
				t.Errorf("expected the error %q, seen %v", row.expected, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats a password: %v", err)
			}
			if err := row.s.Cleanup(); err != nil {
				t.Errorf("expected Cleanup to work, seen %v", err)
			}
		})
	}
}

func TestPlainHTTPGoesToThisMachineOnly(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "127.9.9.9:80": true, "192.0.2.1:80": false, "[2001:db8::1]:80": false, "0.0.0.0:80": false, "x": false,
	} {
		if err := requireLoopback("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%s: expected allowed %t, seen %v", address, ok, err)
		}
	}
}

func TestTheHeaderRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, expected := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, "-5": 0, "99999999999999999999": 0, "86400": maxRetryAfter, "soon": 0,
		"Wed, 02 Jan 2030 03:05:05 GMT": time.Minute, "Wed, 02 Jan 2030 03:00:05 GMT": 0, "Thu, 02 Jan 2031 03:05:05 GMT": maxRetryAfter,
	} {
		if seen := retryAfter(value, now); seen != expected {
			t.Errorf("%q: expected %v, seen %v", value, expected, seen)
		}
	}
}

func TestTheLogNamesTheTroubleAndNoSecret(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	clock := time.Now()
	s := &SCIM{URL: "https://directory.example", Token: "a-secret-token", logger: zap.New(core)}
	odd, event := s.logOdd(func() time.Time { return clock }), s.logEvent(func() time.Time { return clock })
	for range 3 {
		odd(oddPartial)
		event(failed, errTest)
	}
	event(down, errTest)
	event(back, nil)
	clock = clock.Add(logEvery)
	odd(oddSeveral)
	var seen []string
	for _, entry := range logs.All() {
		seen = append(seen, entry.Level.String())
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "secret") {
			t.Errorf("the log has the token: %s", text)
		}
	}
	if expected := "warn warn error info warn"; strings.Join(seen, " ") != expected {
		t.Errorf("expected the lines %q, seen %q", expected, seen)
	}
	zap.New(core).Info("a module", zap.Object("module", s))
	if text := fmt.Sprint(logs.All()[len(logs.All())-1].ContextMap()); strings.Contains(text, "secret") {
		t.Errorf("the module shows its token: %s", text)
	}
}

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	grace := caddy.Duration(2 * time.Hour)
	for text, expected := range map[string]string{
		"scim https://directory.example/scim": `{"url":"https://directory.example/scim"}`,
		`scim {env.DIRECTORY} {
			token {file./run/token}
			cache 1m
			grace 2h
			ignore_case
			ca a.pem b.pem
			provider corp
		}`: mustJSON(t, SCIM{
			URL: "{env.DIRECTORY}", Token: "{file./run/token}", Cache: caddy.Duration(time.Minute), Grace: &grace, IgnoreCase: true, CA: []string{"a.pem", "b.pem"}, ProviderIDs: []string{"corp"},
		}),
	} {
		s := new(SCIM)
		if err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if seen := mustJSON(t, *s); seen != expected {
			t.Errorf("%s: expected %s, seen %s", text, expected, seen)
		}
	}
}

package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// people is a SCIM server whose users a test adds and removes.
type people struct {
	*httptest.Server
	mu     sync.Mutex
	known  map[string]bool
	status int // of all responses, unless it is zero
	asked  map[string]int
}

func newPeople(t *testing.T, names ...string) *people {
	t.Helper()
	p := &people{known: make(map[string]bool), asked: make(map[string]int)}
	for _, name := range names {
		p.known[name] = true
	}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *people) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var name string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(r.URL.Query().Get("filter"), "userName eq ")), &name); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.asked[name]++
	w.Header().Set("Content-Type", "application/scim+json")
	switch {
	case r.Header.Get("Authorization") != "Bearer the-token":
		w.WriteHeader(http.StatusUnauthorized)
	case p.status != 0:
		w.WriteHeader(p.status)
	case p.known[name]:
		_ = json.NewEncoder(w).Encode(map[string]any{"totalResults": 1, "Resources": []any{map[string]any{"userName": name, "active": true}}})
	default:
		_, _ = w.Write([]byte(`{"totalResults":0}`))
	}
}

// set sets whether a user is known, and the status of all later responses.
func (p *people) set(name string, known bool, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[name], p.status = known, status
}

func (p *people) requests(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[name]
}

func (p *people) option(more string) string {
	return `known_users scim ` + p.URL + `/scim {
		token the-token
		` + more + `
	}`
}

func TestASCIMServerSaysWhoSignsIn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, row := range []struct {
		name, mode, knows string
		status            int // of the server
		expected          int
		body, url         string
	}{
		{"known", "private", "alice", 0, http.StatusOK, "application sees <alice> true", "/page"},
		{"unknown", "private", "Alice", 0, http.StatusForbidden, "Your account is not known here.", "/code"},
		{"unknown, on a public site", "public", "bob", 0, http.StatusOK, "application sees <> false", "/?auth_error=user_unknown"},
		{"the server is down", "private", "alice", http.StatusBadGateway, http.StatusForbidden, "This site cannot check your account at the moment.", "/code"},
		{"the server is down, on a public site", "public", "alice", http.StatusBadGateway, http.StatusOK, "application sees <> false", "/?auth_error=provider_unavailable"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := newPeople(t, row.knows)
			server.set(row.knows, true, row.status)
			r := newHarnessAt(t, storageDir(t), fmt.Sprintf(whoSees, row.mode, options(op), server.option("")))
			r.browser().get("/page")
			if n := server.requests("alice"); n != 0 {
				t.Errorf("expected no request before a sign-in, seen %d", n)
			}
			p := r.browser().open(rpURL + "/@app/auth/default/login?returnto=/page")
			if p.StatusCode != row.expected {
				t.Errorf("expected status %d, seen %d\n%s", row.expected, p.StatusCode, r.logs())
			}
			if !strings.Contains(p.body, row.body) {
				t.Errorf("expected %q, seen %s", row.body, p.body)
			}
			if !strings.Contains(p.url, row.url) {
				t.Errorf("expected to end at %s, seen %s", row.url, p.url)
			}
			if n := server.requests("alice"); n != 1 {
				t.Errorf("expected one request for the sign-in and its page, seen %d", n)
			}
			if strings.Contains(r.logs(), "the-token") {
				t.Error("the log has the token")
			}
		})
	}
}

// The session of a user who leaves the directory is anonymous within the cache time, even
// if the user sends requests all the time. It counts again when the user is back.
func TestAUserWhoLeavesTheSCIMServer(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	server := newPeople(t, "alice")
	r := newHarnessAt(t, storageDir(t), fmt.Sprintf(whoSees, "public", options(op), server.option("cache 2m")))
	r.at(clock.now)
	b := r.browser()
	b.open(rpURL + "/@app/auth/default/login")
	sees := func() string {
		t.Helper()
		return strings.TrimPrefix(b.get("/page").body, "application sees ")
	}
	if seen := sees(); seen != "<alice> true" {
		t.Fatalf("expected alice, seen %s", seen)
	}
	server.set("alice", false, 0)
	for range 4 {
		clock.advance(30 * time.Second)
		sees()
	}
	if seen := sees(); seen != "<> false" {
		t.Errorf("expected an anonymous request after the cache time, seen %s", seen)
	}
	before := server.requests("alice")
	clock.advance(10 * time.Second)
	sees()
	if n := server.requests("alice") - before; n != 0 {
		t.Errorf("expected a negative answer to count for a while, seen %d requests", n)
	}
	server.set("alice", true, 0)
	clock.advance(20 * time.Second)
	if seen := sees(); seen != "<alice> true" {
		t.Errorf("expected alice back within half a minute, seen %s", seen)
	}
}

func TestASCIMServerThatIsDown(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	server := newPeople(t, "alice")
	r := newHarnessAt(t, storageDir(t), fmt.Sprintf(whoSees, "private", options(op), `public /open
	session {
		lifetime 1d
	}
	`+server.option("grace 2h")))
	r.at(clock.now)
	b := r.browser()
	if p := b.open("/page"); p.StatusCode != http.StatusOK {
		t.Fatalf("expected status 200, seen %d", p.StatusCode)
	}
	server.set("alice", true, http.StatusServiceUnavailable)
	for range 11 {
		clock.advance(10 * time.Minute)
		if p := b.get("/page"); p.StatusCode != http.StatusOK {
			t.Fatalf("within the grace: expected status 200, seen %d\n%s", p.StatusCode, r.logs())
		}
	}
	clock.advance(10 * time.Minute)
	p := b.get("/page")
	if p.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the grace: expected status 503, seen %d", p.StatusCode)
	}
	if p.Header.Get("Retry-After") == "" {
		t.Error("after the grace: expected Retry-After")
	}
	if !strings.Contains(p.body, "This site cannot check your account at the moment.") {
		t.Errorf("after the grace: expected the reason, seen %s", p.body)
	}
	if p := b.get("/open"); !strings.Contains(p.body, "application sees <> false") {
		t.Errorf("after the grace: expected a public page without an identity, seen %d %s", p.StatusCode, p.body)
	}
	if n := strings.Count(r.logs(), "the directory does not answer; users it has known continue for a while"); n != 1 {
		t.Errorf("expected one line about the outage, seen %d\n%s", n, r.logs())
	}
	server.set("alice", true, 0)
	clock.advance(time.Minute)
	if p := b.get("/page"); p.StatusCode != http.StatusOK {
		t.Errorf("with the server back: expected status 200, seen %d\n%s", p.StatusCode, r.logs())
	}
	server.set("alice", false, 0)
	clock.advance(6 * time.Minute)
	if p := b.get("/open"); !strings.Contains(p.body, "application sees <> false") {
		t.Errorf("removed: expected an anonymous request, seen %s", p.body)
	}
	server.set("alice", true, http.StatusServiceUnavailable)
	clock.advance(time.Minute)
	if p := b.get("/page"); p.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("down after the removal: expected status 503, seen %d", p.StatusCode)
	}
}

// A reload keeps cached answers, so a SCIM server that is down then locks no user out.
func TestAReloadKeepsTheAnswersOfASCIMServer(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	server := newPeople(t, "alice")
	storage := storageDir(t)
	before := newHarnessAt(t, storage, fmt.Sprintf(whoSees, "private", options(op), server.option("")))
	b := before.browser()
	b.open("/page")
	server.set("alice", true, http.StatusInternalServerError)
	after := newHarnessAt(t, storage, fmt.Sprintf(whoSees, "private", options(op), `home /start
	`+server.option("cache 1m")))
	moveTo(b, after)
	if p := b.get("/page"); p.StatusCode != http.StatusOK {
		t.Errorf("expected status 200, seen %d\n%s", p.StatusCode, after.logs())
	}
}

// A SCIM server receives user names without the provider, which users of different
// providers can share, so it answers for one provider only.
func TestASCIMServerIsForOneProvider(t *testing.T) {
	t.Parallel()
	corp, partners := newOP(t), newOP(t)
	corp.Register(rpURL + "/@app/auth/corp/code")
	partners.Register(rpURL + "/@app/auth/partners/code")
	for _, row := range []struct {
		name, more, provider string
		ok                   bool
		requests             int
	}{
		{"a user of the default provider", "", "corp", true, 1},
		{"a user of another provider", "", "partners", false, 0},
		{"a user of a provider that is named", "provider partners", "partners", true, 1},
		{"a user of the default provider, which is not named", "provider partners", "corp", false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := newPeople(t, "alice")
			r := newHarnessAt(t, storageDir(t), fmt.Sprintf(whoSees, "private", `
provider corp {
	`+options(corp)+`
}
provider partners {
	`+options(partners)+`
}
default_provider corp
`, server.option(row.more)))
			p := r.browser().open(rpURL + "/@app/auth/" + row.provider + "/login?returnto=/page")
			if served := p.StatusCode == http.StatusOK; served != row.ok {
				t.Errorf("expected the page %t, seen %d %s\n%s", row.ok, p.StatusCode, p.body, r.logs())
			}
			if n := server.requests("alice"); n != row.requests {
				t.Errorf("expected %d requests, seen %d", row.requests, n)
			}
		})
	}
}

package integration_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestSessionEndsWithItsLifetime(t *testing.T) {
	t.Parallel()
	stop(t)
	r := newHarness(t, `
oidc_rp {
	`+options(newOP(t))+`
	session {
		lifetime 1h
	}
}
`)
	b := signedIn(t, r)
	r.ahead(59 * time.Minute)
	check(t, b.get("/"), "within the lifetime").status(http.StatusOK)
	r.ahead(61 * time.Minute)
	check(t, b.get("/"), "after the lifetime").status(http.StatusFound)
}

func TestIdleTimeoutCountsFromTheLastUse(t *testing.T) {
	t.Parallel()
	stop(t)
	r := newHarness(t, `
oidc_rp {
	`+options(newOP(t))+`
	session {
		idle_timeout 30m
	}
}
`)
	b := signedIn(t, r)
	for _, minutes := range []time.Duration{20, 40, 60} {
		r.ahead(minutes * time.Minute)
		p := b.get("/")
		check(required{t}, p, fmt.Sprintf("after %d minutes of use", minutes)).status(http.StatusOK)
		check(t, p).setsCookies(1).header("Cache-Control", "no-store")
	}
	r.ahead(91 * time.Minute)
	check(t, b.get("/"), "after half an hour without use").status(http.StatusFound)
}

func TestSessionSurvivesARestartWithManagedKeys(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
	}
	reverse_proxy {upstream}
}
`
	first := newHarnessAt(t, storage, site)
	b := signedIn(t, first)
	// Another storage object on the same folder stands for another process.
	second := newHarnessAt(t, storage+"/.", site)
	moveTo(b, second)
	check(t, b.get("/"), "on the second instance").status(http.StatusOK)
}

func TestLogoutOnOneInstanceEndsACopiedCookieOnAnother(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		end_session off
	}
	reverse_proxy {upstream}
}
`
	first, second := newHarnessAt(t, storage, site), newHarnessAt(t, storage+"/.", site)
	b := signedIn(t, first)
	copied := b.cookieHeader()
	use := func(r *harness) int {
		return r.rawGet("/x", "Cookie: "+copied).StatusCode
	}
	equal(required{t}, "before the logout: the status at the first node", use(first), http.StatusOK)
	equal(required{t}, "before the logout: the status at the second node", use(second), http.StatusOK)
	check(required{t}, b.open("/Special:UserLogout")).status(http.StatusOK).shows("Signed out")
	if got := use(first); got != http.StatusUnauthorized {
		t.Errorf("the copied cookie gets %d where the logout was", got)
	}
	for end := time.Now().Add(patience); use(second) != http.StatusUnauthorized; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the copied cookie still goes on serving on the second instance")
		}
	}
}

func TestANewLoginEndsTheSessionThatItReplaces(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := signedIn(t, r)
	old := b.cookieHeader()
	op.SignIn("bob")
	check(required{t}, b.open("/@app/auth/default/login?returnto=/next")).body("application sees bob")
	check(t, r.rawGet("/x", "Cookie: "+old), "the replaced session").status(http.StatusUnauthorized)
}

func TestSessionOfADisabledOrChangedProviderIsNone(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		%s
	}
	reverse_proxy {upstream}
}
`
	b := signedIn(t, newHarnessAt(t, storage, fmt.Sprintf(site, "")))
	for name, change := range map[string]string{"disabled": "disabled", "another client": ""} {
		text := fmt.Sprintf(site, change)
		if change == "" {
			text = strings.Replace(text, "client_id rp", "client_id other", 1)
		}
		r := newHarnessAt(t, storage, text)
		moveTo(b, r)
		check(t, b.send(http.MethodGet, "/", map[string]string{"Sec-Fetch-Mode": "cors"}), name).status(http.StatusUnauthorized)
	}
}

// A large session is split into several cookies. If it is too large for max_chunks, it is
// refused, and the log names the largest claim.
//
// See docs/faults.md, row F54.
func TestLargeSessionIsSplitAndTooLargeOneIsRefused(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	grow := func(size int) {
		user := op.User("alice")
		user.Claims["essay"] = essay(size)
		op.SetUser("alice", user)
	}
	grow(4500)
	r := newHarness(t, protectedBy(op))
	b := signedIn(t, r)
	if got := b.cookies(); got["__Host-oidc_rp_1"] == "" {
		t.Fatalf("the session was not split: %d cookies", len(got))
	}
	check(t, b.get("/x"), "with a split session").status(http.StatusOK)
	grow(20)
	b.open("/@app/auth/default/login?returnto=/small")
	if got := b.cookies(); got["__Host-oidc_rp_1"] != "" {
		t.Error("a chunk of the larger session is left")
	}
	grow(40_000)
	p := r.browser().open("/")
	check(t, p).status(http.StatusForbidden).shows("session_too_large")
	if logs := r.logs(); !strings.Contains(logs, "essay (40000 bytes)") {
		t.Error("the log does not name the largest claim")
	}
}

// essay returns a text that hardly compresses.
func essay(size int) string {
	text := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(text)
	return base64.RawURLEncoding.EncodeToString(text)[:size]
}

// The 250 groups that Entra ID can send fit into two cookies. More groups are refused, and
// the log has the sizes.
func TestManyGroupsFit(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	join := func(count int) {
		groups, r := make([]string, count), rand.New(rand.NewPCG(1, 2))
		for i := range groups {
			groups[i] = fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xfff, r.Uint32()&0xffff, r.Uint64()&0xffff_ffff_ffff)
		}
		user := op.User("alice")
		user.Claims["groups"] = groups
		op.SetUser("alice", user)
	}
	join(250)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	upstream {
		header X-Groups groups
	}
}
`)
	b := signedIn(t, r)
	b.get("/again")
	header, _ := r.upstream.got()
	equal(t, "groups at the application", strings.Count(header.Get("X-Groups"), ",")+1, 250)
	join(600)
	check(t, r.browser().open("/")).status(http.StatusForbidden).shows("session_too_large")
	logs := r.logs()
	contains(t, "the log", logs, "7599 fit max_chunks 2; the largest claims, before they are compressed, are groups (")
	contains(t, "the log", logs, "or raise max_chunks (4 at most)")
}

// With a new secret before the old one, sessions continue and are sealed with the new one,
// so that the old one can be removed.
//
// See docs/faults.md, row F38.
func TestConfiguredSecretsAreRotatedByHand(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	old, fresh := strings.Repeat("o", 40), strings.Repeat("n", 40)
	site := func(secrets string) string {
		return `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		session {
			secret ` + secrets + `
		}
	}
	reverse_proxy {upstream}
}
`
	}
	b := signedIn(t, newHarnessAt(t, storage, site(old)))
	both := newHarnessAt(t, storage, site(fresh+" "+old))
	moveTo(b, both)
	check(required{t}, b.get("/")).status(http.StatusOK).setsCookies(1)
	only := newHarnessAt(t, storage, site(fresh))
	moveTo(b, only)
	check(t, b.get("/")).status(http.StatusOK).setsCookies(0)
}

func TestUnreadableStorageClosesPrivatePagesAndLeavesPublicOnesOpen(t *testing.T) {
	t.Parallel()
	stop(t)
	op := newOP(t)
	r := newHarness(t, `
oidc_rp public {
	`+options(op)+`
	private /private/*
}
`)
	b := r.browser()
	check(required{t}, b.open("/private/x")).status(http.StatusOK)
	breakStorage(t, r)
	r.ahead(10 * time.Minute) // what was read last is trusted for a limited time only
	p := b.get("/private/x")
	check(t, p).status(http.StatusServiceUnavailable).hasHeader("Retry-After")
	check(t, b.get("/public")).status(http.StatusOK).body("application sees ")
	mendStorage(t, r)
	r.ahead(11 * time.Minute)
	check(t, b.get("/private/x"), "after the storage came back").status(http.StatusOK)
}

func TestAShorterLifetimeHoldsForOldSessions(t *testing.T) {
	t.Parallel()
	stop(t)
	op, storage := newOP(t), storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		session {
			lifetime %s
		}
	}
	reverse_proxy {upstream}
}
`
	b := signedIn(t, newHarnessAt(t, storage, fmt.Sprintf(site, "30d")))
	r := newHarnessAt(t, storage+"/.", fmt.Sprintf(site, "1h")) // a storage and a clock of its own
	moveTo(b, r)
	r.ahead(2 * time.Hour)
	check(t, b.get("/")).status(http.StatusFound)
}

func TestAnEmptiedStorageSignsNoUserOut(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	b := signedIn(t, r)
	breakStorage(t, r)
	r.rawGet("/x", "Cookie: __Host-oidc_rp=1AQAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	check(t, b.get("/")).status(http.StatusOK)
	mendStorage(t, r)
}

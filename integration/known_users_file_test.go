package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A user who is removed from the file is anonymous within seconds, and has the same
// session again when the file lists them again. If the file is missing, its last content
// counts for an hour.
func TestKnownUsersOfAFile(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	path := filepath.Join(t.TempDir(), "users.csv")
	write := func(text string) { rewrite(t, path, text) }
	write("userName,active\r\nalice,true\r\n")
	r := newHarnessAt(t, storageDir(t), fmt.Sprintf(whoSees, "public", options(op), "known_users file "+path))
	b := r.browser()
	r.at(clock.now)
	b.open(rpURL + "/@app/auth/default/login")
	step := func(name string, passed time.Duration, expected string) {
		t.Helper()
		clock.advance(passed)
		if p := b.get("/page"); !strings.Contains(p.body, "application sees "+expected) {
			t.Errorf("%s: expected %s, seen %s", name, expected, p.body)
		}
	}
	step("in the file", 0, "<alice> true")
	write(`userName,active
alice,False
`)
	step("no longer active", 3*time.Second, "<> false")
	write(`userName,active
"alice,true
bob,true
`)
	step("on a line that cannot be read", 3*time.Second, "<> false")
	write(`bob
alice
`)
	step("back in the file", 3*time.Second, "<alice> true")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	step("the file is gone", 3*time.Second, "<alice> true")
	step("the file is gone for less than an hour", 59*time.Minute, "<alice> true")
	step("the file is gone for an hour", time.Minute, "<> false")
	if p := r.browser().open(rpURL + "/@app/auth/default/login"); !strings.HasSuffix(p.url, "/?auth_error=user_unknown") {
		t.Errorf("expected user_unknown, seen %s", p.url)
	}
	write("alice")
	step("the file is back", 3*time.Second, "<alice> true")
	again := r.browser().open(rpURL + "/@app/auth/default/login")
	check(t, again).status(http.StatusOK)
	lacks(t, "the address after a sign-in", again.url, "auth_error")
}

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Users are added to and removed from a SCIM server while Caddy runs.
func TestASCIMServerSaysWhoIsSignedIn(t *testing.T) {
	people := newStaff(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(people.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, "zitadel", site{options: fmt.Sprintf(`known_users scim %s {
		token {file.%s}
		cache 1s
		grace 3s
	}`, people.url(), token)})
	w.secrets.add("directory token", people.token)
	b := w.newBrowser()
	seen := func(what string, status int) {
		t.Helper()
		eventually(t, 10*time.Second, fmt.Sprintf("%s: a program gets %d", what, status), func() bool { return b.script("/x").status == status })
	}

	b.signIn("/page", "alice").is(403, "Your account is not known here.")
	other := people.add("ALICE") // the server ignores case, so it finds this user too
	time.Sleep(time.Second)
	b.signIn("/page", "alice").is(403, "Your account is not known here.")
	people.remove(other)

	id := people.add("alice")
	time.Sleep(time.Second)
	b.signIn("/page", "alice").isFor("alice", "/page")
	people.replace(id, "alice", false)
	seen("no longer active", 401)
	people.replace(id, "alice", true)
	seen("active again", 200)
	double := people.add("alice")
	seen("two users of the name", 401)
	people.remove(double)
	seen("one user of the name", 200)

	people.stop(true)
	time.Sleep(1500 * time.Millisecond) // the cached answer has expired, the grace period has not
	if p := b.script("/x"); p.status != 200 {
		t.Errorf("the server is down, within the grace: expected status 200, seen %d", p.status)
	}
	seen("the server is down for longer", 503)
	people.stop(false)
	seen("the server is back", 200)

	people.remove(id)
	seen("removed", 401)
	if b.cookie("oidc_rp") == "" {
		t.Error("expected the session's cookie to stay until the logout")
	}
	b.open("/Special:UserLogout")
	if left := b.cookie("oidc_rp"); left != "" {
		t.Error("expected the logout of a removed user to clear the session's cookie")
	}
}

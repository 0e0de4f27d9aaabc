package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rotate requests a rotation at the admin endpoint and reports whether it created a key.
func (n *node) rotate(t testing.TB, body string) (made bool) {
	t.Helper()
	answer, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/oidc_rp/keys/rotate", n.admin), "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("expected status 200, seen %d: %s", answer.StatusCode, text)
	}
	var rotated struct{ Rings []struct{ Made bool } }
	if err := json.Unmarshal(text, &rotated); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if len(rotated.Rings) != 1 {
		t.Fatalf("expected one ring, seen %s", text)
	}
	return rotated.Rings[0].Made
}

// sealedBefore checks that a new key does not seal before all nodes can know it.
func sealedBefore(t *testing.T, before [2]string, alice, bob *visitor) {
	t.Helper()
	for i, v := range []*visitor{alice, bob} {
		if v.header() != before[i] {
			t.Errorf("visitor %d: expected the cookie of before, seen one sealed with a key that not all nodes can know", i)
		}
	}
}

// An operator rotates Caddy's own keys while users are on the site, and no user notices.
// If the keys are compromised, every user signs in again, once.
func TestKeysAreRotatedByTheAdminAPIUnderTraffic(t *testing.T) {
	rate, changes := few(300, 1000), few(2, 8)
	eachStore(t, func(t *testing.T, w *world, s site) {
		w.caddy.start(w.plainSite(s))
		client := crowd(4)
		defer client.CloseIdleConnections()
		alice, bob := &visitor{w: w}, &visitor{w: w}
		for name, v := range map[string]*visitor{"alice": alice, "bob": bob} {
			if err := v.signIn(client, "/in/first", name); err != nil {
				t.Fatal(err)
			}
		}
		running := startTraffic(t, rate, rate*120, call{alice, "/in/x", "user=alice"}, call{&visitor{w: w}, "/x", "user="}, call{bob, "/x", "user=bob"})
		for range changes {
			before := [2]string{alice.header(), bob.header()}
			login := &visitor{w: w}
			if err := login.begin(client, "/in/x"); err != nil {
				t.Fatal(err)
			}
			if !w.caddy.rotate(t, "") {
				t.Error("no key was made")
			}
			if w.caddy.rotate(t, "") {
				t.Error("another key was made while one waits")
			}
			sealedBefore(t, before, alice, bob)
			w.pass(t, published)
			eventually(t, 20*time.Second, "active users have new cookies", func() bool {
				if err := foreign(alice).isFor(client, "/x", ""); err != nil {
					t.Fatal(err)
				}
				return alice.header() != before[0] && bob.header() != before[1]
			})
			if err := login.authenticate(client, "bob"); err != nil {
				t.Fatal(err)
			}
			if err := login.finish(client, "bob"); err != nil {
				t.Errorf("a login that was begun under the old key: %v", err)
			}
		}
		running.end(t, fmt.Sprintf("%d rotations later", changes))

		begun := &visitor{w: w}
		if err := begun.begin(client, "/in/x"); err != nil {
			t.Fatal(err)
		}
		if err := begun.authenticate(client, "bob"); err != nil {
			t.Fatal(err)
		}
		callback := begun.at
		if !w.caddy.rotate(t, `{"compromised":true}`) {
			t.Error("no key was made")
		}
		if err := alice.isFor(client, "/x", ""); err != nil {
			t.Errorf("after the keys were withdrawn: %v", err)
		}
		if alice.header() != "" {
			t.Error("the cookie that opens no more is still there")
		}
		if err := alice.signIn(client, "/in/back", "alice"); err != nil {
			t.Errorf("the login after the keys were withdrawn: %v", err)
		}
		status, _, err := begun.load(client, http.MethodGet, callback, nil)
		if err != nil {
			t.Errorf("a login whose key was withdrawn: %v", err)
		}
		if status != http.StatusSeeOther {
			t.Errorf("a login whose key was withdrawn: expected status 303, seen %d", status)
		}
		if !strings.Contains(begun.at, "auth_error=login_expired") {
			t.Errorf("a login whose key was withdrawn: expected login_expired, seen %q", begun.at)
		}
		if err := begun.signIn(client, "/in/back", "bob"); err != nil {
			t.Errorf("its fresh start: %v", err)
		}
	})
}

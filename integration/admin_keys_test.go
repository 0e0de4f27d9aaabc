package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRotationOnDemandKeepsSessions(t *testing.T) {
	t.Parallel()
	stop(t)
	s := newLogoutScene(t, `
session {
	lifetime 2h
}
`)
	b, _, _ := s.signIn("alice")
	before := oneRing(s.here, "GET", "/oidc_rp/keys", "")
	list(required{t}, "the states of the keys", states(before), "sealing")
	equal(required{t}, "Rotate", before.Rotate, "168h0m0s")
	equal(required{t}, "Made", before.Made, false)
	equal(required{t}, "the key has no time of its making", before.Keys[0].Created.IsZero(), false)
	made := oneRing(s.here, "POST", "/oidc_rp/keys/rotate", "")
	equal(required{t}, "Made", made.Made, true)
	list(required{t}, "the states of the keys", states(made), "sealing", "waiting")
	equal(required{t}, "ID", made.Keys[0].ID, before.Keys[0].ID)
	fresh := made.Keys[1]
	pause := fresh.SealsFrom.Sub(fresh.Created)
	equal(t, "the pause", pause, 3*time.Minute)
	equal(t, "how long the old key opens", made.Keys[0].OpensUntil.Sub(fresh.Created), 2*time.Hour+2*pause)
	equal(t, "the new key opens without an end", fresh.OpensUntil.IsZero(), true)
	again := oneRing(s.there, "POST", "/oidc_rp/keys/rotate", "{}")
	equal(t, "a moment later on another node: Made", again.Made, false)
	differs(t, "a moment later on another node: Note", again.Note, "")
	equal(t, "a moment later on another node: the number of Keys", len(again.Keys), 2)
	for _, r := range []*harness{s.here, s.there} {
		r.ahead(4 * time.Minute)
		now := oneRing(r, "GET", "/oidc_rp/keys", "")
		list(t, "four minutes later: the states of the keys", states(now), "sealing", "opening")
		equal(t, "four minutes later: ID", now.Keys[0].ID, fresh.ID)
	}
	old := b.cookies()["__Host-oidc_rp"]
	if p := b.get("/"); p.StatusCode != http.StatusOK {
		t.Errorf("with the old key: expected status 200, seen %d", p.StatusCode)
	}
	if b.cookies()["__Host-oidc_rp"] == old {
		t.Error("expected the session to be sealed again with the new key")
	}
	if lines := strings.Count(s.here.logs(), "the session keys were rotated through the admin API"); lines != 1 {
		t.Errorf("expected one line about the rotation in the log, seen %d", lines)
	}
}

func TestWithdrawalOfCompromisedKeysEndsSessions(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t)
	b, there, _ := s.signIn("alice")
	if !there.lives(s.there) {
		t.Fatal("the session does not open on the other node")
	}
	before := oneRing(s.here, "GET", "/oidc_rp/keys", "").Keys[0].ID
	now := oneRing(s.here, "POST", "/oidc_rp/keys/rotate", `{"compromised": true}`)
	equal(required{t}, "Made", now.Made, true)
	list(required{t}, "the states of the keys", states(now), "sealing")
	differs(required{t}, "ID", now.Keys[0].ID, before)
	check(t, b.get("/page"), "the next page load").status(http.StatusFound).leadsInto(s.op.Issuer())
	again, againThere, _ := s.signIn("alice")
	if !again.lives(s.here) {
		t.Error("a new session does not open")
	}
	soon(t, "the other node meets the new key", func() bool { return againThere.lives(s.there) })
	if there.lives(s.there) {
		t.Error("the old session lives on the other node")
	}
}

func TestKeysOfTheConfigurationAreItsOwn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	secret := `
session {
	secret first-0123456789abcdef-0123456789 second-0123456789abcdef-0123456789
}
`
	guard := func(more string) string {
		return protectedBy(op, more)
	}
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	`+guard(secret)+`
	reverse_proxy {upstream}
}
http://other.test {
	`+guard(secret)+`
}
`)
	b := signedIn(t, r)
	answer := ask[keysAnswer](r, "GET", "/oidc_rp/keys", "")
	if len(answer.Rings) != 1 {
		t.Fatalf("%+v", answer)
	}
	ring := answer.Rings[0]
	equal(t, "From", ring.From, "secret")
	equal(t, "Rotate", ring.Rotate, "")
	list(t, "the states of the keys", states(ring), "sealing", "opening")
	list(t, "Sites", ring.Sites, "other.test", "rp.test")
	equal(t, "the key has no time of its making", ring.Keys[0].Created.IsZero(), true)
	for _, body := range []string{"", `{"compromised": true}`} {
		status, text, _ := r.admin("POST", "/oidc_rp/keys/rotate", body)
		equal(t, "the status", status, http.StatusConflict)
		contains(t, "the answer", text, "configuration")
	}
	if !b.lives(r) {
		t.Error("the session has ended")
	}

	mixed := newHarnessAt(t, storageDir(t), `
http://rp.test {
	`+guard("")+`
}
http://other.test {
	`+guard(secret)+`
}
`)
	answer = ask[keysAnswer](mixed, "POST", "/oidc_rp/keys/rotate", "")
	equal(required{t}, "the number of Rings", len(answer.Rings), 2)
	equal(t, "Made", answer.Rings[0].Made, true)
	equal(t, "From", answer.Rings[0].From, "storage")
	equal(t, "Made", answer.Rings[1].Made, false)
	differs(t, "Note", answer.Rings[1].Note, "")
	_, text, _ := mixed.admin("GET", "/oidc_rp/keys", "")
	lacks(t, "the answer", text, "0123456789abcdef")
	lacks(t, "the answer", text, "0001-01-01")
}

// An instance inside a handler that is not searched has no known site. Its keys and providers
// are listed anyway.
func TestASiteThatIsNotFoundHasKeysAsWell(t *testing.T) {
	t.Parallel()
	const guard = `oidc_rp {
		issuer http://127.0.0.1:1
		client_id rp
	}`
	for _, tc := range []struct{ place, site, want string }{
		{"handle_response", `
			reverse_proxy {upstream} {
				handle_response {
					` + guard + `
				}
			}
		`, `"sites":[]`},
		{"handle_errors", `
			respond x
			handle_errors {
				` + guard + `
			}
		`, `"sites":["rp.test"]`},
	} {
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	`+tc.site+`
}
`)
		for _, path := range []string{"/oidc_rp/keys", "/oidc_rp/providers"} {
			_, text, _ := r.admin("GET", path, "")
			contains(t, tc.place+": "+path, text, tc.want)
		}
	}
}

func TestKeysWhileTheStorageFails(t *testing.T) {
	t.Parallel()
	stop(t)
	r := newHarness(t, protectedBy(newOP(t)))
	b := signedIn(t, r)
	breakStorage(t, r)
	r.ahead(2 * time.Second) // so that the storage is read again
	for _, body := range []string{"", `{"compromised": true}`} {
		status, text, _ := r.admin("POST", "/oidc_rp/keys/rotate", body)
		equal(t, "the status", status, http.StatusServiceUnavailable)
		contains(t, "the answer", text, "could not be kept")
	}
	ring := oneRing(r, "GET", "/oidc_rp/keys", "")
	contains(t, "Note", ring.Note, "does not answer")
	equal(t, "the number of Keys", len(ring.Keys), 1)
	if !b.lives(r) {
		t.Error("the session has ended")
	}
	mendStorage(t, r)
}

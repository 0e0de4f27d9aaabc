package integration_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// oneRing returns the keys of a harness whose sites share them.
func oneRing(r *harness, method, path, body string) ringStatus {
	r.t.Helper()
	answer := ask[keysAnswer](r, method, path, body)
	if len(answer.Rings) != 1 || answer.Rings[0].From != "storage" || !slices.Equal(answer.Rings[0].Sites, []string{"rp.test"}) {
		r.t.Fatalf("%+v", answer)
	}
	return answer.Rings[0]
}

func states(ring ringStatus) (states []string) {
	for _, key := range ring.Keys {
		states = append(states, key.State)
	}
	return states
}

func TestRotationOnDemandKeepsSessions(t *testing.T) {
	t.Parallel()
	s := newLogoutScene(t, "session {\nlifetime 2h\n}")
	b, _, _ := s.signIn("alice")
	before := oneRing(s.here, "GET", "/oidc_rp/keys", "")
	if !slices.Equal(states(before), []string{"sealing"}) || before.Rotate != "168h0m0s" || before.Made || before.Keys[0].Created.IsZero() {
		t.Fatalf("%+v", before)
	}
	made := oneRing(s.here, "POST", "/oidc_rp/keys/rotate", "")
	if !made.Made || !slices.Equal(states(made), []string{"sealing", "waiting"}) || made.Keys[0].ID != before.Keys[0].ID {
		t.Fatalf("%+v", made)
	}
	fresh := made.Keys[1]
	if pause := fresh.SealsFrom.Sub(fresh.Created); pause != 3*time.Minute || made.Keys[0].OpensUntil.Sub(fresh.Created) != 2*time.Hour+2*pause || !fresh.OpensUntil.IsZero() {
		t.Errorf("%+v", made)
	}
	if again := oneRing(s.there, "POST", "/oidc_rp/keys/rotate", "{}"); again.Made || again.Note == "" || len(again.Keys) != 2 {
		t.Errorf("a moment later on another node: %+v", again)
	}
	for _, r := range []*harness{s.here, s.there} {
		r.at(after(4 * time.Minute))
		if now := oneRing(r, "GET", "/oidc_rp/keys", ""); !slices.Equal(states(now), []string{"sealing", "opening"}) || now.Keys[0].ID != fresh.ID {
			t.Errorf("four minutes later: %+v", now)
		}
	}
	old := b.cookies()["__Host-oidc_rp"]
	if p := b.get("/"); p.StatusCode != http.StatusOK {
		t.Errorf("with the old key: expected status 200, seen %d", p.StatusCode)
	}
	if b.cookies()["__Host-oidc_rp"] == old {
		t.Error("expected the session to be sealed again with the new key")
	}
	if lines := strings.Count(s.here.logs(), "the session keys were rotated by the admin API"); lines != 1 {
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
	if !now.Made || !slices.Equal(states(now), []string{"sealing"}) || now.Keys[0].ID == before {
		t.Fatalf("%+v", now)
	}
	if p := b.get("/page"); p.StatusCode != http.StatusFound || !strings.HasPrefix(p.location(), s.op.Issuer()) {
		t.Errorf("the next page load: status %d", p.StatusCode)
	}
	again, againThere, _ := s.signIn("alice")
	if !again.lives(s.here) {
		t.Error("a new session does not open")
	}
	s.soon("the other node meets the new key", func() bool { return againThere.lives(s.there) })
	if there.lives(s.there) {
		t.Error("the old session lives on the other node")
	}
}

func TestKeysOfTheConfigurationAreItsOwn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	secret := "session {\nsecret first-0123456789abcdef-0123456789 second-0123456789abcdef-0123456789\n}\n"
	guard := func(more string) string {
		return "oidc_rp {\n" + options(op) + more + "}"
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
	if ring.From != "secret" || ring.Rotate != "" || !slices.Equal(states(ring), []string{"sealing", "opening"}) || !slices.Equal(ring.Sites, []string{"other.test", "rp.test"}) || !ring.Keys[0].Created.IsZero() {
		t.Errorf("%+v", ring)
	}
	for _, body := range []string{"", `{"compromised": true}`} {
		if status, text, _ := r.admin("POST", "/oidc_rp/keys/rotate", body); status != http.StatusConflict || !strings.Contains(text, "configuration") {
			t.Errorf("status %d: %s", status, text)
		}
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
	if len(answer.Rings) != 2 || !answer.Rings[0].Made || answer.Rings[0].From != "storage" || answer.Rings[1].Made || answer.Rings[1].Note == "" {
		t.Errorf("%+v", answer)
	}
	_, text, _ := mixed.admin("GET", "/oidc_rp/keys", "")
	if strings.Contains(text, "0123456789abcdef") || strings.Contains(text, "0001-01-01") {
		t.Errorf("the answer is %s", text)
	}
}

// An instance inside a handler that is not searched has no known site. Its keys
// and providers are listed all the same.
func TestASiteThatIsNotFoundHasKeysAsWell(t *testing.T) {
	t.Parallel()
	const guard = `oidc_rp {
		issuer http://127.0.0.1:1
		client_id rp
	}`
	for _, tc := range []struct{ place, site, want string }{
		{"handle_response", "reverse_proxy {upstream} {\nhandle_response {\n" + guard + "\n}\n}", `"sites":[]`},
		{"handle_errors", "respond x\nhandle_errors {\n" + guard + "\n}", `"sites":["rp.test"]`},
	} {
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	`+tc.site+`
}
`)
		for _, path := range []string{"/oidc_rp/keys", "/oidc_rp/providers"} {
			if _, text, _ := r.admin("GET", path, ""); !strings.Contains(text, tc.want) {
				t.Errorf("%s: %s answers %s, want %s", tc.place, path, text, tc.want)
			}
		}
	}
}

func TestKeysWhileTheStorageFails(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"}")
	b := signedIn(t, r)
	breakStorage(t, r)
	r.at(after(2 * time.Second)) // so that a look is made
	for _, body := range []string{"", `{"compromised": true}`} {
		if status, text, _ := r.admin("POST", "/oidc_rp/keys/rotate", body); status != http.StatusServiceUnavailable || !strings.Contains(text, "could not be kept") {
			t.Errorf("status %d: %s", status, text)
		}
	}
	if ring := oneRing(r, "GET", "/oidc_rp/keys", ""); !strings.Contains(ring.Note, "does not answer") || len(ring.Keys) != 1 {
		t.Errorf("%+v", ring)
	}
	if !b.lives(r) {
		t.Error("the session has ended")
	}
	mendStorage(t, r)
}

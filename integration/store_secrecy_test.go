package integration_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// written returns everything that the nodes have left where others could read it: names
// and contents.
func (s *cluster) written() map[string][]byte {
	s.t.Helper()
	all := make(map[string][]byte)
	if s.kind.name == testKind {
		for key, record := range s.records().content() {
			all[key] = record
		}
	}
	err := filepath.WalkDir(s.storage, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, s.storage)] = content
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// spellings returns the encodings in which a value could appear.
func spellings(value string) []string {
	raw := []byte(value)
	return []string{value, hex.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw)}
}

// TestWhoReadsTheStoreLearnsNothing checks that records of sessions, refreshes and logouts
// reveal neither users nor anything that would open a session.
func TestWhoReadsTheStoreLearnsNothing(t *testing.T) {
	t.Parallel()
	forBackends(t, []backend{backendNamed("storage"), backendNamed(testKind)}, func(t *testing.T, k backend) {
		s := newCluster(t, k, 1, `
upstream {
	access_token
	id_token
}
end_session off
`, "")
		r := s.nodes[0]
		secrets := map[string]string{"the sealing secret": strings.Repeat("s", 40), "the client secret": s.op.Client().Secret}
		// A name of three letters occurs in sealed bytes by chance now and then.
		const longName = "bartholomew"
		user := s.op.User("bob")
		user.Claims["preferred_username"], user.Claims["name"] = longName, longName+" the second"
		s.op.SetUser(longName, user)
		for _, who := range []string{"alice", longName} {
			b := s.signIn(r, who)
			ticket, user, issued := r.ticketOf(b), s.op.User(who), s.op.Issued()
			found, err := r.store().Reload(t.Context(), ticket.name)
			if err != nil {
				t.Fatal(err)
			}
			if found[0] == nil {
				t.Fatal("expected a record, seen none")
			}
			opened, err := ticket.session(found[0])
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{
				"the subject": user.Subject, "the name": user.Claims["name"].(string), "the e-mail address": user.Claims["email"].(string), "the user name": who,
				"the session id": string(opened.ID[:]), "the record's secret": string(ticket.secret[:]), "the ticket": b.cookies()["__Host-oidc_rp"],
				"the provider's session": issued.SID, "the issuer": s.op.Issuer(),
			} {
				secrets[name+" of "+who] = value
			}
			s.at(s.ahead + due)
			check(required{t}, b.get("/")).status(http.StatusOK)
			if who == "alice" {
				r.tell(s.op.LogoutToken("", issued.SID, oidctest.JWTLies{}))
				r.tell(s.op.LogoutToken(issued.Subject, "", oidctest.JWTLies{}))
			}
		}
		for i, canary := range s.op.Canaries() {
			secrets["token "+string(rune('a'+i%26))] = canary
		}
		all := s.written()
		sessions := 0
		for name, content := range all {
			if strings.Contains(name, "session") {
				sessions++
			}
			for what, secret := range secrets {
				for _, spelling := range spellings(secret) {
					equal(t, fmt.Sprintf("%s holds %s", name, what), bytes.Contains(content, []byte(spelling)), false)
					equal(t, fmt.Sprintf("the name %s holds %s", name, what), strings.Contains(name, spelling), false)
				}
			}
		}
		atLeast(t, "the number of records of sessions", sessions, 2)
		atLeast(t, "the number of records", len(all), 5)
	})
}

// TestWritingToTheStoreSignsNoUserIn checks that a forged record makes no session without
// a ticket, and that a ticket never opens another user's session.
func TestWritingToTheStoreSignsNoUserIn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		// forge changes the store with the records of bob, the attacker, and of alice. It may
		// return another cookie for bob.
		forge func(s *cluster, bob, alice *ticket) (value string)
		want  int
	}{
		{"nothing", func(*cluster, *ticket, *ticket) string { return "" }, http.StatusOK},
		{"another's record under one's own key", func(s *cluster, bob, alice *ticket) string {
			s.records().put(bob.name, s.records().content()[alice.name])
			return ""
		}, http.StatusUnauthorized},
		{"a session in clear", func(s *cluster, bob, alice *ticket) string {
			plain, err := alice.secret.Open(atRP.sessionAAD, s.records().content()[alice.name])
			if err != nil {
				s.t.Fatal(err)
			}
			s.records().put(bob.name, plain)
			return ""
		}, http.StatusUnauthorized},
		{"a record of another place", func(s *cluster, bob, alice *ticket) string {
			plain, _ := alice.secret.Open(atRP.sessionAAD, s.records().content()[alice.name])
			record, err := bob.secret.Seal(atRP.sessionAAD+"x", plain)
			if err != nil {
				s.t.Fatal(err)
			}
			s.records().put(bob.name, record)
			return ""
		}, http.StatusUnauthorized},
		{"a record that was changed", func(s *cluster, bob, _ *ticket) string {
			record := s.records().content()[bob.name]
			record[len(record)/2] ^= 1
			s.records().put(bob.name, record)
			return ""
		}, http.StatusUnauthorized},
		{"an empty record", func(s *cluster, bob, _ *ticket) string {
			s.records().put(bob.name, []byte{})
			return ""
		}, http.StatusUnauthorized},
		{"a record of one's own making, and its secret as a ticket", func(s *cluster, _, alice *ticket) string {
			plain, _ := alice.secret.Open(atRP.sessionAAD, s.records().content()[alice.name])
			own, err := newTicket(seal.NewRecordSecret())
			if err != nil {
				s.t.Fatal(err)
			}
			record, err := own.secret.Seal(atRP.sessionAAD, plain)
			if err != nil {
				s.t.Fatal(err)
			}
			s.records().put(own.name, record)
			ring, err := seal.NewRing(bytes.Repeat([]byte("x"), 40))
			if err != nil {
				s.t.Fatal(err)
			}
			return own.seal(ring)
		}, http.StatusUnauthorized},
		{"garbage in the place of facts", func(s *cluster, bob, _ *ticket) string {
			opened, err := bob.session(s.records().content()[bob.name])
			if err != nil {
				s.t.Fatal(err)
			}
			target := revocation.TargetOf(&opened, s.op.Issuer())
			for _, key := range target.Keys() { // which can only end sessions
				s.records().put(key, []byte("garbage"))
			}
			return ""
		}, http.StatusUnauthorized},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			for _, remembered := range []bool{false, true} {
				s := newCluster(t, backendNamed(testKind), 1, "", "")
				r := s.nodes[0]
				alice, bob := s.signIn(r, "alice"), r.browser()
				s.op.SignIn("bob")
				check(required{t}, bob.open("/@app/auth/default/login?returnto=/")).status(http.StatusOK)
				if !remembered { // another node has not cached the sessions yet
					r = s.another()
				}
				cookies := bob.cookieHeader()
				if value := row.forge(s, s.nodes[0].ticketOf(bob), s.nodes[0].ticketOf(alice)); value != "" {
					cookies = "__Host-oidc_rp=" + value
				}
				before := r.upstream.count()
				equal(t, fmt.Sprintf("remembered %t: the status", remembered), s.use(r, cookies), row.want)
				if row.want != http.StatusOK && r.upstream.count() != before {
					t.Error("the application was asked")
				}
				s.op.SignIn("alice")
				if p := r.browser().open("/"); p.body != "application sees alice" {
					t.Errorf("a new login ends with %d: %s", p.StatusCode, p.body)
				}
			}
		})
	}
}

// TestASessionLargerThanCookiesFitsAStore also checks the upper limit, which no real
// session needs.
func TestASessionLargerThanCookiesFitsAStore(t *testing.T) {
	t.Parallel()
	forBackends(t, storeBackends(), func(t *testing.T, k backend) {
		s := newCluster(t, k, 1, `
upstream {
	header X-Sub sub
	header X-Last {http.auth.user.claims.last}
}
`, "")
		r := s.nodes[0]
		grow := func(size int) {
			user := s.op.User("alice")
			user.Claims["essay"], user.Claims["last"] = strings.Repeat("é", size/2), "end"
			s.op.SetUser("alice", user)
		}
		grow(40 << 10)
		b := s.signIn(r, "alice")
		b.get("/again")
		header, _ := r.upstream.got()
		equal(t, "X-Last", header.Get("X-Last"), "end")
		atMost(t, "the size of the session's cookie", len(b.cookies()["__Host-oidc_rp"]), 100)
		grow(300 << 10)
		p := r.browser().open("/")
		check(t, p).status(http.StatusForbidden).shows("session_too_large")
		if !strings.Contains(r.logs(), "essay (307200 bytes)") {
			t.Error("the log does not name the largest claim")
		}
		s.holds("the session that there was", b.cookieHeader())
	})
}

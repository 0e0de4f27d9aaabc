package integration_test

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// nothing expects that a browser with such a cookie is unauthenticated, that the cookie is
// cleared, and that one login is enough afterwards.
func (s *cluster) nothing(what string, r *harness, value string) {
	s.t.Helper()
	b := r.browser()
	p := b.send(http.MethodGet, "/x", map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Cookie": "__Host-oidc_rp=" + value})
	check(s.t, p, what).status(http.StatusUnauthorized).setsCookies(1)
	begins(s.t, what+": Set-Cookie", p.Header.Get("Set-Cookie"), "__Host-oidc_rp=; ")
	b.set("__Host-oidc_rp", value)
	logins := s.op.Hits(oidctest.Authorize)
	check(s.t, b.open("/page"), what).status(http.StatusOK)
	equal(s.t, what+": the number of requests to Authorize", s.op.Hits(oidctest.Authorize), logins+1)
	check(s.t, b.open("/page"), what).status(http.StatusOK)
	equal(s.t, what+": the number of requests to Authorize", s.op.Hits(oidctest.Authorize), logins+1)
}

// set puts a cookie into the browser.
func (b *browser) set(name, value string) {
	u, err := http.NewRequest(http.MethodGet, rpURL+"/", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.jar.SetCookies(u.URL, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
}

// TestWhatIsNoTicketIsNothing covers values that were sealed for another purpose, for
// another host or with other keys, and values that were never sealed.
func TestWhatIsNoTicketIsNothing(t *testing.T) {
	t.Parallel()
	forBackends(t, storeBackends(), func(t *testing.T, k backend) {
		s := newCluster(t, k, 1, "", "")
		r := s.nodes[0]
		b := s.signIn(r, "alice")
		ring := r.ring()
		good := b.cookies()["__Host-oidc_rp"]
		ticket := r.ticketOf(b)
		plain := append([]byte{ticketVersion}, ticket.secret[:]...)
		other, err := seal.NewRing([]byte(strings.Repeat("x", 40)))
		if err != nil {
			t.Fatal(err)
		}
		living := session.Session{ID: session.NewID(), Binding: session.Bind(s.op.Issuer(), s.op.Client().ID), Provider: "default", Subject: "u-1001", Username: "alice"}
		living.SignedIn, living.Expires, living.Seen = s.op.Now(), s.op.Now().Add(12*time.Hour), s.op.Now()
		fresh := seal.NewRecordSecret()
		for name, value := range map[string]string{
			"a session":                     ring.Seal(seal.ForSession, atRP.sessionAAD, living.Encode()),
			"a session, sealed as a ticket": ring.Seal(seal.ForTicket, atRP.sessionAAD, living.Encode()),
			"a transaction":                 ring.Seal(seal.ForTransaction, atRP.transactionAAD, plain),
			"a transaction, at our place":   ring.Seal(seal.ForTransaction, atRP.sessionAAD, plain),
			"an ID token hint":              ring.Seal(seal.ForIDToken, atRP.idTokenHintAAD, plain),
			"a logout's confirmation":       ring.Seal(seal.ForLogout, atRP.sessionAAD, plain),
			"the ticket of another site":    ring.Seal(seal.ForTicket, atRP.sessionAAD+"x", plain),
			"a ticket with other keys":      other.Seal(seal.ForTicket, atRP.sessionAAD, plain),
			"a ticket of another version":   ring.Seal(seal.ForTicket, atRP.sessionAAD, append([]byte{ticketVersion + 1}, plain[1:]...)),
			"a ticket that is too short":    ring.Seal(seal.ForTicket, atRP.sessionAAD, plain[:len(plain)-1]),
			"a ticket that is too long":     ring.Seal(seal.ForTicket, atRP.sessionAAD, append(plain, 0)),
			"an empty ticket":               ring.Seal(seal.ForTicket, atRP.sessionAAD, nil),
			"a ticket without a record":     ring.Seal(seal.ForTicket, atRP.sessionAAD, append([]byte{ticketVersion}, fresh[:]...)),
			"a record's name":               strings.TrimPrefix(ticket.name, sessionFolder),
			"a ticket that was changed":     good[1:len(good)-2] + "AA",
			"nothing":                       "x",
			"the secret itself":             hex.EncodeToString(ticket.secret[:]),
		} {
			s.nothing(name, r, chunk(value))
		}
		s.nothing("a ticket in two cookies", r, "2"+good[1:])
		s.holds("the ticket itself", b.cookieHeader())
	})
}

// TestATicketIsNoSessionInACookie checks that moving the sessions of a site from cookies
// to a store, or back, costs each user one login.
func TestATicketIsNoSessionInACookie(t *testing.T) {
	t.Parallel()
	forBackends(t, storeBackends(), func(t *testing.T, k backend) {
		s := newCluster(t, k, 1, "", "")
		ticket := s.signIn(s.nodes[0], "alice").cookies()["__Host-oidc_rp"]
		kept := s.store
		s.store = "store cookie"
		cookies := s.another()
		s.nothing("a ticket", cookies, ticket)
		sealed := s.signIn(cookies, "alice").cookies()["__Host-oidc_rp"]
		s.store = kept
		s.nothing("a session", s.another(), sealed)
	})
}

// TestATicketOpensWhereItWasMade checks that a session is invalid at another host name of
// the same site and store, cached or not.
func TestATicketOpensWhereItWasMade(t *testing.T) {
	t.Parallel()
	forBackends(t, kinds, func(t *testing.T, k backend) {
		s := newCluster(t, k, 0, "", "")
		s.op.Register("https://two.test/@app/auth/default/code")
		r := newHarnessAt(t, s.storage, `
http://rp.test, http://two.test {
	oidc_rp {
		`+s.options()+`
	}
	reverse_proxy {upstream}
}
`)
		s.nodes = append(s.nodes, r)
		cookies := s.signIn(r, "alice").cookieHeader()
		elsewhere := func() int {
			return r.raw("GET /x HTTP/1.1", "Host: two.test", "Connection: close", "Cookie: "+cookies).StatusCode
		}
		for range 2 {
			if got := elsewhere(); got != http.StatusUnauthorized {
				t.Errorf("status %d at another host", got)
			}
			s.holds("at its own", cookies)
		}
		b := r.browser()
		check(t, b.open("https://two.test/"), "at the other host").status(http.StatusOK)
	})
}

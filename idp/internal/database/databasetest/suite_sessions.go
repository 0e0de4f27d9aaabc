package databasetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func wholeSession() store.Session {
	return store.Session{
		Cookie: store.HashOf("cookie"), SID: "s1", UserID: "u1", Created: Start, AuthTime: after(time.Second),
		AMR: []string{"pwd", "otp"}, ACR: "urn:oidc-idp:mfa", External: "partners", LastSeen: after(time.Minute),
		Expires: after(time.Hour), UserAgent: "Firefox", Address: "192.0.2.1",
		Proven: map[string]time.Time{"pwd": Start, "otp": after(time.Second)},
	}
}

var sessionTests = map[string]func(*testing.T, *subject){
	"a session comes back whole, by cookie and by sid": func(t *testing.T, s *subject) {
		want := wholeSession()
		complete(t, want)
		s.update(func(x store.Tx) error { return x.PutSession(want) })
		same(t, "session", &want, read(s, func(x store.Tx) (*store.Session, error) { return x.SessionByCookie(store.HashOf("cookie"), Start) }))
		same(t, "session", &want, read(s, func(x store.Tx) (*store.Session, error) { return x.Session("s1") }))
		same(t, "sessions", []store.Session{want}, read(s, func(x store.Tx) ([]store.Session, error) { return x.SessionsOf("u1") }))
	},
	"a session ends at its expiry": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error { return x.PutSession(wholeSession()) })
		read(s, func(x store.Tx) (*store.Session, error) {
			return x.SessionByCookie(store.HashOf("cookie"), after(time.Hour-time.Microsecond))
		})
		missing(s, func(x store.Tx) (*store.Session, error) {
			return x.SessionByCookie(store.HashOf("cookie"), after(time.Hour))
		})
	},
	"a new cookie replaces the old one": func(t *testing.T, s *subject) {
		session := wholeSession()
		s.update(func(x store.Tx) error { return x.PutSession(session) })
		session.Cookie = store.HashOf("after the step up")
		s.update(func(x store.Tx) error { return x.PutSession(session) })
		missing(s, func(x store.Tx) (*store.Session, error) { return x.SessionByCookie(store.HashOf("cookie"), Start) })
		read(s, func(x store.Tx) (*store.Session, error) {
			return x.SessionByCookie(store.HashOf("after the step up"), Start)
		})
		same(t, "sessions", 1, len(read(s, func(x store.Tx) ([]store.Session, error) { return x.SessionsOf("u1") })))
	},
	"the applications of a session outlive it": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			return errors.Join(x.PutSession(wholeSession()), x.AddSessionClient("s1", "wiki"), x.AddSessionClient("s1", "app"), x.AddSessionClient("s1", "wiki"))
		})
		s.update(func(x store.Tx) error { return errors.Join(x.DeleteSession("s1"), x.DeleteSession("s1")) })
		missing(s, func(x store.Tx) (*store.Session, error) { return x.Session("s1") })
		same(t, "applications", []string{"app", "wiki"}, read(s, func(x store.Tx) ([]string, error) { return x.SessionClients("s1") }))
	},
	"an application cannot join a session that has ended": func(t *testing.T, s *subject) {
		s.fails(store.ErrNotFound, func(x store.Tx) error { return x.AddSessionClient("s1", "wiki") })
	},
	"the applications of a session stay as long as it is prolonged": func(t *testing.T, s *subject) {
		session := wholeSession()
		s.update(func(x store.Tx) error { return errors.Join(x.PutSession(session), x.AddSessionClient("s1", "wiki")) })
		session.Expires = after(3 * time.Hour)
		s.update(func(x store.Tx) error { return errors.Join(x.PutSession(session), sweep(x, after(2*time.Hour), 10)) })
		same(t, "applications", []string{"wiki"}, read(s, func(x store.Tx) ([]string, error) { return x.SessionClients("s1") }))
	},
}

var requestTests = map[string]func(*testing.T, *subject){
	"a request comes back whole and is taken once": func(t *testing.T, s *subject) {
		want := store.Request{ID: "r1", Browser: store.HashOf("browser"), Data: []byte(`{"a":1}`), Created: Start, Expires: after(time.Hour)}
		complete(t, want)
		s.update(func(x store.Tx) error { return x.PutRequest(want) })
		want.Data = []byte(`{"a":2}`)
		s.update(func(x store.Tx) error { return x.PutRequest(want) })
		same(t, "request", &want, read(s, func(x store.Tx) (*store.Request, error) { return x.Request("r1") }))
		same(t, "request", &want, taken(s, func(x store.Tx) (*store.Request, error) { return x.TakeRequest("r1") }))
		missing(s, func(x store.Tx) (*store.Request, error) { return x.TakeRequest("r1") })
		missing(s, func(x store.Tx) (*store.Request, error) { return x.Request("r1") })
	},
}

func wholeTicket() store.Ticket {
	return store.Ticket{Kind: "reset", Hash: store.HashOf("ticket"), UserID: "u1", Data: []byte("{}"), Created: Start, Expires: after(time.Hour)}
}

var ticketTests = map[string]func(*testing.T, *subject){
	"a ticket comes back whole and is taken once": func(t *testing.T, s *subject) {
		want := wholeTicket()
		complete(t, want)
		s.update(func(x store.Tx) error { return x.AddTicket(want) })
		same(t, "ticket", &want, read(s, func(x store.Tx) (*store.Ticket, error) { return x.Ticket("reset", want.Hash, Start) }))
		missing(s, func(x store.Tx) (*store.Ticket, error) { return x.TakeTicket("invite", want.Hash, Start) })
		same(t, "ticket", &want, taken(s, func(x store.Tx) (*store.Ticket, error) { return x.TakeTicket("reset", want.Hash, Start) }))
		missing(s, func(x store.Tx) (*store.Ticket, error) { return x.TakeTicket("reset", want.Hash, Start) })
	},
	"a ticket ends at its expiry": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error { return x.AddTicket(wholeTicket()) })
		missing(s, func(x store.Tx) (*store.Ticket, error) {
			return x.Ticket("reset", store.HashOf("ticket"), after(time.Hour))
		})
		missing(s, func(x store.Tx) (*store.Ticket, error) {
			return x.TakeTicket("reset", store.HashOf("ticket"), after(time.Hour))
		})
		same(t, "tickets", 1, len(read(s, func(x store.Tx) ([]store.Ticket, error) { return x.TicketsOf("u1", "reset") })))
	},
	"a ticket that exists is refused, in the same kind": func(t *testing.T, s *subject) {
		ticket := wholeTicket()
		s.update(func(x store.Tx) error { return x.AddTicket(ticket) })
		s.fails(store.ErrExists, func(x store.Tx) error { return x.AddTicket(ticket) })
		ticket.Kind = "invite"
		s.update(func(x store.Tx) error { return x.AddTicket(ticket) })
	},
	"tickets of a user are deleted by kind": func(t *testing.T, s *subject) {
		add := func(kind, user string, n int) store.Ticket {
			return store.Ticket{Kind: kind, UserID: user, Hash: store.HashOf(fmt.Sprint(kind, user, n)), Expires: after(time.Hour)}
		}
		s.update(func(x store.Tx) error {
			return errors.Join(x.AddTicket(add("reset", "u1", 1)), x.AddTicket(add("email", "u1", 1)), x.AddTicket(add("device", "u1", 1)),
				x.AddTicket(add("reset", "u2", 1)), x.AddTicket(add("saml", "", 1)))
		})
		left := func(user, kind string) int {
			return len(read(s, func(x store.Tx) ([]store.Ticket, error) { return x.TicketsOf(user, kind) }))
		}
		s.update(func(x store.Tx) error { return x.DeleteTickets("u1", "reset", "email") })
		same(t, "left of the user", [3]int{0, 0, 1}, [3]int{left("u1", "reset"), left("u1", "email"), left("u1", "device")})
		s.update(func(x store.Tx) error { return errors.Join(x.DeleteTickets("u1"), x.DeleteTickets("")) })
		same(t, "left of the user", 0, left("u1", "device"))
		same(t, "left of another user", 1, left("u2", "reset"))
		read(s, func(x store.Tx) (*store.Ticket, error) { return x.Ticket("saml", store.HashOf("saml1"), Start) })
	},
}

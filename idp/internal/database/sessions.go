package database

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var sessions = newTable("sessions", 1, func(s *store.Session) []column {
	return []column{
		text("sid", &s.SID), digest("cookie", &s.Cookie), text("user_id", &s.UserID),
		moment("created", &s.Created), moment("auth_time", &s.AuthTime), object("amr", &s.AMR), text("acr", &s.ACR),
		text("external", &s.External), moment("last_seen", &s.LastSeen), moment("expires", &s.Expires),
		text("user_agent", &s.UserAgent), text("address", &s.Address), object("proven", &s.Proven),
	}
})

func (x *tx) SessionByCookie(cookie store.Hash, now time.Time) (*store.Session, error) {
	return sessions.one(x, "cookie = $1 AND expires > $2", cookie[:], micros(now))
}

func (x *tx) Session(sid string) (*store.Session, error) { return sessions.one(x, "sid = $1", sid) }

func (x *tx) SessionsOf(userID string) ([]store.Session, error) {
	return sessions.where(x, "user_id = $1 ORDER BY created, sid", userID)
}

func (x *tx) PutSession(s store.Session) error {
	s.UserAgent, s.Address = cleanText(s.UserAgent), cleanText(s.Address)
	if err := sessions.put(x, s); err != nil {
		return err
	}
	_, err := x.exec("UPDATE session_clients SET expires = $1 WHERE sid = $2 AND expires < $1", micros(s.Expires), s.SID)
	return err
}

func (x *tx) DeleteSession(sid string) error { return sessions.delete(x, "sid = $1", sid) }

func (x *tx) AddSessionClient(sid, clientID string) error {
	expires, err := first(values[int64](x, "SELECT expires FROM sessions WHERE sid = $1", sid))
	if err != nil {
		return err
	}
	_, err = x.exec("INSERT INTO session_clients (sid, client_id, expires) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", sid, clientID, *expires)
	return err
}

func (x *tx) SessionClients(sid string) ([]string, error) {
	return values[string](x, "SELECT client_id FROM session_clients WHERE sid = $1 ORDER BY client_id", sid)
}

var requests = newTable("requests", 1, func(r *store.Request) []column {
	return []column{
		text("id", &r.ID), digest("browser", &r.Browser), data("data", &r.Data),
		moment("created", &r.Created), moment("expires", &r.Expires),
	}
})

func (x *tx) Request(id string) (*store.Request, error) { return requests.one(x, "id = $1", id) }

func (x *tx) PutRequest(r store.Request) error { return requests.put(x, r) }

func (x *tx) TakeRequest(id string) (*store.Request, error) { return requests.take(x, "id = $1", id) }

var tickets = newTable("tickets", 2, func(t *store.Ticket) []column {
	return []column{
		text("kind", &t.Kind), digest("hash", &t.Hash), text("user_id", &t.UserID), data("data", &t.Data),
		moment("created", &t.Created), moment("expires", &t.Expires),
	}
})

const thisTicket = "kind = $1 AND hash = $2 AND expires > $3"

func (x *tx) Ticket(kind string, hash store.Hash, now time.Time) (*store.Ticket, error) {
	return tickets.one(x, thisTicket, kind, hash[:], micros(now))
}

func (x *tx) AddTicket(t store.Ticket) error { return tickets.add(x, t) }

func (x *tx) TakeTicket(kind string, hash store.Hash, now time.Time) (*store.Ticket, error) {
	return tickets.take(x, thisTicket, kind, hash[:], micros(now))
}

func (x *tx) DeleteTickets(userID string, kinds ...string) error {
	if userID == "" { // tickets without a user belong to different owners
		return nil
	}
	if len(kinds) == 0 {
		return tickets.delete(x, "user_id = $1", userID)
	}
	in, args := placesFrom(2, kinds)
	return tickets.delete(x, "user_id = $1 AND kind IN ("+in+")", append([]any{userID}, args...)...)
}

func (x *tx) TicketsOf(userID, kind string) ([]store.Ticket, error) {
	return tickets.where(x, "user_id = $1 AND user_id <> '' AND kind = $2 ORDER BY created, hash", userID, kind)
}

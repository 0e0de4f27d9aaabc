package databasetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var signingKeyTests = map[string]func(*testing.T, *subject){
	"signing keys come back whole, the oldest first": func(t *testing.T, s *subject) {
		first := store.SigningKey{ID: "z", Alg: "RS256", Sealed: []byte{1}, Created: Start, Active: after(time.Hour), Retires: after(2 * time.Hour)}
		second := store.SigningKey{ID: "a", Alg: "ES256", Sealed: []byte{2}, Created: after(time.Minute)}
		complete(t, first)
		s.update(func(x store.Tx) error { return errors.Join(x.PutSigningKey(second), x.PutSigningKey(first)) })
		same(t, "keys", []store.SigningKey{first, second}, read(s, store.Tx.SigningKeys))
		second.Active = after(time.Hour)
		s.update(func(x store.Tx) error { return errors.Join(x.PutSigningKey(second), x.DeleteSigningKey("z")) })
		same(t, "keys", []store.SigningKey{second}, read(s, store.Tx.SigningKeys))
	},
}

var deliveryTests = map[string]func(*testing.T, *subject){
	"a delivery is claimed when it is due, by one node until its next attempt": func(t *testing.T, s *subject) {
		want := store.Delivery{ID: "d1", ClientID: "wiki", UserID: "u1", SID: "s1", Attempts: 2, Next: Start, Expires: after(time.Hour)}
		complete(t, want)
		s.update(func(x store.Tx) error { return x.AddDelivery(want) })
		claim := func(now time.Duration) []store.Delivery {
			return taken(s, func(x store.Tx) ([]store.Delivery, error) {
				return x.ClaimDeliveries(after(now), after(now+time.Minute), 10)
			})
		}
		same(t, "before it is due", 0, len(claim(-time.Second)))
		want.Next = after(time.Minute)
		same(t, "when it is due", []store.Delivery{want}, claim(0))
		same(t, "while it is claimed", 0, len(claim(30*time.Second)))
		want.Next = after(2 * time.Minute)
		same(t, "when the claim has ended", []store.Delivery{want}, claim(time.Minute))
		same(t, "after its expiry", 0, len(claim(time.Hour)))
		s.fails(store.ErrExists, func(x store.Tx) error { return x.AddDelivery(want) })
		want.Attempts, want.Next = 3, after(3*time.Minute)
		s.update(func(x store.Tx) error { return x.PutDelivery(want) })
		want.Next = after(4 * time.Minute)
		same(t, "after a change", []store.Delivery{want}, claim(3*time.Minute))
		s.update(func(x store.Tx) error { return x.DeleteDelivery("d1") })
		same(t, "after it was deleted", 0, len(claim(10*time.Minute)))
	},
	"the delivery that waits longest is claimed first, up to the limit": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) (err error) {
			for n := range 5 {
				err = errors.Join(err, x.AddDelivery(store.Delivery{ID: fmt.Sprint(n), Next: after(-time.Duration(n) * time.Second), Expires: after(time.Hour)}))
			}
			return err
		})
		got := taken(s, func(x store.Tx) ([]store.Delivery, error) { return x.ClaimDeliveries(Start, after(time.Minute), 2) })
		if len(got) != 2 || got[0].ID != "4" || got[1].ID != "3" {
			t.Errorf("expected the deliveries 4 and 3, seen %+v", got)
		}
	},
}

var settingTests = map[string]func(*testing.T, *subject){
	"a setting is empty until it is set": func(t *testing.T, s *subject) {
		get := func(x store.Tx) (string, error) { return x.Setting(store.SettingHadAccount) }
		same(t, "setting", "", read(s, get))
		for _, want := range []string{"yes", "no"} {
			s.update(func(x store.Tx) error { return x.SetSetting(store.SettingHadAccount, want) })
			same(t, "setting", want, read(s, get))
		}
	},
}

var sweepTests = map[string]func(*testing.T, *subject){
	"sweeping removes what has expired of each kind, and nothing else": func(t *testing.T, s *subject) {
		fill := func(x store.Tx, id string, expires time.Time) error {
			hash := store.HashOf(id)
			return errors.Join(
				x.PutSession(store.Session{SID: id, Cookie: hash, Expires: expires}), x.AddSessionClient(id, "wiki"),
				x.PutRequest(store.Request{ID: id, Expires: expires}),
				x.AddTicket(store.Ticket{Kind: "a", Hash: hash, UserID: "u1", Expires: expires}),
				x.PutGrant(store.Grant{ID: id, Code: hash, Retired: []store.Hash{store.HashOf("old " + id)}, Expires: expires}),
				x.PutToken(store.Token{Hash: hash, Expires: expires}),
				x.AddDelivery(store.Delivery{ID: id, Next: after(-time.Hour), Expires: expires}),
				x.PutCounter(store.Counter{Key: id, Failures: 1, Expires: expires}))
		}
		s.update(func(x store.Tx) error {
			return errors.Join(fill(x, "old", Start), fill(x, "new", after(time.Microsecond)), x.PutCounter(store.Counter{Key: "for ever", Failures: 1}),
				x.PutSigningKey(store.SigningKey{ID: "k"}))
		})
		s.update(func(x store.Tx) error { return sweep(x, Start, 100) })
		for id, want := range map[string]int{"old": 0, "new": 1} {
			same(t, id, [9]int{want, want, want, want, want, want, want, want, want}, presence(s, id))
		}
		same(t, "counter without an expiry", 1, read(s, func(x store.Tx) (store.Counter, error) { return x.Counter("for ever") }).Failures)
		same(t, "signing keys", 1, len(read(s, store.Tx.SigningKeys)))
	},
	"sweeping removes at most as many rows as it may, the oldest first": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) (err error) {
			for n := range 5 {
				err = errors.Join(err, x.PutRequest(store.Request{ID: fmt.Sprint(n), Expires: after(-time.Duration(n) * time.Minute)}))
			}
			return err
		})
		more := func() (more bool) {
			s.update(func(x store.Tx) (err error) { more, err = x.Sweep(Start, 3); return err })
			return more
		}
		same(t, "more after the first three", true, more())
		for n := range 5 {
			err := s.store.View(t.Context(), func(x store.Tx) error {
				_, err := x.Request(fmt.Sprint(n))
				return err
			})
			same(t, fmt.Sprint("request ", n, " is left"), n < 2, err == nil)
		}
		same(t, "more after the last two", false, more())
	},
}

func sweep(x store.Tx, before time.Time, limit int) error {
	_, err := x.Sweep(before, limit)
	return err
}

// presence counts the rows of each kind that fill has made for an ID.
func presence(s *subject, id string) (counts [9]int) {
	hash := store.HashOf(id)
	s.update(func(x store.Tx) error {
		clients, _ := x.SessionClients(id)
		tickets, _ := x.TicketsOf("u1", "a")
		counts[1] = len(clients)
		for _, ticket := range tickets {
			if ticket.Hash == hash {
				counts[3] = 1
			}
		}
		deliveries, _ := x.ClaimDeliveries(after(-time.Minute), after(-time.Hour), 10)
		for _, delivery := range deliveries {
			if delivery.ID == id {
				counts[7] = 1
			}
		}
		for i, f := range map[int]func() error{
			0: func() error { _, err := x.Session(id); return err },
			2: func() error { _, err := x.Request(id); return err },
			4: func() error { _, err := x.GrantByCode(hash); return err },
			5: func() error { _, err := x.GrantByRefresh(store.HashOf("old " + id)); return err },
			6: func() error { _, err := x.Token(hash); return err },
		} {
			if f() == nil {
				counts[i] = 1
			}
		}
		counter, err := x.Counter(id)
		counts[8] = counter.Failures
		return err
	})
	return counts
}

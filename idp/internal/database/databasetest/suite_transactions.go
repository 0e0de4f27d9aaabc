package databasetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var errOwn = errors.New("the caller's own error")

var transactionTests = map[string]func(*testing.T, *subject){
	"an error undoes everything and comes back as it is": func(t *testing.T, s *subject) {
		err := s.store.Update(t.Context(), func(x store.Tx) error {
			if err := x.SetSetting("a", "1"); err != nil {
				return err
			}
			return errOwn
		})
		same(t, "error", errOwn, err)
		same(t, "setting", "", read(s, func(x store.Tx) (string, error) { return x.Setting("a") }))
	},
	"a panic undoes everything": func(t *testing.T, s *subject) {
		func() {
			defer func() { _ = recover() }()
			_ = s.store.Update(t.Context(), func(x store.Tx) error {
				_ = x.SetSetting("a", "1")
				panic("a test")
			})
		}()
		same(t, "setting", "", read(s, func(x store.Tx) (string, error) { return x.Setting("a") }))
		s.update(func(x store.Tx) error { return x.SetSetting("a", "2") })
	},
	"a transaction sees its own changes": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			if err := x.SetSetting("a", "1"); err != nil {
				return err
			}
			v, err := x.Setting("a")
			same(t, "setting", "1", v)
			return err
		})
	},
	"a view changes nothing": func(t *testing.T, s *subject) {
		for name, f := range map[string]func(store.Tx) error{
			"a write": func(x store.Tx) error { return x.SetSetting("a", "1") },
			"a take":  func(x store.Tx) error { _, err := x.TakeRequest("r"); return err },
		} {
			if err := s.store.View(t.Context(), f); err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: expected an error about the view, seen %v", name, err)
			}
		}
	},
	"a view is of one moment": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error { return x.SetSetting("a", "1") })
		s.view(func(x store.Tx) error {
			before, err := x.Setting("a")
			if err != nil {
				return err
			}
			s.update(func(x store.Tx) error { return x.SetSetting("a", "2") })
			now, err := x.Setting("a")
			same(t, "setting", before, now)
			return err
		})
	},
	"views go on while a change is being made": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			if err := x.SetSetting("a", "1"); err != nil {
				return err
			}
			same(t, "setting outside", "", read(s, func(x store.Tx) (string, error) { return x.Setting("a") }))
			return nil
		})
	},
	"a caller who leaves ends the transaction": func(t *testing.T, s *subject) {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.store.Update(ctx, func(x store.Tx) error {
			cancel()
			return x.SetSetting("a", "1")
		})
		if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("expected %v alone, seen %v", context.Canceled, err)
		}
		same(t, "setting", "", read(s, func(x store.Tx) (string, error) { return x.Setting("a") }))
	},
	"a change that meets another one is made on what that one left": func(t *testing.T, s *subject) {
		// Both read, then both write. One of them must wait or run again.
		ready, calls := make(chan struct{}, 2), atomic.Int32{}
		n := together(t.Context(), t, 2, nil, func(ctx context.Context, i int) error {
			return s.store.Update(ctx, func(x store.Tx) error {
				v, err := x.Setting("a")
				if err != nil {
					return err
				}
				if calls.Add(1) <= 2 {
					ready <- struct{}{}
					for deadline := time.Now().Add(200 * time.Millisecond); len(ready) < 2 && time.Now().Before(deadline); {
						time.Sleep(time.Millisecond)
					}
				}
				return x.SetSetting("a", v+fmt.Sprint(i))
			})
		})
		same(t, "changes", 2, n)
		if v := read(s, func(x store.Tx) (string, error) { return x.Setting("a") }); v != "01" && v != "10" {
			t.Errorf("expected both changes, seen %q", v)
		}
	},
	"a check of one row holds until another row is written": func(t *testing.T, s *subject) {
		// Write skew: each of two transactions reads what the other one writes.
		n := together(t.Context(), t, 2, errOwn, func(ctx context.Context, i int) error {
			return s.store.Update(ctx, func(x store.Tx) error {
				other, err := x.Setting(fmt.Sprint("on call ", 1-i))
				if err != nil {
					return err
				}
				if other != "" {
					return errOwn
				}
				time.Sleep(20 * time.Millisecond)
				return x.SetSetting(fmt.Sprint("on call ", i), "away")
			})
		})
		same(t, "transactions that passed the check", 1, n)
	},
}

var raceTests = map[string]func(*testing.T, *subject){
	"200 changes of one counter all count": func(t *testing.T, s *subject) {
		began := time.Now()
		n := together(t.Context(), t, 200, nil, func(ctx context.Context, _ int) error {
			return s.store.Update(ctx, func(x store.Tx) error {
				c, err := x.Counter("password/u1")
				if err != nil {
					return err
				}
				c.Failures++
				return x.PutCounter(c)
			})
		})
		same(t, "changes", 200, n)
		same(t, "counter", 200, read(s, func(x store.Tx) (store.Counter, error) { return x.Counter("password/u1") }).Failures)
		t.Logf("200 changes took %v", time.Since(began).Round(time.Millisecond))
	},
	"one of many takes a request": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error { return x.PutRequest(store.Request{ID: "r"}) })
		s.once(t, func(x store.Tx) error { _, err := x.TakeRequest("r"); return err }, store.ErrNotFound)
	},
	"one of many takes a ticket": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error { return x.AddTicket(wholeTicket()) })
		s.once(t, func(x store.Tx) error { _, err := x.TakeTicket("reset", store.HashOf("ticket"), Start); return err }, store.ErrNotFound)
	},
	"one of many adds a ticket": func(t *testing.T, s *subject) {
		s.once(t, func(x store.Tx) error { return x.AddTicket(wholeTicket()) }, store.ErrExists)
	},
	"one of many takes a recovery code": func(t *testing.T, s *subject) {
		s.person("u1")
		s.update(func(x store.Tx) error { return x.SetRecoveryCodes("u1", []store.Hash{store.HashOf("a")}) })
		s.once(t, func(x store.Tx) error { return x.TakeRecoveryCode("u1", store.HashOf("a")) }, store.ErrNotFound)
	},
	"one of many gets a name": func(t *testing.T, s *subject) {
		n := together(t.Context(), t, 20, store.ErrExists, func(ctx context.Context, i int) error {
			id := fmt.Sprint("u", i)
			return s.store.Update(ctx, func(x store.Tx) error {
				if err := x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: id}); err != nil {
					return err
				}
				return x.PutUser(&store.User{ID: id, Kind: store.Person, Name: "ada"})
			})
		})
		same(t, "users who got it", 1, n)
		same(t, "users", 1, read(s, func(x store.Tx) (int, error) { return x.CountUsers(store.UserFilter{}) }))
	},
	"one of many registers a credential": func(t *testing.T, s *subject) {
		s.person("u1")
		var next atomic.Int32
		s.once(t, func(x store.Tx) error {
			return x.PutFactor(store.Factor{ID: fmt.Sprint(next.Add(1)), UserID: "u1", Kind: store.Passkey, CredentialID: []byte{1}})
		}, store.ErrExists)
	},
	"one of many exchanges a code": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error { return x.PutGrant(store.Grant{ID: "g", Code: store.HashOf("code")}) })
		s.once(t, func(x store.Tx) error {
			g, err := x.GrantByCode(store.HashOf("code"))
			if err != nil {
				return err
			}
			if !g.CodeUsed.IsZero() {
				return errOwn
			}
			g.CodeUsed = Start
			return x.PutGrant(*g)
		}, errOwn)
	},
	"each delivery is claimed by one node": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) (err error) {
			for n := range 20 {
				err = errors.Join(err, x.AddDelivery(store.Delivery{ID: fmt.Sprint(n), Next: Start, Expires: after(time.Hour)}))
			}
			return err
		})
		var claimed atomic.Int32
		together(t.Context(), t, 8, nil, func(ctx context.Context, _ int) error {
			var mine []store.Delivery
			err := s.store.Update(ctx, func(x store.Tx) (err error) {
				mine, err = x.ClaimDeliveries(Start, after(time.Minute), 5)
				return err
			})
			claimed.Add(int32(len(mine)))
			return err
		})
		same(t, "claims", int32(20), claimed.Load())
	},
}

// once makes the same change 20 times concurrently. Exactly one must succeed.
func (s *subject) once(t *testing.T, f func(store.Tx) error, others error) {
	t.Helper()
	n := together(t.Context(), t, 20, others, func(ctx context.Context, _ int) error { return s.store.Update(ctx, f) })
	same(t, "changes that succeeded", 1, n)
}

var hostile = []string{"\xff", "a\x00b", "\xc3", "a\xf0\x9f"}

var textTests = map[string]func(*testing.T, *subject){
	"text that cannot be kept is not found": func(t *testing.T, s *subject) {
		for _, text := range hostile {
			missing(s, func(x store.Tx) (*store.User, error) { return x.UserByName(text) })
			missing(s, func(x store.Tx) (*store.Request, error) { return x.Request(text) })
			missing(s, func(x store.Tx) (*store.Identity, error) { return x.Identity("a", "b", text) })
		}
	},
	"text that cannot be kept is refused": func(t *testing.T, s *subject) {
		s.person("u1")
		for _, text := range hostile {
			err := s.store.Update(t.Context(), func(x store.Tx) error {
				return x.PutIdentity(store.Identity{External: "a", Issuer: "b", Subject: text, UserID: "u1"})
			})
			if err == nil || errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%q: expected an error about the text, seen %v", text, err)
			}
		}
	},
	"a user agent of any bytes is made fit": func(t *testing.T, s *subject) {
		session := wholeSession()
		for _, text := range hostile {
			session.UserAgent = text
			s.update(func(x store.Tx) error { return x.PutSession(session) })
			got := read(s, func(x store.Tx) (*store.Session, error) { return x.Session("s1") }).UserAgent
			if !strings.Contains(got, "\uFFFD") {
				t.Errorf("%q: expected a replacement character, seen %q", text, got)
			}
		}
	},
	"quotes and SQL are text": func(t *testing.T, s *subject) {
		text := `'; DROP TABLE users; -- " $1 ?`
		s.update(func(x store.Tx) error { return x.SetSetting(text, text) })
		same(t, "setting", text, read(s, func(x store.Tx) (string, error) { return x.Setting(text) }))
	},
}

package databasetest

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var factorTests = map[string]func(*testing.T, *subject){
	"a factor comes back whole": func(t *testing.T, s *subject) {
		s.person("u1")
		want := store.Factor{
			ID: "f1", UserID: "u1", Kind: store.Passkey, Label: "Laptop", Confirmed: true, Secret: []byte{0, 255, 1},
			CredentialID: []byte{1, 0, 2}, Counter: 1 << 40, Created: Start, LastUsed: after(time.Hour),
		}
		complete(t, want)
		s.update(func(x store.Tx) error { return x.PutFactor(want) })
		same(t, "factors", []store.Factor{want}, read(s, func(x store.Tx) ([]store.Factor, error) { return x.FactorsOf("u1") }))
		same(t, "factor", &want, read(s, func(x store.Tx) (*store.Factor, error) { return x.FactorByCredential([]byte{1, 0, 2}) }))
		missing(s, func(x store.Tx) (*store.Factor, error) { return x.FactorByCredential([]byte{1, 0}) })
		want.Counter, want.Label = 3, ""
		s.update(func(x store.Tx) error { return x.PutFactor(want) })
		same(t, "factors", []store.Factor{want}, read(s, func(x store.Tx) ([]store.Factor, error) { return x.FactorsOf("u1") }))
	},
	"a credential belongs to one factor": func(t *testing.T, s *subject) {
		s.person("u1", "u2")
		passkey := store.Factor{ID: "f1", UserID: "u1", Kind: store.Passkey, CredentialID: []byte{1}}
		s.update(func(x store.Tx) error { return errors.Join(x.PutFactor(passkey), x.PutFactor(passkey)) })
		other := passkey
		other.ID, other.UserID = "f2", "u2"
		s.fails(store.ErrExists, func(x store.Tx) error { return x.PutFactor(other) })
	},
	"factors without a credential do not collide, and none is found by an empty one": func(t *testing.T, s *subject) {
		s.person("u1")
		s.update(func(x store.Tx) error {
			return errors.Join(x.PutFactor(store.Factor{ID: "f1", UserID: "u1", Kind: store.TOTP}),
				x.PutFactor(store.Factor{ID: "f2", UserID: "u1", Kind: store.HOTP, CredentialID: []byte{}}))
		})
		missing(s, func(x store.Tx) (*store.Factor, error) { return x.FactorByCredential(nil) })
		missing(s, func(x store.Tx) (*store.Factor, error) { return x.FactorByCredential([]byte{}) })
	},
	"a factor is deleted for its user alone": func(t *testing.T, s *subject) {
		s.person("u1")
		s.update(func(x store.Tx) error { return x.PutFactor(store.Factor{ID: "f1", UserID: "u1", Kind: store.TOTP}) })
		s.update(func(x store.Tx) error { return x.DeleteFactor("u2", "f1") })
		same(t, "factors", 1, len(read(s, func(x store.Tx) ([]store.Factor, error) { return x.FactorsOf("u1") })))
		s.update(func(x store.Tx) error { return x.DeleteFactor("u1", "f1") })
		same(t, "factors", 0, len(read(s, func(x store.Tx) ([]store.Factor, error) { return x.FactorsOf("u1") })))
	},
	"a factor of no user is refused": func(t *testing.T, s *subject) {
		err := s.store.Update(t.Context(), func(x store.Tx) error { return x.PutFactor(store.Factor{ID: "f1", UserID: "u1"}) })
		if err == nil {
			t.Error("expected an error, seen none")
		}
	},
	"users with a factor are counted once": func(t *testing.T, s *subject) {
		s.person("u1", "u2", "u3")
		s.update(func(x store.Tx) error {
			return errors.Join(
				x.PutUser(&store.User{ID: "gone", Kind: store.Person, Removed: Start}),
				x.PutFactor(store.Factor{ID: "1", UserID: "u1", Kind: store.TOTP, Confirmed: true}),
				x.PutFactor(store.Factor{ID: "2", UserID: "u1", Kind: store.HOTP, Confirmed: true}),
				x.PutFactor(store.Factor{ID: "3", UserID: "u2", Kind: store.TOTP}),
				x.PutFactor(store.Factor{ID: "4", UserID: "u3", Kind: store.Passkey, Confirmed: true, CredentialID: []byte{4}}),
				x.PutFactor(store.Factor{ID: "5", UserID: "gone", Kind: store.TOTP, Confirmed: true}))
		})
		same(t, "with a code", 1, read(s, func(x store.Tx) (int, error) { return x.CountUsersWithFactor(store.TOTP, store.HOTP) }))
		same(t, "with any", 2, read(s, func(x store.Tx) (int, error) {
			return x.CountUsersWithFactor(store.TOTP, store.HOTP, store.Passkey)
		}))
		same(t, "with none", 0, read(s, func(x store.Tx) (int, error) { return x.CountUsersWithFactor() }))
		same(t, "passkeys", 1, read(s, store.Tx.CountPasskeys))
	},
}

var recoveryTests = map[string]func(*testing.T, *subject){
	"a recovery code is taken once, by its user": func(t *testing.T, s *subject) {
		s.person("u1", "u2")
		a, b := store.HashOf("a"), store.HashOf("b")
		s.update(func(x store.Tx) error {
			return errors.Join(x.SetRecoveryCodes("u1", []store.Hash{a, b, a}), x.SetRecoveryCodes("u2", []store.Hash{a}))
		})
		same(t, "codes", 2, read(s, func(x store.Tx) (int, error) { return x.CountRecoveryCodes("u1") }))
		s.fails(store.ErrNotFound, func(x store.Tx) error { return x.TakeRecoveryCode("u2", b) })
		s.update(func(x store.Tx) error { return x.TakeRecoveryCode("u1", a) })
		s.fails(store.ErrNotFound, func(x store.Tx) error { return x.TakeRecoveryCode("u1", a) })
		same(t, "codes", 1, read(s, func(x store.Tx) (int, error) { return x.CountRecoveryCodes("u1") }))
		same(t, "codes of the other", 1, read(s, func(x store.Tx) (int, error) { return x.CountRecoveryCodes("u2") }))
	},
	"new codes replace the old ones": func(t *testing.T, s *subject) {
		s.person("u1")
		s.update(func(x store.Tx) error { return x.SetRecoveryCodes("u1", []store.Hash{store.HashOf("a")}) })
		s.update(func(x store.Tx) error { return x.SetRecoveryCodes("u1", []store.Hash{store.HashOf("b")}) })
		s.fails(store.ErrNotFound, func(x store.Tx) error { return x.TakeRecoveryCode("u1", store.HashOf("a")) })
		s.update(func(x store.Tx) error { return x.SetRecoveryCodes("u1", nil) })
		same(t, "codes", 0, read(s, func(x store.Tx) (int, error) { return x.CountRecoveryCodes("u1") }))
	},
}

var counterTests = map[string]func(*testing.T, *subject){
	"a counter comes back whole": func(t *testing.T, s *subject) {
		want := store.Counter{Key: "password/u1", Failures: 3, Total: 13, Locks: 1, Until: after(time.Minute), Updated: Start, Expires: after(time.Hour)}
		complete(t, want)
		s.update(func(x store.Tx) error { return x.PutCounter(want) })
		same(t, "counter", want, read(s, func(x store.Tx) (store.Counter, error) { return x.Counter("password/u1") }))
		want.Failures, want.Until = 0, time.Time{}
		s.update(func(x store.Tx) error { return x.PutCounter(want) })
		same(t, "counter", want, read(s, func(x store.Tx) (store.Counter, error) { return x.Counter("password/u1") }))
	},
	"a counter that does not exist is zero": func(t *testing.T, s *subject) {
		same(t, "counter", store.Counter{Key: "a"}, read(s, func(x store.Tx) (store.Counter, error) { return x.Counter("a") }))
	},
	"counters are deleted by what their key begins with": func(t *testing.T, s *subject) {
		keys := []string{"u1/", "u1/code", "u1/ü", "u1/\U0010FFFD", "u10/code", "u1", "U1/code"}
		s.update(func(x store.Tx) (err error) {
			for _, key := range keys {
				err = errors.Join(err, x.PutCounter(store.Counter{Key: key, Failures: 1}))
			}
			return err
		})
		s.update(func(x store.Tx) error { return x.DeleteCounters("u1/") })
		for i, key := range keys {
			same(t, key, i >= 4, read(s, func(x store.Tx) (store.Counter, error) { return x.Counter(key) }).Failures == 1)
		}
	},
}

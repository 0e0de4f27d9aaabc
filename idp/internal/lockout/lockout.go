package lockout

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// prefixOf returns the prefix of the keys of an account's counters.
func prefixOf(userID string) string { return "account/" + userID + "/" }

func codesKey(userID string) string { return prefixOf(userID) + "codes" }

func mailKey(userID string) string { return prefixOf(userID) + "mail" }

// key returns the key of the counter of an attempt.
func (a *Attempt) key() string {
	name := "signin"
	if a.Kind == Recovery {
		name = "recovery"
	}
	if a.Device != "" {
		return prefixOf(a.UserID) + "device/" + a.Device + "/" + name
	}
	return prefixOf(a.UserID) + name
}

// blockKey returns the key of the counter of the address block, or "" if it is not
// counted. Known devices are not counted, and neither are loopback addresses: they belong
// to a proxy that is not trusted to report client addresses, so all users share them.
func (a *Attempt) blockKey() string {
	if a.Device != "" || !a.Address.IsValid() || a.Address.Unmap().IsLoopback() {
		return ""
	}
	return "block/" + passwords.Block(a.Address).String()
}

// Allows reports whether an attempt may succeed at this time.
func Allows(tx store.Counters, a Attempt, now time.Time) (bool, error) {
	var keys []string
	if key := a.blockKey(); key != "" {
		keys = append(keys, key)
	}
	if a.UserID != "" {
		keys = append(keys, a.key())
	}
	for _, key := range keys {
		c, err := tx.Counter(key)
		if err != nil || isLocked(c, now) {
			return false, err
		}
	}
	if a.UserID == "" || a.Kind != Code {
		return true, nil
	}
	codes, err := tx.Counter(codesKey(a.UserID))
	return err == nil && codes.Total < maxCodes, err
}

// Failed counts a wrong attempt. It reports whether the attempt has locked the account
// or, for a known device, the account for this device.
func Failed(tx store.Counters, a Attempt, now time.Time) (locked bool, err error) {
	if key := a.blockKey(); key != "" {
		c, err := tx.Counter(key)
		if err != nil {
			return false, err
		}
		if err := tx.PutCounter(countBlock(c, now)); err != nil {
			return false, err
		}
	}
	if a.UserID == "" {
		return false, nil
	}
	c, err := tx.Counter(a.key())
	if err != nil {
		return false, err
	}
	c, locked = count(c, a.Rule, authenticator.MaxWait, now)
	if a.Device != "" {
		c.Expires = now.Add(deviceLasts)
	}
	if err := tx.PutCounter(c); err != nil {
		return false, err
	}
	if a.Kind != Code {
		return locked, nil
	}
	lockedCodes, err := failedCode(tx, a.UserID, now)
	return locked || lockedCodes, err
}

func failedCode(tx store.Counters, userID string, now time.Time) (locked bool, err error) {
	c, err := tx.Counter(codesKey(userID))
	if err != nil {
		return false, err
	}
	c.Total++
	c.Updated = now
	return c.Total == maxCodes, tx.PutCounter(c)
}

// Completed resets the counters of an account after a complete sign-in: those of the
// device, or of all unknown browsers. Locked codes stay locked, unless the user has
// recently reset the password by mail; see MailProven.
func Completed(tx store.Counters, a Attempt, now time.Time) error {
	for _, kind := range []Kind{Password, Recovery} {
		a.Kind = kind
		if err := reset(tx, a.key()); err != nil {
			return err
		}
	}
	codes, err := tx.Counter(codesKey(a.UserID))
	if err != nil || codes.Total == 0 {
		return err
	}
	if codes.Total >= maxCodes {
		proven, err := tx.Counter(mailKey(a.UserID))
		if err != nil || !now.Before(proven.Expires) {
			return err
		}
	}
	return UnlockCodes(tx, a.UserID)
}

func reset(tx store.Counters, key string) error {
	c, err := tx.Counter(key)
	if err != nil || c.Total == 0 {
		return err
	}
	return tx.PutCounter(store.Counter{Key: key, Expires: c.Expires})
}

// Unlock deletes all counters of an account, for an operator who unlocks it.
func Unlock(tx store.Counters, userID string) error { return tx.DeleteCounters(prefixOf(userID)) }

// UnlockCodes resets the count of wrong codes, so codes are accepted again.
func UnlockCodes(tx store.Counters, userID string) error {
	if err := tx.PutCounter(store.Counter{Key: mailKey(userID)}); err != nil {
		return err
	}
	return tx.PutCounter(store.Counter{Key: codesKey(userID)})
}

// MailProven records that a user has reset the password by mail. A complete sign-in with
// another factor within a day then unlocks codes.
func MailProven(tx store.Counters, userID string, now time.Time) error {
	return tx.PutCounter(store.Counter{Key: mailKey(userID), Updated: now, Expires: now.Add(mailProvenFor)})
}

// Status describes which locks an account has.
type Status struct {
	Until time.Time // end of the lock for unknown browsers; zero if not locked
	Codes bool      // codes are locked
}

// StatusOf returns the locks of an account.
func StatusOf(tx store.Counters, userID string, now time.Time) (s Status, err error) {
	a := Attempt{UserID: userID, Kind: Password}
	c, err := tx.Counter(a.key())
	if err != nil {
		return s, err
	}
	if isLocked(c, now) {
		s.Until = c.Until
	}
	codes, err := tx.Counter(codesKey(userID))
	s.Codes = codes.Total >= maxCodes
	return s, err
}

// Use counts a use of something that is limited to so many uses within a window of time,
// and reports whether it is allowed. Refused uses are not counted.
func Use(tx store.Counters, key string, limit int, window time.Duration, now time.Time) (bool, error) {
	c, err := tx.Counter("use/" + key)
	if err != nil {
		return false, err
	}
	c, ok := countWindow(c, limit, window, now)
	if !ok {
		return false, nil
	}
	return true, tx.PutCounter(c)
}

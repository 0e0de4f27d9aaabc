package lockout

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// harness has a database and a clock that tests move.
type harness struct {
	t   *testing.T
	db  store.Store
	now time.Time
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	return &harness{t: t, db: databasetest.New(t), now: start}
}

func (h *harness) update(f func(store.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

// guess makes a wrong attempt. It reports whether the attempt was judged and whether it
// caused a lock.
func (h *harness) guess(a Attempt) (judged, locked bool) {
	h.t.Helper()
	h.update(func(tx store.Tx) (err error) {
		judged, locked = false, false
		if judged, err = Allows(tx, a, h.now); err != nil || !judged {
			return err
		}
		locked, err = Failed(tx, a, h.now)
		return err
	})
	return judged, locked
}

func (h *harness) wantAllowed(what string, a Attempt, want bool) {
	h.t.Helper()
	h.update(func(tx store.Tx) error {
		ok, err := Allows(tx, a, h.now)
		if ok != want {
			h.t.Errorf("%s: expected allowed=%t, seen %t", what, want, ok)
		}
		return err
	})
}

var rule = authenticator.Lockout{Attempts: 5, Duration: 15 * time.Minute}

func of(userID string, kind Kind) Attempt {
	return Attempt{UserID: userID, Rule: rule, Kind: kind, Address: netip.MustParseAddr("192.0.2.1")}
}

// fail makes wrong attempts until the account is locked, and returns their number.
func (h *harness) fail(kinds ...Kind) (guesses int) {
	h.t.Helper()
	for guesses < 1000 {
		guesses++
		if _, locked := h.guess(of("anna", kinds[guesses%len(kinds)])); locked {
			return guesses
		}
	}
	h.t.Fatal("expected a lock, seen none")
	return 0
}

func TestPasswordsAndCodesAreCountedTogether(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if guesses := h.fail(Password, Code); guesses != 5 {
		t.Errorf("expected a lock at the fifth, seen it at the %dth", guesses)
	}
	h.wantAllowed("a password", of("anna", Password), false)
	h.wantAllowed("a code", of("anna", Code), false)
	h.wantAllowed("a recovery code", of("anna", Recovery), true)
	h.wantAllowed("another user", of("otto", Password), true)
}

func TestTimeUnlocksAndEachLockIsTwiceAsLong(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, lasts := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour, 24 * time.Hour} {
		if guesses := h.fail(Password); guesses != 5 {
			t.Errorf("before a lock of %s: expected five attempts, seen %d", lasts, guesses)
		}
		locked := h.now
		h.now = locked.Add(lasts - time.Millisecond)
		h.wantAllowed(fmt.Sprintf("a moment before %s", lasts), of("anna", Password), false)
		h.now = locked.Add(lasts)
		h.wantAllowed(fmt.Sprintf("after %s", lasts), of("anna", Password), true)
	}
}

func TestOnlyACompleteSignInResets(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for range 4 {
		h.guess(of("anna", Password))
	}
	h.update(func(tx store.Tx) error { return Completed(tx, of("anna", Code), h.now) })
	if guesses := h.fail(Password); guesses != 5 {
		t.Errorf("after a sign-in: expected five attempts, seen %d", guesses)
	}
	h.now = h.now.Add(15 * time.Minute)
	h.update(func(tx store.Tx) error { return Completed(tx, of("anna", Password), h.now) })
	locked := h.now
	h.fail(Password)
	h.now = locked.Add(15 * time.Minute)
	h.wantAllowed("after a sign-in, the lock is a first one", of("anna", Password), true)
}

func TestADeviceHasCountersOfItsOwn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	phone := of("anna", Password)
	phone.Device = "phone"
	h.fail(Password)
	h.wantAllowed("strangers", of("anna", Password), false)
	h.wantAllowed("the phone", phone, true)
	for range 5 {
		h.guess(phone)
	}
	h.wantAllowed("the phone after five", phone, false)
	laptop := phone
	laptop.Device = "laptop"
	h.wantAllowed("the laptop", laptop, true)
	h.update(func(tx store.Tx) error { return Completed(tx, laptop, h.now) })
	h.wantAllowed("strangers after a sign-in of the laptop", of("anna", Password), false)
}

func TestThirtyWrongCodesLockAllCodes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	phone := of("anna", Code)
	phone.Device = "phone"
	judged := 0
	for range 1000 {
		if ok, _ := h.guess(of("anna", Code)); ok {
			judged++
		}
		h.now = h.now.Add(time.Hour)
	}
	if judged != 30 {
		t.Errorf("expected 30 codes to be judged, seen %d", judged)
	}
	h.now = h.now.Add(365 * 24 * time.Hour)
	h.wantAllowed("a code after a year", of("anna", Code), false)
	h.wantAllowed("a code of a device", phone, false)
	h.wantAllowed("a password", of("anna", Password), true)
	h.wantAllowed("a recovery code", of("anna", Recovery), true)
	h.update(func(tx store.Tx) error { return Completed(tx, of("anna", Password), h.now) })
	h.wantAllowed("a code after a sign-in with a passkey", of("anna", Code), false)
	h.update(func(tx store.Tx) error { return MailProven(tx, "anna", h.now) })
	h.wantAllowed("a code after a reset by mail", of("anna", Code), false)
	h.now = h.now.Add(24 * time.Hour)
	h.update(func(tx store.Tx) error { return Completed(tx, of("anna", Recovery), h.now) })
	h.wantAllowed("a code after a sign-in a day later", of("anna", Code), false)
	h.update(func(tx store.Tx) error { return MailProven(tx, "anna", h.now) })
	h.now = h.now.Add(24*time.Hour - time.Millisecond)
	h.update(func(tx store.Tx) error { return Completed(tx, of("anna", Recovery), h.now) })
	h.wantAllowed("a code after a recovery", of("anna", Code), true)
}

func TestASignInForgetsWrongCodes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for range 29 {
		h.guess(of("anna", Code))
		h.now = h.now.Add(24 * time.Hour)
	}
	h.update(func(tx store.Tx) error { return Completed(tx, of("anna", Code), h.now) })
	h.guess(of("anna", Code))
	h.wantAllowed("the 31st with a sign-in between", of("anna", Code), true)
}

func TestAnOperatorUnlocks(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	phone := of("anna", Recovery)
	phone.Device = "phone"
	for range 40 {
		h.guess(of("anna", Code))
		h.guess(of("anna", Recovery))
		h.guess(phone)
		h.now = h.now.Add(24 * time.Hour)
	}
	h.fail(Password)
	h.fail(Recovery)
	status := func() (s Status) {
		h.update(func(tx store.Tx) (err error) { s, err = StatusOf(tx, "anna", h.now); return err })
		return s
	}
	if s := status(); !s.Codes || !s.Until.After(h.now) {
		t.Errorf("expected all to be locked, seen %+v", s)
	}
	h.update(func(tx store.Tx) error { return Unlock(tx, "anna") })
	if s := status(); s != (Status{}) {
		t.Errorf("expected nothing to be locked, seen %+v", s)
	}
	for _, kind := range []Kind{Password, Code, Recovery} {
		h.wantAllowed(string(kind), of("anna", kind), true)
	}
	h.wantAllowed("the device", phone, true)
}

func TestAddressBlocksAreSlowedDown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		addresses func(i int) string
		other     string
	}{
		"IPv4": {func(i int) string { return fmt.Sprintf("192.0.2.%d", i%256) }, "192.0.3.1"},
		"IPv6": {func(i int) string { return fmt.Sprintf("2001:db8:0:1:%x::1", i) }, "2001:db8:0:2::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			for i := range 100 {
				a := Attempt{Kind: Password, Address: netip.MustParseAddr(test.addresses(i))} // for users who do not exist
				if judged, _ := h.guess(a); !judged {
					t.Fatalf("expected 100 attempts, seen %d", i)
				}
			}
			stranger := of("anna", Password)
			stranger.Address = netip.MustParseAddr(test.addresses(1))
			h.wantAllowed("the block", stranger, false)
			known := stranger
			known.Device = "phone"
			h.wantAllowed("a device in the block", known, true)
			elsewhere := stranger
			elsewhere.Address = netip.MustParseAddr(test.other)
			h.wantAllowed("another block", elsewhere, true)
			h.now = h.now.Add(time.Minute)
			h.wantAllowed("the block after a minute", stranger, true)
		})
	}
}

func TestLoopbackIsNoBlock(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, address := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
		a := Attempt{Kind: Password, Address: netip.MustParseAddr(address)}
		for range 150 {
			h.guess(a)
		}
		h.wantAllowed(address, a, true)
	}
}

func TestParallelGuessesAreCountedExactly(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	a := of("anna", Password)
	a.Address = netip.Addr{}
	var wait sync.WaitGroup
	var judged, locked atomic.Int64
	for range 200 {
		wait.Go(func() {
			err := h.db.Update(t.Context(), func(tx store.Tx) error {
				ok, err := Allows(tx, a, h.now)
				if err != nil || !ok {
					return err
				}
				judged.Add(1)
				lock, err := Failed(tx, a, h.now)
				if lock {
					locked.Add(1)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if judged.Load() != 5 {
		t.Errorf("expected five guesses to be judged, seen %d", judged.Load())
	}
	if locked.Load() != 1 {
		t.Errorf("expected one lock, seen %d", locked.Load())
	}
	h.update(func(tx store.Tx) error {
		c, err := tx.Counter(a.key())
		if c.Total != 5 {
			t.Errorf("expected five failures, seen %d", c.Total)
		}
		return err
	})
}

func TestUsesAreLimited(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	use := func() (ok bool) {
		h.update(func(tx store.Tx) (err error) { ok, err = Use(tx, "mail/anna", 3, time.Hour, h.now); return err })
		return ok
	}
	for i := range 3 {
		if !use() {
			t.Errorf("use %d: expected it to be allowed, seen that it is not", i)
		}
	}
	if use() {
		t.Error("the fourth: expected it to be refused, seen that it is allowed")
	}
	h.now = h.now.Add(time.Hour)
	if !use() {
		t.Error("after an hour: expected it to be allowed, seen that it is not")
	}
}

// An attacker who guesses all the time gets few guesses, even without the limits by
// address.
func TestGuessesInAMonth(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	a := of("anna", Password)
	a.Rule = authenticator.Lockout{Attempts: 10, Duration: 15 * time.Minute} // the default
	a.Address = netip.Addr{}
	judged := 0
	for end := h.now.Add(30 * 24 * time.Hour); h.now.Before(end); h.now = h.now.Add(15 * time.Minute) {
		for ok := true; ok; {
			if ok, _ = h.guess(a); ok {
				judged++
			}
		}
	}
	if judged < 300 || judged > 400 {
		t.Errorf("expected 300 to 400 guesses, seen %d", judged)
	}
}

package signin

import (
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// varying matches what differs between any two pages.
var varying = regexp.MustCompile(`[A-Z2-7]{26}|name="csrf" value="[^"]*"|u-[a-z]+`)

// seen returns everything that a browser sees of a response.
func (b *browser) seen(name string) string {
	var lines []string
	for key, values := range b.header {
		lines = append(lines, fmt.Sprint(key, len(values), values))
	}
	slices.Sort(lines)
	text := fmt.Sprint(b.status, "\n", strings.Join(lines, "\n"), "\n", b.body)
	return varying.ReplaceAllString(strings.ReplaceAll(text, name, "NAME"), "…")
}

// All names lead to the same pages: unknown names, users who are locked, removed, external
// or without a password for another reason, and a known name with a wrong password.
func TestNoPageShowsWhetherANameExists(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("u-known", "correct horse")
	h.changeUser(h.addUser("u-locked", "correct horse"), func(u *store.User) { u.Locked = true })
	h.changeUser(h.addUser("u-removed", "correct horse"), func(u *store.User) { u.Removed = noon })
	h.changeUser(h.addUser("u-program", "correct horse"), func(u *store.User) { u.Kind = store.Application })
	h.addUser("u-external", "")
	guessed := h.addUser("u-guessed", "correct horse")
	h.update(func(tx store.Tx) error {
		return tx.PutCounter(store.Counter{Key: guessed.ID + "/password/", Failures: 3})
	})
	names := []string{"u-unknown", "u-known", "u-locked", "u-removed", "u-program", "u-external", "u-guessed"}
	var first []string
	for _, name := range names {
		b := h.browser()
		b.begin(request.Request{}).submit("username", name)
		steps := []string{b.seen(name)}
		for _, password := range []string{"wrong", "correct horse", ""} {
			if name == "u-known" && password == "correct horse" {
				password = "wrong as well"
			}
			before := h.now()
			hashes := h.hashes.Load()
			b.submit("password", password)
			steps = append(steps, b.seen(name))
			if took := h.now().Sub(before); took%slot != 0 || took == 0 {
				t.Errorf("%s: expected the answer at a slot, seen after %v", name, took)
			}
			if made := h.hashes.Load() - hashes; made != 1 {
				t.Errorf("%s: expected one hash, seen %d", name, made)
			}
		}
		if first == nil {
			first = steps
			continue
		}
		for i, step := range steps {
			if step != first[i] {
				t.Errorf("step %d of %s: expected the same as for an unknown name:\n%s\nseen:\n%s", i, name, first[i], step)
			}
		}
	}
}

func TestTheCodeFieldShowsNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	const known, withCode = 40, 10
	for i := range known {
		u := h.addUser(fmt.Sprintf("known%d", i), "correct horse")
		if i < withCode {
			h.addToken(u)
		}
	}
	shows := func(name string) bool {
		b := h.browser()
		b.begin(request.Request{}).submit("username", name).expect(onPassword)
		return strings.Contains(b.body, onCode)
	}
	with, stays := 0, 0
	const unknown = 200
	for i := range unknown {
		name := fmt.Sprintf("unknown%d", i)
		shown := shows(name)
		if shown {
			with++
		}
		if i < 20 && shown == shows(strings.ToUpper(name)) {
			stays++
		}
	}
	// Of 200 names with a probability of a quarter each, 50 are expected, with a
	// standard deviation of 6.1. The bound is five of them.
	if math.Abs(float64(with-unknown*withCode/known)) > 5*6.1 {
		t.Errorf("expected about %d of %d unknown names to have the field, seen %d", unknown*withCode/known, unknown, with)
	}
	if stays != 20 {
		t.Errorf("expected a name to have the field always or never, seen %d of 20", stays)
	}
	h.share = true
	for _, name := range []string{"unknown1", "unknown2", "unknown3", "known0", "known39"} {
		if !shows(name) {
			t.Errorf("%s: expected the field where everyone uses a second factor", name)
		}
	}
}

// The page says either for all names or for none that two codes synchronize a token.
func TestThePasswordPageSaysHowTokensAreSynchronized(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.share = true
	u := h.addUser("ada", "correct horse")
	page := func(name string) *browser {
		b := h.browser()
		return b.begin(request.Request{}).submit("username", name).expect(onCode)
	}
	page("ada").lacks("Enter two in a row")
	h.addToken(u)
	h.pass(shareLasts)
	for _, name := range []string{"ada", "unknown"} {
		b := page(name).expect("Enter two in a row")
		b.get(b.path + "/resync").expect("First code").expect("Next code")
	}
}

// A name that a share includes is also in every larger share.
func TestASharesNamesGrowWithIt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	v := &visit{SignIn: h.SignIn}
	like := func(share share, name string) (code, passkey bool) {
		v.shares.share, v.shares.counted = share, h.now()
		h.update(func(tx store.Tx) (err error) {
			if code, err = v.isLikeCode(t.Context(), tx, name); err == nil {
				passkey, err = v.isLikePasskey(t.Context(), tx, name)
			}
			return err
		})
		return code, passkey
	}
	for _, name := range []string{"ada", "bob", "carol", "dora", "erin", "frank"} {
		before := 0
		for i := range 11 {
			at := float64(i) / 10
			code, _ := like(share{codes: at}, name)
			_, passkey := like(share{passkeys: at}, name)
			now := 0
			for _, is := range []bool{code, passkey} {
				if is {
					now++
				}
			}
			if now < before || i == 0 && now != 0 || i == 10 && now != 2 {
				t.Errorf("%s at %v: expected no fewer than before, seen %d after %d", name, at, now, before)
			}
			before = now
		}
		if code, passkey := like(share{codes: 0.5, passkeys: 0.5}, name); code == passkey {
			t.Errorf("%s: expected one of two halves, seen %v and %v", name, code, passkey)
		}
	}
}

func TestUntilSlot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ elapsed, want time.Duration }{
		{0, slot}, {-time.Second, slot}, {time.Millisecond, slot - time.Millisecond}, {slot - 1, 1}, {slot, slot}, {slot + 1, slot - 1}, {10*slot + 72*time.Millisecond, slot - 72*time.Millisecond},
	} {
		if got := untilSlot(test.elapsed); got != test.want {
			t.Errorf("after %v: expected %v, seen %v", test.elapsed, test.want, got)
		}
	}
}

// A page of ours leads the browser on after the last form, because the policy of the form
// allows no other site.
func TestABrowserLeavesByAPage(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("ada", "correct horse")
	b := h.browser()
	b.begin(request.Request{}).submit("username", "ada").expect(onPassword)
	form := map[string][]string{"password": {"correct horse"}, fieldToken: {hidden.FindStringSubmatch(b.body)[1]}}
	page := strings.TrimSuffix(b.path, "/password")
	b.do(http.MethodPost, page+"/password", form, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	})
	b.expect("One moment").expect(page)
	if policy := b.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self'") {
		t.Errorf("expected form-action 'self', seen %s", policy)
	}
	b.get(page).expect("finished wiki as ada")
}

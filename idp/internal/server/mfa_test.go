package server

import (
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var (
	mailedCode = regexp.MustCompile(`(?m)^[0-9]{8}$`)
	seedShown  = regexp.MustCompile(`<code class="secret">([^<]+)</code>`)
)

// A password alone is not enough to enrol the first factor. It also needs a mailed code.
func TestTheFirstFactorNeedsTheMailbox(t *testing.T) {
	t.Parallel()
	box := newMailbox()
	n := newNode(t, func(o *Options) {
		o.MailSender = box
		strict := authenticator.New(authenticator.Default)
		strict.MFA = authenticator.Required
		strict.Factors = []store.FactorKind{store.TOTP}
		o.Authenticators = authenticator.Set{authenticator.Default: strict}
	})
	if _, err := n.Accounts.Create(t.Context(), accounts.NewUser{Name: "ada", Email: "ada@example.com", EmailVerified: true, Password: password}); err != nil {
		t.Fatal(err)
	}
	b := n.browser()
	b.signIn("ada").expect("Check your e-mail").expect("a…@example.com")
	message := box.next(t)
	if message.To != "ada@example.com" {
		t.Errorf("expected a mail to ada@example.com, seen %s", message.To)
	}
	b.submit("code", "00000000").expect("not right, or no longer valid")
	b.submit("code", mailedCode.FindString(message.Body)).expect("Set up an authenticator app")
	seed := strings.ReplaceAll(seedShown.FindStringSubmatch(b.body)[1], " ", "")
	code := func() string {
		code, err := totp.GenerateCode(seed, n.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	b.submit("code", code(), "label", "phone").expect("Your recovery codes")
	claims := b.submit().claims()
	if got := claims["acr"]; got != "urn:oidc-idp:mfa" {
		t.Errorf("expected acr urn:oidc-idp:mfa, seen %v", got)
	}
	if got := box.next(t); !strings.Contains(got.Body, "phone") {
		t.Errorf("expected a notice of the factor, seen %s", got.Body)
	}

	t.Run("from then on the code comes with the password", func(t *testing.T) {
		n.clock.pass(time.Minute)
		other := n.browser()
		other.authorize().submit("username", "ada@example.com").expect(`name="code"`)
		other.submit("password", password, "code", "000000").expect("That did not work")
		other.submit("password", password, "code", code()).claims()
	})
	t.Run("no more than three mails an hour are sent", func(t *testing.T) {
		if _, err := n.Accounts.ResetFactors(t.Context(), claims["sub"].(string)); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			n.browser().signIn("ada").expect("Check your e-mail")
		}
		for range 2 {
			box.next(t)
		}
		select {
		case <-box.came:
			t.Error("expected two more mails, seen three")
		case <-time.After(500 * time.Millisecond):
		}
	})
}

// All nodes share the counter of wrong passwords. A browser that has signed in before has
// its own counter.
func TestALockHoldsOnAllNodes(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("ada")
	nodes := []*node{n}
	for range 2 {
		other := *n
		other.open()
		defer other.Close()
		nodes = append(nodes, &other)
	}
	known := n.browser()
	known.signIn("ada").answer()
	delete(known.cookies, "__Host-oidc_idp_session")

	browsers := make([]*browser, len(nodes))
	for i, node := range nodes {
		browsers[i] = node.browser()
		browsers[i].authorize().submit("username", "ada").expect(`name="password"`)
	}
	var wait sync.WaitGroup
	for _, b := range browsers {
		wait.Go(func() {
			for range 4 {
				b.submit("password", "a wrong password").expect("That did not work")
			}
		})
	}
	wait.Wait()
	for _, b := range browsers {
		b.submit("password", password).expect("That did not work")
	}
	if got := strings.Count(n.log.String(), `"event":"locked"`); got != 1 {
		t.Errorf("expected one lock, seen %d", got)
	}
	known.signIn("ada").answer()

	n.clock.pass(15*time.Minute + time.Second)
	browsers[1].signIn("ada").answer()
}

// Many wrong codes lock the codes of an account, even for someone who has the password.
func TestWrongCodesLockTheSecondFactor(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(o *Options) {
		// Each request has another address, so that no address is locked.
		count := 0
		var mu sync.Mutex
		o.Address = func(*http.Request) netip.Addr {
			mu.Lock()
			defer mu.Unlock()
			count++
			return netip.AddrFrom4([4]byte{10, byte(count >> 8), byte(count), 1})
		}
	})
	user := n.addUser("ada")
	const first = "755224" // of the seed in RFC 4226, appendix D
	err := n.Store.Update(t.Context(), func(tx store.Tx) error {
		_, err := n.Factors.HOTP.Add(t.Context(), tx, user.ID, factors.Setup{Seed: "3132333435363738393031323334353637383930"}, "token")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b := n.browser()
	b.authorize().submit("username", "ada").expect(`name="code"`)
	for range 30 {
		b.submit("password", password, "code", "000000").expect("That did not work")
		n.clock.pass(25 * time.Hour) // longer than any lock
		b.authorize().submit("username", "ada")
	}
	b.submit("password", password, "code", first).expect("That did not work")
	if _, err := n.Accounts.Unlock(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	b.authorize().submit("username", "ada").submit("password", password, "code", first).claims()
}

// An address is locked after the same number of guesses, whether they are for an account,
// which is locked much earlier, or for an unknown name.
func TestAnAddressIsLockedWhoeverIsGuessed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ada", "unknown"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.addUser("ada")
			n.addUser("bob")
			b, own := n.browser(), n.browser()
			b.authorize().submit("username", name)
			for range 99 {
				b.submit("password", "a wrong password").expect("That did not work")
			}
			own.signIn("bob").answer()
			own = n.browser()
			b.submit("password", "a wrong password").expect("That did not work")
			own.signIn("bob").expect("That did not work")
		})
	}
}

package server

import (
	"encoding/base32"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var recoveryShown = regexp.MustCompile(`<code>([^<]+)</code>`)

// secrets are values that must be neither in the database nor in the log, by description.
type secrets map[string]string

// addCookies adds the secrets in a browser's cookies.
func (s secrets) addCookies(b *browser) {
	for name, c := range b.cookies {
		for _, part := range strings.Split(c.Value, ".") {
			if len(part) >= 20 && !strings.HasPrefix(part, "aHR0c") { // not a secret: the address of the application
				s["the cookie "+name] = part
			}
		}
	}
}

func (s secrets) check(t *testing.T, n *node, when string) {
	t.Helper()
	places := map[string]string{"the database": databasetest.Dump(t, n.Store), "the log": n.log.String()}
	for where, text := range places {
		for name, secret := range s {
			if secret == "" {
				t.Errorf("%s: expected %s, seen none", when, name)
				continue
			}
			if strings.Contains(text, secret) {
				t.Errorf("%s: %s has %s in the clear", when, where, name)
			}
		}
	}
}

// TestACopyOfTheDatabaseSignsNoUserIn creates secrets of all kinds. None of them is in the
// database or in the debug log.
func TestACopyOfTheDatabaseSignsNoUserIn(t *testing.T) {
	t.Parallel()
	box := newMailbox()
	n := newNode(t, func(o *Options) {
		o.MailSender, o.Invites = box, true
		strict := authenticator.New(authenticator.Default)
		strict.MFA, strict.Session.RememberDevice = authenticator.Required, 30*24*time.Hour
		strict.Factors = []store.FactorKind{store.TOTP}
		o.Authenticators = authenticator.Set{authenticator.Default: strict}
	})
	ada, err := n.Accounts.Create(t.Context(), accounts.NewUser{Name: "ada", Email: "ada@example.com", EmailVerified: true, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	s := secrets{"the password": password, "the client's secret": "wiki-secret-wiki-secret", "the PKCE verifier": verifier}

	b := n.browser()
	b.authorize("scope", "openid offline_access", "prompt", "consent").submit("username", "ada").submit("password", "a wrong secret password").submit("password", password)
	s["a wrong password"] = "a wrong secret password"
	s["the mailed code"] = mailedCode.FindString(box.next(t).Body)
	s.addCookies(b)
	s.check(t, n, "while a code is mailed")
	b.submit("code", s["the mailed code"]).expect("Set up an authenticator app")
	seed := strings.ReplaceAll(seedShown.FindStringSubmatch(b.body)[1], " ", "")
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed)
	if err != nil {
		t.Fatal(err)
	}
	s["the seed"], s["the bytes of the seed"] = seed, string(raw)
	s.check(t, n, "while the seed is shown")
	code, err := totp.GenerateCode(seed, n.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	b.submit("code", code, "label", "phone").expect("Your recovery codes")
	codes := recoveryShown.FindAllStringSubmatch(b.body, -1)
	if len(codes) < 10 {
		t.Fatalf("expected ten recovery codes, seen %d in %.3000s", len(codes), b.body)
	}
	for _, shown := range codes {
		plain := html.UnescapeString(shown[1])
		s["the recovery code "+plain] = plain
		s["the recovery code "+plain+" as it is read"] = strings.NewReplacer("-", "", " ", "").Replace(plain)
	}
	b.submit()
	s["the authorization code"] = b.answer().Get("code")
	tokens := b.tokens()
	s["the access token"], s["the refresh token"], s["the ID token"] = tokens.Access, tokens.Refresh, tokens.ID
	s.addCookies(b)
	box.next(t) // the notice about the factor
	s.check(t, n, "after a sign-in")

	n.browser().get("/reset").submit("username", "ada")
	_, s["the code of a reset"] = linkIn(t, box.next(t))
	invite, err := n.Accounts.NewInvite(t.Context(), "bob@example.net", accounts.Invite{})
	if err != nil {
		t.Fatal(err)
	}
	enrol, err := n.Accounts.NewLink(t.Context(), accounts.LinkEnrol, ada.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	s["the code of an invitation"], s["the code of an enrolment"] = invite.Code(), enrol.Code()
	for _, name := range []string{"the code of a reset", "the code of an invitation", "the code of an enrolment"} {
		s[name+" as it is read"] = strings.ReplaceAll(s[name], "-", "")
	}
	n.browser().get("/invite").send("/invite", "linkcode", invite.Code()).expect("bob@example.net")
	robot, err := n.Accounts.Create(t.Context(), accounts.NewUser{Name: "robot", Kind: store.Application})
	if err != nil {
		t.Fatal(err)
	}
	if _, s["the access key"], err = n.Accounts.AddKey(t.Context(), robot.ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	n.clock.pass(time.Minute)
	other := n.browser()
	recovery := html.UnescapeString(codes[0][1])
	other.authorize().submit("username", "ada")
	other.get(strings.TrimSuffix(other.path, "/password")+"/recovery").submit("password", password, "recovery", recovery, "remember", "on")
	if other.status != http.StatusOK {
		t.Errorf("expected a page after the recovery code, seen %d", other.status)
	}
	s.addCookies(other)
	s.check(t, n, "at the end")
}

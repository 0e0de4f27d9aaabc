package signin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// answered returns to the sign-in with an answer of an external provider.
func (b *browser) answered(answer *broker.Answer) *browser {
	b.t.Helper()
	id := strings.Split(strings.TrimPrefix(b.path, prefix), "/")[0]
	return b.call(func(w http.ResponseWriter, r *http.Request) { Brokered{b.SignIn}.Continue(w, r, id, answer) })
}

func (b *browser) call(f http.HandlerFunc) *browser {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodGet, issuer+"/external/partners/callback", nil)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	f(w, r)
	return b.took(w, b.path)
}

// says returns an answer of the external provider partners about a user.
func says(u *store.User, at time.Time, acr string) *broker.Answer {
	return &broker.Answer{Outcome: broker.Linked, User: u, Title: "Partners", Assertion: &broker.Assertion{External: "partners", AuthTime: at, ACR: acr}}
}

func TestAnExternalProviderSignsIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := h.addUser("partners/ada", "")
	b := h.browser()
	early := noon.Add(-90 * time.Minute)
	b.begin(request.Request{}).expect(`value="partners"`).lacks(`value="off"`).answered(says(u, early, sso.ACRExternal))
	b.expect("finished wiki as partners/ada acr=external amr=fed auth_time=10:30:00")

	t.Run("its session answers silently, and max_age counts from its time", func(t *testing.T) {
		two, one := 2*time.Hour, time.Hour
		b.begin(request.Request{MaxAge: &two}).expect("acr=external amr=fed auth_time=10:30:00")
		b.begin(request.Request{MaxAge: &one}).expect(onName)
		b.answered(says(u, h.now(), sso.ACRExternal)).expect("acr=external amr=fed auth_time=12:00:0")
	})
	t.Run("two factors there count if they are mapped", func(t *testing.T) {
		other := h.browser()
		stepUp := request.Request{ACRValues: []string{sso.ACRMFA}, ACRRequired: true}
		other.begin(stepUp).answered(says(u, h.now(), sso.ACRMFA)).expect("acr=mfa amr=fed,mfa")
	})
	t.Run("without a time no max_age is content", func(t *testing.T) {
		other := h.browser()
		other.begin(request.Request{}).answered(says(u, time.Time{}, sso.ACRExternal)).expect("finished")
		long := 1000 * time.Hour
		other.begin(request.Request{MaxAge: &long}).expect(onName)
	})
	t.Run("another browser cannot bring the answer", func(t *testing.T) {
		first, second := h.browser(), h.browser()
		first.begin(request.Request{})
		second.path = first.path
		second.answered(says(u, h.now(), sso.ACRExternal)).expect("This page has expired")
	})
}

func TestMFAIsOursUnlessItIsMapped(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{MFA: MFARequired, Factors: allFactors}
	u := h.addUser("partners/ada", "")
	h.browser().begin(request.Request{}).answered(says(u, h.now(), sso.ACRMFA)).expect("acr=mfa amr=fed,mfa")
	h.browser().begin(request.Request{}).answered(says(u, h.now(), sso.ACRExternal)).expect("setting it up needs a link")
	h.addToken(u)
	b := h.browser()
	b.begin(request.Request{}).answered(says(u, h.now(), sso.ACRExternal)).expect(onCode).lacks(onPassword)
	b.submit("code", tokenCodes[0]).expect("acr=mfa amr=otp,fed,mfa")
}

// A brokered session ends when the external provider says, even after a step-up here.
func TestAStepUpDoesNotLengthenABrokeredSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := h.addUser("partners/ada", "")
	h.addToken(u)
	h.policy = Policy{MFA: MFAOff, Factors: allFactors}
	ends := noon.Add(time.Hour)
	answer := says(u, h.now(), sso.ACRExternal)
	answer.Assertion.SessionEnds = ends
	b := h.browser()
	b.begin(request.Request{}).answered(answer).expect("acr=external amr=fed")
	stepUp := request.Request{ACRValues: []string{sso.ACRMFA}, ACRRequired: true}
	b.begin(stepUp).submit("code", tokenCodes[0]).expect("acr=mfa amr=otp,fed,mfa")
	h.update(func(tx store.Tx) error {
		sessions, err := tx.SessionsOf(u.ID)
		if err != nil {
			return err
		}
		for _, s := range sessions {
			if !s.Expires.Equal(ends) {
				t.Errorf("expected the session to end at %v, seen %v", ends, s.Expires)
			}
			if s.External != "partners" {
				t.Errorf("expected a session of partners, seen %q", s.External)
			}
		}
		if len(sessions) != 1 {
			t.Errorf("expected one session, seen %d", len(sessions))
		}
		return nil
	})
	h.pass(61 * time.Minute)
	b.begin(request.Request{}).expect(onName)
}

// A user who signs in after another one in the same browser inherits neither proofs nor the
// external provider of that session.
func TestAnotherUserInheritsNothingOfASession(t *testing.T) {
	t.Parallel()
	stepUp := request.Request{ACRValues: []string{sso.ACRMFA}, ACRRequired: true}
	t.Run("of a factor", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.addToken(h.addUser("ada", "correct horse"))
		bob := h.addUser("bob", "correct horse")
		b := h.browser()
		b.signIn("ada", "correct horse", "code", tokenCodes[0]).expect("finished wiki as ada acr=mfa")
		b.begin(request.Request{Subject: bob.ID}).expect(onName).submit("username", "bob").submit("password", "correct horse")
		b.expect("finished wiki as bob acr=pwd amr=pwd")
		b.begin(stepUp).lacks("finished")
	})
	t.Run("of an external provider", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		answer := says(h.addUser("partners/ada", ""), h.now(), sso.ACRMFA)
		answer.Assertion.SessionEnds = noon.Add(time.Hour)
		bob := h.addUser("bob", "correct horse")
		b := h.browser()
		b.begin(request.Request{}).answered(answer).expect("acr=mfa amr=fed,mfa")
		b.begin(request.Request{Subject: bob.ID}).expect(onName).submit("username", "bob").submit("password", "correct horse")
		b.expect("finished wiki as bob acr=pwd amr=pwd")
		b.begin(stepUp).lacks("finished")
		h.update(func(tx store.Tx) error {
			sessions, err := tx.SessionsOf(bob.ID)
			if err != nil {
				return err
			}
			if len(sessions) != 1 || sessions[0].External != "" {
				t.Errorf("expected a session that is no external provider's, seen %+v", sessions)
			}
			return nil
		})
	})
}

func TestAnUnknownExternalUserIsToldSo(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.browser()
	b.begin(request.Request{}).answered(&broker.Answer{Outcome: broker.Unknown, Title: "Partners", Assertion: &broker.Assertion{External: "partners"}})
	b.expect("You have no account here").expect("/name")
	if b.status != http.StatusForbidden {
		t.Errorf("expected status 403, seen %d", b.status)
	}
}

func TestAnExternalAccountIsLinkedAfterASignIn(t *testing.T) {
	t.Parallel()
	needed := func(u *store.User) *broker.Answer {
		return &broker.Answer{
			Outcome: broker.LinkNeeded, Title: "Partners", Assertion: &broker.Assertion{External: "partners"},
			Pending: &broker.Pending{Email: "ada@partners.example", Identity: store.Identity{External: "partners", Subject: "subject", UserID: u.ID}, Expires: noon.Add(100 * time.Hour)},
		}
	}
	t.Run("with the password and the factor", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		u := h.addUser("ada", "correct horse")
		h.addToken(u)
		b := h.browser()
		b.begin(request.Request{}).answered(needed(u)).expect("You have an account here")
		b.submit("choice", "continue").expect(onName).expect("ada@partners.example")
		b.submit("username", "ada").submit("password", "correct horse").expect("That did not work")
		if len(h.linked) > 0 {
			t.Errorf("expected no link before the sign-in, seen %v", h.linked)
		}
		b.submit("password", "correct horse", "code", tokenCodes[0]).expect("finished wiki as ada")
		if got := strings.Join(h.linked, "; "); got != "subject id-ada" {
			t.Errorf("expected the link, seen %q", got)
		}
	})
	t.Run("a remembered browser is no factor", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.policy = Policy{Factors: allFactors, Remember: 30 * 24 * time.Hour}
		u := h.addUser("ada", "correct horse")
		h.addToken(u)
		b := h.browser()
		b.signIn("ada", "correct horse", "code", tokenCodes[0], "remember", "on").expect("finished wiki as ada acr=mfa")
		h.pass(13 * time.Hour) // the session has expired
		b.begin(request.Request{}).answered(needed(u)).submit("choice", "continue").expect(onName)
		b.submit("username", "ada").submit("password", "correct horse").lacks("finished")
		if len(h.linked) > 0 {
			t.Errorf("expected no link without the factor, seen %v", h.linked)
		}
	})
	t.Run("a session alone does not do", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		u := h.addUser("ada", "correct horse")
		b := h.browser()
		b.signIn("ada", "correct horse").expect("finished")
		b.begin(request.Request{Prompt: []string{"login"}}).answered(needed(u)).submit("choice", "continue").expect(onName)
		if len(h.linked) > 0 {
			t.Errorf("expected no link, seen %v", h.linked)
		}
	})
	t.Run("nor without the user's consent", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		u := h.addUser("ada", "correct horse")
		b := h.browser()
		b.begin(request.Request{}).answered(needed(u)).submit("choice", "cancel").expect(onName)
		b.submit("username", "ada").submit("password", "correct horse").expect("finished")
		if len(h.linked) > 0 {
			t.Errorf("expected no link, seen %v", h.linked)
		}
	})
}

// The end of a sign-in checks again whether an account may be linked, because links are
// permanent.
func TestWhatMayLink(t *testing.T) {
	t.Parallel()
	pending := &broker.Pending{Identity: store.Identity{External: "partners", Subject: "subject"}}
	agreed := State{Link: &Link{Pending: pending, Agreed: true}}
	brokered := agreed
	brokered.External = "others"
	for name, tc := range map[string]struct {
		state  State
		active bool
		want   bool
	}{
		"the user agreed, and signed in here":    {agreed, true, true},
		"nothing to link":                        {State{}, true, false},
		"the user has not agreed":                {State{Link: &Link{Pending: pending}}, true, false},
		"the session alone":                      {agreed, false, false},
		"a sign-in at another external provider": {brokered, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			v := &visit{SignIn: h.SignIn, r: httptest.NewRequest(http.MethodGet, issuer+"/", nil), request: new(request.Request), state: tc.state}
			v.link(facts{user: h.addUser("ada", "correct horse")}, decision{active: tc.active})
			if linked := len(h.linked) > 0; linked != tc.want {
				t.Errorf("expected a link: %v, seen %v", tc.want, h.linked)
			}
		})
	}
}

func TestAnExternalProviderThatFailsLeavesAWayOn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.browser()
	b.begin(request.Request{}).expect(onName)
	id := strings.TrimPrefix(b.path, prefix)
	b.call(func(w http.ResponseWriter, r *http.Request) {
		Brokered{h.SignIn}.Fail(w, r, id, &broker.Failure{Kind: broker.Invalid, Err: errors.New("a secret detail")})
	})
	b.expect("The sign-in did not work").expect(pathOf(id, "name")).lacks("secret detail")
}

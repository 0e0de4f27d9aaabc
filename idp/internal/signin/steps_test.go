package signin

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// before returns a time before the request began.
func before(d time.Duration) time.Time { return noon.Add(-d) }

// during is a time at which the user proves something in the request.
var during = noon.Add(time.Minute)

func ada() *store.User {
	return &store.User{ID: "ada", Kind: store.Person, Password: store.Password{Hash: "a hash"}}
}

// sessionOf returns a session of ada with proofs from before the request.
func sessionOf(age time.Duration, kinds ...string) *store.Session {
	s := &store.Session{UserID: "ada", Proven: make(map[string]time.Time)}
	for _, kind := range kinds {
		s.Proven[kind] = before(age)
	}
	return s
}

func now(kinds ...string) State {
	s := State{UserID: "ada", Name: "ada", Proven: make(proofs)}
	for _, kind := range kinds {
		s.Proven[kind] = during
	}
	return s
}

// later is like now, for a user who has postponed the enrolment.
func later(kinds ...string) State {
	s := now(kinds...)
	s.Enrol.Later = true
	return s
}

func minutes(n int) *time.Duration {
	d := time.Duration(n) * time.Minute
	return &d
}

func TestNext(t *testing.T) {
	t.Parallel()
	type q = request.Request
	essential := q{ACRValues: []string{sso.ACRMFA}, ACRRequired: true}
	voluntary := q{ACRValues: []string{sso.ACRMFA, sso.ACRPassword}}
	alone := q{ACRValues: []string{sso.ACRMFA}}
	mustEnrol := ada()
	mustEnrol.MustEnrol = true
	brokered := ada()
	brokered.Password = store.Password{}
	bob := ada()
	bob.ID = "bob"
	provenBy := func(id string, kinds ...string) State {
		s := now(kinds...)
		s.UserID, s.Name = id, ""
		return s
	}

	for _, test := range []struct {
		name  string
		facts facts
		want  string // the step or, if the request is refused, the code
		acr   string
	}{
		{"a browser without a session is asked for the name", facts{}, "name", ""},
		{"a typed name leads to the password, whoever it is", facts{state: State{Name: "unknown"}}, "password", ""},
		{"a typed name counts more than a session", facts{state: State{Name: "bob"}, session: sessionOf(time.Hour, "pwd"), user: ada()}, "password", ""},
		{"a password is enough", facts{state: now("pwd"), user: ada()}, "finish", sso.ACRPassword},
		{"a password and a code are two factors", facts{state: now("pwd", "otp"), user: ada(), hasFactor: true}, "finish", sso.ACRMFA},
		{"a code alone is nothing", facts{state: now("otp"), user: ada(), hasFactor: true}, "password", ""},
		{"a passkey alone is two factors", facts{state: now("hwk"), user: ada(), mfa: MFARequired, hasFactor: true}, "finish", sso.ACRMFA},
		{"so is one that is synchronized", facts{state: now("swk"), user: ada(), mfa: MFARequired, hasFactor: true}, "finish", sso.ACRMFA},
		{"users who have a factor are asked for it", facts{state: now("pwd"), user: ada(), hasFactor: true}, "factor", sso.ACRPassword},
		{"not where MFA is off", facts{state: now("pwd"), user: ada(), mfa: MFAOff}, "finish", sso.ACRPassword},
		{"users who need a factor and have none enrol one", facts{state: now("pwd"), user: ada(), mfa: MFARequired}, "enrol", sso.ACRPassword},
		{"a remembered device stands for the factor and is none", facts{state: now("pwd"), user: ada(), mfa: MFARequired, hasFactor: true, remembered: true}, "finish", sso.ACRPassword},
		{"not with prompt=login", facts{request: &q{Prompt: []string{"login"}}, state: now("pwd"), user: ada(), hasFactor: true, remembered: true}, "factor", sso.ACRPassword},
		{"not with max_age", facts{request: &q{MaxAge: minutes(60)}, state: now("pwd"), user: ada(), hasFactor: true, remembered: true}, "factor", sso.ACRPassword},
		{"not where two factors are essential", facts{request: &essential, state: now("pwd"), user: ada(), hasFactor: true, remembered: true}, "factor", sso.ACRPassword},

		{"a session is silent", facts{session: sessionOf(time.Hour, "pwd"), user: ada()}, "finish", sso.ACRPassword},
		{"a session is silent though the policy has changed", facts{session: sessionOf(time.Hour, "pwd"), user: ada(), mfa: MFARequired, hasFactor: true, passwordDue: true}, "finish", sso.ACRPassword},
		{"a session that lacks a factor is asked for that alone", facts{request: &essential, session: sessionOf(time.Hour, "pwd"), user: ada(), hasFactor: true}, "factor", sso.ACRPassword},
		{"and then has two", facts{request: &essential, session: sessionOf(time.Hour, "pwd"), state: now("otp"), user: ada(), hasFactor: true}, "finish", sso.ACRMFA},
		{"a session of two factors suffices", facts{request: &essential, session: sessionOf(time.Hour, "pwd", "otp"), user: ada(), hasFactor: true}, "finish", sso.ACRMFA},
		{"an essential class leads to enrolment", facts{request: &essential, state: now("pwd"), user: ada()}, "enrol", sso.ACRPassword},
		{"after a recent sign-in at once", facts{request: &essential, session: sessionOf(3*time.Minute, "pwd"), user: ada()}, "enrol", sso.ACRPassword},
		{"after an older one the password comes first", facts{request: &essential, session: sessionOf(6*time.Minute, "pwd"), user: ada()}, "password", sso.ACRPassword},
		{"or the external provider", facts{request: &essential, session: sessionOf(6*time.Minute, "fed"), user: brokered}, "name", sso.ACRExternal},
		{"an essential class is refused to who does not enrol", facts{request: &essential, state: later("pwd"), user: ada()}, codeUnmet, sso.ACRPassword},
		{"an essential class that the policy forbids is explained", facts{request: &essential, session: sessionOf(time.Hour, "pwd"), user: ada(), mfa: MFAOff}, "unmet", sso.ACRPassword},
		{"and then refused", facts{request: &essential, state: later("pwd"), user: ada(), mfa: MFAOff}, codeUnmet, sso.ACRPassword},
		{"a voluntary class alone leads to enrolment, too", facts{request: &alone, state: now("pwd"), user: ada()}, "enrol", sso.ACRPassword},
		{"and from a session", facts{request: &alone, session: sessionOf(time.Minute, "pwd"), user: ada()}, "enrol", sso.ACRPassword},
		{"which the user may put off", facts{request: &alone, state: later("pwd"), user: ada()}, "finish", sso.ACRPassword},
		{"not where the policy requires it", facts{request: &alone, state: later("pwd"), user: ada(), mfa: MFARequired}, "enrol", sso.ACRPassword},
		{"a voluntary class that the policy forbids is explained", facts{request: &alone, state: now("pwd"), user: ada(), mfa: MFAOff}, "unmet", sso.ACRPassword},
		{"and then what there is has to do", facts{request: &alone, state: later("pwd"), user: ada(), mfa: MFAOff}, "finish", sso.ACRPassword},
		{"a voluntary class is not asked for with prompt=none", facts{request: &q{ACRValues: alone.ACRValues, Prompt: []string{"none"}}, session: sessionOf(time.Minute, "pwd"), user: ada()}, "finish", sso.ACRPassword},
		{"an essential one needs a page", facts{request: &q{ACRValues: alone.ACRValues, ACRRequired: true, Prompt: []string{"none"}}, session: sessionOf(time.Minute, "pwd"), user: ada()}, codeInteractionRequired, sso.ACRPassword},
		{"unless that would not help", facts{request: &q{ACRValues: alone.ACRValues, ACRRequired: true, Prompt: []string{"none"}}, session: sessionOf(time.Minute, "pwd"), user: ada(), mfa: MFAOff}, codeUnmet, sso.ACRPassword},
		{"an essential class that there is not is refused at once", facts{request: &q{ACRValues: []string{"urn:other"}, ACRRequired: true}}, codeUnmet, ""},
		{"a voluntary class is asked for where it can be had", facts{request: &voluntary, session: sessionOf(time.Hour, "pwd"), user: ada(), hasFactor: true}, "factor", sso.ACRPassword},
		{"and not where it cannot", facts{request: &voluntary, session: sessionOf(time.Hour, "pwd"), user: ada()}, "finish", sso.ACRPassword},
		{"an essential class is not answered with another one", facts{request: &q{ACRValues: []string{sso.ACRExternal}, ACRRequired: true}, state: now("pwd"), user: ada()}, codeUnmet, sso.ACRPassword},
		{"but with more", facts{request: &q{ACRValues: []string{sso.ACRPassword}, ACRRequired: true}, state: now("pwd", "otp"), user: ada(), hasFactor: true}, "finish", sso.ACRMFA},
		{"classes that there are not do not count", facts{request: &q{ACRValues: []string{"urn:other"}}, session: sessionOf(time.Hour, "pwd"), user: ada()}, "finish", sso.ACRPassword},

		{"prompt=login asks again", facts{request: &q{Prompt: []string{"login"}}, session: sessionOf(time.Second, "pwd"), user: ada()}, "password", ""},
		{"max_age asks again after that time", facts{request: &q{MaxAge: minutes(5)}, session: sessionOf(6*time.Minute, "pwd"), user: ada()}, "password", ""},
		{"and not before", facts{request: &q{MaxAge: minutes(5)}, session: sessionOf(3*time.Minute, "pwd"), user: ada()}, "finish", sso.ACRPassword},
		{"max_age=0 is satisfied by what was proven in the request", facts{request: &q{MaxAge: minutes(0)}, session: sessionOf(time.Second, "pwd"), state: now("pwd"), user: ada()}, "finish", sso.ACRPassword},
		{"max_age wants the password again, though the code is newer", facts{request: &q{MaxAge: minutes(5)}, session: &store.Session{UserID: "ada", Proven: proofs{"pwd": before(time.Hour), "otp": before(time.Minute)}}, user: ada(), hasFactor: true}, "password", ""},
		{"prompt=consent asks nothing", facts{request: &q{Prompt: []string{"consent"}}, session: sessionOf(time.Hour, "pwd"), user: ada()}, "finish", sso.ACRPassword},
		{"prompt=select_account asks who continues", facts{request: &q{Prompt: []string{"select_account"}}, session: sessionOf(time.Hour, "pwd"), user: ada()}, "choose", ""},
		{"once", facts{request: &q{Prompt: []string{"select_account"}}, session: sessionOf(time.Hour, "pwd"), state: State{Chosen: true, UserID: "ada"}, user: ada()}, "finish", sso.ACRPassword},
		{"prompt=select_account without a session asks for the name", facts{request: &q{Prompt: []string{"select_account"}}}, "name", ""},
		{"another account begins with the name", facts{request: &q{Prompt: []string{"select_account"}}, session: sessionOf(time.Hour, "pwd"), state: State{Other: true}, user: ada()}, "name", ""},

		{"prompt=none without a session", facts{request: &q{Prompt: []string{"none"}}}, codeLoginRequired, ""},
		{"prompt=none with a session", facts{request: &q{Prompt: []string{"none"}}, session: sessionOf(time.Hour, "pwd"), user: ada()}, "finish", sso.ACRPassword},
		{"prompt=none with a session that is too old", facts{request: &q{Prompt: []string{"none"}, MaxAge: minutes(5)}, session: sessionOf(time.Hour, "pwd"), user: ada()}, codeLoginRequired, ""},
		{"prompt=none with a session that lacks a factor", facts{request: &q{Prompt: []string{"none"}, ACRValues: []string{sso.ACRMFA}, ACRRequired: true}, session: sessionOf(time.Hour, "pwd"), user: ada(), hasFactor: true}, codeInteractionRequired, sso.ACRPassword},

		{"the session of another user than the hint's is not enough", facts{request: &q{Subject: "bob"}, session: sessionOf(time.Hour, "pwd"), user: ada()}, "name", ""},
		{"nor with prompt=none", facts{request: &q{Subject: "bob", Prompt: []string{"none"}}, session: sessionOf(time.Hour, "pwd"), user: ada()}, codeLoginRequired, ""},
		{"another user than the hint's is refused", facts{request: &q{Subject: "bob"}, state: now("pwd"), user: ada()}, codeLoginRequired, ""},
		{"the hint's user is not", facts{request: &q{Subject: "ada"}, state: now("pwd"), user: ada()}, "finish", sso.ACRPassword},

		{"what another user's session has proven does not count", facts{session: sessionOf(time.Hour, "pwd"), state: provenBy("bob", "otp"), user: bob, hasFactor: true}, "name", ""},
		{"nor together with a factor of the user", facts{session: sessionOf(time.Hour, "otp"), state: provenBy("bob", "pwd"), user: bob}, "finish", sso.ACRPassword},

		{"an external provider is a class of its own", facts{state: now("fed"), user: brokered}, "finish", sso.ACRExternal},
		{"with two factors there, if that is believed", facts{state: now("fed", "fed-mfa"), user: brokered, mfa: MFARequired}, "finish", sso.ACRMFA},
		{"where MFA is required the factor is ours", facts{state: now("fed"), user: brokered, mfa: MFARequired, hasFactor: true}, "factor", sso.ACRExternal},
		{"and then there are two", facts{state: now("fed", "otp"), user: brokered, mfa: MFARequired, hasFactor: true}, "finish", sso.ACRMFA},
		{"a brokered session that is too old begins with the name", facts{request: &q{Prompt: []string{"login"}}, session: sessionOf(time.Hour, "fed"), user: brokered}, "name", ""},

		{"a new password is due after the factors", facts{state: now("pwd"), user: ada(), hasFactor: true, passwordDue: true}, "factor", sso.ACRPassword},
		{"and before the answer", facts{state: now("pwd", "otp"), user: ada(), hasFactor: true, passwordDue: true}, "newpassword", sso.ACRMFA},
		{"enrolment is due before", facts{state: now("pwd", "otp"), user: mustEnrol, hasFactor: true, passwordDue: true}, "enrol", sso.ACRMFA},
		{"not where MFA is off", facts{state: now("pwd"), user: mustEnrol, mfa: MFAOff}, "finish", sso.ACRPassword},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := test.facts
			if f.request == nil {
				f.request = new(q)
			}
			copied := *f.request
			copied.Created = noon
			f.request, f.now = &copied, during
			f.policy.Factors = allFactors
			d := next(f)
			got := string(d.step)
			if d.step == stepRefuse {
				got = d.code
			}
			if got != test.want {
				t.Errorf("expected %s, seen %s", test.want, got)
			}
			if test.acr != d.auth.ACR {
				t.Errorf("expected acr %q, seen %q", test.acr, d.auth.ACR)
			}
		})
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		proven proofs
		acr    string
		amr    string
		time   time.Time
	}{
		{"nothing", nil, "", "", time.Time{}},
		{"a password", proofs{"pwd": during}, sso.ACRPassword, "pwd", during},
		{"a code alone", proofs{"otp": during}, "", "", time.Time{}},
		{"the time is that of the older factor", proofs{"pwd": before(time.Hour), "otp": during}, sso.ACRMFA, "pwd otp mfa", before(time.Hour)},
		{"a passkey is as new as it is", proofs{"pwd": before(time.Hour), "hwk": during}, sso.ACRMFA, "pwd hwk mfa", during},
		{"the newest combination counts", proofs{"hwk": before(time.Hour), "pwd": during, "otp": during}, sso.ACRMFA, "pwd otp hwk mfa", during},
		{"the better class counts, though it is older", proofs{"hwk": before(time.Hour), "pwd": during}, sso.ACRMFA, "pwd hwk mfa", before(time.Hour)},
		{"an external provider", proofs{"fed": during}, sso.ACRExternal, "fed", during},
		{"an external provider with two factors", proofs{"fed": during, "fed-mfa": during}, sso.ACRMFA, "fed mfa", during},
		{"a mark of two factors without the provider", proofs{"fed-mfa": during}, "", "", time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := test.proven.authentication()
			if a.ACR != test.acr {
				t.Errorf("expected acr %q, seen %q", test.acr, a.ACR)
			}
			if !slices.Equal(a.AMR, strings.Fields(test.amr)) {
				t.Errorf("expected amr %s, seen %v", test.amr, a.AMR)
			}
			if !a.Time.Equal(test.time) {
				t.Errorf("expected auth_time %v, seen %v", test.time, a.Time)
			}
		})
	}
}

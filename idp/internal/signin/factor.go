package signin

import (
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// showFactor asks for the second factor, where the rest is proven: after a
// password whose user has a passkey, and in a step up.
func (v *visit) showFactor(f facts, variant string) {
	if variant == withResync && f.hasCode() {
		v.render(&pages.Resync{Common: v.common(pages.FieldCode), Action: v.path("factor"), User: v.shownName(f), Cancel: v.path("")})
		return
	}
	recovery := variant == withRecovery
	page := &pages.Factor{
		Common: v.common(pages.FieldCode, pages.FieldRecovery), Action: v.path("factor"), User: v.shownName(f),
		Code: f.hasCode() && !recovery, Recovery: recovery, OtherURL: v.path("name"),
		Remember: f.policy.Remember > 0 && !f.mustBeFresh(),
	}
	if !recovery {
		page.RecoveryURL = v.path(withRecovery)
	}
	if slices.Contains(f.has, store.HOTP) && !recovery {
		page.ResyncURL = v.path(withResync)
	}
	if slices.Contains(f.has, store.Passkey) && !recovery {
		var err error
		if page.Passkey, err = v.askPasskey(f.user, false); err != nil {
			v.Fail(v.w, v.r, err)
			return
		}
	}
	v.render(page)
}

// shownName returns what the page of a second factor calls the user: what was typed,
// if it was, so that it does not show who that is.
func (v *visit) shownName(f facts) string {
	if v.state.Name != "" {
		return v.state.Name
	}
	return f.user.Name
}

// takeFactor judges a code, two of them or a recovery code of the user who has proven the rest.
func (v *visit) takeFactor() {
	came := v.Now()
	j := judgement{typed: v.typed()}
	err := v.change(func(tx store.Tx, state *State) error { return v.judgeFactor(tx, state, &j) })
	v.waitForSlot(v.r.Context(), came)
	if err != nil {
		v.respondOver(v.w, v.r, err)
		return
	}
	v.report(&j)
	if j.reason == "" {
		v.proceed()
		return
	}
	v.goTo(j.variant)
}

func (v *visit) judgeFactor(tx store.Tx, state *State, j *judgement) error {
	*j = judgement{typed: j.typed}
	f, err := v.facts(tx, *state)
	if err != nil {
		return err
	}
	switch next(f).step {
	case stepFactor:
	case stepConcealed:
		return v.judgeConcealed(tx, state, j)
	default:
		j.reason = reasonStep // a page that is not due any more
		return nil
	}
	j.user = f.user
	attempt := Attempt{User: f.user, Kind: AttemptCode, Device: f.device.id, Address: v.Address(v.r)}
	code, verify := j.code, v.Factors.VerifyCode
	if j.variant == withRecovery {
		attempt.Kind, code, verify = AttemptRecovery, j.recovery, v.verifyRecovery
	}
	err = v.weighAnswer(tx, j, &attempt, func() (*factors.Proof, error) {
		return verify(v.r.Context(), tx, v.ceremony(f.user), code)
	})
	if err != nil {
		return err
	}
	if j.reason == "" {
		return v.succeed(tx, state, j, attempt)
	}
	return v.failFactor(tx, state, j, attempt)
}

package signin

import (
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// showFactor asks for the second factor alone: after the password of a user with a
// passkey, and for a step-up.
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

// shownName returns the name on a second factor page: what was typed, if anything,
// so that the page does not reveal the user.
func (v *visit) shownName(f facts) string {
	if v.state.Name != "" {
		return v.state.Name
	}
	return f.user.Name
}

// takeFactor checks one code, two codes or a recovery code of the user who has
// proved the rest.
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
		j.reason = reasonStep // the page is outdated
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

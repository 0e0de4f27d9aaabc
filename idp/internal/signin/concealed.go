package signin

import (
	"context"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file conceals whether a password was right if the second factor is a
// passkey, which a form cannot carry. A wrong password of such a user leads to the
// page that asks for the passkey as well, and so does a share of the unknown names.
// After a wrong password, that page accepts only a passkey of that user, which is
// two factors by itself, and no recovery code.

// unknownUser is a placeholder for unknown names. It has no passkeys.
var unknownUser = &store.User{ID: "unknown"}

// conceals reports whether a wrong password leads to the passkey page.
func (v *visit) conceals(ctx context.Context, tx store.Tx, state State, who candidate) (bool, error) {
	if who.user == nil {
		return v.isLikePasskey(ctx, tx, who.key)
	}
	f := facts{request: v.request, state: state, session: v.session, now: v.Now(), user: who.user}
	if err := v.addUser(tx, &f); err != nil {
		return false, err
	}
	f.state.Concealed = false
	f.state.prove(who.user.ID, f.now, amrPassword)
	return !f.hasCode() && next(f).step == stepFactor, nil
}

// concealed returns the user of the concealed page.
func (v *visit) concealed(tx store.Tx, state State) (candidate, *store.User, error) {
	who, err := v.candidateIn(tx, state)
	if who.user == nil {
		return who, unknownUser, err
	}
	return who, who.user, err
}

// showConcealed shows the passkey page as after a right password.
func (v *visit) showConcealed(variant string) {
	f := facts{request: v.request, state: v.state, now: v.Now(), has: []store.FactorKind{store.Passkey}}
	err := v.Store.View(v.r.Context(), func(tx store.Tx) (err error) {
		var who candidate
		if who, f.user, err = v.concealed(tx, v.state); err == nil {
			f.policy = v.Accounts.Policy(who.user)
		}
		return err
	})
	if err != nil {
		v.Fail(v.w, v.r, err)
		return
	}
	v.showFactor(f, variant)
}

// judgeConcealed refuses all codes, because the password was wrong.
func (v *visit) judgeConcealed(tx store.Tx, state *State, j *judgement) error {
	who, _, err := v.concealed(tx, *state)
	if err != nil {
		return err
	}
	j.who, j.user = who, who.user
	attempt := Attempt{User: who.user, Kind: AttemptCode, Device: who.device.id, Address: v.Address(v.r)}
	if j.variant == withRecovery {
		attempt.Kind = AttemptRecovery
	}
	allowed, err := v.Lockout.Allows(tx, attempt)
	if err != nil {
		return err
	}
	j.reason = reasonOf[attempt.Kind]
	if !allowed {
		j.reason = reasonLocked
	}
	return v.failFactor(tx, state, j, attempt)
}

// failFactor records a wrong answer on a second factor page.
func (v *visit) failFactor(tx store.Tx, state *State, j *judgement, attempt Attempt) (err error) {
	j.kind = attempt.Kind
	field, problem := pages.FieldCode, "code.wrong"
	if j.variant == withRecovery {
		field, problem = pages.FieldRecovery, "code.expired"
	}
	state.problem(field, problem)
	if j.reason == reasonLocked {
		return nil
	}
	j.locked, err = v.Lockout.Failed(tx, attempt)
	return err
}

package signin

import (
	"errors"
	"log/slog"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// attemptPasskey is the name in the log of an attempt with a passkey. It is not
// counted, since passkeys cannot be guessed.
const attemptPasskey = "passkey"

// fieldPasskey is the field of a problem with a passkey, which has no field of its
// own.
const fieldPasskey = ""

// askPasskey returns what a page needs to ask for a passkey; nil if passkeys are
// not available. The challenge is bound to the browser, the request, and the user
// if the step has one. It lists no credentials, so that it reveals nothing about
// accounts.
func (v *visit) askPasskey(user *store.User, autofill bool) (*pages.Passkey, error) {
	if v.Factors.Passkeys == nil {
		return nil, nil
	}
	var count int
	err := v.Store.View(v.r.Context(), func(tx store.Tx) (err error) {
		count, err = tx.CountPasskeys()
		return err
	})
	if err != nil || count == 0 {
		return nil, err
	}
	ask := &pages.Passkey{Action: v.path("passkey"), Autofill: autofill}
	err = v.Store.Update(v.r.Context(), func(tx store.Tx) (err error) {
		ask.Options, err = v.Factors.Passkeys.BeginVerify(v.r.Context(), tx, v.ceremony(user))
		return err
	})
	return ask, err
}

// takePasskey checks a passkey: as the second factor if that is due, else as two
// factors. It does not use the queue.
func (v *visit) takePasskey() {
	if v.Factors.Passkeys == nil {
		v.proceed()
		return
	}
	j := judgement{}
	err := v.change(func(tx store.Tx, state *State) error { return v.judgePasskey(tx, state, &j) })
	if err != nil {
		v.respondOver(v.w, v.r, err)
		return
	}
	v.report(&j)
	v.proceed()
}

func (v *visit) judgePasskey(tx store.Tx, state *State, j *judgement) error {
	*j = judgement{kind: attemptPasskey}
	f, err := v.facts(tx, *state)
	if err != nil {
		return err
	}
	ceremony := v.ceremony(nil)
	switch next(f).step {
	case stepFactor:
		ceremony = v.ceremony(f.user)
	case stepConcealed:
		_, user, err := v.concealed(tx, *state)
		if err != nil {
			return err
		}
		ceremony = v.ceremony(user)
	}
	proof, err := v.Factors.Passkeys.Verify(v.r.Context(), tx, ceremony, v.field(pages.FieldCredential))
	if errors.Is(err, factors.ErrWrong) || errors.Is(err, factors.ErrExpired) {
		j.reason = reasonPasskey
		state.problem(fieldPasskey, pages.ProblemPasskey)
		return nil
	}
	if err != nil {
		return err
	}
	j.user, err = tx.User(proof.UserID)
	if err != nil {
		return err
	}
	if isGone(j.user) {
		j.reason = reasonLocked
		state.problem(fieldPasskey, pages.ProblemPasskey)
		return nil
	}
	j.amr, j.cloned = proof.AMR, proof.Cloned
	return v.succeed(tx, state, j, Attempt{User: j.user, Kind: attemptPasskey, Address: v.Address(v.r)})
}

// reportCloned warns about a passkey whose counter went back, and so may have been
// cloned (Web Authentication 6.1.1).
func (v *visit) reportCloned(user *store.User) {
	v.Logger.LogAttrs(v.r.Context(), slog.LevelWarn, "the counter of a passkey went back; it may have been copied",
		slog.String("event", "passkey_cloned"), v.who(user, ""))
}
